"""``rnnext bench``: how fast this machine runs rnnext, and how fast it could."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import rnnext
from rnnext._roofline import DTYPES, GATES, Call, Machine, measure

from . import numpy_loop
from .arguments import positive, positive_number
from .errors import AppError
from .files import check_writable, write_atomically
from .output import json_text
from .progress import progress
from .timing import samples, settle

NAME = "bench"
HELP = "measure this machine: time, part of its limits, a NumPy loop beside it"
EXAMPLE = "rnnext bench --seconds 20 --dtype float64 --json bench.json"

# T, N, I, H
SHAPES = (
    (100, 1, 64, 64),
    (100, 1, 128, 128),
    (100, 1, 256, 256),
    (100, 1, 512, 512),
    (10, 8, 8, 16),
    (20, 8, 32, 64),
    (50, 32, 64, 128),
    (100, 64, 128, 128),
    (100, 64, 256, 256),
    (50, 64, 512, 512),
    (50, 128, 512, 512),
    (25, 64, 1024, 1024),
)
STEP_SIZES = (32, 64, 128, 256, 512)
WORKS = ("step", "inference", "training")
STDOUT = "-"

# Seconds that a case needs at least, in least times of rnnext: two calls of ours at
# half of the limit, two of NumPy at a quarter.
BOUNDS = 12.0
# Part of the time that these may take; cases beyond are left out.
MOST = 0.8


@dataclass(frozen=True)
class Case:
    """A call to measure: of WORKS, a cell, and T, N, I, H."""

    work: str
    cell: str
    shape: tuple[int, int, int, int]
    dtype: str

    @property
    def call(self) -> Call:
        """The work as the roofline counts it."""
        training = self.work == "training"
        return Call(self.cell, *self.shape, dtype=self.dtype, training=training)


@dataclass(frozen=True)
class Row:
    """What was measured: peak and roofline are parts of 1, numpy is NumPy's seconds."""

    case: Case
    seconds: float
    gflops: float
    peak: float
    roofline: float
    numpy: float

    @property
    def ratio(self) -> float:
        """Time of the NumPy loop / time of rnnext."""
        return self.numpy / self.seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``rnnext bench`` understands to `parser`."""
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="threads of rnnext (default: all CPUs); NumPy takes those of its BLAS",
    )
    parser.add_argument(
        "--dtype", choices=tuple(DTYPES), default="float32", help="default: %(default)s"
    )
    parser.add_argument(
        "--seconds",
        type=positive_number,
        default=60.0,
        metavar="X",
        help="about how long; too little time leaves large cases out "
        "(default: %(default)g)",
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const=STDOUT,
        metavar="PATH",
        help="write the figures to a file; without PATH print them, and the report to "
        "stderr",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure the machine, then case by case rnnext and a NumPy loop.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit code: 0.

    Raises
    ------
    AppError
        For a wrong option or place.
    """
    if arguments.json not in (None, STDOUT):
        check_writable(arguments.json)
    before = rnnext.get_num_threads()
    try:
        rnnext.set_num_threads(arguments.threads or before)
    except ValueError as error:
        raise AppError(f"argument --threads: {error}") from error
    try:
        machine = measure(rnnext.get_num_threads())
        with redirect_stdout(sys.stderr if arguments.json == STDOUT else sys.stdout):
            rows = _report(machine, arguments.dtype, arguments.seconds)
    finally:
        rnnext.set_num_threads(before)
    if arguments.json is not None:
        found = {
            "config": rnnext.config() | {"threads": machine.threads},
            "numpy": np.__version__,
            "machine": asdict(machine),
            "results": [
                asdict(row.case) | {k: v for k, v in asdict(row).items() if k != "case"}
                for row in rows
            ],
        }
        text = json_text(found)
        if arguments.json == STDOUT:
            print(text)
        else:
            write_atomically(arguments.json, text.encode())
    return 0


def cases(dtype: str) -> list[Case]:
    """Everything that can be measured, in the order of the report."""
    steps = [(1, 1, H, H) for H in STEP_SIZES]
    return [
        Case(work, cell, shape, dtype)
        for work in WORKS
        for shape in (steps if work == "step" else SHAPES)
        for cell in GATES
    ]


