"""One step at a time: a layer with its state, for real-time use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

import numpy as np

from . import _core
from ._cache import S
from ._validation import Array, of_shape, shaped_array

if TYPE_CHECKING:
    from ._recurrent import Recurrent


class Stream(Generic[S]):
    """A layer that is fed one step at a time; made by ``layer.stream()``.

    The outputs have the same bits as those of one call over the whole sequence. The
    weights are those of the layer at each step: a change shows at the next one.

    Attributes
    ----------
    batch_size : int
        Sequences that advance together, N.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> layer = rnnext.LSTM(3, 4, rng=0)
    >>> stream = layer.stream()
    >>> x = np.ones((5, 1, 3), np.float32)
    >>> steps = np.stack([stream.step(x_t) for x_t in x])
    >>> bool((steps == layer(x)[0]).all())
    True
    """

    def __init__(self, layer: Recurrent[S], batch_size: int, state: S | None) -> None:
        self._layer = layer
        self.batch_size = batch_size
        self._stepper = _core.Stepper(layer._weights(False), batch_size)
        self._advance = self._stepper.step
        self._start = self._arrays(state)
        self._stepper.set_state(*self._start)

    def _arrays(self, state: S | None) -> tuple[Array | None, Array | None]:
        h, c = self._layer._initial_state(state, self.batch_size, True)
        return (None if h is None else h.copy(), None if c is None else c.copy())

    def step(self, x_t: Array, out: Array | None = None) -> Array:
        """Advance by one step.

        Parameters
        ----------
        x_t : ndarray of shape (N, I)
            The input of this step, of the layer's dtype.
        out : ndarray of shape (N, H), optional
            C-contiguous array for the result; with it nothing is allocated.

        Returns
        -------
        ndarray of shape (N, H)
            The output of the last layer; `out` if it was given.

        Raises
        ------
        TypeError
            If `x_t` or `out` is not an array of the layer's dtype.
        ValueError
            If a shape is wrong, or `out` cannot be written in place.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> stream, out = rnnext.RNN(3, 4).stream(), np.empty((1, 4), np.float32)
        >>> stream.step(np.zeros((1, 3), np.float32), out) is out
        True
        """
        y = self._advance(self._layer._packed[0], x_t, out)
        return self._step_with_care(x_t, out) if y is None else y

    def _step_with_care(self, x_t: Array, out: Array | None) -> Array:
        """What `step` is too quick for: strides, weights to be packed, errors."""
        layer, N = self._layer, self.batch_size
        sizes = (N, layer.input_size)
        x = shaped_array("x_t", x_t, layer.dtype, ("N", "I"), sizes)
        to = None
        if out is not None:
            sizes = (N, layer.hidden_size)
            to = of_shape("out", out, layer.dtype, ("N", "H"), sizes)
            flags = to.flags
            if not (flags.c_contiguous and flags.aligned and flags.writeable):
                raise ValueError("out: expected a writable C-contiguous array")
            if np.may_share_memory(x, to):
                x = x.copy()
        y = self._advance(layer._weights(False), x, to)
        assert y is not None
        return y if out is None else out

    @property
    def state(self) -> S:
        """The state now, as a copy; may be set. Like the state of a call."""
        return self._layer._users_state(*self._stepper.get_state(), True)

    @state.setter
    def state(self, state: S) -> None:
        self._stepper.set_state(*self._arrays(state))

    def reset(self) -> None:
        """Go back to the state that the stream began with."""
        self._stepper.set_state(*self._start)

    def __repr__(self) -> str:
        return f"Stream({self._layer!r}, batch_size={self.batch_size})"
