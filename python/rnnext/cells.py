"""RNNCell, LSTMCell and GRUCell: one step, PyTorch's way."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, cast

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from ._cache import Gradients, S
from ._parameters import Parametrised
from ._validation import (
    Array,
    Dimension,
    boolean,
    contiguous,
    float_array,
    float_dtype,
    generator,
    positive_integer,
    shaped_array,
    state_parts,
)
from .layers import checked_nonlinearity

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class CellCache:
    """What a cell's `forward` keeps for its `backward`."""

    __slots__ = ("_batched", "_bias", "_saved", "_weights")

    def __init__(
        self,
        weights: list[_core.Weights],
        saved: list[_core.Saved],
        batched: bool,
        bias: bool,
    ) -> None:
        self._weights = weights
        self._bias = bias
        self._saved = saved
        self._batched = batched


class Cell(Parametrised, Generic[S]):
    """One step of one layer; subclasses say which cell."""

    _gates: ClassVar[int]
    _has_c: ClassVar[bool] = False

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        bias: bool,
        dtype: DTypeLike,
        rng: object,
    ) -> None:
        self.input_size = positive_integer("input_size", input_size)
        self.hidden_size = positive_integer("hidden_size", hidden_size)
        self.bias = boolean("bias", bias)
        self._cell = cell
        rows = self._gates * self.hidden_size
        columns = ((self.input_size,), (self.hidden_size,), (), ())
        shapes = {
            name: (rows, *rest) for name, rest in zip(_NAMES, columns, strict=True)
        }
        if not self.bias:
            del shapes["bias_ih"], shapes["bias_hh"]
        super().__init__(
            shapes, self.hidden_size**-0.5, float_dtype(dtype), generator("rng", rng)
        )

    def _pack(self, backward: bool) -> list[_core.Weights]:
        arrays = [self._arrays.get(name) for name in _NAMES]
        w_ih, w_hh, b_ih, b_hh = arrays
        assert w_ih is not None
        assert w_hh is not None
        return [_core.Weights(self._cell, w_ih, w_hh, b_ih, b_hh, backward)]

    def _input(self, x: object) -> tuple[Array, bool]:
        array = float_array("x", x, self.dtype)
        if array.ndim not in (1, 2) or array.shape[-1] != self.input_size:
            raise ValueError(
                f"x: expected shape (N, I={self.input_size}), or "
                f"(I={self.input_size},) unbatched, got {array.shape}"
            )
        return contiguous(array).reshape(1, -1, self.input_size), array.ndim == 2

    def _state_arrays(
        self,
        name: str,
        state: object,
        labels: tuple[str, str],
        batch: int,
        batched: bool,
    ) -> list[Array | None]:
        """h and c as (1, N, H), None where there is none."""
        if state is None:
            return [None, None]
        parts = state_parts(name, state, labels, self._has_c)
        shape: list[Dimension] = [("H", self.hidden_size)]
        if batched:
            shape.insert(0, ("N", batch))
        return [
            None
            if part is None
            else shaped_array(label, part, self.dtype, shape).reshape(
                1, batch, self.hidden_size
            )
            for label, part in zip(labels, parts, strict=True)
        ]

    def _users_state(self, h: Array, c: Array | None, batched: bool) -> S:
        parts = [
            part[0] if batched else part[0, 0] for part in (h, c) if part is not None
        ]
        return cast(S, tuple(parts) if self._has_c else parts[0])

    def _run(self, x: Array, state: S | None, training: bool) -> tuple[S, CellCache]:
        step, batched = self._input(x)
        if training and np.may_share_memory(step, x):
            step = step.copy()
        h, c = self._state_arrays("state", state, ("h", "c"), step.shape[1], batched)
        weights = self._weights(training)
        _, h_n, c_n, saved = _core.forward(weights, 1, step, h, c, None, training)
        cache = CellCache(weights, saved or [], batched, self.bias)
        return self._users_state(h_n, c_n, batched), cache

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
        return self._run(x, state, False)[0]

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
        return self._run(x, state, True)

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
        weights, x = cache._weights[0], cache._saved[0][0]
        ours = (self._cell, self.input_size, self.hidden_size, self.bias)
        sizes = (weights.input_size, weights.hidden_size)
        theirs = (weights.cell, *sizes, cache._bias)
        if ours != theirs or x.dtype != self.dtype:
            raise ValueError(
                f"cache: expected one of this cell, (cell, I, H, bias) = {ours} in "
                f"{self.dtype}, got {theirs} in {x.dtype}"
            )
        batched = cache._batched
        dh, dc = self._state_arrays("dstate", dstate, ("dh", "dc"), x.shape[1], batched)
        dx, dh_0, dc_0, gradients = _core.backward(
            cache._weights, 1, cache._saved, None, dh, dc, None, None, True
        )
        assert dx is not None
        return Gradients(
            dx[0] if batched else dx[0, 0],
            self._users_state(dh_0, dc_0, batched),
            dict(zip(self._arrays, gradients[0], strict=False)),
        )

    def _differences(self) -> list[str]:
        words: list[Any] = [] if self.bias else ["bias=False"]
        return words + ([] if self.dtype == np.float32 else [f"dtype={self.dtype}"])

    def __repr__(self) -> str:
        words = [str(self.input_size), str(self.hidden_size), *self._differences()]
        return f"{type(self).__name__}({', '.join(words)})"


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

    def _differences(self) -> list[str]:
        words = [] if self.nonlinearity == "tanh" else ["nonlinearity='relu'"]
        return words + super()._differences()


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

    def _differences(self) -> list[str]:
        words = super()._differences()
        return words if self.reset_after else [*words, "reset_after=False"]
