// SPDX-License-Identifier: BSD-3-Clause
#include "compute.hpp"
#include "register.hpp"
#include "stack.hpp"

namespace rnnext {
namespace {

// Factors of the outputs of all layers but the last, and their owners.
template <class T> struct Masks {
    py::tuple kept;
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
py::tuple forward_call(const Stack<T>& stack, const py::object& x,
                       const py::object& h_0, const py::object& c_0,
                       const py::object& masks, bool training) {
    const Weights<T>& w = stack[0];
    const bool has_c = w.traits.has_c;
    const Shape given = shape_of(x, "x", 3);
    const index T_ = given[0], N = given[1], H = w.hidden_size;
    const index LD = stack.size(), D = stack.D, L = stack.layers();

    NetworkForward<T> call{stack, T_, N};
    call.x = data<T>(x, "x", {T_, N, w.input_size});
    call.h_0 = optional_data<T>(h_0, "h_0", {LD, N, H});
    if (has_c) call.c_0 = optional_data<T>(c_0, "c_0", {LD, N, H});
    const Masks<T> factors(masks, L, {T_, N, D * H});
    call.masks = factors.pointers;
    const py::object y = empty<T>({T_, N, D * H}, call.y);
    const py::object h_n = empty<T>({LD, N, H}, call.h_n);
    py::object c_n = py::none(), saved = py::none();
    if (has_c) c_n = empty<T>({LD, N, H}, call.c_n);
    if (training) {
        py::list all;
        py::object input = x;
        for (index l = 0; l < L; ++l) {
            for (index d = 0; d < D; ++d) {
                LayerCache<T> cache{};
                py::object c = py::none();
                const py::object h = empty<T>({T_ + 1, N, H}, cache.h);
                if (has_c) c = empty<T>({T_ + 1, N, H}, cache.c);
                const py::object gates =
                    empty<T>({T_, N, w.traits.saved, H}, cache.gates);
                call.caches.push_back(cache);
                all.append(py::make_tuple(input, h, c, gates));
            }
            if (l < L - 1) {
                T* next;
                input = empty<T>({T_, N, D * H}, next);
                call.outputs.push_back(next);
            }
        }
        saved = all;
    }
    compute(stack.flops(T_, N), [&](Interrupt interrupt) { forward(call, interrupt); });
    return py::make_tuple(y, h_n, c_n, saved);
}

template <class T>
py::tuple backward_call(const Stack<T>& stack, const py::object& saved,
                        const py::object& dy, const py::object& dh_n,
                        const py::object& dc_n, const py::object& dc,
                        const py::object& masks, bool need_x) {
    const Weights<T>& w = stack[0];
    const bool has_c = w.traits.has_c;
    const index LD = stack.size(), D = stack.D, L = stack.layers(), H = w.hidden_size;
    const py::tuple entries = items(saved, "saved");
    if (index(entries.size()) != LD)
        throw py::value_error("saved: expected one entry per layer and direction");

    NetworkBackward<T> call{stack, 0, 0};
    std::vector<py::tuple> kept;
    for (index i = 0; i < LD; ++i) {
        if (!stack[i].has_backward)
            throw py::value_error("weights: packed without what backward needs");
        const py::tuple entry = items(entries[std::size_t(i)], "saved");
        kept.push_back(entry);
        if (entry.size() != 4)
            throw py::value_error("saved: expected (x, h, c, gates) in every entry");
        if (i == 0) {
            const Shape shape = shape_of(entry[0], "saved x", 3);
            call.T_ = shape[0];
            call.N = shape[1];
        }
        const index T_ = call.T_, N = call.N, I = stack[i].input_size;
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
    const py::object dh_0 = empty<T>({LD, N, H}, call.dh_0);
    if (has_c) dc_0 = empty<T>({LD, N, H}, call.dc_0);
    if (need_x) dx = empty<T>({T_, N, w.input_size}, call.dx);
    py::list gradients;
    for (const Weights<T>& layer : stack.weights) {
        const index rows = layer.traits.gates * H;
        typename NetworkBackward<T>::Gradients to;
        const py::object w_ih = empty<T>({rows, layer.input_size}, to.w_ih);
        const py::object w_hh = empty<T>({rows, H}, to.w_hh);
        const py::object b_ih = empty<T>({rows}, to.b_ih);
        const py::object b_hh = empty<T>({rows}, to.b_hh);
        call.gradients.push_back(to);
        gradients.append(py::make_tuple(w_ih, w_hh, b_ih, b_hh));
    }
    compute(2 * stack.flops(T_, N),
            [&](Interrupt interrupt) { backward(call, interrupt); });
    return py::make_tuple(dx, dh_0, dc_0, gradients);
}

}  // namespace

void register_network(py::module_& m) {
    m.def(
        "forward",
        [](const PyStack& weights, const py::object& x, const py::object& h_0,
           const py::object& c_0, const py::object& masks, bool training) {
            return weights.visit([&](const auto& stack) {
                return forward_call(stack, x, h_0, c_0, masks, training);
            });
        },
        py::arg("weights"), py::arg("x"), py::arg("h_0"), py::arg("c_0"),
        py::arg("masks"), py::arg("training"));
    m.def(
        "backward",
        [](const PyStack& weights, const py::object& saved, const py::object& dy,
           const py::object& dh_n, const py::object& dc_n, const py::object& dc,
           const py::object& masks, bool need_x) {
            return weights.visit([&](const auto& stack) {
                return backward_call(stack, saved, dy, dh_n, dc_n, dc, masks, need_x);
            });
        },
        py::arg("weights"), py::arg("saved"), py::arg("dy"), py::arg("dh_n"),
        py::arg("dc_n"), py::arg("dc"), py::arg("masks"), py::arg("need_x"));
}

}  // namespace rnnext
