"""A layer as a time loop in NumPy: what rnnext replaces, and is measured against.

Written for speed: whole batches and gates at a time, the input of all steps in one
product, and those of the gradients after the loop. One layer and direction, with
PyTorch's parameters and gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

WEIGHTS = ("weight_ih_l0", "weight_hh_l0")


@dataclass(frozen=True)
class Trace:
    """What the forward keeps for the backward: h and c with slot 0 before the loop."""

    x: Array
    h: Array
    c: Array
    gates: Array
    n_h: Array  # of a GRU: W_hn h + b_hn


def forward(
    cell: str,
    parameters: Mapping[str, Array],
    x: Array,
    before: Trace | None = None,
) -> tuple[Array, Trace]:
    """Outputs of all steps, and the trace.

    Parameters
    ----------
    cell : str
        "rnn", "gru" or "lstm".
    parameters : mapping
        ``weight_ih_l0`` and so on, as a layer has them.
    x : ndarray of shape (T, N, I)
    before : Trace, optional
        Of the call that this one goes on from; None begins with zeros.

    Returns
    -------
    tuple
        y of shape (T, N, H), and the `Trace`.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> layer = rnnext.GRU(3, 4, dtype=np.float64, rng=0)
    >>> x = np.ones((5, 2, 3))
    >>> y, _ = forward("gru", layer.parameters, x)
    >>> bool(np.allclose(y, layer(x)[0]))
    True
    """
    w_ih, w_hh = (parameters[name] for name in WEIGHTS)
    b_ih, b_hh = parameters["bias_ih_l0"], parameters["bias_hh_l0"]
    T, N, _ = x.shape
    H = w_hh.shape[1]
    h = np.zeros((T + 1, N, H), x.dtype)
    c = np.zeros((T + 1, N, H) if cell == "lstm" else (0, 0, 0), x.dtype)
    if before is not None:
        h[0], c[:1] = before.h[-1], before.c[-1:]
    n_h = np.empty((T, N, H) if cell == "gru" else (0, 0, 0), x.dtype)
    gates = x @ w_ih.T + b_ih  # pre-activations of the input, then activated gates
    recurrent = w_hh.T
    for t in range(T):
        a, b = gates[t], h[t] @ recurrent + b_hh
        if cell == "rnn":
            h[t + 1] = np.tanh(a + b)
        elif cell == "gru":
            a[:, : 2 * H] = _sigmoid(a[:, : 2 * H] + b[:, : 2 * H])
            r, z, n = _parts(a, H)
            n_h[t] = b[:, 2 * H :]
            n[:] = np.tanh(n + r * n_h[t])
            h[t + 1] = (1 - z) * n + z * h[t]
        else:
            a += b
            i, f, g, o = _parts(a, H)
            i[:], f[:], g[:], o[:] = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
            c[t + 1] = f * c[t] + i * g
            h[t + 1] = o * np.tanh(c[t + 1])
    return h[1:], Trace(x, h, c, gates, n_h)


def backward(
    cell: str, parameters: Mapping[str, Array], trace: Trace, dy: Array
) -> tuple[Array, dict[str, Array]]:
    """Gradients with respect to the input and the parameters.

    Parameters
    ----------
    cell : str
        As given to `forward`.
    parameters : mapping
        As given to `forward`.
    trace : Trace
        From `forward`.
    dy : ndarray of shape (T, N, H)
        Gradient with respect to the outputs.

    Returns
    -------
    tuple
        dx, and the gradients of the parameters by their names.
    """
    w_ih, w_hh = (parameters[name] for name in WEIGHTS)
    T, N, H = dy.shape
    da = np.empty_like(trace.gates)  # of the pre-activations that the input feeds
    db = da if cell != "gru" else np.empty_like(da)  # and of those that h feeds
    dh, dc = np.zeros((N, H), dy.dtype), np.zeros((N, H), dy.dtype)
    for t in reversed(range(T)):
        dh = dh + dy[t]
        past_product: Array | int = 0
        gates, d = trace.gates[t], da[t]
        if cell == "rnn":
            d[:] = dh * (1 - trace.h[t + 1] ** 2)
        elif cell == "gru":
            r, z, n = _parts(gates, H)
            d_r, d_z, d_n = _parts(d, H)
            d_n[:] = dh * (1 - z) * (1 - n**2)
            d_z[:] = dh * (trace.h[t] - n) * z * (1 - z)
            d_r[:] = d_n * trace.n_h[t] * r * (1 - r)
            db[t] = d
            db[t, :, 2 * H :] = d_n * r
            past_product = dh * z
        else:
            i, f, g, o = _parts(gates, H)
            d_i, d_f, d_g, d_o = _parts(d, H)
            tanh_c = np.tanh(trace.c[t + 1])
            dc = dc + dh * o * (1 - tanh_c**2)
            d_i[:] = dc * g * i * (1 - i)
            d_f[:] = dc * trace.c[t] * f * (1 - f)
            d_g[:] = dc * i * (1 - g**2)
            d_o[:] = dh * tanh_c * o * (1 - o)
            dc = dc * f
        dh = db[t] @ w_hh + past_product
    rows = da.reshape(T * N, -1)
    hidden_rows = db.reshape(T * N, -1)
    return da @ w_ih, {
        "weight_ih_l0": rows.T @ trace.x.reshape(T * N, -1),
        "weight_hh_l0": hidden_rows.T @ trace.h[:-1].reshape(T * N, -1),
        "bias_ih_l0": rows.sum(axis=0),
        "bias_hh_l0": hidden_rows.sum(axis=0),
    }


def _sigmoid(x: Array) -> Array:
    half = x.dtype.type(0.5)
    return half * (1 + np.tanh(half * x))


def _parts(a: Array, H: int) -> list[Array]:
    """Views of the gates."""
    return [a[:, i : i + H] for i in range(0, a.shape[1], H)]
