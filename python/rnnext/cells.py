"""RNNCell, LSTMCell and GRUCell: one step, PyTorch's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from ._cache import Gradients, S
from ._network import Network
from ._validation import Array, boolean, float_array, generator
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

    def _checked(self, x: object, state: object) -> tuple[Array, _core.StateInput]:
        array = float_array("x", x, self.dtype)
        if array.ndim not in (1, 2) or array.shape[-1] != self.input_size:
            raise ValueError(
                f"x: expected shape (N, I={self.input_size}), or "
                f"(I={self.input_size},) unbatched, got {array.shape}"
            )
        return array, self._checked_step("state", state, ("h", "c"), array.shape[:-1])

    def _checked_step(
        self, name: str, state: object, labels: tuple[str, str], batch: tuple[int, ...]
    ) -> _core.StateInput:
        """batch=(): unbatched."""
        letters = ("N", "H") if batch else ("H",)
        shape = (*batch, self.hidden_size)
        return self._checked_state(name, state, labels, letters, shape)

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
        weights = self._packed or self._weights()
        found = _core.forward_cell(weights, x, state, False)
        if found is None:
            checked, before = self._checked(x, state)
            found = _core.forward_cell(weights, checked, before, False)
            assert found is not None
        after: S = found[1]
        return after

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
        weights = self._packed or self._weights()
        found = _core.forward_cell(weights, x, state, True)
        if found is None:
            checked, before = self._checked(x, state)
            found = _core.forward_cell(weights, checked, before, True)
            assert found is not None
        _, after, saved = found
        return after, CellCache(weights, saved, x.ndim == 2, self._kind)

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
        found = self._gradients(cache, dstate)
        if found is None:
            batch = cache._saved[0][0].shape[:-1]
            checked = self._checked_step("dstate", dstate, ("dh", "dc"), batch)
            found = self._gradients(cache, checked)
            assert found is not None
        dx, before, gradients = found
        return Gradients(dx, before, self._named(gradients))

    def _gradients(
        self, cache: CellCache, dstate: object
    ) -> _core.NetworkGradients | None:
        return _core.backward_cell(cache._weights, cache._saved, dstate, cache._batched)


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
