// SPDX-License-Identifier: BSD-3-Clause
#include "pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace rnnext {
namespace {

constexpr int spins = 4000, yields = 50;

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

double seconds() {
    using clock = std::chrono::steady_clock;
    return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}

// Returns the seconds after the spin.
template <class Done> double spin_until(Done done) {
    Waiting waiting;
    while (!done()) waiting.turn();
    return waiting.seconds();
}

// Seconds. Less waiting may be that of a worker waking up.
constexpr double late_enough = 5e-4, shortest_pause = 2e-3, longest_pause = 0.1;

class Pool {
  public:
    void run(int threads, const std::function<void(const Team&)>& job, Patience);

  private:
    void work(int worker, std::uint64_t seen);
    void grow(int workers);

    std::mutex running_;  // held for the length of a job

    std::mutex sleep_;
    std::condition_variable wake_;
    std::atomic<int> sleeping_{0};

    // Number of the job below, and in its low bits the threads that take part: one
    // word, so that a worker that takes no part never reads the rest, which may be
    // changing.
    std::atomic<std::uint64_t> ticket_{0};
    const std::function<void(const Team&)>* job_ = nullptr;
    Barrier* barrier_ = nullptr;
    std::atomic<int> unfinished_{0};
    int workers_ = 0;
    std::vector<Arrivals> lines_;  // of the job's threads

    // After a job that mostly waited for a CPU that others keep busy, jobs run on one
    // thread for a while, each time for longer.
    double serial_until_ = 0, pause_ = 0;
};

void Pool::work(int worker, std::uint64_t seen) {
    for (;;) {
        for (int i = 0; i < 20000 && ticket_ == seen; ++i) pause();
        if (ticket_ == seen) {
            std::unique_lock<std::mutex> lock(sleep_);
            ++sleeping_;
            wake_.wait(lock, [&] { return ticket_ != seen; });
            --sleeping_;
        }
        seen = ticket_;
        const int threads = int(seen % (2 * max_threads));
        if (worker >= threads) continue;
        (*job_)(Team{worker, threads, *barrier_});
        --unfinished_;
    }
}

void Pool::grow(int workers) {
    // Signals are for the threads of the program.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        if (lines_.size() < std::size_t(workers + 1))
            lines_ = std::vector<Arrivals>(std::size_t(workers + 1));
        while (workers_ < workers) {
            const int worker = workers_ + 1;
            const std::uint64_t seen = ticket_;
            std::thread([this, worker, seen] { work(worker, seen); }).detach();
            ++workers_;
        }
    } catch (const std::exception&) {
        // No thread or no memory for one: fewer threads, the same result.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Pool::run(int threads, const std::function<void(const Team&)>& job,
               Patience patience) {
    std::unique_lock<std::mutex> lock(running_, std::try_to_lock);
    const double start = seconds();
    // What the pool remembers belongs to the job that holds the lock.
    const bool free = lock.owns_lock();
    const bool rest = free && patience == Patience::give_way && start < serial_until_;
    if (threads > 1 && free && !rest) {
        grow(threads - 1);
        threads = std::min(threads, workers_ + 1);
    } else {
        threads = 1;
    }
    Barrier barrier(threads, threads == 1 ? nullptr : lines_.data());
    if (threads == 1) return job(Team{0, 1, barrier});
    job_ = &job;
    barrier_ = &barrier;
    unfinished_ = threads - 1;
    ticket_ = (ticket_ / (2 * max_threads) + 1) * (2 * max_threads) + threads;
    if (sleeping_ > 0) {
        {
            std::lock_guard<std::mutex> guard(sleep_);
        }
        wake_.notify_all();
    }
    job(Team{0, threads, barrier});
    const double late =
        barrier.seconds_late() + spin_until([&] { return unfinished_ == 0; });
    const double end = seconds();
    if (late > 0.6 * (end - start) && late > late_enough) {
        pause_ = std::clamp(2 * pause_, shortest_pause, longest_pause);
        serial_until_ = end + pause_;
    } else {
        pause_ = 0;
    }
}

// Never destroyed: workers may outlive static destructors. A forked child has none of
// the parent's threads, so it leaves that pool behind and starts anew.
Pool* pool = nullptr;

Pool& the_pool() {
    static const bool ready = [] {
        pool = new Pool;
        pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
        return true;
    }();
    (void)ready;
    return *pool;
}

int cgroup_cpus() {
    double quota = -1, period = 0;
    std::string text;
    std::ifstream v2("/sys/fs/cgroup/cpu.max");
    if (v2 >> text >> period) {
        if (text != "max") quota = std::strtod(text.c_str(), nullptr);
    } else {
        std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
        std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
    }
    if (quota <= 0 || period <= 0) return max_threads;
    return std::max(1, int(quota / period + 0.999));
}

std::atomic<int> num_threads{0};

}  // namespace

void Waiting::turn() noexcept {
    if (turns_ < spins) pause();
    else if (turns_ < spins + yields) sched_yield();
    else {
        constexpr timespec moment{0, 20000};
        nanosleep(&moment, nullptr);
    }
    if (turns_ == spins) start_ = rnnext::seconds();
    if (turns_ < spins + yields) ++turns_;
}

double Waiting::seconds() const {
    return turns_ > spins ? rnnext::seconds() - start_ : 0;
}

int usable_cpus() {
    int cpus = int(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
#endif
    return std::min(std::max(1, cpus), cgroup_cpus());
}

void set_num_threads(int n) { num_threads = n; }

int get_num_threads() {
    if (num_threads == 0) num_threads = usable_cpus();
    return num_threads;
}

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

void run_in_pool(int threads, const std::function<void(const Team&)>& job,
                 Patience patience) {
    the_pool().run(threads, job, patience);
}

Stop::Stop(Interrupt interrupt)
    : interrupt_(interrupt), last_(interrupt.pending ? seconds() : 0) {}

bool Stop::asked(int thread) noexcept {
    if (thread == 0 && interrupt_.pending) {
        const double t = seconds();
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
