// SPDX-License-Identifier: BSD-3-Clause
//
// What the equations of a cell leave open: which activations, clipping, and what only
// some cells have. A cell names the activation that its authors chose; Plain takes it,
// and costs nothing; General takes what CellOptions say.
#pragma once

#include "../../kernels.hpp"
#include "../activation.hpp"
#include "../pair.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

// One vector of hidden units: h, and c where the cell has one.
template <class V> struct State {
    V h, c;
};

template <class T> struct Plain {
    using Place = Pair<Vec<T>>;  // what forward is applied to at a time
    static constexpr bool keeps_slopes = false;

    template <class V>
    RNNEXT_INLINE Plain(const CellOptions<T>*, index /* unit */, V* /* slopes */) {}

    template <class V> RNNEXT_INLINE V sigmoid(int /* gate */, V a) const {
        return wing::sigmoid(a);
    }
    template <class V> RNNEXT_INLINE V tanh(int, V a) const { return wing::tanh(a); }
    template <class V> RNNEXT_INLINE V relu(int, V a) const { return wing::relu(a); }
    // From the value.
    template <class V> RNNEXT_INLINE V d_sigmoid(int, V y) const {
        return wing::d_sigmoid(y);
    }
    template <class V> RNNEXT_INLINE V d_tanh(int, V y) const {
        return wing::d_tanh(y);
    }
    template <class V> RNNEXT_INLINE V d_relu(int, V y) const {
        return wing::d_relu(y);
    }
    // Of c, on its way to h.
    template <class V> RNNEXT_INLINE Activated<V> output(V c) const {
        const V y = wing::tanh(c);
        return {y, wing::d_tanh(y)};
    }

    RNNEXT_INLINE bool coupled() const { return false; }
    template <class V> RNNEXT_INLINE V complement(int, V y) const {
        return splat_as<V>(1) - y;
    }
    template <class V> RNNEXT_INLINE V clip_cell(V c) const { return c; }
    template <class V> RNNEXT_INLINE V d_clip_cell(V, V d) const { return d; }
    template <class V> RNNEXT_INLINE V peephole(int, V, V sum) const { return sum; }
    template <class V> RNNEXT_INLINE V d_peephole(int, V, V, V sum) const {
        return sum;
    }
    RNNEXT_INLINE void store_peephole_terms(T*, index, index) const {}
};

template <class T> class General {
  public:
    using V = Vec<T>;
    using Place = V;
    static constexpr bool keeps_slopes = true;

    // slopes: of the gates; forward fills them for backward.
    RNNEXT_INLINE General(const CellOptions<T>* options, index unit, V* slopes)
        : options_(*options), unit_(unit), slopes_(slopes) {}

    RNNEXT_INLINE V sigmoid(int gate, V a) const { return chosen(gate, a); }
    RNNEXT_INLINE V tanh(int gate, V a) const { return chosen(gate, a); }
    RNNEXT_INLINE V relu(int gate, V a) const { return chosen(gate, a); }
    RNNEXT_INLINE V d_sigmoid(int gate, V) const { return slopes_[gate]; }
    RNNEXT_INLINE V d_tanh(int gate, V) const { return slopes_[gate]; }
    RNNEXT_INLINE V d_relu(int gate, V) const { return slopes_[gate]; }
    RNNEXT_INLINE Activated<V> output(V c) const {
        return activate(options_.activation[4], c);
    }

    RNNEXT_INLINE bool coupled() const { return options_.coupled; }
    // A gate that is 1 - y, whatever its own pre-activation.
    RNNEXT_INLINE V complement(int gate, V y) const {
        slopes_[gate] = V{};
        return splat(T(1)) - y;
    }

    RNNEXT_INLINE V clip_cell(V c) const { return within(options_.cell_clip, c); }
    RNNEXT_INLINE V d_clip_cell(V c, V d) const {
        return unless_beyond(options_.cell_clip, c, d);
    }

    // What gate i, f or o of an LSTM sees of c, and the gradient of it.
    RNNEXT_INLINE V peephole(int gate, V c, V sum) const {
        return options_.peephole ? fma(load(weights(gate)), c, sum) : sum;
    }
    RNNEXT_INLINE V d_peephole(int gate, V da, V c, V sum) {
        if (!options_.peephole) return sum;
        terms_[row(gate)] = da * c;
        return fma(load(weights(gate)), da, sum);
    }
    RNNEXT_INLINE void store_peephole_terms(T* to, index to_row, index count) const {
        if (!options_.peephole) return;
        for (int i = 0; i < 3; ++i) store_partial(to + i * to_row, terms_[i], count);
    }

  private:
    RNNEXT_INLINE V chosen(int gate, V a) const {
        const V x = within(options_.gate_clip, a);
        const Activated<V> y = activate(options_.activation[gate], x);
        slopes_[gate] = unless_beyond(options_.gate_clip, a, y.slope);
        return y.value;
    }

    // Bounded by +-most; NaN passes.
    static RNNEXT_INLINE V within(T most, V x) {
        const V bound = splat(most);
        return select<V>(abs(x) > bound, with_sign(bound, x), x);
    }
    static RNNEXT_INLINE V unless_beyond(T most, V x, V d) {
        return select<V>(abs(x) > splat(most), V{}, d);
    }

    // i f g o -> i f o
    static RNNEXT_INLINE int row(int gate) { return gate < 2 ? gate : 2; }
    RNNEXT_INLINE const T* weights(int gate) const {
        return options_.peephole + row(gate) * options_.peephole_row + unit_;
    }

    const CellOptions<T>& options_;
    const index unit_;
    V* const slopes_;
    V terms_[3] = {};
};

}  // namespace rnnext::RNNEXT_NAMESPACE
