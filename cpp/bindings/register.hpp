// SPDX-License-Identifier: BSD-3-Clause
//
// What each file of this room adds to the module. The contract is
// python/rnnext/_core.pyi.
#pragma once

#include <pybind11/pybind11.h>

namespace rnnext {

void register_arrays(pybind11::module_& m);
void register_stack(pybind11::module_& m);
void register_coverage(pybind11::module_& m);
void register_network(pybind11::module_& m);
void register_stepper(pybind11::module_& m);
void register_dense(pybind11::module_& m);
void register_machine(pybind11::module_& m);
void register_course(pybind11::module_& m);

}  // namespace rnnext
