// SPDX-License-Identifier: BSD-3-Clause
//
// Products over the rows of a chunk: the gradients of weights, C (+)= A^T B, by the
// micro-kernel of tile.hpp or by outer products, and of biases, the sums of columns.
#pragma once

#include "gemm.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

// Sums of so few products that a tile would take longer to begin than to compute: C row
// by row, K from the k-th rows of A and B.
template <class T, int K>
void outer_products(const T* a, index a_row, Range range, const Packed<T>& b, index k,
                    bool fresh, T* c, index c_row) {
    static constexpr T zeros[lanes<T>] = {};
    const index full = b.units / block_units<T>;
    const index left = b.units - full * block_units<T>;
    const index width = block_width<T>(b.units, full);
    for (index row = range.begin; row < range.end; ++row) {
        Vec<T> x[K];
        unroll<K>([&](auto i)
                      RNNEXT_LAMBDA { x[i] = splat(a[(k + i) * a_row + row]); });
        const auto sum = [&](const T* w, index w_row) RNNEXT_LAMBDA {
            Vec<T> s = {};
            unroll<K>([&](auto i)
                          RNNEXT_LAMBDA { s = fma(x[i], load(w + i * w_row), s); });
            return s;
        };
        T* to = c + row * c_row;
        const T* w = b.data + k * block_units<T>;
        for (index block = 0; block < full; ++block) {
            unroll<2>([&](auto v) RNNEXT_LAMBDA {
                constexpr index at = v * lanes<T>;
                store(to + at,
                      load(fresh ? zeros : to + at) + sum(w + at, block_units<T>));
            });
            w += block_units<T> * b.k;
            to += block_units<T>;
        }
        w = panel_at(b, full) + k * width;
        for (index v = 0; v < left; v += lanes<T>) {
            const Vec<T> before = fresh ? Vec<T>{} : load_partial(to + v, left - v);
            store_partial(to + v, before + sum(w + v, width), left - v);
        }
    }
}

template <class T>
void gradient(const T* a, index a_row, Range range, const Packed<T>& b, bool add, T* c,
              index c_row, T* scratch) noexcept {
    static constexpr T zeros[block_units<T>] = {};
    const index blocks = ceil_div(b.units, block_units<T>);
    for (index k = 0; k < b.k; k += gradient_rows) {
        const index kn = min(gradient_rows, b.k - k);
        const bool fresh = k == 0 && !add;
        if (kn <= 4) {
            constexpr decltype(&outer_products<T, 1>) of_rows[] = {
                outer_products<T, 1>, outer_products<T, 2>, outer_products<T, 3>,
                outer_products<T, 4>};
            of_rows[kn - 1](a, a_row, range, b, k, fresh, c, c_row);
            continue;
        }
        RowTiles(range.end - range.begin)
            .each([&](index m, index height) RNNEXT_LAMBDA {
                const index row = range.begin + m;
                for (index i = 0; i < kn; ++i)
                    copy_elements(scratch + i * height, a + (k + i) * a_row + row,
                                  height);
                for (index block = 0; block < blocks; ++block) {
                    const index u = block * block_units<T>;
                    const index filled = min(block_units<T>, b.units - u);
                    T* const to = c + row * c_row + u;
                    run_exact<T, true>(
                        height,
                        {scratch, 0,
                         panel_at(b, block) + k * block_width<T>(b.units, block), 0, kn,
                         fresh ? zeros : to, fresh ? 0 : c_row, to, c_row, 0},
                        filled);
                }
            });
    }
}

// A plain chain over thousands of rows would be the least exact of all gradients; with
// the rounding of each addition carried along (Kahan 1965) its length does not matter.
template <class T>
void column_sums(const T* a, index a_row, index k, Range range, T* out) noexcept {
    for (index m = range.begin; m < range.end; m += lanes<T>) {
        const index count = range.end - m;
        Vec<T> sum = {}, lost = {};
        for (index i = 0; i < k; ++i) {
            const Vec<T> next = load_partial(a + i * a_row + m, count) - lost;
            const Vec<T> total = sum + next;
            lost = (total - sum) - next;
            sum = total;
        }
        store_partial(out + m, load_partial(out + m, count) + sum, count);
    }
}

}  // namespace rnnext::RNNEXT_NAMESPACE
