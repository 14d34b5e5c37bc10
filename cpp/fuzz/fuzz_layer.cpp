// SPDX-License-Identifier: BSD-3-Clause
//
// A layer of small sizes on small coverage: outputs and gradients against the naive
// loop, the same bits on other threads, and of tokens the bits of their one-hot rows.
// The kernels' memory is watched, too: every array has exactly its size.
#include <cmath>

#include "../bench/naive_layer.hpp"
#include "../tests/layer_case.hpp"
#include "dispatch.hpp"
#include "input.hpp"

namespace rnnext {
namespace {

template <class T> std::uint64_t bits_of(LayerCase<T>& layer, const index* tokens) {
    Hash hash;
    layer.forward(true, tokens);
    layer.backward(tokens);
    layer.add_outputs(hash);
    layer.add_gradients(hash);
    return hash.value;
}

template <class T> std::uint64_t outputs_of(const LayerCase<T>& layer) {
    Hash hash;
    layer.add_outputs(hash);
    return hash.value;
}

template <class T> std::uint64_t inferred(LayerCase<T>& layer, const index* tokens) {
    layer.forward(false, tokens);
    return outputs_of(layer);
}

bool near(double got, double exact) {
    return std::abs(got - exact) <= 1e-10 * std::max(1.0, std::abs(exact));
}

// Sequences that are whole up to their lengths, in float64.
void check_against_loop(CellKind kind, LayerCase<double>& layer, const index* lengths) {
    const auto [T_, N, I, H] = layer.s;
    const std::vector<double>* const values[layer_inputs] = {
        &layer.x,    &layer.h_0,  &layer.c_0, &layer.w_ih,
        &layer.w_hh, &layer.b_ih, &layer.b_hh};
    const std::vector<double>* const gradients[layer_inputs] = {
        &layer.dx,    &layer.dh_0,  &layer.dc_0, &layer.dw_ih,
        &layer.dw_hh, &layer.db_ih, &layer.db_hh};
    NaiveLayer::Inputs in;
    double slope = 0, expected = 0;
    for (int i = 0; i < layer_inputs; ++i) {
        const auto size = index(values[i]->size());
        const auto direction = drawn<double>(size, 1, layer.random);
        for (std::size_t j = 0; j < direction.size(); ++j) {
            in[i].push_back({(*values[i])[j], direction[j]});
            slope += (*gradients[i])[j] * direction[j];
        }
    }
    const auto x = in[in_x];
    for (index n = 0; n < N; ++n) {
        const index length = lengths ? lengths[n] : T_;
        const auto time = [&](index s) { return layer.reverse ? length - 1 - s : s; };
        for (index s = 0; s < length; ++s)
            for (index i = 0; i < I; ++i)
                in[in_x][std::size_t((s * N + n) * I + i)] =
                    x[std::size_t((time(s) * N + n) * I + i)];
        std::vector<Dual> y, h, c;
        NaiveLayer(kind, {length, N, I, H}, in).run(n, y, h, c);
        const auto compare = [&](double got, const Dual& exact, double gradient) {
            require(near(got, exact.value), "outputs as the naive loop's");
            expected += gradient * exact.slope;
        };
        for (index s = 0; s < T_; ++s)
            for (index j = 0; j < H; ++j) {
                const index t = s < length ? time(s) : s;
                const auto at = std::size_t((t * N + n) * H + j);
                compare(layer.y[at], s < length ? y[std::size_t(s * H + j)] : Dual{},
                        layer.dy[at]);
            }
        for (index j = 0; j < H; ++j) {
            const auto at = std::size_t(n * H + j);
            compare(layer.h_n[at], h[std::size_t(j)], layer.dh_n[at]);
            if (!c.empty()) compare(layer.c_n[at], c[std::size_t(j)], layer.dc_n[at]);
        }
    }
    require(near(slope, expected), "gradients as the naive loop's");
}

template <class T> void check(Input in, CellKind kind, const CaseShape& s) {
    const int how = in.byte();
    const unsigned seed = in.byte();
    const FuzzedExtent fuzzed(in, s.T, s.N);
    const Extent& e = fuzzed.extent;
    const bool covered = e.lengths || e.mask || e.reset;
    LayerCase<T> layer(kind, s, seed, how & 1, covered ? &e : nullptr);
    layer.hold = how & 2;

    std::unique_ptr<index[]> tokens;
    if (how & 4) {
        tokens = std::make_unique<index[]>(std::size_t(s.T * s.N));
        std::fill(layer.x.begin(), layer.x.end(), T(0));
        for (index i = 0; i < s.T * s.N; ++i) {
            tokens[std::size_t(i)] = in.number(0, s.I - 1);
            layer.x[std::size_t(i * s.I + tokens[std::size_t(i)])] = T(1);
        }
    }
    set_num_threads(1);
    const std::uint64_t bits = bits_of(layer, nullptr);
    if constexpr (std::is_same_v<T, double>)
        if (!e.mask && !e.reset && !layer.hold)
            check_against_loop(kind, layer, e.lengths);
    const std::uint64_t outputs = outputs_of(layer);
    require(inferred(layer, nullptr) == outputs, "inference as training");
    if (how & 8) {
        set_num_threads(2);
        require(bits_of(layer, nullptr) == bits, "the same bits on two threads");
        set_num_threads(1);
    }
    if (!tokens) return;
    const auto of_rows = layer.dw_ih;
    require(inferred(layer, tokens.get()) == outputs, "tokens as one-hot rows");
    bits_of(layer, tokens.get());
    require(layer.dw_ih == of_rows, "gradients of tokens as of one-hot rows");
}

}  // namespace
}  // namespace rnnext

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace rnnext;
    Input in(data, size);
    const auto kind = CellKind(in.number(0, cell_kinds - 1));
    const auto isas = available_isas();
    const int how = in.byte();
    select_isa(isas[std::size_t(how / 2) % isas.size()]);
    const CaseShape shape{in.number(1, 5), in.number(1, 4), in.number(1, 9),
                          in.number(1, 20)};
    if (how & 1) check<double>(in, kind, shape);
    else check<float>(in, kind, shape);
    return 0;
}
