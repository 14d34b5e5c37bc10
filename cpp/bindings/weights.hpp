// SPDX-License-Identifier: BSD-3-Clause
//
// The Python class Weights: packed weights of either dtype, and stacks of them.
#pragma once

#include <cstring>
#include <memory>
#include <variant>

#include "../network.hpp"
#include "arrays.hpp"

namespace rnnext {

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

}  // namespace rnnext
