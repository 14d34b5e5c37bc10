// SPDX-License-Identifier: BSD-3-Clause
//
// One micro-kernel and the products of rows with packed matrices; those of two
// operands that both have just been computed are in gradient.hpp.
//
//            panels of B, 2 vectors wide            C tile = C0 + sum of blocks of K
//             k  [b0 b1]                            each block: M x 2 accumulators from
//   A rows  ----->                                  zero, one fused multiply-add per k
//   m  [a a a]   C[m] += a * [b0 b1]
//
// The order of summation depends on K alone (blocks of sum_block, k ascending), never
// on the tile, the number of rows or the thread, so every element has the same bits
// however the work is cut.
#pragma once

#include "pack.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

// Part of the numerical contract. Measured: with 128 or 64 float gradients of GRU and
// RNN are up to 1.7 or 1.15 times further from the truth than PyTorch's, with 32 never.

// Accumulators that fit the register file beside the operands, and the rows of a tile.
#if RNNEXT_VECTOR_BYTES == 64
constexpr int accumulators = 24;  // 12 rows x 2 vectors of 32 registers
#elif defined(__aarch64__)
constexpr int accumulators = 16;  // 8 x 2: GCC spills at 24
#else
constexpr int accumulators = 12;  // 6 x 2 of 16 registers
#endif
constexpr int row_tile = accumulators / 2;

constexpr int max_panels = 4;  // that one tile covers

// A few rows take several panels at once, to keep enough chains in flight.
constexpr int panels_at_once(int rows) {
    const int p = accumulators / (2 * rows);
    return p < 1 ? 1 : p > max_panels ? max_panels : p;
}

// C[m][p] = C0[m][p] + A[m] B[p] for M rows and P panels of NV vectors.
template <class T> struct Tile {
    const T* a;
    index a_row;
    const T* b;
    index b_panel, k;
    const T* c0;
    index c0_row;
    T* c;
    index c_row, c_panel;
    // What is read next, of which every block of sums calls for so many cache lines.
    const T* ahead = nullptr;
    index ahead_lines = 0;
};

// The product over up to sum_block values of k. `packed_a`: A is [k][M], else rows of
// unit stride.
template <class T, int M, int P, int NV, bool packed_a>
RNNEXT_INLINE void multiply_block(const T* a, index a_row, const T* b, index b_panel,
                                  index k_size, Vec<T> (&acc)[M][P * NV]) {
    constexpr int width = NV * lanes<T>;
    // Three rows share a pointer: its address, plus one or two row strides.
    constexpr int groups = (M + 2) / 3;
    const T* rows[groups];
    unroll<groups>([&](auto i) RNNEXT_LAMBDA { rows[i] = a + 3 * i * a_row; });
    const auto broadcast = [&](auto m, auto ahead) RNNEXT_LAMBDA {
        if constexpr (packed_a) return splat(a[m + ahead * M]);
        else return splat(rows[m / 3][(m % 3) * a_row + ahead]);
    };
    const auto add = [](Vec<T>& sum, Vec<T> x, Vec<T> w) RNNEXT_LAMBDA {
        sum = fma(x, w, sum);
        hold(sum);
    };
    const auto one = [&](auto ahead) RNNEXT_LAMBDA {
        const T* const w_at = b + ahead * width;
        if constexpr (M <= 3) {
            Vec<T> x[M];
            unroll<M>([&](auto m) RNNEXT_LAMBDA { x[m] = broadcast(m, ahead); });
            unroll<P * NV>([&](auto v) RNNEXT_LAMBDA {
                const Vec<T> w = load(w_at + (v / NV) * b_panel + (v % NV) * lanes<T>);
                unroll<M>([&](auto m) RNNEXT_LAMBDA { add(acc[m][v], x[m], w); });
            });
        } else {
            Vec<T> w[P * NV];
            unroll<P * NV>([&](auto v) RNNEXT_LAMBDA {
                w[v] = load(w_at + (v / NV) * b_panel + (v % NV) * lanes<T>);
            });
            unroll<M>([&](auto m) RNNEXT_LAMBDA {
                const Vec<T> x = broadcast(m, ahead);
                unroll<P * NV>([&](auto v) RNNEXT_LAMBDA { add(acc[m][v], x, w[v]); });
            });
        }
    };
    const auto advance = [&](auto count) RNNEXT_LAMBDA {
        b += count * width;
        if constexpr (packed_a) a += count * M;
        else unroll<groups>([&](auto i) RNNEXT_LAMBDA { rows[i] += count; });
    };
    // A whole block is a loop of known length, which the branch predictor learns.
#if defined(RNNEXT_COMPACT)
    constexpr int together = 1;  // sanitizers multiply the code as it is
#else
    constexpr int together = 2;
#endif
    if (k_size == sum_block) {
        for (index k = 0; k < sum_block; k += together) {
            unroll<together>(one);
            advance(Int<together>{});
        }
        return;
    }
    for (index k = 0; k < k_size; ++k) {
        one(Int<0>{});
        advance(Int<1>{});
    }
}

