// SPDX-License-Identifier: BSD-3-Clause
//
// The extension module: chooses the instruction set, and gathers what the other files
// register. This room is the only one that knows pybind11.
#include <pybind11/stl.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "../dispatch.hpp"
#include "../pool.hpp"
#include "compute.hpp"
#include "register.hpp"

namespace rnnext {
namespace {

namespace py = pybind11;

void use_threads(int n) {
    if (n < 1 || n > max_threads)
        throw py::value_error("n: expected 1 to " + std::to_string(max_threads) +
                              " threads, got " + std::to_string(n));
    set_num_threads(n);
}

void register_all(py::module_& m) {
    const char* const forced = std::getenv("RNNEXT_ISA");
    try {
        select_isa(forced ? forced : "");
    } catch (const std::invalid_argument& error) {
        throw py::import_error(error.what());
    }

    m.attr("__version__") = RNNEXT_VERSION;

    find_main_thread();

    register_arrays(m);
    register_stack(m);
    register_coverage(m);
    register_network(m);
    register_stepper(m);
    register_dense(m);
    register_machine(m);
    register_course(m);

    m.def("set_num_threads", use_threads, py::arg("n"));
    m.def("get_num_threads", get_num_threads);
    m.def("assume_quick_threads", assume_quick_threads, py::arg("assume"));
    m.def("isa", isa);
    m.def("available_isas", available_isas);
    m.def("compiled_isas", compiled_isas);
    m.def("set_isa", select_isa, py::arg("name"));
    m.def("compiler", [] {
#if defined(__clang__)
        return "Clang " __clang_version__;
#else
        return "GCC " __VERSION__;
#endif
    });
    m.def("debug_build", [] {
#if defined(NDEBUG)
        return false;
#else
        return true;
#endif
    });
}

}  // namespace
}  // namespace rnnext

static bool in_main_interpreter() {
    return PyInterpreterState_Get() == PyInterpreterState_Main();
}
static constexpr char only_in_main[] =
    "rnnext: expected the main interpreter, got a sub-interpreter, "
    "which neither rnnext nor NumPy supports";

// Seen by the function below alone. Python 3.13 asks the main interpreter for the
// module, and fills it in the one that imports it.
#pragma push_macro("PYBIND11_EXPORT")
#undef PYBIND11_EXPORT
#define PYBIND11_EXPORT __attribute__((visibility("hidden")))
PYBIND11_MODULE(_core_of_main, m, pybind11::mod_gil_not_used()) {
    if (!in_main_interpreter()) throw pybind11::import_error(only_in_main);
    rnnext::register_all(m);
}
#pragma pop_macro("PYBIND11_EXPORT")

// pybind11 asks for the lock of the main interpreter before it looks where it is: in a
// sub-interpreter this thread would wait for itself for ever.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
    if (in_main_interpreter()) return PyInit__core_of_main();
    PyErr_SetString(PyExc_ImportError, only_in_main);
    return nullptr;
}
