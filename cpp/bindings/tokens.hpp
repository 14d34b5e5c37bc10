// SPDX-License-Identifier: BSD-3-Clause
//
// Token ids instead of numbers: integers of NumPy's intp.
#pragma once

#include "coverage.hpp"
#include "inputs.hpp"

namespace rnnext {

inline bool are_tokens(const Array* array) { return array && has_dtype<index>(*array); }

// Every id of a step that exists is in [0, I).
inline void check_tokens(const index* tokens, index T_, index N, index I,
                         const PyCoverage* coverage) {
    std::vector<char> skipped(std::size_t(coverage ? T_ * N : 0));
    if (coverage)
        for (const Runs::Gap& gap : coverage->runs[0].gaps)
            skipped[std::size_t(gap.at)] = 1;
    for (index i = 0; i < T_ * N; ++i) {
        if ((tokens[i] >= 0 && tokens[i] < I) || (coverage && skipped[std::size_t(i)]))
            continue;
        throw py::value_error(
            "x: expected token ids from 0 to I-1=" + std::to_string(I - 1) + ", got " +
            std::to_string(tokens[i]) + " at step " + std::to_string(i / N) +
            " of sequence " + std::to_string(i % N));
    }
}

}  // namespace rnnext
