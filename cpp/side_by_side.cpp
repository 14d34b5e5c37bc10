// SPDX-License-Identifier: BSD-3-Clause
#include "side_by_side.hpp"

#include <algorithm>
#include <atomic>
#include <memory>

#include "layer_forward.hpp"

namespace rnnext {
namespace {

// One of the layers; who holds `busy` computes.
template <class T> struct Lane {
    Lane(const LayerForward<T>& call, Scratch& scratch)
        : plan(schedule_side_by_side(call.weights, call.steps())),
          steps(call.steps().steps()), layer(call, plan, scratch) {}

    bool is_done() const { return done.load(std::memory_order_acquire) >= steps; }

    const Schedule plan;
    const index steps;
    Forward<T> layer;
    std::atomic<index> done{0};
    std::atomic_flag busy = ATOMIC_FLAG_INIT;
};

template <class T> class SideBySide {
  public:
    SideBySide(const std::vector<LayerForward<T>>& layers, Order order)
        : in_stack_(order == Order::in_stack) {
        for (const LayerForward<T>& layer : layers)
            lanes_.push_back(std::make_unique<Lane<T>>(layer, scratch_));
    }

    void run(int threads, Interrupt interrupt) {
        for (auto& lane : lanes_) lane->layer.begin();
        double alone = 0;
        for (const auto& lane : lanes_) alone += lane->plan.alone;
        Stop stop(interrupt);
        run_parallel(Crew(threads, alone), [&](const Team& team) {
            Waiting waiting;
            std::size_t mine = std::size_t(team.thread) % lanes_.size();
            while (!stop.asked(team.thread) && !is_done())
                if (work(team, mine)) waiting = Waiting();
                else waiting.turn();
        });
        stop.rethrow();
        for (auto& lane : lanes_) lane->layer.end();
    }

  private:
    // A chunk of any layer; false: all wait, or are somebody's. Where there is a layer
    // for everybody, a thread stays with `mine`, whose weights are in its cache; else
    // the last that can go on goes first.
    bool work(const Team& team, std::size_t& mine) {
        const bool stays = lanes_.size() <= std::size_t(team.threads);
        if (stays && advance(mine)) return true;
        for (std::size_t i = lanes_.size(); i-- > 0;)
            if (advance(i)) {
                mine = i;
                return true;
            }
        return false;
    }

    bool is_done() const {
        return std::all_of(lanes_.begin(), lanes_.end(),
                           [](const auto& lane) { return lane->is_done(); });
    }

    bool advance(std::size_t i) {
        Lane<T>& lane = *lanes_[i];
        if (lane.is_done() || lane.busy.test_and_set(std::memory_order_acquire))
            return false;
        const index first = lane.done.load(std::memory_order_relaxed);
        const index end = std::min(first + lane.plan.chunk, lane.steps);
        const bool ready =
            first < end && (!in_stack_ || i == 0 ||
                            lanes_[i - 1]->done.load(std::memory_order_acquire) >= end);
        if (ready) {
            lane.layer.chunk(first);
            lane.done.store(end, std::memory_order_release);
        }
        lane.busy.clear(std::memory_order_release);
        return ready;
    }

    const bool in_stack_;
    Scratch scratch_;
    std::vector<std::unique_ptr<Lane<T>>> lanes_;
};

}  // namespace

template <class T>
bool side_by_side(const std::vector<LayerForward<T>>& layers, Order order,
                  Interrupt interrupt) {
    const LayerForward<T>& last = layers.back();
    const int threads =
        threads_side_by_side(last.weights, last.steps(), index(layers.size()));
    if (threads == 1) return false;
    SideBySide<T>(layers, order).run(threads, interrupt);
    return true;
}

template bool side_by_side(const std::vector<LayerForward<float>>&, Order, Interrupt);
template bool side_by_side(const std::vector<LayerForward<double>>&, Order, Interrupt);

}  // namespace rnnext
