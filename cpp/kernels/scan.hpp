// SPDX-License-Identifier: BSD-3-Clause
//
// The time loop over a cell, forward and backward, for a range of rows (sequences) and
// a range of blocks of hidden units. Threads that share the rows meet at `sync` once
// per step and product; threads that share only the weights never meet. Of the rows,
// each step takes those that it has.
#pragma once

#include "cells.hpp"
#include "gemm.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

template <class Cell> constexpr CellTraits traits_of = cell_traits[int(Cell::kind)];
template <class Cell> constexpr bool two_products = traits_of<Cell>.h[1].count > 0;
// Whether h goes on to the next step beside the products as well.
template <class Cell>
constexpr bool bypasses =
    Cell::kind == CellKind::gru || Cell::kind == CellKind::gru_reset_before;
// What backward needs: the cell's values, then the slopes that a policy keeps.
template <class Cell, class Policy>
constexpr int saved_by =
    traits_of<Cell>.saved + (Policy::keeps_slopes ? traits_of<Cell>.gates : 0);

// Rows that go through the products of several blocks before the cell is applied to
// any: their pre-activations fit the nearest cache, and the products run several panels
// wide.
constexpr index few_rows = 3;

// A vector of hidden units of one row, or a pair, `count` of which exist; it begins at
// `v` of its block.
struct Place {
    index row, unit, count, block, v;
};

template <class V> struct As {
    using type = V;
};

// The i-th row to take of a range. A processor fetches ahead of rows that lie evenly,
// up to ten of them, and past the last would take away lines that another thread is
// about to write. So of the last, unless all threads have all rows and meet, the second
// and third of every four change places.
RNNEXT_INLINE index row_in_turn(Range rows, Sync sync, index i) {
    const index of_four = (i - rows.begin) & 3;
    if (sync.wait || rows.end - i + of_four > 16) return i;
    return i + (of_four == 1 && i + 1 < rows.end) - (of_four == 2);
}

// Calls f(place, As<V>) for all places of a block: V is Widest, or one vector where the
// block has no more.
template <class Widest, class F>
RNNEXT_INLINE void for_places(Range rows, Sync sync, index units, index block, F&& f) {
    using T = ScalarOf<Widest>;
    const index width = block_width<T>(units, block);
    const index first = block * block_units<T>;
    const auto all = [&](auto as) RNNEXT_LAMBDA {
        constexpr index step = elements<typename decltype(as)::type>;
        for (index i = rows.begin; i < rows.end; ++i) {
            const index row = row_in_turn(rows, sync, i);
            for (index v = 0; v < width; v += step)
                f(Place{row, first + v, min(step, units - first - v), block, v}, as);
        }
    };
    if constexpr (elements<Widest> > lanes<T>)
        if (width == lanes<T>) return all(As<Vec<T>>{});
    all(As<Widest>{});
}

// Those of a range of rows that take part in a step.
RNNEXT_INLINE Range rows_of(const Step& step, Range rows) {
    const index end = min(rows.end, step.rows);
    return {rows.begin, end < rows.begin ? rows.begin : end};
}

// The state that a step reads, and with step + 1 the one that it writes.
template <class T> RNNEXT_INLINE T* h_at(const ForwardScan<T>& f, index step) {
    return f.h + ((f.first_step + step) & 1) * f.slot;
}

// The same as the step's products read it.
template <class T> RNNEXT_INLINE T* fed_at(const ForwardScan<T>& f, index step) {
    return (f.dropped ? f.dropped : f.h) + ((f.first_step + step) & 1) * f.slot;
}

// ---- forward ----------------------------------------------------------------

