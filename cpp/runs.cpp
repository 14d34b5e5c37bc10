// SPDX-License-Identifier: BSD-3-Clause
#include "runs.hpp"

#include <algorithm>
#include <numeric>

namespace rnnext {

Runs::Runs(const Extent& extent, bool reverse) {
    struct Found {
        index n;
        std::vector<index> times;
        bool last;
    };
    std::vector<Found> found;
    for (index n = 0; n < extent.N; ++n) {
        Found run{n, {}, true};
        run.times.reserve(std::size_t(extent.lengths ? extent.lengths[n] : extent.T_));
        index held = -1;
        for (index i = 0; i < extent.T_; ++i) {
            const index t = reverse ? extent.T_ - 1 - i : i;
            const index at = t * extent.N + n;
            if (!extent.has(t, n)) {
                gaps.push_back({at, held});
                continue;
            }
            held = at;
            if (extent.reset && extent.reset[at] && !run.times.empty()) {
                run.last = false;
                found.push_back(std::move(run));
                run = {n, {}, true};
            }
            run.times.push_back(t);
        }
        found.push_back(std::move(run));
    }
    std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
        return a.times.size() > b.times.size();
    });

    for (const Found& run : found) {
        sequence.push_back(run.n);
        length.push_back(index(run.times.size()));
        last.push_back(run.last);
    }
    const index longest = found.empty() ? 0 : length[0];
    index running = count();
    for (index s = 0; s < longest; ++s) {
        while (length[std::size_t(running - 1)] <= s) --running;
        active.push_back(running);
        first.push_back(rows());
        for (index i = 0; i < running; ++i) {
            const Found& run = found[std::size_t(i)];
            source.push_back(run.times[std::size_t(s)] * extent.N + run.n);
        }
    }
    first.push_back(rows());
}

}  // namespace rnnext
