// SPDX-License-Identifier: BSD-3-Clause
//
// What the threads of one job have in common: where they meet, who has which share, and
// whether to go on.
#pragma once

#include <atomic>
#include <functional>

#include "kernels.hpp"

namespace rnnext {

// Of a clock that only goes forward.
double time_now();

// Leaves a core's other half the moment between two looks.
inline void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// A thread that waits for another: spins, then gives the CPU away between looks, then
// leaves it: only an idle CPU takes over the work of a busy one, which may be what this
// waits for.
class Waiting {
  public:
    void turn() noexcept;
    double seconds() const;  // after the spin

  private:
    int turns_ = 0;
    double start_ = 0;
};

// Returns the seconds after the spin.
template <class Done> double spin_until(Done done) {
    Waiting waiting;
    while (!done()) waiting.turn();
    return waiting.seconds();
}

// Meetings that one thread has come to, on a cache line that no other thread writes.
struct alignas(64) Arrivals {
    std::atomic<unsigned> count{0};
};

// Where the threads of one job meet: each tells the others on its own line, so that a
// meeting costs one transfer each way. Waiting threads spin, then yield, then sleep.
class Barrier {
  public:
    // One line per thread; null for a thread alone.
    Barrier(int threads, Arrivals* lines);
    void wait(int thread) noexcept;
    // What thread 0 has waited beyond a short spin.
    double seconds_late() const { return late_; }

  private:
    const int threads_;
    Arrivals* const lines_;
    double late_ = 0;
};

// One thread's view of the job that it shares.
struct Team {
    int thread, threads;
    Barrier& barrier;

    void wait() const noexcept {
        if (threads > 1) barrier.wait(thread);
    }
    Sync sync() const {
        if (threads == 1) return {nullptr, nullptr};
        return {[](void* team) { static_cast<const Team*>(team)->wait(); },
                const_cast<Team*>(this)};
    }
    // This thread's share of [0, n) in whole grains.
    Range share(index n, index grain = 1) const;
};

// Asks the outside whether to stop (Ctrl-C), not more often than every 50 ms.
struct Interrupt {
    bool (*pending)();  // null: never
};

class Interrupted {};

// Lets all threads of a job agree, between chunks of work, on whether to go on.
class Stop {
  public:
    explicit Stop(Interrupt interrupt);
    // Every thread of the team calls it; all get the same answer.
    bool now(const Team& team) noexcept;
    // Each thread for itself: an answer that others may get later.
    bool asked(int thread) noexcept;
    // After the job: throws Interrupted if it was stopped.
    void rethrow() const {
        if (stopped_) throw Interrupted();
    }

  private:
    Interrupt interrupt_;
    double last_;
    std::atomic<bool> stopped_{false};
};

// Calls f for [0, n) a piece at a time, and throws Interrupted in between.
void in_pieces(index n, index piece, Interrupt interrupt,
               const std::function<void(Range)>& f);

}  // namespace rnnext
