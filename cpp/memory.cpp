// SPDX-License-Identifier: BSD-3-Clause
#include "memory.hpp"

#include <algorithm>

namespace rnnext {
namespace {

constexpr index keep_at_most = index(64) << 20;  // bytes a thread holds between calls

// A stack of bytes; `wanted` counts what did not fit as well.
struct Arena {
    AlignedBuffer<char> bytes;
    index size = 0, used = 0, wanted = 0, most_wanted = 0;
};

thread_local Arena arena;

}  // namespace

Scratch::Scratch() : used_before_(arena.used), wanted_before_(arena.wanted) {}

Scratch::~Scratch() {
    arena.used = used_before_;
    arena.wanted = wanted_before_;
    if (wanted_before_ > 0 || arena.most_wanted <= arena.size) return;
    // The outermost call is over and found too little: be ready for the next.
    const index size = arena.most_wanted;
    arena.most_wanted = 0;
    if (size > keep_at_most) return;
    overflow_.clear();
    arena.bytes.reset();
    arena.size = 0;
    try {
        arena.bytes = aligned_buffer<char>(size);
        arena.size = size;
    } catch (const std::bad_alloc&) {
        // The next call allocates what it needs.
    }
}

void* Scratch::take_bytes(index bytes) {
    bytes = round_up(std::max<index>(bytes, 1), alignment);
    arena.wanted += bytes;
    arena.most_wanted = std::max(arena.most_wanted, arena.wanted);
    if (arena.size - arena.used >= bytes) {
        void* const p = arena.bytes.get() + arena.used;
        arena.used += bytes;
        return p;
    }
    overflow_.push_back(aligned_buffer<char>(bytes));
    return overflow_.back().get();
}

}  // namespace rnnext
