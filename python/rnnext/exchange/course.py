"""The course's dictionaries of parameters, by the names of `rnnext.course`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._validation import Array, kind
from ..course._notation import GRU, LSTM, RNN, Notation
from ._notation import COURSE
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

_NOTATIONS = {"lstm": LSTM, "gru": GRU, "rnn": RNN}


def from_course(*layers: Any, **options: Any) -> Layer:
    """A layer with the weights of the course's functions [1]_.

    The one bias becomes `bias_ih`, and `bias_hh` zero. The course's update gate is one
    minus PyTorch's, which is its weights with the other sign.

    Parameters
    ----------
    *layers : mapping, or pair of mappings
        Of every layer of a stack `Wf bf Wi bi Wc bc Wo bo`, `Wu bu Wr br Wc bc`,
        `Waa Wax ba` or `U W ba`; those of the output layer (`Wy by`, `Wya`, `V`) may
        be there and are left out, since a layer has none. For two directions a pair
        (forward, backward).
    **options
        For the constructor: what is not in the weights, as `dtype`.

    Returns
    -------
    RNN, LSTM or GRU
        A GRU with ``reset_after=False``.

    Raises
    ------
    ValueError
        If names are missing or unknown, or a shape or an option does not fit.
    TypeError
        If a layer is no mapping, or a value no array of real numbers.

    References
    ----------
    .. [1] Ng, "Sequence Models", week 1, "Building a Recurrent Neural Network, Step by
       Step".

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import exchange
    >>> exchange.from_course(
    ...     {"Wax": np.ones((4, 3)), "Waa": np.ones((4, 4)), "ba": np.ones((4, 1))})
    RNN(3, 4, dtype=float64)
    """
    entries = pairs(layers)
    where, first = entries[0][0]
    family, notation = _find(where, first)
    recurrent, inputs = notation.gates[0].recurrent, notation.gates[0].input
    H = array_of(f"{where} {recurrent}", first[recurrent], 2).shape[0]
    I = array_of(f"{where} {inputs}", first[inputs], 2).shape[1]
    if notation.joint:
        I -= H
    stack: Stack = []
    for level in entries:
        stack.append([_weights(*end, notation, I, H) for end in level])
        I = output_size(H, len(level), options)
    reset = False if family == "gru" else None
    return layer_of(stack, family, COURSE, options, reset)


def to_course(layer: Layer) -> list[Any]:
    """A layer's weights under the names of the course.

    The bias is the sum of the two, and zero where the layer has none.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of any size and dtype.

    Returns
    -------
    list of dict, or of pairs of dict
        For each of the layers of the stack a dictionary, or two: forward, backward. The
        course's functions also want the output layer, ``Wy`` and ``by`` (RNN: ``Wya``).

    Raises
    ------
    ValueError
        If the course has no such cell: a GRU with ``reset_after=True``, a relu,
        peepholes, a projection.

    Examples
    --------
    >>> import rnnext
    >>> from rnnext import exchange
    >>> (parameters,) = exchange.to_course(rnnext.LSTM(3, 4))
    >>> list(parameters), parameters["Wf"].shape
    (['Wi', 'bi', 'Wf', 'bf', 'Wc', 'bc', 'Wo', 'bo'], (4, 7))
    """
    notation = _NOTATIONS[family_of(layer)].notations[0]
    stack = weights_of(layer, COURSE)
    return unpaired([[_parameters(w, notation) for w in level] for level in stack])


def _names(notation: Notation) -> list[str]:
    """Of the cell's own parameters."""
    return [name for name in notation.shapes if name not in notation.output]


def _find(where: str, parameters: object) -> tuple[str, Notation]:
    if not isinstance(parameters, Mapping):
        raise TypeError(
            f"{where}: expected the course's parameters, got {kind(parameters)}"
        )
    known = []
    for family, notations in _NOTATIONS.items():
        for notation in notations.notations:
            if parameters.keys() >= set(_names(notation)):
                return family, notation
            known.append(" ".join(_names(notation)))
    raise ValueError(
        f"{where}: expected the names {', or '.join(known)}, got "
        f"{' '.join(map(str, parameters)) or 'nothing'}"
    )


def _weights(
    where: str, parameters: Mapping[str, Any], notation: Notation, I: int, H: int
) -> Weights:
    keyed(where, parameters, _names(notation), notation.output)

    def part(name: str, letter: str, columns: int) -> Array:
        shape = (H, columns)
        return read(f"{where} {name}", parameters[name], ("n_a", letter), shape)

    rows: list[list[Array]] = []
    for gate in notation.gates:
        if notation.joint:
            both = part(gate.input, "n_a + n_x", H + I)
            parts = [both[:, H:], both[:, :H]]
        else:
            parts = [part(gate.input, "n_x", I), part(gate.recurrent, "", H)]
        parts.append(part(gate.bias, "", 1)[:, 0])
        if gate.complement:
            parts = [-p for p in parts]
        rows.append(parts)
    w_ih, w_hh, bias = (np.concatenate(p) for p in zip(*rows, strict=True))
    return Weights(w_ih, w_hh).with_bias(bias)


def _parameters(w: Weights, notation: Notation) -> dict[str, Array]:
    H, found = w.w_hh.shape[1], {}
    for k, gate in enumerate(notation.gates):
        rows = slice(k * H, (k + 1) * H)
        parts = [w.w_hh[rows], w.w_ih[rows], w.bias[rows, None]]
        if gate.complement:
            parts = [-p for p in parts]
        if notation.joint:
            found[gate.input] = np.concatenate(parts[:2], axis=1)
        else:
            found[gate.recurrent], found[gate.input] = parts[0], parts[1]
        found[gate.bias] = parts[2]
    return found
