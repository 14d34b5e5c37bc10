// SPDX-License-Identifier: BSD-3-Clause
#include "dense.hpp"

#include <algorithm>

#include "dispatch.hpp"
#include "schedule.hpp"

namespace rnnext {
namespace {

// Rows whose work, `flops` each, takes about 10 ms.
index rows_per_piece(double flops) {
    return std::max<index>(1, index(5e8 / std::max(1.0, flops)));
}

}  // namespace

template <class T>
void linear(const T* x, index M, index K, const T* w, index O, const T* b, T* y,
            Interrupt interrupt) {
    const Kernels<T>& k = kernels<T>();
    const PackedMatrix<T> packed = pack_matrix(k, K, O, w, 1, K);
    Scratch scratch;
    T* const bias = scratch.take<T>({O});
    if (b) std::copy_n(b, O, bias);
    else std::fill_n(bias, O, T(0));
    const Range blocks{0, (O + 2 * k.lanes - 1) / (2 * k.lanes)};
    const double flops = 2.0 * double(K) * double(O);  // of a row
    in_pieces(M, rows_per_piece(flops), interrupt, [&](Range piece) {
        const index rows = piece.end - piece.begin;
        run_parallel(threads_for(flops * double(rows)), [&](const Team& team) {
            const Range mine = team.share(rows, k.row_tile);
            const index first = piece.begin + mine.begin;
            k.product_exact(x + first * K, K, mine.end - mine.begin, packed.panels,
                            blocks, bias, y + first * O, O);
        });
    });
}

template <class T>
void matmul_tn(const T* a, index K, index M, const T* b, index O, T* y,
               Interrupt interrupt) {
    const Kernels<T>& k = kernels<T>();
    const PackedMatrix<T> packed = pack_matrix(k, K, O, b, O, 1);
    const double flops = 2.0 * double(K) * double(O);  // of a row of y
    Scratch scratch;
    const index tile = round_up(gradient_rows * k.row_tile, 16);
    T* const tiles = scratch.take<T>({get_num_threads(), tile});
    if (K == 0) std::fill_n(y, M * O, T(0));
    in_pieces(M, rows_per_piece(flops), interrupt, [&](Range piece) {
        const index rows = piece.end - piece.begin;
        run_parallel(threads_for(flops * double(rows)), [&](const Team& team) {
            const Range mine = team.share(rows, k.row_tile);
            k.gradient(a, M, {piece.begin + mine.begin, piece.begin + mine.end},
                       packed.panels, false, y, O, tiles + team.thread * tile);
        });
    });
}

template <class T>
void softmax(const T* x, index M, index O, T* y, Interrupt interrupt) {
    if (O == 0) return;
    in_pieces(M, rows_per_piece(50.0 * double(O)), interrupt, [&](Range piece) {
        const index n = (piece.end - piece.begin) * O;
        const T* const from = x + piece.begin * O;
        T* const to = y + piece.begin * O;
        for (index i = 0; i < n; i += O) {
            T most = from[i];
            for (index j = 1; j < O; ++j)
                if (from[i + j] > most || most != most) most = from[i + j];
            for (index j = 0; j < O; ++j) to[i + j] = from[i + j] - most;
        }
        kernels<T>().exp(to, to, n);
        for (index i = 0; i < n; i += O) {
            T sum = 0;
            for (index j = 0; j < O; ++j) sum += to[i + j];
            for (index j = 0; j < O; ++j) to[i + j] /= sum;
        }
    });
}

template void linear(const float*, index, index, const float*, index, const float*,
                     float*, Interrupt);
template void linear(const double*, index, index, const double*, index, const double*,
                     double*, Interrupt);
template void matmul_tn(const float*, index, index, const float*, index, float*,
                        Interrupt);
template void matmul_tn(const double*, index, index, const double*, index, double*,
                        Interrupt);
template void softmax(const float*, index, index, float*, Interrupt);
template void softmax(const double*, index, index, double*, Interrupt);

}  // namespace rnnext
