// SPDX-License-Identifier: BSD-3-Clause
#include "stack.hpp"

#include <algorithm>

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

// In the order of Merge.
constexpr const char* merge_names[merges - 1] = {"concat", "sum", "mul", "ave"};

Merge merge_of(const py::object& name, index D, index layers) {
    Merge merge = Merge::none;
    if (!name.is_none()) {
        const auto given = name.cast<std::string>();
        const auto* const found =
            std::find(std::begin(merge_names), std::end(merge_names), given);
        if (found == std::end(merge_names))
            throw py::value_error("merge: unknown, '" + given + "'");
        merge = Merge(found - std::begin(merge_names));
    }
    if (merge != Merge::concat && D != 2)
        throw py::value_error("merge: expected two directions");
    if (merge == Merge::none && layers > D)
        throw py::value_error("merge: expected one layer");
    return merge;
}

// Weights that fit each other by the shapes that are asked for.
template <class T>
PyStack make_stack(CellKind kind, const std::vector<py::tuple>& layers, index D,
                   Merge merge, bool reverse, bool backward) {
    const py::tuple& first = layers[0];
    const index H = shape_of(first[1], "w_hh", 2)[1];
    if (H < 1) throw py::value_error("w_hh: expected H >= 1");
    const index rows = elements<T>({cell_traits[int(kind)].gates, H});
    auto stack = std::make_unique<Stack<T>>(Stack<T>{D, merge, reverse});
    stack->weights.reserve(layers.size());
    for (const py::tuple& layer : layers) {
        const index I =
            stack->size() < D ? shape_of(first[0], "w_ih", 2)[1] : stack->output_size();
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

PyStack make(const std::string& cell, const py::object& layers, index D, bool backward,
             const py::object& merge, bool reverse) {
    if (D != 1 && D != 2) throw py::value_error("directions: expected 1 or 2");
    if (reverse && D != 1) throw py::value_error("reverse: expected one direction");
    std::vector<py::tuple> arrays;
    for (const auto& layer : items(layers, "layers")) {
        arrays.push_back(items(layer, "layers"));
        if (arrays.back().size() != 4)
            throw py::value_error("layers: expected (w_ih, w_hh, b_ih, b_hh) in each");
    }
    if (arrays.empty() || index(arrays.size()) % D != 0)
        throw py::value_error("layers: expected one for each layer and direction");
    return RNNEXT_BY_DTYPE(arrays[0][0], make_stack, cell_kind(cell), arrays, D,
                           merge_of(merge, D, index(arrays.size())), reverse, backward);
}

}  // namespace

void register_stack(py::module_& m) {
    py::class_<PyStack>(m, "Stack", py::is_final())
        .def(py::init(&make), py::arg("cell"), py::arg("layers"), py::arg("directions"),
             py::arg("backward"), py::arg("merge") = "concat",
             py::arg("reverse") = false);
}

}  // namespace rnnext
