"""What layers and cells share: parameters, packed weights, states at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from ._cache import S
from ._parameters import Parametrised
from ._validation import (
    Array,
    boolean,
    float_dtype,
    of_shape,
    positive_integer,
    state_parts,
)

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Network(Parametrised, Generic[S]):
    """Layers of one kind of cell; subclasses say which.

    A call keeps no state in it, so calls from several threads are safe.
    """

    _gates: ClassVar[int]
    _has_c: ClassVar[bool] = False
    # Options besides the sizes, in the order of the constructor; what differs is shown.
    _defaults: ClassVar[dict[str, object]] = {"bias": True}
    # What becomes of two directions, and whether the only one runs from the end.
    merge: str | None = "concat"
    reverse: bool = False

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        bias: bool,
        suffixes: Sequence[str],
        directions: int,
        dtype: DTypeLike,
        rng: np.random.Generator,
    ) -> None:
        """One suffix of the parameters' names for every layer and direction."""
        self.input_size = positive_integer("input_size", input_size)
        self.hidden_size = positive_integer("hidden_size", hidden_size)
        self.bias = boolean("bias", bias)
        self._cell = cell
        self._directions = directions
        self._names = [[f"{name}{suffix}" for name in _NAMES] for suffix in suffixes]
        rows = self._gates * self.hidden_size
        # Features of an output, F, which the next layer takes.
        self._output_size = self.hidden_size * (
            directions if self.merge == "concat" else 1
        )
        self._input_sizes = [
            self.input_size if i < directions else self._output_size
            for i in range(len(self._names))
        ]
        shapes: dict[str, tuple[int, ...]] = {}
        for columns, names in zip(self._input_sizes, self._names, strict=True):
            rest = ((columns,), (self.hidden_size,), (), ())[: 4 if self.bias else 2]
            shapes |= {n: (rows, *r) for n, r in zip(names, rest, strict=False)}
        super().__init__(shapes, self.hidden_size**-0.5, float_dtype(dtype), rng)

    def _pack(self, backward: bool) -> _core.Stack:
        get = self._arrays.get
        layers = [[get(name) for name in names] for names in self._names]
        return _core.Stack(
            self._cell, layers, self._directions, backward, self.merge, self.reverse
        )

    def _named(self, gradients: Sequence[Array]) -> dict[str, Array]:
        """The gradients that `_core.backward` gives, under the parameters' names."""
        if not self.bias:
            gradients = [g for i, g in enumerate(gradients) if i % 4 < 2]
        return dict(zip(self._arrays, gradients, strict=True))

    def _checked_state(
        self,
        name: str,
        state: object,
        labels: tuple[str, str],
        letters: Sequence[str],
        shape: tuple[int, ...],
    ) -> _core.StateInput:
        """A state of plain arrays of this shape; any part may be None."""
        if state is None:
            return None
        h, c = (
            None if part is None else of_shape(label, part, self.dtype, letters, shape)
            for label, part in zip(
                labels, state_parts(name, state, labels, self._has_c), strict=True
            )
        )
        return (h, c) if self._has_c else h

    def __repr__(self) -> str:
        words = [str(self.input_size), str(self.hidden_size)]
        for name, default in self._defaults.items():
            value = getattr(self, name)
            if value != default:
                words.append(f"{name}={value!r}")
        if self.dtype != np.float32:
            words.append(f"dtype={self.dtype}")
        return f"{type(self).__name__}({', '.join(words)})"
