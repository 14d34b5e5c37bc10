// SPDX-License-Identifier: BSD-3-Clause
//
// Numbers for a layer, and what the naive loop makes of them. The batch of a problem
// repeats a few sequences, and the naive loop goes over those alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench.hpp"
#include "naive_layer.hpp"

namespace rnnext {

using Values = std::vector<double>;

constexpr index sequences = 5;  // no divisor of a tile's rows

// Numbers of a layer, the same for every dtype and thread; per-sequence ones are
// [..][sequences][..].
struct Problem {
    Problem(CellKind kind_, const LayerShape& s)
        : kind(kind_), shape(s), S(std::min(s.N, sequences)) {
        const CellTraits& traits = cell_traits[int(kind)];
        const index rows = traits.gates * s.H, c = traits.has_c ? s.H : 0;
        const double scale = 1 / std::sqrt(double(s.H));
        in[in_x] = spread(s.T * S * s.I, 1, 1);
        in[in_h_0] = spread(S * s.H, 1, 2);
        in[in_c_0] = spread(S * c, 1, 3);
        in[in_w_ih] = spread(rows * s.I, scale, 4);
        in[in_w_hh] = spread(rows * s.H, scale, 5);
        in[in_b_ih] = spread(rows, scale, 6);
        in[in_b_hh] = spread(rows, scale, 7);
        dy = spread(s.T * S * s.H, 1, 8);
        dh_n = spread(S * s.H, 1, 9);
        dc_n = spread(S * c, 1, 10);
    }

    // [..][sequences][width] to [..][N][width].
    template <class T> Array<T> repeat(const Values& v, index width) const {
        Array<T> all;
        for (auto from = v.begin(); from != v.end(); from += S * width)
            for (index n = 0; n < shape.N; ++n)
                all.insert(all.end(), from + n % S * width, from + (n % S + 1) * width);
        return all;
    }
    // An input, or numbers for each of its elements, for the whole batch.
    template <class T> Array<T> whole(const Values& v, int input) const {
        if (input > in_c_0) return as<T>(v);
        return repeat<T>(v, input == in_x ? shape.I : shape.H);
    }

    const CellKind kind;
    const LayerShape shape;
    const index S;
    Values in[layer_inputs], dy, dh_n, dc_n;
};

// What the naive loop finds: outputs, and the slope of the loss
// sum(dy y) + sum(dh_n h_n) + sum(dc_n c_n) in a direction.
struct Truth {
    Values y, h_n, c_n, direction[layer_inputs];
    double slope = 0;

    Truth(const Problem& p, const double (&scales)[layer_inputs]) {
        const index T_ = p.shape.T, H = p.shape.H;
        NaiveLayer::Inputs in;
        for (int i = 0; i < layer_inputs; ++i) {
            direction[i] = spread(index(p.in[i].size()), scales[i], unsigned(20 + i));
            for (std::size_t j = 0; j < p.in[i].size(); ++j)
                in[i].push_back({p.in[i][j], direction[i][j]});
        }
        const NaiveLayer layer(p.kind, {T_, p.S, p.shape.I, H}, in);
        y.resize(p.dy.size());
        std::vector<Dual> all, h, c;
        for (index n = 0; n < p.S; ++n) {
            const auto times = double((p.shape.N - n + p.S - 1) / p.S);
            const auto take = [&](const Dual& d, double gradient, double& value) {
                value = d.value;
                slope += times * gradient * d.slope;
            };
            layer.run(n, all, h, c);
            for (index i = 0; i < T_ * H; ++i) {
                const auto at = std::size_t((i / H * p.S + n) * H + i % H);
                take(all[std::size_t(i)], p.dy[at], y[at]);
            }
            const auto take_all = [&](const std::vector<Dual>& state,
                                      const Values& gradient, Values& values) {
                for (const Dual& d : state) {
                    const double g = gradient[values.size()];
                    take(d, g, values.emplace_back());
                }
            };
            take_all(h, p.dh_n, h_n);
            take_all(c, p.dc_n, c_n);
        }
    }
};

}  // namespace rnnext
