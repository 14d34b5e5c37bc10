"""Memory of rnnext: the peak of a training step beside PyTorch's, pages, growth.

Every figure comes from a process of its own (Linux: it reads /proc). A target is
missed where a line ends with a star.

    python benchmarks/memory.py --json build/memory.json
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import multiprocessing
import os
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cases import CELLS, Case, Problem
from console import write
from peers import OURS, PEERS
from worker import environment

from rnnext._roofline import DTYPES
from rnnext.app.arguments import positive

SHAPES = ((100, 1, 256, 256), (100, 64, 256, 256), (50, 64, 512, 512))
QUICK_SHAPES = ((20, 8, 32, 64),)
WARM = ("training", (2, 2, 3, 4))  # what a library loads once is no part of a step
CALLS = 100_000
LEAST_GROWTH = 1 << 18  # bytes that are no leak, nor is a byte of each call
SMALL = (5, 2, 8, 16)

# Saved by rnnext for the backward per unit and step, besides h and c.
SAVED = {"rnn": 0, "gru": 4, "lstm": 4}
MEGABYTE = 1e6


def status(name: str) -> int:
    """Bytes of a line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def prepared(library: str, threads: int, case: Case) -> Callable[[], Any]:
    """The call of a case in a library that has already worked once."""
    peer = importlib.import_module(f"peers.{library}")
    peer.start(threads)
    work, shape = WARM
    warm = Case(work, case.cell, shape)
    for call in peer.calls(warm, Problem(warm)).values():
        call()
    (call,) = peer.calls(case, Problem(case)).values()
    return call  # type: ignore[no-any-return]


def peak(library: str, threads: int, case: Case) -> int:
    """Bytes that the first call of a case adds to the process at most."""
    call = prepared(library, threads, case)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = status("VmRSS")
    call()
    return status("VmHWM") - before


def faults(library: str, threads: int, case: Case) -> int:
    """Bytes of new pages of a later call: median of seven."""
    call = prepared(library, threads, case)
    call()
    found = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        call()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        found.append((after - before) * resource.getpagesize())
    return int(statistics.median(found))


def growth(library: str, threads: int, case: Case, calls: int) -> int:
    """Bytes that the process grows by over many calls."""
    call = prepared(library, threads, case)
    for _ in range(min(1000, calls)):
        call()
    before = status("VmRSS")
    for _ in range(calls):
        call()
    return status("VmRSS") - before


def results_bytes(case: Case) -> int:
    """Bytes of what a training step of rnnext returns, its cache included."""
    T, N, I, H = case.shape
    states = (T + 1) * N * H * (2 if case.cell == "lstm" else 1)
    kept = states + T * N * H * SAVED[case.cell]
    gradients = sum(p.size for p in Problem(case).parameters.values())
    return DTYPES[case.dtype] * (kept + T * N * (H + I) + gradients)


def alone(function: Callable[..., int], *arguments: Any) -> int:
    """The result of a function in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 0 whatever is found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one small shape, few calls")
    add("--cells", nargs="+", default=CELLS, choices=CELLS)
    add("--threads", type=positive, default=min(2, len(os.sched_getaffinity(0))))
    add("--json", type=Path, metavar="FILE", help="write the figures")
    options = parser.parse_args(argv)
    os.environ.update(environment(options.threads))
    libraries = [OURS] + ["torch"] * (not PEERS["torch"].missing())
    shapes = QUICK_SHAPES if options.quick else SHAPES
    kept: dict[str, list[dict[str, Any]]] = {"peaks": [], "faults": [], "growth": []}

    print("peak of one training step, MB")
    print(f"{'cell':5}{'T, N, I, H':22}" + "".join(f"{n:>10}" for n in libraries))
    training = [Case("training", c, s) for c in options.cells for s in shapes]
    for case in training:
        found = {n: alone(peak, n, options.threads, case) for n in libraries}
        kept["peaks"].append({"case": asdict(case), "bytes": found})
        figures = "".join(f"{b / MEGABYTE:10.1f}" for b in found.values())
        star = " *" if found[OURS] > min(found.values()) else ""
        print(f"{case.cell:5}{case.size:22}{figures}{star}", flush=True)

    print("\nnew pages of a later training step of rnnext, MB, beside its results")
    for case in training:
        pages, results = alone(faults, OURS, options.threads, case), results_bytes(case)
        kept["faults"].append(
            {"case": asdict(case), "bytes": pages, "results": results}
        )
        star = " *" if pages > 1.1 * results + MEGABYTE / 10 else ""
        figures = f"{pages / MEGABYTE:10.1f}{results / MEGABYTE:10.1f}"
        print(f"{case.cell:5}{case.size:22}{figures}{star}", flush=True)

    calls = CALLS // 50 if options.quick else CALLS
    print(f"\ngrowth of rnnext over {calls:,} small calls, kB")
    for cell in options.cells:
        for work in ("inference", "training", "step"):
            case = Case(work, cell, SMALL if work != "step" else (1, 1, *SMALL[2:]))
            grown = alone(growth, OURS, options.threads, case, calls)
            kept["growth"].append(
                {"case": asdict(case), "bytes": grown, "calls": calls}
            )
            star = " *" if grown > max(calls, LEAST_GROWTH) else ""
            print(f"{cell:5}{work:22}{grown / 1e3:10.0f}{star}", flush=True)
    if options.json:
        write(options.json, json.dumps({"threads": options.threads, **kept}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
