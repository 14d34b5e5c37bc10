// SPDX-License-Identifier: BSD-3-Clause
#include "course.hpp"

namespace rnnext {

// ---- notation ---------------------------------------------------------------

namespace {

CellKind kind_of(const std::string& cell) {
    for (int i = 0; i < cell_kinds; ++i)
        if (cell == cell_traits[i].name) return CellKind(i);
    throw py::value_error("cell: unknown '" + cell + "'");
}

using Quantity = Notation::Quantity;

// Where the value of that name in a cell cache is found.
Notation::Place entry_of(const Notation& notation, const std::string& name) {
    const std::pair<const char*, Quantity> fixed[] = {{"xt", Quantity::x},
                                                      {"a_prev", Quantity::h},
                                                      {"c_prev", Quantity::c},
                                                      {"a_next", Quantity::h_next},
                                                      {"c_next", Quantity::c_next}};
    for (const auto& [known, quantity] : fixed)
        if (name == known) return {quantity, 0};
    for (std::size_t g = 0; g < notation.gates.size(); ++g)
        if (notation.gates[g].value.equal(py::str(name))) return {Quantity::gate, g};
    throw py::value_error("entries: unknown '" + name + "'");
}

// The quantity of that name, of which there is a gradient.
Notation::Place gradient_of(const Notation& notation, const py::handle& name) {
    const std::pair<const char*, Quantity> fixed[] = {{"x", Quantity::x},
                                                      {"h", Quantity::h},
                                                      {"c", Quantity::c},
                                                      {"dtanh", Quantity::dtanh}};
    for (const auto& [known, quantity] : fixed)
        if (name.equal(py::str(known))) return {quantity, 0};
    for (std::size_t g = 0; g < notation.gates.size(); ++g) {
        const Notation::Gate& gate = notation.gates[g];
        if (name.equal(gate.input)) return {Quantity::input, g};
        if (name.equal(gate.recurrent)) return {Quantity::recurrent, g};
        if (name.equal(gate.bias)) return {Quantity::bias, g};
    }
    throw py::value_error("gradients: unknown '" + std::string(py::str(name)) + "'");
}

}  // namespace

Notation::Notation(py::object table_, const std::string& cell, const py::sequence& all,
                   py::object w_y_, py::object b_y_, const py::sequence& in_caches,
                   const py::dict& of_cell, const py::dict& of_loop)
    : table(std::move(table_)), kind(kind_of(cell)), w_y(std::move(w_y_)),
      b_y(std::move(b_y_)), dw_y(py::str("d") + w_y), db_y(py::str("d") + b_y) {
    for (const auto& item : all) {
        const auto gate = py::cast<py::tuple>(item);
        gates.push_back({gate[0], gate[1], gate[2], gate[3], py::cast<bool>(gate[4])});
    }
    if (int(gates.size()) != traits().gates)
        throw py::value_error("gates: expected " + std::to_string(traits().gates));
    names = {w_y, b_y};
    for (const Gate& gate : gates) {
        names.insert(names.end(), {gate.input, gate.bias});
        if (!joint()) names.push_back(gate.recurrent);
    }
    for (const auto& item : in_caches) {
        const auto name = py::cast<std::string>(item);
        if (name != "parameters") entries.push_back(entry_of(*this, name));
    }
    for (const auto& [name, of] : of_cell)
        cell_gradients.push_back(
            {py::reinterpret_borrow<py::object>(name), gradient_of(*this, of)});
    for (const auto& [name, of] : of_loop)
        loop_gradients.push_back(
            {py::reinterpret_borrow<py::object>(name), gradient_of(*this, of)});
}

const Notation& Notation::checked() const {
    if (!table) throw py::type_error("CourseNotation: __init__ was not called");
    return *this;
}

// ---- parameters -------------------------------------------------------------

bool find(const Notation& notation, const py::dict& dict, Values& values) {
    for (std::size_t i = 0; i < notation.names.size(); ++i) {
        values[i] = py::reinterpret_borrow<py::object>(
            PyDict_GetItemWithError(dict.ptr(), notation.names[i].ptr()));
        if (!values[i] && PyErr_Occurred()) throw py::error_already_set();
        if (!values[i]) return false;
    }
    return true;
}

template <class T>
bool Parameters<T>::read(const Notation& notation, const Values& values) {
    const auto* next = values.data();
    const auto matrix = [&](Given<T>& to) { return rnnext::read(*next++, 2, to); };
    if (!matrix(w_y) || !matrix(b_y)) return false;
    O = w_y.shape[0];
    H = w_y.shape[1];
    const bool joint = notation.joint();
    for (std::size_t g = 0; g < notation.gates.size(); ++g) {
        if (!matrix(input[g]) || !matrix(bias[g])) return false;
        if (!joint && !matrix(recurrent[g])) return false;
        if (g == 0) I = input[0].shape[1] - (joint ? H : 0);
        if (!input[g].has_shape(H, joint ? H + I : I) || !bias[g].has_shape(H, 1) ||
            !(joint || recurrent[g].has_shape(H, H)))
            return false;
    }
    return b_y.has_shape(O, 1) && H > 0 && I > 0 && O > 0;
}

template <class T>
Weights<T> Model<T>::pack(const Notation& notation, const Parameters<T>& p) {
    const index gates = index(notation.gates.size()), H = p.H, I = p.I;
    Scratch scratch;
    T* const w_ih = scratch.take<T>({gates, H, I});
    T* const w_hh = scratch.take<T>({gates, H, H});
    T* const b = scratch.take<T>({gates, H});
    const bool joint = notation.joint();
    for (index g = 0; g < gates; ++g) {
        T* const own[] = {w_ih + g * H * I, w_hh + g * H * H, b + g * H};
        to_rows(p.input[g].rows(joint ? H : 0), H, I, own[0]);
        to_rows((joint ? p.input : p.recurrent)[g].rows(), H, H, own[1]);
        to_rows(p.bias[g].rows(), H, 1, own[2]);
        if (notation.gates[std::size_t(g)].complement) {
            negate(own[0], H * I);
            negate(own[1], H * H);
            negate(own[2], H);
        }
    }
    return {notation.kind, I, H, w_ih, w_hh, b, nullptr};
}

template <class T>
Model<T>::Model(const Notation& notation, const Parameters<T>& p)
    : weights(pack(notation, p)), O(p.O), w_y(new T[std::size_t(O * p.H)]) {
    to_rows(p.w_y.rows(), O, p.H, w_y.get());
}

// ---- steps ------------------------------------------------------------------

template <class T>
Steps<T>::Steps(SharedModel<T> shared, index steps, index rows)
    : model(std::move(shared)), T_(steps), N(rows) {
    const Weights<T>& w = model->weights;
    const index H = w.hidden_size;
    const index sizes[] = {elements<T>({T_, N, w.input_size}),
                           elements<T>({T_ + 1, N, H}),
                           w.traits.has_c ? elements<T>({T_ + 1, N, H}) : 0,
                           elements<T>({T_, N, w.traits.saved, H})};
    constexpr index line = alignment / sizeof(T);
    index total = line;  // room to begin at a line
    for (const index size : sizes) total += round_up(size, line);
    elements<T>({total});
    memory = make_array<T>(1, &total, nullptr, nullptr, false);
    const auto start = reinterpret_cast<std::uintptr_t>(memory_of<T>(memory));
    T* next = memory_of<T>(memory) + (-start % alignment) / sizeof(T);
    T** const parts[] = {&x, &h, &c, &gates};
    for (int i = 0; i < 4; ++i) {
        *parts[i] = next;
        next += round_up(sizes[i], line);
    }
}

template struct Parameters<float>;
template struct Parameters<double>;
template struct Model<float>;
template struct Model<double>;
template struct Steps<float>;
template struct Steps<double>;

}  // namespace rnnext
