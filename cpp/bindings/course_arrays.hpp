// SPDX-License-Identifier: BSD-3-Clause
//
// Arrays of the course's functions. Those that come in may have any strides; those that
// go out are feature-first, (n, m) or (n, m, T), over memory [T, N, n].
#pragma once

#include "../course.hpp"
#include "arrays.hpp"

namespace rnnext {

// An array that came in, and its owner, kept while others may run. A matrix of weights
// is read as rows of features too.
template <class T> struct Given {
    py::object owner;
    index shape[3] = {0, 0, 1};
    FeatureFirst<T> values;

    bool has_shape(index n, index m) const { return shape[0] == n && shape[1] == m; }
    // As a matrix whose rows are those of the array, from one column on.
    FeatureFirst<T> rows(index column = 0) const {
        return {values.data + column * values.row, values.row, values.feature, 0};
    }
};

// Whether `object` is an array of T that can be read as it is, with so many dimensions:
// of NumPy's own type, since what a subclass means by its numbers is its own affair.
template <class T> bool read(const py::handle& object, int ndim, Given<T>& to) {
    if (Py_TYPE(object.ptr()) != py::detail::npy_api::get().PyArray_Type_) return false;
    const auto array = py::reinterpret_borrow<py::array>(object);
    const py::dtype type = array.dtype();
    if (type.num() != py::dtype::num_of<T>() || type.byteorder() != '=' ||
        array.ndim() != ndim ||
        reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0)
        return false;
    index strides[3] = {0, 0, 0};
    for (int i = 0; i < ndim; ++i) {
        if (array.shape(i) > 1 && array.strides(i) % index(sizeof(T)) != 0)
            return false;
        strides[i] = array.strides(i) / index(sizeof(T));
        to.shape[i] = array.shape(i);
    }
    to.values = {static_cast<const T*>(array.data()), strides[0], strides[1],
                 strides[2]};
    to.owner = array;
    return true;
}

// py::array's own constructors go through several vectors.
template <class T>
py::array make_array(int ndim, const index* shape, const index* strides, T* memory,
                     bool features_first) {
    auto& api = py::detail::npy_api::get();
    const int flags = memory           ? py::detail::npy_api::NPY_ARRAY_WRITEABLE_
                      : features_first ? py::array::f_style
                                       : 0;
    PyObject* const made =
        api.PyArray_NewFromDescr_(api.PyArray_Type_, py::dtype::of<T>().release().ptr(),
                                  ndim, shape, strides, memory, flags, nullptr);
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::array>(made);
}

template <class T> T* memory_of(const py::array& array) {
    return reinterpret_cast<T*>(py::detail::array_proxy(array.ptr())->data);
}

// A new array (features, rows), or with steps (features, rows, steps).
template <class T>
py::array feature_first(bool with_steps, index features, index rows, index steps = 1) {
    elements<T>({features, rows, steps});
    const index shape[3] = {features, rows, steps};
    return make_array<T>(with_steps ? 3 : 2, shape, nullptr, nullptr, true);
}

template <class T> py::array new_matrix(index rows, index columns) {
    const index shape[2] = {rows, columns};
    return make_array<T>(2, shape, nullptr, nullptr, false);
}

// A view of memory of the array `owner`; null strides: contiguous.
template <class T>
py::array view(const py::array& owner, T* data, int ndim, const index* shape,
               const index* strides) {
    py::array result = make_array<T>(ndim, shape, strides, data, false);
    if (py::detail::npy_api::get().PyArray_SetBaseObject_(result.ptr(),
                                                          owner.inc_ref().ptr()) != 0)
        throw py::error_already_set();
    return result;
}

// (features, rows) of rows of features, `stride` apart.
template <class T>
py::array feature_first_view(const py::array& owner, T* data, index features,
                             index rows, index stride) {
    const index shape[2] = {features, rows};
    const index strides[2] = {index(sizeof(T)), stride * index(sizeof(T))};
    return view(owner, data, 2, shape, strides);
}

}  // namespace rnnext
