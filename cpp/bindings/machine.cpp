// SPDX-License-Identifier: BSD-3-Clause
#include "../machine.hpp"

#include <limits>
#include <string>

#include "compute.hpp"
#include "register.hpp"

namespace rnnext {
namespace {

// Long enough that the interpreter's lock is released.
constexpr double long_work = std::numeric_limits<double>::infinity();

constexpr index most_bytes = index(1) << 32;

void check_threads(int threads) {
    if (threads < 1 || threads > max_threads)
        throw py::value_error("threads: expected 1 to " + std::to_string(max_threads) +
                              ", got " + std::to_string(threads));
}

double measured(double (*measure)(int), int threads) {
    check_threads(threads);
    double result = 0;
    compute(long_work, [&](Interrupt) { result = measure(threads); });
    return result;
}

double measure_peak(const std::string& dtype, int threads) {
    if (dtype == "float32") return measured(peak_flops<float>, threads);
    if (dtype == "float64") return measured(peak_flops<double>, threads);
    throw py::value_error("dtype: expected 'float32' or 'float64', got '" + dtype +
                          "'");
}

double measure_read(index bytes, int threads) {
    check_threads(threads);
    if (bytes < 1 || bytes > most_bytes)
        throw py::value_error("bytes: expected 1 to " + std::to_string(most_bytes) +
                              ", got " + std::to_string(bytes));
    double result = 0;
    compute(long_work, [&](Interrupt) { result = read_bandwidth(bytes, threads); });
    return result;
}

double measure_barrier(int threads) { return measured(barrier_seconds, threads); }

}  // namespace

void register_machine(py::module_& m) {
    m.def("measure_peak", measure_peak, py::arg("dtype"), py::arg("threads"));
    m.def("measure_read", measure_read, py::arg("bytes"), py::arg("threads"));
    m.def("measure_barrier", measure_barrier, py::arg("threads"));
}

}  // namespace rnnext
