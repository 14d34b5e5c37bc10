// SPDX-License-Identifier: BSD-3-Clause
//
// The layer as plain loops over its equations, on numbers that carry a derivative: one
// pass gives the outputs and how the loss changes in one direction of all inputs at
// once, which is what the gradients are held against.
#pragma once

#include <cmath>
#include <vector>

#include "kernels.hpp"

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

}  // namespace rnnext
