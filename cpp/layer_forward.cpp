// SPDX-License-Identifier: BSD-3-Clause
#include "layer_forward.hpp"

#include "tokens.hpp"

namespace rnnext {

double forward_flops(const CellTraits& cell, index T_, index N, index I, index H) {
    return 2.0 * double(T_) * double(N) * cell.gates * double(H) * double(I + H);
}

namespace {

// Whether rows of n elements, one after the other, all fall on one set of the nearest
// cache, so that a tile of them does not fit there.
template <class T> bool rows_collide(index n) { return n * sizeof(T) % 4096 == 0; }

// Bytes of a thread's weights, and panels, that a single step takes at once at least,
// and bytes of so many that it pays to.
constexpr index step_piece = index(128) << 10, step_panels = 4;
constexpr index large_step = 4 * step_piece;

}  // namespace

template <class T>
Forward<T>::Forward(const LayerForward<T>& call, const Schedule& plan, Scratch& scratch)
    : call_(call), w_(call.weights), all_(call.steps()), plan_(plan),
      training_(call.cache != nullptr) {
    const index I = w_.input_size, rows = plan_.chunk * plan_.slab;
    steps_ = scratch.take<Step>({plan_.threads, plan_.chunk});
    const index a_size = elements<T>({rows, w_.a_row()});
    const bool is_small = a_size * index(sizeof(T)) <= index(512) << 10;
    a_stride_ = is_small ? a_size + row_stride<T>(index(4096 / sizeof(T))) : 0;
    a_ = scratch.take<T>({a_size + (plan_.threads - 1) * a_stride_});
    if (call.x && (call.runs || (call.N > 1 && rows_collide<T>(I))))
        apart_ = scratch.take<T>({rows, row_stride<T>(I)});
    if (call.runs) y_ = scratch.take<T>({rows, w_.state_size});
    if (w_.traits.h[1].count) operand_ = scratch.take<T>({plan_.slab, w_.state_row()});
    h_ = scratch.take<T>({2, all_.count(), w_.state_row()});
    if (call.factors) {
        factors_ = scratch.take<T>({all_.count(), w_.state_row()});
        dropped_ = scratch.take<T>({2, all_.count(), w_.state_row()});
    }
    if (w_.traits.has_c) c_ = scratch.take<T>({all_.count(), w_.state_row()});
    if (all_.steps() == 1 && w_.bytes() >= large_step) turn_ = w_.next_turn();
    if (!w_.has_projection()) return;
    unprojected_ = scratch.take<T>({plan_.slab, w_.state_row()});
    zeros_ = scratch.take<T>({w_.state_row()});
    std::fill_n(zeros_, w_.state_row(), T(0));
}

template <class T> void Forward<T>::begin() {
    const index H = w_.hidden_size, P = w_.state_size;
    begin(call_.h_0, P, h_, training_ ? call_.cache->h : nullptr);
    if (c_) begin(call_.c_0, H, c_, training_ ? call_.cache->c : nullptr);
    if (factors_) begin_dropout();
}

template <class T> void Forward<T>::end() {
    const index H = w_.hidden_size, P = w_.state_size;
    if (call_.runs) fill_gaps(*call_.runs, call_.hold, P, call_.y, call_.y_row);
    end(h_, P, true, call_.h_n);
    if (c_ && call_.c_n) end(c_, H, false, call_.c_n);
}

// Initial states of `width` to where the scan and backward read them.
template <class T>
void Forward<T>::begin(const T* state_0, index width, T* state, T* kept) {
    const index row = w_.state_row();
    for (index i = 0; i < all_.count(); ++i) {
        const T* const from = state_0 ? state_0 + all_.of(i) * width : nullptr;
        copy_row(from, width, state + i * row, row);
        if (kept) copy_or_zero(from, width, kept + i * width);
    }
}

template <class T> void Forward<T>::begin_dropout() {
    begin(call_.factors, w_.state_size, factors_, nullptr);
    for (index i = 0; i < all_.count() * w_.state_row(); ++i)
        dropped_[i] = h_[i] * factors_[i];
}

// `ring`: of two slots, of which the last step wrote that of its number.
template <class T>
void Forward<T>::end(const T* state, index width, bool ring, T* state_n) {
    const index row = w_.state_row();
    for (index i = 0; i < all_.count(); ++i) {
        if (!all_.is_last(i)) continue;
        const index slot = ring ? (all_.length(i) & 1) * all_.count() : 0;
        copy(state + (slot + i) * row, width, state_n + all_.of(i) * width);
    }
}

template <class T> bool Forward<T>::run(const Team& team, Stop& stop) {
    for (index first = 0; first < all_.count(); first += plan_.slab)
        if (!slab(team, {first, std::min(first + plan_.slab, all_.count())}, stop))
            return false;
    return true;
}

// False: stopped.
template <class T>
bool Forward<T>::slab(const Team& team, Range sequences, Stop& stop) {
    const Schedule::Part part = plan_.part(team, all_, sequences, w_.blocks());
    // Threads that have the same rows of all scratch to the end need not meet.
    const bool independent = plan_.split == Split::rows && !call_.runs && !apart_ &&
                             plan_.slab >= all_.count();
    for (index first = 0; first < all_.steps(); first += plan_.chunk) {
        const bool is_first = first == 0 && sequences.begin == 0;
        if (!is_first && (independent ? stop.asked(team.thread) : stop.now(team)))
            return false;
        chunk(team, part, sequences, first);
    }
    return true;
}

template <class T> void Forward<T>::chunk(index first) {
    const Range sequences{0, all_.count()};
    Barrier nobody(1, nullptr);
    const Team alone{0, 1, nobody};
    chunk(alone, plan_.part(alone, all_, sequences, w_.blocks()), sequences, first);
}

template <class T>
void Forward<T>::chunk(const Team& team, const Schedule::Part& part, Range sequences,
                       index first) {
    const Chunk chunk(all_, first, std::min(plan_.chunk, all_.steps() - first),
                      sequences, steps_ + team.thread * plan_.chunk);
    if (is_single_step()) return single_step(team, chunk, part, sequences.begin);
    project(team, chunk, part);
    const Range projected =
        w_.has_projection() ? plan_.share(team, w_.state_blocks()) : Range{};
    scan(chunk, part, projected, sequences.begin, a_of(team), plan_.sync(team));
    if (call_.runs)
        scatter(chunk, part.rows,
                w_.state_units(w_.has_projection() ? projected : part.blocks));
}

// One after which nobody reads the whole of h: threads need not meet.
template <class T> bool Forward<T>::is_single_step() const {
    return all_.steps() == 1 && plan_.slab >= all_.count() && !call_.runs && !apart_ &&
           !operand_ && !unprojected_;
}

// Large weights go some blocks at a time, those of x and of h, and to and fro from call
// to call: each begins with the last of the one before, which a cache still holds.
template <class T>
void Forward<T>::single_step(const Team& team, const Chunk& chunk,
                             const Schedule::Part& part, index slab) {
    const index count = part.blocks.end - part.blocks.begin;
    const index bytes = w_.bytes() * count / w_.blocks();
    const bool at_once =
        bytes < large_step || part.rows.end - part.rows.begin >= many_rows;
    const index most = count * w_.traits.gates / step_panels;
    const index pieces =
        at_once ? 1
                : std::clamp<index>(bytes / step_piece, 1, std::max<index>(most, 1));
    for (index i = 0; i < pieces; ++i) {
        const index j = turn_ & 1 ? pieces - 1 - i : i;
        const Schedule::Part piece{part.rows,
                                   {part.blocks.begin + count * j / pieces,
                                    part.blocks.begin + count * (j + 1) / pieces},
                                   part.all_rows};
        project(team, chunk, piece);
        scan(chunk, piece, {}, slab, a_of(team), {nullptr, nullptr});
    }
}

// Pre-activations of a chunk: bias + x W_ih. Columns that x does not feed get their
// bias alone.
template <class T>
void Forward<T>::project(const Team& team, const Chunk& chunk,
                         const Schedule::Part& part) {
    if (call_.tokens) return project_tokens(team, chunk, part);
    const index I = w_.input_size, row = w_.a_row();
    if (apart_) {  // the last readers have met since, between the chunks
        const Range mine = team.share(chunk.rows);
        for (index i = 0; i < chunk.count; ++i) {
            const Step& step = chunk.stored(i);
            for (index r = std::max(mine.begin, step.a);
                 r < std::min(mine.end, step.a + step.rows); ++r)
                copy(call_.x + chunk.source(step, r - step.a) * I, I,
                     apart_ + r * row_stride<T>(I));
        }
        team.wait();
    }
    const auto rows_at = [&](index first, const T* x, index x_row, index rows) {
        T* const to = a_of(team) + first * row;
        w_.kernels.product(x, x_row, rows, w_.x(), part.blocks, w_.bias(), 0, to, row,
                           w_.traits.x.first, w_.traits.columns);
        for (int p = 0; p < w_.traits.columns; ++p) {
            if (p >= w_.traits.x.first && p < w_.traits.x.first + w_.traits.x.count)
                continue;
            w_.for_column(part.blocks, p, [&](index offset, index width) {
                for (index n = 0; n < rows; ++n)
                    copy(w_.bias() + offset, width, to + n * row + offset);
            });
        }
    };
    const auto project_rows = [&](const Step& step, index n, index rows) {
        if (rows <= 0) return;
        const index first = step.a + n;
        if (apart_)
            rows_at(first, apart_ + first * row_stride<T>(I), row_stride<T>(I), rows);
        else rows_at(first, call_.x + chunk.source(step, n) * I, I, rows);
    };
    if (part.all_rows && (apart_ || chunk.neighbours()))
        return project_rows(chunk.stored(0), 0, chunk.rows);
    for (index i = 0; i < chunk.count; ++i) {
        const Step& step = chunk.stored(i);
        project_rows(step, part.rows.begin,
                     std::min(part.rows.end, step.rows) - part.rows.begin);
    }
}

template <class T>
void Forward<T>::project_tokens(const Team& team, const Chunk& chunk,
                                const Schedule::Part& part) {
    for (index i = 0; i < chunk.count; ++i) {
        const Step& step = chunk.stored(i);
        for (index n = part.rows.begin; n < std::min(part.rows.end, step.rows); ++n)
            project_token(w_, call_.tokens[chunk.source(step, n)], part.blocks,
                          a_of(team) + (step.a + n) * w_.a_row());
    }
}

template <class T>
void Forward<T>::scan(const Chunk& chunk, const Schedule::Part& part, Range projected,
                      index slab, T* a, Sync sync) {
    const index H = w_.hidden_size, P = w_.state_size;
    ForwardScan<T> scan{};
    scan.steps = chunk.count;
    scan.units = H;
    scan.step = chunk.step;
    scan.w[0] = w_.h(0);
    scan.w[1] = w_.h(1);
    scan.options = w_.options();
    scan.a = a;
    scan.a_row = w_.a_row();
    scan.h = h_ + slab * w_.state_row();
    if (c_) scan.c = c_ + slab * w_.state_row();
    scan.state_row = w_.state_row();
    scan.slot = all_.count() * w_.state_row();
    scan.first_step = chunk.first;
    if (training_) {
        scan.kept_h = call_.cache->h + all_.count() * P;
        if (c_) scan.kept_c = call_.cache->c + all_.count() * H;
        if (w_.saved()) scan.saved = call_.cache->gates;
    }
    scan.y = call_.runs ? y_ : call_.y;
    scan.y_row = call_.runs ? P : call_.y_row;
    scan.operand = operand_;
    if (factors_) {
        scan.factors = factors_ + slab * w_.state_row();
        scan.dropped = dropped_ + slab * w_.state_row();
    }
    if (unprojected_) {
        scan.projected = projected;
        scan.projection = w_.projection();
        scan.unprojected = unprojected_;
        scan.zeros = zeros_;
    }
    w_.cell().scan_forward(scan, part.rows, part.blocks, sync);
}

// This thread's part of the output to its places.
template <class T>
void Forward<T>::scatter(const Chunk& chunk, Range rows, Range units) {
    const index P = w_.state_size;
    for (index s = 0; s < chunk.count; ++s) {
        const Step& step = chunk.step[s];
        for (index n = rows.begin; n < std::min(rows.end, step.rows); ++n)
            copy(y_ + (step.y + n) * P + units.begin, units.end - units.begin,
                 call_.y + chunk.source(step, n) * call_.y_row + units.begin);
    }
}

template <class T> void forward(const LayerForward<T>& call, Interrupt interrupt) {
    if (call.N == 0) return;
    Scratch scratch;
    const Schedule plan = forward_schedule(call.weights, call.steps());
    Forward<T> layer(call, plan, scratch);
    layer.begin();
    Stop stop(interrupt);
    run_parallel(plan.crew(), [&](const Team& team) { layer.run(team, stop); });
    stop.rethrow();
    layer.end();
}

template class Forward<float>;
template class Forward<double>;
template void forward(const LayerForward<float>&, Interrupt);
template void forward(const LayerForward<double>&, Interrupt);

}  // namespace rnnext
