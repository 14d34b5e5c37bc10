// SPDX-License-Identifier: BSD-3-Clause
//
// The arrays that users hand over: read as they are where that can be, else copied,
// else left to Python, which knows how to say what is wrong.
#pragma once

#include "arrays.hpp"

namespace rnnext {

// Of exactly NumPy's own type: what a subclass means by its numbers is its own affair.
template <class T> const Array* find(const py::handle& object, const Shape& shape) {
    const bool exact =
        Py_TYPE(object.ptr()) == py::detail::npy_api::get().PyArray_Type_;
    const Array* const array = exact ? py::detail::array_proxy(object.ptr()) : nullptr;
    return array && has_dtype<T>(*array) && has_shape(*array, shape) ? array : nullptr;
}

// An array that is read; in memory of its own where it has to be.
template <class T> class Input {
  public:
    // False where it is none of this dtype and shape.
    bool read(const py::object& object, const Shape& shape, bool copy = false) {
        const Array* const array = find<T>(object, shape);
        if (!array) return false;
        data_ = reinterpret_cast<const T*>(array->data);
        if (is_plain<T>(*array)) {
            if (!copy) {
                held_ = object;
                return true;
            }
            T* to;  // NumPy would look at strides and overlap for longer than it copies
            held_ = empty<T>(shape, to);
            std::copy_n(data_, shape.size(), to);
            data_ = to;
        } else {
            constexpr int c_order = 0;
            PyObject* const made =
                py::detail::npy_api::get().PyArray_NewCopy_(object.ptr(), c_order);
            if (!made) throw py::error_already_set();
            held_ = py::reinterpret_steal<py::object>(made);
            data_ = reinterpret_cast<const T*>(py::detail::array_proxy(made)->data);
        }
        return true;
    }
    bool read_optional(const py::object& object, const Shape& shape) {
        return object.is_none() || read(object, shape);
    }

    const T* data() const { return data_; }  // null: None
    const py::object& array() const { return held_; }

  private:
    py::object held_;
    const T* data_ = nullptr;
};

// h, or a tuple (h, c), or gradients of them; any part may be None.
template <class T> struct StateInput {
    Input<T> h, c;

    bool read(const py::object& state, bool has_c, const Shape& h_shape,
              const Shape& c_shape) {
        if (state.is_none()) return true;
        if (!has_c) return h.read(state, h_shape);
        if (!PyTuple_CheckExact(state.ptr()) || PyTuple_GET_SIZE(state.ptr()) != 2)
            return false;
        const auto part = [&](int i) {
            return py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(state.ptr(), i));
        };
        return h.read_optional(part(0), h_shape) && c.read_optional(part(1), c_shape);
    }
};

// A new state in that form.
template <class T>
py::object empty_state(bool has_c, const Shape& h_shape, const Shape& c_shape, T*& h,
                       T*& c) {
    py::object first = empty<T>(h_shape, h);
    if (!has_c) return first;
    return py::make_tuple(first, empty<T>(c_shape, c));
}

}  // namespace rnnext
