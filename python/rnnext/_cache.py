"""What a call keeps for backward, and what backward returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from . import _core
from ._validation import Array

S = TypeVar("S")  # the state: h, or (h, c)
# Whose cache it is: cell, I, H, L, D, bias, dtype, options of the cell.
Kind: TypeAlias = tuple[str, int, int, int, int, bool, str, str]


def read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


class Cache:
    """What `forward` keeps for `backward`: opaque but for its named arrays.

    It holds the weights of its forward, so parameters may change before `backward`,
    and it is left intact, so `backward` may be called again.

    Attributes
    ----------
    h : list of ndarray of shape (T+1, N, H)
        Hidden states of every layer and direction (``layer * D + direction``) in order
        of computation; slot 0 is the initial state. Read-only, as all of these.
    c : list of ndarray of shape (T+1, N, H), or None
        Cell states of an LSTM.
    gates : list of ndarray of shape (T, N, G, H)
        Gates after activation, in PyTorch's order.
    masks : list of ndarray of shape (T, N, D*H), or None
        The factors that dropout put on the output of every layer but the last.
    """

    def __init__(
        self,
        weights: _core.Stack,
        saved: Sequence[_core.Saved],
        masks: list[Array] | None,
        gates: int,
        batched: bool,
        kind: Kind,
    ) -> None:
        self._weights = weights
        self._saved = saved
        self._masks = masks
        self._gates = gates
        self._batched = batched
        self._kind = kind

    @property
    def h(self) -> list[Array]:
        return [read_only(h) for _, h, _, _ in self._saved]

    @property
    def c(self) -> list[Array] | None:
        cells = [read_only(c) for _, _, c, _ in self._saved if c is not None]
        return cells or None

    @property
    def gates(self) -> list[Array]:
        if self._gates == 1:  # the only gate of an Elman cell is its output
            return [read_only(h[1:, :, None, :]) for _, h, _, _ in self._saved]
        return [read_only(gates[:, :, : self._gates]) for *_, gates in self._saved]

    @property
    def masks(self) -> list[Array] | None:
        return None if self._masks is None else [read_only(m) for m in self._masks]

    def __repr__(self) -> str:
        slots, N, _ = self._saved[0][1].shape
        return f"Cache(T={slots - 1}, N={N}, layers and directions: {len(self._saved)})"


class Gradients(Generic[S]):
    """The gradients that `backward` returns.

    Attributes
    ----------
    x : ndarray of the shape of the input, or None
        None with ``need_x=False``.
    state : ndarray, or tuple of ndarray
        With respect to the initial state, in its form: ``dh_0``, or ``(dh_0, dc_0)``.
    parameters : dict of str to ndarray
        Under the names and in the order of the layer's parameters.
    """

    __slots__ = ("parameters", "state", "x")

    def __init__(self, x: Array | None, state: S, parameters: dict[str, Array]) -> None:
        self.x = x
        self.state = state
        self.parameters = parameters

    def __repr__(self) -> str:
        names: Any = ", ".join(self.parameters)
        x = None if self.x is None else self.x.shape
        return f"Gradients(x={x}, parameters: {names})"
