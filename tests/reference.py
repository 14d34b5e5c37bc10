"""The equations of recurrent networks and of their gradients, in plain NumPy.

What the tests hold the library against: written from the equations and meant to be
read, forward and backward side by side. Everything works in float64, or in complex128
where an input is complex, so that derivatives can be taken by a complex step.

T steps, N sequences, I inputs, H hidden units, G gates, L layers, D directions. `dy` is
the gradient of a loss with respect to y, `a` what goes into an activation. Weights have
PyTorch's shapes and gate order: w_ih (G*H, I), w_hh (G*H, H), biases (G*H,).
"""

from typing import NamedTuple

import numpy as np
from reference_activations import (
    Activation,
    clip,
    d_clip,
)


def linear(x, w, b):
    return x @ w.T + b


def linear_backward(dy, x, w):
    """Gradients of x, w and b."""
    return dy @ w, dy.T @ x, dy.sum(axis=0)


class Weights(NamedTuple):
    """Of one layer and direction; also their gradients."""

    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray
    b_hh: np.ndarray
    w_ch: np.ndarray = 0.0  # (3, H), peepholes of i, f and o


# A cell goes one step: from x (N, I), h and c (N, H) to the next h and c and the gates
# (N, G, H). Its backward goes from the gradients of the next h and c to those of x, h,
# c and the weights. Cells without c (`has_c`) hand through what stands in its place.


class RNN:
    """h' = f(W_ih x + b_ih + W_hh h + b_hh) (Elman 1990)."""

    gates, has_c = 1, False

    def __init__(self, activations, gate_clip=np.inf):
        (self.f,) = (Activation(entry, gate_clip) for entry in activations)

    def pre_activations(self, x, h, w):
        return linear(x, w.w_ih, w.b_ih) + linear(h, w.w_hh, w.b_hh)

    def step(self, x, h, c, w):
        h_next = self.f(self.pre_activations(x, h, w))
        return h_next, c, h_next[:, None]

    def step_backward(self, dh, dc, x, h, c, gates, c_next, w):
        da = dh * self.f.slope(self.pre_activations(x, h, w))
        dx, dw_ih, db_ih = linear_backward(da, x, w.w_ih)
        dh, dw_hh, db_hh = linear_backward(da, h, w.w_hh)
        return dx, dh, dc, Weights(dw_ih, dw_hh, db_ih, db_hh)


class LSTM:
    """Long short-term memory with a forget gate (Gers, Schmidhuber & Cummins 2000).

    i, f, o = sigmoid(a_i, a_f, a_o) with a = W_ih x + b_ih + W_hh h + b_hh
    g = tanh(a_g)
    c' = f c + i g
    h' = o tanh(c')

    With peepholes p (Gers & Schmidhuber 2000) a_i and a_f have p_i c and p_f c besides,
    a_o has p_o c'. Coupled: f = 1 - i. `cell_clip` bounds c'.
    """

    gates, has_c = 4, True

    def __init__(
        self,
        activations=("sigmoid", "sigmoid", "tanh", "sigmoid", "tanh"),
        gate_clip=np.inf,
        cell_clip=np.inf,
        coupled=False,
    ):
        *of_gates, of_c = activations
        self.i, self.f, self.g, self.o = (Activation(e, gate_clip) for e in of_gates)
        self.y = Activation(of_c)
        self.cell_clip, self.coupled = cell_clip, coupled

    def pre_activations(self, x, h, c, w):
        """All but what o sees of c'."""
        a = linear(x, w.w_ih, w.b_ih) + linear(h, w.w_hh, w.b_hh)
        a_i, a_f, a_g, a_o = np.split(a, 4, axis=1)
        p_i, p_f, _ = self.peepholes(w)
        return a_i + p_i * c, a_f + p_f * c, a_g, a_o

    @staticmethod
    def peepholes(w):
        return np.broadcast_to(w.w_ch, (3, w.w_hh.shape[1]))

    def step(self, x, h, c, w):
        a_i, a_f, a_g, a_o = self.pre_activations(x, h, c, w)
        i, g = self.i(a_i), self.g(a_g)
        f = 1 - i if self.coupled else self.f(a_f)
        c_next = clip(f * c + i * g, self.cell_clip)
        o = self.o(a_o + self.peepholes(w)[2] * c_next)
        h_next = o * self.y(c_next)
        return h_next, c_next, np.stack([i, f, g, o], axis=1)

    def step_backward(self, dh, dc, x, h, c, gates, c_next, w):
        i, f, g, o = np.moveaxis(gates, 1, 0)
        a_i, a_f, a_g, a_o = self.pre_activations(x, h, c, w)
        p_i, p_f, p_o = self.peepholes(w)
        da_o = dh * self.y(c_next) * self.o.slope(a_o + p_o * c_next)
        dc = dc + dh * o * self.y.slope(c_next) + da_o * p_o
        dc = dc * d_clip(f * c + i * g, self.cell_clip)
        di, df = dc * g, dc * c
        if self.coupled:
            di, df = di - df, 0 * df
        da_i, da_f = di * self.i.slope(a_i), df * self.f.slope(a_f)
        da_g = dc * i * self.g.slope(a_g)
        da = np.concatenate([da_i, da_f, da_g, da_o], axis=1)
        dx, dw_ih, db_ih = linear_backward(da, x, w.w_ih)
        dh, dw_hh, db_hh = linear_backward(da, h, w.w_hh)
        dw_ch = np.stack([da_i * c, da_f * c, da_o * c_next]).sum(axis=1)
        dc = dc * f + da_i * p_i + da_f * p_f
        return dx, dh, dc, Weights(dw_ih, dw_hh, db_ih, db_hh, dw_ch)


