// SPDX-License-Identifier: BSD-3-Clause
//
// The layer as plain loops over its equations, on numbers that carry a derivative: one
// pass gives the outputs and how the loss changes in one direction of all inputs at
// once, which is what the gradients are held against. The batch of a problem repeats a
// few sequences, and the naive loop goes over those alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench.hpp"

namespace rnnext {

struct Dual {
    double value = 0, slope = 0;
};
inline Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
inline Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }
inline Dual operator*(Dual a, Dual b) {
    return {a.value * b.value, a.slope * b.value + a.value * b.slope};
}
inline Dual tanh(Dual a) {
    const double t = std::tanh(a.value);
    return {t, a.slope * (1 - t * t)};
}
inline Dual sigmoid(Dual a) {
    const double s = 1 / (1 + std::exp(-a.value));
    return {s, a.slope * s * (1 - s)};
}
inline Dual relu(Dual a) { return a.value > 0 ? a : Dual{}; }

struct LayerShape {
    index T, N, I, H;
};

// What a layer reads and has gradients of.
enum LayerInput { in_x, in_h_0, in_c_0, in_w_ih, in_w_hh, in_b_ih, in_b_hh };
constexpr int layer_inputs = 7;

class NaiveLayer {
  public:
    using Inputs = std::vector<Dual>[layer_inputs];

    NaiveLayer(CellKind kind, const LayerShape& shape, const Inputs& inputs)
        : kind_(kind), I_(shape.I), H_(shape.H), T_(shape.T), N_(shape.N), in_(inputs) {
    }

    // Outputs of sequence n: y [T][H], then h_n and c_n in `h` and `c`.
    void run(index n, std::vector<Dual>& y, std::vector<Dual>& h,
             std::vector<Dual>& c) const {
        h.assign(&in_[in_h_0][std::size_t(n * H_)],
                 &in_[in_h_0][std::size_t(n * H_)] + H_);
        if (cell_traits[int(kind_)].has_c)
            c.assign(&in_[in_c_0][std::size_t(n * H_)],
                     &in_[in_c_0][std::size_t(n * H_)] + H_);
        y.clear();
        for (index t = 0; t < T_; ++t) {
            step(&in_[in_x][std::size_t((t * N_ + n) * I_)], h, c);
            y.insert(y.end(), h.begin(), h.end());
        }
    }

  private:
    // Gates in PyTorch's order, see the cells for the equations.
    void step(const Dual* x, std::vector<Dual>& h, std::vector<Dual>& c) const {
        const std::vector<Dual> before = h;
        const auto p = [&](int gate, index j) {
            return affine(in_w_ih, in_b_ih, gate * H_ + j, x, I_);
        };
        const auto q = [&](int gate, index j) {
            return affine(in_w_hh, in_b_hh, gate * H_ + j, before.data(), H_);
        };
        const auto gate = [&](int g, index j) { return sigmoid(p(g, j) + q(g, j)); };
        const Dual one{1, 0};
        std::vector<Dual> reset(before.size());  // r * h
        if (kind_ == CellKind::gru_reset_before)
            for (index j = 0; j < H_; ++j)
                reset[std::size_t(j)] = gate(0, j) * before[std::size_t(j)];
        for (index j = 0; j < H_; ++j) {
            Dual& to = h[std::size_t(j)];
            switch (kind_) {
            case CellKind::rnn_tanh:
                to = tanh(p(0, j) + q(0, j));
                break;
            case CellKind::rnn_relu:
                to = relu(p(0, j) + q(0, j));
                break;
            case CellKind::lstm: {
                Dual& memory = c[std::size_t(j)];
                const Dual g = tanh(p(2, j) + q(2, j));
                memory = gate(1, j) * memory + gate(0, j) * g;
                to = gate(3, j) * tanh(memory);
                break;
            }
            case CellKind::gru:
            case CellKind::gru_reset_before: {
                const Dual product =
                    kind_ == CellKind::gru
                        ? gate(0, j) * q(2, j)
                        : affine(in_w_hh, in_b_hh, 2 * H_ + j, reset.data(), H_);
                const Dual candidate = tanh(p(2, j) + product), z = gate(1, j);
                to = (one - z) * candidate + z * before[std::size_t(j)];
                break;
            }
            }
        }
    }

    Dual affine(LayerInput weights, LayerInput biases, index row, const Dual* x,
                index n) const {
        const Dual* w = &in_[weights][std::size_t(row * n)];
        Dual sum = in_[biases][std::size_t(row)];
        for (index i = 0; i < n; ++i) sum = sum + w[i] * x[i];
        return sum;
    }

    const CellKind kind_;
    const index I_, H_, T_, N_;
    const Inputs& in_;
};

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
