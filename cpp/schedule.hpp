// SPDX-License-Identifier: BSD-3-Clause
//
// Who does what in a call: threads, rows or units split among them, and chunks. Results
// do not depend on any of it, except that the chunks of backward (a function of the
// shape alone) order the sums of the parameter gradients.
#pragma once

#include "pool.hpp"
#include "runs.hpp"
#include "weights.hpp"

namespace rnnext {

// Threads worth starting for work of so many floating-point operations.
int threads_for(double flops);
// These, without those that would be awake too late.
Crew crew_for(double flops);

enum class Split {
    rows,   // a thread takes whole sequences: no meeting
    units,  // a thread takes hidden units, its weights stay in its cache; one meeting a
            // step
};

struct Schedule {
    int threads;
    double alone;  // seconds that it takes one thread, about
    Split split;
    index slab;   // rows that go through all steps before the next slab begins
    index chunk;  // steps between projection and scan, or scan and unprojection

    Crew crew() const { return {threads, alone}; }

    struct Part {
        Range rows, blocks;  // of the slab, of the units
        bool all_rows;
    };
    // How threads meet within a scan: only where they share its rows.
    Sync sync(const Team& team) const {
        return split == Split::units ? team.sync() : Sync{nullptr, nullptr};
    }
    // A thread's share of blocks of units, where units are shared.
    Range share(const Team& team, index blocks) const {
        return split == Split::units ? team.share(blocks) : Range{0, blocks};
    }
    // A thread's part of a slab.
    Part part(const Team& team, const Sequences& all, Range slab, index blocks) const;
};

template <class T>
Schedule forward_schedule(const Weights<T>& weights, const Sequences& all);
template <class T>
Schedule backward_schedule(const Weights<T>& weights, const Sequences& all);

// For `layers` like this one side by side, each step of each by one thread: the threads
// to start, 1 where all threads had better share every layer; and how each layer goes.
template <class T>
int threads_side_by_side(const Weights<T>& weights, const Sequences& all, index layers);
template <class T>
Schedule schedule_side_by_side(const Weights<T>& weights, const Sequences& all);

}  // namespace rnnext
