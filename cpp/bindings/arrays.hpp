// SPDX-License-Identifier: BSD-3-Clause
//
// NumPy arrays to pointers, checked for memory safety: dtype, shape, layout. Messages
// for people are Python's task (rnnext/_validation.py). NumPy's own struct is read, so
// that a check takes nanoseconds.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>

#include "../memory.hpp"

namespace rnnext {

namespace py = pybind11;

using Array = py::detail::PyArray_Proxy;

// A copy is of the sizes that there are: shapes are made and copied in every call.
struct Shape {
    int ndim;
    index sizes[64];  // NumPy's own limit

    Shape(std::initializer_list<index> list) : ndim(int(list.size())) {
        std::copy(list.begin(), list.end(), sizes);
    }
    explicit Shape(const Array& array) : ndim(array.nd) {
        if (ndim > 64) throw py::value_error("expected at most 64 dimensions");
        std::copy_n(array.dimensions, ndim, sizes);
    }
    Shape(const Shape& other) : ndim(other.ndim) {
        std::copy_n(other.sizes, ndim, sizes);
    }
    Shape& operator=(const Shape& other) {
        ndim = other.ndim;
        std::copy_n(other.sizes, ndim, sizes);
        return *this;
    }
    index operator[](int i) const { return sizes[i]; }
    // Elements of an array that exists.
    index size() const {
        index product = 1;
        for (int i = 0; i < ndim; ++i) product *= sizes[i];
        return product;
    }
};

inline std::string text(const Shape& shape) {
    std::string s = "(";
    for (int i = 0; i < shape.ndim; ++i)
        s += (i ? ", " : "") + std::to_string(shape[i]);
    return s + (shape.ndim == 1 ? ",)" : ")");
}

using NumpyApi = py::detail::npy_api;
template <class T> inline constexpr int type_number = NumpyApi::NPY_DOUBLE_;
template <> inline constexpr int type_number<float> = NumpyApi::NPY_FLOAT_;
template <> inline constexpr int type_number<bool> = NumpyApi::NPY_BOOL_;
template <>
inline constexpr int type_number<index> =
    sizeof(long) == sizeof(index) ? NumpyApi::NPY_LONG_ : NumpyApi::NPY_LONGLONG_;

// Null if it is no ndarray.
inline const Array* as_array(const py::handle& object) {
    return py::detail::npy_api::get().PyArray_Check_(object.ptr())
               ? py::detail::array_proxy(object.ptr())
               : nullptr;
}

template <class T> bool has_dtype(const Array& array) {
    constexpr char swapped = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '>' : '<';
    const auto& descr = *py::detail::array_descriptor_proxy(array.descr);
    return descr.type_num == type_number<T> && descr.byteorder != swapped;
}

inline bool has_shape(const Array& array, const Shape& shape) {
    return array.nd == shape.ndim &&
           std::equal(shape.sizes, shape.sizes + shape.ndim, array.dimensions);
}

// C-contiguous and aligned.
template <class T> bool is_plain(const Array& array) {
    return (array.flags & py::array::c_style) &&
           reinterpret_cast<std::uintptr_t>(array.data) % alignof(T) == 0;
}

inline bool is_writable(const Array& array) {
    return array.flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
}

// Says what `data` found wrong.
template <class T>
[[noreturn]] void refuse(const py::handle& object, const char* name,
                         const Shape& shape) {
    const std::string start(name);
    const Array* const array = as_array(object);
    if (!array)
        throw py::type_error(start + ": expected an ndarray, got " +
                             std::string(py::str(py::type::of(object))));
    if (!has_dtype<T>(*array))
        throw py::type_error(start + ": expected dtype " +
                             std::string(py::str(py::dtype::of<T>())) + ", got " +
                             std::string(py::str(py::handle(array->descr))));
    if (!has_shape(*array, shape))
        throw py::value_error(start + ": expected shape " + text(shape) + ", got " +
                              text(Shape(*array)));
    throw py::value_error(start + ": expected a C-contiguous array");
}

// The data of an array of exactly this dtype and shape, C-contiguous and aligned.
template <class T>
const T* data(const py::handle& object, const char* name, const Shape& shape) {
    const Array* const array = as_array(object);
    if (!array || !has_dtype<T>(*array) || !has_shape(*array, shape) ||
        !is_plain<T>(*array))
        refuse<T>(object, name, shape);
    return reinterpret_cast<const T*>(array->data);
}

template <class T>
const T* optional_data(const py::handle& object, const char* name, const Shape& shape) {
    return object.is_none() ? nullptr : data<T>(object, name, shape);
}

inline Shape shape_of(const py::handle& object, const char* name, int ndim) {
    const Array* const array = as_array(object);
    if (!array) throw py::type_error(std::string(name) + ": expected an ndarray");
    if (array->nd != ndim)
        throw py::value_error(std::string(name) + ": expected " + std::to_string(ndim) +
                              " dimensions, got " + std::to_string(array->nd));
    return Shape(*array);
}

inline bool is_float32(const py::handle& object) {
    const Array* const array = as_array(object);
    return array && has_dtype<float>(*array);
}

// Of a number of that type, uninitialised.
py::object new_array(int type, const Shape& shape, index item_size);

// A new array, uninitialised; `to` is its data.
template <class T> py::object empty(const Shape& shape, T*& to) {
    py::object array = new_array(type_number<T>, shape, sizeof(T));
    to = reinterpret_cast<T*>(py::detail::array_proxy(array.ptr())->data);
    return array;
}

// What a sequence holds now: kept, whatever becomes of the sequence.
inline py::tuple items(const py::handle& object, const char* name) {
    if (!PySequence_Check(object.ptr()))
        throw py::type_error(std::string(name) + ": expected a sequence");
    PyObject* const kept = PySequence_Tuple(object.ptr());
    if (!kept) throw py::error_already_set();
    return py::reinterpret_steal<py::tuple>(kept);
}

// Calls f<float> or f<double> by the dtype of `object` (float64 reports what is wrong).
#define RNNEXT_BY_DTYPE(object, f, ...)                                                \
    (is_float32(object) ? f<float>(__VA_ARGS__) : f<double>(__VA_ARGS__))

}  // namespace rnnext
