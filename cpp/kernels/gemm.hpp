// SPDX-License-Identifier: BSD-3-Clause
//
// The products of rows with packed matrices, by the micro-kernel of tile.hpp; with
// those that lie across in across.hpp, of two operands that both have just been
// computed in gradient.hpp.
#pragma once

#include "tile.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

// Panels that follow each other in B and C, times all rows of A. Few rows take several
// panels at a time; many rows keep one panel in the nearest cache, and the next comes
// to the second one meanwhile, as long panels are many and come from afar.
template <class T, int NV>
RNNEXT_INLINE void product_block(const T* a, index a_row, index rows, const T* b,
                                 index k, index panels, const T* c0, index c0_row, T* c,
                                 index c_row) {
    constexpr index width = NV * lanes<T>;
    const index together = rows < row_tile ? panels_at_once(int(rows)) : 1;
    constexpr index long_panel = 16384 / index(sizeof(T));
    const index blocks = ceil_div(k, sum_block);
    const RowTiles tiles(rows);
    const bool from_afar = tiles.count() > 1 && k * width > long_panel;
    const index calls = tiles.count() * blocks * lines_ahead;
    const index lines =
        from_afar ? ceil_div(k * width / line<T>, calls) * lines_ahead : 0;
    for (index p = 0; p < panels; p += together) {
        const index count = min(together, panels - p);
        const T* ahead = b + (p + count) * k * width;
        const T* const far = ahead + k * width;
        tiles.each([&](index m, index height) RNNEXT_LAMBDA {
            run_tile<T, NV, false>(height, count,
                                   {a + m * a_row, a_row, b + p * k * width, k * width,
                                    k, c0 + m * c0_row + p * width, c0_row,
                                    c + m * c_row + p * width, c_row, width, ahead,
                                    ahead < far ? lines : 0});
            ahead += blocks * lines * line<T>;
        });
    }
}

// Either of those that follow where B lies across: across.hpp.
template <class T>
void product_across(bool exact, const T* a, index a_row, index rows, const Packed<T>& b,
                    Range blocks, const T* c0, index c0_row, T* c,
                    index c_row) noexcept;

template <class T>
void product(const T* a, index a_row, index rows, const Packed<T>& b, Range blocks,
             const T* c0, index c0_row, T* c, index c_row, int first,
             int columns) noexcept {
    if (rows == 0) return;
    if (b.across)
        return product_across(false, a, a_row, rows, b, blocks, c0, c0_row, c, c_row);
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
    T copy[most_rows * block_units<T>] = {};
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
                   Range blocks, const T* c0, index c0_row, T* c,
                   index c_row) noexcept {
    if (rows == 0) return;
    if (b.across)
        return product_across(true, a, a_row, rows, b, blocks, c0, c0_row, c, c_row);
    const index full = min(blocks.end, b.units / block_units<T>);
    const index u = blocks.begin * block_units<T>;
    if (blocks.begin < full)
        product_block<T, 2>(a, a_row, rows, panel_at(b, blocks.begin), b.k,
                            full - blocks.begin, c0 + u, c0_row, c + u, c_row);
    if (full == blocks.end) return;
    const index last = full * block_units<T>;
    RowTiles(rows).each([&](index m, index height) RNNEXT_LAMBDA {
        run_exact<T, false>(height,
                            {a + m * a_row, a_row, panel_at(b, full), 0, b.k,
                             c0 + m * c0_row + last, c0_row, c + m * c_row + last,
                             c_row, 0},
                            b.units - last);
    });
}

// The blocks of a product's weights, some at a time, to and fro: a step begins with
// those that the step before read last. A cache that holds not all of them has these.
template <class T> class ToAndFro {
  public:
    RNNEXT_INLINE ToAndFro(const Packed<T>& w, Range blocks) : blocks_(blocks) {
        constexpr index least = 16384 / index(sizeof(T));
        const index block = block_units<T> * w.k * w.panels;
        if (block > 0)
            some_ = max(ceil_div(least, block), ceil_div(max_panels, w.panels));
    }

    // f(blocks) for some at a time.
    template <class F> RNNEXT_INLINE void each(index step, F&& f) const {
        const index count = blocks_.end - blocks_.begin;
        for (index i = 0; i < count; i += some_) {
            const index left = max(count - i - some_, 0), j = step & 1 ? left : i;
            f(Range{blocks_.begin + j, blocks_.begin + count - i - left + j});
        }
    }

  private:
    const Range blocks_;
    index some_ = 1;  // so many, in bytes and panels, that a product is worth beginning
};

// A product of one panel per block. Not inline: it is called from many places.
template <class T>
__attribute__((noinline)) void
product_to_and_fro(const T* a, index a_row, index rows, const Packed<T>& b,
                   const ToAndFro<T>& parts, index step, const T* c0, index c0_row,
                   T* c, index c_row) noexcept {
    parts.each(step, [&](Range part) RNNEXT_LAMBDA {
        product<T>(a, a_row, rows, b, part, c0, c0_row, c, c_row, 0, 1);
    });
}

}  // namespace rnnext::RNNEXT_NAMESPACE
