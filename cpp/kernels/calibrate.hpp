// SPDX-License-Identifier: BSD-3-Clause
//
// What one core can do at most, against which everything else is measured: fused
// multiply-adds that stay in registers, and loads of whole vectors.
#pragma once

#include "../kernels.hpp"
#include "simd.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

// At least latency times units, and what the register file holds.
#if RNNEXT_VECTOR_BYTES == 64 || defined(__aarch64__)
constexpr int chains = 16;
#else
constexpr int chains = 12;
#endif

template <class T> double multiply_adds(index turns, T* value) noexcept {
    const Vec<T> factor = splat(*value), term = splat(T(1) - *value);
    Vec<T> sum[chains], total = {};
    unroll<chains>([&](auto i) RNNEXT_LAMBDA { sum[i] = splat(*value + T(int(i))); });
    for (index turn = 0; turn < turns; ++turn)
        unroll<chains>([&](auto i)
                           RNNEXT_LAMBDA { sum[i] = fma(sum[i], factor, term); });
    unroll<chains>([&](auto i) RNNEXT_LAMBDA { total += sum[i]; });
    // Every chain has come to 1, so this leaves *value as it was.
    *value *= total[0] / T(chains);
    return 2.0 * chains * lanes<T> * double(turns);
}

// Exclusive or: on no processor slower than the loads.
template <class T> index read(const T* x, index n) noexcept {
    constexpr int ways = 8;
    IntOf<Vec<T>> all[ways] = {};
    for (index i = 0; i < n; i += ways * lanes<T>)
        unroll<ways>([&](auto w)
                         RNNEXT_LAMBDA { all[w] ^= bits(load(x + i + w * lanes<T>)); });
    unroll<ways - 1>([&](auto w) RNNEXT_LAMBDA { all[0] ^= all[w + 1]; });
    index word = 0;
    for (int i = 0; i < lanes<T>; ++i) word ^= index(all[0][i]);
    return word;
}

}  // namespace rnnext::RNNEXT_NAMESPACE