class GRU:
    """Gated recurrent unit, reset after the recurrent product (PyTorch, cuDNN, Keras).

    r, z = sigmoid(p_r + q_r, p_z + q_z) with p = W_ih x + b_ih, q = W_hh h + b_hh
    n = tanh(p_n + r q_n)
    h' = (1 - z) n + z h
    """

    gates, has_c = 3, False

    def __init__(self, activations=("sigmoid", "sigmoid", "tanh"), gate_clip=np.inf):
        self.r, self.z, self.n = (Activation(e, gate_clip) for e in activations)

    def products(self, x, h, w):
        p_r, p_z, p_n = np.split(linear(x, w.w_ih, w.b_ih), 3, axis=1)
        q_r, q_z, q_n = np.split(linear(h, w.w_hh, w.b_hh), 3, axis=1)
        return p_r + q_r, p_z + q_z, p_n, q_n

    def step(self, x, h, c, w):
        a_r, a_z, p_n, q_n = self.products(x, h, w)
        r, z = self.r(a_r), self.z(a_z)
        n = self.n(p_n + r * q_n)
        h_next = (1 - z) * n + z * h
        return h_next, c, np.stack([r, z, n], axis=1)

    def step_backward(self, dh, dc, x, h, c, gates, c_next, w):
        r, z, n = np.moveaxis(gates, 1, 0)
        a_r, a_z, p_n, q_n = self.products(x, h, w)
        da_n = dh * (1 - z) * self.n.slope(p_n + r * q_n)
        da_z = dh * (h - n) * self.z.slope(a_z)
        da_r = da_n * q_n * self.r.slope(a_r)
        dp = np.concatenate([da_r, da_z, da_n], axis=1)
        dq = np.concatenate([da_r, da_z, da_n * r], axis=1)
        dx, dw_ih, db_ih = linear_backward(dp, x, w.w_ih)
        dh_q, dw_hh, db_hh = linear_backward(dq, h, w.w_hh)
        return dx, dh * z + dh_q, dc, Weights(dw_ih, dw_hh, db_ih, db_hh)


