"""rnnext alone: what more threads bring."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict

from cases import Case, Group
from peers import OURS
from worker import Failure, Library

LONG_CALL = 100e-6  # seconds on one thread; a target holds from here on


def least_scaling(case: Case, seconds: float) -> float | None:
    """The speed-up of two threads that a case must reach, given its time on one."""
    _, N, _, H = case.shape
    if seconds <= LONG_CALL or H < 64:
        return None
    return 1.8 if N >= 8 else 1.5 if N == 1 else None


def measure(
    case: Case, libraries: Sequence[Library], options: argparse.Namespace
) -> list[float]:
    """Seconds per call of each, medians of interleaved rounds."""
    times: list[list[float]] = [[] for _ in libraries]
    questions = [("prepare", case), ("choose",)]
    questions += [("time", options.seconds)] * options.rounds
    for question in questions:
        for library, kept in zip(libraries, times, strict=True):
            library.ask(*question)
            answer = library.answer()
            if isinstance(answer, Failure):
                raise SystemExit(f"{case}: {answer.reason}")
            if question[0] == "time":
                kept.append(answer)
    return [statistics.median(kept) for kept in times]


def main(chosen: Sequence[Group], options: argparse.Namespace) -> int:
    """Print a line per case; write all with --json."""
    n = options.threads
    libraries = [Library(OURS, threads) for threads in (1, n)]
    print(f"{'case':52}{'1 thread, µs':>14}{f'{n}, µs':>12}{'scaling':>9}{'target':>8}")
    kept = []
    for case in (case for group in chosen for case in group.cases):
        one, many = measure(case, libraries, options)
        target = least_scaling(case, one) if n == 2 else None
        shown = "" if target is None else f"{target:.1f}"
        star = " *" if target is not None and one / many < target else ""
        line = f"{case!s:52}{one * 1e6:14,.1f}{many * 1e6:12,.1f}{one / many:9.2f}"
        print(f"{line}{shown:>8}{star}", flush=True)
        entry = {"case": asdict(case), "seconds": [one, many], "target": target}
        kept.append(entry)
    for library in libraries:
        library.close()
    if options.json:
        options.json.write_text(
            json.dumps({"threads": [1, n], "results": kept}, indent=1)
        )
    return 0
