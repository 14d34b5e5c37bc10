"""One step at a time: a layer with its state, for real-time use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from . import _core
from ._cache import S
from ._edge import are_tokens
from ._validation import Array, as_tokens, of_shape

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
        self._stepper = _core.Stepper(layer._weights(), batch_size)
        self.state = state
        self._start = self.state

    def step(self, x_t: Array, out: Array | None = None) -> Array:
        """Advance by one step.

        Parameters
        ----------
        x_t : ndarray of shape (N, I)
            The input of this step, of the layer's dtype; or token ids of shape (N,).
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
        layer = self._layer
        weights = layer._packed or layer._weights()
        y = _core.step(self._stepper, weights, x_t, out)
        if y is not None:
            return y
        # Here come subclasses of arrays, and what is wrong.
        N, I, P = self.batch_size, layer.input_size, layer._state_size
        if are_tokens(x_t) and x_t.ndim == 1:
            x = as_tokens("x_t", x_t)
            if x.shape != (N,):
                raise ValueError(f"x_t: expected shape (N={N},), got {x.shape}")
        else:
            x = of_shape("x_t", x_t, layer.dtype, ("N", "I"), (N, I))
        to = None
        if out is not None:
            letters = ("N", "P" if layer.proj_size else "H")
            to = of_shape("out", out, layer.dtype, letters, (N, P))
            flags = to.flags
            if not (flags.c_contiguous and flags.aligned and flags.writeable):
                raise ValueError("out: expected a writable C-contiguous array")
        y = _core.step(self._stepper, weights, x, to)
        assert y is not None
        return y if out is None else out

    @property
    def state(self) -> S:
        """The state now, as a copy; may be set. Like the state of a call."""
        state: S = self._stepper.get_state()
        return state

    @state.setter
    def state(self, state: S | None) -> None:
        checked = self._layer._checked_initial(state, self.batch_size)
        self._stepper.set_state(checked)

    def reset(self) -> None:
        """Go back to the state that the stream began with."""
        self._stepper.set_state(self._start)

    def __repr__(self) -> str:
        return f"Stream({self._layer!r}, batch_size={self.batch_size})"
