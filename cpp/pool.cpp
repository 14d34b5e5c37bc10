// SPDX-License-Identifier: BSD-3-Clause
#include "pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace rnnext {
namespace {

// Seconds. Less waiting may be that of a worker waking up.
constexpr double late_enough = 5e-4, shortest_pause = 2e-3, longest_pause = 0.1;

// How long a worker waits for its next job before it sleeps, about 0.4 ms; and within
// how many seconds jobs follow each other so closely that it pays to wake it for them.
constexpr int spins_awake = 20000;
constexpr double closely = 2e-4;
// Seconds to wake up that are believed: what takes longer waits for a CPU.
constexpr double shortest_waking = 1e-5, longest_waking = 2e-3;

std::atomic<bool> assume_quick{false};

// Seconds of a meeting before one is measured, and the most that is believed; how long
// a measurement counts, how often there is one, of how many meetings.
constexpr double quick_meeting = 1e-7, slow_meeting = 2e-6;
constexpr double measure_every = 0.05, forget_after = 0.1;
constexpr int measured_meetings = 5, measurements = 4;

class Worker {
  public:
    bool is_awake() const { return state_ == awake; }

    // Wakes it if it sleeps.
    void call() {
        if (state_ != asleep) return;
        called_at_ = time_now();
        int now = asleep;
        if (!state_.compare_exchange_strong(now, called)) return;
        { std::lock_guard<std::mutex> guard(mutex_); }
        wake_.notify_one();
    }
    // By the worker: sleeps until it is called, or `wanted`; returns the seconds that
    // it took to wake up, or 0.
    template <class Wanted> double sleep(Wanted wanted) {
        std::unique_lock<std::mutex> lock(mutex_);
        state_ = asleep;
        wake_.wait(lock, [&] { return state_ == called || wanted(); });
        return rise();
    }
    double rise() {
        return state_.exchange(awake) == called ? time_now() - called_at_ : 0;
    }

  private:
    enum { asleep, called, awake };

    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<int> state_{called};
    std::atomic<double> called_at_{time_now()};
};

class Pool {
  public:
    void run(const Crew& crew, const std::function<void(const Team&)>& job, Patience);
    double meeting() const;

  private:
    void work(int number, Worker& me, std::uint64_t seen);
    void grow(int workers);
    bool has_to_wait(const Crew& crew) const;
    void call(int threads);
    void measure_meeting(const Team& team);
    void take_part(const Team& team);
    double run(int threads, const std::function<void(const Team&)>& job, double start);

    std::mutex running_;  // held for the length of a job

    // Number of the job below, and in its low bits the threads that take part: one
    // word, so that a worker that takes no part never reads the rest, which may be
    // changing.
    std::atomic<std::uint64_t> ticket_{0};
    const std::function<void(const Team&)>* job_ = nullptr;
    Barrier* barrier_ = nullptr;
    bool measures_ = false;  // a meeting, before it
    std::atomic<int> unfinished_{0};
    std::vector<std::unique_ptr<Worker>> workers_;  // whose numbers begin at 1
    std::vector<Arrivals> lines_;                   // of the job's threads

    // Seconds that a worker takes to wake up, an average.
    std::atomic<double> waking_{5e-5};
    double last_end_ = 0;  // of a job

    // Seconds of a meeting, and when it was measured.
    std::atomic<double> meeting_{quick_meeting}, measured_at_{0};

