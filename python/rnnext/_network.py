"""What layers and cells share: parameters, packed weights, states at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import ClassVar, Generic

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from ._cache import S
from ._configured import Configured
from ._options import CellOptions
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
# Of all arrays that a layer may have, in the order of `_core.Stack`.
_PACKED_NAMES = (*_NAMES, "weight_ch", "weight_hr")


class Network(Configured, Parametrised, Generic[S]):
    """Layers of one kind of cell; subclasses say which.

    A call keeps no state in it, so calls from several threads are safe.
    """

    _gates: ClassVar[int]
    _has_c: ClassVar[bool] = False
    _sizes = ("input_size", "hidden_size")
    _defaults: ClassVar[dict[str, object]] = {"bias": True}
    # What becomes of two directions, and whether the only one runs from the end.
    merge: str | None = "concat"
    reverse: bool = False
    # P, numbers in h where an LSTM projects it; 0 is H.
    proj_size: int = 0

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
        options: CellOptions | None = None,
    ) -> None:
        """One suffix of the parameters' names for every layer and direction."""
        self.input_size = positive_integer("input_size", input_size)
        self.hidden_size = positive_integer("hidden_size", hidden_size)
        self.bias = boolean("bias", bias)
        self._cell = cell
        self._directions = directions
        self._core_options = options.core if options else None
        names = [*_NAMES]
        names += ["weight_hr"] if self.proj_size else []
        names += ["weight_ch"] if options and options.peephole else []
        self._names = [[f"{name}{suffix}" for name in names] for suffix in suffixes]
        self._packed_names = [
            [f"{name}{suffix}" for name in _PACKED_NAMES] for suffix in suffixes
        ]
        H, rows = self.hidden_size, self._gates * self.hidden_size
        P = self._state_size = self.proj_size or H
        # Features of an output, F, which the next layer takes.
        self._output_size = P * (directions if self.merge == "concat" else 1)
        self._input_sizes = [
            self.input_size if i < directions else self._output_size
            for i in range(len(self._names))
        ]
        shapes: dict[str, tuple[int, ...]] = {}
        for columns, labels in zip(self._input_sizes, self._names, strict=True):
            shape_of = {
                "weight_ih": (rows, columns),
                "weight_hh": (rows, P),
                "bias_ih": (rows,),
                "bias_hh": (rows,),
                "weight_hr": (P, H),
                "weight_ch": (3, H),
            }
            shapes |= {
                label: shape_of[name]
                for name, label in zip(names, labels, strict=True)
                if self.bias or not name.startswith("bias")
            }
        super().__init__(shapes, H**-0.5, float_dtype(dtype), rng)

    def _pack(self) -> _core.Stack:
        get = self._arrays.get
        layers = [list(map(get, names)) for names in self._packed_names]
        return _core.Stack(
            self._cell,
            layers,
            self._directions,
            self.merge,
            self.reverse,
            self._core_options,
        )

    def _named(self, gradients: Sequence[Array]) -> dict[str, Array]:
        """The gradients that `_core.backward` gives, under the parameters' names."""
        if self.bias:
            return dict(zip(self._arrays, gradients, strict=True))
        every = dict(zip(chain(*self._names), gradients, strict=True))
        return {name: every[name] for name in self._arrays}

    def _checked_state(
        self,
        name: str,
        state: object,
        labels: tuple[str, str],
        letters: Sequence[str],
        shape: tuple[int, ...],
    ) -> _core.StateInput:
        """A state of plain arrays, c of this shape; any part may be None."""
        if state is None:
            return None
        of_h = letters, shape
        if self.proj_size:
            of_h = (*letters[:-1], "P"), (*shape[:-1], self.proj_size)
        h, c = (
            None if part is None else of_shape(label, part, self.dtype, *form)
            for label, part, form in zip(
                labels,
                state_parts(name, state, labels, self._has_c),
                (of_h, (letters, shape)),
                strict=True,
            )
        )
        return (h, c) if self._has_c else h
