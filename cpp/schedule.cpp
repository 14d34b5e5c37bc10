// SPDX-License-Identifier: BSD-3-Clause
#include "schedule.hpp"

#include <algorithm>

#include "layer.hpp"

namespace rnnext {
namespace {

constexpr double flops_per_thread =
    2e5;  // under about 4 us a thread is not worth waking
constexpr double flops_per_step = 1.6e4;  // nor worth meeting at every step
constexpr double flops_per_chunk = 1e9;   // about 20 ms: how often Ctrl-C is looked for

template <class T>
Schedule schedule(const Weights<T>& w, index T_, index N, double work, index row_bytes,
                  index chunk_bytes, index chunk_rows) {
    const double step = work * forward_flops(w.traits, 1, std::max<index>(N, 1),
                                             w.input_size, w.hidden_size);
    Schedule s{};
    s.slab =
        std::max<index>(1, index(double(N) * std::min(1.0, flops_per_chunk / step)));
    const index bytes = std::max<index>(1, row_bytes * s.slab);
    s.chunk = std::max(chunk_bytes / bytes, chunk_rows / s.slab);
    s.chunk =
        std::min(s.chunk, index(flops_per_chunk / step * double(N) / double(s.slab)));
    s.chunk = std::clamp<index>(s.chunk, 1, std::max<index>(T_, 1));

    s.threads = threads_for(step * double(T_));
    const index tiles = (s.slab + w.kernels.row_tile - 1) / w.kernels.row_tile;
    s.split = tiles >= 2 * s.threads ? Split::rows : Split::units;
    if (s.split == Split::units) {
        const bool worth = step / work >= flops_per_step && w.blocks() > 1;
        s.threads = worth ? int(std::min<index>(s.threads, w.blocks())) : 1;
    }
    return s;
}

}  // namespace

int threads_for(double flops) {
    return std::max(1,
                    int(std::min(double(get_num_threads()), flops / flops_per_thread)));
}

Schedule::Part Schedule::part(const Team& team, index rows, index blocks,
                              index row_tile) const {
    if (split == Split::rows) return {team.share(rows, row_tile), {0, blocks}};
    return {{0, rows}, team.share(blocks)};
}

namespace {
// Without the padding: the same on every instruction set, and so are the chunks.
template <class T> index row_bytes(const Weights<T>& w) {
    return w.traits.columns * w.hidden_size * index(sizeof(T));
}
}  // namespace

// Pre-activations of a chunk stay in the second-level cache.
template <class T> Schedule forward_schedule(const Weights<T>& w, index T_, index N) {
    return schedule(w, T_, N, 1, row_bytes(w), index(256) << 10, 48);
}

// Enough rows at a time that the parameter gradients are read and written seldom.
template <class T> Schedule backward_schedule(const Weights<T>& w, index T_, index N) {
    return schedule(w, T_, N, 2, row_bytes(w), index(1) << 20, 512);
}

template Schedule forward_schedule(const Weights<float>&, index, index);
template Schedule forward_schedule(const Weights<double>&, index, index);
template Schedule backward_schedule(const Weights<float>&, index, index);
template Schedule backward_schedule(const Weights<double>&, index, index);

}  // namespace rnnext
