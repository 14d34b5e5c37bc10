// SPDX-License-Identifier: BSD-3-Clause
#include "network.hpp"

#include <algorithm>

#include "side_by_side.hpp"

namespace rnnext {
namespace {

template <class T> T* at(T* p, index offset) { return p ? p + offset : nullptr; }

template <class T> void multiply(T* values, const T* factors, index n) {
    for (index i = 0; i < n; ++i) values[i] *= factors[i];
}

template <class Layer> void cover(Layer& layer, const Coverage* coverage, index d) {
    if (!coverage) return;
    layer.runs = &coverage->runs[std::size_t(d)];
    layer.hold = coverage->hold;
}

// x [T_][n] times factors [n], the same at every step; `add`: to what is there.
template <class T>
void multiply_steps(const T* x, const T* factors, index T_, index n, bool add, T* to) {
    for (index t = 0; t < T_; ++t)
        for (index i = 0; i < n; ++i) {
            const T value = x[t * n + i] * factors[i];
            to[t * n + i] = add ? to[t * n + i] + value : value;
        }
}

// The input of a layer after dropout: x [T_, N, I] times factors [N, I], or of token
// ids the rows that they stand for. Of steps that do not exist they may be anything.
template <class T>
void drop_input(const T* x, const index* tokens, const T* factors, index T_, index N,
                index I, T* to) {
    if (!tokens) return multiply_steps(x, factors, T_, N * I, false, to);
    std::fill_n(to, T_ * N * I, T(0));
    for (index i = 0; i < T_ * N; ++i)
        if (tokens[i] >= 0 && tokens[i] < I)
            to[i * I + tokens[i]] = factors[i % N * I + tokens[i]];
}

// The outputs of two directions to one, in place of the first.
template <class T> void merge(Merge how, T* y, const T* other, index n) {
    if (how == Merge::mul) return multiply(y, other, n);
    const T factor = how == Merge::ave ? T(0.5) : T(1);
    for (index i = 0; i < n; ++i) y[i] = (y[i] + other[i]) * factor;
}

// The output of direction `d`, [T, N, P], from the states that it kept.
template <class T>
void output_again(const NetworkBackward<T>& call, const LayerCache<const T>& cache,
                  index d, T* y) {
    const index P = call.stack[0].state_size, state = call.N * P;
    if (!call.coverage) {
        for (index t = 0; t < call.T_; ++t) {
            const index step = call.stack.from_end(d) ? call.T_ - 1 - t : t;
            std::copy_n(cache.h + (step + 1) * state, state, y + t * state);
        }
        return;
    }
    const Runs& runs = call.coverage->runs[std::size_t(d)];
    for (index r = 0; r < runs.rows(); ++r)
        std::copy_n(cache.h + (runs.count() + r) * P, P,
                    y + runs.source[std::size_t(r)] * P);
    fill_gaps(runs, call.coverage->hold, P, y, P);
}

// The gradient of the output of direction `d` of layer `l`, given that of the merged
// one; `room` [T, N, P] where that takes some.
template <class T>
const T* unmerge(const NetworkBackward<T>& call, const T* dy, index l, index d,
                 T* room) {
    const index n = call.T_ * call.N * call.stack[0].state_size;
    switch (call.stack.merge) {
    case Merge::ave:
        for (index i = 0; i < n; ++i) room[i] = dy[i] * T(0.5);
        return room;
    case Merge::mul:  // times the other direction's output
        output_again(call, call.caches[std::size_t(2 * l + 1 - d)], 1 - d, room);
        multiply(room, dy, n);
        return room;
    default:
        return dy;
    }
}

}  // namespace

template <class T> double Stack<T>::flops(index T_, index N) const {
    double sum = 0;
    for (const Weights<T>& w : weights)
        sum += forward_flops(w.traits, T_, N, w.input_size, w.hidden_size);
    return sum;
}

template <class T> index Stack<T>::widest_input() const {
    return std::max(weights[0].input_size, size() > D ? output_size() : 0);
}

template <class T> void forward(const NetworkForward<T>& call, Interrupt interrupt) {
    const Stack<T>& stack = call.stack;
    const index D = stack.D, L = stack.layers(), N = call.N;
    const index P = stack[0].state_size, width = stack.output_size();
    const index output = elements<T>({call.T_, N, width});
    const index h_size = N * P, c_size = N * stack[0].hidden_size;
    Scratch scratch;
    T* between[2] = {nullptr, nullptr};
    if (call.caches.empty())
        for (index i = 0; i < std::min<index>(L - 1, 2); ++i)
            between[i] = scratch.take<T>({output});
    T* const other = stack.is_merged() ? scratch.take<T>({output}) : nullptr;
    T* const dropped = call.masks.input.empty()
                           ? nullptr
                           : scratch.take<T>({call.T_, N, stack.widest_input()});

    const auto output_of = [&](index l) {
        return l == L - 1            ? call.y[0]
               : call.caches.empty() ? between[l & 1]
                                     : call.outputs[std::size_t(l)];
    };
    const auto layer_of = [&](index l, index d) {
        const index i = l * D + d;
        T* const y = output_of(l);
        LayerForward<T> layer{stack[i], call.T_, N, stack.from_end(d)};
        cover(layer, call.coverage, d);
        layer.x = l == 0 ? call.x : output_of(l - 1);
        if (l == 0) layer.tokens = call.tokens;
        if (!call.masks.recurrent.empty())
            layer.factors = call.masks.recurrent[std::size_t(i)];
        layer.h_0 = at(call.h_0, i * h_size);
        layer.c_0 = at(call.c_0, i * c_size);
        layer.y = d == 0                         ? y
                  : stack.merge == Merge::concat ? y + P
                  : stack.is_merged()            ? other
                                                 : call.y[1];
        layer.y_row = width;
        layer.h_n = call.h_n + i * h_size;
        layer.c_n = at(call.c_n, i * c_size);
        if (!call.caches.empty()) layer.cache = &call.caches[std::size_t(i)];
        return layer;
    };

    // Between two layers, outputs may lie where those of two layers before lay: who
    // reads these has been there.
    if (call.T_ > 1 && D == 1 && L > 1 && !dropped && call.masks.between.empty()) {
        std::vector<LayerForward<T>> layers;
        for (index l = 0; l < L; ++l) layers.push_back(layer_of(l, 0));
        if (side_by_side(layers, Order::in_stack, interrupt)) return;
    }
    for (index l = 0; l < L; ++l) {
        const bool done =
            call.T_ > 1 && D == 2 && !dropped &&
            side_by_side<T>({layer_of(l, 0), layer_of(l, 1)}, Order::any, interrupt);
        for (index d = 0; d < D && !done; ++d) {
            LayerForward<T> layer = layer_of(l, d);
            if (dropped) {
                const index i = l * D + d;
                drop_input(layer.x, layer.tokens, call.masks.input[std::size_t(i)],
                           call.T_, N, stack[i].input_size, dropped);
                layer.x = dropped;
                layer.tokens = nullptr;
            }
            forward(layer, interrupt);
        }
        T* const y = output_of(l);
        if (stack.is_merged()) merge(stack.merge, y, other, output);
        if (l < L - 1 && !call.masks.between.empty())
            multiply(y, call.masks.between[std::size_t(l)], output);
    }
}

template <class T> void backward(const NetworkBackward<T>& call, Interrupt interrupt) {
    const Stack<T>& stack = call.stack;
    const index D = stack.D, L = stack.layers(), N = call.N;
    const index P = stack[0].state_size, width = stack.output_size();
    const index output = elements<T>({call.T_, N, width});
    const index h_size = N * P, c_size = N * stack[0].hidden_size;
    Scratch scratch;
    T* between[2] = {nullptr, nullptr};
    for (index i = 0; i < std::min<index>(L - 1, 2); ++i)
        between[i] = scratch.take<T>({output});
    T* const unmerged = stack.is_merged() ? scratch.take<T>({output}) : nullptr;
    T *dropped = nullptr, *d_dropped = nullptr;
    if (!call.masks.input.empty()) {
        dropped = scratch.take<T>({call.T_, N, stack.widest_input()});
        d_dropped = scratch.take<T>({call.T_, N, stack.widest_input()});
    }

    // Elements that a layer and direction keeps of c.
    const index kept = call.coverage
                           ? call.coverage->runs[0].rows() * stack[0].hidden_size
                           : call.T_ * c_size;
    const T* dy = call.dy[0];
    for (index l = L; l-- > 0;) {
        T* const dx = l == 0 ? call.dx : between[(L - 1 - l) & 1];
        for (index d = 0; d < D; ++d) {
            const index i = l * D + d;
            const auto& g = call.gradients[std::size_t(i)];
            LayerBackward<T> layer{stack[i], call.T_, N, stack.from_end(d)};
            cover(layer, call.coverage, d);
            layer.x = call.inputs[std::size_t(l)];
            if (l == 0) layer.tokens = call.tokens;
            layer.cache = call.caches[std::size_t(i)];
            layer.dy = stack.merge == Merge::concat ? at(dy, d * P)
                       : !stack.is_merged()         ? call.dy[d]
                       : !dy                        ? nullptr
                                                    : unmerge(call, dy, l, d, unmerged);
            layer.dy_row = width;
            if (!call.masks.recurrent.empty())
                layer.factors = call.masks.recurrent[std::size_t(i)];
            layer.dh_n = at(call.dh_n, i * h_size);
            layer.dc_n = at(call.dc_n, i * c_size);
            layer.dc = at(call.dc, i * kept);
            layer.dx = dx;
            layer.add_dx = d == 1;
            layer.dh_0 = call.dh_0 + i * h_size;
            layer.dc_0 = at(call.dc_0, i * c_size);
            layer.dw_ih = g.w_ih;
            layer.dw_hh = g.w_hh;
            layer.db_ih = g.b_ih;
            layer.db_hh = g.b_hh;
            layer.dw_hr = g.w_hr;
            layer.dw_ch = g.w_ch;
            const T* const factors =
                dropped ? call.masks.input[std::size_t(i)] : nullptr;
            if (factors) {
                drop_input(layer.x, layer.tokens, factors, call.T_, N,
                           stack[i].input_size, dropped);
                layer.x = dropped;
                layer.tokens = nullptr;
                if (dx) layer.dx = d_dropped;
                layer.add_dx = false;
            }
            backward(layer, interrupt);
            if (factors && dx)
                multiply_steps(d_dropped, factors, call.T_, N * stack[i].input_size,
                               d == 1, dx);
        }
        if (l > 0 && !call.masks.between.empty())
            multiply(dx, call.masks.between[std::size_t(l - 1)], output);
        dy = dx;
    }
}

template <class T>
Stepper<T>::Stepper(const Stack<T>& stack, index N_)
    : kind(stack[0].kind), L(stack.layers()), N(N_), I(stack[0].input_size),
      H(stack[0].hidden_size), P(stack[0].state_size) {
    const auto zeros = [](index size) {
        AlignedBuffer<T> made = aligned_buffer<T>(size);
        std::fill_n(made.get(), size, T(0));
        return made;
    };
    for (auto& h : h_) h = zeros(elements<T>({L, N, P}));
    if (stack[0].traits.has_c)
        for (auto& c : c_) c = zeros(elements<T>({L, N, H}));
    for (auto& b : between_) b = aligned_buffer<T>(N * P);
}

template <class T> bool Stepper<T>::fits(const Stack<T>& stack) const {
    return stack.D == 1 && !stack.reverse && stack.layers() == L &&
           stack[0].kind == kind && stack[0].input_size == I &&
           stack[0].hidden_size == H && stack[0].state_size == P;
}

template <class T>
void Stepper<T>::step(const Stack<T>& stack, const T* x, const index* tokens, T* out,
                      Interrupt interrupt) {
    const int now = now_, next = 1 - now;
    for (index l = 0; l < L; ++l) {
        LayerForward<T> layer{stack[l], 1, N, false};
        layer.x = x;
        if (l == 0) layer.tokens = tokens;
        layer.h_0 = h_[now].get() + l * N * P;
        layer.c_0 = at(c_[now].get(), l * N * H);
        layer.h_n = h_[next].get() + l * N * P;
        layer.c_n = at(c_[next].get(), l * N * H);
        layer.y = l == L - 1 ? out : between_[l & 1].get();
        layer.y_row = P;
        forward(layer, interrupt);
        x = layer.y;
    }
    now_ = next;
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
