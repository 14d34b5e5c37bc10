"""Sequences and states at the edge: what is wrong with them, and the batch first.

The core reads arrays (T, N, features) and (L*D, N, H) of any strides as they are, and
without N where there is no batch. Here is what is left: subclasses of arrays, the order
N, T, and the words for what does not fit.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._cache import Output, S
from ._network import Network
from ._validation import Array, as_tokens, float_array, kind, of_shape


def are_tokens(x: object) -> TypeGuard[NDArray[Any]]:
    """Whether x is an array (T, N) or (T,) of token ids."""
    return isinstance(x, np.ndarray) and x.dtype.kind in "iu" and x.ndim in (1, 2)


def batch_of(x: Array) -> int | None:
    """N of x (T, N, I) or of token ids (T, N); None unbatched."""
    return x.shape[1] if x.ndim == (2 if are_tokens(x) else 3) else None


class Edge(Network[S]):
    """The arrays of a network of layers and directions."""

    batch_first: bool

    def _swapped(self, x: Array) -> Array:
        """Between the user's order and (T, N, features); a view."""
        return x.swapaxes(0, 1) if self.batch_first and x.ndim == 3 else x

    def _swapped_output(self, y: Output) -> Output:
        if isinstance(y, tuple):
            return tuple(map(self._swapped, y))
        return self._swapped(y)

    def _checked(self, x: object, state: object) -> tuple[Array, _core.StateInput]:
        """x as (T, N, I), or token ids as (T, N); without N unbatched."""
        if are_tokens(x):
            ids = as_tokens("x", x.T if self.batch_first else x)
            return ids, self._checked_initial(state, batch_of(ids))
        array = float_array("x", x, self.dtype)
        if array.ndim not in (2, 3) or array.shape[-1] != self.input_size:
            order = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"x: expected shape ({order}, I={self.input_size}), or "
                f"(T, I={self.input_size}) unbatched, got {array.shape}"
            )
        array = self._swapped(array)
        return array, self._checked_initial(state, batch_of(array))

    def _checked_initial(self, state: object, batch: int | None) -> _core.StateInput:
        return self._checked_layers("state", state, ("h_0", "c_0"), batch)

    def _checked_layers(
        self, name: str, state: object, labels: tuple[str, str], batch: int | None
    ) -> _core.StateInput:
        """batch=None: unbatched."""
        count, H = len(self._names), self.hidden_size
        if batch is None:
            return self._checked_state(name, state, labels, ("", "H"), (count, H))
        shape = (count, batch, H)
        return self._checked_state(name, state, labels, ("", "N", "H"), shape)

    def _checked_output(self, dy: object, steps: int, batch: int | None) -> Output:
        letters = ["T", "N", self._output_letter]
        sizes = [steps, batch or 0, self._output_size]
        if batch is None:
            del letters[1], sizes[1]
        elif self.batch_first:
            letters[:2], sizes[:2] = letters[1::-1], sizes[1::-1]

        def checked(name: str, part: object) -> Array:
            return self._swapped(
                of_shape(name, part, self.dtype, letters, tuple(sizes))
            )

        if self.merge is not None:
            return checked("dy", dy)
        if not isinstance(dy, (tuple, list)) or len(dy) != 2:
            raise TypeError(
                f"dy: expected a tuple (dy_forward, dy_backward), got {kind(dy)}"
            )
        return tuple(
            None if part is None else checked(name, part)
            for name, part in zip(("dy_forward", "dy_backward"), dy, strict=True)
        )

    @property
    def _output_letter(self) -> str:
        letter = "P" if self.proj_size else "H"
        return f"D*{letter}" if self.merge == "concat" else letter

    def _checked_cells(self, dc: Any, steps: int, batch: int | None) -> Array:
        """dc as (L*D, T, N, H)."""
        if not self._has_c:
            raise TypeError(f"dc: {type(self).__name__} has no cell state")
        count, H = len(self._names), self.hidden_size
        letters: tuple[str, ...] = ("T", "H") if batch is None else ("T", "N", "H")
        shape: tuple[int, ...] = (steps, H) if batch is None else (steps, batch, H)
        if isinstance(dc, (tuple, list)):
            if len(dc) != count:
                raise ValueError(f"dc: expected {count} arrays, got {kind(dc)}")
            parts = [of_shape("dc", part, self.dtype, letters, shape) for part in dc]
            dc = np.stack(parts)
        array = float_array("dc", dc, self.dtype)
        if count > 1 or array.ndim > len(shape):
            letters, shape = ("", *letters), (count, *shape)
        array = of_shape("dc", array, self.dtype, letters, shape)
        return array.reshape(count, steps, 1 if batch is None else batch, H)
