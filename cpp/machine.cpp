// SPDX-License-Identifier: BSD-3-Clause
#include "machine.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "memory.hpp"
#include "pool.hpp"

namespace rnnext {
namespace {

constexpr double budget = 0.1;  // seconds
constexpr int least_bursts = 20, enough_together = 10;

// One thread's part of a burst; a cache line of its own.
struct alignas(64) Span {
    double begin, end;
};

// The bursts of all threads: the best of those that ran side by side. On a busy machine
// there may be none, so each thread's own best is kept as well.
class Best {
  public:
    explicit Best(int threads) : alone_(std::size_t(threads), infinite) {}

    void take(const std::vector<Span>& spans) {
        Span any = spans[0], all = spans[0];
        for (std::size_t i = 0; i < spans.size(); ++i) {
            const auto [begin, end] = spans[i];
            any = {std::min(any.begin, begin), std::max(any.end, end)};
            all = {std::max(all.begin, begin), std::min(all.end, end)};
            alone_[i] = std::min(alone_[i], end - begin);
        }
        const double seconds = any.end - any.begin;
        if (all.end - all.begin < 0.9 * seconds) return;
        ++count_;
        together_ = std::min(together_, seconds);
    }

    double seconds() const {
        if (count_ >= enough_together) return together_;
        double rates = 0;
        for (const double seconds : alone_) rates += 1 / seconds;
        return double(alone_.size()) / rates;
    }

  private:
    static constexpr double infinite = std::numeric_limits<double>::infinity();
    int count_ = 0;
    double together_ = infinite;
    std::vector<double> alone_;
};

// The fewest seconds from the first start to the last end of `burst`, begun by all
// threads together after each has run `prepare`.
double best_burst(int threads, const std::function<void(const Team&)>& prepare,
                  const std::function<void(const Team&)>& burst) {
    std::vector<Span> spans(static_cast<std::size_t>(threads));
    Best best(threads);
    std::atomic<bool> go_on{true};
    int team_size = 0;
    run_parallel(
        threads,
        [&](const Team& team) {
            if (team.thread == 0) team_size = team.threads;
            if (team.threads != threads) return;
            prepare(team);
            team.wait();
            const double deadline = time_now() + budget;
            for (int i = 0;; ++i) {
                if (team.thread == 0) go_on = i < least_bursts || time_now() < deadline;
                team.wait();
                if (!go_on) return;
                Span& own = spans[std::size_t(team.thread)];
                own.begin = time_now();
                burst(team);
                own.end = time_now();
                team.wait();
                if (team.thread == 0) best.take(spans);
            }
        },
        Patience::insist);
    if (team_size != threads)
        throw std::runtime_error("threads: expected " + std::to_string(threads) +
                                 " at work, got " + std::to_string(team_size) +
                                 " (is another call under way?)");
    return best.seconds();
}

}  // namespace

template <class T> double peak_flops(int threads) {
    constexpr index turns = 40000;  // about 0.1 ms
    const Kernels<T>& kernel = kernels<T>();
    std::atomic<double> flops{0};
    const double seconds = best_burst(
        threads, [](const Team&) {},
        [&](const Team&) {
            T value = T(0.5);
            flops = kernel.multiply_adds(turns, &value);
        });
    return threads * flops / seconds;
}

template double peak_flops<float>(int);
template double peak_flops<double>(int);

double read_bandwidth(index bytes, int threads) {
    constexpr index burst = index(16) << 20;  // at least, about 0.1 ms
    const index size = round_up(std::max<index>(bytes, 1), read_step);
    const index passes = std::max<index>(1, burst / size);
    const Kernels<float>& kernel = kernels<float>();
    std::vector<AlignedBuffer<char>> buffers;
    for (int i = 0; i < threads; ++i) buffers.push_back(aligned_buffer<char>(size));
    std::atomic<index> word{0};
    const auto own = [&](const Team& team) {
        return buffers[std::size_t(team.thread)].get();
    };
    const double seconds = best_burst(
        threads,
        // Each thread writes its own buffer first: pages, and near to it.
        [&](const Team& team) { std::memset(own(team), 1, std::size_t(size)); },
        [&](const Team& team) {
            const auto* const x = reinterpret_cast<const float*>(own(team));
            index sum = 0;
            for (index i = 0; i < passes; ++i)
                sum += kernel.read(x, size / index(sizeof(float)));
            word = sum;
        });
    return threads * double(passes) * double(size) / seconds;
}

double barrier_seconds(int threads) {
    constexpr int meetings = 50;
    return best_burst(
               threads, [](const Team&) {},
               [](const Team& team) {
                   for (int i = 0; i < meetings; ++i) team.wait();
               }) /
           meetings;
}

}  // namespace rnnext
