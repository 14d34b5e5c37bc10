// SPDX-License-Identifier: BSD-3-Clause
//
// Lengths, masks and resets to runs, and the outputs of what is not computed, held
// against a walk over every sequence, step by step.
#include <algorithm>
#include <vector>

#include "input.hpp"

namespace rnnext {
namespace {

// What a walk over sequence n finds: the steps of its runs, in order of computation.
std::vector<std::vector<index>> walk(const Extent& e, bool reverse, index n) {
    std::vector<std::vector<index>> found(1);
    for (index i = 0; i < e.T_; ++i) {
        const index t = reverse ? e.T_ - 1 - i : i, at = t * e.N + n;
        if (e.lengths && t >= e.lengths[n]) continue;
        if (e.mask && !e.mask[at]) continue;
        if (e.reset && e.reset[at] && !found.back().empty()) found.emplace_back();
        found.back().push_back(at);
    }
    return found;
}

void check(const Extent& e, bool reverse, bool hold) {
    const Runs runs(e, reverse);
    const auto count = std::size_t(runs.count());
    require(runs.length.size() == count && runs.last.size() == count, "one a run");
    require(runs.first.size() == runs.active.size() + 1, "one first row a step");
    require(std::is_sorted(runs.length.rbegin(), runs.length.rend()), "longest first");
    require(runs.rows() + index(runs.gaps.size()) == e.T_ * e.N, "every step once");

    std::vector<std::vector<index>> rows(count);
    index row = 0;
    for (index s = 0; s < runs.steps(); ++s) {
        require(runs.first[std::size_t(s)] == row, "rows follow each other");
        for (index i = 0; i < runs.active[std::size_t(s)]; ++i)
            rows[std::size_t(i)].push_back(runs.source[std::size_t(row++)]);
    }
    require(row == runs.rows() && runs.first.back() == row, "all rows have a step");

    std::vector<std::vector<std::vector<index>>> by_sequence{std::size_t(e.N)};
    std::vector<int> ends(std::size_t(e.N), 0);
    for (std::size_t i = 0; i < count; ++i) {
        require(index(rows[i].size()) == runs.length[i], "as long as it says");
        const auto n = std::size_t(runs.sequence[i]);
        by_sequence[n].push_back(rows[i]);
        if (!runs.last[i]) continue;
        ++ends[n];
        require(rows[i] == walk(e, reverse, index(n)).back(), "the last run is last");
    }
    for (index n = 0; n < e.N; ++n) {
        auto expected = walk(e, reverse, n);
        auto& got = by_sequence[std::size_t(n)];
        std::sort(expected.begin(), expected.end());
        std::sort(got.begin(), got.end());
        require(got == expected, "the runs of a sequence");
        require(ends[std::size_t(n)] == 1, "one end a sequence");
    }

    // y holds the number of its step, and 0 or that of the step held where there is
    // none.
    constexpr index width = 2, y_row = 3;
    std::vector<float> y(std::size_t(e.T_ * e.N * y_row), -1), expected = y;
    for (index at = 0; at < e.T_ * e.N; ++at)
        y[std::size_t(at * y_row)] = float(at + 1);
    for (index at = 0; at < e.T_ * e.N; ++at) y[std::size_t(at * y_row + 1)] = 0.5f;
    fill_gaps(runs, hold, width, y.data(), y_row);
    for (index n = 0; n < e.N; ++n) {
        float held = 0, half = 0;
        for (index i = 0; i < e.T_; ++i) {
            const index t = reverse ? e.T_ - 1 - i : i, at = t * e.N + n;
            const bool is = e.has(t, n);
            if (is && hold) held = float(at + 1), half = 0.5f;
            float* const to = &expected[std::size_t(at * y_row)];
            to[0] = is ? float(at + 1) : held;
            to[1] = is ? 0.5f : half;
        }
    }
    require(y == expected, "outputs of the other steps");
}

}  // namespace
}  // namespace rnnext

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace rnnext;
    Input in(data, size);
    const int how = in.byte();
    const rnnext::index T_ = in.number(0, 6), N = in.number(0, 4);
    const FuzzedExtent fuzzed(in, T_, N);
    check(fuzzed.extent, how & 1, how & 2);
    return 0;
}
