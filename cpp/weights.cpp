// SPDX-License-Identifier: BSD-3-Clause
#include "weights.hpp"

#include <algorithm>

#include "dispatch.hpp"

namespace rnnext {

namespace {

// Elements that fill the cache lines of `size`.
template <class T> index whole_lines(index size) {
    return round_up(size, index(alignment / sizeof(T)));
}

template <class T> T* take(index size, T*& free) {
    T* const taken = free;
    free += whole_lines<T>(size);
    return taken;
}

}  // namespace

template <class T>
index packed_size(const Kernels<T>& kernels, index k, index units, int panels) {
    return elements<T>({k, round_up(units, kernels.lanes), panels});
}

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
                    bool backward)
    : kernels(rnnext::kernels<T>()), kind(kind_), traits(cell_traits[int(kind_)]),
      input_size(input_size_), hidden_size(hidden_size_), has_backward(backward) {
    const auto size_of = [&](Columns fed, index k) {
        if (fed.count == 0) return index(0);
        index size = whole_lines<T>(packed_size(kernels, k, hidden_size, fed.count));
        if (backward)
            size += whole_lines<T>(packed_size(kernels, fed.count * hidden_size, k, 1));
        return size;
    };
    const index row = elements<T>({padded_units(), traits.columns});
    memory_ = aligned_buffer<T>(whole_lines<T>(row) + size_of(traits.x, input_size) +
                                size_of(traits.h[0], hidden_size) +
                                size_of(traits.h[1], hidden_size));
    T* free = memory_.get();
    bias_ = take(row, free);
    std::fill_n(bias_, row, T(0));
    add_bias(traits.x, b_ih);
    x_ = pack_columns(traits.x, w_ih, input_size, free);
    if (backward) x_transposed_ = pack_transposed(traits.x, w_ih, input_size, free);
    for (int product = 0; product < 2; ++product) {
        const Columns fed = traits.h[product];
        if (fed.count == 0) continue;
        add_bias(fed, b_hh);
        h_[product] = pack_columns(fed, w_hh, hidden_size, free);
        if (backward)
            h_transposed_[product] = pack_transposed(fed, w_hh, hidden_size, free);
    }
}

template <class T>
Packed<T> Weights<T>::pack_columns(Columns columns, const T* w, index k,
                                   T*& free) const {
    T* const to = take(packed_size(kernels, k, hidden_size, columns.count), free);
    for (int p = 0; p < columns.count; ++p)
        kernels.pack(to, k, hidden_size, columns.count, p, 0, k,
                     w + traits.gate_of[columns.first + p] * hidden_size * k, 1, k);
    return {to, k, hidden_size, columns.count};
}

template <class T>
Packed<T> Weights<T>::pack_transposed(Columns columns, const T* w, index units,
                                      T*& free) const {
    const index k = columns.count * hidden_size;
    T* const to = take(packed_size(kernels, k, units, 1), free);
    for (int p = 0; p < columns.count; ++p)
        kernels.pack(to, k, units, 1, 0, p * hidden_size, hidden_size,
                     w + traits.gate_of[columns.first + p] * hidden_size * units, units,
                     1);
    return {to, k, units, 1};
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

template index packed_size(const Kernels<float>&, index, index, int);
template index packed_size(const Kernels<double>&, index, index, int);
template PackedMatrix<float> pack_matrix(const Kernels<float>&, index, index,
                                         const float*, index, index);
template PackedMatrix<double> pack_matrix(const Kernels<double>&, index, index,
                                          const double*, index, index);
template class Weights<float>;
template class Weights<double>;

}  // namespace rnnext
