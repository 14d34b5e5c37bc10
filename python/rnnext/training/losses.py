"""Losses with their gradients: means over the steps that exist."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._coverage import checked_lengths
from .._validation import (
    Array,
    any_float_array,
    boolean,
    describe,
    integer_array,
    of_shape,
    plain_array,
    probability,
    real_array,
)


def softmax_cross_entropy(
    logits: Array,
    targets: NDArray[Any],
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    batch_first: bool = False,
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
) -> tuple[float, Array]:
    """Mean cross-entropy of softmax(`logits`) in nats, and its gradient.

    With weights and smoothing the numbers are PyTorch's.

    Parameters
    ----------
    logits : ndarray of shape (..., C)
        Of float32 or float64, usually (T, N, C) or (N, C).
    targets : ndarray of integers of shape (...)
        The right class of each row, 0 to C - 1; where a row does not count, anything.
    lengths : integers of shape (N,), optional
        Of logits (T, N, C): the steps of every sequence that count.
    mask : booleans of shape (...), optional
        False: the row does not count.
    batch_first : bool, default False
        Whether logits with `lengths` are (N, T, C).
    class_weights : array_like of shape (C,), optional
        What a row counts in the mean, by its right class; 0 or more. Default 1.
    label_smoothing : float, default 0
        The part of the right class that is shared out among all C classes [1]_.

    Returns
    -------
    loss : float
        Weighted mean over the rows that count; 0 if there are none.
    dlogits : ndarray of shape (..., C)
        Its gradient with respect to `logits`: ``(softmax(logits) - onehot) / rows``
        without weights and smoothing, zero where a row does not count.

    Raises
    ------
    TypeError, ValueError
        If an array is of the wrong dtype or shape, or a target that counts is no class.

    References
    ----------
    .. [1] Szegedy et al., "Rethinking the Inception architecture for computer vision",
       CVPR 2016.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> logits = np.zeros((5, 2, 4), np.float32)
    >>> targets = np.full((5, 2), 3)
    >>> loss, dlogits = rnnext.softmax_cross_entropy(logits, targets, lengths=[5, 3])
    >>> round(loss, 4), dlogits[0, 0] * 8
    (1.3863, array([ 0.25,  0.25,  0.25, -0.75], dtype=float32))
    """
    logits = any_float_array("logits", logits)
    if not any(logits.shape[-1:]):
        raise ValueError(f"logits: expected shape (..., C), got {logits.shape}")
    outer, classes = logits.shape[:-1], logits.shape[-1]
    targets = integer_array("targets", targets)
    if targets.shape != outer:
        raise ValueError(f"targets: expected shape {outer}, got {targets.shape}")
    counts = counting(outer, lengths, mask, batch_first).reshape(-1)
    smoothing = probability("label_smoothing", label_smoothing)
    weights = _class_weights(class_weights, classes, logits.dtype)
    ids = targets.reshape(-1)
    wrong = counts & ((ids < 0) | (ids >= classes))
    if wrong.any():
        raise ValueError(
            f"targets: expected 0 to C-1={classes - 1}, got {ids[wrong][0]}"
        )
    ids = np.where(counts, ids, 0).astype(np.intp)
    rows = logits.reshape(-1, classes)
    right = np.arange(len(rows)), ids
    shares = np.where(counts, weights[ids], 0)
    total = float(shares.sum(dtype=np.float64)) or 1.0
    shares *= 1 - smoothing
    spread = weights * (smoothing / classes)
    with np.errstate(invalid="ignore"):  # rows that do not count may hold anything
        shifted = rows - rows.max(axis=1, keepdims=True)
        p = np.exp(shifted)
        sums = p.sum(axis=1, keepdims=True)
        losses = shares * (np.log(sums[:, 0]) - shifted[right])
        p *= ((shares + spread.sum()) / total)[:, None] / sums
        p[right] -= shares / total
        if smoothing:
            losses += (np.log(sums) - shifted) @ spread
            p -= spread / total
    p[~counts] = 0
    loss = float(losses[counts].sum(dtype=np.float64)) / total
    return loss, p.reshape(logits.shape)


def mse_loss(
    y: Array,
    targets: Array,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    batch_first: bool = False,
) -> tuple[float, Array]:
    """Mean squared difference, and its gradient.

    Parameters
    ----------
    y : ndarray of shape (..., F)
        Of float32 or float64, usually (T, N, F) or (N, F).
    targets : ndarray of the shape and dtype of `y`
        Where a row does not count, anything.
    lengths : integers of shape (N,), optional
        Of y (T, N, F): the steps of every sequence that count.
    mask : booleans of shape (...), optional
        False: the row does not count.
    batch_first : bool, default False
        Whether y with `lengths` is (N, T, F).

    Returns
    -------
    loss : float
        Mean over the numbers of the rows that count; 0 if there are none.
    dy : ndarray of the shape of `y`
        Its gradient with respect to `y`: ``2 (y - targets) / numbers``, zero where a
        row does not count.

    Raises
    ------
    TypeError, ValueError
        If an array is of the wrong dtype or shape.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> y, targets = np.ones((2, 2)), np.array([[1.0, 3.0], [1.0, 1.0]])
    >>> loss, dy = rnnext.mse_loss(y, targets)
    >>> loss, dy[0]
    (1.0, array([ 0., -1.]))
    """
    y = any_float_array("y", y)
    if y.ndim == 0:
        raise ValueError(f"y: expected shape (..., F), got {y.shape}")
    targets = of_shape("targets", targets, y.dtype, [""] * y.ndim, y.shape)
    counts = counting(y.shape[:-1], lengths, mask, batch_first)
    difference = np.zeros(y.shape, y.dtype)
    np.subtract(y, targets, out=difference, where=counts[..., None])
    number = max(int(counts.sum()) * y.shape[-1], 1)
    loss = float(np.square(difference, dtype=np.float64).sum()) / number
    difference *= 2 / number
    return loss, difference


def counting(
    outer: tuple[int, ...],
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    batch_first: object = False,
) -> NDArray[np.bool_]:
    """Which rows count."""
    counts = np.ones(outer, np.bool_)
    by_time = counts.T if boolean("batch_first", batch_first) else counts
    if lengths is not None:
        if len(outer) != 2:
            raise ValueError(
                f"lengths: expected with an array (T, N, features), got rows {outer}"
            )
        T, N = by_time.shape
        by_time &= np.arange(T)[:, None] < checked_lengths(lengths, T, N)
    if mask is not None:
        given = plain_array("mask", mask)
        if given.dtype != np.bool_:
            raise TypeError(f"mask: expected booleans, got dtype {given.dtype}")
        if given.shape != outer:
            raise ValueError(f"mask: expected shape {outer}, got {given.shape}")
        counts &= given
    return counts


def _class_weights(
    given: ArrayLike | None, classes: int, dtype: np.dtype[Any]
) -> Array:
    if given is None:
        return np.ones(classes, dtype)
    weights = real_array("class_weights", given)
    if weights.shape != (classes,):
        raise ValueError(
            f"class_weights: expected shape {describe('C', (classes,))}, got "
            f"{weights.shape}"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("class_weights: expected finite numbers of 0 or more")
    return weights.astype(dtype)
