// SPDX-License-Identifier: BSD-3-Clause
#include "weights.hpp"

#include "register.hpp"

namespace rnnext {
namespace {

CellKind cell_kind(const std::string& name) {
    std::string choices;
    for (int i = 0; i < cell_kinds; ++i) {
        if (name == cell_traits[i].name) return CellKind(i);
        choices += (i ? ", " : "") + std::string(cell_traits[i].name);
    }
    throw py::value_error("cell: expected one of " + choices + ", got '" + name + "'");
}

template <class T>
PyWeights make_weights(CellKind kind, const py::object& w_ih, const py::object& w_hh,
                       const py::object& b_ih, const py::object& b_hh, bool backward) {
    const index gates = cell_traits[int(kind)].gates;
    const index I = shape_of(w_ih, "w_ih", 2)[1], H = shape_of(w_hh, "w_hh", 2)[1];
    if (I < 1 || H < 1) throw py::value_error("w_ih, w_hh: expected I >= 1 and H >= 1");
    return PyWeights(std::make_shared<const Weights<T>>(
        kind, I, H, data<T>(w_ih, "w_ih", {gates * H, I}),
        data<T>(w_hh, "w_hh", {gates * H, H}),
        optional_data<T>(b_ih, "b_ih", {gates * H}),
        optional_data<T>(b_hh, "b_hh", {gates * H}), backward));
}

}  // namespace

void register_weights(py::module_& m) {
    py::class_<PyWeights>(m, "Weights", py::is_final())
        .def(py::init([](const std::string& cell, const py::object& w_ih,
                         const py::object& w_hh, const py::object& b_ih,
                         const py::object& b_hh, bool backward) {
                 return RNNEXT_BY_DTYPE(w_ih, make_weights, cell_kind(cell), w_ih, w_hh,
                                        b_ih, b_hh, backward);
             }),
             py::arg("cell"), py::arg("w_ih"), py::arg("w_hh"), py::arg("b_ih"),
             py::arg("b_hh"), py::arg("backward"))
        .def_property_readonly("cell",
                               [](const PyWeights& p) {
                                   return p.visit(
                                       [](const auto& w) { return w.traits.name; });
                               })
        .def_property_readonly("input_size",
                               [](const PyWeights& p) {
                                   return p.visit(
                                       [](const auto& w) { return w.input_size; });
                               })
        .def_property_readonly("hidden_size",
                               [](const PyWeights& p) {
                                   return p.visit(
                                       [](const auto& w) { return w.hidden_size; });
                               })
        .def_property_readonly("has_backward", [](const PyWeights& p) {
            return p.visit([](const auto& w) { return w.has_backward; });
        });
}

}  // namespace rnnext
