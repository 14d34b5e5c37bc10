// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "policy.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

/// Gated recurrent unit, reset after the recurrent product (PyTorch, cuDNN, Keras).
///   r, z = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
///   n = tanh(a_n + r q),  a_n = W_in x_t + b_in,  q = W_hn h_{t-1} + b_hn
///   h_t = (1 - z) n + z h_{t-1}
/// Cho et al. 2014, but r multiplies the product instead of h. Columns n r z q.
struct Gru {
    static constexpr CellKind kind = CellKind::gru;
    enum { a_n, a_r, a_z, a_q };  // columns
    enum { r, z, n, q };          // saved

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> forward(const Policy& policy, const V* a,
                                          State<V> prev, V* s) {
        s[r] = policy.sigmoid(r, a[a_r]);
        s[z] = policy.sigmoid(z, a[a_z]);
        s[q] = a[a_q];
        s[n] = policy.tanh(n, fma(s[r], s[q], a[a_n]));
        return {fma(s[z], prev.h - s[n], s[n]), V{}};
    }

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> backward(const Policy& policy, const V* s,
                                           State<V> prev, State<V>, State<V> d, V* da) {
        const V one = splat_as<V>(1);
        da[a_n] = d.h * (one - s[z]) * policy.d_tanh(n, s[n]);
        da[a_z] = d.h * (prev.h - s[n]) * policy.d_sigmoid(z, s[z]);
        da[a_r] = da[a_n] * s[q] * policy.d_sigmoid(r, s[r]);
        da[a_q] = da[a_n] * s[r];
        return {d.h * s[z], V{}};
    }
};

/// Gated recurrent unit, reset before the recurrent product (Cho et al. 2014, the
/// course, ONNX's default).
///   n = tanh(W_in x_t + b_in + W_hn (r h_{t-1}) + b_hn),  the rest as in Gru.
struct GruResetBefore {
    static constexpr CellKind kind = CellKind::gru_reset_before;
    enum { r, z, n };  // columns and saved

    template <class Policy, class V>
    static RNNEXT_INLINE V operand(const Policy& policy, const V* a, State<V> prev) {
        return policy.sigmoid(r, a[r]) * prev.h;
    }

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> forward(const Policy& policy, const V* a,
                                          State<V> prev, V* s) {
        s[r] = policy.sigmoid(r, a[r]);
        s[z] = policy.sigmoid(z, a[z]);
        s[n] = policy.tanh(n, a[n]);
        return {fma(s[z], prev.h - s[n], s[n]), V{}};
    }

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> backward(const Policy& policy, const V* s,
                                           State<V> prev, State<V>, State<V> d, V* da) {
        const V one = splat_as<V>(1);
        da[n] = d.h * (one - s[z]) * policy.d_tanh(n, s[n]);
        da[z] = d.h * (prev.h - s[n]) * policy.d_sigmoid(z, s[z]);
        return {d.h * s[z], V{}};
    }

    template <class V> static RNNEXT_INLINE V operand_again(const V* s, State<V> prev) {
        return s[r] * prev.h;
    }

    template <class Policy, class V>
    static RNNEXT_INLINE V operand_backward(const Policy& policy, const V* s,
                                            State<V> prev, V d_operand, V* da) {
        da[r] = d_operand * prev.h * policy.d_sigmoid(r, s[r]);
        return d_operand * s[r];
    }
};

}  // namespace rnnext::RNNEXT_NAMESPACE
