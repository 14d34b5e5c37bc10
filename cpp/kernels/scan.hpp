// SPDX-License-Identifier: BSD-3-Clause
//
// The time loop over a cell, forward and backward, for a range of rows (sequences) and
// a range of blocks of hidden units. Threads that share the rows meet at `sync` once per
// step and product; threads that share only the weights never meet.
#pragma once

#include "cells.hpp"
#include "gemm.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

template <class Cell> constexpr CellTraits traits_of = cell_traits[int(Cell::kind)];
template <class Cell> constexpr bool two_products = traits_of<Cell>.h[1].count > 0;

// Rows that go through the products of all blocks before the cell is applied to any:
// their pre-activations fit the nearest cache, and the products run several panels wide.
constexpr index few_rows = 3;

// The first unit and the filled part of vector v of a block; calls f(unit, v, count).
template <class T, class F>
RNNEXT_INLINE void for_vectors(index units, index block, F&& f) {
    const index width = block_width<T>(units, block);
    for (index v = 0; v < width; v += lanes<T>) {
        const index unit = block * block_units<T> + v;
        f(unit, v, min(lanes<T>, units - unit));
    }
}

template <class T> RNNEXT_INLINE index slot_at(const ForwardScan<T>& f, index step) {
    const index slot = f.first_slot + step;
    return (f.ring ? slot & 1 : slot) * f.slot;
}

// ---- forward -------------------------------------------------------------------------

// The pre-activations of one vector of units, by column.
template <class Cell, class T>
RNNEXT_INLINE void load_columns(const T* a, index units, index block, index v,
                                Vec<T> (&columns)[traits_of<Cell>.columns]) {
    constexpr int count = traits_of<Cell>.columns;
    const index width = block_width<T>(units, block);
    const T* const base = a + block * block_units<T> * count + v;
    unroll<count>([&](auto p) RNNEXT_LAMBDA { columns[p] = load(base + p * width); });
}

// The cell's operand (r * h) for one block.
template <class Cell, class T>
RNNEXT_INLINE void apply_operand(const ForwardScan<T>& f, index step, Range rows,
                                 index block) {
    using V = Vec<T>;
    const T* const h = f.h + slot_at(f, step);
    for (index row = rows.begin; row < rows.end; ++row)
        for_vectors<T>(f.units, block, [&](index unit, index v, index count) RNNEXT_LAMBDA {
            V a[traits_of<Cell>.columns];
            load_columns<Cell, T>(f.a + step * f.a_time + row * f.a_row, f.units, block, v,
                                  a);
            const index at = row * f.units + unit;
            const State<V> prev{load_partial(h + at, count), V{}};
            store_partial(f.operand + at, Cell::operand(a, prev), count);
        });
}

template <class Cell, class T>
RNNEXT_INLINE void apply_forward(const ForwardScan<T>& f, index step, Range rows,
                                 index block) {
    using V = Vec<T>;
    const index before = slot_at(f, step), after = slot_at(f, step + 1);
    for (index row = rows.begin; row < rows.end; ++row)
        for_vectors<T>(f.units, block, [&](index unit, index v, index count) RNNEXT_LAMBDA {
            V a[traits_of<Cell>.columns];
            load_columns<Cell, T>(f.a + step * f.a_time + row * f.a_row, f.units, block, v,
                                  a);
            const index at = row * f.units + unit;
            State<V> prev{load_partial(f.h + before + at, count), V{}};
            if constexpr (traits_of<Cell>.has_c) prev.c = load_partial(f.c + before + at, count);
            V s[traits_of<Cell>.saved + 1];
            const State<V> now = Cell::forward(a, prev, s);
            store_partial(f.h + after + at, now.h, count);
            if constexpr (traits_of<Cell>.has_c) store_partial(f.c + after + at, now.c, count);
            store_partial(f.y + step * f.y_time + row * f.y_row + unit, now.h, count);
            if (traits_of<Cell>.saved && f.saved)
                unroll<traits_of<Cell>.saved>([&](auto i) RNNEXT_LAMBDA {
                    store_partial(f.saved + step * f.saved_time +
                                      (row * traits_of<Cell>.saved + i) * f.units + unit,
                                  s[i], count);
                });
        });
}

template <class Cell, class T>
void scan_forward(const ForwardScan<T>& f, Range rows, Range blocks, Sync sync) noexcept {
    const index height = rows.end - rows.begin;

    // Product number `which` of one step, then `apply` on every block.
    const auto phase = [&](index step, const T* operand, int which, auto apply)
                           RNNEXT_LAMBDA {
        T* const a = f.a + step * f.a_time + rows.begin * f.a_row;
        const T* const from = operand + rows.begin * f.units;
        const index stride = height <= few_rows ? blocks.end - blocks.begin : 1;
        for (index b = blocks.begin; b < blocks.end; b += stride) {
            product<T>(from, f.units, height, f.w[which], {b, b + stride}, a, f.a_row, a,
                       f.a_row, traits_of<Cell>.h[which].first, traits_of<Cell>.columns);
            for (index block = b; block < b + stride; ++block) apply(block);
        }
        if (sync.wait) sync.wait(sync.context);
    };

    for (index step = 0; step < f.steps; ++step) {
        const auto finish = [&](index block) RNNEXT_LAMBDA {
            apply_forward<Cell, T>(f, step, rows, block);
        };
        const T* const h = f.h + slot_at(f, step);
        if constexpr (two_products<Cell>) {
            phase(step, h, 0, [&](index block) RNNEXT_LAMBDA {
                apply_operand<Cell, T>(f, step, rows, block);
            });
            phase(step, f.operand, 1, finish);
        } else {
            phase(step, h, 0, finish);
        }
    }
}

