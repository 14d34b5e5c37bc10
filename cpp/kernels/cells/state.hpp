// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "../../kernels.hpp"
#include "../math.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

// One vector of hidden units: h, and c where the cell has one.
template <class V> struct State {
    V h, c;
};

}  // namespace rnnext::RNNEXT_NAMESPACE
