"""RNNCell, LSTMCell and GRUCell: one step, PyTorch's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from ._cache import Gradients, S
from ._network import Network
from ._validation import Array, boolean, contiguous, float_array, generator
from .layers import checked_nonlinearity

# Whose cache it is: cell, I, H, bias; dtype.
Kind: TypeAlias = tuple[tuple[str, int, int, bool], str]


class CellCache:
    """What a cell's `forward` keeps for its `backward`."""

    __slots__ = ("_batched", "_kind", "_saved", "_weights")

    def __init__(
        self,
        weights: _core.Stack,
        saved: Sequence[_core.Saved],
        batched: bool,
        kind: Kind,
    ) -> None:
        self._weights = weights
        self._saved = saved
        self._batched = batched
        self._kind = kind


class Cell(Network[S]):
    """One step of one layer; subclasses say which cell."""

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        bias: bool,
        dtype: DTypeLike,
        rng: object,
    ) -> None:
        super().__init__(
            cell, input_size, hidden_size, bias, ("",), 1, dtype, generator("rng", rng)
        )
        kind = (cell, self.input_size, self.hidden_size, self.bias)
        self._kind: Kind = (kind, str(self.dtype))

    # ---- the layout at the edge: the core has (1, N, features), (1, N, H) -----------

    def _input(self, x: object) -> tuple[Array, bool]:
        """x (1, N, I) as a view, and whether it came with a batch."""
        array = float_array("x", x, self.dtype)
        shape = array.shape
        if len(shape) not in (1, 2) or shape[-1] != self.input_size:
            raise ValueError(
                f"x: expected shape (N, I={self.input_size}), or "
                f"(I={self.input_size},) unbatched, got {shape}"
            )
        return array[None] if len(shape) == 2 else array[None, None], len(shape) == 2

    def _state_arrays(
        self,
        name: str,
        state: object,
        labels: tuple[str, str],
        batch: int,
        batched: bool,
    ) -> tuple[Array | None, Array | None]:
        if state is None:
            return None, None
        letters: tuple[str, ...] = ("N", "H")
        shape: tuple[int, ...] = (batch, self.hidden_size)
        if not batched:
            letters, shape = letters[1:], shape[1:]
        return self._core_state(name, state, labels, letters, shape, batch)

    def _users_state(self, h: Array, c: Array | None, batched: bool) -> S:
        h, c = h[0], None if c is None else c[0]
        if not batched:
            h, c = h[0], None if c is None else c[0]
        return self._joined(h, c)

    # ---- calls ----------------------------------------------------------------------

    def __call__(self, x: Array, state: S | None = None) -> S:
        """One step.

        Parameters
        ----------
        x : ndarray of shape (N, I), or (I,) unbatched
            Input of the cell's dtype.
        state : ndarray of shape (N, H), or for LSTMCell a tuple of two, optional
            State before the step; (H,) unbatched. Default zeros.

        Returns
        -------
        state : like `state`
            State after the step: ``h``, or ``(h, c)``.

        Raises
        ------
        TypeError, ValueError
            If an array is of the wrong dtype or shape.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> h, c = rnnext.LSTMCell(3, 4, rng=0)(np.zeros((2, 3), np.float32))
        >>> h.shape
        (2, 4)
        """
        step, batched = self._input(x)
        step = contiguous(step)
        h, c = self._state_arrays("state", state, ("h", "c"), step.shape[1], batched)
        weights = self._weights(False)
        _, h_n, c_n, _ = _core.forward(weights, step, h, c, None, False)
        return self._users_state(h_n, c_n, batched)

    def forward(self, x: Array, state: S | None = None) -> tuple[S, CellCache]:
        """One step, and what `backward` needs.

        Parameters
        ----------
        x, state
            As in a call.

        Returns
        -------
        state : like `state`
            State after the step.
        cache : CellCache
            For `backward`; it holds the weights of this step.

        Raises
        ------
        TypeError, ValueError
            As a call.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> h, cache = rnnext.GRUCell(3, 4, rng=0).forward(np.zeros(3, np.float32))
        >>> h.shape
        (4,)
        """
        step, batched = self._input(x)
        step = step.copy()  # the cache outlives what the caller does to x
        h, c = self._state_arrays("state", state, ("h", "c"), step.shape[1], batched)
        weights = self._weights(True)
        _, h_n, c_n, saved = _core.forward(weights, step, h, c, None, True)
        assert saved is not None
        cache = CellCache(weights, saved, batched, self._kind)
        return self._users_state(h_n, c_n, batched), cache

    def backward(self, cache: CellCache, dstate: S) -> Gradients[S]:
        """Gradients of a loss, from those with respect to the state after the step.

        Parameters
        ----------
        cache : CellCache
            From `forward`. Left intact.
        dstate : like the state
            For LSTMCell a tuple, either part may be None.

        Returns
        -------
        Gradients
            With `x`, `state` (before the step) and `parameters`.

        Raises
        ------
        TypeError, ValueError
            If the cache is not this cell's, or an array of the wrong dtype or shape.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> cell = rnnext.RNNCell(3, 4, rng=0)
        >>> h, cache = cell.forward(np.zeros((2, 3), np.float32))
        >>> cell.backward(cache, h).parameters["weight_hh"].shape
        (4, 4)
        """
        if not isinstance(cache, CellCache):
            raise TypeError(
                f"cache: expected what forward returned, got {type(cache).__name__}"
            )
        if cache._kind != self._kind:
            (ours, dtype), (theirs, their_dtype) = self._kind, cache._kind
            raise ValueError(
                f"cache: expected one of this cell, (cell, I, H, bias) = {ours} in "
                f"{dtype}, got {theirs} in {their_dtype}"
            )
        batch, batched = cache._saved[0][0].shape[1], cache._batched
        dh, dc = self._state_arrays("dstate", dstate, ("dh", "dc"), batch, batched)
        dx, dh_0, dc_0, gradients = _core.backward(
            cache._weights, cache._saved, None, dh, dc, None, None, True
        )
        assert dx is not None
        return Gradients(
            dx[0] if batched else dx[0, 0],
            self._users_state(dh_0, dc_0, batched),
            self._named(gradients),
        )


