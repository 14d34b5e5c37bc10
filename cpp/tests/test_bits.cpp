// SPDX-License-Identifier: BSD-3-Clause
//
// A fixed workload has the bits that are written down here, forward and backward: one
// set of them for all instruction sets that have a fused multiply-add, one for the
// baseline. What changes them on purpose writes down new ones: the program prints what
// it found.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdio>

#include "dispatch.hpp"
#include "layer_case.hpp"

namespace rnnext {

namespace {

// Tails of every vector and tile width, one step and many, long sums over K.
constexpr CaseShape shapes[] = {{1, 1, 1, 1},   {3, 2, 3, 5},    {5, 1, 7, 8},
                                {4, 3, 9, 13},  {2, 5, 33, 16},  {6, 7, 4, 17},
                                {3, 13, 8, 24}, {4, 25, 40, 31}, {7, 2, 65, 33},
                                {2, 12, 5, 47}, {40, 3, 16, 64}, {3, 6, 100, 70}};

struct Found {
    std::uint64_t forward, backward;
};

template <class T> Found found(CellKind kind, int threads) {
    set_num_threads(threads);
    Hash forward, backward;
    unsigned seed = 1;
    for (const CaseShape& shape : shapes) {
        LayerCase<T> layer(kind, shape, seed, seed % 2 == 0);
        ++seed;
        layer.forward(true);
        layer.backward();
        layer.add_outputs(forward);
        layer.add_gradients(backward);
    }
    return {forward.value, backward.value};
}

// By cell, in the order of CellKind: of float, of double.
using Table = Found[cell_kinds][2];

constexpr Table fused = {};

constexpr Table baseline = {};

}  // namespace

TEST_CASE("the bits of a fixed workload") {
    for (const std::string& name : available_isas()) {
        select_isa(name);
        const Table& table = name == "baseline" ? baseline : fused;
        for (int kind = 0; kind < cell_kinds; ++kind)
            for (const int threads : {1, 2})
                for (const bool is_float : {true, false}) {
                    const Found got = is_float ? found<float>(CellKind(kind), threads)
                                               : found<double>(CellKind(kind), threads);
                    const Found& expected = table[kind][is_float ? 0 : 1];
                    CAPTURE(name);
                    CAPTURE(cell_traits[kind].name);
                    CAPTURE(is_float);
                    CAPTURE(threads);
                    CHECK(got.forward == expected.forward);
                    CHECK(got.backward == expected.backward);
                    if (got.forward != expected.forward ||
                        got.backward != expected.backward)
                        std::printf("%s %s: {0x%016llx, 0x%016llx}\n", name.c_str(),
                                    cell_traits[kind].name,
                                    static_cast<unsigned long long>(got.forward),
                                    static_cast<unsigned long long>(got.backward));
                }
    }
}

}  // namespace rnnext
