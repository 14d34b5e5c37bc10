// SPDX-License-Identifier: BSD-3-Clause
#include "arrays.hpp"

#include "fast_call.hpp"
#include "register.hpp"

namespace rnnext {
namespace {

// Its base is no ndarray: else NumPy would let views of the view refer to what is under
// it, and nobody could count them.
py::object writable_view(const py::object& object) {
    const Array* const array = as_array(object);
    if (!array || !(array->flags & py::array::c_style))
        throw py::type_error("array: expected a C-contiguous ndarray");
    const auto& numpy = py::detail::npy_api::get();
    const py::tuple owner = py::make_tuple(object);
    Py_INCREF(array->descr);  // NewFromDescr takes it over
    const auto view = py::reinterpret_steal<py::object>(numpy.PyArray_NewFromDescr_(
        numpy.PyArray_Type_, array->descr, array->nd, array->dimensions, nullptr,
        array->data, py::detail::npy_api::NPY_ARRAY_WRITEABLE_, nullptr));
    if (!view || numpy.PyArray_SetBaseObject_(view.ptr(), owner.inc_ref().ptr()) != 0)
        throw py::error_already_set();
    return view;
}

py::object made(PyObject* object) {
    if (!object) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
}

py::dict dict(const py::object& object, const char* name) {
    if (!PyDict_Check(object.ptr()))
        throw py::type_error(std::string(name) + ": expected a dict");
    return py::reinterpret_borrow<py::dict>(object);
}

py::object writable_views(const py::dict& arrays) {
    py::object views = made(PyDict_New());
    for (const auto& [name, array] : arrays) {
        const auto view = writable_view(py::reinterpret_borrow<py::object>(array));
        if (PyDict_SetItem(views.ptr(), name.ptr(), view.ptr()) != 0)
            throw py::error_already_set();
    }
    return views;
}

// Takes memory only where there is a name to tell.
py::object close_views(const py::dict& views, const py::dict& given) {
    const auto is_kept = [&](py::handle name, py::handle view) {
        const bool is_given = PyDict_GetItem(given.ptr(), name.ptr()) == view.ptr();
        return Py_REFCNT(view.ptr()) > 1 + is_given;
    };
    Py_ssize_t count = 0;
    for (const auto& [name, view] : views) {
        if (!as_array(view)) throw py::type_error("views: expected ndarrays");
        py::detail::array_proxy(view.ptr())->flags &=
            ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
        count += is_kept(name, view);
    }
    py::object kept = made(PyTuple_New(count));
    for (const auto& [name, view] : views)
        if (count > 0 && is_kept(name, view))
            PyTuple_SET_ITEM(kept.ptr(), --count,
                             py::object(name, true).release().ptr());
    return kept;
}

struct WritableViewsFunction {
    static constexpr const char* name = "writable_views";
    static constexpr const char* arguments[] = {"arrays"};
    static constexpr int required = 1;

    static py::object call(const py::object* given) {
        return writable_views(dict(given[0], "arrays"));
    }
};

struct CloseViewsFunction {
    static constexpr const char* name = "close_views";
    static constexpr const char* arguments[] = {"views", "given"};
    static constexpr int required = 2;

    static py::object call(const py::object* given) {
        return close_views(dict(given[0], "views"), dict(given[1], "given"));
    }
};

}  // namespace

void register_arrays(py::module_& m) {
    def_fast<WritableViewsFunction>(m);
    def_fast<CloseViewsFunction>(m);
}

}  // namespace rnnext
