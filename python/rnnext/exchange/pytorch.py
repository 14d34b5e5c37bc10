"""PyTorch's state_dict, without PyTorch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._validation import Array, kind
from ._notation import PYTORCH
from ._reading import array_of, read
from ._weights import (
    Layer,
    Stack,
    Weights,
    family_by_gates,
    layer_of,
    names,
    output_size,
    weights_of,
)


def from_torch(
    state_dict: Mapping[str, Any], prefix: str = "", **options: Any
) -> Layer:
    """A layer with the weights of a PyTorch `state_dict` [1]_.

    Which class, how many layers and directions, and whether there are biases and a
    projection, is read off the names and shapes.

    Parameters
    ----------
    state_dict : mapping of str to array_like
        Tensors (of the CPU) or arrays, as from ``torch.load`` or safetensors.
    prefix : str, default ""
        Of the names, as "encoder.lstm."; others are left alone.
    **options
        For the constructor: what is not in the weights, as `batch_first`, `dropout`,
        `nonlinearity` of an RNN, `dtype` (default: that of the weights).

    Returns
    -------
    RNN, LSTM or GRU

    Raises
    ------
    ValueError
        If names are missing or unknown, or a shape or an option does not fit.
    TypeError
        If a value is no array of real numbers.

    References
    ----------
    .. [1] https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html,
       "Variables".

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import exchange
    >>> weights = {
    ...     "rnn.weight_ih_l0": np.ones((12, 3)), "rnn.weight_hh_l0": np.ones((12, 4)),
    ...     "fc.weight": np.ones((2, 4)),
    ... }
    >>> exchange.from_torch(weights, "rnn.")
    GRU(3, 4, bias=False, dtype=float64)
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(_no_mapping(state_dict))
    for name in state_dict:
        if not isinstance(name, str):
            raise TypeError(f"state_dict: expected names, got a key of {kind(name)}")
    given = {
        name.removeprefix(prefix): value
        for name, value in state_dict.items()
        if name.startswith(prefix)
    }
    if "weight_ih_l0" not in given or "weight_hh_l0" not in given:
        raise ValueError(f"state_dict: {_missing(state_dict, prefix)}")
    layers = 1
    while f"weight_ih_l{layers}" in given:
        layers += 1
    directions = 2 if "weight_ih_l0_reverse" in given else 1
    projection, bias = "weight_hr_l0" in given, "bias_ih_l0" in given
    fields = ["w_ih", "w_hh"]
    fields += ["b_ih", "b_hh"] if bias else []
    fields += ["projection"] if projection else []
    expected = [
        [{field: layer[field] for field in fields} for layer in level]
        for level in names(layers, directions)
    ]
    known = [name for level in expected for end in level for name in end.values()]
    faults = [f"{prefix}{name} is missing" for name in known if name not in given]
    faults += [f"{prefix}{name} is unknown" for name in given if name not in known]
    if faults:
        raise ValueError(f"state_dict: {'; '.join(faults)}")

    w_ih = array_of(f"{prefix}weight_ih_l0", given["weight_ih_l0"], 2)
    w_hh = array_of(f"{prefix}weight_hh_l0", given["weight_hh_l0"], 2)
    rows, out = w_hh.shape
    if w_ih.shape[0] != rows:
        raise ValueError(
            f"{prefix}weight_ih_l0 and {prefix}weight_hh_l0: expected G*H rows in "
            f"both, got {w_ih.shape[0]} and {rows}"
        )
    H = out
    if projection:
        H = array_of(f"{prefix}weight_hr_l0", given["weight_hr_l0"], 2).shape[1]
    family = family_by_gates(f"{prefix}weight_hh_l0", w_hh, rows, H)

    def weights(names: Mapping[str, str], I: int) -> Weights:
        shapes = {
            "w_ih": (("G*H", "I"), (rows, I)),
            "w_hh": (("G*H", "P" if projection else "H"), (rows, out)),
            "b_ih": (("G*H",), (rows,)),
            "b_hh": (("G*H",), (rows,)),
            "projection": (("P", "H"), (out, H)),
        }
        return Weights(
            **{f: read(f"{prefix}{n}", given[n], *shapes[f]) for f, n in names.items()}
        )

    sizes = [w_ih.shape[1]] + [output_size(out, directions, options)] * (layers - 1)
    stack: Stack = [
        [weights(end, I) for end in level]
        for level, I in zip(expected, sizes, strict=True)
    ]
    return layer_of(stack, family, PYTORCH, options, reset_after=True)


def to_torch(layer: Layer, prefix: str = "") -> dict[str, Array]:
    """A layer's weights under the names that PyTorch gives them.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of any size and dtype.
    prefix : str, default ""
        Put before the names.

    Returns
    -------
    dict of str to ndarray
        Copies. ``{k: torch.from_numpy(v) for k, v in ...}`` fits `load_state_dict`.

    Raises
    ------
    ValueError
        If PyTorch has no such layer: a GRU with ``reset_after=False``, peepholes.

    Examples
    --------
    >>> import rnnext
    >>> from rnnext import exchange
    >>> list(exchange.to_torch(rnnext.LSTM(3, 4, bias=False), "encoder."))
    ['encoder.weight_ih_l0', 'encoder.weight_hh_l0']
    """
    stack = weights_of(layer, PYTORCH)
    return {
        prefix + fields[field]: array
        for level, ends in zip(names(len(stack), 2), stack, strict=True)
        for fields, weights in zip(level, ends, strict=False)
        for field, array in weights._asdict().items()
        if array is not None
    }


def _no_mapping(given: object) -> str:
    meant = "; write .state_dict()" if hasattr(given, "state_dict") else ""
    return f"state_dict: expected a mapping, got {kind(given)}{meant}"


def _missing(state_dict: Mapping[str, Any], prefix: str) -> str:
    """Where the weights are, if they are not here."""
    found = [re.fullmatch(r"(.*)weight_ih_l0", name) for name in state_dict]
    prefixes = [repr(match[1]) for match in found if match]
    expected = f"expected {prefix}weight_ih_l0 and {prefix}weight_hh_l0"
    if not prefixes:
        return f"{expected}, got {', '.join(state_dict) or 'nothing'}"
    return f"{expected}; prefixes that lead to a layer: {', '.join(prefixes)}"
