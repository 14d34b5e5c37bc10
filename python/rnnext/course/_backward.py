"""Every backward of the course, from cell caches of either origin.

cell_backward, loop_backward   what the functions call
_Incoming                      the gradients that come in
_through                       back through runs that follow each other

Most calls are one call of the core, which gives None for what it cannot take: what has
to be converted first, or is wrong. A cell is a loop of one step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ._caches import CellCache, StepCaches, runs_of
from ._checks import Array, common_dtype, real, shape_error
from ._notation import Family


def cell_backward(
    family: Family,
    da_next: ArrayLike | None,
    cache: Sequence[Any],
    dc_next: ArrayLike | None,
    dy: ArrayLike | None,
) -> dict[str, Array]:
    """The gradients of one step, by the notation's names."""
    core = family.core
    if isinstance(cache, CellCache):
        run, step = cache.run, cache.step
        gradients = run.backward(core, step, da_next, dc_next, dy, None, True)
        if gradients is not None:
            return gradients

    incoming = _Incoming("da_next", da_next, dc_next, dy)
    if not (isinstance(cache, CellCache) and _serves(run, family, incoming)):
        (run,), step = runs_of(family, [cache], lambda _: "cache", incoming.arrays), 0
    incoming.check(run, [], [])
    da, dc, dy = incoming.converted(run)
    gradients = run.backward(core, step, da, dc, dy, None, True)
    assert gradients is not None
    return gradients


def loop_backward(
    family: Family,
    da: ArrayLike | None,
    caches: Sequence[Any],
    dc_next: ArrayLike | None,
    dy: ArrayLike | None,
) -> dict[str, Array]:
    """The gradients of the first steps of a loop, as many as da or dy has."""
    own = _own(caches)
    if own is not None:
        gradients = own.run.backward(family.core, 0, da, dc_next, dy, None, False)
        if gradients is not None:
            return gradients

    incoming = _Incoming("da", da, dc_next, dy)
    cells, with_x = _cells(family, caches)
    where: Callable[[int], str]
    where = (lambda t: f"caches[0][{t}]") if with_x else (lambda t: f"caches[{t}]")

    if isinstance(cells, StepCaches) and _serves(cells.run, family, incoming):
        runs = [cells.run]
    elif len(cells) > 0:
        used = max(incoming.steps, 1)
        runs = runs_of(family, cells[:used], where, incoming.arrays)
    else:
        raise ValueError("caches: expected at least one cell cache, got none")
    if runs[0].table.caches_with_x and not with_x:
        raise ValueError(
            "caches: expected a pair (list of cell caches, x), "
            f"got {len(caches)} cell caches alone"
        )
    most = [("T_x<", len(cells))]  # with its size it reads T_x<=4
    steps = most if incoming.da is None else [("T_x", incoming.steps)]
    incoming.check(runs[0], most, steps)
    return _through(family, runs, *incoming.converted(runs[0]), incoming.steps)


def _own(caches: Sequence[Any]) -> StepCaches | None:
    """Caches in the form in which a forward of ours gave them, else None."""
    with_x = isinstance(caches, tuple) and len(caches) == 2
    steps = caches[0] if with_x else caches
    if not isinstance(steps, StepCaches):
        return None
    return steps if with_x or not steps.run.table.caches_with_x else None


def _serves(run: _core.CourseRun, family: Family, incoming: "_Incoming") -> bool:
    """Whether the run can be used as it is.

    With incoming gradients of higher precision it cannot (unless it is empty): then
    its values are converted like those of any other cell caches.
    """
    x = run.arrays[0]
    enough = len(run) == 0 or common_dtype([*incoming.arrays, x]) == x.dtype
    return enough and run.table in family.notations


