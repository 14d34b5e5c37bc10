"""Every backward of the course, from cell caches of either origin.

cell_backward, loop_backward   what the functions call
_Incoming                      the gradients that come in, and the output layer's
_backward                      the core's loop over runs, last one first

A cell is a loop of one step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ._caches import CellCache, Run, StepCaches, runs_of
from ._checks import Array, common_dtype, real, shape_error, time_major
from ._notation import Family, Notation, from_core


def cell_backward(
    family: Family,
    da_next: ArrayLike | None,
    cache: Sequence[Any],
    dc_next: ArrayLike | None,
    dy: ArrayLike | None,
) -> dict[str, Array]:
    """The gradients of one step, by the notation's names."""
    incoming = _Incoming("da_next", da_next, dc_next, dy)
    if isinstance(cache, CellCache) and _serves(cache.run, family, incoming):
        run = cache.run.part(cache.step, cache.step + 1)
    else:
        (run,) = runs_of(family, [cache], lambda _: "cache", incoming.arrays)
    incoming.check_cell(run)
    totals = _backward([run], incoming)
    totals["x"] = totals["x"][:, :, 0]
    if "dtanh" in run.notation.cell_gradients:
        a_next = run.saved[1][1].T
        totals["dtanh"] = (1.0 - a_next * a_next) * incoming.of(run, 0)[0][0].T
    return _named(run.notation, run.notation.cell_gradients, totals)


def loop_backward(
    family: Family,
    da: ArrayLike | None,
    caches: Sequence[Any],
    dc_next: ArrayLike | None,
    dy: ArrayLike | None,
) -> dict[str, Array]:
    """The gradients of the first steps of a loop, as many as da or dy has."""
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
    notation = runs[0].notation
    if notation.caches_with_x and not with_x:
        raise ValueError(
            "caches: expected a pair (list of cell caches, x), "
            f"got {len(caches)} cell caches alone"
        )
    incoming.check_loop(runs[0], len(cells))
    if len(runs) == 1 and incoming.steps < runs[0].steps:
        runs = [runs[0].part(0, incoming.steps)]
    return _named(notation, notation.loop_gradients, _backward(runs, incoming))


def _serves(run: Run, family: Family, incoming: "_Incoming") -> bool:
    """Whether the run can be used as it is.

    With incoming gradients of higher precision it cannot (unless it is empty): then
    its values are converted like those of any other cell caches.
    """
    dtype = common_dtype([*incoming.arrays, run.saved[1]])
    return run.notation in family and (run.dtype == dtype or run.steps == 0)


class _Incoming:
    """The gradients that come in, feature-first; after a check all with a time axis."""

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

    def check_cell(self, run: Run) -> None:
        self._check(run, [], [])
        self.da = None if self.da is None else self.da[:, :, None]
        self.dy = None if self.dy is None else self.dy[:, :, None]

    def check_loop(self, run: Run, steps: int) -> None:
        """At most the steps of the forward, and as many in dy as in da."""
        most = [("T_x<", steps)]  # with its size it reads T_x<=4
        self._check(run, most, most if self.da is None else [("T_x", self.steps)])

    def _check(
        self, run: Run, time: list[tuple[str, int]], time_y: list[tuple[str, int]]
    ) -> None:
        n_y, n_a = run.w_y.shape
        m = ("m", run.saved[0].shape[1])
        _fit(self.name, self.da, [("n_a", n_a), m, *time])
        _fit("dy", self.dy, [("n_y", n_y), m, *time_y])
        _fit("dc_next", self.dc, [("n_a", n_a), m])

    def of(self, run: Run, start: int) -> tuple[Array, dict[str, Array]]:
        """What reaches the run's states (T, m, n_a), its first step being `start`,
        and the gradients of the output layer.
        """
        part = slice(start, start + run.steps)
        da = None if self.da is None else time_major(self.da[:, :, part], run.dtype)
        if self.dy is None:
            assert da is not None
            return da, {}
        n_y, n_a = run.w_y.shape
        dlogits = time_major(self.dy[:, :, part], run.dtype).reshape(-1, n_y)
        h = run.saved[1][1:]
        through = _core.linear(dlogits, np.ascontiguousarray(run.w_y.T), None)
        through = through.reshape(h.shape)
        ones = np.ones((len(dlogits), 1), run.dtype)
        weight, bias = run.notation.output
        gradients = {
            weight: _core.matmul_tn(dlogits, h.reshape(-1, n_a)),
            bias: _core.matmul_tn(dlogits, ones),
        }
        return through if da is None else da + through, gradients


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
    if isinstance(cells, StepCaches) and cells.run.notation not in family:
        raise TypeError(
            f"caches: expected those of {family[0].family}_forward, "
            f"got those of {cells.run.notation.family}_forward"
        )
    return cells, with_x


def _backward(runs: list[Run], incoming: _Incoming) -> dict[str, Array]:
    """The gradients by quantity, feature-first, of runs that follow each other."""
    dtype = runs[0].dtype
    has_c = runs[0].notation.cell == "lstm"
    dc = None if incoming.dc is None else time_major(incoming.dc, dtype)[None]
    dstate: Any = (None, dc) if has_c else None
    dx: list[Array] = []
    totals: dict[str, Array] = {}
    stop = incoming.steps
    for run in reversed(runs):
        start = stop - run.steps
        d, gradients = incoming.of(run, start)
        found = _core.backward(
            run.weights, [run.saved], d, dstate, None, None, False, True, True
        )
        assert found is not None
        dx_run, dstate, (dw_ih, dw_hh, db, _) = found
        dx.insert(0, dx_run)
        gradients.update(from_core(run.notation, dw_ih, dw_hh, db))
        for name in totals:
            gradients[name] = totals[name] + gradients[name]
        totals = gradients
        stop = start
    totals["x"] = (dx[0] if len(dx) == 1 else np.concatenate(dx)).T
    for name, part in zip("hc", dstate if has_c else [dstate], strict=False):
        totals[name] = part[0].T
    return totals


def _named(
    notation: Notation, names: Mapping[str, str], totals: Mapping[str, Array]
) -> dict[str, Array]:
    """The result under the notation's names; the output layer's only if it is there."""
    gradients = {name: totals[of] for name, of in names.items()}
    for of in notation.output:
        if of in totals:
            gradients["d" + of] = totals[of]
    return gradients
