// SPDX-License-Identifier: BSD-3-Clause
#include "dispatch.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <atomic>
#include <stdexcept>

namespace rnnext {

#ifdef RNNEXT_HAS_avx512
namespace avx512 {
extern const KernelSet kernels;
}
#endif
#ifdef RNNEXT_HAS_avx2
namespace avx2 {
extern const KernelSet kernels;
}
#endif
#ifdef RNNEXT_HAS_baseline
namespace baseline {
extern const KernelSet kernels;
}
#endif
#ifdef RNNEXT_HAS_neon
namespace neon {
extern const KernelSet kernels;
}
#endif

namespace {

#if defined(__x86_64__)
// What -march=x86-64-v3 and v4 take for granted. Clang knows the levels by name from
// 17 on; F16C, MOVBE and LZCNT older compilers do not know by any name.
[[maybe_unused]] bool has_v3() {
    constexpr unsigned f16c = 1u << 29, movbe = 1u << 22, lzcnt = 1u << 5;
    unsigned a, b, basic, extended, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __get_cpuid(1, &a, &b, &basic, &d) && (basic & f16c) && (basic & movbe) &&
           __get_cpuid(0x80000001, &a, &b, &extended, &d) && (extended & lzcnt);
}
[[maybe_unused]] bool has_v4() {
#if defined(RNNEXT_EMULATE_AVX512)
    return has_v3();
#endif
    return has_v3() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

// Tall tiles store all of their sums again and again. Intel's processors store a vector
// of 64 bytes in a cycle, AMD's Zen 4 in two.
bool has_fast_stores() {
#if defined(__x86_64__)
    return __builtin_cpu_is("intel");
#else
    return false;
#endif
}

struct Isa {
    std::string name;
    bool (*supported)();
    const KernelSet* kernels;
};

// Best first. The flags in CMakeLists.txt, the name here and the check say the same.
// Never destroyed: a thread may still compute while the process ends.
const std::vector<Isa>& isas() {
    static const auto& list = *new std::vector<Isa>{
#ifdef RNNEXT_HAS_avx512
        {"avx512", has_v4, &avx512::kernels},
#endif
#ifdef RNNEXT_HAS_avx2
        {"avx2", has_v3, &avx2::kernels},
#endif
#ifdef RNNEXT_HAS_baseline
        {"baseline", [] { return true; }, &baseline::kernels},
#endif
#ifdef RNNEXT_HAS_neon
        {"neon", [] { return true; }, &neon::kernels},
#endif
    };
    return list;
}

std::atomic<const Isa*> chosen{nullptr};

const Isa& in_use() {
    if (!chosen) select_isa("");
    return *chosen;
}

}  // namespace

std::vector<std::string> compiled_isas() {
    std::vector<std::string> names;
    for (const Isa& i : isas()) names.push_back(i.name);
    return names;
}

std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (const Isa& i : isas())
        if (i.supported()) names.push_back(i.name);
    return names;
}

const std::string& isa() { return in_use().name; }

void select_isa(const std::string& name) {
    for (const Isa& i : isas())
        if ((name.empty() || name == i.name) && i.supported()) {
            chosen = &i;
            use_tall_tiles(has_fast_stores());
            return;
        }
    std::string choices;
    for (const std::string& i : available_isas())
        choices += (choices.empty() ? "" : ", ") + i;
    throw std::invalid_argument("RNNEXT_ISA: expected one of " + choices +
                                " (what this build and this CPU have), got '" + name +
                                "'");
}

bool use_tall_tiles(bool tall) {
    bool* const choice = in_use().kernels->tall_tiles;
    if (choice) __atomic_store_n(choice, tall, __ATOMIC_RELAXED);
    return choice != nullptr;
}

template <> const Kernels<float>& kernels<float>() { return in_use().kernels->f32; }
template <> const Kernels<double>& kernels<double>() { return in_use().kernels->f64; }

}  // namespace rnnext
