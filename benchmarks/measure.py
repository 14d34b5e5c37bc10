"""Takes the cases through all libraries, by turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from cases import Case
from peers import OURS, PEERS
from results import Result
from worker import PAUSES, Failure, Library, alike

from rnnext._roofline import Machine

# A case ends after so many rounds, when it has taken so many seconds.
LEAST_ROUNDS = 3
CASE_SECONDS = 5.0

# CPUs whose meeting takes so many times the shortest are apart; seconds that a run
# waits for them in all, and between two looks.
APART = 2.0
APART_SECONDS = 300.0
LOOK_SECONDS = 0.05


class Nearness:
    """Whether the CPUs are as near to each other as this machine has them.

    Those of a virtual machine change within seconds between cores that share a cache
    and cores that do not, where two threads may take twice as long. Libraries can be
    compared in one of the two states only.

    Parameters
    ----------
    library : Library
        Whose process is asked how long a meeting of its threads takes.
    nearest : float
        Seconds of a meeting as short as any before.
    """

    def __init__(self, library: Library, nearest: float) -> None:
        self._library, self._nearest = library, nearest
        self.waited = 0.0

    def apart(self) -> bool:
        """Whether they are not."""
        if self._library.threads < 2:
            return False
        self._library.ask("meeting")
        meeting = self._library.answer()
        if isinstance(meeting, Failure):
            return False
        self._nearest = min(self._nearest, meeting)
        return bool(meeting > APART * self._nearest)

    def while_near(self, burst: Callable[[], Any]) -> tuple[Any, bool]:
        """What `burst` gives, and whether the CPUs were near before and after it.

        Until they are, it is made again, while the run waits.
        """
        while True:
            begin = time.monotonic()
            near, answer = not self.apart(), None
            if near or self.waited >= APART_SECONDS:
                answer = burst()
                if isinstance(answer, Failure):
                    return answer, near
                near = near and not self.apart()
            if near or self.waited >= APART_SECONDS:
                return answer, near
            time.sleep(LOOK_SECONDS)
            self.waited += time.monotonic() - begin


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
    case: Case,
    libraries: dict[str, Library],
    rounds: int,
    seconds: float,
    near: Nearness,
) -> Result:
    """Time one case in every library that can compute it.

    A burst before or after which the CPUs are apart, as `near` finds them, is made
    again while it waits.
    """
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

    unsure = 0

    def burst(library: Library) -> Any:
        nonlocal unsure
        answer, sure = near.while_near(lambda: ask(library, "time", seconds))
        unsure += not sure
        return answer

    start = time.monotonic() - near.waited
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
        spent = time.monotonic() - near.waited - start
        if done >= LEAST_ROUNDS and spent > CASE_SECONDS:
            break
        for library in list(able.values()):
            times[library.name].append(burst(library))
    medians = {name: statistics.median(times[name]) for name in able}
    chosen = {name: ways[name] for name in able}
    return Result(case, medians, missing, chosen, unsure)
