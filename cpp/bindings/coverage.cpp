// SPDX-License-Identifier: BSD-3-Clause
#include "coverage.hpp"

#include "constructor.hpp"
#include "register.hpp"

namespace rnnext {
namespace {

PyCoverage make(index T_, index N, const py::object& lengths, const py::object& mask,
                const py::object& reset, const py::object& reverse, bool hold) {
    if (T_ < 0 || N < 0) throw py::value_error("coverage: expected T, N >= 0");
    Extent extent{T_, N};
    extent.lengths = optional_data<index>(lengths, "lengths", {N});
    extent.mask = optional_data<bool>(mask, "mask", {T_, N});
    extent.reset = optional_data<bool>(reset, "reset", {T_, N});
    for (index n = 0; extent.lengths && n < N; ++n)
        if (extent.lengths[n] < 0 || extent.lengths[n] > T_)
            throw py::value_error("lengths: expected 0 to T=" + std::to_string(T_) +
                                  ", got " + std::to_string(extent.lengths[n]) +
                                  " for sequence " + std::to_string(n));
    PyCoverage made{};
    made.T_ = T_;
    made.N = N;
    made.hold = hold;
    for (const auto& backwards : items(reverse, "reverse"))
        made.runs.emplace_back(extent, py::cast<bool>(backwards));
    if (made.runs.empty()) throw py::value_error("reverse: expected one a direction");
    return made;
}

const Runs& direction(const PyCoverage& coverage, index d) {
    if (d < 0 || d >= index(coverage.runs.size()))
        throw py::value_error("direction: expected 0 or 1");
    return coverage.runs[std::size_t(d)];
}

// [T, N]: the row that a step keeps, by time, or -1.
py::object rows(const PyCoverage& coverage, index d) {
    const Runs& runs = direction(coverage, d);
    index* row;
    py::object made = empty<index>({coverage.T_, coverage.N}, row);
    std::fill_n(row, coverage.T_ * coverage.N, index(-1));
    for (index r = 0; r < runs.rows(); ++r) row[runs.source[std::size_t(r)]] = r;
    return made;
}

// [N]: a row of kept states that holds a sequence's initial one.
py::object starts(const PyCoverage& coverage, index d) {
    const Runs& runs = direction(coverage, d);
    index* start;
    py::object made = empty<index>({coverage.N}, start);
    for (index i = 0; i < runs.count(); ++i) start[runs.sequence[std::size_t(i)]] = i;
    return made;
}

}  // namespace

void register_coverage(py::module_& m) {
    py::class_<PyCoverage> coverage(m, "Coverage", py::is_final());
    def_constructor(coverage, &make, py::arg("T"), py::arg("N"), py::arg("lengths"),
                    py::arg("mask"), py::arg("reset"), py::arg("reverse"),
                    py::arg("hold"));
    coverage.def_property_readonly("steps", [](const PyCoverage& c) { return c.T_; })
        .def_property_readonly("batch_size", [](const PyCoverage& c) { return c.N; })
        .def("rows", &rows, py::arg("direction"))
        .def("starts", &starts, py::arg("direction"));
}

}  // namespace rnnext
