// SPDX-License-Identifier: BSD-3-Clause
//
// What forward and backward of a layer share: chunks of time steps, and copies.
#pragma once

#include <algorithm>
#include <cstring>

#include "memory.hpp"
#include "schedule.hpp"

namespace rnnext {

template <class T> void copy(const T* from, index count, T* to) {
    if (count > 0) std::memcpy(to, from, std::size_t(count) * sizeof(T));
}

template <class T> void copy_or_zero(const T* from, index count, T* to) {
    if (from) copy(from, count, to);
    else std::fill_n(to, count, T(0));
}

// A row, or zeros, and zeros up to the next row.
template <class T> void copy_row(const T* from, index width, T* to, index to_row) {
    copy_or_zero(from, width, to);
    std::fill(to + width, to + to_row, T(0));
}

// Steps [first, first + count) in order of computation of a slab of sequences. Rows of
// the steps lie in memory by time, so that those of x are neighbours; rows of runs in
// order of computation.
class Chunk {
  public:
    Chunk(const Sequences& all, index first, index count, Range slab, Step* room)
        : first(first), count(count), step(room), all_(all), slab_(slab) {
        for (index s = 0; s < count; ++s) {
            const index now = first + s, height = slab.end - slab.begin;
            Step& to = room[s];
            to.kept = all.first_row(now) + slab.begin;
            to.before = all.before(now) + slab.begin;
            if (all.runs) {
                const index active = all.runs->active[std::size_t(now)];
                to.rows = std::clamp<index>(active - slab.begin, 0, height);
                to.a = to.y = rows;
            } else {
                to.rows = height;
                to.a = (all.reverse ? count - 1 - s : s) * height;
                to.y = (all.reverse ? all.T_ - 1 - now : now) * all.N + slab.begin;
            }
            rows += to.rows;
        }
    }

    const index first, count;
    const Step* const step;
    index rows = 0;

    // The i-th step in memory.
    const Step& stored(index i) const {
        return step[!all_.runs && all_.reverse ? count - 1 - i : i];
    }
    // The row of x of one of its sequences.
    index source(const Step& of, index n) const {
        if (!all_.runs) return of.y + n;
        return all_.runs->source[std::size_t(of.kept + n)];
    }
    // Whether the rows of x are neighbours from step to step.
    bool neighbours() const { return !all_.runs && slab_.end - slab_.begin == all_.N; }

  private:
    const Sequences& all_;
    const Range slab_;
};

}  // namespace rnnext
