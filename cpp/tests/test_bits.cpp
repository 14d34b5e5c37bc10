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
    assume_quick_threads(true);
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

constexpr Table fused = {
    {{0x4cdd0d8f47345d8a, 0xee5041217c76582b},
     {0x021fc4bab1eb8e0d, 0xa1095b9d0af482a3}},  // rnn_tanh
    {{0xa478c597bd4d09b6, 0x74265a5bab87a488},
     {0x48ae78dc6d4cf4c3, 0x2c831452e7a5e03d}},  // rnn_relu
    {{0x27495983a50ec16a, 0xfb0686ea37eae1a2},
     {0x22d355b17c7f2402, 0x8bb8e5bd5c7285a9}},  // lstm
    {{0x65902dc6849b700d, 0x5f04accdfc56e44d},
     {0x9adf6e3b2a854210, 0x689dbc68658db381}},  // gru
    {{0x5d0951d3330dbbeb, 0xcec72b4b7b2dfec5},
     {0x938b4806d087780f, 0xf06ec6abf7c0c870}},  // gru_reset_before
};

constexpr Table baseline = {
    {{0x94ab6afb5682815b, 0xd841ee6cbd411959},
     {0xc5a44f111662f97d, 0x7cbe9218da3c144a}},  // rnn_tanh
    {{0x489edd5a222de096, 0xf229f42a41ff3107},
     {0x8de906e92c0a30e5, 0x79275a53f4713c33}},  // rnn_relu
    {{0xdb1572b7a8f13df2, 0xa3d2980b2eca0cbe},
     {0x743ad4138f97885b, 0x52a1995de6d04adc}},  // lstm
    {{0xcc334c64f379f3f2, 0xced012ef3c68477e},
     {0x0e7513ec05314a26, 0xbf367010eedd6e0c}},  // gru
    {{0x7698268b9f629415, 0xb5c0cf39bbf3204c},
     {0xf038572a083c5b4a, 0x8a5951c037e1410f}},  // gru_reset_before
};

}  // namespace

TEST_CASE("the bits of a fixed workload") {
    for (const std::string& name : available_isas()) {
        const Table& table = name == "baseline" ? baseline : fused;
        for (const bool tall : {false, true}) {
            select_isa(name);
            if (!use_tall_tiles(tall) && tall) continue;
            for (int kind = 0; kind < cell_kinds; ++kind)
                for (const int threads : {1, 2})
                    for (const bool is_float : {true, false}) {
                        const Found got = is_float
                                              ? found<float>(CellKind(kind), threads)
                                              : found<double>(CellKind(kind), threads);
                        const Found& expected = table[kind][is_float ? 0 : 1];
                        CAPTURE(name);
                        CAPTURE(tall);
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
}

}  // namespace rnnext
