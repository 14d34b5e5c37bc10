// SPDX-License-Identifier: BSD-3-Clause
//
// Products with a matrix that lies across (Packed in kernels.hpp): a piece at a time,
// of a block of sums, is turned in the nearest cache and then multiplied with as any
// other.
#pragma once

#include "gemm.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

// Of B, rows k to k + kn and `units` units from `unit` on, as one panel.
template <class T>
Packed<T> turn(const Packed<T>& b, index k, index kn, index unit, index units,
               T* turned) noexcept {
    const index inner = b.k / b.panels;
    const Packed<T> lying{b.data, b.units, inner, b.panels};
    const auto width_at = [&](index column) RNNEXT_LAMBDA {
        return block_width<T>(inner, column / block_units<T>);
    };
    const auto at = [&](index row) RNNEXT_LAMBDA {
        const index column = row % inner;
        return panel_at(lying, column / block_units<T>) +
               (row / inner * lying.k + unit) * width_at(column) +
               column % block_units<T>;
    };
    for (index i = 0, count; i < kn; i += count) {
        const index column = (k + i) % inner, width = width_at(column);
        count = min(kn - i, min(inner - column, width - column % block_units<T>));
        if (k + i + sum_block < b.k) {  // what is next to be turned is far from this
            const T* next = at(k + i + sum_block);
            for (index r = 0; r < units; ++r, next += width)
                for (index j = 0; j < count; j += line<T>)
                    __builtin_prefetch(next + j, 0, 2);
        }
        pack(turned, kn, units, 1, 0, i, count, at(k + i), index(1), width);
    }
    return {turned, kn, units, 1};
}

// C = C0 + A B for all that `product`, or with `exact` `product_exact`, may be asked
// for of one panel per block.
template <class T>
void product_across(bool exact, const T* a, index a_row, index rows, const Packed<T>& b,
                    Range blocks, const T* c0, index c0_row, T* c,
                    index c_row) noexcept {
    constexpr index most = 8 * block_units<T>;  // units: 8 KB of a panel, half a cache
    const index end = min(blocks.end * block_units<T>, b.units);
    alignas(64) T turned[sum_block * most];
    for (index unit = blocks.begin * block_units<T>; unit < end; unit += most) {
        const index units = min(most, end - unit);
        const Range all{0, ceil_div(units, block_units<T>)};
        for (index k = 0; k < b.k; k += sum_block) {
            const Packed<T> part =
                turn(b, k, min(sum_block, b.k - k), unit, units, turned);
            const T* const from = (k ? c : c0) + unit;
            const index from_row = k ? c_row : c0_row;
            T* const to = c + unit;
            if (exact)
                product_exact(a + k, a_row, rows, part, all, from, from_row, to, c_row);
            else
                product(a + k, a_row, rows, part, all, from, from_row, to, c_row, 0, 1);
        }
    }
}

}  // namespace rnnext::RNNEXT_NAMESPACE
