// SPDX-License-Identifier: BSD-3-Clause
//
// peak/<isa>/<dtype>: what one core can do at most, which is independent chains of
// multiply-adds that stay in registers.
#include <algorithm>
#include <chrono>
#include <map>

#include "bench.hpp"

namespace rnnext {
namespace {

volatile double opaque = 0.5;  // keeps the chains from being computed in advance

// FLOP of a call. A macro, as the target holds for the function that names it, not for
// one that is inlined there.
#define RNNEXT_CHAINS(name, target, bytes, chains)                                     \
    template <class T> target double name(index turns) {                               \
        typedef T Vector __attribute__((vector_size(bytes)));                          \
        const Vector factor = Vector{} + T(opaque), term = Vector{} + T(opaque);       \
        Vector sum[chains], total{};                                                   \
        for (int i = 0; i < chains; ++i) sum[i] = factor + T(i);                       \
        for (index turn = 0; turn < turns; ++turn)                                     \
            for (int i = 0; i < chains; ++i) sum[i] = sum[i] * factor + term;          \
        for (int i = 0; i < chains; ++i) total += sum[i];                              \
        opaque = opaque + 0 * double(total[0]);                                        \
        return 2.0 * chains * double(bytes / sizeof(T)) * double(turns);               \
    }

// Chains: at least latency times units; GCC unrolls no more than 16.
#if defined(__x86_64__)
RNNEXT_CHAINS(chains_avx512, __attribute__((target("avx512f"))), 64, 12)
RNNEXT_CHAINS(chains_avx2, __attribute__((target("avx2,fma"))), 32, 12)
RNNEXT_CHAINS(chains_16_bytes, , 16, 12)
#else
RNNEXT_CHAINS(chains_16_bytes, , 16, 16)
#endif

template <class T> using Chains = double (*)(index turns);

template <class T> Chains<T> chains(const std::string& isa) {
#if defined(__x86_64__)
    if (isa == "avx512") return chains_avx512<T>;
    if (isa == "avx2") return chains_avx2<T>;
#endif
    (void)isa;
    return chains_16_bytes<T>;
}

template <class T> void peak(benchmark::State& state, const std::string& isa) {
    constexpr index turns = 10000;
    const Chains<T> run = chains<T>(isa);
    double flops = 0;
    const double seconds = timed(state, [&] { flops = run(turns); });
    state.counters["GFLOP/s"] = flops / seconds * 1e-9;
}

}  // namespace

// The best of many short bursts, so that a neighbour's load does not lower it.
template <class T> double peak_flops(const std::string& isa) {
    static std::map<std::string, double> known;
    double& best = known[isa];
    if (best > 0) return best;
    using clock = std::chrono::steady_clock;
    const Chains<T> run = chains<T>(isa);
    for (int burst = 0; burst < 50; ++burst) {
        const auto start = clock::now();
        const double flops = run(20000);
        const std::chrono::duration<double> seconds = clock::now() - start;
        best = std::max(best, flops / seconds.count());
    }
    return best;
}

template double peak_flops<float>(const std::string&);
template double peak_flops<double>(const std::string&);

void register_peak() {
    for_isas_and_dtypes([](const std::string& isa, auto zero) {
        using T = decltype(zero);
        add("peak/" + isa + "/" + dtype<T>(),
            [isa](benchmark::State& state) { peak<T>(state, isa); });
    });
}

}  // namespace rnnext