// The pre-activations at a place, by column.
template <class Cell, class V> struct ColumnsAt {
    using T = ScalarOf<V>;
    V a[traits_of<Cell>.columns];

    RNNEXT_INLINE ColumnsAt(const ForwardScan<T>& f, index step, const Place& p) {
        constexpr int count = traits_of<Cell>.columns;
        const index width = block_width<T>(f.units, p.block);
        const T* const from = f.a + (f.step[step].a + p.row) * f.a_row +
                              p.block * block_units<T> * count + p.v;
        unroll<count>([&](auto i)
                          RNNEXT_LAMBDA { a[i] = Memory<V>::load(from + i * width); });
    }
};

template <class Cell, class Policy, class V, class T>
RNNEXT_INLINE void operand_at(const ForwardScan<T>& f, index step, const Place& p) {
    const ColumnsAt<Cell, V> columns(f, step, p);
    const index at = p.row * f.state_row + p.unit;
    const V h = Memory<V>::load(fed_at(f, step) + at);
    V slopes[traits_of<Cell>.gates];
    const Policy policy(f.options, p.unit, slopes);
    store(f.operand + at, Cell::operand(policy, columns.a, State<V>{h, {}}));
}

// A projection is compiled for the cells that may have one.
template <class Cell, class Scan> RNNEXT_INLINE bool is_projected(const Scan& f) {
    if constexpr (traits_of<Cell>.has_c) return f.projection.data != nullptr;
    else return false;
}

// h after a step, of `units`, to where it is read and kept.
template <class V, class T>
RNNEXT_INLINE void output_at(const ForwardScan<T>& f, index step, const Place& p,
                             index units, V h) {
    const index at = p.row * f.state_row + p.unit;
    store(h_at(f, step + 1) + at, h);
    if (f.dropped) store(fed_at(f, step + 1) + at, h * Memory<V>::load(f.factors + at));
    store_partial(f.y + (f.step[step].y + p.row) * f.y_row + p.unit, h, p.count);
    if (f.kept_h)
        store_partial(f.kept_h + (f.step[step].kept + p.row) * units + p.unit, h,
                      p.count);
}

// From what all threads left unprojected.
template <class T>
RNNEXT_INLINE void project(const ForwardScan<T>& f, index step, Range rows, Sync sync) {
    const index units = f.projection.units, first = rows.begin * f.state_row;
    T* const h = h_at(f, step + 1);
    product<T>(f.unprojected + first, f.state_row, rows.end - rows.begin, f.projection,
               f.projected, f.zeros, 0, h + first, f.state_row, 0, 1);
    for (index block = f.projected.begin; block < f.projected.end; ++block)
        for_places<Vec<T>>(
            rows, sync, units, block, [&](const Place& p, auto) RNNEXT_LAMBDA {
                output_at(f, step, p, units, load(h + p.row * f.state_row + p.unit));
            });
    if (sync.wait) sync.wait(sync.context);
}

template <class Cell, class Policy, class V, class T>
RNNEXT_INLINE void forward_at(const ForwardScan<T>& f, index step, const Place& p) {
    constexpr int saved = saved_by<Cell, Policy>;
    const ColumnsAt<Cell, V> columns(f, step, p);
    const index at = p.row * f.state_row + p.unit;

    State<V> prev{Memory<V>::load(h_at(f, step) + at), {}};
    if constexpr (traits_of<Cell>.has_c) prev.c = Memory<V>::load(f.c + at);
    V s[saved + 1];
    const Policy policy(f.options, p.unit, s + traits_of<Cell>.saved);
    const State<V> now = Cell::forward(policy, columns.a, prev, s);

    if constexpr (traits_of<Cell>.has_c) {
        store(f.c + at, now.c);
        if (f.kept_c)
            store_partial(f.kept_c + (f.step[step].kept + p.row) * f.units + p.unit,
                          now.c, p.count);
    }
    if (is_projected<Cell>(f)) store(f.unprojected + at, now.h);
    else output_at(f, step, p, f.units, now.h);
    const index kept = (f.step[step].kept + p.row) * f.units;
    if (saved && f.saved) {
        T* const to = f.saved + kept * saved + p.unit;
        unroll<saved>([&](auto i) RNNEXT_LAMBDA {
            store_partial(to + i * f.units, s[i], p.count);
        });
    }
}

