// SPDX-License-Identifier: BSD-3-Clause
//
// One micro-kernel: a tile of C, of some rows and panels, over all k.
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

// Accumulators that fit the register file beside the operands, and the rows of a tile.
#if RNNEXT_VECTOR_BYTES == 64
constexpr int accumulators = 14;  // 7 rows x 2 vectors, and C as well, of 32 registers
#elif defined(__aarch64__)
constexpr int accumulators = 16;  // 8 x 2: GCC spills at 24
#else
constexpr int accumulators = 12;  // 6 x 2 of 16 registers
#endif
constexpr int row_tile = accumulators / 2;

// Rows of a tall tile, or 0: two vectors of each fill the register file, and C is in
// memory. Where the processor stores a whole vector at once, many rows are faster so:
// fewer reads for as many multiply-adds, and a panel is read less often.
#if RNNEXT_VECTOR_BYTES == 64
constexpr int tall_tile = 12;
#else
constexpr int tall_tile = 0;
#endif
constexpr int most_rows = tall_tile > row_tile ? tall_tile : row_tile;
extern bool tall_tiles;  // whether they are faster here

constexpr int max_panels = 4;   // that one tile covers
constexpr int lines_ahead = 4;  // called for at a time

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
    // What is read next, of which every block of sums calls for so many cache lines, a
    // multiple of `lines_ahead`.
    const T* ahead = nullptr;
    index ahead_lines = 0;
};

// Where a tile has come to in A, of unit stride or packed as [k][M], and in B. It goes
// on from one block of sums to the next: where another thread shares the core, every
// instruction takes time, not the multiply-adds alone.
template <class T, int M, int NV, bool packed_a> struct Operands {
    static constexpr int width = NV * lanes<T>;
    // Three rows share a pointer: its address, plus one or two row strides.
    static constexpr int groups = packed_a ? 1 : (M + 2) / 3;

    RNNEXT_INLINE explicit Operands(const Tile<T>& t)
        : a_row(t.a_row), b(t.b), b_panel(t.b_panel) {
        unroll<groups>([&](auto i) RNNEXT_LAMBDA { a[i] = t.a + 3 * i * a_row; });
    }
    // Of the row m and of the vector v, `ahead` steps on.
    template <class Row, class Ahead>
    RNNEXT_INLINE Vec<T> broadcast(Row m, Ahead ahead) const {
        if constexpr (packed_a) return splat(a[0][m + ahead * M]);
        else return splat(a[m / 3][(m % 3) * a_row + ahead]);
    }
    template <class Column, class Ahead>
    RNNEXT_INLINE Vec<T> weights(Column v, Ahead ahead) const {
        return load(b + ahead * width + (v / NV) * b_panel + (v % NV) * lanes<T>);
    }
    template <class Count> RNNEXT_INLINE void advance(Count count) {
        b += count * width;
        constexpr int step = packed_a ? M : 1;
        unroll<groups>([&](auto i) RNNEXT_LAMBDA { a[i] += count * step; });
    }

    const T* a[groups];
    const index a_row;
    const T* b;
    const index b_panel;
};