class GRUResetBefore(GRU):
    """Gated recurrent unit, reset before the recurrent product (Cho et al. 2014).

    r, z as in GRU
    n = tanh(W_in x + b_in + W_hn (r h) + b_hn)
    h' = (1 - z) n + z h
    """

    @staticmethod
    def recurrent(w):
        """Weights and biases that multiply h (for r and z) and r h (for n)."""
        rows = 2 * w.w_hh.shape[1]
        return w.w_hh[:rows], w.w_hh[rows:], w.b_hh[:rows], w.b_hh[rows:]

    def products(self, x, h, w):
        w_rz, w_n, b_rz, b_n = self.recurrent(w)
        p_r, p_z, p_n = np.split(linear(x, w.w_ih, w.b_ih), 3, axis=1)
        q_r, q_z = np.split(linear(h, w_rz, b_rz), 2, axis=1)
        a_r, a_z = p_r + q_r, p_z + q_z
        return a_r, a_z, p_n + linear(self.r(a_r) * h, w_n, b_n)

    def step(self, x, h, c, w):
        a_r, a_z, a_n = self.products(x, h, w)
        r, z, n = self.r(a_r), self.z(a_z), self.n(a_n)
        h_next = (1 - z) * n + z * h
        return h_next, c, np.stack([r, z, n], axis=1)

    def step_backward(self, dh, dc, x, h, c, gates, c_next, w):
        w_rz, w_n, _, _ = self.recurrent(w)
        r, z, n = np.moveaxis(gates, 1, 0)
        a_r, a_z, a_n = self.products(x, h, w)
        da_n = dh * (1 - z) * self.n.slope(a_n)
        d_rh, dw_n, db_n = linear_backward(da_n, r * h, w_n)
        da_z = dh * (h - n) * self.z.slope(a_z)
        da_r = d_rh * h * self.r.slope(a_r)
        da_rz = np.concatenate([da_r, da_z], axis=1)
        dh_rz, dw_rz, db_rz = linear_backward(da_rz, h, w_rz)
        da = np.concatenate([da_rz, da_n], axis=1)
        dx, dw_ih, db_ih = linear_backward(da, x, w.w_ih)
        dw_hh, db_hh = np.concatenate([dw_rz, dw_n]), np.concatenate([db_rz, db_n])
        dh = dh * z + d_rh * r + dh_rz
        return dx, dh, dc, Weights(dw_ih, dw_hh, db_ih, db_hh)


def make_cell(name, **options):
    """A cell with what its constructor takes; of an Elman cell f is in the name."""
    if name.startswith("rnn_"):
        return RNN(**({"activations": [name.removeprefix("rnn_")]} | options))
    kinds = {"lstm": LSTM, "gru": GRU, "gru_reset_before": GRUResetBefore}
    return kinds[name](**options)


CELLS = {
    name: make_cell(name)
    for name in ("rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before")
}


class Trace(NamedTuple):
    """What a forward over time keeps: x (T, N, I) and all that follows from it."""

    x: np.ndarray
    h: np.ndarray  # (T+1, N, H), slot 0 the initial state
    c: np.ndarray | None
    gates: np.ndarray  # (T, N, G, H)


def forward(cell, x, h_0, c_0, w):
    """A cell over time: x (T, N, I) from h_0 and c_0 (N, H)."""
    h, c, gates = [h_0], [c_0], []
    for x_t in x:
        h_next, c_next, gates_t = cell.step(x_t, h[-1], c[-1], w)
        h.append(h_next)
        c.append(c_next)
        gates.append(gates_t)
    gates = np.array(gates).reshape(len(x), len(h_0), cell.gates, h_0.shape[1])
    return Trace(x, np.array(h), np.array(c) if cell.has_c else None, gates)


def backward(cell, dy, dc_all, dh, dc, trace, w):
    """dx, dh_0, dc_0 and the gradients of w.

    dy (T, N, H) is the gradient of every h_t, dc_all that of every c_t; dh and dc are
    those of the final state.
    """
    x, h, c, gates = trace
    dx = np.zeros(x.shape)
    dw = Weights(*(np.zeros(np.shape(p)) for p in w))
    c = c if cell.has_c else [None] * len(h)
    for t in reversed(range(len(x))):
        dh, dc = dh + dy[t], dc + dc_all[t]
        dx[t], dh, dc, dw_t = cell.step_backward(
            dh, dc, x[t], h[t], c[t], gates[t], c[t + 1], w
        )
        dw = Weights(*(total + d for total, d in zip(dw, dw_t, strict=True)))
    return dx, dh, dc, dw


# A network: PyTorch's names, states (L*D, N, H) indexed layer * D + direction.


def suffixes(num_layers, bidirectional):
    """What PyTorch appends to a parameter's name, by layer and direction."""
    directions = ["", "_reverse"] if bidirectional else [""]
    return [f"_l{layer}{d}" for layer in range(num_layers) for d in directions]