def plan(
    wanted: Sequence[Case], machine: Machine, seconds: float
) -> list[tuple[Case, float]]:
    """Share the time out: the cases that fit, each with its seconds.

    Parameters
    ----------
    wanted : sequence of Case
    machine : Machine
    seconds : float
        For all of them.

    Returns
    -------
    list
        In the order of `wanted`; the largest are left out first.
    """
    needs = {case: BOUNDS * machine.bound(case.call) for case in wanted}
    fitting = sorted(wanted, key=lambda case: needs[case])
    while fitting and sum(needs[case] for case in fitting) > MOST * seconds:
        fitting.pop()
    spare = seconds - sum(needs[case] for case in fitting)
    kept = set(fitting)
    return [(case, needs[case] + spare / len(kept)) for case in wanted if case in kept]


def _report(machine: Machine, dtype: str, seconds: float) -> list[Row]:
    config = rnnext.config()
    print(
        f"rnnext {config['version']}, {config['isa']}, {dtype}; the loop: "
        f"NumPy {np.__version__}, threads of its BLAS"
    )
    print("\n".join(machine.lines()), flush=True)
    wanted = cases(dtype)
    planned = plan(wanted, machine, seconds)
    print(
        f"\n{'work':10} {'cell':4} {'T, N, I, H':19} {'µs':>10} {'GFLOP/s':>8} "
        f"{'of peak':>8} {'roofline':>8} {'NumPy/rnnext':>12}",
        flush=True,
    )
    rows = []
    with progress(len(planned), "case") as show:
        for case, share in planned:
            row = _measured(case, machine, share)
            rows.append(row)
            show(_line(row))
    print("\nNumPy / rnnext, geometric means:", end="")
    for work in WORKS:
        ratios = [row.ratio for row in rows if row.case.work == work]
        if ratios:
            print(f" {work} {statistics.geometric_mean(ratios):.1f}", end="")
    print()
    if left_out := len(wanted) - len(planned):
        print(f"left out, as they take longer than --seconds allows: {left_out} cases")
    return rows


def _line(row: Row) -> str:
    case = row.case
    return (
        f"{case.work:10} {case.cell:4} {', '.join(map(str, case.shape)):19} "
        f"{row.seconds * 1e6:10,.1f} {row.gflops:8.1f} {row.peak:8.0%} "
        f"{row.roofline:8.0%} {row.ratio:12.1f}"
    )


def _measured(case: Case, machine: Machine, seconds: float) -> Row:
    times = []
    for run_once in _calls(case):
        run_once()
        settle()
        times.append(statistics.median(samples(run_once, seconds / 3)))
    own, numpys = times
    return Row(
        case,
        seconds=own,
        gflops=case.call.flops / own * 1e-9,
        peak=case.call.flops / own / machine.peak[case.dtype],
        roofline=machine.bound(case.call) / own,
        numpy=numpys,
    )


def _calls(case: Case) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The work by rnnext and by the NumPy loop."""
    T, N, I, H = case.shape
    rng = np.random.default_rng(0)
    kind = {"rnn": rnnext.RNN, "gru": rnnext.GRU, "lstm": rnnext.LSTM}[case.cell]
    layer: Any = kind(I, H, dtype=case.dtype, rng=0)
    x = rng.standard_normal((T, N, I)).astype(case.dtype)
    dy = rng.standard_normal((T, N, H)).astype(case.dtype)
    parameters = dict(layer.parameters)
    if case.work == "step":
        stream, out = layer.stream(), np.empty((N, H), case.dtype)
        trace: numpy_loop.Trace | None = None

        def step() -> None:
            nonlocal trace
            _, trace = numpy_loop.forward(case.cell, parameters, x, trace)

        return lambda: stream.step(x[0], out), step
    if case.work == "inference":
        return lambda: layer(x), lambda: numpy_loop.forward(case.cell, parameters, x)

    def train() -> None:
        with layer.writable():
            pass  # marks the weights as changed: packing them counts
        _, _, cache = layer.forward(x)
        layer.backward(cache, dy)

    def train_numpy() -> None:
        _, trace = numpy_loop.forward(case.cell, parameters, x)
        numpy_loop.backward(case.cell, parameters, trace, dy)

    return train, train_numpy
