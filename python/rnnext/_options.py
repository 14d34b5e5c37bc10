"""Options of the cells: as people write them, checked, and as the core takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from . import _core
from ._validation import finite, kind

# ONNX's activations: the parameters that each takes (alpha, then beta) with ONNX's
# defaults; None where there is no useful one.
PARAMETERS: dict[str, tuple[float | None, ...]] = {
    "Relu": (),
    "Tanh": (),
    "Sigmoid": (),
    "Affine": (None, None),
    "LeakyRelu": (0.01,),
    "ThresholdedRelu": (1.0,),
    "ScaledTanh": (None, None),
    "HardSigmoid": (0.2, 0.5),
    "Elu": (1.0,),
    "Softsign": (),
    "Softplus": (),
}
_SPELLED = {name.lower(): name for name in PARAMETERS}


class Activation(NamedTuple):
    """As the core takes it; a parameter that it does not have is 0."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0

    @property
    def written(self) -> str | tuple[str | float, ...]:
        """As people write it, without what is the default."""
        defaults = PARAMETERS[self.name]
        given = self[1 : 1 + len(defaults)]
        return self.name if given == defaults else (self.name, *given)


Activations: TypeAlias = tuple[Activation, ...]  # of the gates, then the output
_SIGMOID, _TANH, _RELU = Activation("Sigmoid"), Activation("Tanh"), Activation("Relu")
# What the gates of a cell are called, and its output, and their own activations.
_CELLS: dict[str, tuple[str, Activations]] = {
    "rnn_tanh": ("h", (_TANH,)),
    "rnn_relu": ("h", (_RELU,)),
    "lstm": ("i f g o h", (_SIGMOID, _SIGMOID, _TANH, _SIGMOID, _TANH)),
    "gru": ("r z n", (_SIGMOID, _SIGMOID, _TANH)),
    "gru_reset_before": ("r z n", (_SIGMOID, _SIGMOID, _TANH)),
}


def gate_names(cell: str) -> list[str]:
    """Of a cell in order, then of its output where that has an activation."""
    return _CELLS[cell][0].split()


class CellOptions:
    """What the cells of a layer compute other than their authors wrote.

    The arguments are those of the layers' constructors, still to be checked but for
    the booleans.
    """

    def __init__(
        self,
        cell: str,
        directions: int,
        *,
        activations: object = None,
        gate_clip: object = None,
        peephole: bool = False,
        coupled: bool = False,
        cell_clip: object = None,
    ) -> None:
        own = _CELLS[cell][1]
        self.by_direction = (own,) * directions
        if activations is not None:
            self.by_direction = _activations(activations, gate_names(cell), directions)
        self._own = own
        self.gate_clip = _bound("gate_clip", gate_clip)
        self.cell_clip = _bound("cell_clip", cell_clip)
        self.peephole = peephole
        self.coupled = coupled

    @property
    def activations(self) -> list[Any] | None:
        """As people write them; None: the cell's own."""
        if all(one == self._own for one in self.by_direction):
            return None
        lists = [[entry.written for entry in one] for one in self.by_direction]
        return lists[0] if lists[0] == lists[-1] else lists

    @property
    def core(self) -> list[_core.CellOptions | None] | None:
        """By direction; None where the cell is as its authors wrote it."""
        clips = [
            np.inf if clip is None else clip
            for clip in (self.gate_clip, self.cell_clip)
        ]
        more = self.peephole or self.coupled or min(clips) < np.inf
        found: list[_core.CellOptions | None] = [
            (one, clips[0], clips[1], self.coupled)
            if more or one != self._own
            else None
            for one in self.by_direction
        ]
        return found if any(found) else None

    def __str__(self) -> str:
        """What differs, for messages; begins with a comma."""
        found = {
            name: getattr(self, name)
            for name in ("activations", "gate_clip", "peephole", "coupled", "cell_clip")
        }
        return "".join(f", {name}={value}" for name, value in found.items() if value)


def _activations(
    value: object, gates: Sequence[str], directions: int
) -> tuple[Activations, ...]:
    """By direction, from one list for all of them, or a list of one for each."""
    names = ", ".join(gates)
    expected = f"activations: expected a list of {len(gates)} ({names})"
    if directions == 2:
        expected += ", or two such lists"
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{expected}, got {kind(value)}")
    lists: list[Any] = list(value) if len(value) == directions == 2 else [value]
    for one in lists:
        if not isinstance(one, (list, tuple)) or len(one) != len(gates):
            raise ValueError(f"{expected}, got {kind(one)}")
    found = [tuple(_activation(entry) for entry in one) for one in lists]
    return tuple(found * directions)[:directions]


def _activation(entry: object) -> Activation:
    parts = entry if isinstance(entry, (list, tuple)) else (entry,)
    if not 1 <= len(parts) <= 3 or not isinstance(parts[0], str):
        raise TypeError(
            "activations: expected a name or (name, alpha, beta) in each place, got "
            f"{entry!r}"
        )
    name = _SPELLED.get(parts[0].lower())
    if name is None:
        choices = ", ".join(PARAMETERS)
        raise ValueError(f"activations: expected one of {choices}, got {parts[0]!r}")
    defaults = PARAMETERS[name]
    numbers = []
    for i, letter in enumerate(("alpha", "beta")):
        given = parts[1 + i] if len(parts) > 1 + i else None
        label = f"activations: {letter} of {name}"
        if i >= len(defaults):
            if given not in (None, 0):
                raise ValueError(f"{label}: it takes none, got {given!r}")
            numbers.append(0.0)
            continue
        number = defaults[i] if given is None else finite(label, given)
        if number is None:
            raise ValueError(f"{label}: expected a number, ONNX has no default for it")
        numbers.append(number)
    return Activation(name, *numbers)


def _bound(name: str, value: object) -> float | None:
    if value is None:
        return None
    bound = finite(name, value)
    if bound <= 0:
        raise ValueError(f"{name}: expected a number above 0, got {value}")
    return bound
