// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "state.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

/// Long short-term memory.     a = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
///   i, f, o = sigmoid(a_i, a_f, a_o),  g = tanh(a_g)
///   c_t = f c_{t-1} + i g,  h_t = o tanh(c_t)
/// Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000.
struct Lstm {
    static constexpr CellKind kind = CellKind::lstm;
    enum { i, f, g, o };

    template <class V>
    static RNNEXT_INLINE State<V> forward(const V* a, State<V> prev, V* s) {
        s[i] = sigmoid(a[i]);
        s[f] = sigmoid(a[f]);
        s[g] = tanh(a[g]);
        s[o] = sigmoid(a[o]);
        const V c = fma(s[f], prev.c, s[i] * s[g]);
        return {s[o] * tanh(c), c};
    }

    // tanh(c) is computed again rather than kept: cheaper than the memory.
    template <class V>
    static RNNEXT_INLINE State<V> backward(const V* s, State<V> prev, State<V> now,
                                           State<V> d, V* da) {
        const V tanh_c = tanh(now.c);
        const V dc = fma(d.h * s[o], d_tanh(tanh_c), d.c);
        da[i] = dc * s[g] * d_sigmoid(s[i]);
        da[f] = dc * prev.c * d_sigmoid(s[f]);
        da[g] = dc * s[i] * d_tanh(s[g]);
        da[o] = d.h * tanh_c * d_sigmoid(s[o]);
        return {V{}, dc * s[f]};
    }
};

}  // namespace rnnext::RNNEXT_NAMESPACE