// Sums of several blocks meet in a small tile of their own: rows of C may lie a
// multiple of 4 KB apart, where they push each other out of the nearest cache. C0 may
// come from far: it is called for before the first block's products, where these take
// long enough.
template <class T, int M, int P, int NV, bool packed_a>
void micro_kernel(const Tile<T>& t) noexcept {
    constexpr int width = P * NV * lanes<T>;
    constexpr int line = 64 / int(sizeof(T));
    alignas(64) T sums[M * width];
    constexpr index worth_prefetching = 8;
    if (t.k >= worth_prefetching)
        unroll<M>([&](auto m) RNNEXT_LAMBDA {
            unroll<(width + line - 1) / line>([&](auto i) RNNEXT_LAMBDA {
                constexpr int at = i * line, panel = at / (NV * lanes<T>);
                __builtin_prefetch(t.c0 + m * t.c0_row + panel * t.c_panel +
                                   at % (NV * lanes<T>));
            });
        });
    const T* ahead = t.ahead;
    for (index k = 0; k < t.k; k += sum_block) {
        for (index i = 0; i < t.ahead_lines; ++i, ahead += line)
            __builtin_prefetch(ahead, 0, 2);
        Vec<T> acc[M][P * NV] = {};
        multiply_block<T, M, P, NV, packed_a>(packed_a ? t.a + k * M : t.a + k, t.a_row,
                                              t.b + k * NV * lanes<T>, t.b_panel,
                                              min(sum_block, t.k - k), acc);
        const bool first = k == 0, last = k + sum_block >= t.k;
        const auto add = [&](auto from, auto to) RNNEXT_LAMBDA {
            unroll<M>([&](auto m) RNNEXT_LAMBDA {
                unroll<P * NV>([&](auto v) RNNEXT_LAMBDA {
                    store(to(m, v), load<T>(from(m, v)) + acc[m][v]);
                });
            });
        };
        const auto c0 = [&](auto m, auto v) RNNEXT_LAMBDA {
            return t.c0 + m * t.c0_row + (v / NV) * t.c_panel + (v % NV) * lanes<T>;
        };
        const auto c = [&](auto m, auto v) RNNEXT_LAMBDA {
            return t.c + m * t.c_row + (v / NV) * t.c_panel + (v % NV) * lanes<T>;
        };
        const auto tile = [&](auto m, auto v)
                              RNNEXT_LAMBDA { return sums + m * width + v * lanes<T>; };
        if (first && last) add(c0, c);
        else if (first) add(c0, tile);
        else if (last) add(tile, c);
        else add(tile, tile);
    }
}

// Calls the micro-kernel of `rows` x `panels`; the pair must fit `accumulators`.
template <class T, int NV, bool packed_a, int M = 1, int P = 1>
RNNEXT_INLINE void run_tile(index rows, index panels, const Tile<T>& t) {
    if constexpr (M <= row_tile) {
        if (rows != M) return run_tile<T, NV, packed_a, M + 1, 1>(rows, panels, t);
        if constexpr (P < panels_at_once(M))
            if (panels != P)
                return run_tile<T, NV, packed_a, M, P + 1>(rows, panels, t);
        micro_kernel<T, M, P, NV, packed_a>(t);
    }
}

// Rows in tiles of nearly equal height.
template <class F> RNNEXT_INLINE void for_row_tiles(index rows, F&& f) {
    const index tiles = ceil_div(rows, row_tile);
    for (index i = 0, begin = 0; i < tiles; ++i) {
        const index end = rows * (i + 1) / tiles;
        f(begin, end - begin);
        begin = end;
    }
}

// ---- products ---------------------------------------------------------------

