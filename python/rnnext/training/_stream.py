"""A chain of layers, one step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._validation import Array, positive_integer
from .dropout import Dropout
from .pool import Pool

if TYPE_CHECKING:
    from .sequential import Sequential


class SequentialStream:
    """A `Sequential` that is fed one step at a time; its layers keep their states.

    The steps give the bits of a call on the whole sequence.

    Attributes
    ----------
    batch_size : int
        Sequences that advance together, N.
    """

    def __init__(self, model: Sequential, batch_size: int, state: Any) -> None:
        self.batch_size = positive_integer("batch_size", batch_size)
        self._model = model
        self._steps: list[Any] = []
        self._streams: list[Any] = []  # None of layers without a state
        states = model._states("state", state)
        for (name, layer), start in zip(model.layers.items(), states, strict=True):
            stream = None
            if isinstance(layer, Pool):
                raise ValueError(f"stream: {name} needs the whole sequence")
            if hasattr(layer, "stream"):
                stream = layer.stream(batch_size, start)
                self._steps.append(stream.step)
            elif not isinstance(layer, Dropout):
                self._steps.append(layer)
            self._streams.append(stream)

    def step(self, x_t: Any) -> Array:
        """Advance by one step.

        Parameters
        ----------
        x_t : ndarray
            Of every sequence what the first layer takes of one step: (N, I), or ids
            (N,).

        Returns
        -------
        ndarray of shape (N, features)

        Raises
        ------
        TypeError, ValueError
            As the layers.
        """
        for step in self._steps:
            x_t = step(x_t)
        y: Array = x_t
        return y

    @property
    def state(self) -> tuple[Any, ...]:
        """The state now, as a copy; may be set. Like the state of a call."""
        return tuple(s if s is None else s.state for s in self._streams)

    @state.setter
    def state(self, state: Any) -> None:
        before = self.state
        given = self._model._states("state", state)
        try:
            self._set(given)
        except (TypeError, ValueError):
            self._set(before)
            raise

    def _set(self, state: tuple[Any, ...]) -> None:
        for stream, part in zip(self._streams, state, strict=True):
            if stream is not None:
                stream.state = part

    def reset(self) -> None:
        """Go back to the states that the stream began with."""
        for stream in self._streams:
            if stream is not None:
                stream.reset()

    def __repr__(self) -> str:
        return f"SequentialStream({self._model!r}, batch_size={self.batch_size})"
