"""What a call keeps for backward, and what backward returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from . import _core
from ._coverage import ByTime
from ._dropout import Masks
from ._validation import Array

S = TypeVar("S")  # the state: h, or (h, c)
# y, of layers with merge=None a tuple of two; or its gradient.
Output: TypeAlias = Any


class Kind(NamedTuple):
    """Whose cache it is."""

    cell: str
    I: int
    H: int
    L: int
    D: int
    bias: bool
    merge: str | None
    reverse: bool
    dtype: str
    options: str
    proj_size: int

    @property
    def from_end(self) -> tuple[bool, ...]:
        """Of every direction, whether it runs from the end."""
        return (False, True) if self.D == 2 else (self.reverse,)

    def __str__(self) -> str:
        shown = self._asdict()
        del shown["options"]
        if self.proj_size == 0:
            del shown["proj_size"]
        words = [f"{k}={v}" for k, v in shown.items()]
        return f"({', '.join(words)}{self.options})"


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
    masks : list of ndarray, or dict of str to such lists, or None
        The factors of dropout, as `forward` takes them for `dropout_masks`: a list
        where there is dropout only between layers, else the kinds by name.

    Steps that `lengths` or `mask` leave out keep the state before them, and their gates
    are zero.
    """

    __slots__ = (
        "_batched",
        "_coverage",
        "_gates",
        "_kind",
        "_masks",
        "_saved",
        "_weights",
    )

    def __init__(
        self,
        weights: _core.Stack,
        saved: Sequence[_core.Saved],
        masks: Masks | None,
        gates: int,
        batched: bool,
        kind: Kind,
        coverage: _core.Coverage | None,
    ) -> None:
        self._weights = weights
        self._saved = saved
        self._masks = masks
        self._gates = gates
        self._batched = batched
        self._kind = kind
        self._coverage = coverage

    @property
    def h(self) -> list[Array]:
        return self._states([h for _, h, _, _ in self._saved])

    @property
    def c(self) -> list[Array] | None:
        cells = [c for _, _, c, _ in self._saved if c is not None]
        return self._states(cells) if cells else None

    @property
    def gates(self) -> list[Array]:
        G = self._gates
        if G == 1:  # the only gate of an Elman cell is its output
            kept = [
                h[len(h) - len(gates) :, ..., None, :] for _, h, _, gates in self._saved
            ]
        else:
            kept = [gates[..., :G, :] for *_, gates in self._saved]
        if self._coverage is not None:
            kept = [view.values(k) for view, k in zip(self._views(), kept, strict=True)]
        return [read_only(k) for k in kept]

    def _states(self, kept: list[Array]) -> list[Array]:
        if self._coverage is not None:
            kept = [view.states(k) for view, k in zip(self._views(), kept, strict=True)]
        return [read_only(k) for k in kept]

    def _views(self) -> list[ByTime]:
        """Of every layer and direction."""
        assert self._coverage is not None
        views = [
            ByTime(self._coverage, d, r) for d, r in enumerate(self._kind.from_end)
        ]
        return views * (len(self._saved) // len(views))

    @property
    def _sizes(self) -> tuple[int, int]:
        """T and N."""
        if self._coverage is not None:
            return self._coverage.steps, self._coverage.batch_size
        slots, N, _ = self._saved[0][1].shape
        return slots - 1, N

    @property
    def masks(self) -> list[Array] | dict[str, list[Array]] | None:
        if self._masks is None:
            return None
        named = {k: [read_only(m) for m in v] for k, v in self._masks.named().items()}
        return named["between"] if list(named) == ["between"] else named or None

    def __repr__(self) -> str:
        T, N = self._sizes
        return f"Cache(T={T}, N={N}, layers and directions: {len(self._saved)})"


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
