"""The base of RNN, LSTM and GRU: everything but the cell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from numpy.typing import ArrayLike, DTypeLike

from . import _core, _dropout
from ._cache import Cache, Gradients, Kind, Output, S
from ._coverage import covered, kept_gradients
from ._edge import Edge, batch_of
from ._options import CellOptions
from ._stream import Stream
from ._validation import (
    Array,
    boolean,
    choice,
    generator,
    positive_integer,
    probability,
)

_MOST_LAYERS = 1 << 16
_MERGES = ("concat", "sum", "mul", "ave", None)
# A list of arrays, or lists of several kinds by name, or None.
DropoutMasks: TypeAlias = Sequence[Array] | Mapping[str, Sequence[Array] | None] | None


class Recurrent(Edge[S]):
    """One network of layers and directions; subclasses say which cell."""

    _defaults: ClassVar[dict[str, object]] = {
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "merge": "concat",
        "reverse": False,
        "input_dropout": 0.0,
        "recurrent_dropout": 0.0,
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
        *,
        merge: str | None,
        reverse: bool,
        input_dropout: float,
        recurrent_dropout: float,
        options: Mapping[str, Any],
    ) -> None:
        """options: of the cell, as `CellOptions` takes them."""
        self.num_layers = positive_integer("num_layers", num_layers)
        if self.num_layers > _MOST_LAYERS:
            raise ValueError(
                f"num_layers: expected at most {_MOST_LAYERS}, got {num_layers}"
            )
        self.batch_first = boolean("batch_first", batch_first)
        self.dropout = probability("dropout", dropout)
        self.bidirectional = boolean("bidirectional", bidirectional)
        self.merge = choice("merge", merge, _MERGES)
        self.reverse = boolean("reverse", reverse)
        self._check_directions()
        self.input_dropout = probability("input_dropout", input_dropout)
        self.recurrent_dropout = probability("recurrent_dropout", recurrent_dropout)
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
        self._kind = Kind(
            self._cell,
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self._directions,
            self.bias,
            self.merge,
            self.reverse,
            str(self.dtype),
            str(self._options),
            self.proj_size,
        )

    def _check_directions(self) -> None:
        if self.bidirectional and self.reverse:
            raise ValueError(
                "reverse: expected False, as bidirectional=True has both, got True"
            )
        if not self.bidirectional and self.merge != "concat":
            raise ValueError(
                "merge: expected 'concat', as there is nothing to merge without "
                f"bidirectional=True, got {self.merge!r}"
            )
        if self.merge is None and self.num_layers > 1:
            raise ValueError(
                "merge: expected None only with num_layers=1, as the next layer takes "
                f"one input, got num_layers={self.num_layers}"
            )

    def __call__(
        self,
        x: Array,
        state: S | None = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        pad: str = "zeros",
        reset: ArrayLike | None = None,
    ) -> tuple[Output, S]:
        """Inference: keeps nothing, never drops out.

        Parameters
        ----------
        x : ndarray of shape (T, N, I), (N, T, I) with `batch_first`, or (T, I)
            Input of the layer's dtype, any strides. Or token ids, integers from 0 to
            I-1 of shape (T, N), (N, T) or (T,): the same bits as vectors that are 1 in
            that place and 0 elsewhere.
        state : ndarray of shape (L*D, N, H), or for LSTM a tuple of two, optional
            Initial state; (L*D, H) unbatched. Default zeros.
        lengths : integers of shape (N,), optional
            Steps of every sequence, in any order, zero allowed. A sequence ends there:
            its final state is that of its own end (of length zero, the initial one),
            and there the reverse direction begins. Time and memory go with their sum.
        mask : booleans of shape (T, N), in the layout of `x`, optional
            False: the step does not exist, in either direction. May have holes.
        pad : {"zeros", "hold"}, default "zeros"
            Outputs of steps that do not exist: zero, as PyTorch's and ONNX's, or as
            Keras's those of the step before in order of computation (before the first
            step, zero).
        reset : booleans of shape (T, N), in the layout of `x`, optional
            True: the step starts from the initial state, in both directions.

        Returns
        -------
        y : ndarray of shape (T, N, D*H), in the layout of `x`
            Output of the last layer, forward direction first. Of shape (T, N, H) with
            ``merge="sum"``, ``"mul"`` and ``"ave"``; with ``merge=None`` a tuple
            ``(y_forward, y_backward)`` of two of that shape.
        state : like `state`
            The final state.

        Raises
        ------
        TypeError
            If an array is not of the layer's dtype, or the state is of the wrong kind.
        ValueError
            If a shape is wrong, or a token id.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> x = np.zeros((7, 2, 3), np.float32)
        >>> y, h_n = rnnext.GRU(3, 4, rng=0)(x, np.ones((1, 2, 4), np.float32))
        >>> y.shape, bool((y[-1] == h_n[0]).all())
        ((7, 2, 4), True)

        Sequences of their own lengths:

        >>> y, h_n = rnnext.GRU(3, 4, rng=0)(x, lengths=[7, 5])
        >>> bool((y[4, 1] == h_n[0, 1]).all()), bool((y[5:, 1] == 0).all())
        (True, True)
        """
        weights = self._packed or self._weights()
        found = None
        whole = lengths is mask is reset is None and pad == "zeros"
        if whole and not self.batch_first:
            found = _core.forward(weights, x, state, False)
        if found is None:  # other arrays than NumPy's own, another order, or errors
            checked, state_0 = self._checked(x, state)
            coverage = self._covered(checked, lengths, mask, pad, reset)
            found = _core.forward(weights, checked, state_0, False, None, coverage)
            assert found is not None
        y, final_state, _ = found
        return self._swapped_output(y) if self.batch_first else y, final_state

    def _covered(
        self, x: Array, lengths: object, mask: object, pad: object, reset: object
    ) -> _core.Coverage | None:
        return covered(
            len(x),
            batch_of(x),
            self.batch_first,
            lengths,
            mask,
            pad,
            reset,
            self._kind.from_end,
        )

    def forward(
        self,
        x: Array,
        state: S | None = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        pad: str = "zeros",
        reset: ArrayLike | None = None,
        rng: object = None,
        dropout_masks: DropoutMasks = None,
    ) -> tuple[Output, S, Cache]:
        """Training: the numbers of a call (dropout aside), and what backward needs.

        Parameters
        ----------
        x, state, lengths, mask, pad, reset
            As in a call.
        rng : None, int or numpy.random.Generator, optional
            What dropout draws from; by default the layer's own generator.
        dropout_masks : list of ndarray, or mapping of str to such lists, optional
            Factors in place of drawn ones, whatever the layer's probabilities; of the
            layer's dtype, always with T first, and with N = 1 unbatched. Of the kinds

            - ``"between"``: ``L - 1`` arrays (T, N, D*H), for the merged outputs of all
              layers but the last; (T, N, H) where `merge` gives as much;
            - ``"input"``: ``L * D`` arrays (N, I), for the inputs of every layer and
              direction (``layer * D + direction``) at every step; from the second layer
              on I is what the layer below gives;
            - ``"recurrent"``: ``L * D`` arrays (N, H), for h where the product with
              W_hh reads it, at every step;

            those that are left out or None drop nothing. A list alone is
            ``{"between": list}``. ``cache.masks`` repeats the call of that cache.

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
            As a call; and if masks are of the wrong kind, number, dtype or shape.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> lstm = rnnext.LSTM(3, 4, input_dropout=0.5, rng=0)
        >>> x = np.ones((7, 2, 3), np.float32)
        >>> y, state, cache = lstm.forward(x)
        >>> cache.h[0].shape, cache.gates[0].shape
        ((8, 2, 4), (7, 2, 4, 4))
        >>> again, *_ = lstm.forward(x, dropout_masks=cache.masks)
        >>> bool((again == y).all())
        True
        """
        weights = self._packed or self._weights()
        found = masks = coverage = None
        whole = lengths is mask is reset is None and pad == "zeros"
        drops = self.dropout or self.input_dropout or self.recurrent_dropout
        if whole and rng is dropout_masks is None and not (drops or self.batch_first):
            found = _core.forward(weights, x, state, True)
        if found is None:
            checked, state_0 = self._checked(x, state)
            coverage = self._covered(checked, lengths, mask, pad, reset)
            masks = self._masks(checked, rng, dropout_masks)
            found = _core.forward(weights, checked, state_0, True, masks, coverage)
            assert found is not None
        y, final_state, saved = found
        h_n = final_state[0] if self._has_c else final_state
        batched = h_n.ndim == 3
        cache = Cache(weights, saved, masks, self._gates, batched, self._kind, coverage)
        return self._swapped_output(y) if self.batch_first else y, final_state, cache

    def _masks(self, x: Array, rng: object, masks: object) -> _dropout.Masks | None:
        source = self._rng if rng is None else generator("rng", rng)
        T, batch = len(x), batch_of(x)
        N = 1 if batch is None else batch
        output = ("T", "N", self._output_letter), (T, N, self._output_size)
        inputs = [(("N", "I"), (N, I)) for I in self._input_sizes]
        letter = "P" if self.proj_size else "H"
        states = [(("N", letter), (N, self._state_size))] * len(inputs)
        shapes = _dropout.Shapes([output] * (self.num_layers - 1), inputs, states)
        if masks is not None:
            return _dropout.given(masks, shapes, self.dtype)
        rates = (self.dropout, self.input_dropout, self.recurrent_dropout)
        return _dropout.draw(shapes, rates, self.dtype, source)

    def backward(
        self,
        cache: Cache,
        dy: Output = None,
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
            Gradient of the loss with respect to the output. Default zero. With
            ``merge=None`` a tuple of two, either part may be None.
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
            steps, N = cache._sizes
            batch = N if cache._batched else None
            if dy is not None:
                dy = self._checked_output(dy, steps, batch)
            labels = ("dh_n", "dc_n")
            dstate_n = self._checked_layers("dstate", dstate, labels, batch)
            dc_0 = None
            if dc is not None:
                dc = self._checked_cells(dc, steps, batch)
                if cache._coverage is not None:
                    dc, dc_0 = kept_gradients(
                        cache._coverage, dc, cache._saved, self._kind.from_end
                    )
            found = self._gradients(cache, dy, dstate_n, dc, need_x)
            assert found is not None
            if dc_0 is not None:
                found[1][1].reshape(dc_0.shape)[...] += dc_0
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
            cache._batched,
            need_x,
            cache._masks,
            cache._coverage,
        )

    def _check_cache(self, cache: Cache) -> None:
        if not isinstance(cache, Cache):
            raise TypeError(
                f"cache: expected what forward returned, got {type(cache).__name__}"
            )
        # A comparison of tuples takes longer than to see that they are one.
        if cache._kind is not self._kind and cache._kind != self._kind:
            raise ValueError(
                f"cache: expected one of a layer of {self._kind}, got one of "
                f"{cache._kind}"
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
            If the layer is bidirectional or reversed, or a shape or size is wrong.

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
        if self.reverse:
            raise ValueError(
                "stream: a layer with reverse=True begins with the last step; "
                "reverse=False has a stream"
            )
        return Stream(self, positive_integer("batch_size", batch_size), state)
