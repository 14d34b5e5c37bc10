// SPDX-License-Identifier: BSD-3-Clause
//
// Packed matrices (Packed in kernels.hpp): where their blocks lie, and how they are
// filled.
#pragma once

#include "../kernels.hpp"
#include "simd.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

constexpr index min(index a, index b) { return a < b ? a : b; }
constexpr index ceil_div(index n, index size) { return (n + size - 1) / size; }

template <class T> constexpr index block_units = 2 * lanes<T>;

// Units that a block stores: 2 vectors, or 1 where the last block needs no more.
template <class T> RNNEXT_INLINE index block_width(index units, index block) {
    return units - block * block_units<T> > lanes<T> ? block_units<T> : lanes<T>;
}

template <class T> RNNEXT_INLINE const T* panel_at(const Packed<T>& b, index block) {
    return b.data + block * block_units<T> * b.k * b.panels;
}

// Rows of a panel, NV vectors wide, from rows of the source, or from its columns.
template <class T, int NV>
RNNEXT_INLINE void pack_rows(T* to, index filled, index kn, const T* src,
                             index k_stride) {
    for (index i = 0; i < kn; ++i, to += NV * lanes<T>)
        unroll<NV>([&](auto v) RNNEXT_LAMBDA {
            constexpr index first = v * lanes<T>;
            store(to + first, filled > first ? load_partial(src + i * k_stride + first,
                                                            filled - first)
                                             : Vec<T>{});
        });
}

template <class T, int NV>
RNNEXT_INLINE void pack_columns(T* to, index filled, index kn, const T* src,
                                index unit_stride) {
    constexpr int square = lanes<T>;
    for (index i = 0; i < kn; i += square) {
        const index count = min(square, kn - i);
        for (index first = 0; first < NV * square; first += square) {
            Vec<T> rows[square];
            unroll<square>([&](auto j) RNNEXT_LAMBDA {
                rows[j] = first + j < filled
                              ? load_partial(src + (first + j) * unit_stride + i, count)
                              : Vec<T>{};
            });
            transpose<T>(rows);
            T* const at = to + i * NV * square + first;
            unroll<square>([&](auto r) RNNEXT_LAMBDA {
                if (r < count) store(at + r * NV * square, rows[r]);
            });
        }
    }
}

template <class T, int NV>
RNNEXT_INLINE void pack_panel(T* to, index filled, index kn, const T* src,
                              index k_stride, index unit_stride) {
    if (unit_stride == 1) pack_rows<T, NV>(to, filled, kn, src, k_stride);
    else pack_columns<T, NV>(to, filled, kn, src, unit_stride);
}

template <class T>
void pack(T* packed, index k, index units, int panels, int panel, index k0, index kn,
          const T* src, index k_stride, index unit_stride) noexcept {
    for (index u = 0; u < units; u += block_units<T>) {
        const index width = block_width<T>(units, u / block_units<T>);
        const index filled = min(width, units - u);
        T* const to = packed + u * k * panels + (panel * k + k0) * width;
        const T* const from = src + u * unit_stride;
        if (width > lanes<T>)
            pack_panel<T, 2>(to, filled, kn, from, k_stride, unit_stride);
        else pack_panel<T, 1>(to, filled, kn, from, k_stride, unit_stride);
    }
}

}  // namespace rnnext::RNNEXT_NAMESPACE