template <class Cell, class Policy, class T>
void scan_forward(const ForwardScan<T>& f, Range rows, Range blocks,
                  Sync sync) noexcept {
    // Product number `which` of one step, then `apply` at every place.
    const ToAndFro<T> parts[] = {{f.w[0], blocks}, {f.w[1], blocks}};
    const auto phase = [&](index step, const T* operand, int which,
                           auto apply) RNNEXT_LAMBDA {
        const Range mine = rows_of(f.step[step], rows);
        const index height = mine.end - mine.begin;
        T* const a = f.a + (f.step[step].a + rows.begin) * f.a_row;
        const T* const from = operand + rows.begin * f.state_row;
        const index turn = height < many_rows ? f.first_step + step : 0;
        parts[which].each(turn, [&](Range part) RNNEXT_LAMBDA {
            const index stride = height <= few_rows ? part.end - part.begin : 1;
            for (index b = part.begin; b < part.end; b += stride) {
                product<T>(from, f.state_row, height, f.w[which], {b, b + stride}, a,
                           f.a_row, a, f.a_row, traits_of<Cell>.h[which].first,
                           traits_of<Cell>.columns);
                for (index block = b; block < b + stride; ++block)
                    for_places<typename Policy::Place>(mine, sync, f.units, block,
                                                       apply);
            }
        });
        if (sync.wait) sync.wait(sync.context);
    };

    for (index step = 0; step < f.steps; ++step) {
        const auto finish = [&](const Place& p, auto as) RNNEXT_LAMBDA {
            forward_at<Cell, Policy, typename decltype(as)::type>(f, step, p);
        };
        const T* const h = fed_at(f, step);
        if constexpr (two_products<Cell>) {
            phase(step, h, 0, [&](const Place& p, auto as) RNNEXT_LAMBDA {
                operand_at<Cell, Policy, typename decltype(as)::type>(f, step, p);
            });
            phase(step, f.operand, 1, finish);
        } else {
            phase(step, h, 0, finish);
            if (is_projected<Cell>(f))
                project(f, step, rows_of(f.step[step], rows), sync);
        }
    }
}

// ---- backward ---------------------------------------------------------------

// What forward kept at a place: the saved values and the states around the step.
template <class Cell, class Policy, class T> struct KeptAt {
    Vec<T> s[saved_by<Cell, Policy> + 1];
    State<Vec<T>> prev{}, now{};

    RNNEXT_INLINE KeptAt(const BackwardScan<T>& f, index step, const Place& p) {
        constexpr int saved = saved_by<Cell, Policy>;
        const index before = (f.step[step].before + p.row) * f.units + p.unit;
        const index kept = (f.step[step].kept + p.row) * f.units;
        if constexpr (traits_of<Cell>.has_c) {  // and no need of h
            prev.c = load_partial(f.c + before, p.count);
            now.c = load_partial(f.kept_c + kept + p.unit, p.count);
        } else {
            prev.h = load_partial(f.h + before, p.count);
            now.h = load_partial(f.kept_h + kept + p.unit, p.count);
        }
        const T* const from = f.saved + kept * saved + p.unit;
        unroll<saved>([&](auto i) RNNEXT_LAMBDA {
            s[i] = load_partial(from + i * f.units, p.count);
        });
    }
};

// h as the products read it, and gradients of that as those of h.
template <class T>
RNNEXT_INLINE Vec<T> dropped_at(const BackwardScan<T>& f, const Place& p, Vec<T> h) {
    return f.factors ? h * load(f.factors + p.row * f.d_row + p.unit) : h;
}

// h before a step, of `units`, as its products read it, once more.
template <class T>
RNNEXT_INLINE void drop_again(const BackwardScan<T>& f, index step, const Place& p,
                              index units) {
    const Step& at = f.step[step];
    const Vec<T> h = load_partial(f.h + (at.before + p.row) * units + p.unit, p.count);
    store_partial(f.dropped + (at.a + p.row) * units + p.unit, dropped_at(f, p, h),
                  p.count);
}

