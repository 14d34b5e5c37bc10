// SPDX-License-Identifier: BSD-3-Clause
//
// The pool: every thread of a job runs once, barriers order, nested and concurrent jobs
// end, a fork starts anew.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "layer_case.hpp"
#include "pool.hpp"
#include "schedule.hpp"

namespace rnnext {

namespace {

// Runs a job of `threads` and says whether each part ran exactly once.
bool runs_all(int threads) {
    std::vector<std::atomic<int>> ran(static_cast<std::size_t>(threads));
    std::atomic<int> team_size{0};
    run_parallel(threads, [&](const Team& team) {
        ++ran[std::size_t(team.thread)];
        team_size = team.threads;
    });
    for (int i = 0; i < threads; ++i)
        if (ran[std::size_t(i)] != (i < team_size ? 1 : 0)) return false;
    return team_size >= 1;
}

}  // namespace

TEST_CASE("jobs of changing size, again and again") {
    for (int i = 0; i < 3000; ++i) REQUIRE(runs_all(1 + i % 7));
}

TEST_CASE("sleeping workers wake") {
    for (int i = 0; i < 5; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        REQUIRE(runs_all(3));
    }
}

TEST_CASE("a short job does not wait for sleepers, but wakes them for the next") {
    const auto team_size = [](double alone) {
        int threads = 0;
        const auto job = [&](const Team& team) {
            if (team.thread == 0) threads = team.threads;
        };
        run_parallel({3, alone}, job, Patience::insist);
        return threads;
    };
    constexpr double short_job = 1e-6, long_job = 1;
    bool went_alone = false, woke = false;
    // Not once, for a busy machine lets them fall asleep, or wake up, late.
    for (int i = 0; i < 20 && !(went_alone && woke); ++i) {
        REQUIRE(team_size(long_job) == 3);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (team_size(short_job) == 1) went_alone = true;
        const double end = time_now() + 0.5;
        while (!woke && time_now() < end) woke = team_size(short_job) == 3;
    }
    CHECK(went_alone);
    CHECK(woke);
}

// A job that is thought too short for sleeping threads goes without them, and where it
// takes longer than they then stay awake, so does every one that follows.
TEST_CASE_TEMPLATE("a step from large weights is not thought short", T, float, double) {
    constexpr double fast_reading = 6e10;  // of one core, from memory all cores share
    for (const CellKind kind : {CellKind::lstm, CellKind::gru}) {
        const LayerCase<T> layer(kind, {1, 1, 512, 512}, 1);
        const double bytes =
            double(layer.w_ih.size() + layer.w_hh.size()) * double(sizeof(T));
        const Sequences one{1, 1, false, nullptr};
        CHECK(forward_schedule(*layer.weights, one).alone >= bytes / fast_reading);
        CHECK(backward_schedule(*layer.weights, one).alone >= bytes / fast_reading);
    }
}

TEST_CASE("what a meeting takes is measured, and forgotten") {
    constexpr double assumed = 1e-7;
    const auto job = [] { run_parallel(2, [](const Team&) {}, Patience::insist); };
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    CHECK(meeting_seconds() == assumed);
    job();
    const double found = meeting_seconds();
    CHECK(found > 0);
    CHECK(found != assumed);
    CHECK(found <= 2e-6);
    assume_quick_threads(true);
    CHECK(meeting_seconds() == assumed);
    assume_quick_threads(false);
    CHECK(meeting_seconds() == found);
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    CHECK(meeting_seconds() == assumed);
}

TEST_CASE("what was written before a meeting is seen after it") {
    constexpr int steps = 2000;
    std::vector<int> slots(8, 0);
    std::atomic<int> wrong{0};
    run_parallel(4, [&](const Team& team) {
        for (int step = 1; step <= steps; ++step) {
            slots[std::size_t(team.thread)] = step;
            team.wait();
            for (int i = 0; i < team.threads; ++i)
                if (slots[std::size_t(i)] != step) ++wrong;
            team.wait();
        }
    });
    CHECK(wrong == 0);
}

TEST_CASE("a pool that mostly waits leaves the other threads alone for a while") {
    const auto team_size = [] {
        int threads = 0;
        run_parallel(2, [&](const Team& team) {
            if (team.thread == 0) threads = team.threads;
        });
        return threads;
    };
    bool rested = false;
    for (int i = 0; i < 20 && !rested; ++i) {
        run_parallel(2, [](const Team& team) {
            if (team.thread == 1)
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            team.wait();
        });
        rested = team_size() == 1;
    }
    CHECK(rested);
    bool back = false;
    for (int i = 0; i < 20 && !back; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
        back = team_size() == 2;
    }
    CHECK(back);
}

TEST_CASE("shares cover the whole in order") {
    Barrier barrier(5, nullptr);
    for (const index n : {0, 1, 4, 5, 17, 100})
        for (const index grain : {1, 6}) {
            index at = 0;
            for (int thread = 0; thread < 5; ++thread) {
                const Range r = Team{thread, 5, barrier}.share(n, grain);
                CHECK(r.begin == at);
                CHECK((r.begin % grain == 0 || r.begin == n));
                at = r.end;
            }
            CHECK(at == n);
        }
}

TEST_CASE("a job inside a job, and jobs from several threads") {
    std::atomic<int> inner{0};
    run_parallel(2,
                 [&](const Team&) { run_parallel(2, [&](const Team&) { ++inner; }); });
    CHECK(inner >= 1);

    std::atomic<int> failures{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&] {
            for (int k = 0; k < 500; ++k)
                if (!runs_all(2)) ++failures;
        });
    for (std::thread& t : callers) t.join();
    CHECK(failures == 0);
}

TEST_CASE("a forked child works") {
    REQUIRE(runs_all(2));
    const pid_t child = fork();
    if (child == 0) _exit(runs_all(2) ? 0 : 1);
    int status = 1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("a stop is agreed on by all") {
    static std::atomic<int> rounds{0};
    Stop stop(Interrupt{[] { return rounds > 0; }});
    run_parallel(2, [&](const Team& team) {
        while (!stop.now(team)) ++rounds;
    });
    CHECK_THROWS_AS(stop.rethrow(), Interrupted);
    CHECK(rounds > 0);
}

}  // namespace rnnext
