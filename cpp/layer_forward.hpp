// SPDX-License-Identifier: BSD-3-Clause
//
// The forward of one layer in one direction, chunk by chunk: what the threads of a call
// share (forward), or what each thread does of one of several layers (side_by_side).
#pragma once

#include "chunk.hpp"
#include "layer.hpp"

namespace rnnext {

// What a call computes with: scratch, and its part of the work. `scratch` must outlive
// it.
template <class T> class Forward {
  public:
    Forward(const LayerForward<T>& call, const Schedule& plan, Scratch& scratch);

    // Before the first chunk, and after the last.
    void begin();
    void end();

    // All steps, by all threads of a team; false: stopped.
    bool run(const Team& team, Stop& stop);
    // Steps from `first` on, as many as the plan has in a chunk, by the caller alone.
    void chunk(index first);

  private:
    void begin(const T* state_0, index width, T* state, T* kept);
    void begin_dropout();
    void end(const T* state, index width, bool ring, T* state_n);
    bool slab(const Team& team, Range sequences, Stop& stop);
    void chunk(const Team& team, const Schedule::Part& part, Range sequences,
               index first);
    bool is_single_step() const;
    void single_step(const Team& team, const Chunk& chunk, const Schedule::Part& part,
                     index slab);
    void project(const Team& team, const Chunk& chunk, const Schedule::Part& part);
    void project_tokens(const Team& team, const Chunk& chunk,
                        const Schedule::Part& part);
    void scan(const Chunk& chunk, const Schedule::Part& part, Range projected,
              index slab, T* a, Sync sync);
    void scatter(const Chunk& chunk, Range rows, Range units);

    const LayerForward<T>& call_;
    const Weights<T>& w_;
    const Sequences all_;
    const Schedule plan_;
    const bool training_;
    index turn_ = 0;  // of a single step
    // Pre-activations of a chunk: each thread has its own, a page from those of the
    // next, where no processor that fetches ahead takes them away. Of many rows, where
    // that matters little, all have the same.
    T* a_of(const Team& team) const { return a_ + team.thread * a_stride_; }

    Step* steps_;  // [threads][chunk]
    T* a_;
    index a_stride_;  // elements from one thread's to the next
    T *apart_ = nullptr, *y_ = nullptr, *operand_ = nullptr;  // of a chunk, or null
    T *h_, *c_ = nullptr, *factors_ = nullptr, *dropped_ = nullptr;
    T *unprojected_ = nullptr, *zeros_ = nullptr;
};

}  // namespace rnnext
