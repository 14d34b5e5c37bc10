// SPDX-License-Identifier: BSD-3-Clause
//
// The only file that knows pybind11: NumPy arrays to pointers and back, checked for
// memory safety (messages for people are Python's task, in rnnext/_validation.py), the
// GIL, exceptions. The contract is python/rnnext/_core.pyi.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstring>
#include <exception>
#include <string>
#include <thread>
#include <variant>

#include "dense.hpp"
#include "dispatch.hpp"
#include "network.hpp"

namespace py = pybind11;

namespace rnnext {
namespace {

// ---- arrays -----------------------------------------------------------------

using Shape = std::vector<index>;

std::string text(const Shape& shape) {
    std::string s = "(";
    for (std::size_t i = 0; i < shape.size(); ++i)
        s += (i ? ", " : "") + std::to_string(shape[i]);
    return s + (shape.size() == 1 ? ",)" : ")");
}

template <class T> py::array_t<T> empty(const Shape& shape) {
    elements<T>({1});
    index bytes = sizeof(T);
    for (const index n : shape)
        if (__builtin_mul_overflow(bytes, std::max<index>(n, 1), &bytes))
            throw std::bad_alloc();
    return py::array_t<T>(std::vector<py::ssize_t>(shape.begin(), shape.end()));
}

// The data of an array of exactly this dtype and shape, C-contiguous and aligned.
template <class T>
const T* data(const py::handle& object, const char* name, const Shape& shape) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(name) + ": expected an ndarray, got " +
                             std::string(py::str(py::type::of(object))));
    const auto array = py::reinterpret_borrow<py::array>(object);
    if (!py::isinstance<py::array_t<T>>(object))
        throw py::type_error(std::string(name) + ": expected dtype " +
                             std::string(py::str(py::dtype::of<T>())) + ", got " +
                             std::string(py::str(array.dtype())));
    const Shape got(array.shape(), array.shape() + array.ndim());
    if (got != shape)
        throw py::value_error(std::string(name) + ": expected shape " + text(shape) +
                              ", got " + text(got));
    if (!(array.flags() & py::array::c_style) ||
        reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0)
        throw py::value_error(std::string(name) + ": expected a C-contiguous array");
    return static_cast<const T*>(array.data());
}

template <class T>
const T* optional_data(const py::handle& object, const char* name, const Shape& shape) {
    return object.is_none() ? nullptr : data<T>(object, name, shape);
}

template <class T>
T* writable_data(const py::handle& object, const char* name, const Shape& shape) {
    const T* const p = data<T>(object, name, shape);
    if (!py::reinterpret_borrow<py::array>(object).writeable())
        throw py::value_error(std::string(name) + ": expected a writable array");
    return const_cast<T*>(p);
}

Shape shape_of(const py::handle& object, const char* name, std::size_t ndim) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(name) + ": expected an ndarray");
    const auto array = py::reinterpret_borrow<py::array>(object);
    if (std::size_t(array.ndim()) != ndim)
        throw py::value_error(std::string(name) + ": expected " + std::to_string(ndim) +
                              " dimensions, got " + std::to_string(array.ndim()));
    return Shape(array.shape(), array.shape() + ndim);
}

bool is_float32(const py::handle& object) {
    return py::isinstance<py::array_t<float>>(object);
}

// ---- long work --------------------------------------------------------------

bool finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

