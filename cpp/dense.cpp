// SPDX-License-Identifier: BSD-3-Clause
#include "dense.hpp"

#include <algorithm>

#include "dispatch.hpp"
#include "schedule.hpp"

namespace rnnext {

template <class T>
void linear(const T* x, index M, index K, const T* w, index O, const T* b, T* y) {
    const Kernels<T>& k = kernels<T>();
    const PackedMatrix<T> packed = pack_matrix(k, K, O, w, 1, K);
    Scratch scratch;
    T* const bias = scratch.take<T>({O});
    if (b) std::copy_n(b, O, bias);
    else std::fill_n(bias, O, T(0));
    const Range blocks{0, (O + 2 * k.lanes - 1) / (2 * k.lanes)};
    run_parallel(
        threads_for(2.0 * double(M) * double(K) * double(O)), [&](const Team& team) {
            const Range rows = team.share(M, k.row_tile);
            k.product_exact(x + rows.begin * K, K, rows.end - rows.begin, packed.panels,
                            blocks, bias, y + rows.begin * O, O);
        });
}

template <class T>
void matmul_tn(const T* a, index K, index M, const T* b, index O, T* y) {
    const Kernels<T>& k = kernels<T>();
    const PackedMatrix<T> packed = pack_matrix(k, K, O, b, O, 1);
    const int threads = threads_for(2.0 * double(M) * double(K) * double(O));
    Scratch scratch;
    const index tile = round_up(128 * k.row_tile, 16);
    T* const tiles = scratch.take<T>({threads, tile});
    std::fill_n(y, M * O, T(0));
    run_parallel(threads, [&](const Team& team) {
        k.gradient(a, M, team.share(M, k.row_tile), packed.panels, y, O,
                   tiles + team.thread * tile);
    });
}

template <class T> void softmax(const T* x, index M, index O, T* y) {
    if (O == 0) return;
    for (index m = 0; m < M; ++m) {
        T most = x[m * O];
        for (index j = 1; j < O; ++j)
            if (x[m * O + j] > most || most != most) most = x[m * O + j];
        for (index j = 0; j < O; ++j) y[m * O + j] = x[m * O + j] - most;
    }
    kernels<T>().exp(y, y, M * O);
    for (index m = 0; m < M; ++m) {
        T sum = 0;
        for (index j = 0; j < O; ++j) sum += y[m * O + j];
        for (index j = 0; j < O; ++j) y[m * O + j] /= sum;
    }
}

template void linear(const float*, index, index, const float*, index, const float*,
                     float*);
template void linear(const double*, index, index, const double*, index, const double*,
                     double*);
template void matmul_tn(const float*, index, index, const float*, index, float*);
template void matmul_tn(const double*, index, index, const double*, index, double*);
template void softmax(const float*, index, index, float*);
template void softmax(const double*, index, index, double*);

}  // namespace rnnext
