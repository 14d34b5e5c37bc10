"""One library in a process of its own, asked from outside.

The process dies alone: a crash, an error or silence becomes a `Failure`, and the next
question starts it anew.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from cases import Case, Problem

from rnnext import _core
from rnnext.app.timing import samples, settle

# Seconds to wait for an answer.
PATIENCE = 300.0
# Calls longer than this are the same whichever way they are made.
LONG_SECONDS = 0.05
# Calls of a burst where each comes after a pause.
PAUSES = 20


@dataclass(frozen=True)
class Failure:
    """Why there is no answer."""

    reason: str


def environment(threads: int) -> dict[str, str]:
    """What the libraries read at import."""
    names = ("RNNEXT", "OMP", "MKL", "OPENBLAS")
    return {f"{name}_NUM_THREADS": str(threads) for name in names}


@contextmanager
def environment_for_children(variables: dict[str, str]) -> Iterator[None]:
    """Processes that are started within have them; this one keeps its own."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Library:
    """A library's process.

    Parameters
    ----------
    name : str
        A module of `peers`.
    threads : int
        Threads, and CPUs, that it may use.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self._process: Any = None
        self._pipe: Any = None

    def ask(self, *question: Any) -> None:
        """Send a question; `answer` waits for what comes back."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            arguments = (self.name, self.threads, theirs)
            self._process = context.Process(target=serve, args=arguments, daemon=True)
            with environment_for_children(environment(self.threads)):
                self._process.start()
            theirs.close()
        with suppress(OSError):  # `answer` sees the end of the process
            self._pipe.send(question)

    def answer(self, patience: float = PATIENCE) -> Any:
        """The answer, or a `Failure`; after `patience` seconds the process is ended."""
        try:
            if self._pipe.poll(patience):
                return self._pipe.recv()
            reason = f"no answer in {patience:.0f} s"
        except (EOFError, OSError):
            self._process.join(5)
            reason = f"died with exit code {self._process.exitcode}"
        self.close()
        return Failure(reason)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def serve(name: str, threads: int, pipe: Connection) -> None:
    """Answer questions to the end: what a worker process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cpus[:threads])
    server = Server(name, threads)
    while True:
        try:
            question, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = getattr(server, question)(*arguments)
        except Exception as error:
            answer = Failure(f"{type(error).__name__}: {error}".split("\n")[0])
        settle()
        pipe.send(answer)


class Server:
    """What a library can be asked.

    Parameters
    ----------
    name : str
        A module of `peers`.
    threads : int
        Threads that it may use.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._peer = importlib.import_module(f"peers.{name}")
        self._peer.start(threads)
        self._threads = threads
        self._ways: dict[str, Callable[[], Any]] = {}
        self._pause = 0.0

    def prepare(self, case: Case) -> list[Any]:
        """Make the case ready; the fingerprint of what it computes."""
        self._ways = {}  # frees the case before
        self._ways = self._peer.calls(case, Problem(case))
        self._pause = case.pause
        results = {way: fingerprint(call()) for way, call in self._ways.items()}
        numbers = next(iter(results.values()))
        for way, result in results.items():
            if not alike(result, numbers, case.dtype):
                raise ValueError(f"{way}: differs from the other ways")
        return numbers

    def choose(self) -> str:
        """Keep the fastest way to make the call; its name."""
        times = {}
        for way, call in self._ways.items():
            times[way] = 0.0 if len(self._ways) == 1 else min(samples(call, 0.01))
            if times[way] > LONG_SECONDS:
                break
        best = min(times, key=lambda way: times[way])
        self._ways = {best: self._ways[best]}
        return best

    def meeting(self) -> float:
        """Seconds of a meeting of so many threads, the median of three measurements."""
        meetings = [_core.measure_barrier(self._threads) for _ in range(3)]
        return statistics.median(meetings)

    def time(self, seconds: float) -> float:
        """Median seconds of a call, over a burst of so many seconds."""
        (call,) = self._ways.values()
        if self._pause:
            return statistics.median(after_pauses(call, self._pause, PAUSES))
        return statistics.median(samples(call, seconds))


def after_pauses(call: Callable[[], Any], pause: float, count: int) -> list[float]:
    """Seconds of calls that find caches cold and threads asleep."""
    times = []
    for _ in range(count):
        time.sleep(pause)
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times


def fingerprint(arrays: list[Any], count: int = 64) -> list[Any]:
    """Some numbers of every array, evenly spread."""
    flat = [np.asarray(a).astype(np.float64).reshape(-1) for a in arrays]
    return [a[np.linspace(0, a.size - 1, count).astype(int)] for a in flat]


def alike(found: list[Any], expected: list[Any], dtype: str) -> bool:
    """Whether two libraries computed the same thing."""
    tolerance = 1e-3 if dtype == "float32" else 1e-8
    return all(
        bool(np.abs(a - b).max() <= tolerance * np.abs(b).max())
        for a, b in zip(found, expected, strict=True)
    )
