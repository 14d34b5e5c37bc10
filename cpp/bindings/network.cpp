// SPDX-License-Identifier: BSD-3-Clause
#include "compute.hpp"
#include "fast_call.hpp"
#include "register.hpp"
#include "stack.hpp"
#include "tokens.hpp"

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
    Shape tokens(index T_, index N) const { return batched ? Shape{T_, N} : Shape{T_}; }
    Shape state(index LD, index N, index H) const {
        if (cell) return batched ? Shape{N, H} : Shape{H};
        return batched ? Shape{LD, N, H} : Shape{LD, H};
    }
};

// Shapes of what a layer and direction keeps; with a coverage, without its gaps.
struct Kept {
    Shape h, c, gates, cells;

    Kept(const PyCoverage* coverage, index d, index T_, index N, index H, index P,
         index saved)
        : h{T_ + 1, N, P}, c{T_ + 1, N, H}, gates{T_, N, saved, H}, cells{T_, N, H} {
        if (!coverage) return;
        h = {coverage->states(d), P};
        c = {coverage->states(d), H};
        gates = {coverage->rows(), saved, H};
        cells = {coverage->rows(), H};
    }
    Shape of_all(index count) const {
        return cells.ndim == 3 ? Shape{count, cells[0], cells[1], cells[2]}
                               : Shape{count, cells[0], cells[1]};
    }
};

// The factors of dropout and their owners: None, or one list of each kind, or None.
template <class T> class MasksInput {
  public:
    MasksInput(const py::object& masks, const Stack<T>& stack, index T_, index N,
               Masks<T>& factors) {
        if (masks.is_none()) return;
        const py::tuple kinds = items(masks, "masks");
        if (kinds.size() != 3)
            throw py::value_error("masks: expected (between, input, recurrent)");
        read(kinds[0], stack.layers() - 1, factors.between,
             [&](index) { return Shape{T_, N, stack.output_size()}; });
        read(kinds[1], stack.size(), factors.input,
             [&](index i) { return Shape{N, stack[i].input_size}; });
        read(kinds[2], stack.size(), factors.recurrent,
             [&](index) { return Shape{N, stack[0].state_size}; });
    }

  private:
    template <class ShapeOf>
    void read(const py::object& masks, index count, std::vector<const T*>& to,
              ShapeOf shape_of) {
        if (masks.is_none()) return;
        kept_.push_back(items(masks, "masks"));
        if (index(kept_.back().size()) != count)
            throw py::value_error("masks: expected " + std::to_string(count));
        for (index i = 0; i < count; ++i)
            to.push_back(data<T>(kept_.back()[std::size_t(i)], "masks", shape_of(i)));
    }

    std::vector<py::tuple> kept_;
};

// Outputs: one array, or of directions that stay apart a tuple of two.
template <class T>
py::object empty_output(Merge merge, const Shape& shape, T* (&y)[2]) {
    const py::object first = empty<T>(shape, y[0]);
    if (merge != Merge::none) return first;
    return py::make_tuple(first, empty<T>(shape, y[1]));
}

// Gradients of them in that form, any of which may be None.
template <class T> struct OutputInput {
    Input<T> parts[2];

    bool read(const py::object& dy, Merge merge, const Shape& shape) {
        if (dy.is_none()) return true;
        if (merge != Merge::none) return parts[0].read(dy, shape);
        if (!PyTuple_CheckExact(dy.ptr()) || PyTuple_GET_SIZE(dy.ptr()) != 2)
            return false;
        const auto both = py::reinterpret_borrow<py::tuple>(dy);
        return parts[0].read_optional(both[0], shape) &&
               parts[1].read_optional(both[1], shape);
    }
};

template <class T> void check_form(const Stack<T>& stack, bool cell) {
    if (cell && stack.size() != 1)
        throw py::value_error("weights: expected those of a cell, one layer");
}

