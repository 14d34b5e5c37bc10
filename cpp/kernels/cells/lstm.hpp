// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "policy.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

/// Long short-term memory.     a = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
///   i, f, o = sigmoid(a_i, a_f, a_o),  g = tanh(a_g)
///   c_t = f c_{t-1} + i g,  h_t = o tanh(c_t)
/// Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000. With
/// peepholes (Gers & Schmidhuber 2000) a_i and a_f see c_{t-1}, a_o sees c_t.
struct Lstm {
    static constexpr CellKind kind = CellKind::lstm;
    enum { i, f, g, o };

    template <class V> static RNNEXT_INLINE V cell(const V* s, State<V> prev) {
        return fma(s[f], prev.c, s[i] * s[g]);
    }

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> forward(const Policy& policy, const V* a,
                                          State<V> prev, V* s) {
        s[i] = policy.sigmoid(i, policy.peephole(i, prev.c, a[i]));
        if (policy.coupled()) s[f] = policy.complement(f, s[i]);
        else s[f] = policy.sigmoid(f, policy.peephole(f, prev.c, a[f]));
        s[g] = policy.tanh(g, a[g]);
        const V c = policy.clip_cell(cell(s, prev));
        s[o] = policy.sigmoid(o, policy.peephole(o, c, a[o]));
        return {s[o] * policy.output(c).value, c};
    }

    // h, from what forward saved.
    template <class Policy, class V>
    static RNNEXT_INLINE V output(const Policy& policy, const V* s, State<V> now) {
        return s[o] * policy.output(now.c).value;
    }

    // tanh(c) is computed again rather than kept: cheaper than the memory.
    template <class Policy, class V>
    static RNNEXT_INLINE State<V> backward(Policy& policy, const V* s, State<V> prev,
                                           State<V> now, State<V> d, V* da) {
        const Activated<V> tanh_c = policy.output(now.c);
        da[o] = d.h * tanh_c.value * policy.d_sigmoid(o, s[o]);
        V dc = fma(d.h * s[o], tanh_c.slope, d.c);
        dc = policy.d_peephole(o, da[o], now.c, dc);
        dc = policy.d_clip_cell(cell(s, prev), dc);

        V di = dc * s[g], df = dc * prev.c;
        if (policy.coupled()) di -= df, df = V{};
        da[i] = di * policy.d_sigmoid(i, s[i]);
        da[f] = df * policy.d_sigmoid(f, s[f]);
        da[g] = dc * s[i] * policy.d_tanh(g, s[g]);
        V dc_prev = dc * s[f];
        dc_prev = policy.d_peephole(i, da[i], prev.c, dc_prev);
        dc_prev = policy.d_peephole(f, da[f], prev.c, dc_prev);
        return {V{}, dc_prev};
    }
};

}  // namespace rnnext::RNNEXT_NAMESPACE
