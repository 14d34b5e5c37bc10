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

template <class T> double Stack<T>::flops(index T_, index N) const {
    double sum = 0;
    for (const Weights<T>& w : weights)
        sum += forward_flops(w.traits, T_, N, w.input_size, w.hidden_size);
    return sum;
}

template <class T> void forward(const NetworkForward<T>& call, Interrupt interrupt) {
    const index D = call.stack.D, L = call.stack.layers();
    const index H = call.stack[0].hidden_size;
    const index output = elements<T>({call.T_, call.N, D, H}), state = call.N * H;
    Scratch scratch;
    T* between[2] = {nullptr, nullptr};
    if (call.caches.empty())
        for (index i = 0; i < std::min<index>(L - 1, 2); ++i)
            between[i] = scratch.take<T>({output});

    const T* x = call.x;
    for (index l = 0; l < L; ++l) {
        T* const y = l == L - 1            ? call.y
                     : call.caches.empty() ? between[l & 1]
                                           : call.outputs[std::size_t(l)];
        for (index d = 0; d < D; ++d) {
            const index i = l * D + d;
            LayerForward<T> layer{call.stack[i], call.T_, call.N, d == 1};
            layer.x = x;
            layer.h_0 = at(call.h_0, i * state);
            layer.c_0 = at(call.c_0, i * state);
            layer.y = y + d * H;
            layer.y_row = D * H;
            layer.h_n = call.h_n + i * state;
            layer.c_n = at(call.c_n, i * state);
            if (!call.caches.empty()) layer.cache = &call.caches[std::size_t(i)];
            forward(layer, interrupt);
        }
        if (l < L - 1 && !call.masks.empty())
            multiply(y, call.masks[std::size_t(l)], output);
        x = y;
    }
}

template <class T> void backward(const NetworkBackward<T>& call, Interrupt interrupt) {
    const index D = call.stack.D, L = call.stack.layers();
    const index H = call.stack[0].hidden_size;
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
            LayerBackward<T> layer{call.stack[i], call.T_, call.N, d == 1};
            layer.x = call.inputs[std::size_t(l)];
            layer.cache = call.caches[std::size_t(i)];
            layer.dy = at(dy, d * H);
            layer.dy_row = D * H;
            layer.dh_n = at(call.dh_n, i * state);
            layer.dc_n = at(call.dc_n, i * state);
            layer.dc = at(call.dc, i * call.T_ * state);
            layer.dx = dx;
            layer.add_dx = d == 1;
            layer.dh_0 = call.dh_0 + i * state;
            layer.dc_0 = at(call.dc_0, i * state);
            layer.dw_ih = g.w_ih;
            layer.dw_hh = g.w_hh;
            layer.db_ih = g.b_ih;
            layer.db_hh = g.b_hh;
            layer.dw_ch = g.w_ch;
            backward(layer, interrupt);
        }
        if (l > 0 && !call.masks.empty())
            multiply(dx, call.masks[std::size_t(l - 1)], output);
        dy = dx;
    }
}

template <class T>
Stepper<T>::Stepper(const Stack<T>& stack, index N_)
    : kind(stack[0].kind), L(stack.layers()), N(N_), I(stack[0].input_size),
      H(stack[0].hidden_size) {
    const index size = elements<T>({L, N, H});
    h_ = aligned_buffer<T>(size);
    std::fill_n(h_.get(), size, T(0));
    if (stack[0].traits.has_c) {
        c_ = aligned_buffer<T>(size);
        std::fill_n(c_.get(), size, T(0));
    }
    for (auto& b : between_) b = aligned_buffer<T>(N * H);
}

template <class T> bool Stepper<T>::fits(const Stack<T>& stack) const {
    return stack.D == 1 && stack.layers() == L && stack[0].kind == kind &&
           stack[0].input_size == I && stack[0].hidden_size == H;
}

template <class T>
void Stepper<T>::step(const Stack<T>& stack, const T* x, T* out, Interrupt interrupt) {
    for (index l = 0; l < L; ++l) {
        LayerForward<T> layer{stack[l], 1, N, false};
        layer.x = x;
        layer.h_0 = layer.h_n = h_.get() + l * N * H;
        layer.c_0 = layer.c_n = at(c_.get(), l * N * H);
        layer.y = l == L - 1 ? out : between_[l & 1].get();
        layer.y_row = H;
        forward(layer, interrupt);
        x = layer.y;
    }
}

template struct Stack<float>;
template struct Stack<double>;
template void forward(const NetworkForward<float>&, Interrupt);
template void forward(const NetworkForward<double>&, Interrupt);
template void backward(const NetworkBackward<float>&, Interrupt);
template void backward(const NetworkBackward<double>&, Interrupt);
template class Stepper<float>;
template class Stepper<double>;

}  // namespace rnnext