// Panels that follow each other in B and C, times all rows of A. Few rows take several
// panels at a time; many rows keep one panel in the nearest cache, and the next comes
// to the second one meanwhile, as long panels are many and come from afar.
template <class T, int NV>
RNNEXT_INLINE void product_block(const T* a, index a_row, index rows, const T* b,
                                 index k, index panels, const T* c0, index c0_row, T* c,
                                 index c_row) {
    constexpr index width = NV * lanes<T>;
    const index together = rows < row_tile ? panels_at_once(int(rows)) : 1;
    constexpr index line = 64 / index(sizeof(T)), long_panel = 16384 / index(sizeof(T));
    const index blocks = ceil_div(k, sum_block);
    const index tiles = ceil_div(rows, index(row_tile));
    const bool from_afar = tiles > 1 && k * width > long_panel;
    const index lines = from_afar ? ceil_div(k * width / line, tiles * blocks) : 0;
    for (index p = 0; p < panels; p += together) {
        const index count = min(together, panels - p);
        const T* ahead = b + (p + count) * k * width;
        for_row_tiles(rows, [&](index m, index height) RNNEXT_LAMBDA {
            run_tile<T, NV, false>(height, count,
                                   {a + m * a_row, a_row, b + p * k * width, k * width,
                                    k, c0 + m * c0_row + p * width, c0_row,
                                    c + m * c_row + p * width, c_row, width, ahead,
                                    lines});
            ahead += blocks * lines * line;
        });
    }
}

template <class T>
void product(const T* a, index a_row, index rows, const Packed<T>& b, Range blocks,
             const T* c0, index c0_row, T* c, index c_row, int first,
             int columns) noexcept {
    if (rows == 0) return;
    index block = blocks.begin;
    while (block < blocks.end) {
        const bool wide = block_width<T>(b.units, block) == block_units<T>;
        // Neighbouring full blocks whose panels are all fed form one run of panels.
        index run = 1;
        if (wide && b.panels == columns && rows <= 3)
            while (block + run < blocks.end &&
                   block_width<T>(b.units, block + run) == block_units<T>)
                ++run;
        const index offset = block * block_units<T> * columns;
        if (wide)
            product_block<T, 2>(a, a_row, rows, panel_at(b, block), b.k, run * b.panels,
                                c0 + offset + first * 2 * lanes<T>, c0_row,
                                c + offset + first * 2 * lanes<T>, c_row);
        else
            product_block<T, 1>(a, a_row, rows, panel_at(b, block), b.k, b.panels,
                                c0 + offset + first * lanes<T>, c0_row,
                                c + offset + first * lanes<T>, c_row);
        block += run;
    }
}

// A tile whose C ends inside a vector: goes through a small copy of the block.
template <class T, bool packed_a>
RNNEXT_INLINE void run_ragged(index height, Tile<T> t, bool wide, index filled) {
    T copy[row_tile * block_units<T>] = {};
    for (index m = 0; m < height; ++m)
        for (index j = 0; j < filled; ++j)
            copy[m * block_units<T> + j] = t.c0[m * t.c0_row + j];
    T* const c = t.c;
    const index c_row = t.c_row;
    t.c0 = t.c = copy;
    t.c0_row = t.c_row = block_units<T>;
    if (wide) run_tile<T, 2, packed_a>(height, 1, t);
    else run_tile<T, 1, packed_a>(height, 1, t);
    for (index m = 0; m < height; ++m)
        for (index j = 0; j < filled; ++j)
            c[m * c_row + j] = copy[m * block_units<T> + j];
}

// One block of one panel, whose `filled` columns of C may end inside a vector.
template <class T, bool packed_a>
RNNEXT_INLINE void run_exact(index height, const Tile<T>& t, index filled) {
    const bool wide = filled > lanes<T>;
    if (filled < (wide ? 2 : 1) * lanes<T>)
        run_ragged<T, packed_a>(height, t, wide, filled);
    else if (wide) run_tile<T, 2, packed_a>(height, 1, t);
    else run_tile<T, 1, packed_a>(height, 1, t);
}

template <class T>
void product_exact(const T* a, index a_row, index rows, const Packed<T>& b,
                   Range blocks, const T* c0, T* c, index c_row) noexcept {
    if (rows == 0) return;
    const index full = min(blocks.end, b.units / block_units<T>);
    const index u = blocks.begin * block_units<T>;
    if (blocks.begin < full)
        product_block<T, 2>(a, a_row, rows, panel_at(b, blocks.begin), b.k,
                            full - blocks.begin, c0 + u, 0, c + u, c_row);
    if (full == blocks.end) return;
    const index last = full * block_units<T>;
    for_row_tiles(rows, [&](index m, index height) RNNEXT_LAMBDA {
        run_exact<T, false>(height,
                            {a + m * a_row, a_row, panel_at(b, full), 0, b.k, c0 + last,
                             0, c + m * c_row + last, c_row, 0},
                            b.units - last);
    });
}

}  // namespace rnnext::RNNEXT_NAMESPACE
