// SPDX-License-Identifier: BSD-3-Clause
//
// The products on small integers, where every sum is exact: all tails, strides and
// blocks of K must give equality with three naive loops.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "weights.hpp"

namespace rnnext {

namespace {

template <class T> std::vector<T> integers(index n, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<T> v(std::size_t(n), T(0));
    for (T& x : v) x = T(int(random() % 7) - 3);
    return v;
}

const std::vector<index> rows_tried = {0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 25};
const std::vector<index> units_tried = {1, 3, 4, 7, 8, 9, 16, 17, 31, 33, 65};
const std::vector<index> k_tried = {1, 2, 3, 4, 5, 127, 128, 129, 260};

// f(kernels) for every instruction set, with tiles of either height.
template <class T, class F> void for_all_kernels(F&& f) {
    for (const std::string& name : available_isas())
        for (const bool tall : {false, true}) {
            select_isa(name);
            if (!use_tall_tiles(tall) && tall) continue;
            CAPTURE(name);
            CAPTURE(tall);
            f(kernels<T>());
        }
    select_isa("");
}

}  // namespace

TEST_CASE_TEMPLATE("product_exact: c0 + A B", T, float, double) {
    for_all_kernels<T>([](const Kernels<T>& kernel) {
        for (const index rows : rows_tried)
            for (const index units : units_tried)
                for (const index k : k_tried) {
                    CAPTURE(rows);
                    CAPTURE(units);
                    CAPTURE(k);
                    const index a_row = k + 3, c_row = units + 2;
                    const auto a = integers<T>(rows * a_row, 1);
                    const auto b = integers<T>(k * units, 2);
                    const auto c0 = integers<T>(units, 3);
                    const auto packed =
                        pack_matrix(kernel, k, units, b.data(), units, 1);
                    std::vector<T> c(std::size_t(rows * c_row), T(99));
                    const index width = 2 * kernel.lanes;
                    kernel.product_exact(a.data(), a_row, rows, packed.panels,
                                         {0, (units + width - 1) / width}, c0.data(), 0,
                                         c.data(), c_row);
                    bool equal = true;
                    for (index m = 0; m < rows; ++m) {
                        for (index j = 0; j < units; ++j) {
                            T sum = c0[std::size_t(j)];
                            for (index i = 0; i < k; ++i)
                                sum += a[std::size_t(m * a_row + i)] *
                                       b[std::size_t(i * units + j)];
                            equal = equal && c[std::size_t(m * c_row + j)] == sum;
                        }
                        for (index j = units; j < c_row; ++j)
                            equal = equal && c[std::size_t(m * c_row + j)] == 99;
                    }
                    REQUIRE(equal);
                }
    });
}

TEST_CASE_TEMPLATE("gradient and column_sums: C (+)= A^T B, sums += A^T 1", T, float,
                   double) {
    for_all_kernels<T>([](const Kernels<T>& kernel) {
        std::vector<T> scratch(std::size_t(gradient_rows * kernel.row_tile));
        for (const index m : rows_tried)
            for (const index units : units_tried)
                for (const index k : k_tried) {
                    CAPTURE(m);
                    CAPTURE(units);
                    CAPTURE(k);
                    const index a_row = m + 5;
                    const auto a = integers<T>(k * a_row, 1);
                    const auto b = integers<T>(k * units, 2);
                    const auto packed =
                        pack_matrix(kernel, k, units, b.data(), units, 1);
                    const auto before = integers<T>((m + 2) * units, 4);
                    const bool add = k % 2 == 0;
                    auto c = before;
                    std::vector<T> sums(std::size_t(m + 2), T(5));
                    const Range range{1, m + 1};  // not from the first column
                    kernel.gradient(a.data(), a_row, range, packed.panels, add,
                                    c.data(), units, scratch.data());
                    kernel.column_sums(a.data(), a_row, k, range, sums.data());
                    bool equal = true;
                    for (index row = 0; row < m + 2; ++row) {
                        const bool inside = row >= range.begin && row < range.end;
                        T sum = 5;
                        for (index i = 0; i < k && inside; ++i)
                            sum += a[std::size_t(i * a_row + row)];
                        equal = equal && sums[std::size_t(row)] == sum;
                        for (index j = 0; j < units; ++j) {
                            T value = inside && !add
                                          ? T(0)
                                          : before[std::size_t(row * units + j)];
                            for (index i = 0; i < k && inside; ++i)
                                value += a[std::size_t(i * a_row + row)] *
                                         b[std::size_t(i * units + j)];
                            equal = equal && c[std::size_t(row * units + j)] == value;
                        }
                    }
                    REQUIRE(equal);
                }
    });
}

TEST_CASE_TEMPLATE("packing rows or columns of the source gives the same", T, float,
                   double) {
    for (const std::string& name : available_isas()) {
        select_isa(name);
        CAPTURE(name);
        const Kernels<T>& kernel = kernels<T>();
        for (const index units : units_tried)
            for (const index k : {1, 5, 16, 37}) {
                CAPTURE(units);
                CAPTURE(k);
                const auto b = integers<T>(k * units, 2);  // [k][units]
                std::vector<T> turned(b.size());
                for (index i = 0; i < k; ++i)
                    for (index j = 0; j < units; ++j)
                        turned[std::size_t(j * k + i)] = b[std::size_t(i * units + j)];
                const auto rows = pack_matrix(kernel, k, units, b.data(), units, 1);
                const auto columns = pack_matrix(kernel, k, units, turned.data(), 1, k);
                const index size = packed_size(kernel, k, units, 1);
                REQUIRE(std::equal(rows.memory.get(), rows.memory.get() + size,
                                   columns.memory.get()));
            }
    }
}

TEST_CASE_TEMPLATE("a matrix that lies across gives the bits of one that does not", T,
                   float, double) {
    for (const std::string& name : available_isas()) {
        select_isa(name);
        CAPTURE(name);
        const Kernels<T>& kernel = kernels<T>();
        std::mt19937 random(5);
        std::normal_distribution<T> normal;
        const auto reals = [&](index n) {
            std::vector<T> v(std::size_t(n), T(0));
            for (T& x : v) x = normal(random);
            return v;
        };
        for (const index rows : {0, 1, 2, 7})
            for (const index units : {1, 8, 17, 64, 130, 300})
                for (const index inner : {1, 5, 32, 45, 64})
                    for (const int panels : {1, 3, 4}) {
                        CAPTURE(rows);
                        CAPTURE(units);
                        CAPTURE(inner);
                        CAPTURE(panels);
                        const index k = panels * inner;
                        const auto b = reals(k * units);  // [k][units]
                        const auto packed =
                            pack_matrix(kernel, k, units, b.data(), units, 1);
                        const auto lying = aligned_buffer<T>(
                            packed_size(kernel, units, inner, panels));
                        for (int p = 0; p < panels; ++p)
                            kernel.pack(lying.get(), units, inner, panels, p, 0, units,
                                        b.data() + p * inner * units, 1, units);
                        const Packed<T> across{lying.get(), k, units, panels, true};

                        const index a_row = k + 3, c_row = round_up(units, 16) + 16;
                        const index width = 2 * kernel.lanes;
                        const Range all{0, (units + width - 1) / width};
                        const auto a = reals(rows * a_row), c0 = reals(rows * c_row);
                        for (const bool exact : {false, true})
                            for (const index c0_row : {index(0), c_row}) {
                                if (c0_row == 0 && rows == 0) continue;
                                const auto product = [&](const Packed<T>& m, Range r) {
                                    std::vector<T> c(std::size_t(rows * c_row), T(99));
                                    if (exact)
                                        kernel.product_exact(a.data(), a_row, rows, m,
                                                             r, c0.data(), c0_row,
                                                             c.data(), c_row);
                                    else
                                        kernel.product(a.data(), a_row, rows, m, r,
                                                       c0.data(), c0_row, c.data(),
                                                       c_row, 0, 1);
                                    return c;
                                };
                                for (const Range r :
                                     {all, Range{all.end / 2, all.end}, Range{0, 1}})
                                    REQUIRE(product(across, r) ==
                                            product(packed.panels, r));
                            }
                    }
    }
}

TEST_CASE("sizes that overflow are refused") {
    CHECK_THROWS_AS(elements<double>({index(1) << 40, index(1) << 40}), std::bad_alloc);
    CHECK_THROWS_AS(elements<double>({index(1) << 61}), std::bad_alloc);
    CHECK(elements<float>({3, 0, 5}) == 0);
}

}  // namespace rnnext
