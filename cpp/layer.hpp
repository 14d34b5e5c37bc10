// SPDX-License-Identifier: BSD-3-Clause
//
// One layer in one direction over a whole sequence:
//
//   forward    project (x W_ih for a chunk of steps), scan_forward (the chunk's steps)
//   backward   scan_backward (a chunk of steps), unproject (dx, dW_ih, dW_hh, db)
//
// Arrays are row-major; x, states and kept values are contiguous, y has strides because
// two directions share it. Order of computation: step s of a reversed layer is time
// T - 1 - s.
#pragma once

#include "pool.hpp"
#include "runs.hpp"
#include "weights.hpp"

namespace rnnext {

// What forward keeps for backward, in order of computation: h and c [T+1, N, H] with
// the initial state in slot 0, gates [T, N, saved, H]. c null without a cell state. Of
// runs: h and c [count + rows, H], gates [rows, saved, H], without padding.
template <class T> struct LayerCache {
    T *h, *c, *gates;
};

template <class T> struct LayerForward {
    const Weights<T>& weights;
    index T_, N;
    bool reverse;
    const Runs* runs = nullptr;  // null: every step of every sequence
    bool hold = false;     // y of the other steps: that of the step before, else zero
    const T* x = nullptr;  // [T, N, I]
    const index* tokens = nullptr;           // [T, N], or instead: x is 1 there, else 0
    const T *h_0 = nullptr, *c_0 = nullptr;  // [N, H], null is zero
    T* y = nullptr;                          // [T, N, H], from row to row y_row
    index y_row = 0;
    T *h_n = nullptr, *c_n = nullptr;  // [N, H]; c_n may be null
    const T* factors = nullptr;  // of h where products read it, [N, H], null is one
    const LayerCache<T>* cache = nullptr;  // null: inference

    Sequences steps() const { return {T_, N, reverse, runs}; }
};

template <class T> struct LayerBackward {
    const Weights<T>& weights;
    index T_, N;
    bool reverse;
    const Runs* runs = nullptr;
    bool hold = false;
    const T* x = nullptr;
    const index* tokens = nullptr;  // then dx is null
    LayerCache<const T> cache = {};
    const T* dy = nullptr;  // as y, or null
    index dy_row = 0;
    const T* factors = nullptr;
    const T *dh_n = nullptr, *dc_n = nullptr;  // [N, H] or null
    const T* dc = nullptr;  // of every c_t in order of computation, [T, N, H], or null
    T* dx = nullptr;        // [T, N, I] or null
    bool add_dx = false;    // to what is there: the other direction's
    T *dh_0 = nullptr, *dc_0 = nullptr;  // [N, H]; dc_0 may be null
    T *dw_ih = nullptr, *dw_hh = nullptr, *db_ih = nullptr, *db_hh = nullptr;
    T* dw_ch = nullptr;  // of peepholes
    T* dw_hr = nullptr;  // of a projection
};

// Throw std::bad_alloc, and Interrupted where `interrupt` says so.
template <class T> void forward(const LayerForward<T>& call, Interrupt interrupt);
template <class T> void backward(const LayerBackward<T>& call, Interrupt interrupt);

// Floating-point operations of the products, for choosing threads and locking.
double forward_flops(const CellTraits& cell, index T_, index N, index I, index H);

}  // namespace rnnext