class RNNCell(Cell[Array]):
    """One step of an Elman network: ``h' = f(W_ih x + b_ih + W_hh h + b_hh)``.

    Parameters
    ----------
    input_size : int
        I, numbers in an input vector.
    hidden_size : int
        H, numbers in a hidden state.
    bias : bool, default True
        Whether there are b_ih and b_hh.
    nonlinearity : {"tanh", "relu"}, default "tanh"
        f.
    dtype : {float32, float64}, keyword, default float32
        Of parameters, inputs and outputs.
    rng : None, int or numpy.random.Generator, keyword, optional
        Of the initial parameters.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> rnnext.RNNCell(3, 4, rng=0)(np.zeros((2, 3), np.float32)).shape
    (2, 4)
    """

    _gates = 1
    _defaults = {"nonlinearity": "tanh"} | Cell._defaults

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: DTypeLike = np.float32,
        rng: object = None,
    ) -> None:
        self.nonlinearity = checked_nonlinearity(nonlinearity)
        super().__init__(
            f"rnn_{nonlinearity}", input_size, hidden_size, bias, dtype, rng
        )


class LSTMCell(Cell[tuple[Array, Array]]):
    """One step of an LSTM; see `LSTM` for the equations.

    Parameters
    ----------
    input_size : int
        I, numbers in an input vector.
    hidden_size : int
        H, numbers in a hidden state.
    bias : bool, default True
        Whether there are b_ih and b_hh.
    dtype : {float32, float64}, keyword, default float32
        Of parameters, inputs and outputs.
    rng : None, int or numpy.random.Generator, keyword, optional
        Of the initial parameters.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> cell = rnnext.LSTMCell(3, 4, rng=0)
    >>> (h, c), cache = cell.forward(np.ones((2, 3), np.float32))
    >>> grads = cell.backward(cache, (np.ones_like(h), None))
    >>> grads.x.shape, grads.state[1].shape
    ((2, 3), (2, 4))
    """

    _gates = 4
    _has_c = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: object = None,
    ) -> None:
        super().__init__("lstm", input_size, hidden_size, bias, dtype, rng)


class GRUCell(Cell[Array]):
    """One step of a GRU; see `GRU` for the equations.

    Parameters
    ----------
    input_size : int
        I, numbers in an input vector.
    hidden_size : int
        H, numbers in a hidden state.
    bias : bool, default True
        Whether there are b_ih and b_hh.
    reset_after : bool, keyword, default True
        Whether r multiplies the recurrent product or the state that goes into it.
    dtype : {float32, float64}, keyword, default float32
        Of parameters, inputs and outputs.
    rng : None, int or numpy.random.Generator, keyword, optional
        Of the initial parameters.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> rnnext.GRUCell(3, 4, rng=0)(np.zeros(3, np.float32)).shape
    (4,)
    """

    _gates = 3
    _defaults = Cell._defaults | {"reset_after": True}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        dtype: DTypeLike = np.float32,
        rng: object = None,
    ) -> None:
        self.reset_after = boolean("reset_after", reset_after)
        super().__init__(
            "gru" if self.reset_after else "gru_reset_before",
            input_size,
            hidden_size,
            bias,
            dtype,
            rng,
        )
