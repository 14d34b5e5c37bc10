// SPDX-License-Identifier: BSD-3-Clause
//
// The door between the two wings: plain structs and function pointers. The upper wing
// (ordinary C++) fills the structs and owns all memory; the kernel wing (compiled once
// per instruction set) computes. Included by both, so nothing here may generate code.
//
// Letters: T steps, N batch, I input size, H hidden size, G gates. A *column* is one
// pre-activation per hidden unit (LSTM: i f g o); a *block* is up to 2 vectors of
// hidden units, the grain in which work is divided among units.
#pragma once

#include <stddef.h>

namespace rnnext {

using index = ptrdiff_t;

struct Range {
    index begin, end;
};

// Where threads that share a scan meet: once per time step and phase. Null wait: alone.
struct Sync {
    void (*wait)(void* context);
    void* context;
};

enum class CellKind : int { rnn_tanh, rnn_relu, lstm, gru, gru_reset_before };
constexpr int cell_kinds = 5;

// A run of neighbouring columns, fed by one product.
struct Columns {
    int first, count;
};

// What both wings know of a cell to lay out memory and weights.
struct CellTraits {
    const char* name;
    int gates;       // weight rows are gates * H, in PyTorch's order
    int columns;     // pre-activations per unit
    int saved;       // values per unit kept for backward, activated gates first
    bool has_c;      // carries a cell state besides h
    Columns x;       // columns fed by the input projection
    Columns h[2];    // fed by h, and by the cell's own operand (r * h); count 0: none
    int gate_of[4];  // column -> gate
};

// In the order of CellKind. The candidate of "gru" needs its two products apart, so its
// columns are n r z q with x feeding n r z, and h feeding r z q.
constexpr CellTraits cell_traits[cell_kinds] = {
    {"rnn_tanh", 1, 1, 0, false, {0, 1}, {{0, 1}, {0, 0}}, {0}},
    {"rnn_relu", 1, 1, 0, false, {0, 1}, {{0, 1}, {0, 0}}, {0}},
    {"lstm", 4, 4, 4, true, {0, 4}, {{0, 4}, {0, 0}}, {0, 1, 2, 3}},
    {"gru", 3, 4, 4, false, {0, 3}, {{1, 3}, {0, 0}}, {2, 0, 1, 2}},
    {"gru_reset_before", 3, 3, 3, false, {0, 3}, {{0, 2}, {2, 1}}, {0, 1, 2}},
};

// ONNX's activations, with its letters alpha and beta.
enum class ActivationKind : int {
    relu,
    tanh,
    sigmoid,
    affine,            // alpha x + beta
    leaky_relu,        // x, below zero alpha x
    thresholded_relu,  // x, below alpha 0
    scaled_tanh,       // alpha tanh(beta x)
    hard_sigmoid,      // alpha x + beta, between 0 and 1
    elu,               // x, below zero alpha (e^x - 1)
    softsign,          // x / (1 + |x|)
    softplus,          // log(1 + e^x)
};

template <class T> struct Activation {
    ActivationKind kind;
    T alpha, beta;
};

// What a cell computes other than its authors wrote. Infinite clips: none.
template <class T> struct CellOptions {
    Activation<T> activation[5];  // of the gates in PyTorch's order, then of c
    T gate_clip;                  // bounds what goes into the gates' activations
    T cell_clip;                  // bounds c
    bool coupled;                 // the forget gate is 1 - i
    const T* peephole;            // rows for i, f, o, of whole vectors; or null
    index peephole_row;
};

// A matrix of K rows packed for the micro-kernel. Its columns come in blocks of 2
// vectors of units (the last block may be 1 vector wide); within a block, `panels`
// panels (one per gate) follow each other, each [K][width], 64-byte aligned, padded
// with zeros. Packed and read by the kernels of one instruction set only.
//
// `across`: the data are those of its transpose, `units` rows by k / panels units in
// each panel, whose panels follow each other in k. Of a few rows a product takes less
// time so than packing takes; it has the same bits.
template <class T> struct Packed {
    const T* data;
    index k, units;
    int panels;
    bool across = false;
};

// One time step: how many sequences take part, the first of the chunk's, and which row
// is that of the first sequence in arrays that hold a row for each sequence and step.
struct Step {
    index rows;
    index a;       // pre-activations and their gradients
    index y;       // outputs and their gradients
    index before;  // states, those that the step starts from
    index kept;    // what the step leaves for backward
};

// One chunk of time steps of one direction, for rows (sequences) from the chunk's first
// on; strides are in elements.
template <class T> struct ForwardScan {
    index steps, units;
    const Step* step;  // in order of computation
    Packed<T> w[2];    // recurrent weights, one per CellTraits::h
    const CellOptions<T>* options;

    // Pre-activations, columns in blocks: in, the input projection and the biases;
    // overwritten.
    T* a;
    index a_row;

    // States, rows of whole vectors `state_row` apart. h has two slots, used in turn:
    // step s of the call reads slot s & 1; c is updated in place, null without one.
    T *h, *c;
    index state_row, slot;
    index first_step;

    // Where to keep the states after each step, rows of H, and the saved values, rows
    // of [saved][H], with options [saved + gates][H]: the slopes of the activations;
    // or null.
    T *kept_h, *kept_c, *saved;

    T* y;  // output
    index y_row;

    T* operand;  // [rows][state_row] scratch, for cells with a second product

    // Of dropout: factors of h where products read it, rows as those of h, and h times
    // them, in slots as h; or null.
    const T* factors;
    T* dropped;

    // Of a projection to fewer units, which then are what h, kept_h and y have: the
    // caller's blocks of them, the weights, scratch [rows][state_row] for what is
    // projected, and zeros. Null data: none.
    Range projected;
    Packed<T> projection;
    T* unprojected;
    const T* zeros;
};

template <class T> struct BackwardScan {
    index steps, units;
    const Step* step;  // in order of computation
    Packed<T> w[2];    // transposed recurrent weights: K = count * H
    const CellOptions<T>* options;

    // What forward kept: the states before the steps and after, and the saved values.
    const T *h, *c;
    const T *kept_h, *kept_c, *saved;

    const T* dy;  // or null
    index dy_row;
    const T* dc_all;  // gradient of every c, rows as they were kept, or null

    T *dh, *dc;   // carried gradients [rows][d_row]
    index d_row;  // at least H rounded up to whole vectors

    // Out: rows of columns * H, and with peepholes 3 * H more, the terms of their
    // gradients: the gradient of a gate times the c that it sees.
    T* da;
    index da_row;

    // operand, out, of cells with a second product: r * h, rows of H as those of da.
    // d_operand: scratch [rows][d_row], of these, of cells that h bypasses, and for
    // dropout; zeros: d_row of them.
    T* operand;
    T* d_operand;
    const T* zeros;

    // Of dropout, which needs the scratch and the zeros, too: the factors, rows of
    // d_row, and, out, h times them, rows of H as those of da; or null.
    const T* factors;
    T* dropped;

    // Of a projection: the caller's blocks, the transposed weights, and, out, rows as
    // those of da: the gradients of what was projected to, and what was projected.
    // d_unprojected: scratch [rows][d_row].
    Range projected;
    Packed<T> projection;
    T *d_projected, *unprojected;
    T* d_unprojected;
};

// Sums of products are blocks of so many, each one chain from zero: part of the
// numerical contract. Measured: with 128 or 64 float gradients of GRU and RNN are up
// to 1.7 or 1.15 times further from the truth than PyTorch's, with 32 never.
constexpr index sum_block = 32;

// Rows whose products take so long that the weights come from afar meanwhile: in the
// order in which they lie, as they are called for.
constexpr index many_rows = 48;

// Rows of A that `gradient` takes at a time; a multiple of the block of its sums.
constexpr index gradient_rows = 256;

// Bytes that `read` takes at a time on the widest instruction set.
constexpr index read_step = 512;

template <class T> struct CellKernels {
    void (*scan_forward)(const ForwardScan<T>&, Range rows, Range blocks,
                         Sync) noexcept;
    void (*scan_backward)(const BackwardScan<T>&, Range rows, Range blocks,
                          Sync) noexcept;
};

template <class T> struct Kernels {
    int lanes;     // elements per vector; a block is 2 * lanes units
    int row_tile;  // rows that the micro-kernel takes at once, at most

    // Rows [k0, k0 + kn) of panel `panel` of a packed matrix from
    // src[(k - k0) * k_stride + unit * unit_stride]; one of the strides is 1.
    void (*pack)(T* packed, index k, index units, int panels, int panel, index k0,
                 index kn, const T* src, index k_stride, index unit_stride) noexcept;

    // C = C0 + A B for the given blocks: A [rows][K] (unit stride along K), C in blocks
    // of `columns` panels of which B feeds those from `first` on. C0 as C, or one row
    // for all (c0_row = 0). Sums over K: blocks of sum_block, k ascending,
    // the block sums added to C0 in order. Rows of C hold whole vectors.
    void (*product)(const T* a, index a_row, index rows, const Packed<T>& b,
                    Range blocks, const T* c0, index c0_row, T* c, index c_row,
                    int first, int columns) noexcept;

    // The same for one panel per block, where the rows of C0 and C end at b.units
    // exactly.
    void (*product_exact)(const T* a, index a_row, index rows, const Packed<T>& b,
                          Range blocks, const T* c0, index c0_row, T* c,
                          index c_row) noexcept;

    // C[m][:] = sum over k of A[k][m] B[k][:] for m in `m`, or, with `add`, that on top
    // of what is there; rows of C end at b.units. scratch: gradient_rows * row_tile
    // elements. K = 0 leaves C alone.
    void (*gradient)(const T* a, index a_row, Range m, const Packed<T>& b, bool add,
                     T* c, index c_row, T* scratch) noexcept;

    // out[m] += sum over the k rows of A[k][m], compensated.
    void (*column_sums)(const T* a, index a_row, index k, Range m, T* out) noexcept;

    // Elementwise; x and y may be the same.
    void (*exp)(const T* x, T* y, index n) noexcept;
    void (*sigmoid)(const T* x, T* y, index n) noexcept;
    void (*tanh)(const T* x, T* y, index n) noexcept;

    // The same with the slope at x.
    void (*activate)(const Activation<T>&, const T* x, T* y, T* slope,
                     index n) noexcept;

    // Calibration. `turns` rounds of multiply-adds in registers, begun with *value in
    // (0, 1), which they leave as it was; returns how many FLOP that was.
    double (*multiply_adds)(index turns, T* value) noexcept;
    // Reads x, of a whole number of read_step bytes; returns a word made of all of it.
    index (*read)(const T* x, index n) noexcept;

    CellKernels<T> cells[cell_kinds][2];  // as they are; with options
};

// One instruction set's kernels; defined once per set by kernels/kernels.cpp.
struct KernelSet {
    Kernels<float> f32;
    Kernels<double> f64;
    // Whether many rows go through the tallest tiles, of the same bits; read at every
    // product, from several threads. Null: there is no choice.
    bool* tall_tiles;
};

}  // namespace rnnext
