"""What training goes through: batches, and sequences cut into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._coverage import checked_lengths
from .._validation import boolean, kind, plain_array, positive_integer

Batches: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]]


def truncated_bptt(
    x: Any,
    targets: Any,
    steps: int,
    *,
    lengths: ArrayLike | None = None,
    batch_first: bool = False,
) -> Iterator[tuple[Any, ...]]:
    """Cut sequences along time, for `train` with ``carry_state=True``.

    Parameters
    ----------
    x, targets : ndarray of shape (T, N, ...), or (N, T, ...) with `batch_first`
    steps : int
        Of a piece; the last may have fewer.
    lengths : integers of shape (N,), optional
        Steps of every sequence. A piece after the end of a sequence has 0 of it, and
        leaves its state as it is.
    batch_first : bool, default False

    Yields
    ------
    x, targets : ndarray of shape (steps, N, ...), or (N, steps, ...)
        Views.
    lengths : ndarray of shape (N,)
        Of the piece; only where `lengths` are given.

    Raises
    ------
    TypeError, ValueError
        If `steps` is not a positive integer, or the arrays differ in T.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> x = np.zeros((10, 2, 3))
    >>> [len(piece) for piece, _ in rnnext.truncated_bptt(x, x, 4)]
    [4, 4, 2]
    >>> [n.tolist() for *_, n in rnnext.truncated_bptt(x, x, 4, lengths=[10, 5])]
    [[4, 4], [4, 1], [2, 0]]
    """
    size = positive_integer("steps", steps)
    time_axis = int(boolean("batch_first", batch_first))
    x, targets = plain_array("x", x), plain_array("targets", targets)
    for name, array in (("x", x), ("targets", targets)):
        if array.ndim <= time_axis:
            order = "(N, T, ...)" if batch_first else "(T, N, ...)"
            raise ValueError(f"{name}: expected shape {order}, got {array.shape}")
    T = x.shape[time_axis]
    if targets.shape[time_axis] != T:
        raise ValueError(
            f"targets: expected T={T} steps, got {targets.shape[time_axis]}"
        )
    ends = None
    if lengths is not None:
        if x.ndim < 2:
            raise ValueError(f"lengths: expected with x (T, N, ...), got {x.shape}")
        counts = checked_lengths(lengths, T, x.shape[1 - time_axis])
        ends = np.array(counts, np.intp)

    def piece(t: int) -> tuple[Any, ...]:
        inside = (slice(None),) * time_axis + (slice(t, t + size),)
        cut = x[inside], targets[inside]
        return cut if ends is None else (*cut, np.clip(ends - t, 0, size))

    return (piece(t) for t in range(0, T, size))


def check_batches(name: str, batches: object, epochs: int) -> None:
    """TypeError or ValueError if they cannot be gone through so often."""
    if not callable(batches):
        try:
            iter(batches)  # type: ignore[call-overload]
        except TypeError:
            raise TypeError(
                f"{name}: expected batches to go through, got {kind(batches)}"
            ) from None
    if epochs > 1 and isinstance(batches, Iterator):
        raise ValueError(
            f"{name}: expected something to go through once an epoch, as a list, got "
            f"{kind(batches)}; a callable may return such"
        )


def each_batch(name: str, batches: Any) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """x, targets, and by name what else is given."""
    for batch in batches() if callable(batches) else batches:
        if not isinstance(batch, (tuple, list)) or not 2 <= len(batch) <= 4:
            raise TypeError(
                f"{name}: expected each to be (x, targets), (x, targets, lengths) or "
                f"(x, targets, lengths, mask), got {kind(batch)}; one batch alone is "
                "[(x, targets)]"
            )
        x, targets, *rest = batch
        given = zip(("lengths", "mask"), rest, strict=False)
        yield x, targets, {k: v for k, v in given if v is not None}
