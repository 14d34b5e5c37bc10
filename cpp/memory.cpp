// SPDX-License-Identifier: BSD-3-Clause
#include "memory.hpp"

#include <algorithm>
#include <atomic>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace rnnext {
namespace {

constexpr index keep_at_most = index(64) << 20;  // bytes a thread holds between calls

}  // namespace

// A stack of bytes; `wanted` counts what did not fit as well.
struct Arena {
    AlignedBuffer<char> bytes;
    index size = 0, used = 0, wanted = 0, most_wanted = 0;
};

namespace {

thread_local Arena arena;

// Blocks that were given back, oldest first. It outlives all who might give something
// back, and who finds it taken does without: no thread waits, and none is in a forked
// child what it was in the parent.
class Shelf {
  public:
    void* take(std::size_t bytes) {
        const Turn turn(busy_);
        if (!turn.ours) return nullptr;
        for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
            if (block->bytes != bytes) continue;
            void* const found = block->data;
            held_ -= bytes;
            blocks_.erase(block);
            return found;
        }
        return nullptr;
    }

    // False: not kept.
    bool put(void* data, std::size_t bytes) {
        const Turn turn(busy_);
        if (!turn.ours || bytes > most) return false;
        while (held_ + bytes > most || blocks_.size() == blocks_.capacity()) {
            ::operator delete(blocks_.front().data);
            held_ -= blocks_.front().bytes;
            blocks_.erase(blocks_.begin());
        }
        blocks_.push_back({data, bytes});
        held_ += bytes;
        return true;
    }

    static constexpr std::size_t least = std::size_t(1) << 20, most = std::size_t(64)
                                                                      << 20;

    static Shelf& instance() {
        static Shelf* const shelf = new Shelf;
        return *shelf;
    }

  private:
    struct Block {
        void* data;
        std::size_t bytes;
    };
    struct Turn {
        explicit Turn(std::atomic_flag& busy)
            : ours(!busy.test_and_set(std::memory_order_acquire)), busy_(busy) {}
        ~Turn() {
            if (ours) busy_.clear(std::memory_order_release);
        }
        const bool ours;
        std::atomic_flag& busy_;
    };

    Shelf() { blocks_.reserve(16); }

    std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
    std::vector<Block> blocks_;
    std::size_t held_ = 0;
};

// As NumPy does for its arrays: fewer pages to fault, where the system has large ones.
void advise_large_pages([[maybe_unused]] void* block,
                        [[maybe_unused]] std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = 4096, least = std::uintptr_t(4) << 20;
    if (bytes < least) return;
    const std::uintptr_t begin =
        (reinterpret_cast<std::uintptr_t>(block) + page - 1) & ~(page - 1);
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(block) + bytes;
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace

void* take_block(std::size_t bytes) {
    if (bytes >= Shelf::least)
        if (void* const kept = Shelf::instance().take(bytes)) return kept;
    void* const fresh = ::operator new(bytes);
    advise_large_pages(fresh, bytes);
    return fresh;
}

void give_back(void* block, std::size_t bytes) noexcept {
    if (bytes >= Shelf::least && Shelf::instance().put(block, bytes)) return;
    ::operator delete(block);
}

Scratch::Scratch()
    : arena_(arena), used_before_(arena_.used), wanted_before_(arena_.wanted) {}

Scratch::~Scratch() {
    arena_.used = used_before_;
    arena_.wanted = wanted_before_;
    if (wanted_before_ > 0 || arena_.most_wanted <= arena_.size) return;
    // The outermost call is over and found too little: be ready for the next.
    const index size = arena_.most_wanted;
    arena_.most_wanted = 0;
    if (size > keep_at_most) return;
    overflow_.clear();
    arena_.bytes.reset();
    arena_.size = 0;
    try {
        arena_.bytes = aligned_buffer<char>(size);
        arena_.size = size;
    } catch (const std::bad_alloc&) {
        // The next call allocates what it needs.
    }
}

void* Scratch::take_bytes(index bytes) {
    bytes = round_up(std::max<index>(bytes, 1), alignment);
    arena_.wanted += bytes;
    arena_.most_wanted = std::max(arena_.most_wanted, arena_.wanted);
    if (arena_.size - arena_.used >= bytes) {
        void* const p = arena_.bytes.get() + arena_.used;
        arena_.used += bytes;
        return p;
    }
    overflow_.push_back(aligned_buffer<char>(bytes));
    return overflow_.back().get();
}

}  // namespace rnnext
