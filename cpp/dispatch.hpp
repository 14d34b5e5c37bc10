// SPDX-License-Identifier: BSD-3-Clause
//
// Which instruction set computes: chosen once, at import.
#pragma once

#include <string>
#include <vector>

#include "kernels.hpp"

namespace rnnext {

// Best first.
std::vector<std::string> compiled_isas();
std::vector<std::string> available_isas();

const std::string& isa();

// Empty: the best that this CPU runs. Throws std::invalid_argument, listing the
// choices.
void select_isa(const std::string& name);

// Of the set in use, until the next selection: many rows in its tallest tiles, or in
// those whose sums stay in registers. Until then it is as the processor has it faster;
// false where the set has no choice.
bool use_tall_tiles(bool tall);

template <class T> const Kernels<T>& kernels();

}  // namespace rnnext