// The product over up to sum_block values of k.
template <class T, int M, int P, int NV, bool packed_a>
RNNEXT_INLINE void multiply_block(Operands<T, M, NV, packed_a>& at, index k_size,
                                  Vec<T> (&acc)[M][P * NV]) {
    const auto one = [&](auto ahead) RNNEXT_LAMBDA {
        if constexpr (M == 1) {
            const Vec<T> x = at.broadcast(Int<0>{}, ahead);
            unroll<P * NV>([&](auto v) RNNEXT_LAMBDA {
                acc[0][v] = fma(x, at.weights(v, ahead), acc[0][v]);
                hold(acc[0][v]);
            });
        } else if constexpr (M <= 3) {
            Vec<T> x[M];
            unroll<M>([&](auto m) RNNEXT_LAMBDA { x[m] = at.broadcast(m, ahead); });
            unroll<P * NV>([&](auto v) RNNEXT_LAMBDA {
                const Vec<T> w = at.weights(v, ahead);
                unroll<M>([&](auto m)
                              RNNEXT_LAMBDA { accumulate(acc[m][v], x[m], w); });
            });
        } else {
            Vec<T> w[P * NV];
            unroll<P * NV>([&](auto v) RNNEXT_LAMBDA { w[v] = at.weights(v, ahead); });
            unroll<M>([&](auto m) RNNEXT_LAMBDA {
                const Vec<T> x = at.broadcast(m, ahead);
                unroll<P * NV>([&](auto v)
                                   RNNEXT_LAMBDA { accumulate(acc[m][v], x, w[v]); });
            });
        }
    };
    // A whole block is a loop of known length, which the branch predictor learns.
#if defined(RNNEXT_COMPACT)
    constexpr int together = 1;  // sanitizers multiply the code as it is
#else
    constexpr int together = M <= 4 ? 2 : 4;
#endif
    if (k_size == sum_block) {
        for (index k = 0; k < sum_block; k += together) {
            unroll<together>(one);
            at.advance(Int<together>{});
        }
        return;
    }
    for (index k = 0; k < k_size; ++k) {
        one(Int<0>{});
        at.advance(Int<1>{});
    }
}

// C0 may come from far: it is called for before the first block's products, where these
// take long enough.
template <class T, int M, int P, int NV>
RNNEXT_INLINE void prefetch_c0(const Tile<T>& t) {
    constexpr int panel = NV * lanes<T>;
    constexpr index worth_prefetching = 8;
    if (t.k < worth_prefetching) return;
    unroll<M>([&](auto m) RNNEXT_LAMBDA {
        unroll<(P * panel + line<T> - 1) / line<T>>([&](auto i) RNNEXT_LAMBDA {
            constexpr int at = i * line<T>;
            __builtin_prefetch(t.c0 + m * t.c0_row + at / panel * t.c_panel +
                               at % panel);
        });
    });
}

// The tile of C, from C0 on through all blocks of sums: in registers, if there are as
// many again as the accumulators take. Where a store takes as long as two multiply-adds
// a tall tile, which loads and stores all of C after each block, is slower.
template <class T, int M, int P, int NV> struct HeldTile {
    RNNEXT_INLINE void add(const Tile<T>& t, const Vec<T> (&acc)[M][P * NV],
                           index left) {
        if (left == t.k)
            each([&](auto m, auto v) RNNEXT_LAMBDA {
                c[m][v] =
                    load(t.c0 + m * t.c0_row + v / NV * t.c_panel + v % NV * lanes<T>);
            });
        each([&](auto m, auto v) RNNEXT_LAMBDA {
            c[m][v] += acc[m][v];
            hold(c[m][v]);
        });
        if (left > sum_block) return;
        each([&](auto m, auto v) RNNEXT_LAMBDA {
            store(t.c + m * t.c_row + v / NV * t.c_panel + v % NV * lanes<T>, c[m][v]);
        });
    }
    template <class F> static RNNEXT_INLINE void each(F&& f) {
        unroll<M>([&](auto m) RNNEXT_LAMBDA {
            unroll<P * NV>([&](auto v) RNNEXT_LAMBDA { f(m, v); });
        });
    }

    Vec<T> c[M][P * NV];
};

// Or in a small tile of its own in memory: rows of C may lie a multiple of 4 KB apart,
// where they push each other out of the nearest cache.
template <class T, int M, int P, int NV> struct StoredTile {
    static constexpr int panel = NV * lanes<T>, width = P * panel;

    RNNEXT_INLINE void add(const Tile<T>& t, const Vec<T> (&acc)[M][P * NV],
                           index left) {
        const bool first = left == t.k, last = left <= sum_block;
        if (first || last)
            pass(acc, first ? t.c0 : sums, first ? t.c0_row : width,
                 first ? t.c_panel : panel, last ? t.c : sums, last ? t.c_row : width,
                 last ? t.c_panel : panel);
        else pass(acc, sums, width, panel, sums, width, panel);
    }

    static RNNEXT_INLINE void pass(const Vec<T> (&acc)[M][P * NV], const T* from,
                                   index from_row, index from_panel, T* to,
                                   index to_row, index to_panel) {
        unroll<M>([&](auto m) RNNEXT_LAMBDA {
            unroll<P * NV>([&](auto v) RNNEXT_LAMBDA {
                const index p = v / NV, x = v % NV * lanes<T>;
                store(to + p * to_panel + x,
                      load<T>(from + p * from_panel + x) + acc[m][v]);
            });
            from += from_row;
            to += to_row;
        });
    }

    alignas(64) T sums[M * width];
};

