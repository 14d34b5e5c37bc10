// SPDX-License-Identifier: BSD-3-Clause
#include "chunk.hpp"
#include "layer.hpp"
#include "schedule.hpp"

namespace rnnext {

double forward_flops(const CellTraits& cell, index T_, index N, index I, index H) {
    return 2.0 * double(T_) * double(N) * cell.gates * double(H) * double(I + H);
}

namespace {

// Whether rows of n elements, one after the other, all fall on one set of the nearest
// cache, so that a tile of them does not fit there.
template <class T> bool rows_collide(index n) { return n * sizeof(T) % 4096 == 0; }

// Pre-activations of a chunk: a[i][n] = bias + x W_ih, i counting up in time. Columns
// that x does not feed get their bias alone. `apart`: null, or room for the chunk's x
// in rows that do not collide.
template <class T>
void project(const LayerForward<T>& call, const Team& team, const Chunk& chunk,
             index slab, index slab_rows, const Schedule::Part& part, T* apart, T* a) {
    const Weights<T>& w = call.weights;
    const index I = w.input_size, row = w.a_row();
    const index x_row = apart ? row_stride<T>(I) : I;
    const auto x_at = [&](index i, index n) {
        return call.x + ((chunk.time + i) * call.N + slab + n) * I;
    };
    if (apart) {  // the last readers have met since, between the chunks
        const Range mine = team.share(chunk.count * slab_rows);
        for (index i = mine.begin; i < mine.end; ++i)
            copy(x_at(i / slab_rows, i % slab_rows), I, apart + i * x_row);
        team.wait();
    }
    const auto rows_at = [&](index i, index rows) {
        const index first = i * slab_rows + part.rows.begin;
        const T* const x = apart ? apart + first * x_row : x_at(i, part.rows.begin);
        T* const to = a + first * row;
        w.kernels.product(x, x_row, rows, w.x(), part.blocks, w.bias(), 0, to, row,
                          w.traits.x.first, w.traits.columns);
        for (int p = 0; p < w.traits.columns; ++p) {
            if (p >= w.traits.x.first && p < w.traits.x.first + w.traits.x.count)
                continue;
            w.for_column(part.blocks, p, [&](index offset, index width) {
                for (index n = 0; n < rows; ++n)
                    copy(w.bias() + offset, width, to + n * row + offset);
            });
        }
    };
    const index height = part.rows.end - part.rows.begin;
    if (height == call.N)
        rows_at(0, chunk.count * call.N);  // the steps' rows are neighbours
    else
        for (index i = 0; i < chunk.count; ++i) rows_at(i, height);
}

}  // namespace

template <class T> void forward(const LayerForward<T>& call, Interrupt interrupt) {
    const Weights<T>& w = call.weights;
    const index N = call.N, H = w.hidden_size, state = elements<T>({N, H});
    const index state_row = w.state_row(), a_row = w.a_row();
    const bool has_c = w.traits.has_c, training = call.cache != nullptr;
    if (N == 0) return;

    const Schedule plan = forward_schedule(w, call.T_, N);
    Scratch scratch;
    T* const a = scratch.take<T>({plan.chunk, plan.slab, a_row});
    T* const apart =
        N > 1 && rows_collide<T>(w.input_size)
            ? scratch.take<T>({plan.chunk, plan.slab, row_stride<T>(w.input_size)})
            : nullptr;
    T* const operand =
        w.traits.h[1].count ? scratch.take<T>({plan.slab, state_row}) : nullptr;
    T* const h = scratch.take<T>({2, N, state_row});
    T* const c = has_c ? scratch.take<T>({N, state_row}) : nullptr;
    copy_rows(call.h_0, H, N, H, h, state_row);
    if (has_c) copy_rows(call.c_0, H, N, H, c, state_row);
    if (training) {
        copy_or_zero(call.h_0, state, call.cache->h);
        if (has_c) copy_or_zero(call.c_0, state, call.cache->c);
    }

    Stop stop(interrupt);
    run_parallel(plan.threads, [&](const Team& team) {
        for (index slab = 0; slab < N; slab += plan.slab) {
            const index rows = std::min(plan.slab, N - slab);
            const Schedule::Part part =
                plan.part(team, rows, w.blocks(), w.kernels.row_tile);
            for (index first = 0; first < call.T_; first += plan.chunk) {
                const Chunk chunk(call.T_, call.reverse, first,
                                  std::min(plan.chunk, call.T_ - first));
                if (stop.now(team)) return;
                project(call, team, chunk, slab, rows, part, apart, a);
                const index a_time = rows * a_row, saved = w.traits.saved * H;
                ForwardScan<T> scan{};
                scan.steps = chunk.count;
                scan.units = H;
                scan.w[0] = w.h(0);
                scan.w[1] = w.h(1);
                scan.a = a + chunk.start * a_time;
                scan.a_time = chunk.direction * a_time;
                scan.a_row = a_row;
                scan.h = h + slab * state_row;
                if (has_c) scan.c = c + slab * state_row;
                scan.state_row = state_row;
                scan.slot = N * state_row;
                scan.first_step = first;
                if (training) {
                    const index slot = (first + 1) * state + slab * H;
                    scan.kept_h = call.cache->h + slot;
                    if (has_c) scan.kept_c = call.cache->c + slot;
                }
                scan.kept_time = state;
                scan.y = call.y + (chunk.time + chunk.start) * call.y_time +
                         slab * call.y_row;
                scan.y_time = chunk.direction * call.y_time;
                scan.y_row = call.y_row;
                if (training && saved)
                    scan.saved = call.cache->gates + (first * N + slab) * saved;
                scan.saved_time = N * saved;
                scan.operand = operand;
                w.kernels.cells[int(w.kind)].scan_forward(scan, part.rows, part.blocks,
                                                          plan.sync(team));
            }
        }
    });
    stop.rethrow();

    copy_rows(h + (call.T_ & 1) * N * state_row, state_row, N, H, call.h_n, H);
    if (has_c && call.c_n) copy_rows(c, state_row, N, H, call.c_n, H);
}

template void forward(const LayerForward<float>&, Interrupt);
template void forward(const LayerForward<double>&, Interrupt);

}  // namespace rnnext
