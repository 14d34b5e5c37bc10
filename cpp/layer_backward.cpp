// SPDX-License-Identifier: BSD-3-Clause
#include "chunk.hpp"
#include "layer.hpp"
#include "tokens.hpp"

namespace rnnext {

namespace {

// Rows of a single step for which weights are not worth packing transposed. A second
// step would turn them once more.
constexpr index few_rows = 8;

// The sums over a chunk that follow its scan. The operands of the parameter gradients
// are packed first, each thread a share; after a meeting every thread has its own rows
// of dx and of the gradients.
template <class T> class Unprojection {
  public:
    Unprojection(const LayerBackward<T>& call, const Sequences& all,
                 const Schedule& plan, Scratch& scratch)
        : da_row(row_stride<T>(call.weights.gradients() * call.weights.hidden_size)),
          call_(call), w_(call.weights) {
        const index rows = plan.chunk * plan.slab, columns = w_.gradients();
        const index H = w_.hidden_size, I = w_.input_size, P = w_.state_size;
        da = scratch.take<T>({plan.chunk, plan.slab, da_row});
        if (w_.traits.h[1].count) operand = scratch.take<T>({plan.chunk, plan.slab, H});
        if (call.factors) dropped = scratch.take<T>({plan.chunk, plan.slab, P});
        if (call.x) packed_x_ = scratch.take<T>({rows, round_up(I, w_.kernels.lanes)});
        else tokens_ = scratch.take<index>({rows});
        packed_h_ = scratch.take<T>({rows, round_up(P, w_.kernels.lanes)});
        if (operand)
            packed_operand_ = scratch.take<T>({rows, round_up(H, w_.kernels.lanes)});
        if (w_.has_projection()) {
            d_projected = scratch.take<T>({plan.chunk, plan.slab, P});
            unprojected = scratch.take<T>({plan.chunk, plan.slab, H});
            packed_unprojected_ =
                scratch.take<T>({rows, round_up(H, w_.kernels.lanes)});
        }
        sums_ = scratch.take<T>({columns, H});
        tile_ = scratch.take<T>({plan.threads, tile_size()});
        zeros_ = scratch.take<T>({I});
        if (call.dx && (call.add_dx || call.runs)) dx_ = scratch.take<T>({rows, I});
        std::fill_n(sums_, columns * H, T(0));
        std::fill_n(zeros_, I, T(0));
        if (all.rows() > 0) return;
        std::fill_n(call.dw_ih, w_.traits.gates * H * I, T(0));
        std::fill_n(call.dw_hh, w_.traits.gates * H * P, T(0));
        if (d_projected) std::fill_n(call.dw_hr, P * H, T(0));
    }

    // `add`: to the parameter gradients of the chunks before.
    void run(const Team& team, const Chunk& chunk, bool add) {
        const index I = w_.input_size, H = w_.hidden_size, P = w_.state_size;
        const index height = chunk.rows;
        const bool by_row = call_.runs;  // those of x lie anywhere

        if (tokens_) copy_tokens(team, chunk);
        else
            pack_rows(team, packed_x_, chunk, I, by_row,
                      [&](const Step& step, index n) {
                          return call_.x + chunk.source(step, n) * I;
                      });
        pack_rows(team, packed_h_, chunk, P, false, [&](const Step& step, index) {
            return dropped ? dropped + step.a * P : call_.cache.h + step.before * P;
        });
        if (operand)
            pack_rows(team, packed_operand_, chunk, H, false,
                      [&](const Step& step, index) { return operand + step.a * H; });
        if (unprojected)
            pack_rows(
                team, packed_unprojected_, chunk, H, false,
                [&](const Step& step, index) { return unprojected + step.a * H; });
        team.wait();

        if (call_.dx) input_gradient(team, chunk);
        const Range mine = team.share(w_.gradients() * H, w_.kernels.row_tile);
        if (tokens_) token_gradients(team, mine, height, add);
        else
            parameter_gradient(team, mine, w_.traits.x, {packed_x_, height, I, 1}, add,
                               call_.dw_ih);
        parameter_gradient(team, mine, w_.traits.h[0], {packed_h_, height, P, 1}, add,
                           call_.dw_hh);
        if (operand)
            parameter_gradient(team, mine, w_.traits.h[1],
                               {packed_operand_, height, H, 1}, add, call_.dw_hh);
        if (unprojected) {
            const Range rows = team.share(P, w_.kernels.row_tile);
            if (rows.begin < rows.end)
                w_.kernels.gradient(d_projected, P, rows,
                                    {packed_unprojected_, height, H, 1}, add,
                                    call_.dw_hr, H, tile_ + team.thread * tile_size());
        }
        w_.kernels.column_sums(da, da_row, height, mine, sums_);
    }

    void finish() {
        bias_gradient(w_.traits.x, call_.db_ih);
        bias_gradient(w_.traits.h[0], call_.db_hh);
        bias_gradient(w_.traits.h[1], call_.db_hh);
        const index H = w_.hidden_size;
        if (w_.has_peephole()) copy(sums_ + w_.traits.columns * H, 3 * H, call_.dw_ch);
    }

    const index da_row;                                // gradients * H, spread
    T* da = nullptr;                                   // [chunk][rows][da_row], by time
    T *operand = nullptr, *dropped = nullptr;          // [chunk][rows][H], by time
    T *d_projected = nullptr, *unprojected = nullptr;  // rows of P and of H, by time

  private:
    index tile_size() const {
        return round_up(std::max(gradient_rows * w_.kernels.row_tile, w_.hidden_size),
                        16);
    }

    // This thread's blocks of the packed rows of `units` at row(step, 0) and after, or
    // one by one.
    template <class Row>
    void pack_rows(const Team& team, T* packed, const Chunk& chunk, index units,
                   bool by_row, Row row) {
        const Range mine = team.share(units, w_.block_units());
        if (mine.begin >= mine.end) return;
        T* const to = packed + mine.begin * chunk.rows;
        for (index i = 0; i < chunk.count; ++i) {
            const Step& step = chunk.stored(i);
            const index at_once = by_row ? 1 : step.rows;
            for (index n = 0; n < step.rows; n += at_once)
                w_.kernels.pack(to, chunk.rows, mine.end - mine.begin, 1, 0, step.a + n,
                                at_once, row(step, n) + mine.begin, units, 1);
        }
    }

    void input_gradient(const Team& team, const Chunk& chunk) {
        const index I = w_.input_size, tile = w_.kernels.row_tile;
        const Range all{0, (I + w_.block_units() - 1) / w_.block_units()};
        const auto product = [&](Range rows, Range blocks, T* to) {
            w_.kernels.product_exact(
                da + rows.begin * da_row + w_.traits.x.first * w_.hidden_size, da_row,
                rows.end - rows.begin, w_.x_transposed(), blocks, zeros_, 0, to, I);
        };
        const auto rows_to = [&](Range rows, T* to) { product(rows, all, to); };
        const Range mine = team.share(chunk.rows, tile);
        if (!dx_ && chunk.neighbours()) {
            T* const to = call_.dx + chunk.source(chunk.stored(0), 0) * I;
            if (chunk.rows >= tile * team.threads)
                return rows_to(mine, to + mine.begin * I);
            return product({0, chunk.rows}, team.share(all.end), to);
        }
        if (dx_) rows_to(mine, dx_ + mine.begin * I);
        for (index i = 0; i < chunk.count; ++i) {
            const Step& step = chunk.stored(i);
            const Range rows{std::max(mine.begin, step.a),
                             std::min(mine.end, step.a + step.rows)};
            if (rows.begin >= rows.end) continue;
            if (!dx_) {
                rows_to(rows, call_.dx + chunk.source(step, rows.begin - step.a) * I);
                continue;
            }
            for (index r = rows.begin; r < rows.end; ++r) {
                const T* const from = dx_ + r * I;
                T* const to = call_.dx + chunk.source(step, r - step.a) * I;
                if (!call_.add_dx) copy(from, I, to);
                else
                    for (index j = 0; j < I; ++j) to[j] += from[j];
            }
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

    void copy_tokens(const Team& team, const Chunk& chunk) {
        if (team.thread != 0) return;
        for (index i = 0; i < chunk.count; ++i) {
            const Step& step = chunk.stored(i);
            for (index n = 0; n < step.rows; ++n)
                tokens_[step.a + n] = call_.tokens[chunk.source(step, n)];
        }
    }

    void token_gradients(const Team& team, Range mine, index height, bool add) {
        const index H = w_.hidden_size, I = w_.input_size;
        const Columns fed = w_.traits.x;
        for (int p = fed.first; p < fed.first + fed.count; ++p) {
            const Range m{std::max(mine.begin, p * H), std::min(mine.end, (p + 1) * H)};
            if (m.begin >= m.end) continue;
            T* const dw = call_.dw_ih + (w_.traits.gate_of[p] - p) * H * I;
            if (!add) std::fill_n(dw + m.begin * I, (m.end - m.begin) * I, T(0));
            token_gradient(da, da_row, height, m, tokens_, dw, I,
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
    index* tokens_ = nullptr;  // of the chunk's rows
    T* packed_unprojected_ = nullptr;
    T *packed_x_ = nullptr, *packed_h_, *packed_operand_ = nullptr;
    T *sums_, *tile_, *zeros_, *dx_ = nullptr;
};

// What a call computes with: scratch, and its part of the work.
template <class T> class Backward {
  public:
    Backward(const LayerBackward<T>& call, Scratch& scratch)
        : call_(call), w_(call.weights), all_{call.T_, call.N, call.reverse, call.runs},
          plan_(backward_schedule(w_, all_)), d_row_(w_.padded_units()),
          unproject_(call, all_, plan_, scratch) {
        steps_ = scratch.take<Step>({plan_.threads, plan_.chunk});
        dh_ = scratch.take<T>({all_.count(), d_row_});
        if (w_.traits.has_c) dc_ = scratch.take<T>({all_.count(), d_row_});
        if (!w_.traits.has_c || call.factors)
            d_operand_ = scratch.take<T>({plan_.slab, d_row_});
        if (call.factors) {
            factors_ = scratch.take<T>({all_.count(), d_row_});
            for (index i = 0; i < all_.count(); ++i)
                copy_row(call.factors + all_.of(i) * w_.state_size, w_.state_size,
                         factors_ + i * d_row_, d_row_);
        }
        dy_all_ = call.dy;
        dy_row_ = call.dy_row;
        if (call.runs && call.dy)
            dy_ = scratch.take<T>({plan_.chunk, plan_.slab, w_.state_size});
        if (dy_ && call.hold) gather_gaps(scratch);
        if (call.runs && call.dx && !call.add_dx)
            fill_gaps(*call.runs, false, w_.input_size, call.dx, w_.input_size);
        if (w_.has_projection()) d_unprojected_ = scratch.take<T>({plan_.slab, d_row_});
        if (all_.steps() > 1 || all_.count() > few_rows) w_.transpose();
        zeros_ = scratch.take<T>({d_row_});
        std::fill_n(zeros_, d_row_, T(0));
    }

    void run(Interrupt interrupt) {
        begin(call_.dh_n, w_.state_size, dh_);
        if (dc_) begin(call_.dc_n, w_.hidden_size, dc_);
        Stop stop(interrupt);
        run_parallel(plan_.crew(), [&](const Team& team) {
            for (index first = 0; first < all_.count(); first += plan_.slab)
                if (!slab(team, {first, std::min(first + plan_.slab, all_.count())},
                          stop))
                    return;
        });
        stop.rethrow();
        unproject_.finish();
        end(dh_, w_.state_size, call_.dh_0);
        if (dc_ && call_.dc_0) end(dc_, w_.hidden_size, call_.dc_0);
    }

  private:
    void begin(const T* d_n, index width, T* d) {
        for (index i = 0; i < all_.count(); ++i)
            copy_row(d_n && all_.is_last(i) ? d_n + all_.of(i) * width : nullptr, width,
                     d + i * d_row_, d_row_);
    }

    // To the initial state; of a sequence with several runs, the sum.
    void end(const T* d, index width, T* d_0) {
        // What minus zero is added to keeps its bits; zero would lose a minus.
        if (call_.runs) std::fill_n(d_0, call_.N * width, T(-0.0));
        for (index i = 0; i < all_.count(); ++i) {
            T* const to = d_0 + all_.of(i) * width;
            if (!call_.runs) copy(d + i * d_row_, width, to);
            else
                for (index j = 0; j < width; ++j) to[j] += d[i * d_row_ + j];
        }
    }

    // False: stopped.
    bool slab(const Team& team, Range sequences, Stop& stop) {
        const Schedule::Part part = plan_.part(team, all_, sequences, w_.blocks());
        Step* const room = steps_ + team.thread * plan_.chunk;
        const index chunks = (all_.steps() + plan_.chunk - 1) / plan_.chunk;
        for (index i = chunks; i-- > 0;) {
            const index first = i * plan_.chunk;
            const Chunk chunk(all_, first, std::min(plan_.chunk, all_.steps() - first),
                              sequences, room);
            const bool is_first = i == chunks - 1 && sequences.begin == 0;
            if (!is_first && stop.now(team)) return false;
            const Range projected = plan_.share(team, w_.state_blocks());
            if (dy_)
                gather(chunk, part.rows,
                       w_.state_units(w_.has_projection() ? projected : part.blocks));
            scan(team, chunk, part, projected, sequences.begin);
            team.wait();
            unproject_.run(team, chunk, !is_first);
        }
        return true;
    }

    // To the gradients of the outputs those of the gaps that hold them.
    void gather_gaps(Scratch& scratch) {
        const index P = w_.state_size, rows = call_.T_ * call_.N;
        T* const dy = scratch.take<T>({call_.T_, call_.N, P});
        for (index i = 0; i < rows; ++i)
            copy(call_.dy + i * call_.dy_row, P, dy + i * P);
        for (const Runs::Gap& gap : call_.runs->gaps)
            for (index j = 0; gap.held >= 0 && j < P; ++j)
                dy[gap.held * P + j] += dy[gap.at * P + j];
        dy_all_ = dy;
        dy_row_ = P;
    }

    // This thread's part of the gradient of the output.
    void gather(const Chunk& chunk, Range rows, Range units) {
        const index P = w_.state_size;
        for (index s = 0; s < chunk.count; ++s) {
            const Step& step = chunk.step[s];
            for (index n = rows.begin; n < std::min(rows.end, step.rows); ++n)
                copy(dy_all_ + chunk.source(step, n) * dy_row_ + units.begin,
                     units.end - units.begin, dy_ + (step.y + n) * P + units.begin);
        }
    }

    void scan(const Team& team, const Chunk& chunk, const Schedule::Part& part,
              Range projected, index slab) {
        const index H = w_.hidden_size, P = w_.state_size;
        BackwardScan<T> scan{};
        scan.steps = chunk.count;
        scan.units = H;
        scan.step = chunk.step;
        scan.w[0] = w_.h_transposed(0);
        scan.w[1] = w_.h_transposed(1);
        scan.options = w_.options();
        scan.h = call_.cache.h;
        scan.kept_h = call_.cache.h + all_.count() * P;
        if (dc_) {
            scan.c = call_.cache.c;
            scan.kept_c = call_.cache.c + all_.count() * H;
            scan.dc_all = call_.dc;
            scan.dc = dc_ + slab * d_row_;
        }
        scan.saved = call_.cache.gates;
        scan.dy = dy_ ? dy_ : dy_all_;
        scan.dy_row = dy_ ? P : dy_row_;
        scan.dh = dh_ + slab * d_row_;
        scan.d_row = d_row_;
        scan.da = unproject_.da;
        scan.da_row = unproject_.da_row;
        scan.operand = unproject_.operand;
        scan.d_operand = d_operand_;
        if (factors_) {
            scan.factors = factors_ + slab * d_row_;
            scan.dropped = unproject_.dropped;
        }
        scan.zeros = zeros_;
        if (d_unprojected_) {
            scan.projected = projected;
            scan.projection = w_.projection_transposed();
            scan.d_projected = unproject_.d_projected;
            scan.unprojected = unproject_.unprojected;
            scan.d_unprojected = d_unprojected_;
        }
        w_.cell().scan_backward(scan, part.rows, part.blocks, plan_.sync(team));
    }

    const LayerBackward<T>& call_;
    const Weights<T>& w_;
    const Sequences all_;
    const Schedule plan_;
    const index d_row_;
    Unprojection<T> unproject_;
    const T* dy_all_;
    index dy_row_;
    Step* steps_;  // [threads][chunk]
    T *dh_, *dc_ = nullptr, *d_operand_ = nullptr, *dy_ = nullptr, *zeros_;
    T *factors_ = nullptr, *d_unprojected_ = nullptr;
};

}  // namespace

template <class T> void backward(const LayerBackward<T>& call, Interrupt interrupt) {
    Scratch scratch;
    Backward<T>(call, scratch).run(interrupt);
}

template void backward(const LayerBackward<float>&, Interrupt);
template void backward(const LayerBackward<double>&, Interrupt);

}  // namespace rnnext
