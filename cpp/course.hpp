// SPDX-License-Identifier: BSD-3-Clause
//
// The arrays of the course are feature-first, (n, m) or (n, m, T), in any strides; the
// core's are [T, N, n].
#pragma once

#include "pool.hpp"

namespace rnnext {

// Strides are in elements.
template <class T> struct FeatureFirst {
    const T* data = nullptr;
    index feature = 0, row = 0, time = 0;
};

// One step to [rows][features].
template <class T>
void to_rows(const FeatureFirst<T>& from, index rows, index features, T* to);

// All steps to [T, N, features].
template <class T>
void to_time_major(const FeatureFirst<T>& from, index T_, index N, index features,
                   T* to, Interrupt interrupt);

// 0 - v: zeros stay what they are.
template <class T> void negate(T* values, index n) {
    for (index i = 0; i < n; ++i) values[i] = T(0) - values[i];
}

}  // namespace rnnext
