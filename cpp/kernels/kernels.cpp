// SPDX-License-Identifier: BSD-3-Clause
//
// The kernel wing: compiled once per instruction set, each time in its own namespace
// (RNNEXT_NAMESPACE). Allocates nothing, throws nothing, knows no threads, no Python
// and no std::.
#include "across.hpp"
#include "activation.hpp"
#include "calibrate.hpp"
#include "cells.hpp"
#include "gemm.hpp"
#include "gradient.hpp"
#include "math.hpp"
#include "scan.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

template <class T, class F>
RNNEXT_INLINE void for_each_vector(const T* x, T* y, index n, F&& f) {
    for (index i = 0; i < n; i += lanes<T>)
        store_partial(y + i, f(load_partial(x + i, n - i)), n - i);
}

template <class T> void exp_all(const T* x, T* y, index n) noexcept {
    for_each_vector(x, y, n, [](Vec<T> v) RNNEXT_LAMBDA { return exp(v); });
}

template <class T> void sigmoid_all(const T* x, T* y, index n) noexcept {
    for_each_vector(x, y, n, [](Vec<T> v) RNNEXT_LAMBDA { return sigmoid(v); });
}

template <class T> void tanh_all(const T* x, T* y, index n) noexcept {
    for_each_vector(x, y, n, [](Vec<T> v) RNNEXT_LAMBDA { return tanh(v); });
}

template <class T>
void activate_all(const Activation<T>& f, const T* x, T* y, T* slope,
                  index n) noexcept {
    for (index i = 0; i < n; i += lanes<T>) {
        const Activated<Vec<T>> found = activate(f, load_partial(x + i, n - i));
        store_partial(y + i, found.value, n - i);
        store_partial(slope + i, found.slope, n - i);
    }
}

template <class Cell, class Policy, class T>
constexpr CellKernels<T> scans = {scan_forward<Cell, Policy, T>,
                                  scan_backward<Cell, Policy, T>};

template <class T, class... Cell> constexpr Kernels<T> make_kernels(CellList<Cell...>) {
    return {
        lanes<T>,
        most_rows,
        pack<T>,
        product<T>,
        product_exact<T>,
        gradient<T>,
        column_sums<T>,
        exp_all<T>,
        sigmoid_all<T>,
        tanh_all<T>,
        activate_all<T>,
        multiply_adds<T>,
        read<T>,
        {{scans<Cell, Plain<T>, T>, scans<Cell, General<T>, T>}...},  // by cell
    };
}

bool tall_tiles = false;

extern const KernelSet kernels;
constexpr KernelSet kernels = {make_kernels<float>(Cells{}),
                               make_kernels<double>(Cells{}),
                               tall_tile > 0 ? &tall_tiles : nullptr};

}  // namespace rnnext::RNNEXT_NAMESPACE
