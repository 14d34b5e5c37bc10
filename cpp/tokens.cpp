// SPDX-License-Identifier: BSD-3-Clause
#include "tokens.hpp"

namespace rnnext {

template <class T>
void project_token(const Weights<T>& w, index token, Range blocks, T* a) {
    const Packed<T>& x = w.x();
    const Columns fed = w.traits.x;
    for (int p = 0; p < w.traits.columns; ++p) {
        const int panel = p - fed.first;
        w.for_column(blocks, p, [&](index offset, index width) {
            const T* const bias = w.bias() + offset;
            if (panel < 0 || panel >= fed.count) {
                std::copy_n(bias, width, a + offset);
                return;
            }
            const index block = offset / (w.block_units() * w.traits.columns);
            const T* const row = x.data + block * w.block_units() * x.k * x.panels +
                                 (panel * x.k + token) * width;
            // A sum of products begins with 0: it is never -0.
            for (index j = 0; j < width; ++j) a[offset + j] = bias[j] + (T(0) + row[j]);
        });
    }
}

template <class T>
void token_gradient(const T* da, index da_row, index K, Range m, const index* tokens,
                    T* dw, index dw_row, T* sums) {
    for (index first = 0; first < K; first += sum_block) {
        const index end = std::min(first + sum_block, K);
        for (index k = first; k < end; ++k) {
            const index token = tokens[k];
            if (std::find(tokens + first, tokens + k, token) != tokens + k)
                continue;  // summed with an earlier row
            std::fill_n(sums, m.end - m.begin, T(0));
            for (index same = k; same < end; ++same) {
                if (tokens[same] != token) continue;
                const T* const from = da + same * da_row;
                for (index j = m.begin; j < m.end; ++j) sums[j - m.begin] += from[j];
            }
            for (index j = m.begin; j < m.end; ++j)
                dw[j * dw_row + token] += sums[j - m.begin];
        }
    }
}

template void token_gradient(const float*, index, index, Range, const index*, float*,
                             index, float*);
template void token_gradient(const double*, index, index, Range, const index*, double*,
                             index, double*);
template void project_token(const Weights<float>&, index, Range, float*);
template void project_token(const Weights<double>&, index, Range, double*);

}  // namespace rnnext
