// SPDX-License-Identifier: BSD-3-Clause
//
// exp, sigmoid, tanh and their kin on vectors, and derivatives in terms of the output.
// One core serves all: x = n ln 2 + r, e^r = 1 + q(r), scaled by 2^n in two steps so
// that subnormal results come out right. No tables, no branches; the floating-point
// environment is left alone. Coefficients: tools/minimax.py.
#pragma once

#include "simd.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

template <class T> struct ExpConstants;

template <> struct ExpConstants<float> {
    static constexpr float log2e = 0x1.715476p+0f;
    static constexpr float ln2_high = 0x1.628p-1f, ln2_low = 0x1.90bfbep-11f;
    static constexpr float magic = 0x1.8p23f;  // adding it rounds to an integer
    static constexpr int mantissa = 23, bias = 127;
    static constexpr float lowest = -105.0f;  // e^lowest rounds to 0
    static constexpr float highest = 89.0f;   // e^highest rounds to infinity
    static constexpr float tanh_is_one = 10.0f;
};

template <> struct ExpConstants<double> {
    static constexpr double log2e = 0x1.71547652b82fep+0;
    static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    static constexpr double magic = 0x1.8p52;
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr double lowest = -746.0;
    static constexpr double highest = 710.0;
    static constexpr double tanh_is_one = 20.0;
};

// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2: relative error of e^r 3.1e-9 and 3.7e-18.
RNNEXT_INLINE vf exp_tail(vf r) {
    vf p = splat(0x1.6a244cp-10f);
    p = fma(p, r, splat(0x1.1239d4p-7f));
    p = fma(p, r, splat(0x1.5558f2p-5f));
    p = fma(p, r, splat(0x1.555492p-3f));
    return fma(p, r, splat(0x1.fffffcp-2f));
}

RNNEXT_INLINE vd exp_tail(vd r) {
    const vd r2 = r * r, r4 = r2 * r2;
    const vd p01 = fma(r, splat(0x1.55555555554fap-3), splat(0x1.000000000000ap-1));
    const vd p23 = fma(r, splat(0x1.1111111127b9bp-7), splat(0x1.555555555088cp-5));
    const vd p45 = fma(r, splat(0x1.a01a012a69d02p-13), splat(0x1.6c16c184266bep-10));
    const vd p67 = fma(r, splat(0x1.71df253a04c44p-19), splat(0x1.a0199a16e5228p-16));
    const vd p89 = fma(r, splat(0x1.ad7f7b175464dp-26), splat(0x1.28ad689fad7fap-22));
    const vd low = fma(p23, r2, p01), high = fma(p67, r2, p45);
    return fma(fma(p89, r4, high), r4, low);
}

// x = n ln 2 + r; `n_magic` is n + magic, whose low bits are the integer n.
template <class V> struct Reduced {
    V n_magic, r;
};

template <class V> RNNEXT_INLINE Reduced<V> reduce(V x) {
    using C = ExpConstants<ScalarOf<V>>;
    const V magic = splat(C::magic);
    const V n_magic = fma(x, splat(C::log2e), magic);
    const V n = n_magic - magic;
    const V r = fma(n, splat(-C::ln2_low), fma(n, splat(-C::ln2_high), x));
    return {n_magic, r};
}

// 2^n from n + magic; out of the exponent range it wraps, and nobody takes it.
template <class V> RNNEXT_INLINE V power_of_two(V n_magic) {
    using C = ExpConstants<ScalarOf<V>>;
    const auto one = (WordOf<V>)splat_as<V>(1);
    return (V)(((WordOf<V>)n_magic << C::mantissa) + one);
}

// e^r = 1 + q, rounded so that the small part is added last.
template <class V> RNNEXT_INLINE V exp_minus_one(V r) {
    return fma(r * r, exp_tail(r), r);
}

// e^x for lowest <= x <= highest, NaN kept.
template <class V> RNNEXT_INLINE V exp_core(V x) {
    using C = ExpConstants<ScalarOf<V>>;
    const Reduced<V> t = reduce(x);
    const V p = splat_as<V>(1) + exp_minus_one(t.r);
    const V magic = splat(C::magic);
    const V half_magic = fma(t.n_magic - magic, splat_as<V>(0.5), magic);
    const V rest_magic = t.n_magic - (half_magic - magic);
    return (p * power_of_two(half_magic)) * power_of_two(rest_magic);
}

// Types: float, double. Range: all; inf, 0 and NaN as in C. Error: at most 1.1
// ULP (float, all inputs; double, sampled); subnormal results kept.
template <class V> RNNEXT_INLINE V exp(V x) {
    using C = ExpConstants<ScalarOf<V>>;
    const V lowest = splat(C::lowest);
    const V bounded = min(splat(C::highest), x);
    return exp_core(select<V>(bounded < lowest, lowest, bounded));
}

// 1 / (1 + e^-x), with e^-x = s (1 + q), s a power of two: the denominator is rounded
// once. Results below 2^-100 come from a denominator that is 2^64 times too small.
// Error: at most 1.75 ULP (float, all inputs; double, sampled); the subnormal tail
// included. Monotone in float.
template <class V> RNNEXT_INLINE V sigmoid(V x) {
    using C = ExpConstants<ScalarOf<V>>;
    const V lowest = splat(C::lowest), scale = splat_as<V>(0x1p-64);
    const V bounded = min(splat(2 * C::tanh_is_one), x);
    const Reduced<V> t = reduce(-select<V>(bounded < lowest, lowest, bounded));
    const auto far = t.n_magic > splat_as<V>(C::magic + 100);
    const V one = select<V>(far, scale, splat_as<V>(1));
    const V s = power_of_two(select<V>(far, t.n_magic - splat_as<V>(64), t.n_magic));
    const V sum = s + one, lost = one - (sum - s);  // not 0 from s = 2^24 (2^53) on
    return one / (fma(s, exp_minus_one(t.r), lost) + sum);
}

