// SPDX-License-Identifier: BSD-3-Clause
//
// Functions that may take a microsecond: the interpreter calls them directly, as
// pybind11's dispatcher would add a tenth of that.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace rnnext {

namespace py = pybind11;

// Arguments in the order of their names, those that were left out None.
inline void read_arguments(const char* function, const char* const* names, int count,
                           int required, PyObject* const* given, Py_ssize_t positional,
                           PyObject* keywords, py::object* to) {
    const auto refuse = [&](const std::string& what) {
        throw py::type_error(std::string(function) + "(): " + what);
    };
    if (positional > count)
        refuse("expected at most " + std::to_string(count) + " arguments, got " +
               std::to_string(positional));
    for (Py_ssize_t i = 0; i < positional; ++i)
        to[i] = py::reinterpret_borrow<py::object>(given[i]);
    const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    for (Py_ssize_t k = 0; k < named; ++k) {
        PyObject* const keyword = PyTuple_GET_ITEM(keywords, k);
        int i = 0;
        while (i < count && PyUnicode_CompareWithASCIIString(keyword, names[i])) ++i;
        if (i == count || to[i])
            refuse("unexpected argument " + std::string(py::repr(keyword)));
        to[i] = py::reinterpret_borrow<py::object>(given[positional + k]);
    }
    for (int i = 0; i < count; ++i) {
        if (to[i]) continue;
        if (i < required) refuse("missing argument " + std::string(names[i]));
        to[i] = py::none();
    }
}

// Function: has `name`, the `arguments`' names, of which `required` must be given, and
// `call`, which is given them all.
template <class Function>
PyObject* fast_call(PyObject*, PyObject* const* given, Py_ssize_t positional,
                    PyObject* keywords) {
    constexpr int count = int(std::size(Function::arguments));
    try {
        py::object arguments[count];
        read_arguments(Function::name, Function::arguments, count, Function::required,
                       given, positional, keywords, arguments);
        return Function::call(arguments).release().ptr();
    } catch (py::error_already_set& error) {
        error.restore();
#ifdef __GLIBCXX__
    } catch (abi::__forced_unwind&) {  // the thread ends
        throw;
#endif
    } catch (...) {
        py::detail::try_translate_exceptions();
    }
    return nullptr;
}

template <class Function> void def_fast(py::module_& m) {
    constexpr int count = int(std::size(Function::arguments));
    static std::string signature;  // as inspect.signature reads it
    signature = std::string(Function::name) + "(";
    for (int i = 0; i < count; ++i)
        signature += std::string(i ? ", " : "") + Function::arguments[i] +
                     (i < Function::required ? "" : "=None");
    signature += ")\n--\n\n";
    static PyMethodDef method = {Function::name,
                                 reinterpret_cast<PyCFunction>(
                                     reinterpret_cast<void (*)()>(fast_call<Function>)),
                                 METH_FASTCALL | METH_KEYWORDS, signature.c_str()};
    PyObject* const made =
        PyCFunction_NewEx(&method, nullptr, m.attr("__name__").ptr());
    if (!made) throw py::error_already_set();
    m.add_object(Function::name, py::reinterpret_steal<py::object>(made));
}

inline py::object tuple_of(const py::object& a, const py::object& b,
                           const py::object& c) {
    PyObject* const made = PyTuple_Pack(3, a.ptr(), b.ptr(), c.ptr());
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

// The Python type of a final class.
template <class C> inline const PyTypeObject* type_of = nullptr;

template <class C> void note_type(const py::class_<C>& registered) {
    type_of<C> = reinterpret_cast<const PyTypeObject*>(registered.ptr());
}

template <class C> const C& held_by(const py::object& object, const char* name) {
    if (Py_TYPE(object.ptr()) != type_of<C>)
        throw py::type_error(std::string(name) + ": expected a " + type_of<C>->tp_name +
                             ", got " + Py_TYPE(object.ptr())->tp_name);
    auto* const instance = reinterpret_cast<py::detail::instance*>(object.ptr());
    const C* const held = instance->get_value_and_holder().value_ptr<C>();
    if (!held) throw py::type_error(std::string(name) + ": __init__ was not called");
    return *held;
}

inline bool flag(const py::object& object, const char* name) {
    if (object.ptr() == Py_True) return true;
    if (object.ptr() != Py_False)
        throw py::type_error(std::string(name) + ": expected True or False");
    return false;
}

}  // namespace rnnext
