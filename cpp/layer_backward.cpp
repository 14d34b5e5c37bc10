// SPDX-License-Identifier: BSD-3-Clause
#include "chunk.hpp"
#include "layer.hpp"
#include "schedule.hpp"

namespace rnnext {

namespace {

// The sums over a chunk that follow its scan. The operands of the parameter gradients
// are packed first, each thread a share; after a meeting every thread has its own rows
// of dx and of the gradients.
template <class T> class Unprojection {
  public:
    Unprojection(const LayerBackward<T>& call, const Schedule& plan, Scratch& scratch)
        : da_row(row_stride<T>(call.weights.traits.columns * call.weights.hidden_size)),
          call_(call), w_(call.weights) {
        const index rows = plan.chunk * plan.slab, columns = w_.traits.columns;
        const index H = w_.hidden_size, I = w_.input_size;
        da = scratch.take<T>({plan.chunk, plan.slab, da_row});
        if (w_.traits.h[1].count) operand = scratch.take<T>({plan.chunk, plan.slab, H});
        packed_x_ = scratch.take<T>({rows, round_up(I, w_.kernels.lanes)});
        packed_h_ = scratch.take<T>({rows, round_up(H, w_.kernels.lanes)});
        if (operand)
            packed_operand_ = scratch.take<T>({rows, round_up(H, w_.kernels.lanes)});
        sums_ = scratch.take<T>({columns, H});
        tile_ = scratch.take<T>({plan.threads, tile_size()});
        zeros_ = scratch.take<T>({I});
        if (call.dx && call.add_dx) dx_ = scratch.take<T>({rows, I});
        std::fill_n(sums_, columns * H, T(0));
        std::fill_n(zeros_, I, T(0));
        if (call.T_ > 0 && call.N > 0) return;
        std::fill_n(call.dw_ih, w_.traits.gates * H * I, T(0));
        std::fill_n(call.dw_hh, w_.traits.gates * H * H, T(0));
    }

    // `add`: to the parameter gradients of the chunks before.
    void run(const Team& team, const Chunk& chunk, index slab, index rows, bool add) {
        const index I = w_.input_size, H = w_.hidden_size, N = call_.N;
        const index height = chunk.count * rows;

        const auto x_at = [&](index i) {
            return call_.x + ((chunk.time + i) * N + slab) * I;
        };
        const auto h_at = [&](index i) {
            return call_.cache.h + (chunk.step_at(i) * N + slab) * H;
        };
        pack_rows(team, packed_x_, height, I, chunk.count, rows, x_at);
        pack_rows(team, packed_h_, height, H, chunk.count, rows, h_at);
        if (operand)
            pack_rows(team, packed_operand_, height, H, chunk.count, rows,
                      [&](index i) { return operand + i * rows * H; });
        team.wait();

        if (call_.dx) input_gradient(team, chunk, slab, rows);
        const Range mine = team.share(w_.traits.columns * H, w_.kernels.row_tile);
        parameter_gradient(team, mine, w_.traits.x, {packed_x_, height, I, 1}, add,
                           call_.dw_ih);
        parameter_gradient(team, mine, w_.traits.h[0], {packed_h_, height, H, 1}, add,
                           call_.dw_hh);
        if (operand)
            parameter_gradient(team, mine, w_.traits.h[1],
                               {packed_operand_, height, H, 1}, add, call_.dw_hh);
        w_.kernels.column_sums(da, da_row, height, mine, sums_);
    }

    void finish() {
        bias_gradient(w_.traits.x, call_.db_ih);
        bias_gradient(w_.traits.h[0], call_.db_hh);
        bias_gradient(w_.traits.h[1], call_.db_hh);
    }

    const index da_row;    // columns * H, spread
    T* da = nullptr;       // [chunk][rows][da_row], by time
    T* operand = nullptr;  // [chunk][rows][H], by time

  private:
    index tile_size() const {
        return round_up(gradient_rows * w_.kernels.row_tile, 16);
    }

    // This thread's blocks of the packed rows at row(0), row(1) ... row(count - 1),
    // each `rows` rows of `units`.
    template <class Row>
    void pack_rows(const Team& team, T* packed, index height, index units, index count,
                   index rows, Row row) {
        const Range mine = team.share(units, w_.block_units());
        T* const to = packed + mine.begin * height;
        for (index i = 0; i < count && mine.begin < mine.end; ++i)
            w_.kernels.pack(to, height, mine.end - mine.begin, 1, 0, i * rows, rows,
                            row(i) + mine.begin, units, 1);
    }

    void input_gradient(const Team& team, const Chunk& chunk, index slab, index rows) {
        const index I = w_.input_size;
        const Range blocks{0, (I + w_.block_units() - 1) / w_.block_units()};
        for (index i = 0; i < chunk.count; ++i) {
            // The steps' rows are neighbours when the slab is the whole batch.
            const bool all = rows == call_.N;
            const Range mine =
                team.share(all ? chunk.count * rows : rows, w_.kernels.row_tile);
            const index height = mine.end - mine.begin;
            T* const to =
                call_.dx + ((chunk.time + i) * call_.N + slab + mine.begin) * I;
            T* const first = call_.add_dx ? dx_ + mine.begin * I : to;
            w_.kernels.product_exact(da + (i * rows + mine.begin) * da_row +
                                         w_.traits.x.first * w_.hidden_size,
                                     da_row, height, w_.x_transposed(), blocks, zeros_,
                                     first, I);
            if (call_.add_dx)
                for (index j = 0; j < height * I; ++j) to[j] += first[j];
            if (all) break;
        }
    }

    // Rows `mine` of da's columns that belong to `columns`: their rows of dw.
    void parameter_gradient(const Team& team, Range mine, Columns columns,
                            const Packed<T>& b, bool add, T* dw) {
        const index H = w_.hidden_size;
        for (int p = columns.first; p < columns.first + columns.count; ++p) {
            const Range m{std::max(mine.begin, p * H), std::min(mine.end, (p + 1) * H)};
            if (m.begin >= m.end) continue;
            w_.kernels.gradient(da, da_row, m, b, add,
                                dw + (w_.traits.gate_of[p] - p) * H * b.units, b.units,
                                tile_ + team.thread * tile_size());
        }
    }

    void bias_gradient(Columns columns, T* db) {
        const index H = w_.hidden_size;
        for (int p = columns.first; p < columns.first + columns.count; ++p)
            copy(sums_ + p * H, H, db + w_.traits.gate_of[p] * H);
    }

    const LayerBackward<T>& call_;
    const Weights<T>& w_;
    T *packed_x_, *packed_h_, *packed_operand_ = nullptr;
    T *sums_, *tile_, *zeros_, *dx_ = nullptr;
};

}  // namespace

template <class T> void backward(const LayerBackward<T>& call, Interrupt interrupt) {
    const Weights<T>& w = call.weights;
    const index N = call.N, H = w.hidden_size, state = elements<T>({N, H});
    const index d_row = w.padded_units();
    const bool has_c = w.traits.has_c, two_products = w.traits.h[1].count > 0;

    const Schedule plan = backward_schedule(w, call.T_, N);
    Scratch scratch;
    Unprojection<T> unproject(call, plan, scratch);
    T* const dh = scratch.take<T>({N, d_row});
    T* const dc = has_c ? scratch.take<T>({N, d_row}) : nullptr;
    T* const d_operand = two_products ? scratch.take<T>({plan.slab, d_row}) : nullptr;
    T* const zeros = scratch.take<T>({d_row});
    std::fill_n(zeros, d_row, T(0));
    copy_rows(call.dh_n, H, N, H, dh, d_row);
    if (has_c) copy_rows(call.dc_n, H, N, H, dc, d_row);

    Stop stop(interrupt);
    const index chunks = (call.T_ + plan.chunk - 1) / plan.chunk;
    run_parallel(plan.threads, [&](const Team& team) {
        for (index slab = 0; slab < N; slab += plan.slab) {
            const index rows = std::min(plan.slab, N - slab);
            const Schedule::Part part =
                plan.part(team, rows, w.blocks(), w.kernels.row_tile);
            for (index i = chunks; i-- > 0;) {
                const index first = i * plan.chunk;
                const Chunk chunk(call.T_, call.reverse, first,
                                  std::min(plan.chunk, call.T_ - first));
                if (stop.now(team)) return;
                const index da_time = rows * unproject.da_row;
                const index saved = w.traits.saved * H;
                const index slot = first * state + slab * H;
                BackwardScan<T> scan{};
                scan.steps = chunk.count;
                scan.units = H;
                scan.w[0] = w.h_transposed(0);
                scan.w[1] = w.h_transposed(1);
                scan.h = call.cache.h + slot;
                if (has_c) scan.c = call.cache.c + slot;
                scan.slot = state;
                if (saved) scan.saved = call.cache.gates + (first * N + slab) * saved;
                scan.saved_time = N * saved;
                if (call.dy)
                    scan.dy = call.dy + (chunk.time + chunk.start) * call.dy_time +
                              slab * call.dy_row;
                scan.dy_time = chunk.direction * call.dy_time;
                scan.dy_row = call.dy_row;
                if (call.dc) scan.dc_all = call.dc + slot;
                scan.dc_all_time = state;
                scan.dh = dh + slab * d_row;
                if (has_c) scan.dc = dc + slab * d_row;
                scan.d_row = d_row;
                scan.da = unproject.da + chunk.start * da_time;
                scan.da_time = chunk.direction * da_time;
                scan.da_row = unproject.da_row;
                if (two_products)
                    scan.operand = unproject.operand + chunk.start * rows * H;
                scan.operand_time = chunk.direction * rows * H;
                scan.d_operand = d_operand;
                scan.zeros = zeros;
                w.kernels.cells[int(w.kind)].scan_backward(scan, part.rows, part.blocks,
                                                           plan.sync(team));
                team.wait();
                unproject.run(team, chunk, slab, rows, slab > 0 || i < chunks - 1);
            }
        }
    });
    stop.rethrow();

    unproject.finish();
    copy_rows(dh, d_row, N, H, call.dh_0, H);
    if (has_c && call.dc_0) copy_rows(dc, d_row, N, H, call.dc_0, H);
}

template void backward(const LayerBackward<float>&, Interrupt);
template void backward(const LayerBackward<double>&, Interrupt);

}  // namespace rnnext
