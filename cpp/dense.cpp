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

double softmax_flops(index O) { return 50.0 * double(O); }  // of a row

// Rows of O elements, `stride` apart, to rows side by side.
template <class T>
void softmax_rows(const T* x, index stride, index rows, index O, T* y) {
    for (index i = 0; i < rows; ++i) {
        const T* const from = x + i * stride;
        T* const to = y + i * O;
        T most = from[0];
        for (index j = 1; j < O; ++j)
            if (from[j] > most || most != most) most = from[j];
        for (index j = 0; j < O; ++j) to[j] = from[j] - most;
    }
    kernels<T>().exp(y, y, rows * O);
    for (index i = 0; i < rows; ++i) {
        T* const to = y + i * O;
        T sum = 0;
        for (index j = 0; j < O; ++j) sum += to[j];
        for (index j = 0; j < O; ++j) to[j] /= sum;
    }
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
        run_parallel(crew_for(flops * double(rows)), [&](const Team& team) {
            const Range mine = team.share(rows, k.row_tile);
            const index first = piece.begin + mine.begin;
            k.product_exact(x + first * K, K, mine.end - mine.begin, packed.panels,
                            blocks, bias, 0, y + first * O, O);
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
        run_parallel(crew_for(flops * double(rows)), [&](const Team& team) {
            const Range mine = team.share(rows, k.row_tile);
            k.gradient(a, M, {piece.begin + mine.begin, piece.begin + mine.end},
                       packed.panels, false, y, O, tiles + team.thread * tile);
        });
    });
}

template <class T>
void softmax(const T* x, index M, index O, T* y, Interrupt interrupt) {
    if (O == 0) return;
    const double flops = softmax_flops(O);
    in_pieces(M, rows_per_piece(flops), interrupt, [&](Range piece) {
        const index rows = piece.end - piece.begin;
        run_parallel(crew_for(flops * double(rows)), [&](const Team& team) {
            const Range mine = team.share(rows);
            const index first = piece.begin + mine.begin;
            softmax_rows(x + first * O, O, mine.end - mine.begin, O, y + first * O);
        });
    });
}

template <class T>
void predict(const T* x, index M, index K, const T* w, index O, const T* b, T* y,
             Interrupt interrupt) {
    const Kernels<T>& k = kernels<T>();
    const index row = round_up(O, k.lanes);
    const Range blocks{0, (O + 2 * k.lanes - 1) / (2 * k.lanes)};
    const double flops = 2.0 * double(K) * double(O) + softmax_flops(O);  // of a row
    Scratch scratch;
    T* const packed = scratch.take<T>({packed_size(k, K, O, 1)});
    k.pack(packed, K, O, 1, 0, 0, K, w, 1, K);
    T* const bias = scratch.take<T>({row});
    std::fill(std::copy_n(b, O, bias), bias + row, T(0));
    // Logits of a few tiles at a time stay in the nearest cache.
    const index tile = 4 * k.row_tile;
    const index most = rows_per_piece(flops);
    const Crew crew = crew_for(flops * double(std::min(M, most)));
    T* const logits = scratch.take<T>({crew.threads, tile, row});
    in_pieces(M, most, interrupt, [&](Range piece) {
        run_parallel(crew, [&](const Team& team) {
            const Range mine = team.share(piece.end - piece.begin, k.row_tile);
            T* const own = logits + team.thread * tile * row;
            for (index i = mine.begin; i < mine.end; i += tile) {
                const index height = std::min(tile, mine.end - i);
                const index first = piece.begin + i;
                k.product(x + first * K, K, height, {packed, K, O, 1}, blocks, bias, 0,
                          own, row, 0, 1);
                softmax_rows(own, row, height, O, y + first * O);
            }
        });
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
template void predict(const float*, index, index, const float*, index, const float*,
                      float*, Interrupt);
template void predict(const double*, index, index, const double*, index, const double*,
                      double*, Interrupt);

}  // namespace rnnext
