// SPDX-License-Identifier: BSD-3-Clause
//
// A stack of layers, each in one or two directions; lists are indexed
// layer * D + direction. The output of a layer, that of its directions merged, is the
// input of the next, times a mask where there is one.
#pragma once

#include <atomic>
#include <vector>

#include "layer.hpp"

namespace rnnext {

// What two directions make of their outputs: one of all their features, one of the
// features of each, or, in a single layer, two.
enum class Merge : int { concat, sum, mul, ave, none };
constexpr int merges = 5;

// Weights that fit each other: of one cell, one H and one instruction set, and
// I = output_size() from the second layer on.
template <class T> struct Stack {
    index D;
    Merge merge = Merge::concat;  // else D = 2
    bool reverse = false;         // the only direction runs from the end
    std::vector<Weights<T>> weights = {};

    // F, features of an output.
    index output_size() const {
        return weights[0].state_size * (merge == Merge::concat ? D : 1);
    }
    // Whether one output stands for two directions, neither of which is in it.
    bool is_merged() const { return merge != Merge::concat && merge != Merge::none; }
    index widest_input() const;
    bool from_end(index direction) const { return reverse || direction == 1; }
    index size() const { return index(weights.size()); }
    index layers() const { return size() / D; }
    const Weights<T>& operator[](index i) const { return weights[std::size_t(i)]; }
    double flops(index T_, index N) const;
};

// Where not every step of every sequence is computed: the runs of each direction, and
// whether outputs of the other steps are those of the step before.
struct Coverage {
    std::vector<Runs> runs;
    bool hold;
};

// The factors of dropout; of each kind none or all.
template <class T> struct Masks {
    std::vector<const T*> between = {};  // of outputs but the last, L - 1 of [T, N, F]
    // The same at every step, L * D of each kind: [N, I], and of h where products read
    // it, [N, H].
    std::vector<const T*> input = {}, recurrent = {};
};

template <class T> struct NetworkForward {
    const Stack<T>& stack;
    index T_, N;
    const Coverage* coverage = nullptr;
    const T* x = nullptr;                    // [T, N, I]
    const index* tokens = nullptr;           // [T, N], or instead
    const T *h_0 = nullptr, *c_0 = nullptr;  // [L * D, N, H], null is zero
    Masks<T> masks = {};
    T* y[2] = {};                            // [T, N, F]; the second of Merge::none
    T *h_n = nullptr, *c_n = nullptr;        // [L * D, N, H]
    std::vector<LayerCache<T>> caches = {};  // none: inference
    std::vector<T*> outputs = {};  // of all layers but the last, kept with the caches
};

template <class T> struct NetworkBackward {
    const Stack<T>& stack;
    index T_, N;
    const Coverage* coverage = nullptr;
    std::vector<const T*> inputs = {};  // of all layers; of tokens null
    const index* tokens = nullptr;
    std::vector<LayerCache<const T>> caches = {};
    Masks<T> masks = {};
    const T* dy[2] = {};                                // as y, or null
    const T *dh_n = nullptr, *dc_n = nullptr;           // or null
    const T* dc = nullptr;                              // [L * D, T, N, H] or null
    T *dx = nullptr, *dh_0 = nullptr, *dc_0 = nullptr;  // dx or null
    struct Gradients {
        T *w_ih, *w_hh, *b_ih, *b_hh;
        T *w_hr, *w_ch;  // of a projection, of peepholes
    };
    std::vector<Gradients> gradients = {};
};

template <class T> void forward(const NetworkForward<T>& call, Interrupt interrupt);
template <class T> void backward(const NetworkBackward<T>& call, Interrupt interrupt);

// The state of a stack from start to end that is fed one step at a time. The stack
// comes with every step: it may change in between.
template <class T> class Stepper {
  public:
    Stepper(const Stack<T>& stack, index N);
    bool fits(const Stack<T>& stack) const;
    void step(const Stack<T>& stack, const T* x, const index* tokens, T* out,
              Interrupt interrupt);

    const CellKind kind;
    const index L, N, I, H, P;
    T* h() { return h_[now_].get(); }  // [L, N, P]
    T* c() { return c_[now_].get(); }  // [L, N, H], null without a cell state

  private:
    // The state, and room for that of the step under way: one that fails on the way up
    // has not happened in any layer.
    AlignedBuffer<T> h_[2], c_[2], between_[2];
    std::atomic<int> now_{0};
};

}  // namespace rnnext