// None: something has to be converted first, or is wrong.
template <class T>
py::object forward_call(const Stack<T>& stack, const py::object& x,
                        const py::object& state, const py::object& masks,
                        const py::object& covered, bool cell, bool training) {
    const Weights<T>& w = stack[0];
    const bool has_c = w.traits.has_c;
    const index LD = stack.size(), D = stack.D, L = stack.layers(), H = w.hidden_size,
                P = w.state_size;
    const index F = stack.output_size();
    check_form(stack, cell);
    const Array* const given = as_array(x);
    const bool tokens = are_tokens(given) && !cell;
    const int features_axis = !given ? -1 : given->nd - (tokens ? 0 : 1);
    const int least = cell ? 0 : 1;
    if (features_axis != least && features_axis != least + 1) return py::none();
    const Form form{cell, features_axis == least + 1};
    const index T_ = cell ? 1 : given->dimensions[0];
    const index N = form.batched ? given->dimensions[least] : 1;

    Input<T> input;
    Input<index> ids;
    StateInput<T> initial;
    if (!(tokens ? ids.read(x, form.tokens(T_, N), training)
                 : input.read(x, form.sequence(T_, N, w.input_size), training)) ||
        !initial.read(state, has_c, form.state(LD, N, P), form.state(LD, N, H)))
        return py::none();
    NetworkForward<T> call{stack, T_, N};
    const PyCoverage* const coverage = coverage_of(covered, T_, N, D);
    call.coverage = coverage;
    call.x = input.data();
    call.tokens = ids.data();
    if (tokens) check_tokens(call.tokens, T_, N, w.input_size, coverage);
    call.h_0 = initial.h.data();
    call.c_0 = initial.c.data();
    const MasksInput<T> dropout(masks, stack, T_, N, call.masks);
    const py::object final_state = empty_state(
        has_c, form.state(LD, N, P), form.state(LD, N, H), call.h_n, call.c_n);
    py::object y = py::none(), saved = py::none();
    if (cell) call.y[0] = call.h_n;
    else y = empty_output<T>(stack.merge, form.sequence(T_, N, F), call.y);
    if (training) {
        py::list all;
        py::object below = tokens ? ids.array() : input.array();
        for (index l = 0; l < L; ++l) {
            for (index d = 0; d < D; ++d) {
                LayerCache<T> cache{};
                py::object c = py::none();
                const Kept kept(coverage, d, T_, N, H, P, stack[l * D + d].saved());
                const py::object h = empty<T>(kept.h, cache.h);
                if (has_c) c = empty<T>(kept.c, cache.c);
                const py::object gates = empty<T>(kept.gates, cache.gates);
                call.caches.push_back(cache);
                all.append(py::make_tuple(below, h, c, gates));
            }
            if (l < L - 1) {
                T* next;
                below = empty<T>({T_, N, F}, next);
                call.outputs.push_back(next);
            }
        }
        saved = all;
    }
    compute(stack.flops(T_, N), [&](Interrupt interrupt) { forward(call, interrupt); });
    return tuple_of(y, final_state, saved);
}

template <class T>
py::object backward_call(const Stack<T>& stack, const py::object& saved,
                         const py::object& dy, const py::object& dstate,
                         const py::object& dc, const py::object& masks,
                         const py::object& covered, Form form, bool need_x) {
    const Weights<T>& w = stack[0];
    const bool has_c = w.traits.has_c;
    const index LD = stack.size(), D = stack.D, H = w.hidden_size, P = w.state_size;
    check_form(stack, form.cell);
    const py::tuple entries = items(saved, "saved");
    if (index(entries.size()) != LD)
        throw py::value_error("saved: expected one entry per layer and direction");

    NetworkBackward<T> call{stack, 0, 0};
    const PyCoverage* const coverage = optional_coverage(covered);
    if (coverage) coverage_of(covered, coverage->T_, coverage->N, D);
    call.coverage = coverage;
    std::vector<py::tuple> kept;
    for (index i = 0; i < LD; ++i) {
        const py::tuple entry = items(entries[std::size_t(i)], "saved");
        kept.push_back(entry);
        if (entry.size() != 4)
            throw py::value_error("saved: expected (x, h, c, gates) in every entry");
        if (i == 0 && coverage) {
            call.T_ = coverage->T_;
            call.N = coverage->N;
        } else if (i == 0) {
            const Shape shape = shape_of(entry[1], "saved h", 3);
            call.T_ = shape[0] - 1;
            call.N = shape[1];
            if (call.T_ < 0 || (form.cell && call.T_ != 1) ||
                (!form.batched && call.N != 1))
                throw py::value_error("saved h: expected those of such a call");
        }
        const index T_ = call.T_, N = call.N, I = stack[i].input_size;
        const T* x = nullptr;
        if (i < D && are_tokens(as_array(entry[0]))) {
            call.tokens = data<index>(entry[0], "saved x", form.tokens(T_, N));
            check_tokens(call.tokens, T_, N, I, coverage);
        } else {
            x = data<T>(entry[0], "saved x",
                        i < D ? form.sequence(T_, N, I) : Shape{T_, N, I});
        }
        if (i % D == 0) call.inputs.push_back(x);
        const Kept shapes(coverage, i % D, T_, N, H, P, stack[i].saved());
        call.caches.push_back({data<T>(entry[1], "saved h", shapes.h),
                               has_c ? data<T>(entry[2], "saved c", shapes.c) : nullptr,
                               data<T>(entry[3], "saved gates", shapes.gates)});
    }
    const index T_ = call.T_, N = call.N;
    const MasksInput<T> dropout(masks, stack, T_, N, call.masks);

    OutputInput<T> output;
    Input<T> cells;
    StateInput<T> final_state;
    const Shape h_shape = form.state(LD, N, P), c_shape = form.state(LD, N, H);
    if (!output.read(dy, stack.merge, form.sequence(T_, N, stack.output_size())) ||
        !final_state.read(dstate, has_c, h_shape, c_shape) ||
        !(has_c ? cells.read_optional(dc, Kept(coverage, 0, T_, N, H, P, 0).of_all(LD))
                : dc.is_none()))
        return py::none();
    for (int d = 0; d < 2; ++d) call.dy[d] = output.parts[d].data();
    call.dh_n = final_state.h.data();
    call.dc_n = final_state.c.data();
    call.dc = cells.data();

    py::object dx = py::none();
    const py::object initial =
        empty_state(has_c, h_shape, c_shape, call.dh_0, call.dc_0);
    if (need_x && !call.tokens)
        dx = empty<T>(form.sequence(T_, N, w.input_size), call.dx);
    py::list gradients;
    for (const Weights<T>& layer : stack.weights) {
        const index rows = layer.traits.gates * H;
        typename NetworkBackward<T>::Gradients to{};
        gradients.append(empty<T>({rows, layer.input_size}, to.w_ih));
        gradients.append(empty<T>({rows, P}, to.w_hh));
        gradients.append(empty<T>({rows}, to.b_ih));
        gradients.append(empty<T>({rows}, to.b_hh));
        if (layer.has_projection()) gradients.append(empty<T>({P, H}, to.w_hr));
        if (layer.has_peephole()) gradients.append(empty<T>({3, H}, to.w_ch));
        call.gradients.push_back(to);
    }
    compute(2 * stack.flops(T_, N),
            [&](Interrupt interrupt) { backward(call, interrupt); });
    return tuple_of(dx, initial, gradients);
}