def weights_of(params, suffix):
    """The weights of one layer and direction; biases that are not there are zero."""
    w_ih, w_hh = params["weight_ih" + suffix], params["weight_hh" + suffix]
    zero = np.zeros(len(w_ih))
    b_ih, b_hh = (params.get(name + suffix, zero) for name in ("bias_ih", "bias_hh"))
    return Weights(w_ih, w_hh, b_ih, b_hh, params.get("weight_ch" + suffix, 0.0))


def cells_of(cell):
    """By direction."""
    return [CELLS[cell]] * 2 if isinstance(cell, str) else cell


class NetworkTrace(NamedTuple):
    y: np.ndarray  # (T, N, D*H)
    h_n: np.ndarray  # (L*D, N, H)
    c_n: np.ndarray | None
    traces: list  # in order of computation


def network_forward(
    params, x, state=None, *, cell, num_layers=1, bidirectional=False, masks=None
):
    """x (T, N, I) through all layers.

    `cell` is a name in CELLS, or a cell for each direction. `state` is h_0, or
    (h_0, c_0) for an LSTM; None is zero. `masks` are the factors (T, N, D*H) that
    dropout puts on the output of every layer but the last.
    """
    cells = cells_of(cell)
    has_c = cells[0].has_c
    params = {name: as_number(p) for name, p in params.items()}
    D, H = 1 + bidirectional, params["weight_hh_l0"].shape[1]
    if state is None:
        zero = np.zeros((num_layers * D, x.shape[1], H))
        state = (zero, zero) if has_c else zero
    h_0, c_0 = state if has_c else (state, [None] * (num_layers * D))
    x, traces = as_number(x), []
    for layer in range(num_layers):
        outputs = []
        for d in range(D):
            k = layer * D + d
            w = weights_of(params, suffixes(num_layers, bidirectional)[k])
            trace = forward(cells[d], in_order(x, d), as_number(h_0[k]), c_0[k], w)
            outputs.append(in_order(trace.h[1:], d))
            traces.append(trace)
        x = np.concatenate(outputs, axis=2)
        if masks is not None and layer < num_layers - 1:
            x = x * masks[layer]
    h_n = np.stack([trace.h[-1] for trace in traces])
    c_n = np.stack([trace.c[-1] for trace in traces]) if has_c else None
    return NetworkTrace(x, h_n, c_n, traces)


def network_backward(
    params,
    trace,
    dy=None,
    dh_n=None,
    dc_n=None,
    dc=None,
    *,
    cell,
    num_layers=1,
    bidirectional=False,
    masks=None,
):
    """dx, dh_0, dc_0 (None without c) and a dict of the gradients of `params`.

    Incoming gradients that are None are zero; `dc` (L*D, T, N, H) is that of every c_t
    in order of computation.
    """
    cells = cells_of(cell)
    params = {name: as_number(p) for name, p in params.items()}
    D, states = 1 + bidirectional, trace.h_n.shape
    T = len(trace.y)
    dy = np.zeros(trace.y.shape) if dy is None else as_number(dy)
    dh_n = np.zeros(states) if dh_n is None else as_number(dh_n)
    dc_n = np.zeros(states) if dc_n is None else as_number(dc_n)
    dc = np.zeros((states[0], T, *states[1:])) if dc is None else as_number(dc)
    dh_0, dc_0, gradients = np.zeros(states), np.zeros(states), {}
    for layer in reversed(range(num_layers)):
        if masks is not None and layer < num_layers - 1:
            dy = dy * masks[layer]
        dx = 0.0
        for d, dy_d in enumerate(np.split(dy, D, axis=2)):
            k = layer * D + d
            suffix = suffixes(num_layers, bidirectional)[k]
            dx_d, dh_0[k], dc_0[k], dw = backward(
                cells[d],
                in_order(dy_d, d),
                dc[k],
                dh_n[k],
                dc_n[k],
                trace.traces[k],
                weights_of(params, suffix),
            )
            dx = dx + in_order(dx_d, d)
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ch")
            gradients |= {n + suffix: g for n, g in zip(names, dw, strict=True)}
        dy = dx
    gradients = {name: gradients[name] for name in params}
    return dx, dh_0, dc_0 if cells[0].has_c else None, gradients


def in_order(x, direction):
    """From order of time to order of computation, and back."""
    return x[::-1] if direction else x


def as_number(x):
    """float64, or complex128 of complex input."""
    return np.asarray(x, dtype=np.result_type(x, np.float64))
