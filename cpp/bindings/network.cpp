// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/stl.h>

#include "compute.hpp"
#include "register.hpp"
#include "weights.hpp"

namespace rnnext {
namespace {

// Factors of the outputs of all layers but the last, and their owners.
template <class T> struct Masks {
    std::vector<py::object> kept;
    std::vector<const T*> pointers;

    Masks(const py::object& masks, index L, const Shape& shape) {
        if (masks.is_none()) return;
        kept = items(masks, "masks");
        if (index(kept.size()) != L - 1)
            throw py::value_error("masks: expected one for every layer but the last");
        for (const auto& mask : kept) pointers.push_back(data<T>(mask, "masks", shape));
    }
};

template <class T>
py::tuple forward_call(const std::vector<PyWeights>& weights, index D,
                       const py::object& x, const py::object& h_0,
                       const py::object& c_0, const py::object& masks, bool training) {
    const Stack<T> stack = make_stack<T>(weights, D);
    const Weights<T>& w = *stack[0];
    const bool has_c = w.traits.has_c;
    const Shape given = shape_of(x, "x", 3);
    const index T_ = given[0], N = given[1], H = w.hidden_size;
    const index LD = index(stack.size()), L = LD / D;

    NetworkForward<T> call{stack, D, T_, N};
    call.x = data<T>(x, "x", {T_, N, w.input_size});
    call.h_0 = optional_data<T>(h_0, "h_0", {LD, N, H});
    if (has_c) call.c_0 = optional_data<T>(c_0, "c_0", {LD, N, H});
    const Masks<T> factors(masks, L, {T_, N, D * H});
    call.masks = factors.pointers;
    auto y = empty<T>({T_, N, D * H}), h_n = empty<T>({LD, N, H});
    py::object c_n = py::none(), saved = py::none();
    call.y = y.mutable_data();
    call.h_n = h_n.mutable_data();
    if (has_c) {
        auto c = empty<T>({LD, N, H});
        call.c_n = c.mutable_data();
        c_n = c;
    }
    if (training) {
        py::list all;
        py::object input = x;
        for (index l = 0; l < L; ++l) {
            for (index d = 0; d < D; ++d) {
                auto h = empty<T>({T_ + 1, N, H});
                auto gates = empty<T>({T_, N, w.traits.saved, H});
                py::object c = py::none();
                LayerCache<T> cache{h.mutable_data(), nullptr, gates.mutable_data()};
                if (has_c) {
                    auto kept = empty<T>({T_ + 1, N, H});
                    cache.c = kept.mutable_data();
                    c = kept;
                }
                call.caches.push_back(cache);
                all.append(py::make_tuple(input, h, c, gates));
            }
            if (l < L - 1) {
                auto next = empty<T>({T_, N, D * H});
                call.outputs.push_back(next.mutable_data());
                input = next;
            }
        }
        saved = all;
    }
    compute(stack_flops(stack, T_, N),
            [&](Interrupt interrupt) { forward(call, interrupt); });
    return py::make_tuple(y, h_n, c_n, saved);
}

template <class T>
py::tuple backward_call(const std::vector<PyWeights>& weights, index D,
                        const py::object& saved, const py::object& dy,
                        const py::object& dh_n, const py::object& dc_n,
                        const py::object& dc, const py::object& masks, bool need_x) {
    const Stack<T> stack = make_stack<T>(weights, D);
    const Weights<T>& w = *stack[0];
    const bool has_c = w.traits.has_c;
    const index LD = index(stack.size()), L = LD / D, H = w.hidden_size;
    std::vector<std::vector<py::object>> kept;
    for (const auto& entry : items(saved, "saved"))
        kept.push_back(items(entry, "saved"));
    if (index(kept.size()) != LD)
        throw py::value_error("saved: expected one entry per layer and direction");

    NetworkBackward<T> call{stack, D, 0, 0};
    for (index i = 0; i < LD; ++i) {
        if (!stack[std::size_t(i)]->has_backward)
            throw py::value_error("weights: packed without what backward needs");
        const std::vector<py::object>& entry = kept[std::size_t(i)];
        if (entry.size() != 4)
            throw py::value_error("saved: expected (x, h, c, gates) in every entry");
        if (i == 0) {
            const Shape shape = shape_of(entry[0], "saved x", 3);
            call.T_ = shape[0];
            call.N = shape[1];
        }
        const index T_ = call.T_, N = call.N, I = stack[std::size_t(i)]->input_size;
        const T* const x = data<T>(entry[0], "saved x", {T_, N, I});
        if (i % D == 0) call.inputs.push_back(x);
        call.caches.push_back(
            {data<T>(entry[1], "saved h", {T_ + 1, N, H}),
             has_c ? data<T>(entry[2], "saved c", {T_ + 1, N, H}) : nullptr,
             data<T>(entry[3], "saved gates", {T_, N, w.traits.saved, H})});
    }
    const index T_ = call.T_, N = call.N;
    const Masks<T> factors(masks, L, {T_, N, D * H});
    call.masks = factors.pointers;
    call.dy = optional_data<T>(dy, "dy", {T_, N, D * H});
    call.dh_n = optional_data<T>(dh_n, "dh_n", {LD, N, H});
    if (has_c) {
        call.dc_n = optional_data<T>(dc_n, "dc_n", {LD, N, H});
        call.dc = optional_data<T>(dc, "dc", {LD, T_, N, H});
    }

    py::object dx = py::none(), dc_0 = py::none();
    auto dh_0 = empty<T>({LD, N, H});
    call.dh_0 = dh_0.mutable_data();
    if (has_c) {
        auto d = empty<T>({LD, N, H});
        call.dc_0 = d.mutable_data();
        dc_0 = d;
    }
    if (need_x) {
        auto d = empty<T>({T_, N, w.input_size});
        call.dx = d.mutable_data();
        dx = d;
    }
    py::list gradients;
    for (const auto& layer : stack) {
        const index rows = layer->traits.gates * H;
        auto w_ih = empty<T>({rows, layer->input_size}), w_hh = empty<T>({rows, H});
        auto b_ih = empty<T>({rows}), b_hh = empty<T>({rows});
        call.gradients.push_back({w_ih.mutable_data(), w_hh.mutable_data(),
                                  b_ih.mutable_data(), b_hh.mutable_data()});
        gradients.append(py::make_tuple(w_ih, w_hh, b_ih, b_hh));
    }
    compute(2 * stack_flops(stack, T_, N),
            [&](Interrupt interrupt) { backward(call, interrupt); });
    return py::make_tuple(dx, dh_0, dc_0, gradients);
}

}  // namespace

void register_network(py::module_& m) {
    m.def(
        "forward",
        [](const std::vector<PyWeights>& weights, index directions, const py::object& x,
           const py::object& h_0, const py::object& c_0, const py::object& masks,
           bool training) {
            return RNNEXT_BY_DTYPE(x, forward_call, weights, directions, x, h_0, c_0,
                                   masks, training);
        },
        py::arg("weights"), py::arg("directions"), py::arg("x"), py::arg("h_0"),
        py::arg("c_0"), py::arg("masks"), py::arg("training"));
    m.def(
        "backward",
        [](const std::vector<PyWeights>& weights, index directions,
           const py::object& saved, const py::object& dy, const py::object& dh_n,
           const py::object& dc_n, const py::object& dc, const py::object& masks,
           bool need_x) {
            const bool single = !weights.empty() &&
                                std::holds_alternative<Shared<float>>(weights[0].held);
            return single ? backward_call<float>(weights, directions, saved, dy, dh_n,
                                                 dc_n, dc, masks, need_x)
                          : backward_call<double>(weights, directions, saved, dy, dh_n,
                                                  dc_n, dc, masks, need_x);
        },
        py::arg("weights"), py::arg("directions"), py::arg("saved"), py::arg("dy"),
        py::arg("dh_n"), py::arg("dc_n"), py::arg("dc"), py::arg("masks"),
        py::arg("need_x"));
}

}  // namespace rnnext
