// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/stl.h>

#include "compute.hpp"
#include "register.hpp"
#include "weights.hpp"

namespace rnnext {
namespace {

template <class T> class PyStepperOf {
  public:
    PyStepperOf(const std::vector<PyWeights>& weights, index N)
        : stack_(make_stack<T>(weights, 1)), stepper_(stack_, N) {}

    void step(const py::object& x, const py::object& out) {
        const Stack<T> stack = stack_;  // set_weights may come while this runs
        const Weights<T>& w = *stack[0];
        const index N = stepper_.batch();
        const T* const from = data<T>(x, "x", {N, w.input_size});
        T* const to = writable_data<T>(out, "out", {N, w.hidden_size});
        compute(stack_flops(stack, 1, N), [&](Interrupt interrupt) {
            stepper_.step(stack, from, to, interrupt);
        });
    }
    void set_weights(const std::vector<PyWeights>& weights) {
        Stack<T> stack = make_stack<T>(weights, 1);
        const Weights<T>&now = *stack_[0], &then = *stack[0];
        if (stack.size() != stack_.size() || now.kind != then.kind ||
            now.hidden_size != then.hidden_size || now.input_size != then.input_size)
            throw py::value_error("weights: do not fit this stepper");
        stack_ = std::move(stack);
    }
    py::tuple get_state() {
        const auto copy = [&](const T* p) -> py::object {
            if (!p) return py::none();
            auto array = empty<T>(state_shape());
            std::copy_n(p, array.size(), array.mutable_data());
            return array;
        };
        return py::make_tuple(copy(stepper_.h()), copy(stepper_.c()));
    }
    void set_state(const py::object& h, const py::object& c) {
        const Shape shape = state_shape();
        const T* const from_h = optional_data<T>(h, "h", shape);
        const T* const from_c = optional_data<T>(c, "c", shape);
        const auto assign = [&](T* to, const T* from) {
            const index size = shape[0] * shape[1] * shape[2];
            if (from) std::copy_n(from, size, to);
            else std::fill_n(to, size, T(0));
        };
        assign(stepper_.h(), from_h);
        if (stepper_.c()) assign(stepper_.c(), from_c);
    }

  private:
    Shape state_shape() const {
        return {index(stack_.size()), stepper_.batch(), stack_[0]->hidden_size};
    }

    Stack<T> stack_;
    Stepper<T> stepper_;
};

// Either dtype behind one Python class.
struct PyStepper : Zeroed {
    std::variant<std::unique_ptr<PyStepperOf<float>>,
                 std::unique_ptr<PyStepperOf<double>>>
        held;

    PyStepper(const std::vector<PyWeights>& weights, index N) {
        if (weights.empty()) throw py::value_error("weights: expected at least one");
        if (N < 0) throw py::value_error("batch_size: expected 0 or more");
        if (std::holds_alternative<Shared<float>>(weights[0].held))
            held = std::make_unique<PyStepperOf<float>>(weights, N);
        else held = std::make_unique<PyStepperOf<double>>(weights, N);
    }
    template <class F> auto visit(F f) {
        return std::visit(
            [&](auto& s) {
                if (!s) throw py::type_error("Stepper: __init__ was not called");
                return f(*s);
            },
            held);
    }
};

}  // namespace

void register_stepper(py::module_& m) {
    py::class_<PyStepper>(m, "Stepper", py::is_final())
        .def(py::init<const std::vector<PyWeights>&, index>(), py::arg("weights"),
             py::arg("batch_size"))
        .def(
            "step",
            [](PyStepper& p, const py::object& x, const py::object& out) {
                p.visit([&](auto& s) { s.step(x, out); });
            },
            py::arg("x"), py::arg("out"))
        .def(
            "set_weights",
            [](PyStepper& p, const std::vector<PyWeights>& weights) {
                p.visit([&](auto& s) { s.set_weights(weights); });
            },
            py::arg("weights"))
        .def(
            "get_state",
            [](PyStepper& p) { return p.visit([](auto& s) { return s.get_state(); }); })
        .def(
            "set_state",
            [](PyStepper& p, const py::object& h, const py::object& c) {
                p.visit([&](auto& s) { s.set_state(h, c); });
            },
            py::arg("h"), py::arg("c"));
}

}  // namespace rnnext
