// SPDX-License-Identifier: BSD-3-Clause
//
// What this machine can do at most: arithmetic, reading, meeting. Each call measures
// for about 0.1 s, in many short bursts of which the best counts, so that a neighbour's
// load does not lower it. All throw std::runtime_error where `threads` threads are not
// to be had: with another job under way, say.
#pragma once

#include "kernels.hpp"

namespace rnnext {

// Multiply-adds per second of `threads` threads at once, counted as 2, through the
// instruction set in use.
template <class T> double peak_flops(int threads);

// Bytes per second of `threads` threads at once, each reading `bytes` of its own again
// and again; std::bad_alloc where that much memory is not to be had.
double read_bandwidth(index bytes, int threads);

// Seconds that `threads` threads take to meet once.
double barrier_seconds(int threads);

}  // namespace rnnext
