// SPDX-License-Identifier: BSD-3-Clause
//
// The list of cells. A cell is algebra only: a struct with `kind` (its row of
// cell_traits) and two functions face to face, on SIMD values V; no loops, no pointers
// into tensors. What its equations leave open is the policy's (cells/policy.hpp).
//
//   forward(policy, a, prev, s) -> State
//       a: pre-activations by column; s: filled with what backward needs.
//   backward(policy, s, prev, now, d, da) -> State
//       d: gradient of the state after the step; da: filled with the gradient of a.
//       Returns the part of the gradient of `prev` that bypasses the recurrent weights.
//
// A cell whose second product reads something else than h has three functions more:
//
//   operand(policy, a, prev) -> V, operand_again(s, prev) -> V
//       what that product reads; the same from what was saved.
//   operand_backward(policy, s, prev, d_operand, da) -> V
//       completes da; returns what prev.h gets through the operand.
#pragma once

#include "cells/gru.hpp"
#include "cells/lstm.hpp"
#include "cells/rnn.hpp"

namespace rnnext::RNNEXT_NAMESPACE {

template <class... Cell> struct CellList {};

// In the order of CellKind.
using Cells = CellList<RnnTanh, RnnRelu, Lstm, Gru, GruResetBefore>;

}  // namespace rnnext::RNNEXT_NAMESPACE