// (1 - z) / (1 + z), z = e^-2|x| = s (1 + q). The quotient's remainder and the
// roundings of both its parts are put back. Error: at most 1.85 ULP (float, all
// inputs), 1.75 (double, sampled), 1.95 without fused multiply-add. Odd, tanh(x) = x
// for subnormal x, monotone in float.
template <class V> RNNEXT_INLINE V tanh(V x) {
    using C = ExpConstants<ScalarOf<V>>;
    const V half = splat_as<V>(0.5), one = splat_as<V>(1);
    const V u = min(splat(2 * C::tanh_is_one), abs(x) + abs(x));
    const Reduced<V> t = reduce(-u);
    const V s = power_of_two(t.n_magic), q = exp_minus_one(t.r);
    const V m = fma(s, q, s - one), denominator = fma(s, q, s + one);  // m = z - 1
    const V denominator_error = fma(s, q, (s + one) - denominator);
    const V y = -m / denominator;
    V remainder = fma(-y, denominator, -m);
    if constexpr (sizeof(ScalarOf<V>) == 8)  // float is exact enough without
        remainder = remainder - fma(s, q, (s - one) - m);
    const V correction = fma(-y, denominator_error, remainder);
    return with_sign(abs(fma(correction, fma(half, y, half), y)), x);
}

// e^x - 1 = s (1 + q) - 1, s a power of two, for x <= 0; NaN kept. Error: at most
// 2 ULP (float and double, sampled).
template <class V> RNNEXT_INLINE V expm1(V x) {
    using C = ExpConstants<ScalarOf<V>>;
    const V lowest = splat(-2 * C::tanh_is_one);
    const Reduced<V> t = reduce(select<V>(x < lowest, lowest, x));
    const V s = power_of_two(t.n_magic);
    return fma(s, exp_minus_one(t.r), s - splat_as<V>(1));
}

// log(1 + u) for 0 <= u <= 1: 2 atanh(u / (2 + u)) by its series, and where 1 + u is
// large, log(2) and that of (1 + u) / 2.
template <class V> RNNEXT_INLINE V log1p(V u) {
    constexpr int terms = sizeof(ScalarOf<V>) == 4 ? 5 : 10;  // z^(terms + 1) < 2^-54
    const V one = splat_as<V>(1), two = splat_as<V>(2), zero = splat_as<V>(0);
    const auto large = u > splat_as<V>(0.4142135);
    const V t = select<V>(large, u - one, u);
    const V s = t / (t + two + select<V>(large, two, zero)), z = s * s;
    V sum = zero;
    unroll<terms>([&](auto i) RNNEXT_LAMBDA {
        constexpr int k = terms - decltype(i)::value;
        sum = fma(sum, z, splat_as<V>(ScalarOf<V>(1) / (2 * k + 1)));
    });
    const V half = fma(s * z, sum, s);
    return half + half + select<V>(large, splat_as<V>(0x1.62e42fefa39efp-1), zero);
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|). Error: at most 3 ULP (float and double,
// sampled); subnormal results kept.
template <class V> RNNEXT_INLINE V softplus(V x) {
    const V zero = splat_as<V>(0);
    return select<V>(x > zero, x, zero) + log1p(exp(-abs(x)));
}

#if defined(RNNEXT_NO_FMA)
// Without fused multiply-add the corrections above round too often for the result to be
// monotone; double precision has room to spare. Error: at most 0.51 ULP.
RNNEXT_INLINE vf exp(vf x) {
    return in_double(x, [](vd v) RNNEXT_LAMBDA { return exp(v); });
}
RNNEXT_INLINE vf sigmoid(vf x) {
    return in_double(x, [](vd v) RNNEXT_LAMBDA { return sigmoid(v); });
}
RNNEXT_INLINE vf tanh(vf x) {
    return in_double(x, [](vd v) RNNEXT_LAMBDA { return tanh(v); });
}
RNNEXT_INLINE vf expm1(vf x) {
    return in_double(x, [](vd v) RNNEXT_LAMBDA { return expm1(v); });
}
RNNEXT_INLINE vf softplus(vf x) {
    return in_double(x, [](vd v) RNNEXT_LAMBDA { return softplus(v); });
}
#endif

// dy/dx from y = sigmoid(x), tanh(x), max(x, 0).
template <class V> RNNEXT_INLINE V d_sigmoid(V y) { return y * (splat_as<V>(1) - y); }
template <class V> RNNEXT_INLINE V d_tanh(V y) { return fma(-y, y, splat_as<V>(1)); }

template <class V> RNNEXT_INLINE V relu(V x) {
    const V zero = splat_as<V>(0);
    return select<V>(x <= zero, zero, x);  // NaN passes
}

template <class V> RNNEXT_INLINE V d_relu(V y) {
    const V zero = splat_as<V>(0);
    return select<V>(y > zero, splat_as<V>(1), zero);
}

}  // namespace rnnext::RNNEXT_NAMESPACE
