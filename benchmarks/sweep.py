"""Looks for cliffs: the time of a call over every hidden size and every batch.

Along each line of the grid one size varies. A jump is a size that takes more than 1.25
times as long as a larger one near it, which is never right; jumps are measured again
before they are told.

    python benchmarks/sweep.py --figure build/sweep.png --json build/sweep.json
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cases import CELLS, Case, Problem
from console import progress, write
from peers import rnnext as ours

import rnnext
from rnnext.app.arguments import positive, positive_number
from rnnext.app.timing import samples

FACTOR = 1.25  # by which a larger neighbour may be faster
NEAR = 16  # sizes beyond which a larger one is no neighbour
WORKS = ("inference", "training")


@dataclass
class Line:
    """Times over one size, the rest fixed; I = H."""

    work: str
    cell: str
    axis: str  # "H" or "N": the size that varies
    fixed: int  # the other one
    steps: int
    sizes: list[int]
    seconds: list[float] = field(default_factory=list)

    def case(self, size: int) -> Case:
        """The call of one size."""
        N, H = (self.fixed, size) if self.axis == "H" else (size, self.fixed)
        return Case(self.work, self.cell, (self.steps, N, H, H))

    @property
    def title(self) -> str:
        """What is fixed."""
        return f"{'N' if self.axis == 'H' else 'H'} = {self.fixed}"

    def per_flop(self) -> list[float]:
        """Nanoseconds per FLOP."""
        flops = [self.case(size).call.flops for size in self.sizes]
        return [s / f * 1e9 for s, f in zip(self.seconds, flops, strict=True)]


@dataclass(frozen=True)
class Jump:
    """A size that takes longer than a larger one."""

    size: int
    larger: int
    ratio: float


def jumps(sizes: Sequence[int], seconds: Sequence[float]) -> list[Jump]:
    """Sizes, ascending, that take over FACTOR times as long as a larger neighbour."""
    found = []
    for i, size in enumerate(sizes):
        near = [j for j in range(i + 1, len(sizes)) if sizes[j] - size <= NEAR]
        best = min(near, key=lambda j: seconds[j], default=i)
        if seconds[i] > FACTOR * seconds[best]:
            found.append(Jump(size, sizes[best], seconds[i] / seconds[best]))
    return found


def lines(works: Sequence[str], cells: Sequence[str], quick: bool) -> list[Line]:
    """The grid: all H at a few N, all N at a few H; `quick` thins it out."""
    grid = (
        {"H": ((8,), range(1, 131, 12)), "N": ((32,), range(1, 71, 12))}
        if quick
        else {"H": ((1, 8, 64), range(1, 131)), "N": ((32, 100, 128), range(1, 71))}
    )
    return [
        Line(work, cell, axis, fixed, 8, list(sizes))
        for work in works
        for cell in cells
        for axis, (all_fixed, sizes) in grid.items()
        for fixed in all_fixed
    ]


def time_of(case: Case, seconds: float) -> float:
    """The least seconds of a call, over a burst of so many seconds."""
    (call,) = ours.calls(case, Problem(case)).values()
    call()
    return min(samples(call, seconds))


def measure(
    grid: Sequence[Line],
    passes: int,
    seconds: float,
    time_of: Callable[[Case, float], float] = time_of,
) -> None:
    """Fill in the seconds: least of several passes, each in an order of its own."""
    points = [(line, i) for line in grid for i in range(len(line.sizes))]
    for line in grid:
        line.seconds = [float("inf")] * len(line.sizes)

    def take(line: Line, i: int) -> None:
        found = time_of(line.case(line.sizes[i]), seconds)
        line.seconds[i] = min(line.seconds[i], found)

    dice = random.Random(0)
    for line, i in progress([p for _ in range(passes) for p in _mixed(points, dice)]):
        take(line, i)
    for _ in range(passes):  # a jump must stand up to a second look
        for line in grid:
            for jump in jumps(line.sizes, line.seconds):
                take(line, line.sizes.index(jump.size))


def _mixed(points: Sequence[Any], dice: random.Random) -> list[Any]:
    return dice.sample(points, len(points))


def draw(grid: Sequence[Line], path: Path) -> None:
    """Time per FLOP over the sizes, jumps in red, as a PNG file."""
    from matplotlib.figure import Figure

    cells = [cell for cell in CELLS if any(line.cell == cell for line in grid)]
    rows = list(dict.fromkeys((line.axis, line.fixed) for line in grid))
    figure = Figure(figsize=(3.6 * len(cells), 2.2 * len(rows)), dpi=110)
    axes = figure.subplots(len(rows), len(cells), squeeze=False, sharey=True)
    for line in grid:
        column = cells.index(line.cell)
        axis = axes[rows.index((line.axis, line.fixed))][column]
        values = line.per_flop()
        color = {"inference": "#0072B2", "training": "#009E73"}[line.work]
        axis.plot(line.sizes, values, ".-", color=color, ms=3, lw=0.8, label=line.work)
        found = [line.sizes.index(j.size) for j in jumps(line.sizes, line.seconds)]
        sizes = [line.sizes[i] for i in found]
        axis.plot(sizes, [values[i] for i in found], "o", color="red", mfc="none", ms=5)
        axis.set_yscale("log")
        axis.set_title(f"{line.cell.upper()}, {line.title}", fontsize=9)
        axis.set_xlabel(line.axis, fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        if column == 0:
            axis.set_ylabel("ns per FLOP", fontsize=8)
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Sweep; the exit code is 0 whatever is found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="every twelfth size")
    add("--work", nargs="+", default=WORKS, choices=WORKS)
    add("--cells", nargs="+", default=CELLS, choices=CELLS)
    add("--threads", type=positive, default=rnnext.get_num_threads())
    add("--passes", type=positive, default=3, help="of which the best counts")
    add("--seconds", type=positive_number, default=0.002, help="of one burst of calls")
    add("--json", type=Path, metavar="FILE", help="write the figures")
    add("--figure", type=Path, metavar="FILE", help="draw them (PNG)")
    options = parser.parse_args(argv)
    rnnext.set_num_threads(options.threads)
    grid = lines(options.work, options.cells, options.quick)
    print(f"{sum(len(line.sizes) for line in grid)} points, {options.passes} passes")
    measure(grid, options.passes, options.seconds)

    count = 0
    for line in grid:
        for jump in jumps(line.sizes, line.seconds):
            count += 1
            print(
                f"{line.work} {line.cell}, {line.title}: {line.axis} = {jump.size} "
                f"takes {jump.ratio:.2f} times as long as {line.axis} = {jump.larger}"
            )
    print(f"{count} jumps")
    if options.json:
        kept = [asdict(line) for line in grid]
        write(options.json, json.dumps({"threads": options.threads, "lines": kept}))
    if options.figure:
        draw(grid, options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
