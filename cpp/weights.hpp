// SPDX-License-Identifier: BSD-3-Clause
//
// The weights of one layer and direction, packed for one instruction set's kernels.
// What they are never changes: a layer keeps them until its parameters change, a cache
// holds those of its forward.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>

#include "memory.hpp"
#include "pool.hpp"

namespace rnnext {

// Panels of one packed matrix and their memory.
template <class T> struct PackedMatrix {
    AlignedBuffer<T> memory;
    Packed<T> panels{nullptr, 0, 0, 1};
};

// K rows by `units` columns, element (k, u) at src[k * k_stride + u * unit_stride].
template <class T>
PackedMatrix<T> pack_matrix(const Kernels<T>& kernels, index k, index units,
                            const T* src, index k_stride, index unit_stride);

// Elements that a packed matrix of `panels` panels takes.
template <class T>
index packed_size(const Kernels<T>& kernels, index k, index units, int panels);

template <class T> class Weights {
  public:
    // w_ih [G*H, I], w_hh [G*H, H], biases [G*H] or null, row-major, PyTorch's order.
    // options: of the cell, null if as its authors wrote it; peephole [3, H]. With a
    // projection w_hr [P, H], 0 < P < H: then w_hh is [G*H, P].
    Weights(CellKind kind, index input_size, index hidden_size, const T* w_ih,
            const T* w_hh, const T* b_ih, const T* b_hh,
            const CellOptions<T>* options = nullptr, index proj_size = 0,
            const T* w_hr = nullptr);

    const Kernels<T>& kernels;
    const CellKind kind;
    const CellTraits& traits;
    const index input_size, hidden_size;
    const index state_size;  // of h: P, or H

    index block_units() const { return 2 * kernels.lanes; }
    index blocks() const { return (hidden_size + block_units() - 1) / block_units(); }
    bool has_projection() const { return state_size != hidden_size; }
    index state_blocks() const {
        return (state_size + block_units() - 1) / block_units();
    }
    Range state_units(Range blocks) const {
        return {std::min(blocks.begin * block_units(), state_size),
                std::min(blocks.end * block_units(), state_size)};
    }
    index padded_units() const { return round_up(hidden_size, kernels.lanes); }
    // A row of pre-activations: columns in blocks, as the kernels read them.
    index row_size() const { return padded_units() * traits.columns; }
    // From one row to the next: of pre-activations, of states.
    index a_row() const { return row_stride<T>(row_size()); }
    index state_row() const { return row_stride<T>(hidden_size); }
    // Calls f(offset, width) for `column` of every block of such a row in a range.
    template <class F> void for_column(Range blocks, int column, F f) const {
        for (index b = blocks.begin; b < blocks.end; ++b) {
            const index left = hidden_size - b * block_units();
            const index width = left > kernels.lanes ? block_units() : kernels.lanes;
            f(b * block_units() * traits.columns + column * width, width);
        }
    }

    const CellOptions<T>* options() const { return options_ ? &*options_ : nullptr; }
    bool has_peephole() const { return options_ && options_->peephole; }
    const CellKernels<T>& cell() const {
        return kernels.cells[int(kind)][options_ ? 1 : 0];
    }
    // Values per unit that a cache keeps as `gates`, and gradients that backward writes
    // as `da`.
    int saved() const { return traits.saved + (options_ ? traits.gates : 0); }
    int gradients() const { return traits.columns + (has_peephole() ? 3 : 0); }

    index bytes() const;                     // of the parameters
    const T* bias() const { return bias_; }  // one row
    const Packed<T>& x() const { return x_; }
    const Packed<T>& h(int product) const { return h_[product]; }
    const Packed<T>& projection() const { return projection_; }

    // For backward: rows are columns of pre-activations (all H units of the first, then
    // of the next), columns are inputs or units of h. Across, unless packed so as well.
    Packed<T> x_transposed() const { return transposed(&Panels::x, x_); }
    Packed<T> h_transposed(int product) const {
        return transposed(product ? &Panels::h_1 : &Panels::h_0, h_[product]);
    }
    Packed<T> projection_transposed() const {
        return transposed(&Panels::projection, projection_);
    }
    // Packs them so, unless that is done: worth it for more than a few rows. Any thread
    // may at any time; those that take part in a scan may not.
    void transpose() const;

    // Counts calls, so that each may begin with what the one before left in the caches.
    // Results do not depend on it; any thread may ask.
    index next_turn() const {
        const index turn = __atomic_load_n(&turns_, __ATOMIC_RELAXED);
        __atomic_store_n(&turns_, turn + 1, __ATOMIC_RELAXED);
        return turn;
    }

  private:
    // The transposed matrices and their memory.
    struct Panels {
        AlignedBuffer<T> memory;
        Packed<T> x, h_0, h_1, projection;
    };
    // Who makes it leaves it here, once: nobody waits, in a forked child neither.
    class Published {
      public:
        Published() = default;
        Published(Published&& other) noexcept
            : panels_(other.panels_.exchange(nullptr)) {}
        ~Published() { delete panels_.load(); }
        const Panels* get() const { return panels_.load(std::memory_order_acquire); }
        void put(std::unique_ptr<Panels> panels);

      private:
        std::atomic<Panels*> panels_{nullptr};
    };

    Packed<T> transposed(Packed<T> Panels::* matrix, const Packed<T>& m) const {
        if (const Panels* const panels = transposed_.get()) return panels->*matrix;
        return {m.data, m.panels * m.units, m.k, m.panels, true};
    }
    // Of the matrix of the columns that `k` inputs feed: elements, place in memory, and
    // a thread's share of packing it.
    index size_of(Columns fed, index k) const;
    Packed<T> place(Columns fed, index k, T*& free) const;
    void pack(const Team& team, Columns fed, const T* w, const Packed<T>& m) const;
    void pack_projection(const Team& team, const T* w_hr) const;
    void pack_transposed(const Team& team, const Packed<T>& from,
                         const Packed<T>& to) const;
    void add_bias(Columns columns, const T* b);
    void keep_peephole(const T* from, T* to);

    AlignedBuffer<T> memory_;  // of all that follows
    T* bias_;
    std::optional<CellOptions<T>> options_;
    Packed<T> x_{}, h_[2]{}, projection_{};
    mutable Published transposed_;
    mutable index turns_ = 0;
};

}  // namespace rnnext
