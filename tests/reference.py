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
    w_hr: np.ndarray = 0.0  # (P, H), a projection


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
    a_o has p_o c'. Coupled: f = 1 - i. `cell_clip` bounds c'. With a projection h' is
    W_hr (o tanh(c')) (Sak, Senior & Beaufays 2014).
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
        return np.broadcast_to(w.w_ch, (3, len(w.w_hh) // 4))

    def step(self, x, h, c, w):
        a_i, a_f, a_g, a_o = self.pre_activations(x, h, c, w)
        i, g = self.i(a_i), self.g(a_g)
        f = 1 - i if self.coupled else self.f(a_f)
        c_next = clip(f * c + i * g, self.cell_clip)
        o = self.o(a_o + self.peepholes(w)[2] * c_next)
        h_next = o * self.y(c_next)
        if np.ndim(w.w_hr):
            h_next = h_next @ w.w_hr.T
        return h_next, c_next, np.stack([i, f, g, o], axis=1)

    def step_backward(self, dh, dc, x, h, c, gates, c_next, w):
        i, f, g, o = np.moveaxis(gates, 1, 0)
        a_i, a_f, a_g, a_o = self.pre_activations(x, h, c, w)
        p_i, p_f, p_o = self.peepholes(w)
        dw_hr = 0.0
        if np.ndim(w.w_hr):
            dh, dw_hr, _ = linear_backward(dh, o * self.y(c_next), w.w_hr)
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
        return dx, dh, dc, Weights(dw_ih, dw_hh, db_ih, db_hh, dw_ch, dw_hr)


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


class Extent(NamedTuple):
    """Which steps of which sequences exist, and how. In order of time."""

    exists: np.ndarray  # (T, N)
    reset: np.ndarray  # (T, N): the step starts from the initial state
    hold: bool  # y of a step that does not exist: that of the step before, else zero

    def in_order(self, direction, reverse):
        both = self.exists[..., None], self.reset[..., None]
        return Extent(*(in_order(a, direction, reverse) for a in both), self.hold)

    def of(self, sequences):
        return Extent(self.exists[:, sequences], self.reset[:, sequences], self.hold)


def extent(T, N, lengths=None, mask=None, reset=None, pad="zeros"):
    lengths = np.full(N, T) if lengths is None else np.asarray(lengths)
    exists = np.arange(T)[:, None] < lengths
    if mask is not None:
        exists = exists & mask
    reset = np.zeros((T, N), bool) if reset is None else np.asarray(reset)
    return Extent(exists, exists & reset, pad == "hold")


class Trace(NamedTuple):
    """What a forward over time keeps: x (T, N, I) and all that follows from it."""

    x: np.ndarray
    h: np.ndarray  # (T+1, N, H), slot 0 the initial state
    c: np.ndarray | None
    gates: np.ndarray  # (T, N, G, H)
    y: np.ndarray  # (T, N, H)


def starting_states(h, initial, reset):
    """From the states h (T+1, N, H), those that the steps start from."""
    return np.where(reset, initial, h[:-1])


def dropped(w, factors):
    """To drop units of h where the weights multiply them is to drop columns of w_hh.

    Of each sequence others: with a mask, each is computed alone.
    """
    return w._replace(w_hh=w.w_hh * factors)


def forward(cell, x, h_0, c_0, w, steps, mask=None):
    """A cell over time: x (T, N, I) from h_0 and c_0 (N, H), where steps exist.

    `mask` (N, H) are the factors of h where the weights multiply it.
    """
    if mask is not None:
        alone = []
        for n, factors in enumerate(mask):
            one = slice(n, n + 1)
            c = None if c_0 is None else c_0[one]
            initial = x[:, one], h_0[one], c
            alone.append(forward(cell, *initial, dropped(w, factors), steps.of(one)))
        kept = zip(*alone, strict=True)
        return Trace(
            *(None if p[0] is None else np.concatenate(p, axis=1) for p in kept)
        )
    exists, reset, hold = steps
    h, c, gates, y = [h_0], [c_0], [], []
    for t, x_t in enumerate(x):
        before_h = np.where(reset[t], h_0, h[-1])
        before_c = np.where(reset[t], c_0, c[-1]) if cell.has_c else None
        h_next, c_next, gates_t = cell.step(x_t, before_h, before_c, w)
        h.append(np.where(exists[t], h_next, h[-1]))
        c.append(np.where(exists[t], c_next, c[-1]) if cell.has_c else None)
        gates.append(np.where(exists[t][..., None], gates_t, 0))
        held = y[-1] if y and hold else 0
        y.append(np.where(exists[t], h_next, held))
    shape, H = (len(x), *h_0.shape), len(w.w_hh) // cell.gates
    gates = np.array(gates).reshape(*shape[:2], cell.gates, H)
    c = np.array(c) if cell.has_c else None
    return Trace(x, np.array(h), c, gates, np.array(y).reshape(shape))


def backward(cell, dy, dc_all, dh, dc, trace, w, steps, mask=None):
    """dx, dh_0, dc_0 and the gradients of w.

    dy (T, N, H) is the gradient of every y_t, dc_all that of every c_t; dh and dc are
    those of the final state.
    """
    if mask is not None:
        dxs, dhs, dcs, dws = [], [], [], []
        for n, factors in enumerate(mask):
            one = slice(n, n + 1)
            kept = Trace(*(None if p is None else p[:, one] for p in trace))
            dx, dh_0, dc_0, dw = backward(
                *(cell, dy[:, one], dc_all[:, one], dh[one], dc[one], kept),
                *(dropped(w, factors), steps.of(one)),
            )
            dxs, dhs, dcs = [*dxs, dx], [*dhs, dh_0], [*dcs, dc_0]
            dws.append(dropped(dw, factors))
        dw = Weights(*(sum(parts) for parts in zip(*dws, strict=True)))
        return np.concatenate(dxs, axis=1), *map(np.concatenate, (dhs, dcs)), dw
    exists, reset, hold = steps
    x, h, c, gates, _ = trace
    before_h = starting_states(h, h[0], reset)
    before_c = starting_states(c, c[0], reset) if cell.has_c else [None] * len(x)
    c = c if cell.has_c else [None] * len(h)
    dx = np.zeros(x.shape, np.result_type(x, dy))
    dw = Weights(*(np.zeros(np.shape(p)) for p in w))
    dh_0, dc_0, held = np.zeros(dh.shape), np.zeros(dc.shape), np.zeros(dh.shape)
    for t in reversed(range(len(x))):
        e = exists[t]
        dh = dh + e * (dy[t] + held)
        held = np.where(e, 0, held + dy[t]) if hold else held
        dc = dc + dc_all[t]
        dx[t], dh_before, dc_before, dw_t = cell.step_backward(
            e * dh, e * dc, x[t], before_h[t], before_c[t], gates[t], c[t + 1], w
        )
        dh_0, dc_0 = dh_0 + reset[t] * dh_before, dc_0 + reset[t] * dc_before
        dh = np.where(e, ~reset[t] * dh_before, dh)
        dc = np.where(e, ~reset[t] * dc_before, dc)
        dw = Weights(*(total + d for total, d in zip(dw, dw_t, strict=True)))
    return dx, dh_0 + dh, dc_0 + dc, dw


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
    rest = (params.get(name + suffix, 0.0) for name in ("weight_ch", "weight_hr"))
    return Weights(w_ih, w_hh, b_ih, b_hh, *rest)


def cells_of(cell):
    """By direction."""
    return [CELLS[cell]] * 2 if isinstance(cell, str) else cell


def merge_outputs(merge, outputs):
    """What becomes of the outputs (T, N, H) of the directions."""
    if merge == "concat":
        return np.concatenate(outputs, axis=2)
    if merge is None:
        return tuple(outputs)
    a, b = outputs
    return {"sum": a + b, "mul": a * b, "ave": (a + b) / 2}[merge]


def merge_outputs_backward(merge, dy, outputs):
    """The gradients of the outputs."""
    if merge == "concat":
        return np.split(dy, len(outputs), axis=2)
    if merge is None:
        return dy
    a, b = outputs
    return {"sum": (dy, dy), "mul": (dy * b, dy * a), "ave": (dy / 2, dy / 2)}[merge]


class NetworkTrace(NamedTuple):
    y: np.ndarray  # (T, N, D*H), or what `merge` makes of that
    h_n: np.ndarray  # (L*D, N, H)
    c_n: np.ndarray | None
    traces: list  # in order of computation


def network_forward(
    params,
    x,
    state=None,
    *,
    cell,
    num_layers=1,
    bidirectional=False,
    merge="concat",
    reverse=False,
    masks=None,
    steps=None,
):
    """x (T, N, I) through all layers.

    `cell` is a name in CELLS, or a cell for each direction. `state` is h_0, or
    (h_0, c_0) for an LSTM; None is zero. `masks` are the factors of dropout: a list of
    those (T, N, features) on the output of every layer but the last; or a dict of them
    as "between", and of lists for every layer and direction, the same at every step:
    "input" (N, I), and "recurrent" (N, H) of h as weights multiply it. `steps`: an
    Extent; None is all.
    """
    cells, masks = cells_of(cell), masks_by_kind(masks)
    has_c = cells[0].has_c
    steps = extent(*x.shape[:2]) if steps is None else steps
    params = {name: as_number(p) for name, p in params.items()}
    D, (rows, P) = 1 + bidirectional, params["weight_hh_l0"].shape
    if state is None:
        h_0, c_0 = (
            np.zeros((num_layers * D, x.shape[1], units))
            for units in (P, rows // cells[0].gates)
        )
        state = (h_0, c_0) if has_c else h_0
    h_0, c_0 = state if has_c else (state, [None] * (num_layers * D))
    x, traces = as_number(x), []
    for layer in range(num_layers):
        outputs = []
        for d in range(D):
            k = layer * D + d
            w = weights_of(params, suffixes(num_layers, bidirectional)[k])
            x_d = in_order(x * masks["input"][k] if "input" in masks else x, d, reverse)
            mask = masks["recurrent"][k] if "recurrent" in masks else None
            initial = as_number(h_0[k]), c_0[k]
            order = steps.in_order(d, reverse)
            trace = forward(cells[d], x_d, *initial, w, order, mask)
            outputs.append(in_order(trace.y, d, reverse))
            traces.append(trace)
        x = merge_outputs(merge, outputs)
        if "between" in masks and layer < num_layers - 1:
            x = x * masks["between"][layer]
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
    merge="concat",
    reverse=False,
    masks=None,
    steps=None,
):
    """dx, dh_0, dc_0 (None without c) and a dict of the gradients of `params`.

    Incoming gradients that are None are zero; `dc` (L*D, T, N, H) is that of every c_t
    in order of computation.
    """
    cells, masks = cells_of(cell), masks_by_kind(masks)
    params = {name: as_number(p) for name, p in params.items()}
    D, states = 1 + bidirectional, trace.h_n.shape
    T, N = trace.traces[0].x.shape[:2]
    steps = extent(T, N) if steps is None else steps
    dy = zero_or(dy, trace.y)
    dh_n = np.zeros(states) if dh_n is None else as_number(dh_n)
    cells_shape = states if trace.c_n is None else trace.c_n.shape
    dc_n = np.zeros(cells_shape) if dc_n is None else as_number(dc_n)
    of_all = cells_shape[0], T, *cells_shape[1:]
    dc = np.zeros(of_all) if dc is None else as_number(dc)
    dh_0, dc_0, gradients = np.zeros(states), np.zeros(cells_shape), {}
    for layer in reversed(range(num_layers)):
        if "between" in masks and layer < num_layers - 1:
            dy = dy * masks["between"][layer]
        kept = trace.traces[layer * D : layer * D + D]
        outputs = [in_order(one.y, d, reverse) for d, one in enumerate(kept)]
        dx = 0.0
        for d, dy_d in enumerate(merge_outputs_backward(merge, dy, outputs)):
            k = layer * D + d
            suffix = suffixes(num_layers, bidirectional)[k]
            dx_d, dh_0[k], dc_0[k], dw = backward(
                cells[d],
                in_order(dy_d, d, reverse),
                dc[k],
                dh_n[k],
                dc_n[k],
                kept[d],
                weights_of(params, suffix),
                steps.in_order(d, reverse),
                masks["recurrent"][k] if "recurrent" in masks else None,
            )
            dx_d = in_order(dx_d, d, reverse)
            dx = dx + (dx_d * masks["input"][k] if "input" in masks else dx_d)
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            names += ("weight_ch", "weight_hr")
            gradients |= {n + suffix: g for n, g in zip(names, dw, strict=True)}
        dy = dx
    gradients = {name: gradients[name] for name in params}
    return dx, dh_0, dc_0 if cells[0].has_c else None, gradients


def masks_by_kind(masks):
    masks = masks if isinstance(masks, dict) else {"between": masks}
    return {kind: every for kind, every in masks.items() if every is not None}


def zero_or(dy, y):
    if isinstance(y, tuple):
        dy = dy or (None,) * len(y)
        return tuple(zero_or(*both) for both in zip(dy, y, strict=True))
    return np.zeros(y.shape) if dy is None else as_number(dy)


def in_order(x, direction, reverse=False):
    """From order of time to order of computation, and back."""
    return x[::-1] if direction or reverse else x


def as_number(x):
    """float64, or complex128 of complex input."""
    return np.asarray(x, dtype=np.result_type(x, np.float64))
