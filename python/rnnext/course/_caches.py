"""What a forward keeps for the backward, and the course's tuples for it.

Run         consecutive steps in the core's arrays
CellCache   one step of a run as a tuple
StepCaches  a run as a sequence of cell caches, each made when asked for
runs_of     cell caches of any origin back into runs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from .. import _core
from ._checks import Array, common_dtype, is_real, real, shape_error
from ._notation import (
    CoreWeights,
    Family,
    Notation,
    Parameters,
    Sizes,
    find,
    read,
    to_core,
)

if TYPE_CHECKING:
    from .._core import Saved

Cache = tuple[Any, ...]


class Run(NamedTuple):
    """Consecutive steps of one cell with one set of parameters."""

    notation: Notation
    parameters: Parameters  # the very object that came in
    weights: _core.Stack
    w_y: Array
    saved: Saved

    @property
    def steps(self) -> int:
        return len(self.saved[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.saved[1].dtype

    def part(self, start: int, stop: int) -> Run:
        """The steps start <= t < stop; views."""
        x, h, c, gates = self.saved
        c = None if c is None else c[start : stop + 1]
        saved = (x[start:stop], h[start : stop + 1], c, gates[start:stop])
        return Run(self.notation, self.parameters, self.weights, self.w_y, saved)


class CellCache(tuple[Any, ...]):
    """The course's tuple of one step, which knows the step it was made of.

    Its arrays are views of the run's, so that the backward sees what is written to
    them; one minus a gate is not a view and is read-only. Copies and pickles are plain
    tuples.
    """

    run: Run
    step: int

    def __reduce__(self) -> tuple[type[Cache], tuple[Cache]]:
        return tuple, (tuple(self),)


class StepCaches(Sequence[Cache]):
    """The list of cell caches of a loop: `len`, indexing, slicing, iteration.

    Copies and pickles are plain lists.
    """

    __slots__ = ("run",)

    def __init__(self, run: Run) -> None:
        self.run = run

    def __len__(self) -> int:
        return self.run.steps

    @overload
    def __getitem__(self, index: int) -> Cache: ...
    @overload
    def __getitem__(self, index: slice) -> list[Cache]: ...
    def __getitem__(self, index: int | slice) -> Cache | list[Cache]:
        steps = range(self.run.steps)[index]  # its rules for what is out of range
        if isinstance(steps, range):
            return [cell_cache(self.run, t) for t in steps]
        return cell_cache(self.run, steps)

    def __iter__(self) -> Iterator[Cache]:
        return (cell_cache(self.run, t) for t in range(self.run.steps))

    def __repr__(self) -> str:
        entries = ", ".join(self.run.notation.entries)
        return f"<{len(self)} cell caches ({entries})>"

    def __reduce__(self) -> tuple[type[list[Cache]], tuple[list[Cache]]]:
        return list, (list(self),)


def cell_cache(run: Run, t: int) -> CellCache:
    """The tuple of step t."""
    x, h, c, gates = run.saved
    values: dict[str, Any] = {
        "a_next": h[t + 1].T,
        "a_prev": h[t].T,
        "xt": x[t].T,
        "parameters": run.parameters,
    }
    if c is not None:
        values["c_next"] = c[t + 1].T
        values["c_prev"] = c[t].T
    for slot, gate in enumerate(run.notation.gates):
        if gate.value is not None:
            value = gates[t, :, slot].T
            if gate.complement:
                value = 1.0 - value
                value.flags.writeable = False
            values[gate.value] = value
    cache = CellCache([values[name] for name in run.notation.entries])
    cache.run = run
    cache.step = t
    return cache


def pack(notation: Notation, core: CoreWeights) -> _core.Stack:
    """Weights that can go both ways."""
    arrays = (core.w_ih, core.w_hh, core.bias, None)
    return _core.Stack(notation.cell, [arrays], directions=1, backward=True)


def runs_of(
    family: Family,
    caches: Sequence[Any],
    where: Callable[[int], str],
    incoming: Sequence[Array] = (),
) -> list[Run]:
    """Cell caches as runs, with the values and parameters that are in them.

    A new run begins where the parameters change or a step does not start from the
    state that the step before ended with. `where` names the cache of a step in
    messages; the dtype is that of the caches and the incoming gradients together.
    """
    entries = family[0].entries  # the same in all notations of a family
    models: list[_Model] = []
    for t, cache in enumerate(caches):
        _check_kind(where, t, cache, entries)
        if not models or models[-1].parameters is not cache[-1]:
            models.append(_Model.read(family, t, cache[-1]))
            _check_same(where, models)
    columns = _columns(entries, caches, where, models[0].sizes)

    arrays = [array for column in columns.values() for array in column]
    arrays += [array for model in models for array in model.arrays.values()]
    dtype = common_dtype([*incoming, *arrays])
    stacked = {name: _stack(column, dtype) for name, column in columns.items()}
    breaks = _breaks(stacked)
    runs = []
    ends = [*(model.first for model in models[1:]), len(caches)]
    for model, end in zip(models, ends, strict=True):
        core = to_core(model.notation, model.arrays, dtype)
        weights = pack(model.notation, core)
        starts = [model.first, *(t for t in breaks if model.first < t < end)]
        for start, stop in zip(starts, [*starts[1:], end], strict=True):
            saved = _saved(model.notation, stacked, start, stop)
            runs.append(Run(model.notation, model.parameters, weights, core.w_y, saved))
    return runs


class _Model(NamedTuple):
    """The parameters of the steps from `first` on."""

    first: int
    parameters: Parameters
    notation: Notation
    arrays: dict[str, Array]
    sizes: Sizes

    @staticmethod
    def read(family: Family, first: int, parameters: Parameters) -> _Model:
        notation = find(family, parameters)
        return _Model(first, parameters, notation, *read(notation, parameters))


def _check_same(where: Callable[[int], str], models: list[_Model]) -> None:
    one, other = models[0], models[-1]
    if (one.notation, one.sizes) != (other.notation, other.sizes):
        raise ValueError(
            f"{where(other.first)}: expected the names and sizes of the parameters at "
            f"step 0, {' '.join(one.notation.shapes)} with {one.sizes}, "
            f"got {' '.join(other.notation.shapes)} with {other.sizes}"
        )


def _check_kind(
    where: Callable[[int], str], t: int, cache: Any, entries: tuple[str, ...]
) -> None:
    if isinstance(cache, tuple | list) and len(cache) == len(entries):
        return
    expected = f"{where(t)}: expected a cell cache ({', '.join(entries)})"
    if not isinstance(cache, tuple | list):
        raise TypeError(f"{expected}, got {type(cache).__name__}")
    raise ValueError(f"{expected}, got {len(cache)} entries")


def _columns(
    entries: tuple[str, ...],
    caches: Sequence[Any],
    where: Callable[[int], str],
    sizes: Sizes,
) -> dict[str, list[Array]]:
    """The arrays of all steps, by entry, with their shapes checked."""
    columns: dict[str, list[Array]] = {}
    m: int | None = None
    for index, name in enumerate(entries[:-1]):
        letter, rows = ("n_x", sizes.n_x) if name == "xt" else ("n_a", sizes.n_a)
        column = columns[name] = [cache[index] for cache in caches]
        for t, array in enumerate(column):
            if not is_real(array):
                array = column[t] = real(f"{where(t)}[{index}] ({name})", array)
            if m is None and array.ndim == 2:
                m = array.shape[1]
            if array.shape != (rows, m):
                label = f"{where(t)}[{index}] ({name})"
                raise shape_error(label, array, [(letter, rows), ("m", m)])
    return columns


def _stack(column: list[Array], dtype: np.dtype[Any]) -> Array:
    """Arrays (k, m) as one (T, m, k)."""
    k, m = column[0].shape
    stacked = np.empty((len(column), m, k), dtype)
    for t, array in enumerate(column):
        stacked[t] = array.T
    return stacked


def _breaks(stacked: dict[str, Array]) -> list[int]:
    """The steps that do not start from the state that the step before ended with."""
    broken: set[int] = set()
    for before, after in (("a_prev", "a_next"), ("c_prev", "c_next")):
        if before in stacked:
            differ = stacked[before][1:] != stacked[after][:-1]
            if differ.any():
                broken.update((1 + np.flatnonzero(differ.any(axis=(1, 2)))).tolist())
    return sorted(broken)


def _saved(
    notation: Notation, stacked: dict[str, Array], start: int, stop: int
) -> Saved:
    """The core's arrays of the steps start <= t < stop, one chained run."""

    def state(before: str, after: str) -> Array:
        first = stacked[before][start : start + 1]
        return np.concatenate([first, stacked[after][start:stop]])

    h = state("a_prev", "a_next")
    c = state("c_prev", "c_next") if "c_next" in stacked else None
    slots = len(notation.gates) if notation.gates[0].value is not None else 0
    gates = np.empty((stop - start, h.shape[1], slots, h.shape[2]), h.dtype)
    for slot, gate in enumerate(notation.gates):
        if gate.value is not None:
            value = stacked[gate.value][start:stop]
            gates[:, :, slot] = 1.0 - value if gate.complement else value
    return stacked["xt"][start:stop], h, c, gates
