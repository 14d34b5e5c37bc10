// SPDX-License-Identifier: BSD-3-Clause
#include "network.hpp"

#include <algorithm>

namespace rnnext {
namespace {

template <class T> T* at(T* p, index offset) { return p ? p + offset : nullptr; }

template <class T> void multiply(T* values, const T* factors, index n) {
    for (index i = 0; i < n; ++i) values[i] *= factors[i];
}

}  // namespace

template <class T> void forward(const NetworkForward<T>& call, Interrupt interrupt) {
    const index D = call.D, L = index(call.weights.size()) / D;
    const index H = call.weights[0]->hidden_size;
    const index output = elements<T>({call.T_, call.N, D, H}), state = call.N * H;
    Scratch scratch;
    T* between[2] = {nullptr, nullptr};
    if (call.caches.empty())
        for (index i = 0; i < std::min<index>(L - 1, 2); ++i)
            between[i] = scratch.take<T>({output});

    const T* x = call.x;
    for (index l = 0; l < L; ++l) {
        T* const y = l == L - 1              ? call.y
                     : call.caches.empty() ? between[l & 1]
                                             : call.inputs[std::size_t(l)];
        for (index d = 0; d < D; ++d) {
            const index i = l * D + d;
            forward(LayerForward<T>{*call.weights[std::size_t(i)], call.T_, call.N, d == 1,
                                    x, at(call.h_0, i * state), at(call.c_0, i * state),
                                    y + d * H, call.N * D * H, D * H,
                                    call.h_n + i * state, at(call.c_n, i * state),
                                    call.caches.empty() ? nullptr
                                                        : &call.caches[std::size_t(i)]},
                    interrupt);
        }
        if (l < L - 1 && !call.masks.empty())
            multiply(y, call.masks[std::size_t(l)], output);
        x = y;
    }
}

template <class T> void backward(const NetworkBackward<T>& call, Interrupt interrupt) {
    const index D = call.D, L = index(call.weights.size()) / D;
    const index H = call.weights[0]->hidden_size;
    const index output = elements<T>({call.T_, call.N, D, H}), state = call.N * H;
    Scratch scratch;
    T* between[2] = {nullptr, nullptr};
    for (index i = 0; i < std::min<index>(L - 1, 2); ++i)
        between[i] = scratch.take<T>({output});

    const T* dy = call.dy;
    for (index l = L; l-- > 0;) {
        T* const dx = l == 0 ? call.dx : between[(L - 1 - l) & 1];
        for (index d = 0; d < D; ++d) {
            const index i = l * D + d;
            const auto& g = call.gradients[std::size_t(i)];
            backward(
                LayerBackward<T>{*call.weights[std::size_t(i)], call.T_, call.N, d == 1,
                                 call.inputs[std::size_t(l)], call.caches[std::size_t(i)],
                                 at(dy, d * H), call.N * D * H, D * H,
                                 at(call.dh_n, i * state), at(call.dc_n, i * state),
                                 at(call.dc, i * call.T_ * state), dx, d == 1,
                                 call.dh_0 + i * state, at(call.dc_0, i * state), g.w_ih,
                                 g.w_hh, g.b_ih, g.b_hh},
                interrupt);
        }
        if (l > 0 && !call.masks.empty())
            multiply(dx, call.masks[std::size_t(l - 1)], output);
        dy = dx;
    }
}

template <class T>
Stepper<T>::Stepper(Stack<T> weights, index N) : weights_(std::move(weights)), N_(N) {
    const index L = index(weights_.size()), H = weights_[0]->hidden_size;
    const index size = elements<T>({L, N, H});
    h_ = aligned_buffer<T>(size);
    std::fill_n(h_.get(), size, T(0));
    if (weights_[0]->traits.has_c) {
        c_ = aligned_buffer<T>(size);
        std::fill_n(c_.get(), size, T(0));
    }
    for (auto& b : between_) b = aligned_buffer<T>(N * H);
}

template <class T> void Stepper<T>::step(const T* x, T* out) {
    const index L = index(weights_.size()), H = weights_[0]->hidden_size;
    for (index l = 0; l < L; ++l) {
        T* const y = l == L - 1 ? out : between_[l & 1].get();
        T* const h = h_.get() + l * N_ * H;
        T* const c = at(c_.get(), l * N_ * H);
        forward(LayerForward<T>{*weights_[std::size_t(l)], 1, N_, false, x, h, c, y, N_ * H,
                                H, h, c, nullptr},
                Interrupt{nullptr});
        x = y;
    }
}

template void forward(const NetworkForward<float>&, Interrupt);
template void forward(const NetworkForward<double>&, Interrupt);
template void backward(const NetworkBackward<float>&, Interrupt);
template void backward(const NetworkBackward<double>&, Interrupt);
template class Stepper<float>;
template class Stepper<double>;

}  // namespace rnnext
