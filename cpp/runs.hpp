// SPDX-License-Identifier: BSD-3-Clause
//
// Which steps of which sequences a call computes, where that is not all of them.
//
// A *run* is a stretch of one sequence that begins from the initial state: a sequence
// of its own length, the steps that a mask leaves, what lies between two resets. Runs
// stand longest first, so those that take part in step s are the first active[s] of
// them, and the rows of all steps one after the other hold no padding.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels.hpp"

namespace rnnext {

// What a caller says of T_ steps of N sequences; null where nothing is said.
struct Extent {
    index T_, N;
    const index* lengths = nullptr;  // [N], 0 to T_
    const bool* mask = nullptr;      // [T_, N]: the step exists
    const bool* reset = nullptr;     // [T_, N]: the step starts from the initial state

    bool has(index t, index n) const {
        return (!lengths || t < lengths[n]) && (!mask || mask[t * N + n]);
    }
};

struct Runs {
    Runs(const Extent& extent, bool reverse);

    index count() const { return index(sequence.size()); }
    index steps() const { return index(active.size()); }
    index rows() const { return index(source.size()); }

    std::vector<index> sequence;  // of a run: its n
    std::vector<index> length;    // of a run, descending
    std::vector<char> last;     // of a run: its end is the final state of the sequence
    std::vector<index> active;  // of a step
    std::vector<index> first;   // of a step: its first row; and one more, rows()
    std::vector<index> source;  // of a row: t * N + n

    // A step that is not computed: its t * N + n, and that of the last one before it in
    // order of computation, or -1.
    struct Gap {
        index at, held;
    };
    std::vector<Gap> gaps;
};

// Rows of y of the steps that are not computed: those of the steps before, or zero.
template <class T>
void fill_gaps(const Runs& runs, bool hold, index width, T* y, index y_row) {
    for (const Runs::Gap& gap : runs.gaps) {
        T* const to = y + gap.at * y_row;
        if (hold && gap.held >= 0) std::copy_n(y + gap.held * y_row, width, to);
        else std::fill_n(to, width, T(0));
    }
}

// The steps of a layer in one direction: all of all sequences, or runs of them.
struct Sequences {
    index T_, N;
    bool reverse;
    const Runs* runs;  // null: all

    index count() const { return runs ? runs->count() : N; }
    index steps() const { return runs ? runs->steps() : T_; }
    index rows() const { return runs ? runs->rows() : T_ * N; }
    // Of one of them: which sequence of the batch it is of, its steps, whether it ends
    // with the final state.
    index of(index i) const { return runs ? runs->sequence[std::size_t(i)] : i; }
    index length(index i) const { return runs ? runs->length[std::size_t(i)] : T_; }
    bool is_last(index i) const { return !runs || runs->last[std::size_t(i)]; }
    // Rows of all steps before a step.
    index first_row(index step) const {
        return runs ? runs->first[std::size_t(step)] : step * N;
    }
    // States are kept in rows: those that the sequences start from, then those after
    // each step.
    index before(index step) const {
        return step == 0 ? 0 : count() + first_row(step - 1);
    }
};

}  // namespace rnnext
