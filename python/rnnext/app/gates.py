"""How the gates of a layer behave over an input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnext._validation import Array

from .._options import Activation, gate_names

# Saturated: in the outer tenth of its range, as in Karpathy, Johnson and Li,
# "Visualizing and Understanding Recurrent Networks" (2015), or at a rectifier's zero.
EDGE = 0.1
_RANGES = {
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
}
_RECTIFIERS = ("Relu", "ThresholdedRelu")


@dataclass(frozen=True)
class Gate:
    """Of one gate of one layer and direction, over all steps, sequences and units."""

    layer: str
    gate: str
    mean: float
    deviation: float
    saturated: float | None  # part of 1; None where its activation has no bounds


def statistics(
    name: str, layer: Any, x: Array, state: Any = None, lengths: Any = None
) -> tuple[list[Gate], Array]:
    """Run a recurrent layer and look at its gates.

    Parameters
    ----------
    name : str
        What the layer is called.
    layer : RNN, LSTM or GRU
        Run as in inference, without dropout.
    x, state, lengths
        What the layer takes.

    Returns
    -------
    gates : list of Gate
        By level, direction and gate; ``name l0``, ``name l0 reverse`` ...
    y : ndarray
        The output.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> gru = rnnext.GRU(3, 4, rng=0)
    >>> found, _ = statistics("rnn", gru, np.ones((5, 2, 3), np.float32))
    >>> [(gate.layer, gate.gate) for gate in found]
    [('rnn l0', 'r'), ('rnn l0', 'z'), ('rnn l0', 'n')]
    """
    y, _, cache = layer.forward(x, state, lengths=lengths, dropout_masks={})
    return list(_gates(name, layer, cache, lengths is not None)), y


def _gates(name: str, layer: Any, cache: Any, has_lengths: bool) -> Iterator[Gate]:
    directions = layer._options.by_direction
    for i, gates in enumerate(cache.gates):
        level, direction = divmod(i, len(directions))
        label = f"{name} l{level}".strip() + " reverse" * direction
        # Steps that do not exist have gates of zero.
        rows = gates[gates.any((2, 3))] if has_lengths else gates
        for g, gate in enumerate(gate_names(layer._cell)[: rows.shape[-2]]):
            values = rows[..., g, :].astype(np.float64)
            saturated = _saturated(values, directions[direction][g])
            yield Gate(label, gate, *_moments(values), saturated)


def _moments(values: Array) -> tuple[float, float]:
    return (float(values.mean()), float(values.std())) if values.size else (0.0, 0.0)


def _saturated(values: Array, activation: Activation) -> float | None:
    if not values.size:
        return None
    if activation.name in _RECTIFIERS:
        return float((values == 0).mean())
    if activation.name not in _RANGES:
        return None
    low, high = _RANGES[activation.name]
    edge = EDGE * (high - low)
    return float(((values < low + edge) | (values > high - edge)).mean())