// ---- backward ------------------------------------------------------------------------

// What one vector of units kept: the saved values and the states around the step.
template <class Cell, class T> struct Kept {
    Vec<T> s[traits_of<Cell>.saved + 1];
    State<Vec<T>> prev, now;
};

template <class Cell, class T>
RNNEXT_INLINE void load_kept(const BackwardScan<T>& f, index step, index row, index unit,
                             index count, Kept<Cell, T>& kept) {
    const index before = step * f.slot + row * f.units + unit, after = before + f.slot;
    kept.prev = {load_partial(f.h + before, count), Vec<T>{}};
    kept.now = {load_partial(f.h + after, count), Vec<T>{}};
    if constexpr (traits_of<Cell>.has_c) {
        kept.prev.c = load_partial(f.c + before, count);
        kept.now.c = load_partial(f.c + after, count);
    }
    unroll<traits_of<Cell>.saved>([&](auto i) RNNEXT_LAMBDA {
        kept.s[i] = load_partial(
            f.saved + step * f.saved_time + (row * traits_of<Cell>.saved + i) * f.units + unit,
            count);
    });
}

// dh and dc become the part that bypasses the recurrent weights; da is filled, but for
// the columns that wait for the operand's gradient.
template <class Cell, class T>
RNNEXT_INLINE void apply_backward(const BackwardScan<T>& f, index step, Range rows,
                                  index block) {
    using V = Vec<T>;
    for (index row = rows.begin; row < rows.end; ++row)
        for_vectors<T>(f.units, block, [&](index unit, index, index count) RNNEXT_LAMBDA {
            Kept<Cell, T> kept;
            load_kept<Cell, T>(f, step, row, unit, count, kept);
            T* const dh = f.dh + row * f.d_row + unit;
            T* const dc = f.dc + row * f.d_row + unit;
            State<V> d{load(dh), V{}};
            if (f.dy)
                d.h += load_partial(f.dy + step * f.dy_time + row * f.dy_row + unit, count);
            if constexpr (traits_of<Cell>.has_c) {
                d.c = load(dc);
                if (f.dc_all)
                    d.c += load_partial(
                        f.dc_all + step * f.dc_all_time + row * f.units + unit, count);
            }
            V da[traits_of<Cell>.columns] = {};
            const State<V> bypass = Cell::backward(kept.s, kept.prev, kept.now, d, da);
            store(dh, bypass.h);
            if constexpr (traits_of<Cell>.has_c) store(dc, bypass.c);
            unroll<traits_of<Cell>.columns>([&](auto p) RNNEXT_LAMBDA {
                store_partial(f.da + step * f.da_time +
                                  (row * traits_of<Cell>.columns + p) * f.units + unit,
                              da[p], count);
            });
            if constexpr (two_products<Cell>)
                store_partial(f.operand + step * f.operand_time + row * f.units + unit,
                              Cell::operand_again(kept.s, kept.prev), count);
        });
}

template <class Cell, class T>
RNNEXT_INLINE void apply_operand_backward(const BackwardScan<T>& f, index step, Range rows,
                                          index block) {
    using V = Vec<T>;
    for (index row = rows.begin; row < rows.end; ++row)
        for_vectors<T>(f.units, block, [&](index unit, index, index count) RNNEXT_LAMBDA {
            Kept<Cell, T> kept;
            load_kept<Cell, T>(f, step, row, unit, count, kept);
            T* const dh = f.dh + row * f.d_row + unit;
            T* const da_row =
                f.da + step * f.da_time + row * traits_of<Cell>.columns * f.units + unit;
            V da[traits_of<Cell>.columns];
            unroll<traits_of<Cell>.columns>([&](auto p) RNNEXT_LAMBDA {
                da[p] = load_partial(da_row + p * f.units, count);
            });
            const V through = Cell::operand_backward(
                kept.s, kept.prev, load(f.d_operand + row * f.d_row + unit), da);
            store(dh, load(dh) + through);
            unroll<traits_of<Cell>.h[0].count>([&](auto i) RNNEXT_LAMBDA {
                constexpr int p = traits_of<Cell>.h[0].first + i;
                store_partial(da_row + p * f.units, da[p], count);
            });
        });
}

template <class Cell, class T>
void scan_backward(const BackwardScan<T>& f, Range rows, Range blocks,
                   Sync sync) noexcept {
    const index height = rows.end - rows.begin;
    const index da_row = traits_of<Cell>.columns * f.units;

    // All columns of da that the product reads must be there: hence the wait.
    const auto multiply = [&](index step, int which, const T* c0, index c0_row, T* c)
                              RNNEXT_LAMBDA {
        if (sync.wait) sync.wait(sync.context);
        product<T>(f.da + step * f.da_time + rows.begin * da_row +
                       traits_of<Cell>.h[which].first * f.units,
                   da_row, height, f.w[which], blocks, c0, c0_row, c, f.d_row, 0, 1);
    };

    T* const dh = f.dh + rows.begin * f.d_row;
    for (index step = f.steps; step-- > 0;) {
        for (index block = blocks.begin; block < blocks.end; ++block)
            apply_backward<Cell, T>(f, step, rows, block);
        if constexpr (two_products<Cell>) {
            T* const d_operand = f.d_operand + rows.begin * f.d_row;
            multiply(step, 1, f.zeros, 0, d_operand);
            for (index block = blocks.begin; block < blocks.end; ++block)
                apply_operand_backward<Cell, T>(f, step, rows, block);
        }
        multiply(step, 0, dh, f.d_row, dh);
    }
}

}  // namespace rnnext::RNNEXT_NAMESPACE
