// SPDX-License-Identifier: BSD-3-Clause
//
// Packed matrices (Packed in kernels.hpp): where their blocks lie, and how they are
// filled.
#pragma once

#include "../kernels.hpp"
#include "simd.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

constexpr index min(index a, index b) { return a < b ? a : b; }
constexpr index max(index a, index b) { return a > b ? a : b; }
constexpr index ceil_div(index n, index size) { return (n + size - 1) / size; }

template <class T> constexpr index line = 64 / index(sizeof(T));  // of a cache

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

// One vector of units, up to a part of their columns.
template <class T>
RNNEXT_INLINE void pack_square(T* to, index to_row, index units, index kn, const T* src,
                               index unit_stride) {
    T edge[lanes<T> * part<T>];
    if (units < lanes<T> || kn < part<T>) {
        for (index i = 0; i < lanes<T> * part<T>; ++i) {
            const index u = i / part<T>, k = i % part<T>;
            edge[i] = u < units && k < kn ? src[u * unit_stride + k] : T(0);
        }
        src = edge;
        unit_stride = part<T>;
    }
    Vec<T> rows[part<T>];
    unroll<part<T>>([&](auto i) RNNEXT_LAMBDA {
        rows[i] = load_parts(src + i * unit_stride, part<T> * unit_stride);
    });
    transpose<T>(rows);
    unroll<part<T>>([&](auto k) RNNEXT_LAMBDA {
        if (k < kn) store(to + k * to_row, rows[k]);
    });
}

// How much further the next block lies, in the source and packed; `packed` is 0 where
// the whole stays in a near cache anyway.
struct Ahead {
    index source, packed;
};

// A line of each of one vector of units, and as many lines for writing.
template <class T>
RNNEXT_INLINE void fetch_lines(const T* from, index unit_stride, T* to) {
    for (index i = 0; i < lanes<T>; ++i) {
        __builtin_prefetch(from + i * unit_stride, 0, 2);
        __builtin_prefetch(to + i * line<T>, 1, 2);
    }
}

// A cache line of every unit at a time: where rows of the source collide in the nearest
// cache, it holds those of one vector of units. What comes some lines later is called
// for, and so is where it goes: so many streams are more than the processor follows.
template <class T, int NV>
RNNEXT_INLINE void pack_columns(T* to, index filled, index kn, const T* src,
                                index unit_stride, Ahead next) {
    constexpr index width = NV * lanes<T>;
    const index ahead = min(8 * line<T>, ceil_div(kn, line<T>) * line<T>);
    for (index begin = 0; begin < kn; begin += line<T>)
        for (index u = 0; u < width; u += lanes<T>) {
            if (next.packed) {
                const bool within = begin + ahead < kn;
                const index k = begin + ahead - (within ? 0 : kn);
                fetch_lines(src + u * unit_stride + k + (within ? 0 : next.source),
                            unit_stride,
                            to + u * line<T> + k * width + (within ? 0 : next.packed));
            }
            for (index k = begin; k < min(begin + line<T>, kn); k += part<T>)
                pack_square(to + k * width + u, width, filled - u, kn - k,
                            src + u * unit_stride + k, unit_stride);
        }
}

template <class T, int NV>
RNNEXT_INLINE void pack_panel(T* to, index filled, index kn, const T* src,
                              index k_stride, index unit_stride, Ahead next) {
    if (unit_stride == 1) pack_rows<T, NV>(to, filled, kn, src, k_stride);
    else pack_columns<T, NV>(to, filled, kn, src, unit_stride, next);
}

template <class T>
void pack(T* packed, index k, index units, int panels, int panel, index k0, index kn,
          const T* src, index k_stride, index unit_stride) noexcept {
    constexpr index near = (index(512) << 10) / index(sizeof(T));
    const index block = block_units<T> * k * panels;
    const bool is_near = k * panels * units <= near;
    const Ahead next{block_units<T> * unit_stride, is_near ? 0 : block};
    for (index u = 0; u < units; u += block_units<T>) {
        const index width = block_width<T>(units, u / block_units<T>);
        const index filled = min(width, units - u);
        T* const to = packed + u * k * panels + (panel * k + k0) * width;
        const T* const from = src + u * unit_stride;
        if (width > lanes<T>)
            pack_panel<T, 2>(to, filled, kn, from, k_stride, unit_stride, next);
        else pack_panel<T, 1>(to, filled, kn, from, k_stride, unit_stride, next);
    }
}

}  // namespace rnnext::RNNEXT_NAMESPACE
