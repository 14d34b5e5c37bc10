// SPDX-License-Identifier: BSD-3-Clause
#include "stack.hpp"

#include <iterator>
#include <optional>

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

template <class T> Activation<T> activation(const py::handle& entry) {
    const py::tuple parts = items(entry, "activations");
    if (parts.size() != 3)
        throw py::value_error("activations: expected (name, alpha, beta) in each");
    const int kind = choice("activations", parts[0].cast<std::string>(),
                            int(std::size(activation_names)),
                            [](int i) { return activation_names[i]; });
    return {ActivationKind(kind), T(parts[1].cast<double>()),
            T(parts[2].cast<double>())};
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
    made.gate_clip = T(parts[1].cast<double>());
    made.cell_clip = T(parts[2].cast<double>());
    made.coupled = parts[3].cast<bool>();
    return made;
}

// Weights that fit each other by the shapes that are asked for.
template <class T>
PyStack make_stack(CellKind kind, const std::vector<py::tuple>& layers, index D,
                   bool backward, const py::tuple& options) {
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
        std::optional<CellOptions<T>> chosen;
        if (options.size() > 0)
            chosen = cell_options<T>(kind, options[std::size_t(stack->size() % D)]);
        if (layer.size() == 5 && !layer[4].is_none()) {
            if (kind != CellKind::lstm || !chosen)
                throw py::value_error("w_ch: expected with the options of an LSTM");
            chosen->peephole = data<T>(layer[4], "w_ch", {3, H});
        }
        stack->weights.emplace_back(kind, I, H, data<T>(layer[0], "w_ih", {rows, I}),
                                    data<T>(layer[1], "w_hh", {rows, H}),
                                    optional_data<T>(layer[2], "b_ih", {rows}),
                                    optional_data<T>(layer[3], "b_hh", {rows}),
                                    backward, chosen ? &*chosen : nullptr);
    }
    PyStack made;
    made.held = std::unique_ptr<ConstStack<T>>(std::move(stack));
    return made;
}

PyStack make(const std::string& cell, const py::object& layers, index D, bool backward,
             const py::object& options) {
    if (D != 1 && D != 2) throw py::value_error("directions: expected 1 or 2");
    std::vector<py::tuple> arrays;
    for (const auto& layer : items(layers, "layers")) {
        arrays.push_back(items(layer, "layers"));
        if (arrays.back().size() != 4 && arrays.back().size() != 5)
            throw py::value_error("layers: expected (w_ih, w_hh, b_ih, b_hh), then "
                                  "perhaps w_ch, in each");
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
                           backward, chosen);
}

}  // namespace

void register_stack(py::module_& m) {
    py::class_<PyStack>(m, "Stack", py::is_final())
        .def(py::init(&make), py::arg("cell"), py::arg("layers"), py::arg("directions"),
             py::arg("backward"), py::arg("options") = py::none());
}

}  // namespace rnnext
