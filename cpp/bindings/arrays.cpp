// SPDX-License-Identifier: BSD-3-Clause
#include "arrays.hpp"

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

}  // namespace

void register_arrays(py::module_& m) {
    m.def("writable_view", writable_view, py::arg("array"));
}

}  // namespace rnnext
