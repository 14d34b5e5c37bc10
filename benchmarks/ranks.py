"""Training on several ranks: what the average costs, how a step scales, a model.

    mpiexec -n 1 python benchmarks/ranks.py
    mpiexec -n 2 python benchmarks/ranks.py
    python benchmarks/ranks.py --paper 64

A rank uses one thread. The step is that of ``rnnext train``: an LSTM and a linear layer
over characters, softmax cross-entropy, Adam; the batch of a rank is the same whatever
the number of ranks, so a step that costs nothing more is perfect scaling. ``--paper``
prints what formulas say of networks that are not here.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import rnnext

if TYPE_CHECKING:
    from rnnext.distributed import Workers

T, N, V = 64, 16, 97  # steps, streams of text on a rank, characters
MODELS = ((256, 1), (1024, 2))  # hidden size, layers
SIZES = (10**4, 10**5, 10**6, 10**7)  # numbers in a gradient
SECONDS = 3.0  # for each measurement


@dataclass(frozen=True)
class Network:
    """A message of n bytes takes ``latency + n / bandwidth``."""

    name: str
    latency: float  # s
    bandwidth: float  # bytes/s


NETWORKS = (
    Network("1 Gbit/s Ethernet", 50e-6, 0.117e9),
    Network("10 Gbit/s Ethernet", 25e-6, 1.17e9),
    Network("100 Gbit/s InfiniBand", 2e-6, 11.7e9),
)


def pieces(ranks: int, size: float, network: Network) -> float:
    """Seconds of an ordered average: P - 1 pieces from every rank, twice (a ring's)."""
    once = network.latency + size / ranks / network.bandwidth
    return 2 * (ranks - 1) * once


def doubling(ranks: int, size: float, network: Network) -> float:
    """Seconds of recursive doubling: the whole buffer, log2 P times."""
    return math.ceil(math.log2(ranks)) * (network.latency + size / network.bandwidth)


def halving(ranks: int, size: float, network: Network) -> float:
    """Seconds of recursive halving and doubling (Rabenseifner)."""
    waits = 2 * math.ceil(math.log2(ranks)) * network.latency
    return waits + 2 * (ranks - 1) / ranks * size / network.bandwidth


def model(hidden: int, layers: int) -> rnnext.Sequential:
    lstm = rnnext.LSTM(V, hidden, layers, rng=0)
    return rnnext.Sequential({"rnn": lstm, "head": rnnext.Linear(hidden, V, rng=1)})


def parameters(network: rnnext.Sequential) -> int:
    return sum(array.size for array in network.parameters.values())


def median(action: Callable[[], object], rounds: int) -> float:
    """Seconds, over `rounds` after one that does not count."""
    action()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def rounds_in(workers: Workers, action: Callable[[], object]) -> int:
    """How many fit into the time of a measurement, the same number on every rank."""
    start = time.perf_counter()
    action()
    taken = workers.sum(time.perf_counter() - start) / workers.size
    return int(np.clip(SECONDS / taken, 5, 2000))


def time_average(workers: Workers, average: Workers, size: int) -> float:
    """Seconds of an average of `size` numbers."""
    gradients = {"w": np.ones(size, np.float32)}

    def action() -> None:
        average.average(gradients)

    return median(action, rounds_in(workers, action))


def time_step(workers: Workers, network: rnnext.Sequential) -> tuple[float, float]:
    """Seconds of a step, and of the average in it."""
    adam = rnnext.Adam(1e-4)
    ids = np.random.default_rng(workers.rank).integers(0, V, (T + 1, N))
    averages: list[float] = []

    def step() -> None:
        logits, _, cache = network.forward(ids[:-1])
        _, dlogits = rnnext.softmax_cross_entropy(logits, ids[1:])
        gradients = network.backward(cache, dlogits, need_x=False)
        start = time.perf_counter()
        workers.average(gradients, ids[1:].size)
        averages.append(time.perf_counter() - start)
        adam.step(network, gradients)

    return median(step, rounds_in(workers, step)), float(np.median(averages))


def measure() -> None:
    """Print tables on rank 0."""
    from rnnext.distributed import Workers

    with Workers() as workers:
        rnnext.set_num_threads(1)
        free = Workers(ordered=False)
        say = print if workers.rank == 0 else lambda _: None
        say(f"{workers.size} ranks, one thread each")
        say("numbers (float32)   ordered us   Allreduce us")
        for size in SIZES:
            ordered, unordered = (
                1e6 * time_average(workers, each, size) for each in (workers, free)
            )
            say(f"{size:17,} {ordered:12.0f} {unordered:14.0f}")
        say("model                parameters   step ms   of it average ms")
        for hidden, layers in MODELS:
            network = model(hidden, layers)
            step, average = time_step(workers, network)
            say(
                f"LSTM {layers} x {hidden:<11} {parameters(network):12,} "
                f"{1e3 * step:9.1f} {1e3 * average:18.2f}"
            )


def paper(ranks: int, steps: dict[tuple[int, int], float]) -> None:
    """What the formulas say, with the seconds of a step on one rank."""
    print(f"{ranks} ranks: ms of an average, and the part of perfect scaling")
    for (hidden, layers), step in steps.items():
        size = 4 * parameters(model(hidden, layers))
        print(
            f"LSTM {layers} x {hidden}, {size / 1e6:.1f} MB, {1e3 * step:.0f} ms a step"
        )
        for network in NETWORKS:
            words = [
                f"{name} {1e3 * taken:8.2f} ({step / (step + taken):4.0%})"
                for name, taken in (
                    ("ordered", pieces(ranks, size, network)),
                    ("doubling", doubling(ranks, size, network)),
                    ("halving", halving(ranks, size, network)),
                )
            ]
            print(f"  {network.name:22}", "  ".join(words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paper", type=int, metavar="RANKS", help="print the model")
    parser.add_argument(
        "--step-ms",
        type=float,
        nargs=len(MODELS),
        default=(26.0, 1400.0),
        help="of the models on one rank (default: %(default)s)",
    )
    arguments = parser.parse_args()
    if arguments.paper is None:
        measure()
    else:
        seconds = [1e-3 * taken for taken in arguments.step_ms]
        paper(arguments.paper, dict(zip(MODELS, seconds, strict=True)))


if __name__ == "__main__":
    main()
