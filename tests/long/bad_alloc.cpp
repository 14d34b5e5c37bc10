// SPDX-License-Identifier: BSD-3-Clause
//
// Preloaded before AddressSanitizer, whose operator new ends the process where there is
// no memory: this one throws, as everywhere, so that tests of absurd sizes run.
#include <cstdlib>
#include <new>

void* operator new(std::size_t size) {
    if (void* block = std::malloc(size > 0 ? size : 1)) return block;
    throw std::bad_alloc();
}

void* operator new[](std::size_t size) { return operator new(size); }
