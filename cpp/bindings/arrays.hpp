// SPDX-License-Identifier: BSD-3-Clause
//
// NumPy arrays to pointers, checked for memory safety: dtype, shape, layout. Messages
// for people are Python's task (rnnext/_validation.py).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "../memory.hpp"

namespace rnnext {

namespace py = pybind11;

using Shape = std::vector<index>;

inline std::string text(const Shape& shape) {
    std::string s = "(";
    for (std::size_t i = 0; i < shape.size(); ++i)
        s += (i ? ", " : "") + std::to_string(shape[i]);
    return s + (shape.size() == 1 ? ",)" : ")");
}

template <class T> py::array_t<T> empty(const Shape& shape) {
    elements<T>({1});
    index bytes = sizeof(T);
    for (const index n : shape)
        if (__builtin_mul_overflow(bytes, std::max<index>(n, 1), &bytes))
            throw std::bad_alloc();
    return py::array_t<T>(std::vector<py::ssize_t>(shape.begin(), shape.end()));
}

// The data of an array of exactly this dtype and shape, C-contiguous and aligned.
template <class T>
const T* data(const py::handle& object, const char* name, const Shape& shape) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(name) + ": expected an ndarray, got " +
                             std::string(py::str(py::type::of(object))));
    const auto array = py::reinterpret_borrow<py::array>(object);
    if (!py::isinstance<py::array_t<T>>(object))
        throw py::type_error(std::string(name) + ": expected dtype " +
                             std::string(py::str(py::dtype::of<T>())) + ", got " +
                             std::string(py::str(array.dtype())));
    const Shape got(array.shape(), array.shape() + array.ndim());
    if (got != shape)
        throw py::value_error(std::string(name) + ": expected shape " + text(shape) +
                              ", got " + text(got));
    if (!(array.flags() & py::array::c_style) ||
        reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0)
        throw py::value_error(std::string(name) + ": expected a C-contiguous array");
    return static_cast<const T*>(array.data());
}

template <class T>
const T* optional_data(const py::handle& object, const char* name, const Shape& shape) {
    return object.is_none() ? nullptr : data<T>(object, name, shape);
}

template <class T>
T* writable_data(const py::handle& object, const char* name, const Shape& shape) {
    const T* const p = data<T>(object, name, shape);
    if (!py::reinterpret_borrow<py::array>(object).writeable())
        throw py::value_error(std::string(name) + ": expected a writable array");
    return const_cast<T*>(p);
}

inline Shape shape_of(const py::handle& object, const char* name, std::size_t ndim) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(name) + ": expected an ndarray");
    const auto array = py::reinterpret_borrow<py::array>(object);
    if (std::size_t(array.ndim()) != ndim)
        throw py::value_error(std::string(name) + ": expected " + std::to_string(ndim) +
                              " dimensions, got " + std::to_string(array.ndim()));
    return Shape(array.shape(), array.shape() + ndim);
}

inline bool is_float32(const py::handle& object) {
    return py::isinstance<py::array_t<float>>(object);
}

// What a sequence held when the call began: kept, whatever becomes of the sequence.
inline std::vector<py::object> items(const py::handle& object, const char* name) {
    if (!py::isinstance<py::sequence>(object))
        throw py::type_error(std::string(name) + ": expected a sequence");
    std::vector<py::object> kept;
    for (const auto& item : py::reinterpret_borrow<py::sequence>(object))
        kept.push_back(py::reinterpret_borrow<py::object>(item));
    return kept;
}

// Calls f<float> or f<double> by the dtype of `object` (float64 reports what is wrong).
#define RNNEXT_BY_DTYPE(object, f, ...)                                                \
    (is_float32(object) ? f<float>(__VA_ARGS__) : f<double>(__VA_ARGS__))

}  // namespace rnnext
