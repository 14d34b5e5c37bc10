// SPDX-License-Identifier: BSD-3-Clause
#include "schedule.hpp"

#include <algorithm>
#include <cmath>

#include "layer.hpp"

namespace rnnext {
namespace {

// Of one thread, with few rows, whose weights come from the second cache.
template <class T> constexpr double flops_per_second = 1.8e11 / sizeof(T);
// Of one thread, whose weights no cache of its own holds.
constexpr double bytes_per_second = 3e10;
// To begin a job and to end it takes a thread about as long as so many meetings. What
// backward has more to do it needs for more meetings.
constexpr double meetings_per_job = 7;
constexpr double shortest_meeting = 5e-8;  // that was ever measured
constexpr double flops_per_thread(double meeting) {
    return meetings_per_job * meeting * flops_per_second<float>;
}
// Between chunks Ctrl-C is looked for: about every 10 ms. A single step of more is cut
// into slabs of rows.
constexpr double flops_per_chunk = 5e8;
constexpr double flops_per_slab = 2e9;
// Bytes of weights that each thread may as well read all of, if it has so many rows:
// from its own cache, or from that of all cores.
constexpr index own_cache = index(512) << 10, common_cache = index(2) << 20;
constexpr index rows_from_own = 8, rows_from_common = 32;

// Without the padding: the same on every instruction set, and so are the chunks.
template <class T> index row_bytes(const Weights<T>& w) {
    return w.traits.columns * w.hidden_size * index(sizeof(T));
}

template <class T> index weight_bytes(const Weights<T>& w) {
    return w.traits.gates * w.hidden_size * (w.input_size + w.hidden_size) *
           index(sizeof(T));
}

template <class T> bool is_resident(const Weights<T>& w) {
    return weight_bytes(w) <= own_cache;
}

// Whether threads that take `rows` of a step each lose nothing by it.
template <class T> bool is_worth_rows(const Weights<T>& w, index rows) {
    if (weight_bytes(w) > common_cache) return false;
    return rows >= (is_resident(w) ? rows_from_own : rows_from_common);
}

// Operations of a step; narrow layers take the time of a vector or so.
template <class T> double step_flops(const Weights<T>& w, index rows) {
    return forward_flops(w.traits, 1, rows, std::max<index>(w.input_size, 16),
                         std::max<index>(w.hidden_size, 16));
}

template <class T> int meetings_per_step(const Weights<T>& w) {
    return 1 + (w.traits.h[1].count > 0) + w.has_projection();
}

// Of the meetings of a step, with what follows each: every thread reads what the others
// wrote, line by line out of their caches, and takes its own lines back to write again.
// As measured on cores that have a cache in common, and on others.
double exchange_seconds(int meetings, index bytes, int threads) {
    const double others = double(bytes / 64) * (threads - 1) / threads;
    return meetings * meeting_seconds() * (3 + others / 5);
}

// Where threads share the units of a step of so many rows.
template <class T>
double exchange_seconds(const Weights<T>& w, index rows, int threads) {
    return exchange_seconds(meetings_per_step(w),
                            rows * w.hidden_size * index(sizeof(T)), threads);
}

// `work` times the operations of forward; chunks of about `chunk_bytes`, but of at
// least `chunk_rows` rows.
template <class T>
Schedule schedule(const Weights<T>& w, const Sequences& all, double work,
                  index chunk_bytes, index chunk_rows) {
    const index rows = std::max<index>(all.count(), 1);
    const index steps = std::max<index>(all.steps(), 1);
    const double step = work * step_flops(w, rows);
    const double flops = step / double(rows) * double(all.rows());
    Schedule s{};
    s.alone = flops / flops_per_second<T>;
    if (weight_bytes(w) > common_cache)
        s.alone = std::max(s.alone, double(weight_bytes(w)) / bytes_per_second);
    // To plan it would take as long.
    if (steps == 1 && step < 2 * work * flops_per_thread(shortest_meeting)) {
        s.slab = rows;
        s.chunk = s.threads = 1;
        s.split = Split::units;
        return s;
    }
    const index slabs = index(std::ceil(step / flops_per_slab));
    s.slab = (rows + slabs - 1) / slabs;
    s.chunk = std::max(chunk_bytes / (row_bytes(w) * s.slab), chunk_rows / s.slab);
    s.chunk = std::min(s.chunk, index(flops_per_chunk / step * double(slabs)));
    s.chunk = std::clamp<index>(s.chunk, 1, steps);

    s.threads = threads_for(flops / work);
    s.split = is_worth_rows(w, s.slab / s.threads) ? Split::rows : Split::units;
    if (s.split == Split::units && s.threads > 1) {
        s.threads = int(std::min<index>(s.threads, w.blocks()));
        const double alone = step / work / flops_per_second<T>;
        const double meetings = exchange_seconds(w, s.slab, s.threads);
        if (alone / s.threads + meetings >= alone) s.threads = 1;
    }
    return s;
}

}  // namespace

int threads_for(double flops) {
    const double least = flops_per_thread(meeting_seconds());
    return std::max(1, int(std::min(double(get_num_threads()), flops / least)));
}

Crew crew_for(double flops) {
    return {threads_for(flops), flops / flops_per_second<float>};
}

Schedule::Part Schedule::part(const Team& team, const Sequences& all, Range slab,
                              index blocks) const {
    const index rows = slab.end - slab.begin;
    if (split == Split::units) return {{0, rows}, team.share(blocks), true};
    if (!all.runs) {
        const Range mine = team.share(rows);
        return {mine, {0, blocks}, mine.end - mine.begin == rows};
    }
    // Longer runs come first: a share is of steps.
    index total = 0;
    for (index i = slab.begin; i < slab.end; ++i) total += all.length(i);
    const Range steps = team.share(total);
    const auto reach = [&](index wanted) {
        index i = slab.begin;
        for (index sum = 0; i < slab.end && sum < wanted; ++i) sum += all.length(i);
        return i - slab.begin;
    };
    const bool final = team.thread == team.threads - 1;
    const Range mine{reach(steps.begin), final ? rows : reach(steps.end)};
    return {mine, {0, blocks}, mine.end - mine.begin == rows};
}

// Pre-activations of a chunk stay in the second-level cache.
template <class T>
Schedule forward_schedule(const Weights<T>& w, const Sequences& all) {
    return schedule(w, all, 1, index(256) << 10, 48);
}

// Enough rows at a time that the parameter gradients are read and written seldom; where
// these stay in a cache anyway, so few that the gradients of the chunk do as well.
template <class T>
Schedule backward_schedule(const Weights<T>& w, const Sequences& all) {
    if (is_resident(w)) return schedule(w, all, 2, index(512) << 10, 256);
    return schedule(w, all, 2, index(1) << 20, 512);
}

// Threads that share a layer meet after every product of every step, and hold a part of
// its weights each; side by side they need whole ones in their caches.
template <class T>
int threads_side_by_side(const Weights<T>& w, const Sequences& all, index layers) {
    if (all.steps() < 2 || all.count() == 0 || !is_resident(w)) return 1;
    const Schedule shared = forward_schedule(w, all);
    if (shared.slab < all.count()) return 1;
    if (shared.threads > 1 && shared.split == Split::rows) return 1;
    const double step = step_flops(w, all.count());
    const double work = step * double(layers);
    const int threads =
        int(std::min<index>(threads_for(work * double(all.steps())), layers));
    const double meetings =
        shared.threads == 1 ? 0 : exchange_seconds(w, all.count(), shared.threads);
    const double time =
        work / shared.threads + double(layers) * meetings * flops_per_second<T>;
    return work / threads < time ? threads : 1;
}

// Few steps at a time, that who takes the output of another need not wait long, yet
// enough rows for the products.
template <class T>
Schedule schedule_side_by_side(const Weights<T>& w, const Sequences& all) {
    Schedule s = forward_schedule(w, all);
    s.threads = 1;
    s.slab = std::max<index>(all.count(), 1);
    const index least = std::max<index>(12 / s.slab, 1);
    s.chunk = std::min(std::max(all.steps() / 8, least), s.chunk);
    return s;
}

template int threads_side_by_side(const Weights<float>&, const Sequences&, index);
template int threads_side_by_side(const Weights<double>&, const Sequences&, index);
template Schedule schedule_side_by_side(const Weights<float>&, const Sequences&);
template Schedule schedule_side_by_side(const Weights<double>&, const Sequences&);
template Schedule forward_schedule(const Weights<float>&, const Sequences&);
template Schedule forward_schedule(const Weights<double>&, const Sequences&);
template Schedule backward_schedule(const Weights<float>&, const Sequences&);
template Schedule backward_schedule(const Weights<double>&, const Sequences&);

}  // namespace rnnext
