"""The base of RNN, LSTM and GRU: everything but the cell.

A call keeps no state in the layer, so calls from several threads are safe.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Generic, cast

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from ._cache import Cache, Gradients, Kind, S
from ._parameters import Parametrised
from ._stream import Stream
from ._validation import (
    Array,
    Dimension,
    boolean,
    contiguous,
    float_array,
    float_dtype,
    generator,
    kind,
    positive_integer,
    probability,
    shaped_array,
    state_parts,
)


class Recurrent(Parametrised, Generic[S]):
    """One network of layers and directions; subclasses say which cell."""

    _gates: ClassVar[int]
    _has_c: ClassVar[bool] = False

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        dtype: DTypeLike,
        rng: object,
    ) -> None:
        self.input_size = positive_integer("input_size", input_size)
        self.hidden_size = positive_integer("hidden_size", hidden_size)
        self.num_layers = positive_integer("num_layers", num_layers)
        self.bias = boolean("bias", bias)
        self.batch_first = boolean("batch_first", batch_first)
        self.dropout = probability("dropout", dropout)
        self.bidirectional = boolean("bidirectional", bidirectional)
        self._cell = cell
        self._rng = generator("rng", rng)
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout acts between layers: with num_layers=1 it does nothing",
                UserWarning,
                stacklevel=3,
            )
        super().__init__(
            self._shapes(), self.hidden_size**-0.5, float_dtype(dtype), self._rng
        )

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self) -> list[str]:
        ends = ("", "_reverse")[: self._directions]
        return [f"_l{layer}{end}" for layer in range(self.num_layers) for end in ends]

    def _names(self) -> tuple[str, ...]:
        weights = ("weight_ih", "weight_hh")
        return (*weights, "bias_ih", "bias_hh") if self.bias else weights

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        rows = self._gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {}
        for i, suffix in enumerate(self._suffixes()):
            first = i < self._directions
            columns = self.input_size if first else self._directions * self.hidden_size
            all_shapes = ((rows, columns), (rows, self.hidden_size), (rows,), (rows,))
            for name, shape in zip(self._names(), all_shapes, strict=False):
                shapes[f"{name}{suffix}"] = shape
        return shapes

    def _pack(self, backward: bool) -> list[_core.Weights]:
        arrays = self._arrays
        return [
            _core.Weights(
                self._cell,
                arrays[f"weight_ih{suffix}"],
                arrays[f"weight_hh{suffix}"],
                arrays.get(f"bias_ih{suffix}"),
                arrays.get(f"bias_hh{suffix}"),
                backward,
            )
            for suffix in self._suffixes()
        ]

    # ---- the layout at the edge: batch_first, unbatched ---------------------------

    def _time_major(self, x: Array) -> Array:
        """(T, N, features) of an array in the user's layout."""
        if x.ndim == 2:
            x = x[:, None]
        elif self.batch_first:
            x = x.swapaxes(0, 1)
        return contiguous(x)

    def _users_layout(self, y: Array, batched: bool) -> Array:
        if not batched:
            return y[:, 0]
        return y.swapaxes(0, 1) if self.batch_first else y

    def _sequence_shape(
        self, steps: int, batch: int, batched: bool, features: Dimension
    ) -> list[Dimension]:
        if not batched:
            return [("T", steps), features]
        if self.batch_first:
            return [("N", batch), ("T", steps), features]
        return [("T", steps), ("N", batch), features]

    def _input(self, x: object) -> tuple[Array, bool]:
        array = float_array("x", x, self.dtype)
        if array.ndim not in (2, 3) or array.shape[-1] != self.input_size:
            order = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"x: expected shape ({order}, I={self.input_size}), or "
                f"(T, I={self.input_size}) unbatched, got {array.shape}"
            )
        return self._time_major(array), array.ndim == 3

    def _state_shape(self, batch: int, batched: bool) -> list[Dimension]:
        count = ("", self.num_layers * self._directions)
        if not batched:
            return [count, ("H", self.hidden_size)]
        return [count, ("N", batch), ("H", self.hidden_size)]

    def _state_arrays(
        self, name: str, state: object, end: str, batch: int, batched: bool
    ) -> tuple[Array | None, Array | None]:
        """h and c as (L*D, N, H), None where there is none."""
        if state is None:
            return None, None
        letter = "d" if name.startswith("d") else ""
        labels = (f"{letter}h_{end}", f"{letter}c_{end}")
        parts = state_parts(name, state, labels, self._has_c)
        shape = self._state_shape(batch, batched)
        full = (shape[0][1], batch, self.hidden_size)
        h, c = (
            None
            if part is None
            else shaped_array(label, part, self.dtype, shape).reshape(full)
            for label, part in zip(labels, parts, strict=True)
        )
        return h, c

    def _users_state(self, h: Array, c: Array | None, batched: bool) -> S:
        parts = [part if batched else part[:, 0] for part in (h, c) if part is not None]
        return cast(S, tuple(parts) if self._has_c else parts[0])

    # ---- calls ----------------------------------------------------------------------

    def __call__(self, x: Array, state: S | None = None) -> tuple[Array, S]:
        """Inference: keeps nothing, never drops out.

        Parameters
        ----------
        x : ndarray of shape (T, N, I), (N, T, I) with `batch_first`, or (T, I)
            Input of the layer's dtype, any strides.
        state : ndarray of shape (L*D, N, H), or for LSTM a tuple of two, optional
            Initial state; (L*D, H) unbatched. Default zeros.

        Returns
        -------
        y : ndarray of shape (T, N, D*H), in the layout of `x`
            Output of the last layer, forward direction first.
        state : like `state`
            The final state.

        Raises
        ------
        TypeError
            If an array is not of the layer's dtype, or the state is of the wrong kind.
        ValueError
            If a shape is wrong.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> x = np.zeros((7, 2, 3), np.float32)
        >>> y, h_n = rnnext.GRU(3, 4, rng=0)(x, np.ones((1, 2, 4), np.float32))
        >>> y.shape, bool((y[-1] == h_n[0]).all())
        ((7, 2, 4), True)
        """
        steps, batched = self._input(x)
        h_0, c_0 = self._state_arrays("state", state, "0", steps.shape[1], batched)
        y, h_n, c_n, _ = _core.forward(
            self._weights(False), self._directions, steps, h_0, c_0, None, False
        )
        return self._users_layout(y, batched), self._users_state(h_n, c_n, batched)

    def forward(
        self, x: Array, state: S | None = None, *, rng: object = None
    ) -> tuple[Array, S, Cache]:
        """Training: the numbers of a call (dropout aside), and what backward needs.

        Parameters
        ----------
        x, state
            As in a call.
        rng : None, int or numpy.random.Generator, optional
            What dropout draws from; by default the layer's own generator.

        Returns
        -------
        y, state
            As from a call.
        cache : Cache
            For `backward`. Of about ``(G + 1) T N H`` numbers a layer and direction
            (LSTM: ``(G + 2) T N H``), and a copy of `x`.

        Raises
        ------
        TypeError, ValueError
            As a call.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> lstm = rnnext.LSTM(3, 4, rng=0)
        >>> y, state, cache = lstm.forward(np.zeros((7, 2, 3), np.float32))
        >>> cache.h[0].shape, cache.gates[0].shape
        ((8, 2, 4), (7, 2, 4, 4))
        """
        steps, batched = self._input(x)
        if np.may_share_memory(steps, x):
            steps = steps.copy()  # the cache outlives what the caller does to x
        h_0, c_0 = self._state_arrays("state", state, "0", steps.shape[1], batched)
        masks = self._draw_masks(steps.shape[0], steps.shape[1], rng)
        weights = self._weights(True)
        y, h_n, c_n, saved = _core.forward(
            weights, self._directions, steps, h_0, c_0, masks, True
        )
        assert saved is not None
        cache = Cache(weights, saved, masks, self._gates, batched, self._kind)
        return (
            self._users_layout(y, batched),
            self._users_state(h_n, c_n, batched),
            cache,
        )

    def _draw_masks(self, steps: int, batch: int, rng: object) -> list[Array] | None:
        source = self._rng if rng is None else generator("rng", rng)
        if self.dropout == 0 or self.num_layers == 1:
            return None
        shape = (steps, batch, self._directions * self.hidden_size)
        scale = 0.0 if self.dropout == 1 else 1 / (1 - self.dropout)
        return [
            ((source.random(shape) >= self.dropout) * scale).astype(self.dtype)
            for _ in range(self.num_layers - 1)
        ]

    def backward(
        self,
        cache: Cache,
        dy: Array | None = None,
        dstate: S | None = None,
        *,
        dc: Any = None,
        need_x: bool = True,
    ) -> Gradients[S]:
        """Gradients of a loss with respect to input, initial state and parameters.

        Parameters
        ----------
        cache : Cache
            From `forward`. Left intact.
        dy : ndarray of the shape of y, optional
            Gradient of the loss with respect to the output. Default zero.
        dstate : like the state, optional
            With respect to the final state; for LSTM a tuple, either part may be None.
        dc : ndarray of shape (T, N, H), or (L*D, T, N, H), optional
            With respect to every cell state c_1 ... c_T of an LSTM, per layer and
            direction in order of computation, as ``cache.c[i][1:]``; without the first
            axis where there is one layer and direction, without N unbatched.
        need_x : bool, default True
            False skips the gradient of `x`.

        Returns
        -------
        Gradients
            With `x`, `state` and `parameters`.

        Raises
        ------
        TypeError
            If `cache` is not what `forward` returned, or an array is of another dtype.
        ValueError
            If `cache` is of another layer, or a shape is wrong.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> gru = rnnext.GRU(3, 4, rng=0)
        >>> y, h_n, cache = gru.forward(np.zeros((7, 2, 3), np.float32))
        >>> grads = gru.backward(cache, dy=y, dstate=h_n)
        >>> grads.x.shape, grads.state.shape, sorted(grads.parameters)[0]
        ((7, 2, 3), (1, 2, 4), 'bias_hh_l0')
        """
        self._check_cache(cache)
        steps, batch, _ = cache._saved[0][0].shape
        batched = cache._batched
        if dy is not None:
            features = ("D*H", self._directions * self.hidden_size)
            shape = self._sequence_shape(steps, batch, batched, features)
            dy = self._time_major(shaped_array("dy", dy, self.dtype, shape))
        dh_n, dc_n = self._state_arrays("dstate", dstate, "n", batch, batched)
        dx, dh_0, dc_0, gradients = _core.backward(
            cache._weights,
            self._directions,
            cache._saved,
            dy,
            dh_n,
            dc_n,
            self._cell_gradients(dc, steps, batch, batched),
            cache._masks,
            boolean("need_x", need_x),
        )
        parameters = {
            f"{name}{suffix}": array
            for suffix, arrays in zip(self._suffixes(), gradients, strict=True)
            for name, array in zip(self._names(), arrays, strict=False)
        }
        return Gradients(
            None if dx is None else self._users_layout(dx, batched),
            self._users_state(dh_0, dc_0, batched),
            parameters,
        )

    def _check_cache(self, cache: Cache) -> None:
        if not isinstance(cache, Cache):
            raise TypeError(
                f"cache: expected what forward returned, got {type(cache).__name__}"
            )
        if cache._kind != self._kind:
            raise ValueError(
                f"cache: expected one of a layer of {_describe_kind(self._kind)}, got "
                f"one of {_describe_kind(cache._kind)}"
            )

    @property
    def _kind(self) -> Kind:
        return (
            self._cell,
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self._directions,
            self.bias,
            str(self.dtype),
        )

    def _cell_gradients(
        self, dc: Any, steps: int, batch: int, batched: bool
    ) -> Array | None:
        """dc as (L*D, T, N, H)."""
        if dc is None:
            return None
        if not self._has_c:
            raise TypeError(f"dc: {type(self).__name__} has no cell state")
        count = self.num_layers * self._directions
        shape: list[Dimension] = [("T", steps), ("H", self.hidden_size)]
        if batched:
            shape.insert(1, ("N", batch))
        if isinstance(dc, (tuple, list)):
            if len(dc) != count:
                raise ValueError(f"dc: expected {count} arrays, got {kind(dc)}")
            dc = np.stack([shaped_array("dc", part, self.dtype, shape) for part in dc])
        array = float_array("dc", dc, self.dtype)
        if count > 1 or array.ndim > len(shape):
            shape.insert(0, ("", count))
        array = shaped_array("dc", array, self.dtype, shape)
        return array.reshape(count, steps, batch, self.hidden_size)

    def stream(self, batch_size: int = 1, state: S | None = None) -> Stream[S]:
        """Feed the layer one step at a time, in real time.

        Parameters
        ----------
        batch_size : int, default 1
            Sequences that advance together, N.
        state : like the state of a call, optional
            Where to start, and where `Stream.reset` goes back to. Default zeros.

        Returns
        -------
        Stream

        Raises
        ------
        ValueError
            If the layer is bidirectional, or a shape or size is wrong.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> stream = rnnext.GRU(3, 4, rng=0).stream(batch_size=2)
        >>> stream.step(np.zeros((2, 3), np.float32)).shape
        (2, 4)
        """
        if self.bidirectional:
            raise ValueError(
                "stream: a bidirectional layer needs the whole sequence; "
                "bidirectional=False has a stream"
            )
        return Stream(self, positive_integer("batch_size", batch_size), state)

    # ---- how it looks --------------------------------------------------------------

    def _differences(self) -> list[str]:
        """Options that are not at their defaults, as they would be written."""
        defaults = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        words = [
            f"{name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return words + ([] if self.dtype == np.float32 else [f"dtype={self.dtype}"])

    def __repr__(self) -> str:
        words = [str(self.input_size), str(self.hidden_size), *self._differences()]
        return f"{type(self).__name__}({', '.join(words)})"


def _describe_kind(kind: Kind) -> str:
    cell, inputs, hidden, layers, directions, bias, dtype = kind
    return (
        f"(cell={cell}, I={inputs}, H={hidden}, L={layers}, D={directions}, "
        f"bias={bias}, {dtype})"
    )
