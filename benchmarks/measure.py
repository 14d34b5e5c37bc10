"""Takes the cases through all libraries, by turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

from cases import Case
from peers import OURS, PEERS
from results import Result
from worker import PAUSES, Failure, Library, alike

from rnnext._roofline import Machine

# A case ends after so many rounds, when it has taken so many seconds.
LEAST_ROUNDS = 3
CASE_SECONDS = 5.0


def estimate(
    cases: Sequence[Case],
    names: Sequence[str],
    machine: Machine,
    rounds: int,
    seconds: float,
) -> float:
    """About how many seconds `compare` takes on a quiet machine."""
    total = 5.0 * len(names)
    for case in cases:
        # Peers take about twice the bound, and the work of a call is also made ready.
        call = 2 * machine.bound(case.call)
        able = [name for name in names if PEERS[name].supports(case)]
        burst = PAUSES * case.pause or max(seconds, call)
        turns = sum(burst + 0.02 for _ in able)
        total += len(able) * (3 * call + 0.1) + ("jax" in able) * 0.7
        total += min(rounds * turns, max(CASE_SECONDS, LEAST_ROUNDS * turns))
    return total


def compare(
    case: Case, libraries: dict[str, Library], rounds: int, seconds: float
) -> Result:
    """Time one case in every library that can compute it."""
    missing: dict[str, str] = {}
    able = {k: v for k, v in libraries.items() if PEERS[k].supports(case)}

    def ask(library: Library, *question: Any) -> Any:
        library.ask(*question)
        return keep(library)

    def keep(library: Library) -> Any:
        answer = library.answer()
        if isinstance(answer, Failure):
            missing[library.name] = answer.reason
            del able[library.name]
        return answer

    start = time.monotonic()
    for library in able.values():
        library.ask("prepare", case)
    numbers = {k: keep(v) for k, v in list(able.items())}
    if OURS in able:
        for name in [
            k for k in able if not alike(numbers[k], numbers[OURS], case.dtype)
        ]:
            missing[name] = "computes something else"
            del able[name]
    ways = {k: str(ask(v, "choose")) for k, v in list(able.items())}
    times: dict[str, list[float]] = {name: [] for name in able}
    for done in range(rounds):
        if done >= LEAST_ROUNDS and time.monotonic() - start > CASE_SECONDS:
            break
        for name, library in list(able.items()):
            times[name].append(ask(library, "time", seconds))
    medians = {name: statistics.median(times[name]) for name in able}
    return Result(case, medians, missing, {name: ways[name] for name in able})
