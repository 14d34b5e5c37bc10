"""Which steps of which sequences a call computes: lengths, masks, resets.

The core keeps the rows of those steps without the gaps between them; here is how to
ask for them, and how to see them by time again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._validation import Array, describe, plain_array

PADS = ("zeros", "hold")


def covered(
    steps: int,
    batch: int | None,
    batch_first: bool,
    lengths: object,
    mask: object,
    pad: object,
    reset: object,
    reverse: Sequence[bool],
) -> _core.Coverage | None:
    """What a call says of its T steps, or None if it computes them all.

    batch=None: unbatched.
    """
    if not isinstance(pad, str):
        raise TypeError(f"pad: expected a string, got {type(pad).__name__}")
    if pad not in PADS:
        raise ValueError(f"pad: expected 'zeros' or 'hold', got {pad!r}")
    if lengths is None and mask is None and reset is None:
        return None
    N = 1 if batch is None else batch
    counts = None if lengths is None else checked_lengths(lengths, steps, N)
    exists, resets = (
        None if flags is None else checked_mask(name, flags, steps, batch, batch_first)
        for name, flags in (("mask", mask), ("reset", reset))
    )
    flags = exists is not None or resets is not None
    if counts is not None and not flags and min(counts, default=steps) == steps:
        return None
    ends = None if counts is None else np.array(counts, np.intp)
    hold = pad == "hold"
    return _core.Coverage(steps, N, ends, exists, resets, tuple(reverse), hold)


def checked_lengths(value: object, steps: int, N: int) -> list[int]:
    """Of N sequences, each from 0 to `steps`."""
    array = plain_array("lengths", value)
    if array.dtype.kind not in ("iu" if array.size else "iuf"):  # [] is of floats
        raise TypeError(f"lengths: expected integers, got dtype {array.dtype}")
    if array.shape != (N,):
        raise ValueError(
            f"lengths: expected shape {describe('N', (N,))}, got {array.shape}"
        )
    counts: list[int] = array.tolist()  # of a batch, faster than as an array
    for n, length in enumerate(counts):
        if not 0 <= length <= steps:
            raise ValueError(
                f"lengths: expected 0 to T={steps}, got {length} for sequence {n}"
            )
    return counts


def checked_mask(
    name: str, value: object, steps: int, batch: int | None, batch_first: bool
) -> NDArray[np.bool_]:
    """(T, N), contiguous. batch=None: unbatched."""
    array = plain_array(name, value)
    if array.dtype != np.bool_:
        raise TypeError(f"{name}: expected booleans, got dtype {array.dtype}")
    letters, shape = ["T", "N"], [steps, batch or 0]
    if batch is None:
        letters, shape = letters[:1], shape[:1]
    elif batch_first:
        letters, shape = letters[::-1], shape[::-1]
    if array.shape != tuple(shape):
        expected = describe(letters, shape)
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}")
    if batch is None:
        array = array[:, None]
    elif batch_first:
        array = array.T
    return np.ascontiguousarray(array)


class ByTime:
    """The kept rows of one direction as arrays over all steps, in order of computation.

    Parameters
    ----------
    coverage : Coverage
    direction : int
    reverse : bool
        Whether the direction runs from the end.
    """

    def __init__(self, coverage: _core.Coverage, direction: int, reverse: bool) -> None:
        rows = coverage.rows(direction)
        self._rows = rows[::-1] if reverse else rows
        self._starts = coverage.starts(direction)
        self._computed = self._rows >= 0

    def _slots(self, before: int) -> NDArray[np.intp]:
        """(T+1, N): the row of kept states that every slot shows.

        before : rows of initial states.
        """
        slots = np.empty((len(self._rows) + 1, len(self._starts)), np.intp)
        slots[0] = self._starts
        for k, row in enumerate(self._rows):
            slots[k + 1] = np.where(self._computed[k], before + row, slots[k])
        return slots

    def states(self, kept: Array) -> Array:
        """(T+1, N, H): after a step that was not computed, the state before it."""
        return np.asarray(kept[self._slots(len(kept) - int(self._computed.sum()))])

    def values(self, kept: Array) -> Array:
        """(T, N, ...): zero where a step was not computed."""
        made = np.zeros((*self._rows.shape, *kept.shape[1:]), kept.dtype)
        made[self._computed] = kept[self._rows[self._computed]]
        return made

    def gradient(self, d_states: Array, count: int) -> tuple[Array, Array]:
        """Of all states but the first, (T, N, H), those of kept and of initial states.

        count : rows of initial states.
        """
        rows = int(self._computed.sum())
        kept = np.zeros((count + rows, d_states.shape[-1]), d_states.dtype)
        np.add.at(kept, self._slots(count)[1:], d_states)
        return kept[count:], kept[self._starts]


def kept_gradients(
    coverage: _core.Coverage,
    d_states: Array,
    kept: Sequence[Any],
    reverse: Sequence[bool],
) -> tuple[Array, Array]:
    """The gradients of all states (L*D, T, N, H) as the core keeps states.

    Returns those of the kept rows (L*D, rows, H), and what the initial states get,
    (L*D, N, H), because steps that were not computed show them.
    """
    D = len(reverse)
    views = [ByTime(coverage, d, back) for d, back in enumerate(reverse)]
    parts = [
        views[i % D].gradient(d, len(states) - len(gates))
        for i, (d, (_, states, _, gates)) in enumerate(zip(d_states, kept, strict=True))
    ]
    rows, initial = zip(*parts, strict=True)
    return np.stack(rows), np.stack(initial)
