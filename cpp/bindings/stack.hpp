// SPDX-License-Identifier: BSD-3-Clause
//
// The Python class Stack: the packed weights of a network, of either dtype.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <variant>

#include "../network.hpp"
#include "arrays.hpp"

namespace rnnext {

// Python can make an object without calling its __init__: then its memory is zero,
// which the members below take for nothing held.
struct Zeroed {
    static void* operator new(std::size_t size) {
        return std::memset(::operator new(size), 0, size);
    }
    static void* operator new(std::size_t, void* p) { return p; }
    static void operator delete(void* p) { ::operator delete(p); }
};

// Held<float> or Held<double>.
template <template <class> class Held> struct EitherDtype : Zeroed {
    std::variant<std::unique_ptr<Held<float>>, std::unique_ptr<Held<double>>> held;

    // Null where the other dtype, or nothing, is held.
    template <class T> Held<T>* get() const {
        const auto* const p = std::get_if<std::unique_ptr<Held<T>>>(&held);
        return p ? p->get() : nullptr;
    }
    // Calls f with what is held.
    template <class F> auto visit(F f) const {
        return std::visit(
            [&](const auto& p) {
                if (!p) throw py::type_error("__init__ was not called");
                return f(*p);
            },
            held);
    }
};

template <class T> using ConstStack = const Stack<T>;
struct PyStack : EitherDtype<ConstStack> {};

}  // namespace rnnext
