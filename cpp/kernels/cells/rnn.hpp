// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "policy.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

/// Elman's network with f = tanh.     a = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
///   h_t = f(a)
/// Elman 1990. Nothing is saved: h says it all.
struct RnnTanh {
    static constexpr CellKind kind = CellKind::rnn_tanh;

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> forward(const Policy& policy, const V* a, State<V>,
                                          V*) {
        return {policy.tanh(0, a[0]), V{}};
    }

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> backward(const Policy& policy, const V*, State<V>,
                                           State<V> now, State<V> d, V* da) {
        da[0] = d.h * policy.d_tanh(0, now.h);
        return {V{}, V{}};
    }
};

/// The same with f = max(., 0).
struct RnnRelu {
    static constexpr CellKind kind = CellKind::rnn_relu;

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> forward(const Policy& policy, const V* a, State<V>,
                                          V*) {
        return {policy.relu(0, a[0]), V{}};
    }

    template <class Policy, class V>
    static RNNEXT_INLINE State<V> backward(const Policy& policy, const V*, State<V>,
                                           State<V> now, State<V> d, V* da) {
        da[0] = d.h * policy.d_relu(0, now.h);
        return {V{}, V{}};
    }
};

}  // namespace rnnext::RNNEXT_NAMESPACE
