"""Flax's dictionaries of parameters: a kernel (and a bias) for every gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._validation import Array, kind
from ._notation import FLAX
from ._reading import array_of, keyed, pairs, read, unpaired
from ._weights import (
    Layer,
    Stack,
    Weights,
    family_of,
    layer_of,
    output_size,
    weights_of,
)

# The denses that have a bias: those of the input, but in the LSTM those of the state.
_WITH_BIAS = {
    "rnn": ("i",),
    "gru": ("ir", "iz", "in", "hn"),
    "lstm": ("hi", "hf", "hg", "ho"),
}


def from_flax(*layers: Any, **options: Any) -> Layer:
    """A layer with the weights of Flax's LSTMCell, GRUCell or SimpleCell [1]_.

    OptimizedLSTMCell has the names of LSTMCell. The bias of an LSTM becomes `bias_hh`
    and `bias_ih` zero; of a GRU, `bias_hh` is zero but for the n gate.

    Parameters
    ----------
    *layers : mapping, or pair of mappings
        The parameters of the cell, ``variables["params"]``, of every layer of a stack;
        for two directions a pair (forward, backward).
    **options
        For the constructor: what is not in the weights. Flax's sequences are
        (N, T, features) unless ``time_major``: ``batch_first=True``.

    Returns
    -------
    RNN, LSTM or GRU

    Raises
    ------
    ValueError
        If names are missing or unknown, or a shape or an option does not fit.
    TypeError
        If a layer is no mapping, or a value no array of real numbers.

    References
    ----------
    .. [1] https://github.com/google/flax, flax/linen/recurrent.py

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import exchange
    >>> cell = {"i": {"kernel": np.ones((3, 4)), "bias": np.zeros(4)},
    ...         "h": {"kernel": np.ones((4, 4))}}
    >>> exchange.from_flax(cell, dtype=np.float32)
    RNN(3, 4)
    """
    entries = pairs(layers)
    first = entries[0][0]
    family = _family(*first)
    I, H = (
        array_of(*_part(*first, _denses(family, side)[0], "kernel"), 2).shape[0]
        for side in "ih"
    )
    stack: Stack = []
    for level in entries:
        stack.append([_weights(*cell, family, I, H) for cell in level])
        I = output_size(H, len(level), options)
    return layer_of(stack, family, FLAX, options, reset_after=True)


def to_flax(layer: Layer) -> list[Any]:
    """A layer's weights as the parameters of Flax's cells.

    Where Flax has one bias, it is the sum of the two, or zero where there are none.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of any size and dtype.

    Returns
    -------
    list of dict, or of pairs of dict
        For each of the layers of the stack the parameters of its cell, or of its cells
        (forward, backward).

    Raises
    ------
    ValueError
        If Flax has no such cell: a GRU with ``reset_after=False``, peepholes, a
        projection.

    Examples
    --------
    >>> import rnnext
    >>> from rnnext import exchange
    >>> (cell,) = exchange.to_flax(rnnext.GRU(3, 4))
    >>> sorted(cell), cell["in"]["kernel"].shape
    (['hn', 'hr', 'hz', 'in', 'ir', 'iz'], (3, 4))
    """
    family = family_of(layer)
    stack = weights_of(layer, FLAX)
    return unpaired([[_cell(w, family) for w in level] for level in stack])


def _denses(family: str, side: str) -> list[str]:
    """Of the input ("i") or of the state ("h"), in the order of the gates."""
    return [side + (g if family != "rnn" else "") for g in FLAX.order(family)]


def _family(where: str, cell: object) -> str:
    """Which cell has a dense of such a name."""
    if not isinstance(cell, Mapping):
        raise TypeError(f"{where}: expected the parameters of a cell, got {kind(cell)}")
    for family, name in (("lstm", "hf"), ("gru", "hn"), ("rnn", "h")):
        if name in cell:
            return family
    raise ValueError(
        f"{where}: expected the parameters of an LSTMCell (hf ...), GRUCell (hn ...) "
        f"or SimpleCell (h ...), got {', '.join(map(str, cell)) or 'nothing'}"
    )


def _part(
    where: str, cell: Mapping[str, Any], dense: str, part: str
) -> tuple[str, Any]:
    """What it is called in messages, and it."""
    has_bias = dense in _WITH_BIAS[_family(where, cell)]
    needed = ["kernel", "bias"] if has_bias else ["kernel"]
    name = f"{where} {dense}"
    return f"{name} {part}", keyed(name, cell.get(dense, {}), needed)[part]


def _weights(
    where: str, cell: Mapping[str, Any], family: str, I: int, H: int
) -> Weights:
    inputs, states = _denses(family, "i"), _denses(family, "h")
    keyed(where, cell, [*inputs, *states])

    def kernel(dense: str, letter: str, size: int) -> Array:
        return read(*_part(where, cell, dense, "kernel"), (letter, "H"), (size, H))

    def bias(dense: str) -> Array:
        return read(*_part(where, cell, dense, "bias"), ("H",), (H,))

    w = Weights(
        np.concatenate([kernel(dense, "I", I).T for dense in inputs]),
        np.concatenate([kernel(dense, "H", H).T for dense in states]),
    )
    biases = [bias(dense) for dense in _WITH_BIAS[family]]
    if family == "gru":
        return w.with_bias(np.concatenate(biases[:3]), biases[3])
    joined = np.concatenate(biases)
    if family == "lstm":
        return w._replace(b_ih=np.zeros_like(joined), b_hh=joined)
    return w.with_bias(joined)


def _cell(w: Weights, family: str) -> dict[str, dict[str, Array]]:
    H = w.w_hh.shape[1]
    found: dict[str, dict[str, Array]] = {}
    for side, matrix in (("i", w.w_ih), ("h", w.w_hh)):
        for k, dense in enumerate(_denses(family, side)):
            found[dense] = {"kernel": matrix[k * H : (k + 1) * H].T.copy()}
    bias, rest = w.gru_biases if family == "gru" else (w.bias, w.bias[:0])
    blocks = np.concatenate([bias, rest]).reshape(-1, H)
    for dense, block in zip(_WITH_BIAS[family], blocks, strict=True):
        found[dense]["bias"] = block
    return found
