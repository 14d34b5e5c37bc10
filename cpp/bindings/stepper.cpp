// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "compute.hpp"
#include "register.hpp"
#include "stack.hpp"

namespace rnnext {
namespace {

struct PyStepper : EitherDtype<Stepper> {};

template <class T> PyStepper make_stepper(const Stack<T>& stack, index N) {
    if (stack.D != 1) throw py::value_error("weights: expected one direction");
    if (N < 0) throw py::value_error("batch_size: expected 0 or more");
    PyStepper made;
    made.held = std::make_unique<Stepper<T>>(stack, N);
    return made;
}

// Of exactly NumPy's own type: what a subclass means by its numbers is its own affair.
template <class T> T* find_exact(const py::object& object, const Shape& shape) {
    const Array* const array = find<T>(object, shape);
    const bool exact =
        array && Py_TYPE(object.ptr()) == py::detail::npy_api::get().PyArray_Type_;
    return exact ? reinterpret_cast<T*>(array->data) : nullptr;
}

template <class T> bool overlap(const T* a, index a_size, const T* b, index b_size) {
    const auto begin = [](const T* p) { return reinterpret_cast<std::uintptr_t>(p); };
    return begin(a) < begin(b + b_size) && begin(b) < begin(a + a_size);
}

// The output in `out` or in a new array. None where something does not fit: then
// nothing has happened.
template <class T>
py::object step(Stepper<T>& stepper, const PyStack* weights, const py::object& x,
                const py::object& out) {
    const index N = stepper.N, I = stepper.I, H = stepper.H;
    const Stack<T>* const stack = weights ? weights->get<T>() : nullptr;
    if (!stack || !stepper.fits(*stack)) return py::none();
    const T* const from = find_exact<T>(x, {N, I});
    if (!from) return py::none();
    py::object y = out;
    T* to;
    if (y.is_none()) {
        y = empty<T>({N, H}, to);
    } else {
        to = find_exact<T>(out, {N, H});
        const bool writable = py::detail::check_flags(
            out.ptr(), py::detail::npy_api::NPY_ARRAY_WRITEABLE_);
        if (!to || !writable || overlap(from, N * I, to, N * H)) return py::none();
    }
    compute(stack->flops(1, N),
            [&](Interrupt interrupt) { stepper.step(*stack, from, to, interrupt); });
    return y;
}

template <class T> Shape state_shape(const Stepper<T>& stepper) {
    return {stepper.L, stepper.N, stepper.H};
}

template <class T> py::tuple get_state(Stepper<T>& stepper) {
    const Shape shape = state_shape(stepper);
    const auto copy = [&](const T* from) -> py::object {
        if (!from) return py::none();
        T* to;
        py::object array = empty<T>(shape, to);
        std::copy_n(from, elements<T>({shape[0], shape[1], shape[2]}), to);
        return array;
    };
    return py::make_tuple(copy(stepper.h()), copy(stepper.c()));
}

template <class T>
void set_state(Stepper<T>& stepper, const py::object& h, const py::object& c) {
    const Shape shape = state_shape(stepper);
    const T* const from_h = optional_data<T>(h, "h", shape);
    const T* const from_c = optional_data<T>(c, "c", shape);
    const auto assign = [&](T* to, const T* from) {
        const index size = elements<T>({shape[0], shape[1], shape[2]});
        if (from) std::copy_n(from, size, to);
        else std::fill_n(to, size, T(0));
    };
    assign(stepper.h(), from_h);
    if (stepper.c()) assign(stepper.c(), from_c);
}

}  // namespace

void register_stepper(py::module_& m) {
    py::class_<PyStepper>(m, "Stepper", py::is_final())
        .def(py::init([](const PyStack& weights, index N) {
                 return weights.visit(
                     [&](const auto& stack) { return make_stepper(stack, N); });
             }),
             py::arg("weights"), py::arg("batch_size"))
        .def(
            "step",
            [](const PyStepper& p, const PyStack* weights, const py::object& x,
               const py::object& out) {
                return p.visit([&](auto& s) { return step(s, weights, x, out); });
            },
            py::arg("weights"), py::arg("x"), py::arg("out"))
        .def("get_state",
             [](const PyStepper& p) {
                 return p.visit([](auto& s) { return get_state(s); });
             })
        .def(
            "set_state",
            [](const PyStepper& p, const py::object& h, const py::object& c) {
                p.visit([&](auto& s) { set_state(s, h, c); });
            },
            py::arg("h"), py::arg("c"));
}

}  // namespace rnnext
