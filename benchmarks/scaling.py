"""rnnext alone: what more threads bring."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cases import Case, Group
from console import progress, say, write
from peers import OURS
from worker import Failure, Library

LONG_CALL = 100e-6  # seconds on one thread; a target holds for longer calls


def least_scaling(case: Case, seconds: float) -> float | None:
    """The speed-up of two threads that a case must reach, given its time on one."""
    _, N, _, H = case.shape
    if seconds <= LONG_CALL or H < 64:
        return None
    return 1.8 if N >= 8 else 1.5 if N == 1 else None


def measure(
    case: Case, libraries: Sequence[Library], rounds: int, seconds: float
) -> list[float] | Failure:
    """Seconds per call of each, medians of interleaved rounds."""
    questions: list[tuple[Any, ...]] = [("prepare", case), ("choose",)]
    times: list[list[float]] = [[] for _ in libraries]
    for question in questions + [("time", seconds)] * rounds:
        for library, kept in zip(libraries, times, strict=True):
            library.ask(*question)
            answer = library.answer()
            if isinstance(answer, Failure):
                return answer
            if question[0] == "time":
                kept.append(answer)
    return [statistics.median(kept) for kept in times]


def main(chosen: Sequence[Group], options: argparse.Namespace) -> int:
    """Print a line per case, with a star under the target; write all with --json."""
    threads = (1, options.threads)
    libraries = [Library(OURS, n) for n in threads]
    heads = "".join(f"{f'threads: {n}, µs':>16}" for n in threads)
    print(f"{'case':50}{heads}{'scaling':>9}{'target':>8}")
    kept = []
    for case in progress([case for group in chosen for case in group.cases]):
        found = measure(case, libraries, options.rounds, options.seconds)
        if isinstance(found, Failure):
            say(f"{case!s:50} no figure: {found.reason}")
            continue
        one, many = found
        target = least_scaling(case, one) if options.threads == 2 else None
        end = "" if target is None else f"{target:8.1f}{' *' * (one / many < target)}"
        figures = f"{one * 1e6:16,.1f}{many * 1e6:16,.1f}{one / many:9.2f}"
        say(f"{case!s:50}{figures}{end}")
        kept.append({"case": asdict(case), "seconds": found, "target": target})
    for library in libraries:
        library.close()
    if options.json:
        write(options.json, json.dumps({"threads": threads, "results": kept}, indent=1))
    return 0
