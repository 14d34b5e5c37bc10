// SPDX-License-Identifier: BSD-3-Clause
#include "course.hpp"

#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "memory.hpp"
#include "schedule.hpp"

namespace rnnext {
namespace {

// A copied element takes about the time of so many operations.
constexpr double flops_per_element = 8;
constexpr index elements_at_once = 2048;
constexpr index elements_per_piece = index(1) << 23;  // about 10 ms

// to[j * to_row + i] = from[i * feature + j * row], in strips of a cache line of `to`.
template <class T>
void transpose(const T* from, index feature, index row, index features, index rows,
               T* to, index to_row) {
    const auto strip = [&](index first, auto width) {
        for (index j = 0; j < rows; ++j)
            for (index i = first; i < first + width; ++i)
                to[j * to_row + i] = from[i * feature + j * row];
    };
    using Line = std::integral_constant<index, index(alignment / sizeof(T))>;
    index first = 0;
    for (; first + Line() <= features; first += Line()) strip(first, Line());
    strip(first, features - first);
}

}  // namespace

template <class T>
void to_rows(const FeatureFirst<T>& from, index rows, index features, T* to) {
    if (from.feature != 1)
        return transpose(from.data, from.feature, from.row, features, rows, to,
                         features);
    for (index n = 0; n < rows; ++n)
        std::copy_n(from.data + n * from.row, features, to + n * features);
}

template <class T>
void to_time_major(const FeatureFirst<T>& from, index T_, index N, index features,
                   T* to, Interrupt interrupt) {
    const index step = N * features;
    if (T_ * step == 0) return;
    // With time running fastest, whole sequences are turned; else whole steps.
    const bool sequences = T_ > 1 && std::abs(from.time) < std::abs(from.row) &&
                           std::abs(from.time) < std::abs(from.feature);
    const index count = sequences ? N : T_, size = sequences ? T_ * features : step;
    const auto copy = [&](index i) {
        if (sequences)
            transpose(from.data + i * from.row, from.feature, from.time, features, T_,
                      to + i * features, step);
        else
            to_rows({from.data + i * from.time, from.feature, from.row, 0}, N, features,
                    to + i * step);
    };
    if (T_ * step < elements_at_once) {
        for (index i = 0; i < count; ++i) copy(i);
        return;
    }
    in_pieces(count, std::max<index>(1, elements_per_piece / size), interrupt,
              [&](Range piece) {
                  const index n = piece.end - piece.begin;
                  const double flops = flops_per_element * double(n) * double(size);
                  run_parallel(crew_for(flops), [&](const Team& team) {
                      const Range mine = team.share(n);
                      for (index i = mine.begin; i < mine.end; ++i)
                          copy(piece.begin + i);
                  });
              });
}

template void to_rows(const FeatureFirst<float>&, index, index, float*);
template void to_rows(const FeatureFirst<double>&, index, index, double*);
template void to_time_major(const FeatureFirst<float>&, index, index, index, float*,
                            Interrupt);
template void to_time_major(const FeatureFirst<double>&, index, index, index, double*,
                            Interrupt);

}  // namespace rnnext
