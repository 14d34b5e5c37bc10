// SPDX-License-Identifier: BSD-3-Clause
//
// The Python class Coverage: which steps of which sequences a call computes.
#pragma once

#include "stack.hpp"

namespace rnnext {

struct PyCoverage : Zeroed, Coverage {
    index T_, N;

    // Rows that a layer keeps: of states in a direction, of gates.
    index states(index d) const { return runs[std::size_t(d)].count() + rows(); }
    index rows() const { return runs[0].rows(); }
};

// None is null.
inline const PyCoverage* optional_coverage(const py::object& object) {
    if (object.is_none()) return nullptr;
    if (!py::isinstance<PyCoverage>(object))
        throw py::type_error("coverage: expected a Coverage or None");
    return &py::cast<const PyCoverage&>(object);
}

// The same; another T, N or number of directions is an error.
inline const PyCoverage* coverage_of(const py::object& object, index T_, index N,
                                     index D) {
    const PyCoverage* const found = optional_coverage(object);
    if (!found) return nullptr;
    const PyCoverage& coverage = *found;
    if (coverage.T_ != T_ || coverage.N != N || index(coverage.runs.size()) != D)
        throw py::value_error("coverage: expected one of T=" + std::to_string(T_) +
                              ", N=" + std::to_string(N) + ", D=" + std::to_string(D));
    return found;
}

}  // namespace rnnext