// The gradient of what was projected, for the caller's blocks of units.
template <class T>
RNNEXT_INLINE void project_backward(const BackwardScan<T>& f, index step, Range rows,
                                    Range blocks, Sync sync) {
    const index units = f.projection.k;
    for (index block = f.projected.begin; block < f.projected.end; ++block)
        for_places<Vec<T>>(
            rows, sync, units, block, [&](const Place& p, auto) RNNEXT_LAMBDA {
                Vec<T> dh = load(f.dh + p.row * f.d_row + p.unit);
                if (f.dy)
                    dh += load_partial(
                        f.dy + (f.step[step].y + p.row) * f.dy_row + p.unit, p.count);
                store_partial(f.d_projected + (f.step[step].a + p.row) * units + p.unit,
                              dh, p.count);
                if (f.dropped) drop_again(f, step, p, units);
            });
    if (sync.wait) sync.wait(sync.context);
    product<T>(f.d_projected + (f.step[step].a + rows.begin) * units, units,
               rows.end - rows.begin, f.projection, blocks, f.zeros, 0,
               f.d_unprojected + rows.begin * f.d_row, f.d_row, 0, 1);
}

// dh and dc become the part that bypasses the recurrent weights; da is filled, but for
// the columns that wait for the operand's gradient.
template <class Cell, class Policy, class T>
RNNEXT_INLINE void backward_at(const BackwardScan<T>& f, index step, const Place& p) {
    constexpr int columns = traits_of<Cell>.columns;
    using V = Vec<T>;
    KeptAt<Cell, Policy, T> kept(f, step, p);
    T* const dh = f.dh + p.row * f.d_row + p.unit;
    T* const dc = f.dc + p.row * f.d_row + p.unit;

    const index row = f.step[step].a + p.row;
    const bool projected = is_projected<Cell>(f);
    State<V> d{load(projected ? f.d_unprojected + p.row * f.d_row + p.unit : dh), {}};
    if (f.dy && !projected)
        d.h +=
            load_partial(f.dy + (f.step[step].y + p.row) * f.dy_row + p.unit, p.count);
    if constexpr (traits_of<Cell>.has_c) {
        d.c = load(dc);
        if (f.dc_all)
            d.c += load_partial(
                f.dc_all + (f.step[step].kept + p.row) * f.units + p.unit, p.count);
    }
    V da[columns] = {};
    Policy policy(f.options, p.unit, kept.s + traits_of<Cell>.saved);
    const State<V> bypass = Cell::backward(policy, kept.s, kept.prev, kept.now, d, da);

    if (!projected) store(dh, bypass.h);
    if constexpr (traits_of<Cell>.has_c) store(dc, bypass.c);
    T* const to = f.da + row * f.da_row + p.unit;
    unroll<columns>(
        [&](auto i) RNNEXT_LAMBDA { store_partial(to + i * f.units, da[i], p.count); });
    policy.store_peephole_terms(to + columns * f.units, f.units, p.count);
    if constexpr (traits_of<Cell>.has_c)
        if (projected)
            store_partial(f.unprojected + row * f.units + p.unit,
                          Cell::output(policy, kept.s, kept.now), p.count);
    if (f.dropped && !projected) drop_again(f, step, p, f.units);
    if constexpr (two_products<Cell>) {
        const State<V> fed{dropped_at(f, p, kept.prev.h), {}};
        store_partial(f.operand + row * f.units + p.unit,
                      Cell::operand_again(kept.s, fed), p.count);
    }
}

