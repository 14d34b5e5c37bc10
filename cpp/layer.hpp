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
#include "weights.hpp"

namespace rnnext {

// What forward keeps for backward, in order of computation: h and c [T+1, N, H] with the
// initial state in slot 0, gates [T, N, saved, H]. c null without a cell state.
template <class T> struct LayerCache {
    T *h, *c, *gates;
};

template <class T> struct LayerForward {
    const Weights<T>& weights;
    index T_, N;
    bool reverse;
    const T* x;               // [T, N, I]
    const T *h_0, *c_0;       // [N, H] or null: zero
    T* y; index y_time, y_row;
    T *h_n, *c_n;             // [N, H]; c_n may be null
    const LayerCache<T>* cache;  // null: inference
};

template <class T> struct LayerBackward {
    const Weights<T>& weights;
    index T_, N;
    bool reverse;
    const T* x;
    LayerCache<const T> cache;
    const T* dy; index dy_time, dy_row;  // or null
    const T *dh_n, *dc_n;                // [N, H] or null
    const T* dc;                         // [T, N, H], of every c_t in order of computation
    T* dx;                               // [T, N, I] or null
    bool add_dx;                         // to what is there (the other direction's)
    T *dh_0, *dc_0;                      // [N, H]; dc_0 may be null
    T *dw_ih, *dw_hh, *db_ih, *db_hh;    // written, not added to
};

// Throw std::bad_alloc, and Interrupted where `interrupt` says so.
template <class T> void forward(const LayerForward<T>& call, Interrupt interrupt);
template <class T> void backward(const LayerBackward<T>& call, Interrupt interrupt);

// Floating-point operations of the products, for choosing threads and locking.
double forward_flops(const CellTraits& cell, index T_, index N, index I, index H);

}  // namespace rnnext
