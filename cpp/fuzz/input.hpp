// SPDX-License-Identifier: BSD-3-Clause
//
// What the fuzzers share: numbers out of bytes, and the end of a run that found a
// fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "runs.hpp"

namespace rnnext {

// Reads an input from its start; past the end everything is zero.
class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

    std::uint8_t byte() { return at_ < end_ ? *at_++ : std::uint8_t(0); }
    // From `least` to `most`.
    index number(index least, index most) {
        return least + byte() % (most - least + 1);
    }
    // True once in `n` or so.
    bool rarely(int n) { return byte() % n == 1; }

  private:
    const std::uint8_t *at_, *const end_;
};

inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

// Lengths, masks and resets, each there or not, in memory of exactly their sizes.
struct FuzzedExtent {
    FuzzedExtent(Input& in, index T_, index N) : extent{T_, N} {
        const int given = in.byte() % 8;
        if (given & 1) {
            lengths = std::make_unique<index[]>(std::size_t(N));
            for (index n = 0; n < N; ++n) lengths[std::size_t(n)] = in.number(0, T_);
            extent.lengths = lengths.get();
        }
        if (given & 2) extent.mask = flags(in, mask, T_ * N, false);
        if (given & 4) extent.reset = flags(in, reset, T_ * N, true);
    }

    Extent extent;

  private:
    // `rare` is what few of them are.
    static const bool* flags(Input& in, std::unique_ptr<bool[]>& to, index n,
                             bool rare) {
        to = std::make_unique<bool[]>(std::size_t(n));
        for (index i = 0; i < n; ++i) to[std::size_t(i)] = in.rarely(4) == rare;
        return to.get();
    }

    std::unique_ptr<index[]> lengths;
    std::unique_ptr<bool[]> mask, reset;
};

}  // namespace rnnext
