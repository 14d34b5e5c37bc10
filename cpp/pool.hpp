// SPDX-License-Identifier: BSD-3-Clause
//
// Our worker threads: created at the first parallel call, kept, spinning briefly after
// a job and then asleep. A forked child starts with none and makes its own.
#pragma once

#include <functional>
#include <limits>

#include "team.hpp"

namespace rnnext {

// CPUs that this process may use: affinity and cgroup quota.
int usable_cpus();

// Threads of later calls, 1 <= n <= max_threads.
constexpr int max_threads = 1024;
void set_num_threads(int n);
int get_num_threads();

// Whom a job asks for.
struct Crew {
    Crew(int threads_, double alone_ = std::numeric_limits<double>::infinity())
        : threads(threads_), alone(alone_) {}

    const int threads;
    // Seconds that it takes one thread, about: less than sleeping threads take to wake
    // up, and it goes without them.
    const double alone;
};

// Seconds that threads take to meet within a job: on one chip a tenth of a microsecond,
// between the CPUs of a virtual machine up to ten times that. Measured now and then.
double meeting_seconds();

// For tests, which want threads in small jobs as well: they are thought to be awake,
// and to meet in no time to speak of.
void assume_quick_threads(bool assume);

// Whether to leave the other threads out for a while where they lately had to wait for
// CPUs that others keep busy.
enum class Patience { give_way, insist };

void run_in_pool(const Crew& crew, const std::function<void(const Team&)>& job,
                 Patience);

// Runs job on a crew, the caller being thread 0, and returns when all are done. With
// another job under way, or where threads cannot be had (in time), on fewer: a job must
// give the same result for any number. The job must not throw.
template <class Job>
void run_parallel(const Crew& crew, const Job& job,
                  Patience patience = Patience::give_way) {
    if (crew.threads > 1) return run_in_pool(crew, job, patience);
    Barrier alone(1, nullptr);
    job(Team{0, 1, alone});
}

}  // namespace rnnext
