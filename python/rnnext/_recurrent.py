"""The base of RNN, LSTM and GRU: everything but the cell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import DTypeLike

from . import _core
from ._cache import Cache, Gradients, Kind, S
from ._edge import Edge
from ._options import CellOptions
from ._stream import Stream
from ._validation import (
    Array,
    boolean,
    generator,
    positive_integer,
    probability,
)


class Recurrent(Edge[S]):
    """One network of layers and directions; subclasses say which cell."""

    _defaults: ClassVar[dict[str, object]] = {
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "activations": None,
        "gate_clip": None,
    }

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
        options: Mapping[str, Any],
    ) -> None:
        """options: of the cell, as `CellOptions` takes them."""
        self.num_layers = positive_integer("num_layers", num_layers)
        self.batch_first = boolean("batch_first", batch_first)
        self.dropout = probability("dropout", dropout)
        self.bidirectional = boolean("bidirectional", bidirectional)
        self._rng = generator("rng", rng)
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout acts between layers: with num_layers=1 it does nothing",
                UserWarning,
                stacklevel=3,
            )
        ends = ("", "_reverse") if self.bidirectional else ("",)
        suffixes = [f"_l{i}{end}" for i in range(self.num_layers) for end in ends]
        self._options = CellOptions(cell, len(ends), **options)
        self.activations = self._options.activations
        self.gate_clip = self._options.gate_clip
        super().__init__(
            cell,
            input_size,
            hidden_size,
            bias,
            suffixes,
            len(ends),
            dtype,
            self._rng,
            self._options,
        )
        self._kind: Kind = (
            self._cell,
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self._directions,
            self.bias,
            str(self.dtype),
            str(self._options),
        )

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
        weights = self._weights(False)
        found = None
        if not self.batch_first:
            found = _core.forward(weights, x, state, None, False, False)
        if found is None:  # other arrays than NumPy's own, another order, or errors
            checked, state_0 = self._checked(x, state)
            found = _core.forward(weights, checked, state_0, None, False, False)
            assert found is not None
        y, final_state, _ = found
        return self._swapped(y) if self.batch_first else y, final_state

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
            (LSTM: ``(G + 2) T N H``; with options of the cell G more), and a copy of
            `x`.

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
        weights = self._weights(True)
        found = masks = None
        if rng is None and not (self.dropout or self.batch_first):
            found = _core.forward(weights, x, state, None, False, True)
        if found is None:
            checked, state_0 = self._checked(x, state)
            masks = self._draw_masks(checked, rng)
            found = _core.forward(weights, checked, state_0, masks, False, True)
            assert found is not None
        y, final_state, saved = found
        cache = Cache(weights, saved, masks, self._gates, y.ndim == 3, self._kind)
        return self._swapped(y) if self.batch_first else y, final_state, cache

    def _draw_masks(self, x: Array, rng: object) -> list[Array] | None:
        source = self._rng if rng is None else generator("rng", rng)
        if self.dropout == 0 or self.num_layers == 1:
            return None
        batch = x.shape[1] if x.ndim == 3 else 1
        shape = (x.shape[0], batch, self._directions * self.hidden_size)
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
        need_x = boolean("need_x", need_x)
        found = None
        if dc is None and not self.batch_first:
            found = self._gradients(cache, dy, dstate, None, need_x)
        if found is None:
            slots, N, _ = cache._saved[0][1].shape
            steps, batch = slots - 1, N if cache._batched else None
            if dy is not None:
                dy = self._checked_output(dy, steps, batch)
            labels = ("dh_n", "dc_n")
            dstate_n = self._checked_layers("dstate", dstate, labels, batch)
            if dc is not None:
                dc = self._checked_cells(dc, steps, batch)
            found = self._gradients(cache, dy, dstate_n, dc, need_x)
            assert found is not None
        dx, dstate_0, gradients = found
        if dx is not None and self.batch_first:
            dx = self._swapped(dx)
        return Gradients(dx, dstate_0, self._named(gradients))

    def _gradients(
        self, cache: Cache, dy: object, dstate: object, dc: object, need_x: bool
    ) -> _core.NetworkGradients | None:
        return _core.backward(
            cache._weights,
            cache._saved,
            dy,
            dstate,
            dc,
            cache._masks,
            False,
            cache._batched,
            need_x,
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


def _describe_kind(kind: Kind) -> str:
    cell, inputs, hidden, layers, directions, bias, dtype, options = kind
    return (
        f"(cell={cell}, I={inputs}, H={hidden}, L={layers}, D={directions}, "
        f"bias={bias}, {dtype}{options})"
    )
