"""The factors of dropout: drawn, or given by the caller and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ._validation import Array, kind, of_shape


class Masks(NamedTuple):
    """A list of factors of each kind, as the core takes them; None: nothing dropped."""

    between: list[Array] | None = None  # of outputs: all layers but the last
    input: list[Array] | None = None  # at every step: all layers and directions

    def named(self) -> dict[str, list[Array]]:
        """The kinds that there are."""
        return {k: v for k, v in self._asdict().items() if v is not None}


Shape: TypeAlias = tuple[tuple[str, ...], tuple[int, ...]]  # letters and numbers


class Shapes(NamedTuple):
    """Those of every kind of `Masks`."""

    between: Sequence[Shape]
    input: Sequence[Shape]


def draw(
    shapes: Shapes,
    rates: Sequence[float],
    dtype: np.dtype[Any],
    rng: np.random.Generator,
) -> Masks | None:
    """Inverted dropout: 0 with the kind's probability, else what keeps the mean."""

    def factors(p: float, shape: tuple[int, ...]) -> Array:
        scale = 0.0 if p == 1 else 1 / (1 - p)
        return ((rng.random(shape) >= p) * scale).astype(dtype)

    masks = Masks(
        *(
            [factors(p, shape) for _, shape in every] if p > 0 and every else None
            for p, every in zip(rates, shapes, strict=True)
        )
    )
    return masks if masks.named() else None


def given(value: object, shapes: Shapes, dtype: np.dtype[Any]) -> Masks:
    """Copies of what a caller hands over as `dropout_masks`."""
    if not isinstance(value, Mapping):
        return Masks(between=_checked("dropout_masks", value, shapes.between, dtype))
    kinds = Masks._fields
    for name in value:
        if name not in kinds:
            raise ValueError(
                f"dropout_masks: expected the kinds {', '.join(map(repr, kinds))}, "
                f"got {name!r}"
            )
    return Masks(
        *(
            _checked(f"dropout_masks[{name!r}]", value.get(name), every, dtype)
            for name, every in zip(kinds, shapes, strict=True)
        )
    )


def _checked(
    name: str, arrays: object, shapes: Sequence[Shape], dtype: np.dtype[Any]
) -> list[Array] | None:
    if arrays is None:
        return None
    if not isinstance(arrays, (list, tuple)):
        raise TypeError(f"{name}: expected a list of arrays, got {kind(arrays)}")
    if len(arrays) != len(shapes):
        raise ValueError(f"{name}: expected {len(shapes)} arrays, got {len(arrays)}")
    return [
        of_shape(f"{name}[{i}]", array, dtype, letters, shape).copy(order="C")
        for i, (array, (letters, shape)) in enumerate(zip(arrays, shapes, strict=True))
    ]
