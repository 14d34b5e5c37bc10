// SPDX-License-Identifier: BSD-3-Clause
//
// Two vectors side by side. The algebra of a cell is a chain (gates, c, tanh(c), h)
// that takes longer than a processor looks ahead; two chains by turns keep it busy.
// Every element has the bits that it has in a vector alone.
#pragma once

#include "math.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

template <class V> struct Pair {
    V first, second;
};

template <class V> struct Bits<Pair<V>> {
    using scalar = ScalarOf<V>;
};

template <class V> struct Filled<Pair<V>> {
    static RNNEXT_INLINE Pair<V> with(ScalarOf<V> s) { return {splat(s), splat(s)}; }
};

#define RNNEXT_PAIR_OPERATOR(op)                                                       \
    template <class V> RNNEXT_INLINE Pair<V> operator op(Pair<V> x, Pair<V> y) {       \
        return {x.first op y.first, x.second op y.second};                             \
    }
RNNEXT_PAIR_OPERATOR(+)
RNNEXT_PAIR_OPERATOR(-)
RNNEXT_PAIR_OPERATOR(*)
#undef RNNEXT_PAIR_OPERATOR

template <class V> RNNEXT_INLINE Pair<V> operator-(Pair<V> x) {
    return {-x.first, -x.second};
}

template <class V> RNNEXT_INLINE Pair<V>& operator+=(Pair<V>& x, Pair<V> y) {
    return x = x + y;
}

template <class V> RNNEXT_INLINE Pair<V>& operator-=(Pair<V>& x, Pair<V> y) {
    return x = x - y;
}

template <class V> RNNEXT_INLINE Pair<V> fma(Pair<V> x, Pair<V> y, Pair<V> z) {
    return {fma(x.first, y.first, z.first), fma(x.second, y.second, z.second)};
}

#define RNNEXT_PAIR_FUNCTION(f)                                                        \
    template <class V> RNNEXT_INLINE Pair<V> f(Pair<V> x) {                            \
        return {f(x.first), f(x.second)};                                              \
    }
RNNEXT_PAIR_FUNCTION(sigmoid)
RNNEXT_PAIR_FUNCTION(tanh)
RNNEXT_PAIR_FUNCTION(relu)
RNNEXT_PAIR_FUNCTION(d_relu)
#undef RNNEXT_PAIR_FUNCTION

// ---- memory, for a vector and for a pair ------------------------------------------

// Elements of V.
template <class V> constexpr index elements = index(sizeof(V) / sizeof(ScalarOf<V>));

// V is named: it says how much is read.
template <class V> struct Memory {
    using T = ScalarOf<V>;
    static RNNEXT_INLINE V load(const T* p) { return wing::load(p); }
    static RNNEXT_INLINE V load_partial(const T* p, index count) {
        return wing::load_partial(p, count);
    }
};

// More than one vector of a pair exists.
template <class V> struct Memory<Pair<V>> {
    using T = ScalarOf<V>;
    static RNNEXT_INLINE Pair<V> load(const T* p) {
        return {wing::load(p), wing::load(p + lanes<T>)};
    }
    static RNNEXT_INLINE Pair<V> load_partial(const T* p, index count) {
        return {wing::load(p), wing::load_partial(p + lanes<T>, count - lanes<T>)};
    }
};

template <class V> RNNEXT_INLINE void store(ScalarOf<V>* p, Pair<V> v) {
    store(p, v.first);
    store(p + elements<V>, v.second);
}

template <class V>
RNNEXT_INLINE void store_partial(ScalarOf<V>* p, Pair<V> v, index count) {
    store(p, v.first);
    store_partial(p + elements<V>, v.second, count - elements<V>);
}

}  // namespace rnnext::RNNEXT_NAMESPACE
