"""What a forward keeps for the backward, and the course's tuples for it.

A run is consecutive steps of one cell with one set of parameters; the core keeps it.

CellCache   one step of a run as a tuple
StepCaches  a run as a sequence of cell caches, each made when asked for
runs_of     cell caches of any origin back into runs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from .. import _core
from ._checks import Array, common_dtype, is_real, real, shape_error
from ._notation import Family, Notation, Parameters, Sizes, find, read

Cache = tuple[Any, ...]


class CellCache(tuple[Any, ...]):
    """The course's tuple of one step, which knows the step it was made of.

    Its arrays are views of the run's, so that the backward sees what is written to
    them; one minus a gate is not a view and is read-only. Copies and pickles are plain
    tuples.
    """

    run: _core.CourseRun
    step: int

    def __reduce__(self) -> tuple[type[Cache], tuple[Cache]]:
        return tuple, (tuple(self),)


class StepCaches(Sequence[Cache]):
    """The list of cell caches of a loop: `len`, indexing, slicing, iteration.

    Copies and pickles are plain lists.
    """

    __slots__ = ("parameters", "run")

    def __init__(self, run: _core.CourseRun, parameters: Parameters) -> None:
        self.run = run
        self.parameters = parameters  # the very object that came in

    def __len__(self) -> int:
        return len(self.run)

    @overload
    def __getitem__(self, index: int) -> Cache: ...
    @overload
    def __getitem__(self, index: slice) -> list[Cache]: ...
    def __getitem__(self, index: int | slice) -> Cache | list[Cache]:
        steps = range(len(self.run))[index]  # its rules for what is out of range
        if isinstance(steps, range):
            return [cell_cache(self.run, t, self.parameters) for t in steps]
        return cell_cache(self.run, steps, self.parameters)

    def __iter__(self) -> Iterator[Cache]:
        return (cell_cache(self.run, t, self.parameters) for t in range(len(self)))

    def __repr__(self) -> str:
        entries = ", ".join(self.run.table.entries)
        return f"<{len(self)} cell caches ({entries})>"

    def __reduce__(self) -> tuple[type[list[Cache]], tuple[list[Cache]]]:
        return list, (list(self),)


def cell_cache(run: _core.CourseRun, t: int, parameters: Parameters) -> CellCache:
    """The tuple of step t."""
    cache = CellCache(run.cache(t, parameters))
    cache.run = run
    cache.step = t
    return cache


def runs_of(
    family: Family,
    caches: Sequence[Any],
    where: Callable[[int], str],
    incoming: Sequence[Array] = (),
) -> list[_core.CourseRun]:
    """Cell caches as runs, with the values and parameters that are in them.

    A new run begins where the parameters change or a step does not start from the
    state that the step before ended with. `where` names the cache of a step in
    messages; the dtype is that of the caches and the incoming gradients together.
    """
    entries = family.entries
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
        weights = model.weights(dtype)
        starts = [model.first, *(t for t in breaks if model.first < t < end)]
        for start, stop in zip(starts, [*starts[1:], end], strict=True):
            runs.append(_run(model.notation, weights, stacked, start, stop))
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

    def weights(self, dtype: np.dtype[Any]) -> _core.CourseModel:
        arrays = {k: v.astype(dtype, copy=False) for k, v in self.arrays.items()}
        return _core.CourseModel(self.notation.core, arrays)


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


def _run(
    notation: Notation,
    weights: _core.CourseModel,
    stacked: dict[str, Array],
    start: int,
    stop: int,
) -> _core.CourseRun:
    """The steps start <= t < stop, of which each starts where the one before ended."""
    steps = slice(start, stop)
    run = _core.CourseRun(weights, stop - start, stacked["xt"].shape[1])
    x, h, c, gates = run.arrays
    x[:] = stacked["xt"][steps]
    h[0] = stacked["a_prev"][start]
    h[1:] = stacked["a_next"][steps]
    if c is not None:
        c[0] = stacked["c_prev"][start]
        c[1:] = stacked["c_next"][steps]
    for slot, gate in enumerate(notation.gates):
        if gate.value is not None:
            value = stacked[gate.value][steps]
            gates[:, :, slot] = 1.0 - value if gate.complement else value
    return run
