// SPDX-License-Identifier: BSD-3-Clause
//
// One layer with all its arrays, every one in memory of exactly its size: what the
// tests of bits and of threads and the fuzzers run. Numbers come from a seed, the same
// on every machine; results can be summed up in one number.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "layer.hpp"

namespace rnnext {

struct CaseShape {
    index T, N, I, H;
};

// Evenly spread over [-scale, scale), exact in float.
template <class T> std::vector<T> drawn(index n, double scale, std::mt19937& random) {
    std::vector<T> v(std::size_t(n), T(0));
    for (T& x : v) x = T(float(scale * (double(random()) * 0x1p-31 - 1)));
    return v;
}

// FNV-1a over bytes.
struct Hash {
    std::uint64_t value = 0xcbf29ce484222325;

    template <class T> void add(const std::vector<T>& v) {
        for (const T& x : v) {
            unsigned char bytes[sizeof(T)];
            std::memcpy(bytes, &x, sizeof x);
            for (const unsigned char b : bytes) value = (value ^ b) * 0x100000001b3;
        }
    }
};

template <class T> class LayerCase {
  public:
    LayerCase(CellKind kind, const CaseShape& shape, unsigned seed,
              bool reverse_ = false, const Extent* extent = nullptr)
        : traits(cell_traits[int(kind)]), s(shape), reverse(reverse_), random(seed) {
        const index G = traits.gates * s.H, c = traits.has_c ? s.N * s.H : 0;
        if (extent) runs.emplace_back(*extent, reverse);
        x = drawn<T>(s.T * s.N * s.I, 1, random);
        h_0 = drawn<T>(s.N * s.H, 1, random);
        c_0 = drawn<T>(c, 1, random);
        w_ih = drawn<T>(G * s.I, 0.5, random);
        w_hh = drawn<T>(G * s.H, 0.5, random);
        b_ih = drawn<T>(G, 0.5, random);
        b_hh = drawn<T>(G, 0.5, random);
        dy = drawn<T>(s.T * s.N * s.H, 1, random);
        dh_n = drawn<T>(s.N * s.H, 1, random);
        dc_n = drawn<T>(c, 1, random);
        const index rows = extent ? runs[0].rows() : s.T * s.N;
        const index states = extent ? runs[0].count() + rows : (s.T + 1) * s.N;
        y.resize(dy.size());
        h_n.resize(dh_n.size());
        c_n.resize(dc_n.size());
        kept_h.resize(std::size_t(states * s.H));
        kept_c.resize(std::size_t(traits.has_c ? states * s.H : 0));
        gates.resize(std::size_t(rows * traits.saved * s.H));
        dx.resize(x.size());
        dh_0.resize(h_0.size());
        dc_0.resize(c_0.size());
        dw_ih.resize(w_ih.size());
        dw_hh.resize(w_hh.size());
        db_ih.resize(b_ih.size());
        db_hh.resize(b_hh.size());
        weights = std::make_shared<Weights<T>>(kind, s.I, s.H, w_ih.data(), w_hh.data(),
                                               b_ih.data(), b_hh.data());
    }

    // With `tokens` [T, N] in place of x. Keeps what backward needs, or nothing.
    void forward(bool training, const index* tokens = nullptr) {
        const LayerCache<T> cache{kept_h.data(), null_if_none(kept_c), gates.data()};
        LayerForward<T> call{*weights, s.T, s.N, reverse};
        if (!runs.empty()) call.runs = &runs[0];
        call.hold = hold;
        if (tokens) call.tokens = tokens;
        else call.x = x.data();
        call.h_0 = h_0.data();
        call.c_0 = null_if_none(c_0);
        call.y = y.data();
        call.y_row = s.H;
        call.h_n = h_n.data();
        call.c_n = null_if_none(c_n);
        if (training) call.cache = &cache;
        rnnext::forward(call, {nullptr});
    }

    // After a forward that trains.
    void backward(const index* tokens = nullptr) {
        LayerBackward<T> call{*weights, s.T, s.N, reverse};
        if (!runs.empty()) call.runs = &runs[0];
        call.hold = hold;
        if (tokens) call.tokens = tokens;
        else call.x = x.data(), call.dx = dx.data();
        call.cache = {kept_h.data(), null_if_none(kept_c), gates.data()};
        call.dy = dy.data();
        call.dy_row = s.H;
        call.dh_n = dh_n.data();
        call.dc_n = null_if_none(dc_n);
        call.dh_0 = dh_0.data();
        call.dc_0 = null_if_none(dc_0);
        call.dw_ih = dw_ih.data();
        call.dw_hh = dw_hh.data();
        call.db_ih = db_ih.data();
        call.db_hh = db_hh.data();
        for (std::vector<T>* sum : {&dx, &dh_0, &dc_0, &dw_ih, &dw_hh, &db_ih, &db_hh})
            sum->assign(sum->size(), T(0));
        rnnext::backward(call, {nullptr});
    }

    void add_outputs(Hash& hash) const {
        for (const auto* v : {&y, &h_n, &c_n}) hash.add(*v);
    }
    void add_gradients(Hash& hash) const {
        for (const auto* v : {&dx, &dh_0, &dc_0, &dw_ih, &dw_hh, &db_ih, &db_hh})
            hash.add(*v);
    }

    const CellTraits& traits;
    const CaseShape s;
    const bool reverse;
    bool hold = false;
    std::mt19937 random;
    std::vector<Runs> runs;  // one, or none
    std::vector<T> x, h_0, c_0, w_ih, w_hh, b_ih, b_hh, dy, dh_n, dc_n;
    std::vector<T> y, h_n, c_n, kept_h, kept_c, gates;
    std::vector<T> dx, dh_0, dc_0, dw_ih, dw_hh, db_ih, db_hh;
    std::shared_ptr<const Weights<T>> weights;

  private:
    static T* null_if_none(std::vector<T>& v) { return v.empty() ? nullptr : v.data(); }
};

}  // namespace rnnext
