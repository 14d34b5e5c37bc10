"""haste's dictionaries: kernel (I, G*H), recurrent kernel (H, G*H), biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._validation import Array
from ._notation import HASTE
from ._reading import array_of, keyed, pairs, read, unpaired
from ._weights import (
    Layer,
    Stack,
    Weights,
    family_by_gates,
    family_of,
    layer_of,
    output_size,
    weights_of,
)


def from_haste(*layers: Any, **options: Any) -> Layer:
    """A layer with the weights of haste's LSTM or GRU [1]_.

    The one bias of an LSTM becomes `bias_ih`, and `bias_hh` zero.

    Parameters
    ----------
    *layers : mapping, or pair of mappings
        kernel, recurrent_kernel, bias and, of a GRU, recurrent_bias: the `state_dict`
        of every layer of a stack; for two directions a pair (forward, backward).
    **options
        For the constructor: what is not in the weights, as `batch_first`, `dtype`.

    Returns
    -------
    LSTM or GRU

    Raises
    ------
    ValueError
        If names are missing or unknown, or a shape or an option does not fit.
    TypeError
        If a layer is no mapping, or a value no array of real numbers.

    References
    ----------
    .. [1] https://github.com/lmnt-com/haste, frameworks/pytorch/{lstm,gru}.py

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import exchange
    >>> weights = {"kernel": np.ones((3, 16)), "recurrent_kernel": np.ones((4, 16)),
    ...            "bias": np.zeros(16)}
    >>> exchange.from_haste(weights)
    LSTM(3, 4, dtype=float64)
    """
    entries = pairs(layers)
    where, first = entries[0][0]
    keyed(where, first, _NAMES, ["recurrent_bias"])
    recurrent = array_of(f"{where} recurrent_kernel", first["recurrent_kernel"], 2)
    H, columns = recurrent.shape
    family = family_by_gates(f"{where} recurrent_kernel", recurrent, columns, H)
    if family == "rnn":
        raise ValueError("layers: expected an LSTM or a GRU, haste has no other cells")
    I = array_of(f"{where} kernel", first["kernel"], 2).shape[0]
    stack: Stack = []
    for level in entries:
        stack.append([_weights(*end, (I, H, columns)) for end in level])
        I = output_size(H, len(level), options)
    return layer_of(stack, family, HASTE, options, reset_after=True)


def to_haste(layer: Layer) -> list[Any]:
    """A layer's weights as haste has them.

    The bias of an LSTM is the sum of the two; where a layer has none, they are zero.

    Parameters
    ----------
    layer : LSTM or GRU
        Of any size and dtype.

    Returns
    -------
    list of dict, or of pairs of dict
        For each of the layers of the stack a dictionary, or two: forward, backward.

    Raises
    ------
    ValueError
        If haste has no such layer: an RNN, a GRU with ``reset_after=False``, peepholes,
        a projection.

    Examples
    --------
    >>> import rnnext
    >>> from rnnext import exchange
    >>> (weights,) = exchange.to_haste(rnnext.GRU(3, 4))
    >>> {name: w.shape for name, w in weights.items()}["recurrent_bias"]
    (12,)
    """
    gru = family_of(layer) == "gru"

    def arrays(w: Weights) -> dict[str, Array]:
        kernels = [np.ascontiguousarray(m.T) for m in (w.w_ih, w.w_hh)]
        found = dict(zip(_NAMES, [*kernels, w.bias], strict=True))
        if gru:
            zero = np.zeros_like(w.bias)
            found["bias"] = zero if w.b_ih is None else w.b_ih
            found["recurrent_bias"] = zero.copy() if w.b_hh is None else w.b_hh
        return found

    return unpaired([[arrays(w) for w in level] for level in weights_of(layer, HASTE)])


_NAMES = ("kernel", "recurrent_kernel", "bias")


def _weights(
    where: str, weights: Mapping[str, Any], sizes: tuple[int, int, int]
) -> Weights:
    I, H, columns = sizes
    gru = columns == 3 * H
    keyed(where, weights, [*_NAMES, "recurrent_bias"] if gru else _NAMES)

    def part(name: str, letters: tuple[str, ...], shape: tuple[int, ...]) -> Array:
        return read(f"{where} {name}", weights[name], letters, shape)

    w = Weights(
        part("kernel", ("I", "G*H"), (I, columns)).T,
        part("recurrent_kernel", ("H", "G*H"), (H, columns)).T,
    )
    bias = part("bias", ("G*H",), (columns,))
    if not gru:
        return w.with_bias(bias)
    return w._replace(b_ih=bias, b_hh=part("recurrent_bias", ("G*H",), (columns,)))
