// SPDX-License-Identifier: BSD-3-Clause
//
// What stands around a recurrent layer: a dense layer, its weight gradient, softmax.
// The same kernels and the same order of summation.
#pragma once

#include "pool.hpp"
#include "weights.hpp"

namespace rnnext {

// y [M, O] = x [M, K] w^T + b; w [O, K], b [O] or null.
template <class T>
void linear(const T* x, index M, index K, const T* w, index O, const T* b, T* y,
            Interrupt interrupt);

// y [M, O] = a^T b; a [K, M], b [K, O].
template <class T>
void matmul_tn(const T* a, index K, index M, const T* b, index O, T* y,
               Interrupt interrupt);

// Each row of x [M, O], with its own maximum taken off first.
template <class T>
void softmax(const T* x, index M, index O, T* y, Interrupt interrupt);

// Both: y [M, O] = softmax of the rows of x w^T + b.
template <class T>
void predict(const T* x, index M, index K, const T* w, index O, const T* b, T* y,
             Interrupt interrupt);

}  // namespace rnnext
