// SPDX-License-Identifier: BSD-3-Clause
//
// What forward and backward of a layer share: chunks of time steps, and copies of rows.
#pragma once

#include <algorithm>
#include <cstring>

#include "memory.hpp"

namespace rnnext {

template <class T> void copy(const T* from, index count, T* to) {
    if (count > 0) std::memcpy(to, from, std::size_t(count) * sizeof(T));
}

template <class T> void copy_or_zero(const T* from, index count, T* to) {
    if (from) copy(from, count, to);
    else std::fill_n(to, count, T(0));
}

// Rows of `width` elements, or zeros, from rows to rows that lie so far apart; what
// lies between the latter becomes zero.
template <class T>
void copy_rows(const T* from, index from_row, index rows, index width, T* to,
               index to_row) {
    for (index n = 0; n < rows; ++n) {
        copy_or_zero(from ? from + n * from_row : nullptr, width, to + n * to_row);
        std::fill(to + n * to_row + width, to + (n + 1) * to_row, T(0));
    }
}

// Steps [first, first + count) in order of computation, of which `time` is the lowest
// time. Arrays kept by time are walked from `start` with stride `direction`.
struct Chunk {
    index first, count, time, start, direction;

    Chunk(index T_, bool reverse, index first_, index count_)
        : first(first_), count(count_), time(reverse ? T_ - first - count : first),
          start(reverse ? count - 1 : 0), direction(reverse ? -1 : 1) {}
    // The step that computes the chunk's i-th time.
    index step_at(index i) const {
        return direction > 0 ? first + i : first + count - 1 - i;
    }
};

}  // namespace rnnext
