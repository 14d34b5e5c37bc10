// SPDX-License-Identifier: BSD-3-Clause
#include "stack.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

#include "../schedule.hpp"
#include "constructor.hpp"
#include "fast_call.hpp"
#include "register.hpp"

namespace rnnext {
namespace {

constexpr const char* activation_names[] = {
    "Relu",       "Tanh",        "Sigmoid", "Affine",   "LeakyRelu", "ThresholdedRelu",
    "ScaledTanh", "HardSigmoid", "Elu",     "Softsign", "Softplus"};

// The number of the name that `given` is.
template <class Name>
int choice(const char* argument, const std::string& given, int count, Name name) {
    std::string choices;
    for (int i = 0; i < count; ++i) {
        if (given == name(i)) return i;
        choices += (i ? ", " : "") + std::string(name(i));
    }
    throw py::value_error(std::string(argument) + ": expected one of " + choices +
                          ", got '" + given + "'");
}

CellKind cell_kind(const std::string& name) {
    return CellKind(
        choice("cell", name, cell_kinds, [](int i) { return cell_traits[i].name; }));
}

template <class V> V value(const py::handle& object, const char* name) {
    try {
        return object.cast<V>();
    } catch (const py::cast_error&) {
        throw py::type_error(std::string(name) + ": of the wrong type");
    }
}

template <class T> Activation<T> activation(const py::handle& entry) {
    const py::tuple parts = items(entry, "activations");
    if (parts.size() != 3)
        throw py::value_error("activations: expected (name, alpha, beta) in each");
    const int kind = choice("activations", value<std::string>(parts[0], "activations"),
                            int(std::size(activation_names)),
                            [](int i) { return activation_names[i]; });
    return {ActivationKind(kind), T(value<double>(parts[1], "alpha")),
            T(value<double>(parts[2], "beta"))};
}

// Options of one direction, all but the peepholes; nothing where they are None.
template <class T>
std::optional<CellOptions<T>> cell_options(CellKind kind, const py::handle& entry) {
    if (entry.is_none()) return std::nullopt;
    const CellTraits& traits = cell_traits[int(kind)];
    const py::tuple parts = items(entry, "options");
    if (parts.size() != 4)
        throw py::value_error(
            "options: expected (activations, gate_clip, cell_clip, coupled) in each");
    const py::tuple activations = items(parts[0], "activations");
    if (int(activations.size()) != traits.gates + traits.has_c)
        throw py::value_error("activations: expected one for each gate and for c");
    CellOptions<T> made{};
    for (std::size_t i = 0; i < activations.size(); ++i)
        made.activation[i] = activation<T>(activations[i]);
    made.gate_clip = T(value<double>(parts[1], "gate_clip"));
    made.cell_clip = T(value<double>(parts[2], "cell_clip"));
    made.coupled = value<bool>(parts[3], "coupled");
    return made;
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
                   Merge merge, bool reverse, const py::tuple& options) {
    const py::tuple& first = layers[0];
    // Of a projection [P, H].
    const bool projects = first.size() == 6 && !first[5].is_none();
    const index P = shape_of(first[1], "w_hh", 2)[1];
    const index H = projects ? shape_of(first[5], "w_hr", 2)[1] : P;
    if (P < 1) throw py::value_error("w_hh: expected at least one column");
    if (projects && (kind != CellKind::lstm || P >= H))
        throw py::value_error("w_hr: expected of an LSTM, of fewer rows than columns");
    const index rows = elements<T>({cell_traits[int(kind)].gates, H});
    auto stack = std::make_unique<Stack<T>>(Stack<T>{D, merge, reverse});
    stack->weights.reserve(layers.size());
    for (const py::tuple& layer : layers) {
        const index I =
            stack->size() < D ? shape_of(first[0], "w_ih", 2)[1] : stack->output_size();
        if (I < 1) throw py::value_error("w_ih: expected I >= 1");
        std::optional<CellOptions<T>> chosen;
        if (options.size() > 0)
            chosen = cell_options<T>(kind, options[std::size_t(stack->size() % D)]);
        if (layer.size() > 4 && !layer[4].is_none()) {
            if (kind != CellKind::lstm || !chosen)
                throw py::value_error("w_ch: expected with the options of an LSTM");
            chosen->peephole = data<T>(layer[4], "w_ch", {3, H});
        }
        const T* w_hr = nullptr;
        if (projects != (layer.size() == 6 && !layer[5].is_none()))
            throw py::value_error("w_hr: expected in every layer or in none");
        if (projects) w_hr = data<T>(layer[5], "w_hr", {P, H});
        stack->weights.emplace_back(kind, I, H, data<T>(layer[0], "w_ih", {rows, I}),
                                    data<T>(layer[1], "w_hh", {rows, P}),
                                    optional_data<T>(layer[2], "b_ih", {rows}),
                                    optional_data<T>(layer[3], "b_hh", {rows}),
                                    chosen ? &*chosen : nullptr, projects ? P : 0,
                                    w_hr);
    }
    PyStack made;
    made.held = std::unique_ptr<ConstStack<T>>(std::move(stack));
    return made;
}

PyStack make(const std::string& cell, const py::object& layers, index D,
             const py::object& merge, bool reverse, const py::object& options) {
    if (D != 1 && D != 2) throw py::value_error("directions: expected 1 or 2");
    if (reverse && D != 1) throw py::value_error("reverse: expected one direction");
    std::vector<py::tuple> arrays;
    for (const auto& layer : items(layers, "layers")) {
        arrays.push_back(items(layer, "layers"));
        if (arrays.back().size() < 4 || arrays.back().size() > 6)
            throw py::value_error("layers: expected (w_ih, w_hh, b_ih, b_hh), then "
                                  "perhaps w_ch and w_hr, in each");
    }
    if (arrays.empty() || index(arrays.size()) % D != 0)
        throw py::value_error("layers: expected one for each layer and direction");
    py::tuple chosen;  // empty: none
    if (!options.is_none()) {
        chosen = items(options, "options");
        if (index(chosen.size()) != D)
            throw py::value_error("options: expected one for each direction");
    }
    return RNNEXT_BY_DTYPE(arrays[0][0], make_stack, cell_kind(cell), arrays, D,
                           merge_of(merge, D, index(arrays.size())), reverse, chosen);
}

// Of every layer and direction, who would do what.
template <class T>
py::list plans(const Stack<T>& stack, index T_, index N, bool backward) {
    py::list found;
    const Sequences all{T_, N, false, nullptr};
    for (const Weights<T>& w : stack.weights) {
        const Schedule s =
            backward ? backward_schedule(w, all) : forward_schedule(w, all);
        const char* const split = s.split == Split::rows ? "rows" : "units";
        found.append(py::make_tuple(s.threads, split, s.slab, s.chunk));
    }
    return found;
}

py::list plans_of(const PyStack& weights, index T_, index N, bool backward) {
    return weights.visit(
        [&](const auto& stack) { return plans(stack, T_, N, backward); });
}

// Threads that would take layers side by side.
int side_by_side_of(const PyStack& weights, index T_, index N) {
    return weights.visit([&](const auto& stack) {
        return threads_side_by_side(stack.weights.back(), {T_, N, false, nullptr},
                                    stack.D == 2 ? 2 : stack.layers());
    });
}

}  // namespace

void register_stack(py::module_& m) {
    py::class_<PyStack> stack(m, "Stack", py::is_final());
    note_type<PyStack>(stack);
    def_constructor(stack, &make, py::arg("cell"), py::arg("layers"),
                    py::arg("directions"), py::arg("merge") = "concat",
                    py::arg("reverse") = false, py::arg("options") = py::none());
    m.def("plans", &plans_of, py::arg("weights"), py::arg("T"), py::arg("N"),
          py::arg("backward"));
    m.def("side_by_side", &side_by_side_of, py::arg("weights"), py::arg("T"),
          py::arg("N"));
}

}  // namespace rnnext