bool signal_pending() {
    const py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

// Signals reach Python in its main thread alone.
bool in_main_thread() {
    const auto threading = py::module_::import("threading");
    return threading.attr("current_thread")().is(threading.attr("main_thread")());
}

// Runs f without the GIL when it takes long enough to matter; Ctrl-C comes through.
template <class F> void compute(double flops, F f) {
    constexpr double worth_releasing = 1e6;
    if (flops < worth_releasing) return f(Interrupt{nullptr});
    const Interrupt interrupt{in_main_thread() ? signal_pending : nullptr};
    bool interrupted = false;
    std::exception_ptr error;
    PyThreadState* const state = PyEval_SaveThread();
    try {
        f(interrupt);
    } catch (const Interrupted&) {
        interrupted = true;
    } catch (...) {
        error = std::current_exception();
    }
    // Taking the lock of an interpreter that is going away would unwind this thread
    // through C++ that cannot be unwound: it waits for the end of the process instead.
    while (finalizing()) std::this_thread::sleep_for(std::chrono::seconds(1));
    PyEval_RestoreThread(state);
    if (interrupted) throw py::error_already_set();
    if (error) std::rethrow_exception(error);
}

// ---- weights ----------------------------------------------------------------

template <class T> using Shared = std::shared_ptr<const Weights<T>>;

// Python can make an object without calling its __init__: then its memory is zero,
// which the members below take for nothing held.
struct Zeroed {
    static void* operator new(std::size_t size) {
        return std::memset(::operator new(size), 0, size);
    }
    static void* operator new(std::size_t, void* p) { return p; }
    static void operator delete(void* p) { ::operator delete(p); }
};

struct PyWeights : Zeroed {
    std::variant<Shared<float>, Shared<double>> held;

    PyWeights() = default;
    template <class T>
    explicit PyWeights(Shared<T> weights) : held(std::move(weights)) {}

    template <class T> const Shared<T>& as() const {
        check();
        if (const auto* p = std::get_if<Shared<T>>(&held)) return *p;
        throw py::type_error("weights: expected dtype " +
                             std::string(py::str(py::dtype::of<T>())));
    }
    template <class F> auto visit(F f) const {
        check();
        return std::visit([&](const auto& w) { return f(*w); }, held);
    }

  private:
    void check() const {
        if (!std::visit([](const auto& w) { return bool(w); }, held))
            throw py::type_error("Weights: __init__ was not called");
    }
};

CellKind cell_kind(const std::string& name) {
    std::string choices;
    for (int i = 0; i < cell_kinds; ++i) {
        if (name == cell_traits[i].name) return CellKind(i);
        choices += (i ? ", " : "") + std::string(cell_traits[i].name);
    }
    throw py::value_error("cell: expected one of " + choices + ", got '" + name + "'");
}

template <class T>
PyWeights make_weights(CellKind kind, const py::object& w_ih, const py::object& w_hh,
                       const py::object& b_ih, const py::object& b_hh, bool backward) {
    const index gates = cell_traits[int(kind)].gates;
    const index I = shape_of(w_ih, "w_ih", 2)[1], H = shape_of(w_hh, "w_hh", 2)[1];
    if (I < 1 || H < 1) throw py::value_error("w_ih, w_hh: expected I >= 1 and H >= 1");
    return PyWeights(std::make_shared<const Weights<T>>(
        kind, I, H, data<T>(w_ih, "w_ih", {gates * H, I}),
        data<T>(w_hh, "w_hh", {gates * H, H}),
        optional_data<T>(b_ih, "b_ih", {gates * H}),
        optional_data<T>(b_hh, "b_hh", {gates * H}), backward));
}

// A stack whose layers fit each other.
template <class T> Stack<T> make_stack(const std::vector<PyWeights>& weights, index D) {
    if (D != 1 && D != 2) throw py::value_error("directions: expected 1 or 2");
    if (weights.empty() || index(weights.size()) % D != 0)
        throw py::value_error("weights: expected layers * directions of them");
    Stack<T> stack;
    for (const PyWeights& w : weights) stack.push_back(w.as<T>());
    const auto& first = *stack[0];
    for (std::size_t i = 0; i < stack.size(); ++i) {
        const index I = index(i) < D ? first.input_size : D * first.hidden_size;
        if (stack[i]->kind != first.kind ||
            stack[i]->hidden_size != first.hidden_size || stack[i]->input_size != I ||
            &stack[i]->kernels != &first.kernels)
            throw py::value_error("weights: layers do not fit each other");
    }
    return stack;
}

template <class T> double stack_flops(const Stack<T>& stack, index T_, index N) {
    double sum = 0;
    for (const auto& w : stack)
        sum += forward_flops(w->traits, T_, N, w->input_size, w->hidden_size);
    return sum;
}

// What a sequence held when the call began: kept, whatever becomes of the sequence.
std::vector<py::object> items(const py::handle& object, const char* name) {
    if (!py::isinstance<py::sequence>(object))
        throw py::type_error(std::string(name) + ": expected a sequence");
    std::vector<py::object> kept;
    for (const auto& item : py::reinterpret_borrow<py::sequence>(object))
        kept.push_back(py::reinterpret_borrow<py::object>(item));
    return kept;
}

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

// ---- calls ------------------------------------------------------------------

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

// ---- the stepper ------------------------------------------------------------

template <class T> class PyStepperOf {
  public:
    PyStepperOf(const std::vector<PyWeights>& weights, index N)
        : stack_(make_stack<T>(weights, 1)), stepper_(stack_, N) {}

    void step(const py::object& x, const py::object& out) {
        const Stack<T> stack = stack_;  // set_weights may come while this runs
        const Weights<T>& w = *stack[0];
        const index N = stepper_.batch();
        const T* const from = data<T>(x, "x", {N, w.input_size});
        T* const to = writable_data<T>(out, "out", {N, w.hidden_size});
        compute(stack_flops(stack, 1, N), [&](Interrupt interrupt) {
            stepper_.step(stack, from, to, interrupt);
        });
    }
    void set_weights(const std::vector<PyWeights>& weights) {
        Stack<T> stack = make_stack<T>(weights, 1);
        const Weights<T>&now = *stack_[0], &then = *stack[0];
        if (stack.size() != stack_.size() || now.kind != then.kind ||
            now.hidden_size != then.hidden_size || now.input_size != then.input_size)
            throw py::value_error("weights: do not fit this stepper");
        stack_ = std::move(stack);
    }
    py::tuple get_state() {
        const auto copy = [&](const T* p) -> py::object {
            if (!p) return py::none();
            auto array = empty<T>(state_shape());
            std::copy_n(p, array.size(), array.mutable_data());
            return array;
        };
        return py::make_tuple(copy(stepper_.h()), copy(stepper_.c()));
    }
    void set_state(const py::object& h, const py::object& c) {
        const Shape shape = state_shape();
        const T* const from_h = optional_data<T>(h, "h", shape);
        const T* const from_c = optional_data<T>(c, "c", shape);
        const auto assign = [&](T* to, const T* from) {
            const index size = shape[0] * shape[1] * shape[2];
            if (from) std::copy_n(from, size, to);
            else std::fill_n(to, size, T(0));
        };
        assign(stepper_.h(), from_h);
        if (stepper_.c()) assign(stepper_.c(), from_c);
    }

  private:
    Shape state_shape() const {
        return {index(stack_.size()), stepper_.batch(), stack_[0]->hidden_size};
    }

    Stack<T> stack_;
    Stepper<T> stepper_;
};

// Either dtype behind one Python class.
struct PyStepper : Zeroed {
    std::variant<std::unique_ptr<PyStepperOf<float>>,
                 std::unique_ptr<PyStepperOf<double>>>
        held;

    PyStepper(const std::vector<PyWeights>& weights, index N) {
        if (weights.empty()) throw py::value_error("weights: expected at least one");
        if (N < 0) throw py::value_error("batch_size: expected 0 or more");
        if (std::holds_alternative<Shared<float>>(weights[0].held))
            held = std::make_unique<PyStepperOf<float>>(weights, N);
        else held = std::make_unique<PyStepperOf<double>>(weights, N);
    }
    template <class F> auto visit(F f) {
        return std::visit(
            [&](auto& s) {
                if (!s) throw py::type_error("Stepper: __init__ was not called");
                return f(*s);
            },
            held);
    }
};

// ---- dense and elementwise --------------------------------------------------

constexpr double elementwise_flops = 50;  // an exp and what is around it

template <class T>
py::object linear_call(const py::object& x, const py::object& w, const py::object& b) {
    const Shape xs = shape_of(x, "x", 2), ws = shape_of(w, "w", 2);
    const index M = xs[0], K = xs[1], O = ws[0];
    const T *const px = data<T>(x, "x", xs), *const pw = data<T>(w, "w", {O, K}),
                   *const pb = optional_data<T>(b, "b", {O});
    auto y = empty<T>({M, O});
    T* const py_ = y.mutable_data();
    compute(2.0 * double(M) * double(K) * double(O),
            [&](Interrupt interrupt) { linear(px, M, K, pw, O, pb, py_, interrupt); });
    return y;
}

template <class T> py::object matmul_tn_call(const py::object& a, const py::object& b) {
    const Shape as = shape_of(a, "a", 2), bs = shape_of(b, "b", 2);
    const index K = as[0], M = as[1], O = bs[1];
    const T *const pa = data<T>(a, "a", as), *const pb = data<T>(b, "b", {K, O});
    auto y = empty<T>({M, O});
    T* const to = y.mutable_data();
    compute(2.0 * double(M) * double(K) * double(O),
            [&](Interrupt interrupt) { matmul_tn(pa, K, M, pb, O, to, interrupt); });
    return y;
}

template <class T> py::object softmax_call(const py::object& x) {
    const Shape shape = shape_of(x, "x", 2);
    const T* const from = data<T>(x, "x", shape);
    auto y = empty<T>(shape);
    T* const to = y.mutable_data();
    compute(elementwise_flops * double(y.size()), [&](Interrupt interrupt) {
        softmax(from, shape[0], shape[1], to, interrupt);
    });
    return y;
}

template <class T>
py::object elementwise(const py::object& x, void (*f)(const T*, T*, index) noexcept) {
    if (!py::isinstance<py::array>(x)) throw py::type_error("x: expected an ndarray");
    const auto array = py::reinterpret_borrow<py::array>(x);
    const Shape shape(array.shape(), array.shape() + array.ndim());
    const T* const from = data<T>(x, "x", shape);
    auto y = empty<T>(shape);
    T* const to = y.mutable_data();
    compute(elementwise_flops * double(y.size()), [&](Interrupt interrupt) {
        in_pieces(y.size(), index(1) << 20, interrupt,
                  [&](Range r) { f(from + r.begin, to + r.begin, r.end - r.begin); });
    });
    return y;
}

void use_threads(int n) {
    if (n < 1 || n > max_threads)
        throw py::value_error("n: expected 1 to " + std::to_string(max_threads) +
                              " threads, got " + std::to_string(n));
    set_num_threads(n);
}

// Calls f<float> or f<double> by the dtype of `object` (float64 reports what is wrong).
#define RNNEXT_BY_DTYPE(object, f, ...)                                                \
    (is_float32(object) ? f<float>(__VA_ARGS__) : f<double>(__VA_ARGS__))

void register_all(py::module_& m) {
    const char* const forced = std::getenv("RNNEXT_ISA");
    try {
        select_isa(forced ? forced : "");
    } catch (const std::invalid_argument& error) {
        throw py::import_error(error.what());
    }

    m.attr("__version__") = RNNEXT_VERSION;

    py::class_<PyWeights>(m, "Weights", py::is_final())
        .def(py::init([](const std::string& cell, const py::object& w_ih,
                         const py::object& w_hh, const py::object& b_ih,
                         const py::object& b_hh, bool backward) {
                 return RNNEXT_BY_DTYPE(w_ih, make_weights, cell_kind(cell), w_ih, w_hh,
                                        b_ih, b_hh, backward);
             }),
             py::arg("cell"), py::arg("w_ih"), py::arg("w_hh"), py::arg("b_ih"),
             py::arg("b_hh"), py::arg("backward"))
        .def_property_readonly("cell",
                               [](const PyWeights& p) {
                                   return p.visit(
                                       [](const auto& w) { return w.traits.name; });
                               })
        .def_property_readonly("input_size",
                               [](const PyWeights& p) {
                                   return p.visit(
                                       [](const auto& w) { return w.input_size; });
                               })
        .def_property_readonly("hidden_size",
                               [](const PyWeights& p) {
                                   return p.visit(
                                       [](const auto& w) { return w.hidden_size; });
                               })
        .def_property_readonly("has_backward", [](const PyWeights& p) {
            return p.visit([](const auto& w) { return w.has_backward; });
        });

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

    py::class_<PyStepper>(m, "Stepper", py::is_final())
        .def(py::init<const std::vector<PyWeights>&, index>(), py::arg("weights"),
             py::arg("batch_size"))
        .def(
            "step",
            [](PyStepper& p, const py::object& x, const py::object& out) {
                p.visit([&](auto& s) { s.step(x, out); });
            },
            py::arg("x"), py::arg("out"))
        .def(
            "set_weights",
            [](PyStepper& p, const std::vector<PyWeights>& weights) {
                p.visit([&](auto& s) { s.set_weights(weights); });
            },
            py::arg("weights"))
        .def(
            "get_state",
            [](PyStepper& p) { return p.visit([](auto& s) { return s.get_state(); }); })
        .def(
            "set_state",
            [](PyStepper& p, const py::object& h, const py::object& c) {
                p.visit([&](auto& s) { s.set_state(h, c); });
            },
            py::arg("h"), py::arg("c"));

    m.def(
        "linear",
        [](const py::object& x, const py::object& w, const py::object& b) {
            return RNNEXT_BY_DTYPE(x, linear_call, x, w, b);
        },
        py::arg("x"), py::arg("w"), py::arg("b"));
    m.def(
        "matmul_tn",
        [](const py::object& a, const py::object& b) {
            return RNNEXT_BY_DTYPE(a, matmul_tn_call, a, b);
        },
        py::arg("a"), py::arg("b"));
    m.def(
        "softmax",
        [](const py::object& x) { return RNNEXT_BY_DTYPE(x, softmax_call, x); },
        py::arg("x"));
    m.def(
        "exp",
        [](const py::object& x) {
            return is_float32(x) ? elementwise<float>(x, kernels<float>().exp)
                                 : elementwise<double>(x, kernels<double>().exp);
        },
        py::arg("x"));
    m.def(
        "sigmoid",
        [](const py::object& x) {
            return is_float32(x) ? elementwise<float>(x, kernels<float>().sigmoid)
                                 : elementwise<double>(x, kernels<double>().sigmoid);
        },
        py::arg("x"));
    m.def(
        "tanh",
        [](const py::object& x) {
            return is_float32(x) ? elementwise<float>(x, kernels<float>().tanh)
                                 : elementwise<double>(x, kernels<double>().tanh);
        },
        py::arg("x"));

    m.def("set_num_threads", use_threads, py::arg("n"));
    m.def("get_num_threads", get_num_threads);
    m.def("isa", isa);
    m.def("available_isas", available_isas);
    m.def("compiled_isas", compiled_isas);
    m.def("set_isa", select_isa, py::arg("name"));
    m.def("compiler", [] {
#if defined(__clang__)
        return "Clang " __clang_version__;
#else
        return "GCC " __VERSION__;
#endif
    });
    m.def("debug_build", [] {
#if defined(NDEBUG)
        return false;
#else
        return true;
#endif
    });
}

}  // namespace
}  // namespace rnnext

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) { rnnext::register_all(m); }