class _Incoming:
    """The gradients that come in."""

    def __init__(
        self,
        name: str,
        da: ArrayLike | None,
        dc_next: ArrayLike | None,
        dy: ArrayLike | None,
    ) -> None:
        if da is None and dy is None:
            raise TypeError(f"{name}: expected an array, got None and no dy")
        self.name = name
        self.da = None if da is None else real(name, da)
        self.dc = None if dc_next is None else real("dc_next", dc_next)
        self.dy = None if dy is None else real("dy", dy)

    @property
    def arrays(self) -> list[Array]:
        return [array for array in (self.da, self.dc, self.dy) if array is not None]

    @property
    def steps(self) -> int:
        """How many steps come in; 0 if the shape is wrong, which a check tells."""
        first = self.dy if self.da is None else self.da
        assert first is not None
        return first.shape[2] if first.ndim == 3 else 0

    def check(
        self,
        run: _core.CourseRun,
        time: list[tuple[str, int]],
        time_y: list[tuple[str, int]],
    ) -> None:
        """The sizes; `time` and `time_y` are those of the steps, if there are any."""
        _, h, _, _ = run.arrays
        m, n_a = ("m", h.shape[1]), ("n_a", h.shape[2])
        _fit(self.name, self.da, [n_a, m, *time])
        _fit("dy", self.dy, [("n_y", run.outputs), m, *time_y])
        _fit("dc_next", self.dc, [n_a, m])

    def converted(
        self, run: _core.CourseRun
    ) -> tuple[Array | None, Array | None, Array | None]:
        """da, dc and dy in the dtype of the run."""
        dtype = run.arrays[0].dtype
        da, dc, dy = (
            None if array is None else array.astype(dtype, copy=False)
            for array in (self.da, self.dc, self.dy)
        )
        return da, dc, dy


def _fit(name: str, array: Array | None, sizes: list[tuple[str, int]]) -> None:
    """A ValueError unless the array has these sizes, or fewer steps than at most."""
    if array is None or array.shape == tuple([size for _, size in sizes]):
        return
    if array.ndim != len(sizes) or not all(
        got == size or (letter == "T_x<" and got < size)
        for got, (letter, size) in zip(array.shape, sizes, strict=True)
    ):
        raise shape_error(name, array, sizes)


def _cells(
    family: Family, caches: Sequence[Any]
) -> tuple[StepCaches | list[Any] | tuple[Any, ...], bool]:
    """The cell caches, and whether they came in a pair with x.

    In a pair of two, the first is a list; a cell cache ends with its parameters.
    """
    cells: Sequence[Any] = caches
    with_x = False
    if isinstance(caches, tuple | list) and len(caches) == 2:
        first = caches[0]
        if isinstance(first, StepCaches) or (
            isinstance(first, tuple | list)
            and not (first and isinstance(first[-1], Mapping))
        ):
            cells, with_x = first, True
    if not isinstance(cells, StepCaches | tuple | list):
        raise TypeError(
            "caches: expected a pair (list of cell caches, x) or a list of cell "
            f"caches, got {type(caches).__name__}"
        )
    if isinstance(cells, StepCaches) and cells.run.table not in family.notations:
        raise TypeError(
            f"caches: expected those of {family.name}_forward, "
            f"got those of {cells.run.table.family}_forward"
        )
    return cells, with_x


def _through(
    family: Family,
    runs: list[_core.CourseRun],
    da: Array | None,
    dc: Array | None,
    dy: Array | None,
    steps: int,
) -> dict[str, Array]:
    """The gradients of runs that follow each other, last one first."""
    _, h, _, _ = runs[0].arrays
    dh = np.zeros(h.shape[1:], h.dtype)  # what a run hands to the run before it
    dx: list[Array] = []
    totals: dict[str, Array] = {}
    stop = steps
    for run in reversed(runs):
        start = max(stop - len(run), 0)  # a single run may have more steps
        da_part = None if da is None else da[:, :, start:stop]
        dy_part = None if dy is None else dy[:, :, start:stop]
        gradients = run.backward(family.core, 0, da_part, dc, dy_part, dh, False)
        assert gradients is not None
        dx.insert(0, gradients["dx"])
        dc = gradients.get("dc0")
        for name in totals.keys() - {"dx", "da0", "dc0"}:
            gradients[name] = totals[name] + gradients[name]
        totals = gradients
        stop = start
    if len(dx) > 1:
        totals["dx"] = np.concatenate(dx, axis=2)
    return totals
