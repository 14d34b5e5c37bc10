// SPDX-License-Identifier: BSD-3-Clause
//
// exp, sigmoid, tanh and the other activations of every instruction set of this machine
// against the C library in a wider type: error in ULP, order, symmetry, edges.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "dispatch.hpp"
#include "pool.hpp"

namespace rnnext {

namespace {

bool thorough() { return std::getenv("RNNEXT_THOROUGH") != nullptr; }

// The distance between numbers of type T around `exact`.
template <class T, class Wide> Wide ulp(Wide exact) {
    const int lowest = std::numeric_limits<T>::min_exponent - 1;
    int exponent = exact == 0 ? lowest : std::ilogb(exact);
    if (exponent < lowest) exponent = lowest;
    return std::ldexp(Wide(1), exponent - std::numeric_limits<T>::digits + 1);
}

template <class T, class Wide> double error_in_ulp(T got, Wide exact) {
    if (std::isnan(exact)) return std::isnan(got) ? 0 : INFINITY;
    if (T(exact) == got) return 0;  // the nearest number, infinities among them
    if (std::isinf(got) && std::abs(exact) >= Wide(std::numeric_limits<T>::max()))
        return 0;
    return double(std::abs(Wide(got) - exact) / ulp<T>(exact));
}

template <class Wide> Wide exact_exp(Wide x) { return std::exp(x); }
template <class Wide> Wide exact_tanh(Wide x) { return std::tanh(x); }
template <class Wide> Wide exact_sigmoid(Wide x) {
    const Wide z = std::exp(-std::abs(x));
    return (x < 0 ? z : Wide(1)) / (1 + z);
}

template <class T, class Wide> struct Function {
    std::string name;
    void (*ours)(const T*, T*, index) noexcept;
    Wide (*exact)(Wide);
};

template <class T, class Wide> std::vector<Function<T, Wide>> functions() {
    const Kernels<T>& k = kernels<T>();
    return {{"exp", k.exp, exact_exp<Wide>},
            {"sigmoid", k.sigmoid, exact_sigmoid<Wide>},
            {"tanh", k.tanh, exact_tanh<Wide>}};
}

float from_bits(std::uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// The largest error over floats of one sign whose magnitudes' bits lie in a range,
// `step` apart, and whether they are in order.
struct Sweep {
    double worst = 0;
    float at = 0;
    bool ordered = true;
};

constexpr Range all_floats{0, 0x7f800001}, from_half{0x3f000000, 0x3f100000};

Sweep sweep(const Function<float, double>& f, std::uint32_t sign, std::uint32_t step,
            Range magnitudes = all_floats) {
    const int threads = usable_cpus();
    std::vector<Sweep> parts(std::size_t(threads), Sweep{});
    run_parallel(threads, [&](const Team& team) {
        Sweep& s = parts[std::size_t(team.thread)];
        Range range = team.share(magnitudes.end - magnitudes.begin);
        range = {magnitudes.begin + range.begin, magnitudes.begin + range.end};
        constexpr index batch = 1024;
        float x[batch], y[batch];
        float before = std::numeric_limits<float>::quiet_NaN();
        for (index i = range.begin; i < range.end; i += batch * step) {
            index n = 0;
            for (; n < batch && i + n * step < range.end; ++n)
                x[n] = from_bits(std::uint32_t(i + n * step) | sign);
            f.ours(x, y, n);
            for (index j = 0; j < n; ++j) {
                const double e = error_in_ulp(y[j], f.exact(double(x[j])));
                if (!(e <= s.worst)) s.worst = e, s.at = x[j];
                // Magnitudes grow: so does f of them, or it shrinks for negative ones.
                if (sign ? y[j] > before : y[j] < before) s.ordered = false;
                before = y[j];
            }
        }
    });
    Sweep all;
    for (const Sweep& s : parts) {
        if (s.worst > all.worst) all.worst = s.worst, all.at = s.at;
        all.ordered = all.ordered && s.ordered;
    }
    return all;
}

}  // namespace

TEST_CASE("float: at most 2 ULP and monotone, both signs") {
    const std::uint32_t step = thorough() ? 1 : 997;
    for (const std::string& name : available_isas()) {
        select_isa(name);
        for (const auto& f : functions<float, double>())
            for (const std::uint32_t sign : {0u, 0x80000000u}) {
                const Sweep s = sweep(f, sign, step);
                INFO(name, " ", f.name, sign ? " negative" : " positive", ": worst ",
                     s.worst, " ULP at ", s.at);
                MESSAGE(name << " " << f.name << (sign ? " -" : " +") << " " << s.worst
                             << " ULP at " << s.at);
                CHECK(s.worst <= 2);
                CHECK(s.ordered);
                // Neighbours, where the last bit of a result is worth least.
                CHECK(sweep(f, sign, 1, from_half).ordered);
            }
    }
}

// What kernels/math.hpp promises of double.
double promised(const std::string& function, bool fused) {
    if (function == "exp") return 1.1;
    return function == "tanh" && !fused ? 1.95 : 1.75;
}

TEST_CASE("double: at most what is promised") {
    const long samples = thorough() ? 1'000'000'000 : 2'000'000;
    std::mt19937_64 random(1);
    for (const std::string& name : available_isas()) {
        select_isa(name);
        for (const auto& f : functions<double, long double>()) {
            double worst = 0, at = 0;
            constexpr long batch = 1000;
            std::vector<double> x(batch), y(batch);
            for (long i = 0; i < samples; i += batch) {
                // Three scales: around 1, the whole range of exp, tiny numbers.
                const double scale = i % 3 == 0 ? 4 : i % 3 == 1 ? 745 : 1e-3;
                for (double& v : x)
                    v = scale * (2 * double(random() >> 11) * 0x1p-53 - 1);
                f.ours(x.data(), y.data(), batch);
                for (std::size_t j = 0; j < x.size(); ++j) {
                    const double e = error_in_ulp(y[j], f.exact((long double)x[j]));
                    if (!(e <= worst)) worst = e, at = x[j];
                }
            }
            INFO(name, " ", f.name, ": worst ", worst, " ULP at ", at);
            MESSAGE(name << " " << f.name << " " << worst << " ULP at " << at);
            CHECK(worst <= promised(f.name, name != "baseline"));
        }
    }
}

TEST_CASE_TEMPLATE("edges", T, float, double) {
    const T inf = std::numeric_limits<T>::infinity(),
            nan = std::numeric_limits<T>::quiet_NaN();
    const T tiny = std::numeric_limits<T>::denorm_min();
    const auto of = [](void (*f)(const T*, T*, index) noexcept, T x) {
        T y;
        f(&x, &y, 1);
        return y;
    };
    for (const std::string& name : available_isas()) {
        select_isa(name);
        CAPTURE(name);
        const Kernels<T>& k = kernels<T>();
        CHECK(of(k.exp, 0) == 1);
        CHECK(of(k.exp, -inf) == 0);
        CHECK(of(k.exp, inf) == inf);
        CHECK(std::isnan(of(k.exp, nan)));
        CHECK(of(k.sigmoid, 0) == T(0.5));
        CHECK(of(k.sigmoid, -T(0)) == T(0.5));
        CHECK(of(k.sigmoid, -inf) == 0);
        CHECK(of(k.sigmoid, inf) == 1);
        CHECK(std::isnan(of(k.sigmoid, nan)));
        CHECK(of(k.tanh, inf) == 1);
        CHECK(of(k.tanh, -inf) == -1);
        CHECK(std::isnan(of(k.tanh, nan)));
        CHECK(of(k.tanh, tiny) == tiny);
        CHECK(of(k.tanh, -tiny) == -tiny);
        CHECK(std::signbit(of(k.tanh, -T(0))));
        for (T x = T(0.001); x < 12; x += T(0.013)) {
            CHECK(of(k.tanh, -x) == -of(k.tanh, x));
            CHECK(std::abs(of(k.tanh, x)) <= 1);
        }
    }
}

template <class Wide> Wide exact_elu(Wide x) { return x < 0 ? std::expm1(x) : x; }
template <class Wide> Wide exact_softplus(Wide x) {
    return std::max(x, Wide(0)) + std::log1p(std::exp(-std::abs(x)));
}

TEST_CASE_TEMPLATE("elu and softplus: at most 3 ULP, and their slopes", T, float,
                   double) {
    using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;
    struct Chosen {
        Activation<T> activation;
        Wide (*exact)(Wide);
        Wide (*slope)(Wide);
    };
    const Chosen chosen[] = {{{ActivationKind::elu, T(1), T(0)},
                              exact_elu<Wide>,
                              [](Wide x) { return x < 0 ? exact_exp(x) : Wide(1); }},
                             {{ActivationKind::softplus, T(0), T(0)},
                              exact_softplus<Wide>,
                              exact_sigmoid<Wide>}};
    const T extent = sizeof(T) == 4 ? 110 : 750;
    const long samples = thorough() ? 100'000'000 : 1'000'000;
    std::mt19937_64 random(2);
    for (const std::string& name : available_isas()) {
        select_isa(name);
        for (const Chosen& f : chosen) {
            double worst = 0, worst_slope = 0, at = 0;
            constexpr long batch = 1000;
            std::vector<T> x(batch), y(batch), slope(batch);
            for (long i = 0; i < samples; i += batch) {
                const T scale = i % 3 == 0 ? T(2) : i % 3 == 1 ? extent : T(1e-3);
                for (T& v : x) v = scale * T(2 * double(random() >> 11) * 0x1p-53 - 1);
                kernels<T>().activate(f.activation, x.data(), y.data(), slope.data(),
                                      batch);
                for (std::size_t j = 0; j < x.size(); ++j) {
                    const double e = error_in_ulp(y[j], f.exact(Wide(x[j])));
                    if (!(e <= worst)) worst = e, at = double(x[j]);
                    worst_slope = std::max(worst_slope,
                                           error_in_ulp(slope[j], f.slope(Wide(x[j]))));
                }
            }
            INFO(name, " worst ", worst, " ULP at ", at);
            MESSAGE(name << " activation " << int(f.activation.kind) << " " << worst
                         << " ULP at " << at);
            CHECK(worst <= 3);
            CHECK(worst_slope <= 2);
        }
    }
}

TEST_CASE_TEMPLATE("activations at their corners", T, float, double) {
    const T inf = std::numeric_limits<T>::infinity();
    using Kind = ActivationKind;
    struct Corner {
        Activation<T> activation;
        T x, y, slope;
    };
    const T quarter = T(0.25), half = T(0.5);
    const Corner corners[] = {
        {{Kind::relu, 0, 0}, 0, 0, 0},
        {{Kind::relu, 0, 0}, 2, 2, 1},
        {{Kind::tanh, 0, 0}, 0, 0, 1},
        {{Kind::sigmoid, 0, 0}, 0, half, quarter},
        {{Kind::affine, half, 2}, 3, T(3.5), half},
        {{Kind::leaky_relu, quarter, 0}, -2, -half, quarter},
        {{Kind::leaky_relu, quarter, 0}, 0, 0, 1},
        {{Kind::thresholded_relu, half, 0}, half, half, 1},
        {{Kind::thresholded_relu, half, 0}, quarter, 0, 0},
        {{Kind::scaled_tanh, 2, half}, 0, 0, 1},
        {{Kind::hard_sigmoid, quarter, half}, -2, 0, 0},
        {{Kind::hard_sigmoid, quarter, half}, 2, 1, 0},
        {{Kind::hard_sigmoid, quarter, half}, 1, T(0.75), quarter},
        {{Kind::elu, 2, 0}, 0, 0, 1},
        {{Kind::elu, 2, 0}, -inf, -2, 0},
        {{Kind::softsign, 0, 0}, -1, -half, quarter},
        {{Kind::softsign, 0, 0}, inf, 1, 0},
        {{Kind::softplus, 0, 0}, inf, inf, 1},
        {{Kind::softplus, 0, 0}, -inf, 0, 0},
    };
    for (const std::string& name : available_isas()) {
        select_isa(name);
        for (const Corner& c : corners) {
            CAPTURE(name);
            CAPTURE(int(c.activation.kind));
            T y, slope;
            kernels<T>().activate(c.activation, &c.x, &y, &slope, 1);
            CHECK(y == c.y);
            CHECK(slope == c.slope);
        }
    }
}

TEST_CASE("a subnormal result is kept") {
    for (const std::string& name : available_isas()) {
        select_isa(name);
        const float x = -100;
        float y;
        kernels<float>().sigmoid(&x, &y, 1);
        CHECK(std::fpclassify(y) == FP_SUBNORMAL);
        CHECK(std::abs(y - 3.7835e-44f) <= 1.5e-45f);
    }
}

}  // namespace rnnext
