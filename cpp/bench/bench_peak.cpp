// SPDX-License-Identifier: BSD-3-Clause
//
// peak/<isa>/<dtype>: what one core can do at most, which is independent chains of
// multiply-adds that stay in registers.
#include <map>

#include "bench.hpp"
#include "machine.hpp"

namespace rnnext {
namespace {

template <class T> void peak(benchmark::State& state) {
    constexpr index turns = 10000;
    const Kernels<T>& kernel = kernels<T>();
    T value = T(0.5);
    double flops = 0;
    const double seconds =
        timed(state, [&] { flops = kernel.multiply_adds(turns, &value); });
    if (value != T(0.5)) return fail(state);
    state.counters["GFLOP/s"] = flops / seconds * 1e-9;
}

}  // namespace

template <class T> double core_peak() {
    static std::map<std::string, double> known;
    double& peak = known[isa()];
    if (peak == 0) peak = peak_flops<T>(1);
    return peak;
}

template double core_peak<float>();
template double core_peak<double>();

void register_peak() {
    for_isas_and_dtypes([](const std::string& isa, auto zero) {
        using T = decltype(zero);
        add("peak/" + isa + "/" + dtype<T>(), [isa](benchmark::State& state) {
            select_isa(isa);
            peak<T>(state);
        });
    });
}

}  // namespace rnnext
