// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "state.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

/// Elman's network with f = tanh.     a = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
///   h_t = f(a)
/// Elman 1990. Nothing is saved: h says it all.
struct RnnTanh {
    static constexpr CellKind kind = CellKind::rnn_tanh;

    template <class V> static RNNEXT_INLINE State<V> forward(const V* a, State<V>, V*) {
        return {tanh(a[0]), V{}};
    }

    template <class V>
    static RNNEXT_INLINE State<V> backward(const V*, State<V>, State<V> now, State<V> d,
                                           V* da) {
        da[0] = d.h * d_tanh(now.h);
        return {V{}, V{}};
    }
};

/// The same with f = max(., 0).
struct RnnRelu {
    static constexpr CellKind kind = CellKind::rnn_relu;

    template <class V> static RNNEXT_INLINE State<V> forward(const V* a, State<V>, V*) {
        return {relu(a[0]), V{}};
    }

    template <class V>
    static RNNEXT_INLINE State<V> backward(const V*, State<V>, State<V> now, State<V> d,
                                           V* da) {
        da[0] = d.h * d_relu(now.h);
        return {V{}, V{}};
    }
};

}  // namespace rnnext::RNNEXT_NAMESPACE
