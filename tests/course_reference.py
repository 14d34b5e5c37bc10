"""The equations of the course in plain NumPy, float64 or complex: what the tests trust.

Written from the equations, one step at a time, under the public names, so that a
script runs with either. Complex inputs go through the forwards untouched, for
derivatives by a complex step.
"""

import numpy as np

__all__ = [
    "gru_backward",
    "gru_cell_backward",
    "gru_cell_forward",
    "gru_forward",
    "lstm_backward",
    "lstm_cell_backward",
    "lstm_cell_forward",
    "lstm_forward",
    "rnn_backward",
    "rnn_cell_backward",
    "rnn_cell_forward",
    "rnn_forward",
    "sigmoid",
    "softmax",
]


def softmax(x):
    e = np.exp(x - np.real(x).max(axis=0))
    return e / e.sum(axis=0)


def sigmoid(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def logits(a, p):
    """What the softmax sees, of one step or of all."""
    w = p["Wya"] if "Wya" in p else p["V"] if "V" in p else p["Wy"]
    out = np.tensordot(w, a, axes=1)
    return out + p["by"].reshape(-1, *[1] * (out.ndim - 1))


def rnn_names(p):
    return ("U", "W", "V") if "U" in p else ("Wax", "Waa", "Wya")


# ---------------------------------------------------------------- one step


def rnn_cell_forward(xt, a_prev, p):
    u, w, _ = rnn_names(p)
    a = np.tanh(p[u] @ xt + p[w] @ a_prev + p["ba"])
    return a, softmax(logits(a, p)), (a, a_prev, xt, p)


def lstm_cell_forward(xt, a_prev, c_prev, p):
    v = np.concatenate([a_prev, xt])
    f, i, o = (sigmoid(p["W" + k] @ v + p["b" + k]) for k in "fio")
    g = np.tanh(p["Wc"] @ v + p["bc"])
    c = f * c_prev + i * g
    a = o * np.tanh(c)
    return a, c, softmax(logits(a, p)), (a, c, a_prev, c_prev, f, i, g, o, xt, p)


def gru_cell_forward(xt, a_prev, p):
    v = np.concatenate([a_prev, xt])
    u, r = (sigmoid(p["W" + k] @ v + p["b" + k]) for k in "ur")
    g = np.tanh(p["Wc"] @ np.concatenate([r * a_prev, xt]) + p["bc"])
    a = u * g + (1 - u) * a_prev
    return a, softmax(logits(a, p)), (a, a_prev, u, r, g, xt, p)


def output_gradients(a, dy, p):
    """What dy adds to da, and the gradients of the output layer."""
    if dy is None:
        return 0.0, {}
    weight = next(k for k in ("Wya", "V", "Wy") if k in p)
    gradients = {"d" + weight: dy @ a.T, "dby": dy.sum(axis=1, keepdims=True)}
    return p[weight].T @ dy, gradients


def rnn_cell_backward(da, cache, dy=None):
    a, a_prev, xt, p = cache
    u, w, _ = rnn_names(p)
    through, output = output_gradients(a, dy, p)
    dz = (1 - a**2) * ((0.0 if da is None else da) + through)
    dx, dprev = p[u].T @ dz, p[w].T @ dz
    du, dw, dba = dz @ xt.T, dz @ a_prev.T, dz.sum(axis=1, keepdims=True)
    if u == "U":
        names = {"dtanh": dz, "dU": du, "dW": dw, "dba": dba}
        return {**names, "dx_t": dx, "ds_prev": dprev, **output}
    return {"dxt": dx, "da_prev": dprev, "dWax": du, "dWaa": dw, "dba": dba, **output}


def gate_gradients(d, v, p, names):
    """Gradients of weights and biases, and what flows into the columns of v."""
    gradients = {}
    for k in names:
        gradients["dW" + k] = d[k] @ v.T
        gradients["db" + k] = d[k].sum(axis=1, keepdims=True)
    return gradients, sum(p["W" + k].T @ d[k] for k in names)


def lstm_cell_backward(da, dc, cache, dy=None):
    a, c, a_prev, c_prev, f, i, g, o, xt, p = cache
    through, output = output_gradients(a, dy, p)
    da = (0.0 if da is None else da) + through
    total = dc + da * o * (1 - np.tanh(c) ** 2)
    d = {
        "f": total * c_prev * f * (1 - f),
        "i": total * g * i * (1 - i),
        "c": total * i * (1 - g**2),
        "o": da * np.tanh(c) * o * (1 - o),
    }
    gradients, dv = gate_gradients(d, np.concatenate([a_prev, xt]), p, "fico")
    n = len(a)
    state = {"dxt": dv[n:], "da_prev": dv[:n], "dc_prev": total * f}
    return {**state, **gradients, **output}


def gru_cell_backward(da, cache, dy=None):
    a, a_prev, u, r, g, xt, p = cache
    through, output = output_gradients(a, dy, p)
    da = (0.0 if da is None else da) + through
    n = len(a)
    dg = da * u * (1 - g**2)
    candidate, dv_c = gate_gradients(
        {"c": dg}, np.concatenate([r * a_prev, xt]), p, "c"
    )
    d = {
        "u": da * (g - a_prev) * u * (1 - u),
        "r": dv_c[:n] * a_prev * r * (1 - r),
    }
    gradients, dv = gate_gradients(d, np.concatenate([a_prev, xt]), p, "ur")
    da_prev = da * (1 - u) + dv_c[:n] * r + dv[:n]
    state = {"dxt": dv[n:] + dv_c[n:], "da_prev": da_prev}
    return {**state, **gradients, **candidate, **output}


# ------------------------------------------------------------- all the steps


def over_time(columns, shape):
    return np.stack(columns, axis=2) if columns else np.zeros((*shape, 0))


def simple_forward(cell, x, a0, p):
    a, states, ys, caches = a0, [], [], []
    for t in range(x.shape[2]):
        a, y, cache = cell(x[:, :, t], a, p)
        states.append(a)
        ys.append(y)
        caches.append(cache)
    y = over_time(ys, (len(p["by"]), x.shape[1]))
    return over_time(states, a0.shape), y, caches


def rnn_forward(x, a0, p):
    a, y, caches = simple_forward(rnn_cell_forward, x, a0, p)
    return a, y, caches if "U" in p else (caches, x)


def gru_forward(x, a0, p):
    a, y, caches = simple_forward(gru_cell_forward, x, a0, p)
    return a, y, (caches, x)


def lstm_forward(x, a0, p, c0=None):
    a, c = a0, np.zeros_like(a0) if c0 is None else c0
    states, memories, ys, caches = [], [], [], []
    for t in range(x.shape[2]):
        a, c, y, cache = lstm_cell_forward(x[:, :, t], a, c, p)
        states.append(a)
        memories.append(c)
        ys.append(y)
        caches.append(cache)
    y = over_time(ys, (len(p["by"]), x.shape[1]))
    return over_time(states, a0.shape), y, over_time(memories, a0.shape), (caches, x)


def back_through(caches, da, dy, step):
    """Sum of the steps' gradients, last step first; dx in place of dxt."""
    like = da if dy is None else dy
    totals, dxs = {}, []
    for t in reversed(range(like.shape[2])):
        part = step(
            None if da is None else da[:, :, t],
            caches[t],
            None if dy is None else dy[:, :, t],
        )
        dxs.insert(0, part.pop("dxt"))
        for name, value in part.items():
            totals[name] = totals[name] + value if name in totals else value
    totals["dx"] = np.stack(dxs, axis=2)
    return totals


def simple_backward(cell_backward, da, caches, dy):
    carry = {"da": 0.0}

    def step(da_t, cache, dy_t):
        part = cell_backward((0.0 if da_t is None else da_t) + carry["da"], cache, dy_t)
        if "ds_prev" in part:
            part["da_prev"], part["dxt"] = part.pop("ds_prev"), part.pop("dx_t")
            del part["dtanh"]
        carry["da"] = part.pop("da_prev")
        return part

    totals = back_through(caches, da, dy, step)
    return {"da0": carry["da"], **totals}


def rnn_backward(da, caches, dy=None):
    bare = isinstance(caches, list)
    totals = simple_backward(rnn_cell_backward, da, caches if bare else caches[0], dy)
    if not bare:
        return totals
    names = ("dU", "dW", "dba", "dx", *(("dV", "dby") if dy is not None else ()))
    return {name: totals[name] for name in names}


def gru_backward(da, caches, dy=None):
    return simple_backward(gru_cell_backward, da, caches[0], dy)


def lstm_backward(da, caches, dc_next=None, dy=None):
    carry = {"da": 0.0, "dc": 0.0 if dc_next is None else dc_next}

    def step(da_t, cache, dy_t):
        total = (0.0 if da_t is None else da_t) + carry["da"]
        part = lstm_cell_backward(total, carry["dc"], cache, dy_t)
        carry["da"], carry["dc"] = part.pop("da_prev"), part.pop("dc_prev")
        return part

    totals = back_through(caches[0], da, dy, step)
    return {"da0": carry["da"], "dc0": carry["dc"], **totals}
