// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "../dense.hpp"
#include "../layer.hpp"
#include "compute.hpp"
#include "constructor.hpp"
#include "course.hpp"

namespace rnnext {
namespace {

using Quantity = Notation::Quantity;

double output_flops(index rows, index H, index O) {
    return double(rows) * double(O) * (2.0 * double(H) + 50.0);
}

// ---- forward ----------------------------------------------------------------

template <class T>
py::object forward_call(const Notation& notation, const py::object& x,
                        const py::object& a0, const py::object& c0,
                        const Values& values, bool cell) {
    const bool has_c = notation.traits().has_c;
    Parameters<T> p;
    Given<T> input, state, memory;
    if (!p.read(notation, values) || !read(x, cell ? 2 : 3, input) ||
        !read(a0, 2, state))
        return py::none();
    const index T_ = input.shape[2], N = input.shape[1], H = p.H, I = p.I, O = p.O;
    if (input.shape[0] != I || !state.has_shape(H, N)) return py::none();
    const bool with_c = has_c && (cell || !c0.is_none());
    if (with_c && !(read(c0, 2, memory) && memory.has_shape(H, N))) return py::none();

    PyRun run;
    run.notation = &notation;
    const Steps<T>& steps = run.held.template emplace<Steps<T>>(
        std::make_shared<const Model<T>>(notation, p), T_, N);
    const Model<T>& model = *steps.model;
    const py::array a = feature_first<T>(!cell, H, N, T_);
    const py::array y = feature_first<T>(!cell, O, N, T_);
    py::object c = py::none();
    if (has_c) c = feature_first<T>(!cell, H, N, T_);
    T *const to_a = memory_of<T>(a), *const to_y = memory_of<T>(y),
             *const to_c = has_c ? memory_of<T>(c) : nullptr;

    const double flops = forward_flops(notation.traits(), T_, N, I, H);
    compute(flops + output_flops(T_ * N, H, O), [&](Interrupt interrupt) {
        Scratch scratch;
        T* const h_0 = scratch.take<T>({N, H});
        T* const c_0 = with_c ? scratch.take<T>({N, H}) : nullptr;
        T* const b_y = scratch.take<T>({O});
        to_time_major(input.values, T_, N, I, steps.x, interrupt);
        to_rows(state.values, N, H, h_0);
        if (with_c) to_rows(memory.values, N, H, c_0);
        to_rows(p.b_y.rows(), O, 1, b_y);

        const LayerCache<T> kept{steps.h, steps.c, steps.gates};
        LayerForward<T> layer{model.weights, T_, N, false};
        layer.x = steps.x;
        layer.h_0 = h_0;
        layer.c_0 = c_0;
        layer.y = to_a;
        layer.y_row = H;
        layer.h_n = scratch.take<T>({N, H});
        layer.cache = &kept;
        forward(layer, interrupt);
        if (has_c)
            to_time_major({steps.c + N * H, 1, H, N * H}, T_, N, H, to_c, interrupt);
        predict(to_a, T_ * N, H, model.w_y.get(), O, b_y, to_y, interrupt);
    });
    return py::make_tuple(object_of(std::move(run)), a, y, c);
}

// ---- backward ---------------------------------------------------------------

// The gradients that come in, for `steps` steps.
template <class T> struct Incoming {
    Given<T> a, c, y;
    index steps = 0;

    // False: something has to be converted first, or does not fit.
    bool read(const Steps<T>& kept, index start, const py::object& da,
              const py::object& dc, const py::object& dy, bool cell) {
        const index H = kept.model->weights.hidden_size, N = kept.N;
        const int ndim = cell ? 2 : 3;
        const auto fits = [&](const py::object& d, int dimensions, Given<T>& to,
                              index features) {
            return d.is_none() ||
                   (rnnext::read(d, dimensions, to) && to.has_shape(features, N));
        };
        if (!fits(da, ndim, a, H) || !fits(dc, 2, c, H) ||
            !fits(dy, ndim, y, kept.model->O) || !(with_a() || with_y()))
            return false;
        steps = (with_a() ? a : y).shape[2];
        return (!with_y() || y.shape[2] == steps) && start >= 0 &&
               steps <= kept.T_ - start;
    }
    bool with_a() const { return bool(a.owner); }
    bool with_c() const { return bool(c.owner); }
    bool with_y() const { return bool(y.owner); }
};

// The gradient with respect to every state, [steps, N, H], where it is made.
template <class T>
void state_gradient(const Steps<T>& kept, index start, const Incoming<T>& in, T* d,
                    T* dw_y, T* db_y, Interrupt interrupt) {
    const Model<T>& model = *kept.model;
    const index H = model.weights.hidden_size, N = kept.N, O = model.O;
    const index rows = in.steps * N;
    if (in.with_a()) to_time_major(in.a.values, in.steps, N, H, d, interrupt);
    if (!in.with_y()) return;
    Scratch scratch;
    T* const logits = scratch.take<T>({rows, O});
    T* const transposed = scratch.take<T>({H, O});
    T* const ones = scratch.take<T>({rows});
    T* const through = in.with_a() ? scratch.take<T>({rows, H}) : d;
    to_time_major(in.y.values, in.steps, N, O, logits, interrupt);
    to_rows({model.w_y.get(), H, 1, 0}, H, O, transposed);
    std::fill_n(ones, rows, T(1));
    linear(logits, rows, O, transposed, H, static_cast<const T*>(nullptr), through,
           interrupt);
    if (in.with_a())
        for (index i = 0; i < rows * H; ++i) d[i] += through[i];
    matmul_tn(logits, rows, O, kept.h + (start + 1) * N * H, H, dw_y, interrupt);
    matmul_tn(logits, rows, O, ones, 1, db_y, interrupt);
}

// The gradients of a layer's parameters in the core's order, and their way out.
template <class T> struct LayerGradients {
    const Notation& notation;
    const index H, I;
    T *w_ih, *w_hh, *b_ih, *b_hh;

    LayerGradients(const Notation& n, index H_, index I_, Scratch& scratch)
        : notation(n), H(H_), I(I_) {
        const index rows = n.traits().gates * H;
        w_ih = scratch.take<T>({rows, I});
        w_hh = scratch.take<T>({rows, H});
        b_ih = scratch.take<T>({rows});
        b_hh = scratch.take<T>({rows});
    }

    // Of the gate's parameter that is meant.
    py::array matrix(const Notation::Place& of) const {
        const index first = index(of.gate) * H;
        if (of.quantity == Quantity::bias) return copy({b_ih + first, 1}, {}, of);
        const Part input{w_ih + first * I, I}, recurrent{w_hh + first * H, H};
        if (notation.joint()) return copy(recurrent, input, of);
        return copy(of.quantity == Quantity::input ? input : recurrent, {}, of);
    }

  private:
    struct Part {
        const T* data = nullptr;
        index columns = 0;
    };

    // H rows of both, side by side.
    py::array copy(const Part& left, const Part& right,
                   const Notation::Place& of) const {
        const index columns = left.columns + right.columns;
        py::array result = new_matrix<T>(H, columns);
        T* to = memory_of<T>(result);
        for (index i = 0; i < H; ++i)
            for (const Part& part : {left, right})
                to = std::copy_n(part.data + i * part.columns, part.columns, to);
        if (notation.gates[of.gate].complement)
            negate(memory_of<T>(result), H * columns);
        return result;
    }
};

template <class T>
py::object backward_call(const Notation& notation, const Steps<T>& kept, index start,
                         const py::object& da, const py::object& dc,
                         const py::object& dy, const py::object& dh, bool cell) {
    Incoming<T> in;
    if (!in.read(kept, start, da, dc, dy, cell)) return py::none();
    const Model<T>& model = *kept.model;
    const Weights<T>& w = model.weights;
    const index H = w.hidden_size, I = w.input_size, N = kept.N, O = model.O;
    const index T_ = in.steps, state = N * H;
    T* const carried = const_cast<T*>(optional_data<T>(dh, "dh", {N, H}));
    if (carried && !is_writable(*as_array(dh)))
        throw py::value_error("dh: expected a writable array");

    const py::array dx = feature_first<T>(!cell, I, N, T_);
    const py::array dh_0 = feature_first<T>(false, H, N);
    py::object dc_0 = py::none(), dtanh = py::none(), dw_y = py::none(), db_y = dw_y;
    if (w.traits.has_c) dc_0 = feature_first<T>(false, H, N);
    if (in.with_y()) {
        dw_y = new_matrix<T>(O, H);
        db_y = new_matrix<T>(O, 1);
    }
    const auto& table = cell ? notation.cell_gradients : notation.loop_gradients;
    for (const auto& gradient : table)
        if (gradient.of.quantity == Quantity::dtanh)
            dtanh = feature_first<T>(false, H, N);
    const auto memory = [](const py::object& array) {
        return array.is_none() ? nullptr
                               : memory_of<T>(py::reinterpret_borrow<py::array>(array));
    };

    Scratch scratch;
    const LayerGradients<T> gradients(notation, H, I, scratch);
    LayerBackward<T> layer{w, T_, N, false};
    layer.x = kept.x + start * N * I;
    layer.cache = {kept.h + start * state,
                   w.traits.has_c ? kept.c + start * state : nullptr,
                   kept.gates + start * N * w.traits.saved * H};
    layer.dh_n = carried;
    layer.dx = memory_of<T>(dx);
    layer.dh_0 = memory_of<T>(dh_0);
    layer.dc_0 = memory(dc_0);
    layer.dw_ih = gradients.w_ih;
    layer.dw_hh = gradients.w_hh;
    layer.db_ih = gradients.b_ih;
    layer.db_hh = gradients.b_hh;
    T* const d = scratch.take<T>({T_, N, H});
    layer.dy = d;
    layer.dy_row = H;
    T* const dc_n = in.with_c() ? scratch.take<T>({N, H}) : nullptr;
    layer.dc_n = dc_n;
    T *const to_w_y = memory(dw_y), *const to_b_y = memory(db_y),
             *const to_dtanh = memory(dtanh);

    const double flops = 2 * forward_flops(w.traits, T_, N, I, H);
    compute(flops + 2 * output_flops(in.with_y() ? T_ * N : 0, H, O),
            [&](Interrupt interrupt) {
                state_gradient(kept, start, in, d, to_w_y, to_b_y, interrupt);
                if (in.with_c()) to_rows(in.c.values, N, H, dc_n);
                backward(layer, interrupt);
                const T* const h = layer.cache.h + state;
                for (index i = 0; to_dtanh && i < state; ++i)
                    to_dtanh[i] = (T(1) - h[i] * h[i]) * d[i];
                if (carried) std::copy_n(layer.dh_0, state, carried);
            });

    py::dict result;
    for (const auto& [name, of] : table) {
        if (of.quantity == Quantity::x) result[name] = dx;
        else if (of.quantity == Quantity::h) result[name] = dh_0;
        else if (of.quantity == Quantity::c) result[name] = dc_0;
        else if (of.quantity == Quantity::dtanh) result[name] = dtanh;
        else result[name] = gradients.matrix(of);
    }
    if (in.with_y()) {
        result[notation.dw_y] = dw_y;
        result[notation.db_y] = db_y;
    }
    return result;
}

}  // namespace

py::object course_forward(const py::tuple& notations, const py::object& x,
                          const py::object& a0, const py::object& c0,
                          const py::object& parameters, bool cell) {
    if (!PyDict_CheckExact(parameters.ptr())) return py::none();
    const auto dict = py::reinterpret_borrow<py::dict>(parameters);
    for (const auto& item : notations) {
        const Notation& notation = py::cast<const Notation&>(item).checked();
        Values values;
        if (!find(notation, dict, values)) continue;
        return RNNEXT_BY_DTYPE(x, forward_call, notation, x, a0, c0, values, cell);
    }
    return py::none();
}

py::object course_backward(const PyRun& run, const py::tuple& notations, index start,
                           const py::object& da, const py::object& dc,
                           const py::object& dy, const py::object& dh, bool cell) {
    const auto is_own = [&](const py::handle& item) {
        return &py::cast<const Notation&>(item) == run.notation;
    };
    if (std::none_of(notations.begin(), notations.end(), is_own)) return py::none();
    return run.visit([&](const Notation& notation, const auto& steps) {
        return backward_call(notation, steps, start, da, dc, dy, dh, cell);
    });
}

}  // namespace rnnext
