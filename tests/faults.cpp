// Allocations and threads that fail on request, for the tests of memory.
//
// Loaded into the global scope before the extension, its operator new is the one that
// the extension calls, and so is its start of a thread. NumPy is given `numpy_handler`.
// All of them count on one counter.
#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <system_error>

namespace {

std::atomic<long> taken{0}, failed{0}, live{0};
std::atomic<long> first{-1}, last{-1};  // of those that fail
std::atomic<bool> no_threads{false};

bool fails() {
    const long n = ++taken;
    if (n < first || n > last) return false;
    ++failed;
    return true;
}

void* counted(void* block) {
    if (block) ++live;
    return block;
}

void* take(std::size_t bytes, std::size_t alignment = 0) {
    if (fails()) throw std::bad_alloc();
    const std::size_t size = bytes ? bytes : 1;
    void* const block =
        alignment ? std::aligned_alloc(alignment,
                                       (size + alignment - 1) / alignment * alignment)
                  : std::malloc(size);
    if (!block) throw std::bad_alloc();
    return counted(block);
}

void give(void* block) {
    if (block) --live;
    std::free(block);
}

// As NumPy lays them out.
struct Allocator {
    void* context;
    void* (*malloc)(void*, std::size_t);
    void* (*calloc)(void*, std::size_t, std::size_t);
    void* (*realloc)(void*, void*, std::size_t);
    void (*free)(void*, void*, std::size_t);
};
struct Handler {
    char name[127];
    std::uint8_t version;
    Allocator allocator;
};

}  // namespace

void* operator new(std::size_t bytes) { return take(bytes); }
void* operator new[](std::size_t bytes) { return take(bytes); }
void* operator new(std::size_t bytes, std::align_val_t a) {
    return take(bytes, std::size_t(a));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    return fails() ? nullptr : counted(std::malloc(bytes ? bytes : 1));
}
void operator delete(void* block) noexcept { give(block); }
void operator delete[](void* block) noexcept { give(block); }
void operator delete(void* block, std::size_t) noexcept { give(block); }
void operator delete[](void* block, std::size_t) noexcept { give(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
    give(block);
}
void operator delete(void* block, std::align_val_t) noexcept { give(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { give(block); }

extern "C" {

// std::thread::_M_start_thread of libstdc++.
#define START_THREAD                                                                   \
    "_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_"             \
    "deleteIS1_EEPFvvE"
__attribute__((visibility("default"))) void start_thread(void* self, void* state,
                                                         void (*depend)()) asm(
    START_THREAD);
void start_thread(void* self, void* state, void (*depend)()) {
    if (no_threads || fails())
        throw std::system_error(
            std::make_error_code(std::errc::resource_unavailable_try_again));
    using Start = void (*)(void*, void*, void (*)());
    static const auto start = reinterpret_cast<Start>(dlsym(RTLD_NEXT, START_THREAD));
    start(self, state, depend);
}

Handler numpy_handler = {
    "rnnext_tests",
    1,
    {nullptr,
     [](void*, std::size_t bytes) {
         return fails() ? nullptr : counted(std::malloc(bytes ? bytes : 1));
     },
     [](void*, std::size_t n, std::size_t size) {
         return fails() ? nullptr : counted(std::calloc(n ? n : 1, size ? size : 1));
     },
     [](void*, void* block, std::size_t bytes) {
         return fails() ? nullptr : std::realloc(block, bytes ? bytes : 1);
     },
     [](void*, void* block, std::size_t) { give(block); }}};

// From now on the n-th fails, and with `all` everything after it.
void faults_arm(long n, int all) {
    taken = failed = 0;
    first = n;
    last = all ? 1L << 62 : n;
}

// Returns how many have failed.
long faults_disarm() {
    first = last = -1;
    return failed;
}

void faults_forbid_threads(int forbid) { no_threads = forbid; }
long faults_taken() { return taken; }
long faults_live() { return live; }
}
