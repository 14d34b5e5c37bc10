// SPDX-License-Identifier: BSD-3-Clause
#include "weights.hpp"

#include <algorithm>
#include <utility>

#include "dispatch.hpp"

namespace rnnext {

template <class T>
index packed_size(const Kernels<T>& kernels, index k, index units, int panels) {
    return elements<T>({k, round_up(units, kernels.lanes), panels});
}

namespace {

// Elements that fill the cache lines of `size`.
template <class T> index whole_lines(index size) {
    return round_up(size, index(alignment / sizeof(T)));
}

// Room for `size` elements from `free`, which moves on to the next cache line.
template <class T> T* take(index size, T*& free) {
    T* const taken = free;
    free += whole_lines<T>(size);
    return taken;
}

Crew crew_for_packing(index bytes) {
    constexpr index bytes_per_thread = index(128) << 10;
    constexpr double bytes_per_second = 5e9;
    return {int(std::clamp<index>(bytes / bytes_per_thread, 1, get_num_threads())),
            double(bytes) / bytes_per_second};
}

}  // namespace

template <class T>
PackedMatrix<T> pack_matrix(const Kernels<T>& kernels, index k, index units,
                            const T* src, index k_stride, index unit_stride) {
    PackedMatrix<T> m{aligned_buffer<T>(packed_size(kernels, k, units, 1)), {}};
    m.panels = {m.memory.get(), k, units, 1};
    kernels.pack(m.memory.get(), k, units, 1, 0, 0, k, src, k_stride, unit_stride);
    return m;
}

template <class T>
Weights<T>::Weights(CellKind kind_, index input_size_, index hidden_size_,
                    const T* w_ih, const T* w_hh, const T* b_ih, const T* b_hh,
                    const CellOptions<T>* options, index proj_size, const T* w_hr)
    : kernels(rnnext::kernels<T>()), kind(kind_), traits(cell_traits[int(kind_)]),
      input_size(input_size_), hidden_size(hidden_size_),
      state_size(proj_size ? proj_size : hidden_size_) {
    const index row = elements<T>({padded_units(), traits.columns});
    const index peephole =
        options && options->peephole ? elements<T>({3, padded_units()}) : 0;
    const index projection =
        w_hr ? packed_size(kernels, hidden_size, state_size, 1) : 0;
    memory_ = aligned_buffer<T>(whole_lines<T>(row) + whole_lines<T>(peephole) +
                                size_of(traits.x, input_size) +
                                size_of(traits.h[0], state_size) +
                                size_of(traits.h[1], state_size) + projection);
    T* free = memory_.get();
    bias_ = take(row, free);
    std::fill_n(bias_, row, T(0));
    add_bias(traits.x, b_ih);
    if (options) options_ = *options;
    if (peephole) keep_peephole(options->peephole, take(peephole, free));
    x_ = place(traits.x, input_size, free);
    for (int i = 0; i < 2 && traits.h[i].count > 0; ++i) {
        add_bias(traits.h[i], b_hh);
        h_[i] = place(traits.h[i], state_size, free);
    }
    if (w_hr) projection_ = {take(projection, free), hidden_size, state_size, 1};
    run_parallel(crew_for_packing(bytes()), [&](const Team& team) {
        pack(team, traits.x, w_ih, x_);
        for (int i = 0; i < 2 && traits.h[i].count > 0; ++i)
            pack(team, traits.h[i], w_hh, h_[i]);
        if (w_hr) pack_projection(team, w_hr);
    });
}

template <class T> index Weights<T>::bytes() const {
    return traits.gates * hidden_size * (input_size + state_size) * index(sizeof(T));
}

template <class T>
void Weights<T>::pack_projection(const Team& team, const T* w_hr) const {
    const Packed<T>& m = projection_;
    const Range mine = team.share(m.units, block_units());
    if (mine.begin < mine.end)
        kernels.pack(const_cast<T*>(m.data) + mine.begin * m.k, m.k,
                     mine.end - mine.begin, 1, 0, 0, m.k, w_hr + mine.begin * m.k, 1,
                     m.k);
}

template <class T> index Weights<T>::size_of(Columns fed, index k) const {
    return whole_lines<T>(packed_size(kernels, k, hidden_size, fed.count));
}

template <class T> Packed<T> Weights<T>::place(Columns fed, index k, T*& free) const {
    T* const panels = take(packed_size(kernels, k, hidden_size, fed.count), free);
    return {panels, k, hidden_size, fed.count};
}

// A thread's share begins with a block.
template <class T>
void Weights<T>::pack(const Team& team, Columns fed, const T* w,
                      const Packed<T>& m) const {
    const index k = m.k, H = hidden_size;
    const Range units = team.share(H, block_units());
    if (units.begin >= units.end) return;
    T* const to = const_cast<T*>(m.data) + units.begin * k * m.panels;
    for (int p = 0; p < fed.count; ++p)
        kernels.pack(to, k, units.end - units.begin, fed.count, p, 0, k,
                     w + (traits.gate_of[fed.first + p] * H + units.begin) * k, 1, k);
}

template <class T> void Weights<T>::transpose() const {
    if (transposed_.get()) return;
    auto made = std::make_unique<Panels>();
    const std::pair<const Packed<T>*, Packed<T>*> all[] = {
        {&x_, &made->x},
        {&h_[0], &made->h_0},
        {&h_[1], &made->h_1},
        {&projection_, &made->projection}};
    index size = 0;
    for (const auto& [from, to] : all)
        size += whole_lines<T>(
            packed_size(kernels, from->panels * from->units, from->k, 1));
    made->memory = aligned_buffer<T>(size);
    T* free = made->memory.get();
    for (const auto& [from, to] : all) {
        const index k = from->panels * from->units;
        *to = {take(packed_size(kernels, k, from->k, 1), free), k, from->k, 1};
    }
    run_parallel(crew_for_packing(bytes()), [&](const Team& team) {
        for (const auto& [from, to] : all) pack_transposed(team, *from, *to);
    });
    transposed_.put(std::move(made));
}

// Rows of a panel are columns here.
template <class T>
void Weights<T>::pack_transposed(const Team& team, const Packed<T>& from,
                                 const Packed<T>& to) const {
    const Range mine = team.share(to.units, block_units());
    if (mine.begin >= mine.end) return;
    T* const free = const_cast<T*>(to.data) + mine.begin * to.k;
    for (index u = 0; u < from.units; u += block_units()) {
        const index left = from.units - u;
        const index width = left > kernels.lanes ? block_units() : kernels.lanes;
        const T* const block = from.data + u * from.k * from.panels;
        for (int p = 0; p < from.panels; ++p)
            kernels.pack(free, to.k, mine.end - mine.begin, 1, 0, p * from.units + u,
                         std::min(width, left),
                         block + (p * from.k + mine.begin) * width, 1, width);
    }
}

template <class T> void Weights<T>::Published::put(std::unique_ptr<Panels> panels) {
    Panels* none = nullptr;
    if (panels_.compare_exchange_strong(none, panels.get(), std::memory_order_acq_rel))
        panels.release();
}

template <class T> void Weights<T>::add_bias(Columns columns, const T* b) {
    if (!b) return;
    for (int p = columns.first; p < columns.first + columns.count; ++p) {
        const T* from = b + traits.gate_of[p] * hidden_size;
        index left = hidden_size;
        for_column({0, blocks()}, p, [&](index offset, index width) {
            for (index j = 0; j < std::min(width, left); ++j)
                bias_[offset + j] += *from++;
            left -= width;
        });
    }
}

template <class T> void Weights<T>::keep_peephole(const T* from, T* to) {
    options_->peephole = to;
    options_->peephole_row = padded_units();
    std::fill_n(to, 3 * padded_units(), T(0));
    for (int i = 0; i < 3; ++i)
        std::copy_n(from + i * hidden_size, hidden_size, to + i * padded_units());
}

template index packed_size(const Kernels<float>&, index, index, int);
template index packed_size(const Kernels<double>&, index, index, int);
template PackedMatrix<float> pack_matrix(const Kernels<float>&, index, index,
                                         const float*, index, index);
template PackedMatrix<double> pack_matrix(const Kernels<double>&, index, index,
                                          const double*, index, index);
template class Weights<float>;
template class Weights<double>;

}  // namespace rnnext
