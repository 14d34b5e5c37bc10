// SPDX-License-Identifier: BSD-3-Clause
//
// What the benchmarks share: names, data, registration, failure, time. A benchmark
// compares its result with a naive loop before it is timed; a wrong one is reported as
// an error and makes the program fail.
#pragma once

#include <benchmark/benchmark.h>
#include <time.h>

#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "dispatch.hpp"
#include "memory.hpp"

namespace rnnext {

// Each adds its benchmarks, in the order of the report.
void register_peak();
void register_math();
void register_gemm();
void register_layers();

// What to measure, best first: RNNEXT_ISA alone, or all that this CPU runs.
const std::vector<std::string>& bench_isas();

// Ends a benchmark whose result is wrong, and makes the program's exit status 1.
void fail(benchmark::State& state);

// What one core can do at most with the instruction set in use, in FLOP/s; measured at
// the first call.
template <class T> double core_peak();

template <class T> constexpr const char* dtype() {
    return std::is_same_v<T, float> ? "float" : "double";
}

template <class T> struct AlignedAllocator {
    using value_type = T;
    AlignedAllocator() = default;
    template <class U> AlignedAllocator(const AlignedAllocator<U>&) {}
    T* allocate(std::size_t n) { return aligned_buffer<T>(index(n)).release(); }
    void deallocate(T* p, std::size_t) { AlignedDelete()(p); }
    bool operator==(const AlignedAllocator&) const { return true; }
    bool operator!=(const AlignedAllocator&) const { return false; }
};
template <class T> using Array = std::vector<T, AlignedAllocator<T>>;

// Whole numbers from -3 to 3: their sums of products are exact.
template <class T> Array<T> integers(index n, unsigned seed) {
    std::mt19937 random(seed);
    Array<T> v(std::size_t(n), T(0));
    for (T& x : v) x = T(int(random() % 7) - 3);
    return v;
}

// Evenly spread over [-scale, scale] and the same in either dtype.
inline std::vector<double> spread(index n, double scale, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<double> v(std::size_t(n), 0.0);
    for (double& x : v) x = float(scale * (double(random()) * 0x1p-31 - 1));
    return v;
}

template <class T> Array<T> as(const std::vector<double>& v) {
    return Array<T>(v.begin(), v.end());
}

template <class F> benchmark::internal::Benchmark* add(const std::string& name, F run) {
    return benchmark::RegisterBenchmark(name.c_str(), run);
}

// f(name of the set, a value of the dtype) for all pairs.
template <class F> void for_isas_and_dtypes(F f) {
    for (const std::string& name : bench_isas()) {
        f(name, float());
        f(name, double());
    }
}

// Times run() and gives the seconds that one took: of this thread's work, or, where
// others work with it, of the clock on the wall.
template <class F>
double timed(benchmark::State& state, F run,
             clockid_t clock = CLOCK_THREAD_CPUTIME_ID) {
    const auto now = [clock] {
        timespec t;
        clock_gettime(clock, &t);
        return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
    };
    const double start = now();
    for (auto _ : state) {
        run();
        benchmark::ClobberMemory();
    }
    return (now() - start) / double(state.iterations());
}

}  // namespace rnnext
