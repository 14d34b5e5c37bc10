// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "compute.hpp"
#include "constructor.hpp"
#include "fast_call.hpp"
#include "register.hpp"
#include "stack.hpp"
#include "tokens.hpp"

namespace rnnext {
namespace {

struct PyStepper : EitherDtype<Stepper> {};

template <class T> PyStepper make_stepper(const Stack<T>& stack, index N) {
    if (stack.D != 1 || stack.reverse)
        throw py::value_error("weights: expected one direction, from the start");
    if (N < 0) throw py::value_error("batch_size: expected 0 or more");
    PyStepper made;
    made.held = std::make_unique<Stepper<T>>(stack, N);
    return made;
}

PyStepper make(const PyStack& weights, index N) {
    return weights.visit([&](const auto& stack) { return make_stepper(stack, N); });
}

template <class T> bool overlap(const T* a, index a_size, const T* b, index b_size) {
    const auto address = [](const T* p) { return reinterpret_cast<std::uintptr_t>(p); };
    return address(a) < address(b + b_size) && address(b) < address(a + a_size);
}

// The output in `out` or in a new array. None where something has to be converted
// first, or is wrong: then nothing has happened.
template <class T>
py::object step(Stepper<T>& stepper, const PyStack& weights, const py::object& x,
                const py::object& out) {
    const index N = stepper.N, I = stepper.I, P = stepper.P;
    const Stack<T>* const stack = weights.get<T>();
    if (!stack || !stepper.fits(*stack)) return py::none();
    Input<T> input;
    Input<index> ids;
    if (are_tokens(as_array(x))) {
        if (!ids.read(x, {N})) return py::none();
        check_tokens(ids.data(), 1, N, I, nullptr);
    } else if (!input.read(x, {N, I})) {
        return py::none();
    }
    py::object y = out;
    T* to;
    if (y.is_none()) {
        y = empty<T>({N, P}, to);
    } else {
        const Array* const array = find<T>(out, {N, P});
        if (!array || !is_plain<T>(*array) || !is_writable(*array)) return py::none();
        to = reinterpret_cast<T*>(array->data);
        if (input.data() && overlap<T>(input.data(), N * I, to, N * P))
            input.read(x, {N, I}, true);
    }
    compute(stack->flops(1, N), [&](Interrupt interrupt) {
        stepper.step(*stack, input.data(), ids.data(), to, interrupt);
    });
    return y;
}

// h, or a tuple (h, c), each (L, N, H).
template <class T> py::object get_state(Stepper<T>& stepper) {
    const index L = stepper.L, N = stepper.N, H = stepper.H, P = stepper.P;
    T *h, *c;
    const py::object state =
        empty_state(stepper.c() != nullptr, {L, N, P}, {L, N, H}, h, c);
    std::copy_n(stepper.h(), L * N * P, h);
    if (stepper.c()) std::copy_n(stepper.c(), L * N * H, c);
    return state;
}

template <class T> void set_state(Stepper<T>& stepper, const py::object& state) {
    const index L = stepper.L, N = stepper.N, H = stepper.H, P = stepper.P;
    StateInput<T> input;
    if (!input.read(state, stepper.c() != nullptr, {L, N, P}, {L, N, H}))
        throw py::value_error("state: expected " + text(Shape{L, N, P}));
    const auto assign = [&](T* to, const T* from, index size) {
        if (from) std::copy_n(from, size, to);
        else std::fill_n(to, size, T(0));
    };
    assign(stepper.h(), input.h.data(), L * N * P);
    if (stepper.c()) assign(stepper.c(), input.c.data(), L * N * H);
}

struct StepFunction {
    static constexpr const char* name = "step";
    static constexpr const char* arguments[] = {"stepper", "weights", "x", "out"};
    static constexpr int required = 4;

    static py::object call(const py::object* given) {
        const auto& weights = held_by<PyStack>(given[1], "weights");
        return held_by<PyStepper>(given[0], "stepper").visit([&](auto& stepper) {
            return step(stepper, weights, given[2], given[3]);
        });
    }
};

}  // namespace

void register_stepper(py::module_& m) {
    def_fast<StepFunction>(m);
    py::class_<PyStepper> stepper(m, "Stepper", py::is_final());
    note_type<PyStepper>(stepper);
    def_constructor(stepper, &make, py::arg("weights"), py::arg("batch_size"));
    stepper
        .def("get_state",
             [](const PyStepper& p) {
                 return p.visit([](auto& s) { return get_state(s); });
             })
        .def(
            "set_state",
            [](const PyStepper& p, const py::object& state) {
                p.visit([&](auto& s) { set_state(s, state); });
            },
            py::arg("state"));
}

}  // namespace rnnext
