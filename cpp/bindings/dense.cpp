// SPDX-License-Identifier: BSD-3-Clause
#include "../dense.hpp"

#include "../dispatch.hpp"
#include "arrays.hpp"
#include "compute.hpp"
#include "register.hpp"

namespace rnnext {
namespace {

constexpr double elementwise_flops = 50;  // an exp and what is around it

template <class T>
py::object linear_call(const py::object& x, const py::object& w, const py::object& b) {
    const Shape xs = shape_of(x, "x", 2), ws = shape_of(w, "w", 2);
    const index M = xs[0], K = xs[1], O = ws[0];
    const T *const px = data<T>(x, "x", xs), *const pw = data<T>(w, "w", {O, K}),
                   *const pb = optional_data<T>(b, "b", {O});
    T* to;
    const py::object y = empty<T>({M, O}, to);
    compute(2.0 * double(M) * double(K) * double(O),
            [&](Interrupt interrupt) { linear(px, M, K, pw, O, pb, to, interrupt); });
    return y;
}

template <class T> py::object matmul_tn_call(const py::object& a, const py::object& b) {
    const Shape as = shape_of(a, "a", 2), bs = shape_of(b, "b", 2);
    const index K = as[0], M = as[1], O = bs[1];
    const T *const pa = data<T>(a, "a", as), *const pb = data<T>(b, "b", {K, O});
    T* to;
    const py::object y = empty<T>({M, O}, to);
    compute(2.0 * double(M) * double(K) * double(O),
            [&](Interrupt interrupt) { matmul_tn(pa, K, M, pb, O, to, interrupt); });
    return y;
}

template <class T> py::object softmax_call(const py::object& x) {
    const Shape shape = shape_of(x, "x", 2);
    const T* const from = data<T>(x, "x", shape);
    T* to;
    const py::object y = empty<T>(shape, to);
    compute(
        elementwise_flops * double(shape[0]) * double(shape[1]),
        [&](Interrupt interrupt) { softmax(from, shape[0], shape[1], to, interrupt); });
    return y;
}

template <class T>
py::object elementwise(const py::object& x, void (*f)(const T*, T*, index) noexcept) {
    const Array* const array = as_array(x);
    if (!array) throw py::type_error("x: expected an ndarray");
    const Shape shape(*array);
    const T* const from = data<T>(x, "x", shape);
    const index size = shape.size();
    T* to;
    const py::object y = empty<T>(shape, to);
    compute(elementwise_flops * double(size), [&](Interrupt interrupt) {
        in_pieces(size, index(1) << 20, interrupt,
                  [&](Range r) { f(from + r.begin, to + r.begin, r.end - r.begin); });
    });
    return y;
}

}  // namespace

void register_dense(py::module_& m) {
    m.def(
        "linear",
        [](const py::object& x, const py::object& w, const py::object& b) {
            return RNNEXT_BY_DTYPE(x, linear_call, x, w, b);
        },
        py::arg("x"), py::arg("w"), py::arg("b"));
    m.def(
        "matmul_tn",
        [](const py::object& a, const py::object& b) {
            return RNNEXT_BY_DTYPE(a, matmul_tn_call, a, b);
        },
        py::arg("a"), py::arg("b"));
    m.def(
        "softmax",
        [](const py::object& x) { return RNNEXT_BY_DTYPE(x, softmax_call, x); },
        py::arg("x"));
    m.def(
        "exp",
        [](const py::object& x) {
            return is_float32(x) ? elementwise<float>(x, kernels<float>().exp)
                                 : elementwise<double>(x, kernels<double>().exp);
        },
        py::arg("x"));
    m.def(
        "sigmoid",
        [](const py::object& x) {
            return is_float32(x) ? elementwise<float>(x, kernels<float>().sigmoid)
                                 : elementwise<double>(x, kernels<double>().sigmoid);
        },
        py::arg("x"));
    m.def(
        "tanh",
        [](const py::object& x) {
            return is_float32(x) ? elementwise<float>(x, kernels<float>().tanh)
                                 : elementwise<double>(x, kernels<double>().tanh);
        },
        py::arg("x"));
}

}  // namespace rnnext
