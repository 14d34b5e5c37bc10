"""Keras's lists of weights: kernel (I, G*H), recurrent kernel (H, G*H), one bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._validation import Array, kind, real_array
from ._notation import KERAS
from ._reading import array_of, read, same_directions
from ._weights import (
    Layer,
    Stack,
    Weights,
    family_by_gates,
    layer_of,
    output_size,
    weights_of,
)


def from_keras(*layers: Sequence[Any], **options: Any) -> Layer:
    """A layer with the weights of Keras's LSTM, GRU or SimpleRNN [1]_ [2]_.

    Keras's one bias becomes `bias_ih`, and `bias_hh` zero; the two rows of the bias of
    a GRU with `reset_after` become both.

    Parameters
    ----------
    *layers : sequences of array_like
        What `get_weights()` gives, of every layer of a stack: kernel, recurrent kernel
        and, with `use_bias`, the bias; of a Bidirectional, those of the forward and
        then those of the backward layer.
    **options
        For the constructor: what is not in the weights. Keras's sequences are
        (N, T, features): ``batch_first=True``. The activation of a SimpleRNN is
        `nonlinearity`. Of a GRU without bias, `reset_after` has to be given.

    Returns
    -------
    RNN, LSTM or GRU

    Raises
    ------
    ValueError
        If a number of arrays, a shape or an option does not fit.
    TypeError
        If a layer is no list, or a value no array of real numbers.

    References
    ----------
    .. [1] https://keras.io/api/layers/recurrent_layers/lstm/
    .. [2] https://github.com/keras-team/keras, keras/src/layers/rnn/{lstm,gru,
       simple_rnn,bidirectional}.py

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import exchange
    >>> weights = [np.ones((3, 12)), np.ones((4, 12)), np.zeros((2, 12))]
    >>> exchange.from_keras(weights, batch_first=True).reset_after
    True
    """
    if not layers:
        raise ValueError("layers: expected at least one list of weights")
    numbers = []
    for i, arrays in enumerate(layers):
        if not isinstance(arrays, (list, tuple)):
            raise TypeError(
                f"layers[{i}]: expected a list of arrays, got {kind(arrays)}"
            )
        if len(arrays) not in (2, 3, 4, 6) or len(arrays) != len(layers[0]):
            raise ValueError(
                f"layers[{i}]: expected 2 arrays, or 3 with a bias, of a layer, and "
                f"twice as many of a Bidirectional, the same in every layer, got "
                f"{len(arrays)}"
            )
        numbers.append(2 if len(arrays) in (4, 6) else 1)
    same_directions("layers", numbers)
    D, arrays = numbers[0], layers[0]
    per_direction = len(arrays) // D
    recurrent = array_of("layers[0] recurrent_kernel", arrays[1], 2)
    H, columns = recurrent.shape
    family = family_by_gates("layers[0] recurrent_kernel", recurrent, columns, H)
    reset_after = None
    if family == "gru" and per_direction == 3:
        reset_after = real_array("layers[0] bias", arrays[2]).ndim == 2
    below = array_of("layers[0] kernel", arrays[0], 2).shape[0]
    stack: Stack = []
    for i, level in enumerate(layers):
        ends = (level[:per_direction], level[per_direction:])[:D]
        sizes = below, H, columns
        stack.append([_weights(f"layers[{i}]", e, sizes, reset_after) for e in ends])
        below = output_size(H, D, options)
    return layer_of(stack, family, KERAS, options, reset_after)


def to_keras(layer: Layer) -> list[list[Array]]:
    """A layer's weights as Keras's `get_weights()` gives them.

    Where Keras has one bias, it is the sum of the two.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of any size and dtype.

    Returns
    -------
    list of list of ndarray
        One list, for `set_weights`, for each of the layers of the stack.

    Raises
    ------
    ValueError
        If Keras has no such layer: peepholes, a projection.

    Examples
    --------
    >>> import rnnext
    >>> from rnnext import exchange
    >>> (weights,) = exchange.to_keras(rnnext.LSTM(3, 4))
    >>> [w.shape for w in weights]
    [(3, 16), (4, 16), (16,)]
    """
    rows = getattr(layer, "reset_after", False)  # whether a bias has two of them

    def arrays(w: Weights) -> list[Array]:
        kernels = [np.ascontiguousarray(w.w_ih.T), np.ascontiguousarray(w.w_hh.T)]
        if w.b_ih is None or w.b_hh is None:
            return kernels
        return [*kernels, np.stack([w.b_ih, w.b_hh]) if rows else w.bias]

    return [
        [array for end in level for array in arrays(end)]
        for level in weights_of(layer, KERAS)
    ]


def _weights(
    where: str,
    arrays: Sequence[Any],
    sizes: tuple[int, int, int],
    reset_after: bool | None,
) -> Weights:
    I, H, columns = sizes
    w = Weights(
        read(f"{where} kernel", arrays[0], ("I", "G*H"), (I, columns)).T,
        read(f"{where} recurrent_kernel", arrays[1], ("H", "G*H"), (H, columns)).T,
    )
    if len(arrays) == 2:
        return w
    if reset_after:
        bias = read(f"{where} bias", arrays[2], ("", "G*H"), (2, columns))
        return w._replace(b_ih=bias[0], b_hh=bias[1])
    return w.with_bias(read(f"{where} bias", arrays[2], ("G*H",), (columns,)))
