"""Sequences and states at the edge: from the user's layout to the core's, and back.

The core has (T, N, features) and (L*D, N, H), C-contiguous; users may have the batch
first, or none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._cache import S
from ._network import Network
from ._validation import (
    Array,
    contiguous,
    float_array,
    kind,
    of_shape,
    shaped_array,
)


class Edge(Network[S]):
    """The layouts of a network of layers and directions."""

    batch_first: bool

    def _time_major(self, x: Array) -> Array:
        """(T, N, features) of an array in the user's layout; a view."""
        if x.ndim == 2:
            return x[:, None]
        return x.swapaxes(0, 1) if self.batch_first else x

    def _users_layout(self, y: Array, batched: bool) -> Array:
        if not batched:
            return y[:, 0]
        return y.swapaxes(0, 1) if self.batch_first else y

    def _input(self, x: object) -> tuple[Array, bool]:
        """x (T, N, I) as a view, and whether it came with a batch."""
        array = float_array("x", x, self.dtype)
        shape = array.shape
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            order = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"x: expected shape ({order}, I={self.input_size}), or "
                f"(T, I={self.input_size}) unbatched, got {shape}"
            )
        return self._time_major(array), len(shape) == 3

    def _output_gradient(
        self, dy: object, steps: int, batch: int, batched: bool
    ) -> Array:
        """dy as (T, N, D*H)."""
        width = self._directions * self.hidden_size
        letters: tuple[str, ...] = ("T", "N", "D*H")
        shape: tuple[int, ...] = (steps, batch, width)
        if not batched:
            letters, shape = ("T", "D*H"), (steps, width)
        elif self.batch_first:
            letters, shape = ("N", "T", "D*H"), (batch, steps, width)
        return contiguous(
            self._time_major(of_shape("dy", dy, self.dtype, letters, shape))
        )

    def _state_arrays(
        self,
        name: str,
        state: object,
        labels: tuple[str, str],
        batch: int,
        batched: bool,
    ) -> tuple[Array | None, Array | None]:
        """h and c as (L*D, N, H), None where there is none."""
        if state is None:
            return None, None
        count = len(self._names)
        if batched:
            letters: tuple[str, ...] = ("", "N", "H")
            shape: tuple[int, ...] = (count, batch, self.hidden_size)
        else:
            letters, shape = ("", "H"), (count, self.hidden_size)
        return self._core_state(name, state, labels, letters, shape, batch)

    def _initial_state(
        self, state: object, batch: int, batched: bool
    ) -> tuple[Array | None, Array | None]:
        return self._state_arrays("state", state, ("h_0", "c_0"), batch, batched)

    def _users_state(self, h: Array, c: Array | None, batched: bool) -> S:
        if not batched:
            h, c = h[:, 0], None if c is None else c[:, 0]
        return self._joined(h, c)

    def _cell_gradients(
        self, dc: Any, steps: int, batch: int, batched: bool
    ) -> Array | None:
        """dc as (L*D, T, N, H)."""
        if dc is None:
            return None
        if not self._has_c:
            raise TypeError(f"dc: {type(self).__name__} has no cell state")
        count = len(self._names)
        letters: tuple[str, ...] = ("T", "N", "H")
        shape: tuple[int, ...] = (steps, batch, self.hidden_size)
        if not batched:
            letters, shape = ("T", "H"), (steps, self.hidden_size)
        if isinstance(dc, (tuple, list)):
            if len(dc) != count:
                raise ValueError(f"dc: expected {count} arrays, got {kind(dc)}")
            dc = np.stack(
                [shaped_array("dc", part, self.dtype, letters, shape) for part in dc]
            )
        array = float_array("dc", dc, self.dtype)
        if count > 1 or array.ndim > len(shape):
            letters, shape = ("", *letters), (count, *shape)
        array = shaped_array("dc", array, self.dtype, letters, shape)
        return array.reshape(count, steps, batch, self.hidden_size)
