// SPDX-License-Identifier: BSD-3-Clause
#include "stack.hpp"

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

// Weights that fit each other by the shapes that are asked for.
template <class T>
PyStack make_stack(CellKind kind, const std::vector<py::tuple>& layers, index D,
                   bool backward) {
    const py::tuple& first = layers[0];
    const index H = shape_of(first[1], "w_hh", 2)[1];
    if (H < 1) throw py::value_error("w_hh: expected H >= 1");
    const index rows = elements<T>({cell_traits[int(kind)].gates, H});
    auto stack = std::make_unique<Stack<T>>(Stack<T>{D});
    stack->weights.reserve(layers.size());
    for (const py::tuple& layer : layers) {
        const index I = index(stack->size()) < D ? shape_of(first[0], "w_ih", 2)[1]
                                                 : elements<T>({D, H});
        if (I < 1) throw py::value_error("w_ih: expected I >= 1");
        stack->weights.emplace_back(kind, I, H, data<T>(layer[0], "w_ih", {rows, I}),
                                    data<T>(layer[1], "w_hh", {rows, H}),
                                    optional_data<T>(layer[2], "b_ih", {rows}),
                                    optional_data<T>(layer[3], "b_hh", {rows}),
                                    backward);
    }
    PyStack made;
    made.held = std::unique_ptr<ConstStack<T>>(std::move(stack));
    return made;
}

PyStack make(const std::string& cell, const py::object& layers, index D,
             bool backward) {
    if (D != 1 && D != 2) throw py::value_error("directions: expected 1 or 2");
    std::vector<py::tuple> arrays;
    for (const auto& layer : items(layers, "layers")) {
        arrays.push_back(items(layer, "layers"));
        if (arrays.back().size() != 4)
            throw py::value_error("layers: expected (w_ih, w_hh, b_ih, b_hh) in each");
    }
    if (arrays.empty() || index(arrays.size()) % D != 0)
        throw py::value_error("layers: expected one for each layer and direction");
    return RNNEXT_BY_DTYPE(arrays[0][0], make_stack, cell_kind(cell), arrays, D,
                           backward);
}

}  // namespace

void register_stack(py::module_& m) {
    py::class_<PyStack>(m, "Stack", py::is_final())
        .def(py::init(&make), py::arg("cell"), py::arg("layers"), py::arg("directions"),
             py::arg("backward"));
}

}  // namespace rnnext
