// SPDX-License-Identifier: BSD-3-Clause
#include "weights.hpp"

#include <algorithm>

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

// Bytes read that make a thread worth waking.
int threads_for_packing(index bytes) {
    return int(std::clamp<index>(bytes >> 16, 1, get_num_threads()));
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
                    bool backward, const CellOptions<T>* options, index proj_size,
                    const T* w_hr)
    : kernels(rnnext::kernels<T>()), kind(kind_), traits(cell_traits[int(kind_)]),
      input_size(input_size_), hidden_size(hidden_size_),
      state_size(proj_size ? proj_size : hidden_size_), has_backward(backward) {
    const index row = elements<T>({padded_units(), traits.columns});
    const index peephole =
        options && options->peephole ? elements<T>({3, padded_units()}) : 0;
    memory_ = aligned_buffer<T>(whole_lines<T>(row) + whole_lines<T>(peephole) +
                                size_of(traits.x, input_size) +
                                size_of(traits.h[0], state_size) +
                                size_of(traits.h[1], state_size) + projection_size());
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
    if (w_hr) place_projection(free);
    const index size = traits.gates * hidden_size * (input_size + state_size);
    run_parallel(threads_for_packing(size * index(sizeof(T))), [&](const Team& team) {
        pack(team, traits.x, w_ih, x_);
        for (int i = 0; i < 2 && traits.h[i].count > 0; ++i)
            pack(team, traits.h[i], w_hh, h_[i]);
        if (w_hr) pack_projection(team, w_hr);
    });
}

template <class T> index Weights<T>::projection_size() const {
    if (!has_projection()) return 0;
    index size = whole_lines<T>(packed_size(kernels, hidden_size, state_size, 1));
    if (has_backward)
        size += whole_lines<T>(packed_size(kernels, state_size, hidden_size, 1));
    return size;
}

template <class T> void Weights<T>::place_projection(T*& free) {
    const index H = hidden_size, P = state_size;
    projection_.panels = {take(packed_size(kernels, H, P, 1), free), H, P, 1};
    if (has_backward)
        projection_.transposed = {take(packed_size(kernels, P, H, 1), free), P, H, 1};
}

template <class T>
void Weights<T>::pack_projection(const Team& team, const T* w_hr) const {
    const index H = hidden_size;
    const auto part = [&](const Packed<T>& m, index k_stride, index unit_stride) {
        const Range mine = team.share(m.units, block_units());
        if (mine.begin < mine.end)
            kernels.pack(const_cast<T*>(m.data) + mine.begin * m.k, m.k,
                         mine.end - mine.begin, 1, 0, 0, m.k,
                         w_hr + mine.begin * unit_stride, k_stride, unit_stride);
    };
    part(projection_.panels, 1, H);
    if (has_backward) part(projection_.transposed, H, 1);
}

template <class T> index Weights<T>::size_of(Columns fed, index k) const {
    if (fed.count == 0) return 0;
    index size = whole_lines<T>(packed_size(kernels, k, hidden_size, fed.count));
    if (has_backward)
        size += whole_lines<T>(packed_size(kernels, fed.count * hidden_size, k, 1));
    return size;
}

template <class T>
typename Weights<T>::Both Weights<T>::place(Columns fed, index k, T*& free) const {
    Both m;
    T* const panels = take(packed_size(kernels, k, hidden_size, fed.count), free);
    m.panels = {panels, k, hidden_size, fed.count};
    if (!has_backward) return m;
    const index columns = fed.count * hidden_size;
    m.transposed = {take(packed_size(kernels, columns, k, 1), free), columns, k, 1};
    return m;
}

template <class T>
void Weights<T>::pack(const Team& team, Columns fed, const T* w, const Both& m) const {
    const index k = m.panels.k, H = hidden_size;
    // A thread's share begins with a block.
    const auto part = [&](const Packed<T>& all, Range mine) {
        return const_cast<T*>(all.data) + mine.begin * all.k * all.panels;
    };
    const Range units = team.share(H, block_units()),
                inputs = team.share(k, block_units());
    for (int p = 0; p < fed.count; ++p) {
        const T* const rows = w + traits.gate_of[fed.first + p] * H * k;
        if (units.begin < units.end)
            kernels.pack(part(m.panels, units), k, units.end - units.begin, fed.count,
                         p, 0, k, rows + units.begin * k, 1, k);
        if (has_backward && inputs.begin < inputs.end)
            kernels.pack(part(m.transposed, inputs), m.transposed.k,
                         inputs.end - inputs.begin, 1, 0, p * H, H, rows + inputs.begin,
                         k, 1);
    }
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
