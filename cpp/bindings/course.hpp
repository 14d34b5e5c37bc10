// SPDX-License-Identifier: BSD-3-Clause
//
// What the functions of rnnext.course stand on: the table of a notation, parameters
// packed from a dict, and the steps that a forward keeps for the backward.
#pragma once

#include <array>
#include <string>
#include <variant>
#include <vector>

#include "course_arrays.hpp"
#include "stack.hpp"

namespace rnnext {

constexpr int max_gates = 4;

// One way to name parameters, cell caches and gradients. The table itself is
// python/rnnext/course/_notation.py; here its names are looked up, once. Like that
// table it lives as long as the process.
struct Notation : Zeroed {
    enum class Quantity {
        x,
        h,
        h_next,
        c,
        c_next,
        gate,
        dtanh,
        input,
        recurrent,
        bias
    };
    // A quantity, and of which gate if it is one, or a parameter of one.
    struct Place {
        Quantity quantity;
        std::size_t gate;
    };
    struct Gate {
        py::object value, recurrent, input, bias;  // names
        bool complement;                           // the course's is one minus ours
    };
    struct Gradient {
        py::object name;
        Place of;
    };

    Notation() = default;
    Notation(py::object table, const std::string& cell, const py::sequence& gates,
             py::object w_y, py::object b_y, const py::sequence& entries,
             const py::dict& cell_gradients, const py::dict& loop_gradients);

    // TypeError for an object that never saw __init__.
    const Notation& checked() const;
    const CellTraits& traits() const { return cell_traits[int(kind)]; }
    // A gate's recurrent and input weights are one matrix, its columns [a_prev; x].
    bool joint() const { return gates[0].recurrent.is(gates[0].input); }

    py::object table;
    CellKind kind = CellKind::rnn_tanh;
    std::vector<Gate> gates;        // in PyTorch's order
    py::object w_y, b_y;            // names of the output layer's parameters
    py::object dw_y, db_y;          // and of their gradients
    std::vector<py::object> names;  // of all parameters, as `Parameters` reads them
    std::vector<Place> entries;     // of a cell cache, before its parameters
    std::vector<Gradient> cell_gradients, loop_gradients;
};

// What a dict has under the names of a notation; false if one of them is missing.
// Owned, since a key's own comparison may empty the dict between two of them.
using Values = std::array<py::object, 2 + 3 * max_gates>;
bool find(const Notation& notation, const py::dict& dict, Values& values);

// The parameters as arrays of T that fit each other, still where they are.
template <class T> struct Parameters {
    Given<T> recurrent[max_gates], input[max_gates], bias[max_gates], w_y, b_y;
    index H = 0, I = 0, O = 0;

    // False: something has to be converted first, or does not fit.
    bool read(const Notation& notation, const Values& values);
};

// The same, copied.
template <class T> struct Model {
    Model(const Notation& notation, const Parameters<T>& parameters);
    static Weights<T> pack(const Notation& notation, const Parameters<T>& parameters);

    const Weights<T> weights;
    const index O;
    const std::unique_ptr<T[]> w_y;  // [O, H]
};

template <class T> using SharedModel = std::shared_ptr<const Model<T>>;

// Consecutive steps, in one array: x [T, N, I], h and c [T + 1, N, H] with the state
// before them in slot 0, gates [T, N, saved, H].
template <class T> struct Steps {
    Steps() = default;
    Steps(SharedModel<T> model, index T_, index N);

    SharedModel<T> model;
    py::array memory;
    index T_ = 0, N = 0;
    T *x = nullptr, *h = nullptr, *c = nullptr, *gates = nullptr;

    index state() const { return N * model->weights.hidden_size; }
};

// ---- as Python sees them ----------------------------------------------------

struct PyModel : Zeroed {
    const Notation* notation = nullptr;  // null: __init__ was not called
    std::variant<SharedModel<float>, SharedModel<double>> held;
};

struct PyRun : Zeroed {
    const Notation* notation = nullptr;
    std::variant<Steps<float>, Steps<double>> held;

    // Calls f(notation, steps).
    template <class F> auto visit(F f) const {
        if (!notation) throw py::type_error("CourseRun: __init__ was not called");
        return std::visit([&](const auto& steps) { return f(*notation, steps); }, held);
    }
};

// None: an argument has to be converted first, or is wrong.
py::object course_forward(const py::tuple& notations, const py::object& x,
                          const py::object& a0, const py::object& c0,
                          const py::object& parameters, bool cell);
py::object course_backward(const PyRun& run, const py::tuple& notations, index start,
                           const py::object& da, const py::object& dc,
                           const py::object& dy, const py::object& dh, bool cell);

}  // namespace rnnext
