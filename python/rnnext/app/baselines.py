"""Models that count: what a recurrent network has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.integer[Any]]

SMOOTHING = 0.1


def unigram_bits(train: Ids, targets: Ids, size: int, k: float = SMOOTHING) -> float:
    """Bits per character of the model that knows how often each character comes.

    Parameters
    ----------
    train : ndarray, shape (n,)
        The text that is counted.
    targets : ndarray
        The characters to predict, any shape.
    size : int
        Characters in the vocabulary.
    k : float
        Added to every count.

    Returns
    -------
    float
    """
    counts = np.bincount(train, minlength=size) + k
    return float(-np.log2(counts[targets.reshape(-1)] / counts.sum()).mean())


def bigram_bits(
    train: Ids, inputs: Ids, targets: Ids, size: int, k: float = SMOOTHING
) -> float:
    """Bits per character of the model that knows what follows each character.

    Parameters
    ----------
    train : ndarray, shape (n,)
        The text whose pairs are counted.
    inputs, targets : ndarray
        The pairs to predict, of one shape.
    size : int
        Characters in the vocabulary.
    k : float
        Added to the count of every pair.

    Returns
    -------
    float
    """
    # Only the pairs that occur: a table would not fit for large alphabets.
    first = train[:-1].astype(np.int64)
    pairs, counts = np.unique(first * size + train[1:], return_counts=True)
    asked = inputs.reshape(-1).astype(np.int64) * size + targets.reshape(-1)
    place = np.minimum(np.searchsorted(pairs, asked), len(pairs) - 1)
    seen = np.where(pairs[place] == asked, counts[place], 0)
    total = np.bincount(first, minlength=size)[inputs.reshape(-1)]
    return float(-np.log2((seen + k) / (total + k * size)).mean())
