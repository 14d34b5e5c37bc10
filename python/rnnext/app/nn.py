"""What stands on top of the recurrent layer, each forward beside its backward.

Products run in the extension, whose results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnext import _core

Array = NDArray[np.floating[Any]]
Ids = NDArray[np.integer[Any]]


def linear_forward(x: Array, weight: Array, bias: Array) -> Array:
    """Compute ``x @ weight.T + bias``.

    Parameters
    ----------
    x : ndarray, shape (M, K)
    weight : ndarray, shape (O, K)
    bias : ndarray, shape (O,)

    Returns
    -------
    ndarray, shape (M, O)
    """
    return _core.linear(np.ascontiguousarray(x), np.ascontiguousarray(weight), bias)


def linear_backward(x: Array, weight: Array, dy: Array) -> tuple[Array, Array, Array]:
    """Gradients of `linear_forward`.

    Parameters
    ----------
    x : ndarray, shape (M, K)
    weight : ndarray, shape (O, K)
    dy : ndarray, shape (M, O)
        Gradient of the loss with respect to the output.

    Returns
    -------
    dx : ndarray, shape (M, K)
    dweight : ndarray, shape (O, K)
    dbias : ndarray, shape (O,)
    """
    dy = np.ascontiguousarray(dy)
    dx = _core.linear(dy, np.ascontiguousarray(weight.T), None)
    dweight = _core.matmul_tn(dy, np.ascontiguousarray(x))
    return dx, dweight, dy.sum(axis=0)


def softmax_cross_entropy(logits: Array, targets: Ids) -> tuple[float, Array]:
    """Mean cross-entropy of softmax(`logits`) in nats, and its gradient.

    Parameters
    ----------
    logits : ndarray, shape (..., V)
    targets : ndarray of int, shape (...)
        The right class of each row, 0 to V - 1.

    Returns
    -------
    loss : float
        Mean over all rows; 0.0 when there are none.
    dlogits : ndarray, shape (..., V)
        Gradient of `loss` with respect to `logits`, of their dtype.
    """
    rows = logits.reshape(-1, logits.shape[-1])
    right = (np.arange(len(rows)), targets.reshape(-1))
    shifted = rows - rows.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[right]
    p /= total
    p[right] -= 1
    p /= max(len(rows), 1)
    loss = losses.sum(dtype=np.float64) / max(len(rows), 1)
    return float(loss), p.reshape(logits.shape)


def dropout_mask(
    shape: tuple[int, ...],
    rate: float,
    dtype: np.dtype[Any],
    rng: np.random.Generator,
) -> Array:
    """Draw the factors of inverted dropout; forward and backward both multiply by them.

    Parameters
    ----------
    shape : tuple of int
    rate : float
        Probability of a zero, in [0, 1).
    dtype : dtype
    rng : numpy.random.Generator

    Returns
    -------
    ndarray
        0 or ``1 / (1 - rate)``.
    """
    keep = rng.random(shape, dtype=np.float32) >= rate
    mask: Array = keep.astype(dtype)
    mask /= 1 - rate
    return mask
