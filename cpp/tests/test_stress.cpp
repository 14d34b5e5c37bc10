// SPDX-License-Identifier: BSD-3-Clause
//
// Several threads call one network at once, forward, backward and step by step, while
// another changes the number of threads: every result has the bits of a call alone.
// Under ThreadSanitizer (preset tsan) the core's own races show. RNNEXT_THOROUGH=1:
// much longer.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "dispatch.hpp"
#include "layer_case.hpp"
#include "network.hpp"
#include "schedule.hpp"

namespace rnnext {

namespace {

int rounds() { return std::getenv("RNNEXT_THOROUGH") ? 4000 : 40; }

// Large enough that calls share their work among threads.
constexpr CaseShape shape = {6, 24, 48, 64};

// A stack of one layer of the case's weights, and what it computes with.
class Caller {
  public:
    Caller(const Stack<float>& stack, const LayerCase<float>& given)
        : stack_(stack), given_(given), y_(given.y.size()), h_(given.h_n.size()),
          c_(given.c_n.size()) {}

    std::uint64_t forward() {
        NetworkForward<float> call{stack_, shape.T, shape.N};
        call.x = given_.x.data();
        call.h_0 = given_.h_0.data();
        call.c_0 = given_.c_0.data();
        call.y[0] = y_.data();
        call.h_n = h_.data();
        call.c_n = c_.data();
        rnnext::forward(call, {nullptr});
        Hash hash;
        hash.add(y_);
        hash.add(h_);
        hash.add(c_);
        return hash.value;
    }

    std::uint64_t stream() {
        Stepper<float> stepper(stack_, shape.N);
        std::copy(given_.h_0.begin(), given_.h_0.end(), stepper.h());
        std::copy(given_.c_0.begin(), given_.c_0.end(), stepper.c());
        for (index t = 0; t < shape.T; ++t)
            stepper.step(stack_, given_.x.data() + t * shape.N * shape.I, nullptr,
                         y_.data() + t * shape.N * shape.H, {nullptr});
        Hash hash;
        hash.add(y_);
        return hash.value;
    }

  private:
    const Stack<float>& stack_;
    const LayerCase<float>& given_;
    std::vector<float> y_, h_, c_;
};

// A layer of its own arrays, all of the same weights.
std::uint64_t gradients(LayerCase<float>& layer) {
    layer.forward(true);
    layer.backward();
    Hash hash;
    layer.add_outputs(hash);
    layer.add_gradients(hash);
    return hash.value;
}

// Of a layer above two directions.
const std::vector<float>& wide_w_ih() {
    static std::mt19937 random(1);
    static const std::vector<float> w = drawn<float>(4 * 32 * 64, 0.2, random);
    return w;
}

}  // namespace

TEST_CASE("one network, many callers, changing numbers of threads") {
    const LayerCase<float> given(CellKind::lstm, shape, 1);
    Stack<float> stack{1};
    stack.weights.emplace_back(CellKind::lstm, shape.I, shape.H, given.w_ih.data(),
                               given.w_hh.data(), given.b_ih.data(), given.b_hh.data());
    set_num_threads(1);
    const std::uint64_t forward = Caller(stack, given).forward();
    const std::uint64_t stream = Caller(stack, given).stream();
    LayerCase<float> alone(CellKind::gru, shape, 2);
    const std::uint64_t backward = gradients(alone);

    std::atomic<int> wrong{0};
    std::atomic<bool> done{false};
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&, i] {
            Caller caller(stack, given);
            LayerCase<float> own(CellKind::gru, shape, 2);
            for (int k = 0; k < rounds(); ++k) {
                switch ((i + k) % 3) {
                case 0:
                    wrong += caller.forward() != forward;
                    break;
                case 1:
                    wrong += caller.stream() != stream;
                    break;
                default:
                    wrong += gradients(own) != backward;
                }
            }
        });
    std::thread changer([&] {
        for (int n = 1; !done; n = n % 4 + 1) {
            set_num_threads(n);
            std::this_thread::yield();
        }
    });
    for (std::thread& t : callers) t.join();
    done = true;
    changer.join();
    CHECK(wrong == 0);
}

TEST_CASE("several callers are the first to need weights transposed") {
    LayerCase<float> first(CellKind::lstm, shape, 2);
    const std::uint64_t expected = gradients(first);
    std::atomic<int> wrong{0};
    for (int k = 0; k < rounds(); ++k) {
        const LayerCase<float> fresh(CellKind::lstm, shape, 2);
        std::vector<std::thread> callers;
        for (int i = 0; i < 3; ++i)
            callers.emplace_back([&] {
                LayerCase<float> own(CellKind::lstm, shape, 2);
                own.weights = fresh.weights;
                wrong += gradients(own) != expected;
            });
        for (std::thread& t : callers) t.join();
    }
    CHECK(wrong == 0);
}

TEST_CASE("layers side by side, and directions") {
    constexpr CaseShape deep = {40, 2, 32, 32};
    const LayerCase<float> given(CellKind::lstm, deep, 1);
    for (const index D : {1, 2}) {
        Stack<float> stack{D};
        for (index i = 0; i < 3 * D; ++i)  // in: as many features as out
            stack.weights.emplace_back(CellKind::lstm, D == 1 || i < D ? 32 : 64, 32,
                                       i < D ? given.w_ih.data() : wide_w_ih().data(),
                                       given.w_hh.data(), given.b_ih.data(),
                                       given.b_hh.data());
        const index layers = D == 2 ? 2 : 3;
        std::vector<float> y(std::size_t(deep.T * deep.N * 32 * D));
        std::vector<float> h(std::size_t(3 * D * deep.N * 32)), c(h.size());
        const auto bits = [&](int threads) {
            set_num_threads(threads);
            const Sequences all{deep.T, deep.N, false, nullptr};
            const int beside = threads_side_by_side(stack[0], all, layers);
            // Where vectors are short, four threads had better share each layer.
            if (threads < 4) CHECK(beside == std::min(threads, int(layers)));
            NetworkForward<float> call{stack, deep.T, deep.N};
            call.x = given.x.data();
            call.y[0] = y.data();
            call.h_n = h.data();
            call.c_n = c.data();
            forward(call, {nullptr});
            Hash hash;
            hash.add(y);
            hash.add(h);
            hash.add(c);
            return hash.value;
        };
        const std::uint64_t expected = bits(1);
        for (int k = 0; k < rounds(); ++k) CHECK(bits(2 + k % 3) == expected);
    }
}

TEST_CASE("weights are packed and given back on several threads") {
    set_num_threads(2);
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    const std::uint64_t expected = [] {
        LayerCase<float> layer(CellKind::lstm, {2, 3, 70, 130}, 3);
        return gradients(layer);
    }();
    for (int i = 0; i < 3; ++i)
        callers.emplace_back([&] {
            for (int k = 0; k < rounds(); ++k) {
                LayerCase<float> layer(CellKind::lstm, {2, 3, 70, 130}, 3);
                wrong += gradients(layer) != expected;
            }
        });
    for (std::thread& t : callers) t.join();
    CHECK(wrong == 0);
}

}  // namespace rnnext
