"""Foreign lists, mappings and arrays, checked: messages say where and what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._validation import Array, describe, kind, real_array


def read(
    name: str, value: object, letters: Sequence[str], shape: tuple[int, ...]
) -> Array:
    """`value` as an array of this shape."""
    array = _floating(name, value)
    if array.shape != shape:
        expected = describe(letters, shape)
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}")
    return array


def array_of(name: str, value: object, ndim: int) -> Array:
    """`value` as an array of so many axes."""
    array = _floating(name, value)
    if array.ndim != ndim:
        raise ValueError(
            f"{name}: expected {ndim} axes, got {array.ndim} in shape {array.shape}"
        )
    return array


def _floating(name: str, value: object) -> Array:
    """Whole numbers become float64."""
    array = real_array(name, value)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def keyed(
    name: str, value: object, needed: Sequence[str], optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    """`value` if it is a mapping of exactly these keys."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected a mapping, got {kind(value)}")
    faults = [f"{key} is missing" for key in needed if key not in value]
    known = {*needed, *optional}
    faults += [f"{key!s} is unknown" for key in value if key not in known]
    if faults:
        extra = f", and may be {', '.join(optional)}" if optional else ""
        raise ValueError(
            f"{name}: {'; '.join(faults)} (expected {', '.join(needed)}{extra})"
        )
    return value


def pairs(layers: Sequence[object]) -> list[list[tuple[str, Any]]]:
    """Where each direction of every layer is, and it: alone, or (forward, backward)."""
    if not layers:
        raise ValueError("layers: expected at least one layer")
    found = []
    for i, layer in enumerate(layers):
        if not isinstance(layer, (tuple, list)):
            found.append([(f"layers[{i}]", layer)])
        elif len(layer) == 2:
            found.append([(f"layers[{i}][{d}]", layer[d]) for d in (0, 1)])
        else:
            raise ValueError(
                f"layers[{i}]: expected one mapping, or a pair (forward, backward), "
                f"got {kind(layer)}"
            )
    same_directions("layers", [len(level) for level in found])
    return found


def unpaired(layers: Sequence[Sequence[Any]]) -> list[Any]:
    """The opposite of `pairs`."""
    return [tuple(layer) if len(layer) > 1 else layer[0] for layer in layers]


def same_directions(name: str, directions: Sequence[int]) -> None:
    if len(set(directions)) > 1:
        raise ValueError(
            f"{name}: expected as many directions in every layer, got {directions}"
        )
