"""Time of short calls, and quiet before them."""

from __future__ import annotations

import time
from collections.abc import Callable

# A sample holds so many calls that reading the clock does not count.
SAMPLE_SECONDS = 20e-6


def samples(call: Callable[[], object], seconds: float) -> list[float]:
    """Time a call again and again.

    Parameters
    ----------
    call : callable
    seconds : float
        How long; the call is made once at least, and once more if it is short.

    Returns
    -------
    list of float
        Seconds per call.

    Examples
    --------
    >>> min(samples(lambda: sum(range(10)), 0.001)) > 0
    True
    """
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    together = max(1, int(SAMPLE_SECONDS / first))
    times = [] if together > 1 else [first]
    end = start + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(together):
            call()
        times.append((time.perf_counter() - begin) / together)
        together = max(1, int(SAMPLE_SECONDS / times[-1]))
    return times


def settle(quiet: float = 0.005, longest: float = 0.5) -> None:
    """Wait until no thread of this process spins for work any more.

    Parameters
    ----------
    quiet : float
        Seconds in which the process must do next to nothing.
    longest : float
        Seconds to wait at most.

    Examples
    --------
    >>> settle()
    """
    end = time.perf_counter() + longest
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(quiet)
        if time.process_time() - before < 0.1 * quiet:
            return
