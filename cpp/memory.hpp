// SPDX-License-Identifier: BSD-3-Clause
//
// Memory of the upper wing: sizes checked for overflow, aligned buffers, and scratch
// that a thread keeps from call to call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "kernels.hpp"

namespace rnnext {

constexpr std::size_t alignment = 64;

// More than any machine has, and little enough that what is added for alignment cannot
// overflow.
constexpr index max_bytes = PTRDIFF_MAX / 64;

// The product of sizes, in elements; std::bad_alloc where that is too much.
template <class T> index elements(std::initializer_list<index> sizes) {
    index total = 1;
    for (const index size : sizes)
        if (size < 0 || __builtin_mul_overflow(total, size, &total))
            throw std::bad_alloc();
    if (total > max_bytes / index(sizeof(T))) throw std::bad_alloc();
    return total;
}

constexpr index round_up(index n, index step) { return (n + step - 1) / step * step; }

// Elements from one row of n to the next: whole cache lines, and an odd number of them,
// lest neighbouring rows compete for the same few sets of a cache.
template <class T> constexpr index row_stride(index n) {
    constexpr index line = alignment / sizeof(T);
    return ((n + line - 1) / line | 1) * line;
}

// Memory for a buffer, at any address; std::bad_alloc. What is large and given back is
// kept for a while for who asks next, up to a limit in all: fresh pages of a packed
// layer would take longer than to pack it.
void* take_block(std::size_t bytes);
void give_back(void* block, std::size_t bytes) noexcept;

// The block that was allocated, and its size, are noted in front of what is aligned
// within it.
struct AlignedDelete {
    void operator()(void* p) const {
        give_back(static_cast<void**>(p)[-1], static_cast<std::size_t*>(p)[-2]);
    }
    // Bytes that may be used.
    static std::size_t size(void* p) {
        return static_cast<std::size_t*>(p)[-2] - 3 * alignment;
    }
};

// `size` uninitialised elements at a 64-byte boundary, and a line that may be read
// after them. By hand: to ask the allocator for it takes longer than to pack a small
// layer.
template <class T> using AlignedBuffer = std::unique_ptr<T[], AlignedDelete>;

template <class T> AlignedBuffer<T> aligned_buffer(index size) {
    static_assert(std::is_trivial_v<T>);
    const std::size_t bytes =
        std::size_t(round_up(size * index(sizeof(T)), alignment)) + 3 * alignment;
    char* const block = static_cast<char*>(take_block(bytes));
    char* const p =
        block + 2 * alignment - reinterpret_cast<std::uintptr_t>(block) % alignment;
    reinterpret_cast<void**>(p)[-1] = block;
    reinterpret_cast<std::size_t*>(p)[-2] = bytes;
    return AlignedBuffer<T>(reinterpret_cast<T*>(p));
}

// Uninitialised memory for the length of a call, 64-byte aligned; calls may nest. A
// thread keeps what a call before needed, up to a limit, so that repeated calls fault
// no new pages.
class Scratch {
  public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    template <class T> T* take(std::initializer_list<index> sizes) {
        static_assert(std::is_trivial_v<T>);
        return static_cast<T*>(take_bytes(elements<T>(sizes) * index(sizeof(T))));
    }

  private:
    void* take_bytes(index bytes);

    struct Arena& arena_;  // the thread's own, looked up once
    const index used_before_, wanted_before_;
    std::vector<AlignedBuffer<char>> overflow_;
};

}  // namespace rnnext
