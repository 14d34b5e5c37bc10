// SPDX-License-Identifier: BSD-3-Clause
//
// Inputs that are 1 in one place and 0 elsewhere, given as the place: what the products
// with them come to, bit for bit, without the products.
#pragma once

#include "weights.hpp"

namespace rnnext {

// One row of pre-activations: bias + W_ih[:, token]; where x feeds none, the bias.
template <class T>
void project_token(const Weights<T>& w, index token, Range blocks, T* a);

// dw[m][tokens[k]] += da[k][m] for the K rows of da and m in `m`, in blocks as
// Kernels::gradient sums them. sums: scratch of as many elements as `m` has.
template <class T>
void token_gradient(const T* da, index da_row, index K, Range m, const index* tokens,
                    T* dw, index dw_row, T* sums);

}  // namespace rnnext
