// SPDX-License-Identifier: BSD-3-Clause
//
// The activations that are chosen at run time, with their slopes.
#pragma once

#include "../kernels.hpp"
#include "math.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

template <class V> struct Activated {
    V value, slope;
};

// Not inlined: the code of eleven functions, once.
template <class V>
__attribute__((noinline)) Activated<V> activate(const Activation<ScalarOf<V>>& f,
                                                V x) noexcept {
    const V zero = splat_as<V>(0), one = splat_as<V>(1);
    const V alpha = splat(f.alpha), beta = splat(f.beta);
    switch (f.kind) {
    case ActivationKind::relu: {
        const V y = relu(x);
        return {y, d_relu(y)};
    }
    case ActivationKind::tanh: {
        const V y = tanh(x);
        return {y, d_tanh(y)};
    }
    case ActivationKind::sigmoid: {
        const V y = sigmoid(x);
        return {y, d_sigmoid(y)};
    }
    case ActivationKind::leaky_relu: {
        const auto below = x < zero;
        return {select<V>(below, alpha * x, x), select<V>(below, alpha, one)};
    }
    case ActivationKind::thresholded_relu: {
        const auto below = x < alpha;
        return {select<V>(below, zero, x), select<V>(below, zero, one)};
    }
    case ActivationKind::scaled_tanh: {
        const V y = tanh(beta * x);
        return {alpha * y, alpha * beta * d_tanh(y)};
    }
    case ActivationKind::hard_sigmoid: {
        const V y = fma(alpha, x, beta);
        const auto below = y <= zero, above = y >= one;
        return {select<V>(below, zero, select<V>(above, one, y)),
                select<V>(below | above, zero, alpha)};
    }
    case ActivationKind::elu: {
        const auto below = x < zero;
        return {select<V>(below, alpha * expm1(x), x),
                select<V>(below, alpha * exp(x), one)};
    }
    case ActivationKind::softsign: {
        const V r = one / (one + abs(x));
        const V y = select<V>(r == zero, with_sign(one, x), x / (one + abs(x)));
        return {y, r * r};
    }
    case ActivationKind::softplus:
        return {softplus(x), sigmoid(x)};
    case ActivationKind::affine:
        break;
    }
    return {fma(alpha, x, beta), alpha};
}

}  // namespace rnnext::RNNEXT_NAMESPACE
