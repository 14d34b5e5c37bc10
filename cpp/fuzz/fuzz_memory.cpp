// SPDX-License-Identifier: BSD-3-Clause
//
// Sizes whose product no memory holds, scratch of calls within calls, and blocks that
// are given back and asked for again: all are as large as asked for, aligned, and
// nobody else's.
#include <limits>
#include <memory>
#include <vector>

#include "input.hpp"
#include "memory.hpp"

namespace rnnext {
namespace {

// Any size, often one where something ends.
index size_of(Input& in) {
    constexpr index most = std::numeric_limits<index>::max();
    const index edges[] = {0, 1, most, most / 8, most / 64, index(1) << 31, -1};
    const int kind = in.byte() % 16;
    if (kind < 7) return edges[kind] - in.number(0, 3);
    index bits = 0;
    for (int i = 0; i < kind - 7; ++i) bits = bits << 8 | in.byte();
    return bits;
}

template <class T> void check_sizes(Input& in) {
    const index sizes[] = {size_of(in), size_of(in), size_of(in)};
    bool sizes_exist = true, empty = false;
    __int128 product = 1;  // of all but zeros; beyond any memory it need not be exact
    for (const index size : sizes) {
        sizes_exist = sizes_exist && size >= 0;
        empty = empty || size == 0;
        if (size > 0 && product <= std::numeric_limits<index>::max()) product *= size;
    }
    try {
        const index got = elements<T>({sizes[0], sizes[1], sizes[2]});
        require(sizes_exist, "a size below zero is std::bad_alloc");
        require(got >= 0 && got <= max_bytes / index(sizeof(T)), "a size that exists");
        require(got == (empty ? 0 : product), "elements are the product of the sizes");
    } catch (const std::bad_alloc&) {
        // Even where a size of zero comes last.
        const bool fits = sizes_exist && product <= max_bytes / index(sizeof(T));
        require(!fits, "sizes that fit are no error");
    }
}

// Memory that only its owner writes to: its ends, or, where it is small, all of it.
struct Owned {
    unsigned char* at;
    index bytes;
    unsigned char mark;

    Owned(void* p, index bytes, unsigned char mark)
        : at(static_cast<unsigned char*>(p)), bytes(bytes), mark(mark) {
        require(reinterpret_cast<std::uintptr_t>(p) % alignment == 0, "aligned");
        for_each([&](unsigned char& byte) { byte = this->mark; });
    }
    void check() {
        for_each([&](unsigned char& byte) { require(byte == mark, "nobody else's"); });
    }
    template <class F> void for_each(F f) {
        const index step = bytes > 512 ? bytes - 1 : 1;
        for (index i = 0; i < bytes; i += step) f(at[i]);
    }
};

// A call, and the calls within it.
void check_scratch(Input& in, int depth) {
    Scratch scratch;
    std::vector<Owned> owned;
    while (const int what = in.byte() % 8) {
        if (what == 1 && depth < 4) {
            check_scratch(in, depth + 1);
        } else if (what == 2) {
            try {
                scratch.take<double>({index(1) << in.number(56, 62)});
                require(false, "too much is std::bad_alloc");
            } catch (const std::bad_alloc&) {}
        } else {
            const index bytes = in.byte() * (what == 3 ? 4096 : 1);
            owned.emplace_back(scratch.take<char>({bytes}), bytes, in.byte());
        }
    }
    for (Owned& each : owned) each.check();
}

void check_buffers(Input& in) {
    struct Buffer {
        AlignedBuffer<char> memory;
        Owned owned;
    };
    std::vector<Buffer> held;
    while (const int what = in.byte() % 8) {
        if (what < 4 && !held.empty()) {
            const auto which = std::size_t(in.byte()) % held.size();
            held[which].owned.check();
            held[which] = std::move(held.back());
            held.pop_back();
        } else if (held.size() < 12) {  // the larger ones are kept for who asks next
            const index bytes = (index(what) << 18) + in.number(0, 3);
            AlignedBuffer<char> memory = aligned_buffer<char>(bytes);
            const Owned owned(memory.get(), bytes, in.byte());
            held.push_back({std::move(memory), owned});
        }
    }
    for (Buffer& each : held) each.owned.check();
}

}  // namespace
}  // namespace rnnext

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace rnnext;
    Input in(data, size);
    switch (in.byte() % 4) {
    case 0:
        check_sizes<float>(in);
        break;
    case 1:
        check_sizes<double>(in);
        break;
    case 2:
        check_scratch(in, 0);
        break;
    default:
        check_buffers(in);
    }
    return 0;
}
