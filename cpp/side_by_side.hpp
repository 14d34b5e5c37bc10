// SPDX-License-Identifier: BSD-3-Clause
//
// Layers, or the two directions of one, side by side: a thread takes one of them for a
// few steps, alone, then whichever has its input. For steps so small that threads which
// share one would mostly meet.
#pragma once

#include <vector>

#include "layer.hpp"

namespace rnnext {

enum class Order {
    any,       // none needs another's output: directions
    in_stack,  // each takes the output of the one before: layers
};

// Does all of it, or nothing and returns false, where other schedules take less time.
// Throws as forward of a layer.
template <class T>
bool side_by_side(const std::vector<LayerForward<T>>& layers, Order order,
                  Interrupt interrupt);

}  // namespace rnnext
