// SPDX-License-Identifier: BSD-3-Clause
//
// Who does what in calls of drawn shapes, in any number of threads: every step of every
// sequence is in one chunk, every row and block in one thread's part, and what orders
// sums does not depend on the threads.
#include <map>
#include <tuple>
#include <vector>

#include "../tests/layer_case.hpp"
#include "chunk.hpp"
#include "input.hpp"

namespace rnnext {
namespace {

// Weights of zeros; a schedule sees their sizes alone.
template <class T> const Weights<T>& weights_of(CellKind kind, index I, index H) {
    static std::map<std::tuple<CellKind, index, index>, std::unique_ptr<Weights<T>>>
        known;
    auto& found = known[{kind, I, H}];
    if (found) return *found;
    const std::vector<T> w(
        std::size_t(cell_traits[int(kind)].gates * H * std::max(I, H)));
    found = std::make_unique<Weights<T>>(kind, I, H, w.data(), w.data(), w.data(),
                                         w.data());
    return *found;
}

// The shares of all threads follow each other from 0 to `end`.
template <class F> void check_shares(const Schedule& plan, index end, F share) {
    index next = 0;
    Barrier nobody(1, nullptr);
    for (int thread = 0; thread < plan.threads; ++thread) {
        const Range mine = share(Team{thread, plan.threads, nobody});
        require(mine.begin == next && mine.end >= next, "shares follow each other");
        next = mine.end;
    }
    require(next == end, "shares are all there is");
}

// Counts how often each of `size` places is named.
class Tally {
  public:
    Tally(index size, const char* what) : seen_(std::size_t(size)), what_(what) {}
    void add(index at) {
        require(at >= 0 && at < index(seen_.size()), what_);
        require(!seen_[std::size_t(at)], what_);
        seen_[std::size_t(at)] = true;
        ++count;
    }
    index count = 0;

  private:
    std::vector<bool> seen_;
    const char* const what_;
};

// A call of few rows, step by step.
void check_chunks(const Schedule& plan, const Sequences& all) {
    Tally source(all.T_ * all.N, "every step of x once");
    Tally kept(all.rows(), "every row kept once");
    std::vector<Step> room(std::size_t(plan.chunk));
    for (index begin = 0; begin < all.count(); begin += plan.slab) {
        const Range slab{begin, std::min(begin + plan.slab, all.count())};
        for (index first = 0; first < all.steps(); first += plan.chunk) {
            const Chunk chunk(all, first, std::min(plan.chunk, all.steps() - first),
                              slab, room.data());
            Tally a(plan.chunk * plan.slab, "every row of a chunk once");
            for (index i = 0; i < chunk.count; ++i) {
                const Step& step = chunk.stored(i);
                require(step.rows >= 0 && step.rows <= plan.slab, "rows of a slab");
                for (index n = 0; n < step.rows; ++n) {
                    source.add(chunk.source(step, n));
                    kept.add(step.kept + n);
                    a.add(step.a + n);
                }
            }
            require(a.count == chunk.rows, "rows are those of the steps");
        }
    }
    require(kept.count == all.rows(), "all rows are computed");
}

template <class T>
void check(const Weights<T>& w, const Sequences& all, int threads, bool backward) {
    const auto planned = [&](int n) {
        set_num_threads(n);
        return backward ? backward_schedule(w, all) : forward_schedule(w, all);
    };
    const Schedule alone = planned(1), plan = planned(threads);
    require(plan.threads >= 1 && plan.threads <= threads, "threads that there are");
    require(plan.slab >= 1 && plan.chunk >= 1, "something at a time");
    require(plan.slab == alone.slab && plan.chunk == alone.chunk,
            "chunks whatever the threads");
    for (index first = 0; first < all.count(); first += plan.slab) {
        const Range slab{first, std::min(first + plan.slab, all.count())};
        const index rows = slab.end - slab.begin, blocks = w.blocks();
        const auto part = [&](const Team& team) {
            const Schedule::Part mine = plan.part(team, all, slab, blocks);
            require(mine.all_rows == (mine.rows.end - mine.rows.begin == rows),
                    "all rows are all");
            return mine;
        };
        const bool split = plan.split == Split::rows;
        check_shares(plan, split ? rows : blocks, [&](const Team& team) {
            const Schedule::Part mine = part(team);
            const Range whole = split ? mine.blocks : mine.rows;
            require(whole.begin == 0 && whole.end == (split ? blocks : rows),
                    "of what is not shared, all");
            return split ? mine.rows : mine.blocks;
        });
    }
    if (all.T_ * all.N <= 256) check_chunks(plan, all);

    // Of layers like this one side by side, each with all its rows.
    const int beside = threads_side_by_side(w, all, 3);
    require(beside >= 1 && beside <= std::min(threads, 3), "threads for layers");
    if (beside == 1) return;
    const Schedule own = schedule_side_by_side(w, all);
    require(own.threads == 1 && own.slab == all.count(), "a layer to each thread");
    require(own.chunk >= 1 && own.chunk <= all.steps(), "something at a time");
    if (all.T_ * all.N <= 256) check_chunks(own, all);
}

template <class T> void check(Input& in, CellKind kind) {
    const index sizes[] = {1, 3, 16, 40, 130, 256};
    const index I = sizes[in.number(0, 5)], H = sizes[in.number(0, 5)];
    const Weights<T>& w = weights_of<T>(kind, I, H);
    const int how = in.byte(), threads = int(in.number(1, 70));
    if (how & 1) {
        const index T_ = in.number(1, 8), N = in.number(1, 6);
        const FuzzedExtent fuzzed(in, T_, N);
        const Runs runs(fuzzed.extent, how & 2);
        if (runs.count() > 0) check(w, {T_, N, bool(how & 2), &runs}, threads, how & 4);
        return;
    }
    const index T_ = index(in.number(1, 256)) << in.number(0, how & 8 ? 16 : 0);
    const index N = index(in.number(1, 256)) << in.number(0, how & 16 ? 8 : 0);
    check(w, {T_, N, bool(how & 2), nullptr}, threads, how & 4);
}

}  // namespace
}  // namespace rnnext

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace rnnext;
    Input in(data, size);
    const auto kind = CellKind(in.number(0, cell_kinds - 1));
    if (in.byte() & 1) check<double>(in, kind);
    else check<float>(in, kind);
    return 0;
}
