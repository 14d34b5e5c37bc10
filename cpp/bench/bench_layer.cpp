// SPDX-License-Identifier: BSD-3-Clause
//
// layer/<isa>/<dtype>/<cell>/<work>/T:<T>/N:<N>/I:<I>/H:<H>/threads:<threads>, the best
// instruction set only.
//
//   inference  forward, nothing kept
//   forward    forward that keeps what backward needs
//   backward   all gradients
//
// The batch repeats a few sequences, so that the naive loop goes over those alone.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <tuple>

#include "bench.hpp"
#include "layer.hpp"
#include "layer_problem.hpp"
#include "pool.hpp"

namespace rnnext {
namespace {

constexpr LayerShape shapes[] = {
    {1, 1, 256, 256},                        // one step
    {100, 1, 128, 128}, {100, 1, 512, 512},  // one sequence
    {50, 32, 64, 128},  {10, 64, 512, 512},  // batches
};

enum class Work { inference, forward, backward };
constexpr const char* work_names[] = {"inference", "forward", "backward"};

// The layer under test with all its arrays.
template <class T> class Layer {
  public:
    explicit Layer(const Problem& p)
        : p_(p), s_(p.shape), has_c_(cell_traits[int(p.kind)].has_c) {
        for (int i = 0; i < layer_inputs; ++i) {
            in_[i] = p.whole<T>(p.in[i], i);
            gradients_[i].resize(in_[i].size());
        }
        dy_ = p.repeat<T>(p.dy, s_.H);
        dh_n_ = p.repeat<T>(p.dh_n, s_.H);
        dc_n_ = p.repeat<T>(p.dc_n, s_.H);
        const index state = s_.N * s_.H;
        y_.resize(dy_.size());
        h_n_.resize(dh_n_.size());
        c_n_.resize(dc_n_.size());
        h_.resize(std::size_t((s_.T + 1) * state));
        if (has_c_) c_.resize(h_.size());
        gates_.resize(std::size_t(s_.T * state * cell_traits[int(p.kind)].saved));
    }

    void forward(bool training) {
        const LayerCache<T> cache{h_.data(), c_.data(), gates_.data()};
        LayerForward<T> call{weights_, s_.T, s_.N, false};
        call.x = in_[in_x].data();
        call.h_0 = in_[in_h_0].data();
        if (has_c_) call.c_0 = in_[in_c_0].data();
        call.y = y_.data();
        call.y_row = s_.H;
        call.h_n = h_n_.data();
        if (has_c_) call.c_n = c_n_.data();
        if (training) call.cache = &cache;
        rnnext::forward(call, {nullptr});
    }

    void backward() {
        LayerBackward<T> call{weights_, s_.T, s_.N, false};
        call.x = in_[in_x].data();
        call.cache = {h_.data(), c_.data(), gates_.data()};
        call.dy = dy_.data();
        call.dy_row = s_.H;
        call.dh_n = dh_n_.data();
        if (has_c_) call.dc_n = dc_n_.data();
        call.dx = gradients_[in_x].data();
        call.dh_0 = gradients_[in_h_0].data();
        if (has_c_) call.dc_0 = gradients_[in_c_0].data();
        call.dw_ih = gradients_[in_w_ih].data();
        call.dw_hh = gradients_[in_w_hh].data();
        call.db_ih = gradients_[in_b_ih].data();
        call.db_hh = gradients_[in_b_hh].data();
        rnnext::backward(call, {nullptr});
    }

    void forget() {
        for (Array<T>* output : {&y_, &h_n_, &c_n_})
            std::fill(output->begin(), output->end(), T(NAN));
    }

    // After a forward and a backward: against the truth, found at the first call.
    bool right(Work work) {
        static std::map<std::tuple<CellKind, index, index, index, index>, Truth> known;
        const std::tuple key{p_.kind, s_.T, s_.N, s_.I, s_.H};
        auto at = known.find(key);
        if (at == known.end()) {
            // Directions in which every gradient counts alike.
            double scales[layer_inputs];
            for (int i = 0; i < layer_inputs; ++i) {
                double squares = 0;
                for (const T g : gradients_[i]) squares += double(g) * double(g);
                scales[i] = squares > 0 ? 1 / std::sqrt(squares) : 0;
            }
            at = known.emplace(key, Truth(p_, scales)).first;
        }
        const Truth& truth = at->second;
        if (work != Work::backward)
            return near(y_, truth.y) && near(h_n_, truth.h_n) && near(c_n_, truth.c_n);
        double slope = 0;
        for (int i = 0; i < layer_inputs; ++i) {
            const auto direction = p_.whole<double>(truth.direction[i], i);
            for (std::size_t j = 0; j < direction.size(); ++j)
                slope += double(gradients_[i][j]) * direction[j];
        }
        return std::abs(slope - truth.slope) <= tolerance;
    }

  private:
    static constexpr double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;

    bool near(const Array<T>& got, const Values& exact) const {
        const Array<double> all = p_.repeat<double>(exact, s_.H);
        for (std::size_t i = 0; i < got.size(); ++i)
            if (!(std::abs(double(got[i]) - all[i]) <= tolerance)) return false;
        return true;
    }

    const Problem& p_;
    const LayerShape& s_;
    const bool has_c_;
    Array<T> in_[layer_inputs], gradients_[layer_inputs];
    Array<T> dy_, dh_n_, dc_n_, y_, h_n_, c_n_, h_, c_, gates_;
    const Weights<T> weights_{p_.kind,
                              s_.I,
                              s_.H,
                              as<T>(p_.in[in_w_ih]).data(),
                              as<T>(p_.in[in_w_hh]).data(),
                              as<T>(p_.in[in_b_ih]).data(),
                              as<T>(p_.in[in_b_hh]).data()};
};

// The problem asked for last is kept for the benchmarks that follow.
const Problem& problem(CellKind kind, const LayerShape& s) {
    static std::unique_ptr<Problem> last;
    const auto key = [](const LayerShape& l) { return std::tuple{l.T, l.N, l.I, l.H}; };
    if (!last || last->kind != kind || key(last->shape) != key(s))
        last = std::make_unique<Problem>(kind, s);
    return *last;
}

template <class T>
void measure(benchmark::State& state, const Problem& problem, Work work, int threads) {
    const LayerShape& s = problem.shape;
    set_num_threads(threads);
    Layer<T> layer(problem);
    layer.forward(true);
    layer.backward();
    if (work == Work::inference) {
        layer.forget();
        layer.forward(false);
    }
    if (!layer.right(work)) return fail(state);
    const double seconds = timed(
        state,
        [&] {
            if (work == Work::backward) layer.backward();
            else layer.forward(work == Work::forward);
        },
        CLOCK_MONOTONIC);
    const double flops =
        (work == Work::backward ? 2 : 1) *
        forward_flops(cell_traits[int(problem.kind)], s.T, s.N, s.I, s.H);
    state.counters["GFLOP/s"] = flops / seconds * 1e-9;
    state.counters["us/step"] = seconds / double(s.T) * 1e6;
}

template <class T>
void add_layer(const std::string& isa, CellKind kind, const LayerShape& s, Work work,
               int threads) {
    const std::string name = "layer/" + isa + "/" + dtype<T>() + "/" +
                             cell_traits[int(kind)].name + "/" + work_names[int(work)] +
                             "/T:" + std::to_string(s.T) + "/N:" + std::to_string(s.N) +
                             "/I:" + std::to_string(s.I) + "/H:" + std::to_string(s.H) +
                             "/threads:" + std::to_string(threads);
    add(name,
        [=](benchmark::State& state) {
            select_isa(isa);
            measure<T>(state, problem(kind, s), work, threads);
        })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
}

template <class T> void add_layers(const std::string& isa) {
    std::vector<int> threads = {1};
    if (usable_cpus() > 1) threads.push_back(usable_cpus());
    for (int kind = 0; kind < cell_kinds; ++kind)
        for (const LayerShape& s : shapes)
            for (const Work work : {Work::inference, Work::forward, Work::backward})
                for (const int n : threads)
                    add_layer<T>(isa, CellKind(kind), s, work, n);
}

}  // namespace

void register_layers() {
    const std::string& best = bench_isas().front();
    add_layers<float>(best);
    add_layers<double>(best);
}

}  // namespace rnnext