struct ForwardFunction {
    static constexpr const char* name = "forward";
    static constexpr const char* arguments[] = {"weights",  "x",     "state",
                                                "training", "masks", "coverage"};
    static constexpr int required = 4;

    static py::object call(const py::object* given) {
        const bool training = flag(given[3], "training");
        return held_by<PyStack>(given[0], "weights").visit([&](const auto& stack) {
            return forward_call(stack, given[1], given[2], given[4], given[5], false,
                                training);
        });
    }
};

struct BackwardFunction {
    static constexpr const char* name = "backward";
    static constexpr const char* arguments[] = {"weights", "saved", "dy",
                                                "dstate",  "dc",    "batched",
                                                "need_x",  "masks", "coverage"};
    static constexpr int required = 7;

    static py::object call(const py::object* given) {
        const Form form{false, flag(given[5], "batched")};
        const bool need_x = flag(given[6], "need_x");
        return held_by<PyStack>(given[0], "weights").visit([&](const auto& stack) {
            return backward_call(stack, given[1], given[2], given[3], given[4],
                                 given[7], given[8], form, need_x);
        });
    }
};

struct ForwardCellFunction {
    static constexpr const char* name = "forward_cell";
    static constexpr const char* arguments[] = {"weights", "x", "state", "training"};
    static constexpr int required = 4;

    static py::object call(const py::object* given) {
        const bool training = flag(given[3], "training");
        return held_by<PyStack>(given[0], "weights").visit([&](const auto& stack) {
            return forward_call(stack, given[1], given[2], py::none(), py::none(), true,
                                training);
        });
    }
};

struct BackwardCellFunction {
    static constexpr const char* name = "backward_cell";
    static constexpr const char* arguments[] = {"weights", "saved", "dstate",
                                                "batched"};
    static constexpr int required = 4;

    static py::object call(const py::object* given) {
        const Form form{true, flag(given[3], "batched")};
        return held_by<PyStack>(given[0], "weights").visit([&](const auto& stack) {
            return backward_call(stack, given[1], py::none(), given[2], py::none(),
                                 py::none(), py::none(), form, true);
        });
    }
};

}  // namespace

void register_network(py::module_& m) {
    def_fast<ForwardFunction>(m);
    def_fast<BackwardFunction>(m);
    def_fast<ForwardCellFunction>(m);
    def_fast<BackwardCellFunction>(m);
}

}  // namespace rnnext
