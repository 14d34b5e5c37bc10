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

template <class T> const Kernels<T>& kernels();

}  // namespace rnnext
