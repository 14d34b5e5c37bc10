// SPDX-License-Identifier: BSD-3-Clause
#include "course.hpp"

#include <pybind11/stl.h>

#include "constructor.hpp"
#include "register.hpp"

namespace rnnext {
namespace {

using Quantity = Notation::Quantity;

template <class T>
PyModel make_model(const Notation& notation, const py::dict& arrays) {
    Values values;
    Parameters<T> parameters;
    if (!find(notation, arrays, values) || !parameters.read(notation, values))
        throw py::value_error("parameters: expected arrays of one dtype that fit");
    PyModel model;
    model.notation = &notation;
    model.held = std::make_shared<const Model<T>>(notation, parameters);
    return model;
}

PyModel model_of(const Notation& notation, const py::dict& arrays) {
    const auto first = py::reinterpret_borrow<py::object>(
        PyDict_GetItemWithError(arrays.ptr(), notation.checked().w_y.ptr()));
    if (PyErr_Occurred()) throw py::error_already_set();
    const bool single = first && is_float32(first);
    return single ? make_model<float>(notation, arrays)
                  : make_model<double>(notation, arrays);
}

PyRun run_of(const PyModel& model, index steps, index rows) {
    if (!model.notation) throw py::type_error("CourseModel: __init__ was not called");
    PyRun run;
    run.notation = model.notation;
    std::visit([&](const auto& shared) { run.held = Steps{shared, steps, rows}; },
               model.held);
    return run;
}

// A C-contiguous array over memory of a run.
template <class T>
py::array array_over(const Steps<T>& steps, T* data,
                     std::initializer_list<index> shape) {
    return view<T>(steps.memory, data, int(shape.size()), shape.begin(), nullptr);
}

// One minus the values at a step: no view, so nothing may be written to it.
template <class T>
py::array complement_of(const T* from, index stride, index features, index rows) {
    const py::array result = feature_first<T>(false, features, rows);
    T* to = memory_of<T>(result);
    for (index n = 0; n < rows; ++n)
        for (index j = 0; j < features; ++j) *to++ = T(1) - from[n * stride + j];
    py::detail::array_proxy(result.ptr())->flags &=
        ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
    return result;
}

// What is in the cell cache of step t: views of the run, and the parameters.
template <class T>
py::tuple cache_of(const Notation& notation, const Steps<T>& steps, index t,
                   const py::object& parameters) {
    if (t < 0 || t >= steps.T_) throw py::index_error("t: out of range");
    const Weights<T>& w = steps.model->weights;
    const index I = w.input_size, H = w.hidden_size, N = steps.N;
    const index saved = w.traits.saved * H, state = steps.state();
    const auto value = [&](const Notation::Place& at) {
        const auto rows = [&](T* data, index features, index stride) {
            return feature_first_view(steps.memory, data, features, N, stride);
        };
        switch (at.quantity) {
        case Quantity::x:
            return rows(steps.x + t * N * I, I, I);
        case Quantity::h:
            return rows(steps.h + t * state, H, H);
        case Quantity::h_next:
            return rows(steps.h + (t + 1) * state, H, H);
        case Quantity::c:
            return rows(steps.c + t * state, H, H);
        case Quantity::c_next:
            return rows(steps.c + (t + 1) * state, H, H);
        default:
            break;
        }
        T* const gate = steps.gates + t * N * saved + index(at.gate) * H;
        return notation.gates[at.gate].complement ? complement_of(gate, saved, H, N)
                                                  : rows(gate, H, saved);
    };
    py::tuple cache(notation.entries.size() + 1);
    for (std::size_t i = 0; i < notation.entries.size(); ++i)
        cache[i] = value(notation.entries[i]);
    cache[notation.entries.size()] = parameters;
    return cache;
}

// x, h, c or None, and gates, to be filled.
template <class T> py::tuple arrays_of(const Notation&, const Steps<T>& steps) {
    const Weights<T>& w = steps.model->weights;
    const index T_ = steps.T_, N = steps.N, H = w.hidden_size;
    py::object c = py::none();
    if (w.traits.has_c) c = array_over(steps, steps.c, {T_ + 1, N, H});
    return py::make_tuple(array_over(steps, steps.x, {T_, N, w.input_size}),
                          array_over(steps, steps.h, {T_ + 1, N, H}), c,
                          array_over(steps, steps.gates, {T_, N, w.traits.saved, H}));
}

}  // namespace

void register_course(py::module_& m) {
    const auto table = [](const Notation& notation, const auto&) {
        return notation.table;
    };
    const auto arrays = [](const Notation& notation, const auto& steps) {
        return arrays_of(notation, steps);
    };
    const auto outputs = [](const Notation&, const auto& steps) {
        return steps.model->O;
    };
    const auto length = [](const Notation&, const auto& steps) { return steps.T_; };

    py::class_<Notation, std::unique_ptr<Notation, py::nodelete>>(m, "CourseNotation",
                                                                  py::is_final())
        .def(py::init<py::object, const std::string&, const py::sequence&, py::object,
                      py::object, const py::sequence&, const py::dict&,
                      const py::dict&>(),
             py::arg("table"), py::arg("cell"), py::arg("gates"), py::arg("w_y"),
             py::arg("b_y"), py::arg("entries"), py::arg("cell_gradients"),
             py::arg("loop_gradients"));

    py::class_<PyModel> model(m, "CourseModel", py::is_final());
    def_constructor(model, &model_of, py::arg("notation"), py::arg("parameters"));

    py::class_<PyRun> run(m, "CourseRun", py::is_final());
    def_constructor(run, &run_of, py::arg("model"), py::arg("steps"),
                    py::arg("batch_size"));
    run.def("__len__", [=](const PyRun& run) { return run.visit(length); })
        .def_property_readonly("table",
                               [=](const PyRun& run) { return run.visit(table); })
        .def_property_readonly("outputs",
                               [=](const PyRun& run) { return run.visit(outputs); })
        .def_property_readonly("arrays",
                               [=](const PyRun& run) { return run.visit(arrays); })
        .def(
            "cache",
            [](const PyRun& run, index t, const py::object& parameters) {
                return run.visit([&](const Notation& notation, const auto& steps) {
                    return cache_of(notation, steps, t, parameters);
                });
            },
            py::arg("t"), py::arg("parameters"))
        .def("backward", &course_backward, py::arg("notations"), py::arg("start"),
             py::arg("da"), py::arg("dc"), py::arg("dy"), py::arg("dh"),
             py::arg("cell"));

    m.def("course_forward", &course_forward, py::arg("notations"), py::arg("x"),
          py::arg("a0"), py::arg("c0"), py::arg("parameters"), py::arg("cell"));
}

}  // namespace rnnext
