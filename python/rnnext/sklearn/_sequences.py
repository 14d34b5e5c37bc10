"""What people hand over as X, as sequences (T_i, I)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from rnnext._validation import Array, no_mask


def are_sequences(X: Any) -> bool:
    """Whether X has an array (T_i, I) for each sample, and is no table."""
    if isinstance(X, np.ndarray) and X.dtype != object:
        return X.ndim == 3
    return (
        isinstance(X, (list, tuple, np.ndarray)) and len(X) > 0 and np.ndim(X[0]) == 2
    )


def read_sequences(estimator: Any, X: Any, reset: bool, steps: bool) -> list[Array]:
    """X as a list of (T_i, I) in float64; sets or checks ``n_features_in_``.

    steps: of a table (samples, features), whether every feature is a step.
    """
    no_mask("X", X)
    if not are_sequences(X):
        table = validate_data(estimator, X, dtype=np.float64, reset=reset)
        return list(table[:, :, None] if steps else table[:, None])
    found: list[Array] = [np.asarray(x, np.float64) for x in X]
    if not found:
        raise ValueError("X: expected at least one sample, got none")
    features = found[0].shape[1] if reset else len(estimator.mean_)
    for i, x in enumerate(found):
        if x.ndim != 2 or x.shape[1] != features:
            raise ValueError(
                f"X: expected sequences (T, I={features}), got {x.shape} in place {i}"
            )
        if len(x) == 0:
            raise ValueError(f"X: expected at least one step, got none in place {i}")
        if not np.isfinite(x).all():
            raise ValueError(f"X: expected finite numbers, got NaN or inf in place {i}")
    if reset:
        estimator.n_features_in_ = features
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    return found


def batch_of(
    sequences: Sequence[Array], mean: Array, scale: Array, dtype: Any
) -> tuple[Array, NDArray[np.intp]]:
    """Standardised and padded, (T, N, I), with their lengths."""
    lengths = np.array([len(x) for x in sequences], np.intp)
    x = np.zeros((lengths.max(), len(sequences), len(mean)), dtype)
    for n, sequence in enumerate(sequences):
        x[: len(sequence), n] = (sequence - mean) / scale
    return x, lengths
