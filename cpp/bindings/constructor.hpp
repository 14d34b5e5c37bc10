// SPDX-License-Identifier: BSD-3-Clause
//
// New objects of the classes that calls make, where memory may end at any moment: what
// pybind11 does for them it does in part outside of its own try, or before it has
// looked at what it was given.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <utility>

namespace rnnext {

namespace py = pybind11;

// What no constructor has seen yet. Without a look at what tp_alloc gives, pybind11's
// own __new__ would write to null.
inline py::object new_object(PyTypeObject* type) {
    auto made = py::reinterpret_steal<py::object>(type->tp_alloc(type, 0));
    if (!made) throw py::error_already_set();
    reinterpret_cast<py::detail::instance*>(made.ptr())->allocate_layout();
    return made;
}

// Makes an object, whose memory it is then, of a value, and notes it in pybind11's
// table.
template <class C>
void give(std::unique_ptr<C> value, py::detail::value_and_holder& to) {
    to.value_ptr() = value.get();
    try {
        to.type->init_instance(to.inst, nullptr);
    } catch (...) {
        to.value_ptr() = nullptr;  // else it would be freed, and not destroyed
        throw;
    }
    value.release();
}

// As .def(py::init(make), extra...).
template <class C, class... Args, class... Extra>
void def_constructor(py::class_<C>& to, C (*make)(Args...), const Extra&... extra) {
    auto* const type = reinterpret_cast<PyTypeObject*>(to.ptr());
    to.def_static(
        "__new__", [type](py::handle given, const py::args&, const py::kwargs&) {
            if (given.ptr() != reinterpret_cast<PyObject*>(type))
                throw py::type_error(std::string("__new__: expected ") + type->tp_name);
            return new_object(type);
        });
    const auto construct = [make](py::detail::value_and_holder& self, Args... given) {
        give(std::make_unique<C>(make(std::forward<Args>(given)...)), self);
    };
    to.def("__init__", construct, py::detail::is_new_style_constructor(), extra...);
}

// As py::cast(std::move(value)).
template <class C> py::object object_of(C&& value) {
    auto held = std::make_unique<C>(std::move(value));
    const py::detail::type_info* const type = py::detail::get_type_info(typeid(C));
    py::object made = new_object(type->type);
    auto* const instance = reinterpret_cast<py::detail::instance*>(made.ptr());
    py::detail::value_and_holder self = instance->get_value_and_holder(type);
    give(std::move(held), self);
    return made;
}

}  // namespace rnnext
