// SPDX-License-Identifier: BSD-3-Clause
#include "team.hpp"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <chrono>

namespace rnnext {
namespace {

constexpr int spins = 4000, yields = 50;

}  // namespace

double time_now() {
    using clock = std::chrono::steady_clock;
    return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}

void Waiting::turn() noexcept {
    if (turns_ < spins) pause();
    else if (turns_ < spins + yields) sched_yield();
    else {
        constexpr timespec moment{0, 20000};
        nanosleep(&moment, nullptr);
    }
    if (turns_ == spins) start_ = time_now();
    if (turns_ < spins + yields) ++turns_;
}

double Waiting::seconds() const { return turns_ > spins ? time_now() - start_ : 0; }

Barrier::Barrier(int threads, Arrivals* lines) : threads_(threads), lines_(lines) {
    for (int i = 0; i < threads && lines; ++i) lines[i].count = 0;
}

void Barrier::wait(int thread) noexcept {
    std::atomic<unsigned>& mine = lines_[thread].count;
    const unsigned meeting = mine.load(std::memory_order_relaxed) + 1;
    mine.store(meeting, std::memory_order_release);
    // Another thread is at most one meeting ahead.
    for (int i = 0; i < threads_; ++i) {
        const double late = spin_until([&] {
            return int(lines_[i].count.load(std::memory_order_acquire) - meeting) >= 0;
        });
        if (thread == 0) late_ += late;
    }
}

Range Team::share(index n, index grain) const {
    const index grains = (n + grain - 1) / grain;
    return {std::min(n, grains * thread / threads * grain),
            std::min(n, grains * (thread + 1) / threads * grain)};
}

Stop::Stop(Interrupt interrupt)
    : interrupt_(interrupt), last_(interrupt.pending ? time_now() : 0) {}

bool Stop::asked(int thread) noexcept {
    if (thread == 0 && interrupt_.pending) {
        const double t = time_now();
        if (t - last_ > 0.05) {
            last_ = t;
            if (interrupt_.pending()) stopped_ = true;
        }
    }
    return stopped_;
}

bool Stop::now(const Team& team) noexcept {
    asked(team.thread);
    // The answer may change only after all have read it, hence the second meeting.
    team.wait();
    const bool answer = stopped_;
    team.wait();
    return answer;
}

void in_pieces(index n, index piece, Interrupt interrupt,
               const std::function<void(Range)>& f) {
    if (0 < n && n <= piece) return f({0, n});
    Barrier alone(1, nullptr);
    const Team team{0, 1, alone};
    Stop stop(interrupt);
    for (index i = 0; i < n && !stop.now(team); i += piece)
        f({i, std::min(n, i + piece)});
    stop.rethrow();
}

}  // namespace rnnext
