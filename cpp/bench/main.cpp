// SPDX-License-Identifier: BSD-3-Clause
//
// rnnext_bench: Google Benchmark's command line over all benchmarks of the core.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "bench.hpp"

namespace rnnext {
namespace {

bool failed = false;

int run(int argc, char** argv) {
    // A tenth of a second each, unless the command line says otherwise.
    std::string min_time = "--benchmark_min_time=0.1";
    std::vector<char*> args = {argv[0], min_time.data()};
    args.insert(args.end(), argv + 1, argv + argc);
    int count = int(args.size());
    args.push_back(nullptr);
    benchmark::Initialize(&count, args.data());
    if (benchmark::ReportUnrecognizedArguments(count, args.data())) return 2;

    std::string names;
    for (const std::string& name : bench_isas())
        names += (names.empty() ? "" : " ") + name;
    benchmark::AddCustomContext("instruction_sets", names);
    register_peak();
    register_math();
    register_gemm();
    register_layers();
    const std::size_t matched = benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return failed || matched == 0 ? 1 : 0;
}

}  // namespace

const std::vector<std::string>& bench_isas() {
    static const std::vector<std::string> names = [] {
        const char* only = std::getenv("RNNEXT_ISA");
        if (!only || !*only) return available_isas();
        select_isa(only);
        return std::vector<std::string>{only};
    }();
    return names;
}

void fail(benchmark::State& state) {
    failed = true;
    state.SkipWithError("differs from the naive loop");
}

}  // namespace rnnext

int main(int argc, char** argv) try {
    return rnnext::run(argc, argv);
} catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