    // After a job that mostly waited for a CPU that others keep busy, jobs run on one
    // thread for a while, each time for longer.
    double serial_until_ = 0, pause_ = 0;
};

int threads_of(std::uint64_t ticket) { return int(ticket % (2 * max_threads)); }

void Pool::work(int number, Worker& me, std::uint64_t seen) {
    const auto takes_part = [&] {
        return ticket_ != seen && number < threads_of(ticket_);
    };
    me.rise();
    for (int idle = 0;;) {
        for (; idle < spins_awake && ticket_ == seen; ++idle) pause();
        if (ticket_ == seen) {
            const double took = me.sleep(takes_part);
            if (took > 0)
                waking_ = waking_ + (std::min(took, longest_waking) - waking_) / 4;
            idle = 0;
            continue;
        }
        seen = ticket_;
        const int threads = threads_of(seen);
        if (number >= threads) continue;
        take_part({number, threads, *barrier_});
        --unfinished_;
        idle = 0;
    }
}

void Pool::grow(int workers) {
    if (int(workers_.size()) >= workers) return;
    // Signals are for the threads of the program.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        if (lines_.size() < std::size_t(workers + 1))
            lines_ = std::vector<Arrivals>(std::size_t(workers + 1));
        while (int(workers_.size()) < workers) {
            workers_.push_back(std::make_unique<Worker>());
            Worker& worker = *workers_.back();
            const int number = int(workers_.size());
            const std::uint64_t seen = ticket_;
            try {
                std::thread([this, number, &worker, seen] {
                    work(number, worker, seen);
                }).detach();
            } catch (...) {
                workers_.pop_back();
                throw;
            }
        }
    } catch (const std::exception&) {
        // No thread or no memory for one: fewer threads, the same result.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Whether the job would be done before those of its threads are up that sleep now.
bool Pool::has_to_wait(const Crew& crew) const {
    if (assume_quick || crew.alone >= 2 * waking_) return false;
    return !std::all_of(workers_.begin(), workers_.begin() + (crew.threads - 1),
                        [](const auto& worker) { return worker->is_awake(); });
}

double Pool::meeting() const {
    return time_now() - measured_at_ < forget_after ? double(meeting_) : quick_meeting;
}

// The least of several, as somebody else may have a CPU in between; if that was so all
// the time, the next measurement must say so too.
void Pool::measure_meeting(const Team& team) {
    double least = slow_meeting;
    team.wait();  // for those that wake up
    for (int k = 0; k < measurements; ++k) {
        const double start = time_now();
        for (int i = 0; i < measured_meetings; ++i) team.wait();
        least = std::min(least, (time_now() - start) / measured_meetings);
    }
    if (team.thread != 0) return;
    meeting_ = std::min(least, 2 * meeting_);
    measured_at_ = time_now();
}

void Pool::take_part(const Team& team) {
    if (measures_) measure_meeting(team);
    (*job_)(team);
}

void Pool::call(int threads) {
    for (int i = 0; i < threads - 1; ++i) workers_[std::size_t(i)]->call();
}

void Pool::run(const Crew& crew, const std::function<void(const Team&)>& job,
               Patience patience) {
    std::unique_lock<std::mutex> lock(running_, std::try_to_lock);
    const double start = time_now();
    // What the pool remembers belongs to the job that holds the lock.
    const bool free = lock.owns_lock();
    const bool rest = free && patience == Patience::give_way && start < serial_until_;
    int threads = 1;
    if (free && !rest) {
        grow(crew.threads - 1);
        threads = std::min(crew.threads, int(workers_.size()) + 1);
        if (threads > 1 && has_to_wait({threads, crew.alone})) {
            // What is never tried would count for ever.
            waking_ = std::max(waking_ * 0.999, shortest_waking);
            if (start - last_end_ < closely) call(threads);
            threads = 1;
        }
    }
    if (threads > 1) {
        last_end_ = run(threads, job, start);
        return;
    }
    Barrier barrier(1, nullptr);
    job(Team{0, 1, barrier});
    if (free) last_end_ = time_now();
}

// Returns when it ended.
double Pool::run(int threads, const std::function<void(const Team&)>& job,
                 double start) {
    Barrier barrier(threads, lines_.data());
    job_ = &job;
    measures_ = start - measured_at_ >= measure_every;
    barrier_ = &barrier;
    unfinished_ = threads - 1;
    ticket_ = (ticket_ / (2 * max_threads) + 1) * (2 * max_threads) + threads;
    call(threads);
    take_part({0, threads, barrier});
    const double late =
        barrier.seconds_late() + spin_until([&] { return unfinished_ == 0; });
    const double end = time_now();
    if (late > 0.6 * (end - start) && late > late_enough) {
        pause_ = std::clamp(2 * pause_, shortest_pause, longest_pause);
        serial_until_ = end + pause_;
    } else {
        pause_ = 0;
    }
    return end;
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

// The numbers of a file, which has `count` of them or none.
bool read_numbers(const char* path, int count, double* quota, double* period) {
    std::FILE* const file = std::fopen(path, "r");
    if (!file) return false;
    const bool found = std::fscanf(file, "%lf %lf", quota, period) == count;
    std::fclose(file);
    return found;
}

// "max" instead of a quota is no number.
int cgroup_cpus() {
    double quota = 0, period = 0, none;
    if (!read_numbers("/sys/fs/cgroup/cpu.max", 2, &quota, &period)) {
        read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", 1, &quota, &none);
        read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", 1, &period, &none);
    }
    if (quota <= 0 || period <= 0) return max_threads;
    return std::max(1, int(quota / period + 0.999));
}

std::atomic<int> num_threads{0};

}  // namespace

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

double meeting_seconds() { return assume_quick ? quick_meeting : the_pool().meeting(); }

void assume_quick_threads(bool assume) { assume_quick = assume; }

void run_in_pool(const Crew& crew, const std::function<void(const Team&)>& job,
                 Patience patience) {
    the_pool().run(crew, job, patience);
}

}  // namespace rnnext
