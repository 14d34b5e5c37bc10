// SPDX-License-Identifier: BSD-3-Clause
//
// math/<isa>/<dtype>/<function>: elementwise functions over an array in the nearest
// cache; "libm" in place of a set is the same loop over the C library.
#include <cmath>
#include <limits>

#include "bench.hpp"

namespace rnnext {
namespace {

constexpr index elements_each = 1024;

template <class T> T exact_exp(T x) { return std::exp(x); }
template <class T> T exact_sigmoid(T x) { return 1 / (1 + std::exp(-x)); }
template <class T> T exact_tanh(T x) { return std::tanh(x); }

template <class T, T f(T)> void naive(const T* x, T* y, index n) noexcept {
    for (index i = 0; i < n; ++i) y[i] = f(x[i]);
}

template <class T> using Elementwise = void (*)(const T*, T*, index) noexcept;

template <class T> struct Function {
    const char* name;
    Elementwise<T> Kernels<T>::* ours;
    Elementwise<T> naive;
    long double (*exact)(long double);
};

template <class T>
const Function<T> functions[] = {
    {"exp", &Kernels<T>::exp, naive<T, exact_exp<T>>, exact_exp<long double>},
    {"sigmoid", &Kernels<T>::sigmoid, naive<T, exact_sigmoid<T>>,
     exact_sigmoid<long double>},
    {"tanh", &Kernels<T>::tanh, naive<T, exact_tanh<T>>, exact_tanh<long double>},
};

// Within two units in the last place, and somewhat more for the C library's composed
// sigmoid.
template <class T>
bool right(const Array<T>& x, const Array<T>& y, const Function<T>& f, int units) {
    for (std::size_t i = 0; i < x.size(); ++i) {
        const long double exact = f.exact(x[i]);
        const long double unit =
            std::abs(exact) * (long double)std::numeric_limits<T>::epsilon();
        if (!(std::abs(y[i] - exact) <= units * unit)) return false;
    }
    return true;
}

template <class T>
void measure(benchmark::State& state, const Function<T>& f, Elementwise<T> run,
             int units) {
    const Array<T> x = as<T>(spread(elements_each, 8, 1));
    Array<T> y(x.size());
    run(x.data(), y.data(), elements_each);
    if (!right(x, y, f, units)) return fail(state);
    const double seconds =
        timed(state, [&] { run(x.data(), y.data(), elements_each); });
    state.counters["ns/element"] = seconds / double(elements_each) * 1e9;
}

template <class T> void register_naive() {
    for (const Function<T>& f : functions<T>)
        add(std::string("math/libm/") + dtype<T>() + "/" + f.name,
            [&f](benchmark::State& state) { measure(state, f, f.naive, 4); });
}

}  // namespace

void register_math() {
    for_isas_and_dtypes([](const std::string& isa, auto zero) {
        using T = decltype(zero);
        for (const Function<T>& f : functions<T>)
            add("math/" + isa + "/" + dtype<T>() + "/" + f.name,
                [isa, &f](benchmark::State& state) {
                    select_isa(isa);
                    measure(state, f, kernels<T>().*f.ours, 2);
                });
    });
    register_naive<float>();
    register_naive<double>();
}

}  // namespace rnnext
