// SPDX-License-Identifier: BSD-3-Clause
//
// Calibration: its kernels do the work that they are timed for, on every instruction
// set; what it measures is of a possible size.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "dispatch.hpp"
#include "machine.hpp"
#include "memory.hpp"
#include "pool.hpp"

namespace rnnext {
namespace {

template <class F> void for_isas(F f) {
    for (const std::string& name : available_isas()) {
        CAPTURE(name);
        select_isa(name);
        f();
    }
    select_isa("");
}

// 2 FLOP, a whole number of vectors, independent chains enough to hide a latency of 4.
template <class T> void counts() {
    const Kernels<T>& kernel = kernels<T>();
    T value = T(0.5);
    const double flops = kernel.multiply_adds(1000, &value);
    CHECK(value == T(0.5));
    const double vectors = flops / (2.0 * 1000 * kernel.lanes);
    CHECK(vectors == double(int(vectors)));
    CHECK(vectors >= 8);
}

// Every element of the buffer shows in the word.
template <class T> void reads_all() {
    constexpr index n = 2 * read_step / index(sizeof(T));
    const AlignedBuffer<T> x = aligned_buffer<T>(n);
    std::memset(x.get(), 0, n * sizeof(T));
    const Kernels<T>& kernel = kernels<T>();
    REQUIRE(kernel.read(x.get(), n) == 0);
    for (index i = 0; i < n; ++i) {
        std::memset(&x[i], 1, sizeof(T));
        CHECK(kernel.read(x.get(), n) != 0);
        std::memset(&x[i], 0, sizeof(T));
    }
}

}  // namespace

TEST_CASE("multiply-adds are counted") {
    for_isas([] {
        counts<float>();
        counts<double>();
    });
}

TEST_CASE("a read reads all") {
    for_isas([] {
        reads_all<float>();
        reads_all<double>();
    });
}

TEST_CASE("measurements are of a possible size") {
    for (const int threads : {1, 2, 3}) {
        CAPTURE(threads);
        for (const double peak :
             {peak_flops<float>(threads), peak_flops<double>(threads)}) {
            CHECK(peak > 1e6);
            CHECK(peak < 1e13 * threads);
        }
        for (const index bytes : {index(1), index(20000), index(3) << 20}) {
            const double rate = read_bandwidth(bytes, threads);
            CHECK(rate > 1e6);
            CHECK(rate < 1e13 * threads);
        }
        CHECK(barrier_seconds(threads) > 0);
        CHECK(barrier_seconds(threads) < 1);
    }
}

TEST_CASE("a measurement of threads that are at work elsewhere says so") {
    run_parallel(2, [](const Team& team) {
        if (team.thread == 0) CHECK_THROWS_AS(barrier_seconds(2), std::runtime_error);
    });
}

}  // namespace rnnext
