"""A PyTorch state dict as the layers that are in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from rnnext import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from rnnext._validation import Array
from rnnext.exchange import from_torch

_NAME = re.compile(r"(?P<prefix>.*?)(?:weight|bias)_(?:ih|hh|hr)(?P<level>_l\d+\S*)?")
_CELLS: dict[type[Any], type[Any]] = {RNN: RNNCell, LSTM: LSTMCell, GRU: GRUCell}


class Found(NamedTuple):
    """The recurrent layers and cells by their prefixes, and the tensors of others."""

    recurrent: dict[str, Any]
    others: dict[str, Array]


def read_state_dict(
    tensors: Mapping[str, Array], nonlinearity: str = "tanh", **options: Any
) -> Found:
    """Sort the tensors and make layers of those that are recurrent.

    Parameters
    ----------
    tensors : mapping of str to ndarray
    nonlinearity : {"tanh", "relu"}
        Of what turns out to be an RNN.
    **options
        Of all layers, for what is not in their weights.

    Returns
    -------
    Found

    Raises
    ------
    TypeError, ValueError
        If tensors of a layer are missing or do not fit.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> tensors = {f"rnn.{k}": v for k, v in rnnext.LSTM(3, 4).state_dict().items()}
    >>> read_state_dict(tensors | {"fc.bias": np.zeros(2)}).recurrent
    {'rnn.': LSTM(3, 4)}
    """
    groups: dict[str, dict[str, Array]] = {}
    cells: set[str] = set()
    others: dict[str, Array] = {}
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None:
            others[name] = tensor
            continue
        if tensor.dtype.kind != "f":  # quantised, perhaps: its scale is elsewhere
            raise TypeError(f"{name}: expected float32 or float64, got {tensor.dtype}")
        prefix = match["prefix"]
        if match["level"] is None:
            cells.add(prefix)
            name += "_l0"
        groups.setdefault(prefix, {})[name] = tensor
    recurrent = {
        prefix: _made(group, prefix, prefix in cells, nonlinearity, options)
        for prefix, group in groups.items()
    }
    return Found(recurrent, others)


def _made(
    group: Mapping[str, Array],
    prefix: str,
    cell: bool,
    nonlinearity: str,
    options: Mapping[str, Any],
) -> Any:
    layer = from_torch(group, prefix, **options)
    if isinstance(layer, RNN) and nonlinearity != layer.nonlinearity:
        layer = from_torch(group, prefix, nonlinearity=nonlinearity, **options)
    return as_cell(layer) if cell else layer


def as_cell(layer: Any) -> Any:
    """A layer of one level and direction as the cell that it repeats."""
    sizes = layer.input_size, layer.hidden_size, layer.bias
    cell = _CELLS[type(layer)](*sizes, dtype=layer.dtype, **_options(layer))
    names = {name: name.removesuffix("_l0") for name in layer.parameters}
    cell.load_state_dict({names[k]: v for k, v in layer.parameters.items()})
    return cell


def as_layer(cell: Any) -> Any:
    """The layer that repeats a cell."""
    (kind,) = (layer for layer, one in _CELLS.items() if isinstance(cell, one))
    sizes, options = (cell.input_size, cell.hidden_size), _options(cell)
    layer = kind(*sizes, bias=cell.bias, dtype=cell.dtype, **options)
    layer.load_state_dict({f"{k}_l0": v for k, v in cell.parameters.items()})
    return layer


def _options(model: Any) -> dict[str, Any]:
    """What only an RNN or only a GRU has."""
    names = ("nonlinearity", "reset_after")
    return {name: getattr(model, name) for name in names if hasattr(model, name)}