template <bool held> struct TileOfC {
    template <class T, int M, int P, int NV> using type = StoredTile<T, M, P, NV>;
};
template <> struct TileOfC<true> {
    template <class T, int M, int P, int NV> using type = HeldTile<T, M, P, NV>;
};

template <class T, int M, int P, int NV, bool packed_a>
void micro_kernel(const Tile<T>& t) noexcept {
    constexpr bool held = RNNEXT_VECTOR_BYTES == 64 && M != tall_tile;
    prefetch_c0<T, M, P, NV>(t);
    typename TileOfC<held>::template type<T, M, P, NV> c;
    const T* ahead = t.ahead;
    Operands<T, M, NV, packed_a> at(t);
    for (index left = t.k; left > 0; left -= sum_block) {
        for (index i = 0; i < t.ahead_lines; i += lines_ahead) {
            unroll<lines_ahead>([&](auto l) RNNEXT_LAMBDA {
                __builtin_prefetch(ahead + l * line<T>, 0, 2);
            });
            ahead += lines_ahead * line<T>;
        }
        Vec<T> acc[M][P * NV] = {};
        multiply_block<T, M, P, NV, packed_a>(at, min(sum_block, left), acc);
        c.add(t, acc, left);
    }
}

// Calls the micro-kernel of `rows` x `panels`; the pair must fit `accumulators`, or be
// a tall tile of one panel.
template <class T, int NV, bool packed_a, int M = 1, int P = 1>
RNNEXT_INLINE void run_tile(index rows, index panels, const Tile<T>& t) {
    if constexpr (M == 1 && P == 1 && tall_tile > 0)
        if (rows == tall_tile) return micro_kernel<T, tall_tile, 1, NV, packed_a>(t);
    if constexpr (M <= row_tile) {
        if (rows != M) return run_tile<T, NV, packed_a, M + 1, 1>(rows, panels, t);
        if constexpr (P < panels_at_once(M))
            if (panels != P)
                return run_tile<T, NV, packed_a, M, P + 1>(rows, panels, t);
        micro_kernel<T, M, P, NV, packed_a>(t);
    }
}

// How rows are cut: into tall tiles, where these are faster, and then into some of
// nearly equal height. One to three rows alone would take as long as half a tall tile:
// they share the rows of the last one.
struct RowTiles {
    RNNEXT_INLINE explicit RowTiles(index rows)
        : tall(tall_tiles_of(rows)), rows(rows) {}

    RNNEXT_INLINE index count() const {
        return tall + ceil_div(rows - tall * tall_tile, index(row_tile));
    }

    // f(first row, rows) for every tile.
    template <class F> RNNEXT_INLINE void each(F&& f) const {
        const index end_of_tall = tall * tall_tile, rest = rows - end_of_tall;
        for (index begin = 0; begin < end_of_tall; begin += tall_tile)
            f(begin, index(tall_tile));
        const index tiles = ceil_div(rest, index(row_tile));
        for (index i = 0, begin = 0; i < tiles; ++i) {
            const index end = rest * (i + 1) / tiles;
            f(end_of_tall + begin, end - begin);
            begin = end;
        }
    }

    const index tall, rows;

  private:
    static RNNEXT_INLINE index tall_tiles_of(index rows) {
        if constexpr (tall_tile > 0)
            if (__atomic_load_n(&tall_tiles, __ATOMIC_RELAXED)) {
                const index tiles = rows / tall_tile, left = rows % tall_tile;
                return tiles - (tiles > 0 && left > 0 && left <= 3);
            }
        return 0;
    }
};

}  // namespace rnnext::RNNEXT_NAMESPACE
