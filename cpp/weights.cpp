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

template <class T>
PackedMatrix<T> packed_matrix(const Kernels<T>& kernels, index k, index units,
                              int panels) {
    PackedMatrix<T> m{aligned_buffer<T>(packed_size(kernels, k, units, panels)), {}};
    m.panels = {m.memory.get(), k, units, panels};
    return m;
}

// Bytes read that make a thread worth waking.
int threads_for_packing(index bytes) {
    return int(std::clamp<index>(bytes >> 16, 1, get_num_threads()));
}

}  // namespace

template <class T>
PackedMatrix<T> pack_matrix(const Kernels<T>& kernels, index k, index units,
                            const T* src, index k_stride, index unit_stride) {
    PackedMatrix<T> m = packed_matrix(kernels, k, units, 1);
    kernels.pack(m.memory.get(), k, units, 1, 0, 0, k, src, k_stride, unit_stride);
    return m;
}

template <class T>
Weights<T>::Weights(CellKind kind_, index input_size_, index hidden_size_,
                    const T* w_ih, const T* w_hh, const T* b_ih, const T* b_hh,
                    bool backward)
    : kernels(rnnext::kernels<T>()), kind(kind_), traits(cell_traits[int(kind_)]),
      input_size(input_size_), hidden_size(hidden_size_), has_backward(backward),
      bias_(aligned_buffer<T>(elements<T>({padded_units(), traits.columns}))) {
    std::fill_n(bias_.get(), row_size(), T(0));
    const auto both = [&](Columns fed, index k, PackedMatrix<T>& m,
                          PackedMatrix<T>& transposed) {
        m = packed_matrix(kernels, k, hidden_size, fed.count);
        if (backward)
            transposed =
                packed_matrix(kernels, elements<T>({fed.count, hidden_size}), k, 1);
    };
    add_bias(traits.x, b_ih);
    both(traits.x, input_size, x_, x_transposed_);
    for (int i = 0; i < 2 && traits.h[i].count > 0; ++i) {
        add_bias(traits.h[i], b_hh);
        both(traits.h[i], hidden_size, h_[i], h_transposed_[i]);
    }

    const index size = traits.gates * hidden_size * (input_size + hidden_size);
    run_parallel(threads_for_packing(size * index(sizeof(T))), [&](const Team& team) {
        const auto pack = [&](Columns fed, const T* w, PackedMatrix<T>& m,
                              PackedMatrix<T>& transposed) {
            pack_columns(team, fed, w, m);
            if (backward) pack_transposed(team, fed, w, transposed);
        };
        pack(traits.x, w_ih, x_, x_transposed_);
        for (int i = 0; i < 2 && traits.h[i].count > 0; ++i)
            pack(traits.h[i], w_hh, h_[i], h_transposed_[i]);
    });
}

template <class T>
void Weights<T>::pack_columns(const Team& team, Columns columns, const T* w,
                              PackedMatrix<T>& m) const {
    const index k = m.panels.k;
    const Range mine = team.share(hidden_size, block_units());
    if (mine.begin == mine.end) return;
    for (int p = 0; p < columns.count; ++p) {
        const index row = traits.gate_of[columns.first + p] * hidden_size + mine.begin;
        kernels.pack(m.memory.get() + mine.begin * k * columns.count, k,
                     mine.end - mine.begin, columns.count, p, 0, k, w + row * k, 1, k);
    }
}

template <class T>
void Weights<T>::pack_transposed(const Team& team, Columns columns, const T* w,
                                 PackedMatrix<T>& m) const {
    const index units = m.panels.units, k = m.panels.k;
    const Range mine = team.share(units, block_units());
    if (mine.begin == mine.end) return;
    for (int p = 0; p < columns.count; ++p) {
        const index row = traits.gate_of[columns.first + p] * hidden_size;
        kernels.pack(m.memory.get() + mine.begin * k, k, mine.end - mine.begin, 1, 0,
                     p * hidden_size, hidden_size, w + row * units + mine.begin, units,
                     1);
    }
}

template <class T> void Weights<T>::add_bias(Columns columns, const T* b) {
    if (!b) return;
    for (int p = columns.first; p < columns.first + columns.count; ++p) {
        const T* from = b + traits.gate_of[p] * hidden_size;
        index left = hidden_size;
        for_column({0, blocks()}, p, [&](index offset, index width) {
            for (index j = 0; j < std::min(width, left); ++j)
                bias_[std::size_t(offset + j)] += *from++;
            left -= width;
        });
    }
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
