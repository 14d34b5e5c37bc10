// SPDX-License-Identifier: BSD-3-Clause
#include "compute.hpp"
#include "inputs.hpp"
#include "register.hpp"
#include "stack.hpp"

namespace rnnext {
namespace {

// Which axes the user's arrays have. The memory is the same: (T, N, features) and
// (L * D, N, H), where a cell has one step and one layer, and N is 1 without a batch.
struct Form {
    bool cell, batched;

    Shape sequence(index T_, index N, index features) const {
        if (cell) return batched ? Shape{N, features} : Shape{features};
        return batched ? Shape{T_, N, features} : Shape{T_, features};
    }
    Shape state(index LD, index N, index H) const {
        if (cell) return batched ? Shape{N, H} : Shape{H};
        return batched ? Shape{LD, N, H} : Shape{LD, H};
    }
};

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

template <class T> void check_form(const Stack<T>& stack, bool cell) {
    if (cell && stack.size() != 1)
        throw py::value_error("weights: expected those of a cell, one layer");
}

// None: something has to be converted first, or is wrong.
template <class T>
py::object forward_call(const Stack<T>& stack, const py::object& x,
                        const py::object& state, const py::object& masks, bool cell,
                        bool training) {
    const Weights<T>& w = stack[0];
    const bool has_c = w.traits.has_c;
    const index LD = stack.size(), D = stack.D, L = stack.layers(), H = w.hidden_size;
    check_form(stack, cell);
    const Array* const given = as_array(x);
    const int features_axis = given ? given->nd - 1 : -1;
    const int least = cell ? 0 : 1;
    if (features_axis != least && features_axis != least + 1) return py::none();
    const Form form{cell, features_axis == least + 1};
    const index T_ = cell ? 1 : given->dimensions[0];
    const index N = form.batched ? given->dimensions[least] : 1;

    Input<T> input;
    StateInput<T> initial;
    if (!input.read(x, form.sequence(T_, N, w.input_size), training) ||
        !initial.read(state, has_c, form.state(LD, N, H)))
        return py::none();
    NetworkForward<T> call{stack, T_, N};
    call.x = input.data();
    call.h_0 = initial.h.data();
    call.c_0 = initial.c.data();
    const Masks<T> factors(masks, L, {T_, N, D * H});
    call.masks = factors.pointers;
    const py::object final_state =
        empty_state(has_c, form.state(LD, N, H), call.h_n, call.c_n);
    py::object y = py::none(), saved = py::none();
    if (cell) call.y = call.h_n;
    else y = empty<T>(form.sequence(T_, N, D * H), call.y);
    if (training) {
        py::list all;
        py::object below = input.array();
        for (index l = 0; l < L; ++l) {
            for (index d = 0; d < D; ++d) {
                LayerCache<T> cache{};
                py::object c = py::none();
                const py::object h = empty<T>({T_ + 1, N, H}, cache.h);
                if (has_c) c = empty<T>({T_ + 1, N, H}, cache.c);
                const py::object gates =
                    empty<T>({T_, N, stack[l * D + d].saved(), H}, cache.gates);
                call.caches.push_back(cache);
                all.append(py::make_tuple(below, h, c, gates));
            }
            if (l < L - 1) {
                T* next;
                below = empty<T>({T_, N, D * H}, next);
                call.outputs.push_back(next);
            }
        }
        saved = all;
    }
    compute(stack.flops(T_, N), [&](Interrupt interrupt) { forward(call, interrupt); });
    return py::make_tuple(y, final_state, saved);
}

template <class T>
py::object backward_call(const Stack<T>& stack, const py::object& saved,
                         const py::object& dy, const py::object& dstate,
                         const py::object& dc, const py::object& masks, Form form,
                         bool need_x) {
    const Weights<T>& w = stack[0];
    const bool has_c = w.traits.has_c;
    const index LD = stack.size(), D = stack.D, L = stack.layers(), H = w.hidden_size;
    check_form(stack, form.cell);
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
            const Shape shape = shape_of(entry[1], "saved h", 3);
            call.T_ = shape[0] - 1;
            call.N = shape[1];
            if (call.T_ < 0 || (form.cell && call.T_ != 1) ||
                (!form.batched && call.N != 1))
                throw py::value_error("saved h: expected those of such a call");
        }
        const index T_ = call.T_, N = call.N, I = stack[i].input_size;
        const T* const x = data<T>(entry[0], "saved x",
                                   i < D ? form.sequence(T_, N, I) : Shape{T_, N, I});
        if (i % D == 0) call.inputs.push_back(x);
        call.caches.push_back(
            {data<T>(entry[1], "saved h", {T_ + 1, N, H}),
             has_c ? data<T>(entry[2], "saved c", {T_ + 1, N, H}) : nullptr,
             data<T>(entry[3], "saved gates", {T_, N, stack[i].saved(), H})});
    }
    const index T_ = call.T_, N = call.N;
    const Masks<T> factors(masks, L, {T_, N, D * H});
    call.masks = factors.pointers;

    Input<T> output, cells;
    StateInput<T> final_state;
    const Shape state_shape = form.state(LD, N, H);
    if (!output.read_optional(dy, form.sequence(T_, N, D * H)) ||
        !final_state.read(dstate, has_c, state_shape) ||
        !(has_c ? cells.read_optional(dc, {LD, T_, N, H}) : dc.is_none()))
        return py::none();
    call.dy = output.data();
    call.dh_n = final_state.h.data();
    call.dc_n = final_state.c.data();
    call.dc = cells.data();

    py::object dx = py::none();
    const py::object initial = empty_state(has_c, state_shape, call.dh_0, call.dc_0);
    if (need_x) dx = empty<T>(form.sequence(T_, N, w.input_size), call.dx);
    py::list gradients;
    for (const Weights<T>& layer : stack.weights) {
        const index rows = layer.traits.gates * H;
        typename NetworkBackward<T>::Gradients to{};
        gradients.append(empty<T>({rows, layer.input_size}, to.w_ih));
        gradients.append(empty<T>({rows, H}, to.w_hh));
        gradients.append(empty<T>({rows}, to.b_ih));
        gradients.append(empty<T>({rows}, to.b_hh));
        if (layer.has_peephole()) gradients.append(empty<T>({3, H}, to.w_ch));
        call.gradients.push_back(to);
    }
    compute(2 * stack.flops(T_, N),
            [&](Interrupt interrupt) { backward(call, interrupt); });
    return py::make_tuple(dx, initial, gradients);
}

}  // namespace

void register_network(py::module_& m) {
    m.def(
        "forward",
        [](const PyStack& weights, const py::object& x, const py::object& state,
           const py::object& masks, bool cell, bool training) {
            return weights.visit([&](const auto& stack) {
                return forward_call(stack, x, state, masks, cell, training);
            });
        },
        py::arg("weights"), py::arg("x"), py::arg("state"), py::arg("masks"),
        py::arg("cell"), py::arg("training"));
    m.def(
        "backward",
        [](const PyStack& weights, const py::object& saved, const py::object& dy,
           const py::object& dstate, const py::object& dc, const py::object& masks,
           bool cell, bool batched, bool need_x) {
            return weights.visit([&](const auto& stack) {
                return backward_call(stack, saved, dy, dstate, dc, masks,
                                     Form{cell, batched}, need_x);
            });
        },
        py::arg("weights"), py::arg("saved"), py::arg("dy"), py::arg("dstate"),
        py::arg("dc"), py::arg("masks"), py::arg("cell"), py::arg("batched"),
        py::arg("need_x"));
}

}  // namespace rnnext
