// SPDX-License-Identifier: BSD-3-Clause
//
// gemm/<isa>/<dtype>/<product>/rows:<M>/k:<K>: the micro-kernel at every tile height.
//
//   product_exact  one panel; k = 64 and 256 stay in the nearest cache, 1024 does not
//   product        4 panels to a block (an LSTM's gates), 128 units: second-level cache
//   gradient       C += A^T B, 128 units
//
// On small integers, whose sums are exact: any difference from the naive loop is wrong.
#include "bench.hpp"
#include "weights.hpp"

namespace rnnext {
namespace {

struct Size {
    index rows, k;
};

constexpr index many_units = 128;

// One product: operands, the call, and the naive loop over the same operands.
template <class T> class Product {
  public:
    Product(index units_, int panels_, Size size, index a_size, index c_size)
        : rows(size.rows), k(size.k), units(units_), panels(panels_),
          a(integers<T>(a_size, 1)), b(integers<T>(panels_ * k * units_, 2)),
          c0(integers<T>(panels_ * units_, 3)), c(std::size_t(c_size), T(0)),
          memory(aligned_buffer<T>(packed_size(kernel, k, units, panels))),
          packed{memory.get(), k, units, panels} {
        for (int p = 0; p < panels; ++p)
            kernel.pack(memory.get(), k, units, panels, p, 0, k,
                        b.data() + p * k * units, units, 1);
    }

    index blocks() const { return units / (2 * kernel.lanes); }
    double flops() const { return 2.0 * double(rows * k * units) * panels; }
    double packed_bytes() const { return double(k * units * panels) * sizeof(T); }

    const Kernels<T>& kernel = kernels<T>();
    const index rows, k, units;
    const int panels;
    Array<T> a, b, c0, c;  // b [panels][k][units]
    AlignedBuffer<T> memory;
    Packed<T> packed;
};

template <class T> struct Exact : Product<T> {
    explicit Exact(Size s)
        : Product<T>(2 * kernels<T>().lanes, 1, s, s.rows * s.k,
                     s.rows * 2 * kernels<T>().lanes) {}

    void run() {
        this->kernel.product_exact(this->a.data(), this->k, this->rows, this->packed,
                                   {0, 1}, this->c0.data(), 0, this->c.data(),
                                   this->units);
    }

    bool right() const {
        for (index m = 0; m < this->rows; ++m)
            for (index j = 0; j < this->units; ++j) {
                T sum = this->c0[std::size_t(j)];
                for (index i = 0; i < this->k; ++i)
                    sum += this->a[std::size_t(m * this->k + i)] *
                           this->b[std::size_t(i * this->units + j)];
                if (this->c[std::size_t(m * this->units + j)] != sum) return false;
            }
        return true;
    }
};

template <class T> struct Gates : Product<T> {
    explicit Gates(Size s)
        : Product<T>(many_units, 4, s, s.rows * s.k, s.rows * 4 * many_units) {}

    index c_row() const { return this->panels * this->units; }

    void run() {
        this->kernel.product(this->a.data(), this->k, this->rows, this->packed,
                             {0, this->blocks()}, this->c0.data(), 0, this->c.data(),
                             c_row(), 0, this->panels);
    }

    bool right() const {
        const index width = 2 * this->kernel.lanes;
        for (index m = 0; m < this->rows; ++m)
            for (index at = 0; at < c_row(); ++at) {
                // A row of C: [block][panel][unit of the block].
                const index block = at / (width * this->panels);
                const index p = at / width % this->panels;
                const index unit = block * width + at % width;
                const T* b = &this->b[std::size_t(p * this->k * this->units + unit)];
                T sum = this->c0[std::size_t(at)];
                for (index i = 0; i < this->k; ++i)
                    sum += this->a[std::size_t(m * this->k + i)] * b[i * this->units];
                if (this->c[std::size_t(m * c_row() + at)] != sum) return false;
            }
        return true;
    }
};

template <class T> struct Gradient : Product<T> {
    explicit Gradient(Size s)
        : Product<T>(many_units, 1, s, s.rows * s.k, s.rows * many_units),
          scratch(std::size_t(gradient_rows * kernels<T>().row_tile)) {}

    void run() {
        this->kernel.gradient(this->a.data(), this->rows, {0, this->rows}, this->packed,
                              false, this->c.data(), this->units, scratch.data());
    }

    bool right() const {
        for (index m = 0; m < this->rows; ++m)
            for (index j = 0; j < this->units; ++j) {
                T sum = 0;
                for (index i = 0; i < this->k; ++i)
                    sum += this->a[std::size_t(i * this->rows + m)] *
                           this->b[std::size_t(i * this->units + j)];
                if (this->c[std::size_t(m * this->units + j)] != sum) return false;
            }
        return true;
    }

    Array<T> scratch;
};

template <class T, template <class> class Kind>
void add_product(const std::string& isa, const char* name, Size size) {
    add("gemm/" + isa + "/" + dtype<T>() + "/" + name +
            "/rows:" + std::to_string(size.rows) + "/k:" + std::to_string(size.k),
        [isa, size](benchmark::State& state) {
            select_isa(isa);
            Kind<T> product(size);
            product.run();
            if (!product.right()) return fail(state);
            const double peak = core_peak<T>();
            const double seconds = timed(state, [&] { product.run(); });
            state.counters["GFLOP/s"] = product.flops() / seconds * 1e-9;
            state.counters["of_peak"] = product.flops() / seconds / peak;
            state.counters["B_KiB"] = product.packed_bytes() / 1024;
        });
}

}  // namespace

void register_gemm() {
    for_isas_and_dtypes([](const std::string& isa, auto zero) {
        using T = decltype(zero);
        select_isa(isa);
        const index tile = kernels<T>().row_tile;
        for (const index k : {64, 256, 1024})
            for (index rows = 1; rows <= tile; ++rows)
                add_product<T, Exact>(isa, "product_exact", {rows, k});
        for (index rows = 1; rows <= tile; ++rows)
            add_product<T, Gates>(isa, "product", {rows, 256});
        add_product<T, Gates>(isa, "product", {8 * tile, 256});
        for (index rows = 1; rows <= tile; ++rows)
            add_product<T, Gradient>(isa, "gradient", {rows, 512});
        add_product<T, Gradient>(isa, "gradient", {8 * tile, 512});
    });
}

}  // namespace rnnext
