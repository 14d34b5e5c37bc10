// SPDX-License-Identifier: BSD-3-Clause
//
// A stack of layers, each in one or two directions; lists are indexed
// layer * D + direction. The output of a layer is the input of the next, times a mask
// where there is one.
#pragma once

#include <vector>

#include "layer.hpp"

namespace rnnext {

// Weights that fit each other: of one cell, one H and one instruction set, and
// I = D * H from the second layer on.
template <class T> struct Stack {
    index D;
    std::vector<Weights<T>> weights = {};

    index size() const { return index(weights.size()); }
    index layers() const { return size() / D; }
    const Weights<T>& operator[](index i) const { return weights[std::size_t(i)]; }
    double flops(index T_, index N) const;
};

template <class T> struct NetworkForward {
    const Stack<T>& stack;
    index T_, N;
    const T* x = nullptr;                    // [T, N, I]
    const T *h_0 = nullptr, *c_0 = nullptr;  // [L * D, N, H], null is zero
    std::vector<const T*> masks = {};        // none, or L - 1 of [T, N, D * H]
    T* y = nullptr;                          // [T, N, D * H]
    T *h_n = nullptr, *c_n = nullptr;        // [L * D, N, H]
    std::vector<LayerCache<T>> caches = {};  // none: inference
    std::vector<T*> outputs = {};  // of all layers but the last, kept with the caches
};

template <class T> struct NetworkBackward {
    const Stack<T>& stack;
    index T_, N;
    std::vector<const T*> inputs = {};  // of all layers
    std::vector<LayerCache<const T>> caches = {};
    std::vector<const T*> masks = {};
    const T *dy = nullptr, *dh_n = nullptr, *dc_n = nullptr;  // or null
    const T* dc = nullptr;                              // [L * D, T, N, H] or null
    T *dx = nullptr, *dh_0 = nullptr, *dc_0 = nullptr;  // dx or null
    struct Gradients {
        T *w_ih, *w_hh, *b_ih, *b_hh, *w_ch;  // w_ch: of peepholes
    };
    std::vector<Gradients> gradients = {};
};

template <class T> void forward(const NetworkForward<T>& call, Interrupt interrupt);
template <class T> void backward(const NetworkBackward<T>& call, Interrupt interrupt);

// The state of a one-direction stack that is fed one step at a time. The stack comes
// with every step: it may change in between.
template <class T> class Stepper {
  public:
    Stepper(const Stack<T>& stack, index N);
    bool fits(const Stack<T>& stack) const;
    void step(const Stack<T>& stack, const T* x, T* out, Interrupt interrupt);

    const CellKind kind;
    const index L, N, I, H;
    T* h() { return h_.get(); }  // [L, N, H]
    T* c() { return c_.get(); }  // null without a cell state

  private:
    AlignedBuffer<T> h_, c_, between_[2];
};

}  // namespace rnnext