// Completes da, and dh with what comes through the operand.
template <class Cell, class Policy, class T>
RNNEXT_INLINE void operand_backward_at(const BackwardScan<T>& f, index step,
                                       const Place& p) {
    constexpr int columns = traits_of<Cell>.columns;
    constexpr Columns completed = traits_of<Cell>.h[0];
    KeptAt<Cell, Policy, T> kept(f, step, p);
    T* const dh = f.dh + p.row * f.d_row + p.unit;
    T* const to = f.da + (f.step[step].a + p.row) * f.da_row + p.unit;

    Vec<T> da[columns];
    unroll<columns>(
        [&](auto i) RNNEXT_LAMBDA { da[i] = load_partial(to + i * f.units, p.count); });
    const Vec<T> d_operand = load(f.d_operand + p.row * f.d_row + p.unit);
    const Policy policy(f.options, p.unit, kept.s + traits_of<Cell>.saved);
    const State<Vec<T>> fed{dropped_at(f, p, kept.prev.h), {}};
    const Vec<T> d_fed = Cell::operand_backward(policy, kept.s, fed, d_operand, da);
    store(dh, load(dh) + dropped_at(f, p, d_fed));
    for (int i = completed.first; i < completed.first + completed.count; ++i)
        store_partial(to + i * f.units, da[i], p.count);
}

template <class Cell, class Policy, class T>
void scan_backward(const BackwardScan<T>& f, Range rows, Range blocks,
                   Sync sync) noexcept {
    const bool projected = is_projected<Cell>(f);
    const Range fed = projected ? f.projected : blocks;  // of what the products read
    const index fed_units = projected ? f.projection.k : f.units;

    const ToAndFro<T> parts[] = {{f.w[0], fed}, {f.w[1], fed}};
    // All columns of da that the product reads must be there: hence the wait.
    const auto multiply = [&](index step, int which, const T* c0, index c0_row,
                              T* c) RNNEXT_LAMBDA {
        if (sync.wait) sync.wait(sync.context);
        const Range mine = rows_of(f.step[step], rows);
        const T* const from = f.da + (f.step[step].a + rows.begin) * f.da_row +
                              traits_of<Cell>.h[which].first * f.units;
        product_to_and_fro<T>(from, f.da_row, mine.end - mine.begin, f.w[which],
                              parts[which], step, c0, c0_row, c, f.d_row);
    };

    T* const dh = f.dh + rows.begin * f.d_row;
    for (index step = f.steps; step-- > 0;) {
        const Range mine = rows_of(f.step[step], rows);
        if (projected) project_backward(f, step, mine, blocks, sync);
        for (index block = blocks.begin; block < blocks.end; ++block)
            for_places<Vec<T>>(mine, sync, f.units, block,
                               [&](const Place& p, auto) RNNEXT_LAMBDA {
                                   backward_at<Cell, Policy, T>(f, step, p);
                               });
        if constexpr (two_products<Cell>) {
            T* const d_operand = f.d_operand + rows.begin * f.d_row;
            multiply(step, 1, f.zeros, 0, d_operand);
            for (index block = blocks.begin; block < blocks.end; ++block)
                for_places<Vec<T>>(mine, sync, f.units, block,
                                   [&](const Place& p, auto) RNNEXT_LAMBDA {
                                       operand_backward_at<Cell, Policy, T>(f, step, p);
                                   });
        }
        if (!f.factors && !bypasses<Cell>) {
            multiply(step, 0, f.zeros, 0, dh);
            continue;
        }
        // Sums of blocks, added to a bypass that is larger than they are, would each be
        // rounded as coarsely as that.
        multiply(step, 0, f.zeros, 0, f.d_operand + rows.begin * f.d_row);
        for (index block = fed.begin; block < fed.end; ++block)
            for_places<Vec<T>>(
                mine, sync, fed_units, block, [&](const Place& p, auto) RNNEXT_LAMBDA {
                    const index at = p.row * f.d_row + p.unit;
                    const Vec<T> d_fed = dropped_at(f, p, load(f.d_operand + at));
                    store(f.dh + at, projected ? d_fed : load(f.dh + at) + d_fed);
                });
    }
}

}  // namespace rnnext::RNNEXT_NAMESPACE
