"""The least time that a call can take on this machine, from its measured limits.

Multiply-adds run at the peak at best, and weights come no faster than from the cache
in which they fit: for every phase of a call the slower of the two counts, split evenly
over the threads. The arithmetic of a cell (exp, tanh, ...) counts as the multiply-adds
that would take as long. Meetings of threads, packing and memory for results are not in
the bound: they are what an implementation has to answer for.

Letters: T steps, N batch, I input size, H hidden size, G gates, L layers, D directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import _core

DTYPES = {"float32": 4, "float64": 8}  # bytes of an element
GATES = {"rnn": 1, "gru": 3, "lstm": 4}

# FLOP with the price of one unit's arithmetic in one step, forward and backward.
# Counted in instructions of AVX2: 4.5 and 4 cycles for a float32 LSTM at 32 FLOP each.
POINTWISE = {
    "float32": {"rnn": (32, 32), "gru": (96, 112), "lstm": (144, 128)},
    "float64": {"rnn": (51, 32), "gru": (144, 96), "lstm": (208, 112)},
}

# Where the caches' sizes are not told.
USUAL_CACHES = {"L1": 32 << 10, "L2": 512 << 10, "L3": 8 << 20}
# Part of a cache that weights can have beside everything else.
USABLE = {"L1": 3 / 4, "L2": 7 / 8, "L3": 3 / 4}
DRAM_BYTES = 256 << 20  # read to measure the memory


@dataclass(frozen=True)
class Call:
    """The work of one call: a network over a batch of sequences."""

    cell: str
    steps: int
    batch: int
    input_size: int
    hidden_size: int
    dtype: str = "float32"
    training: bool = False  # forward and all gradients
    layers: int = 1
    directions: int = 1

    def inputs(self) -> Iterator[int]:
        """The input size of every layer and direction."""
        for layer in range(self.layers):
            for _ in range(self.directions):
                yield self.directions * self.hidden_size if layer else self.input_size

    @property
    def flops(self) -> int:
        """FLOP of the products, a multiply-add counted as 2.

        Examples
        --------
        >>> Call("lstm", 100, 64, 256, 256).flops
        6710886400
        >>> Call("gru", 2, 3, 4, 5, training=True, layers=2, directions=2).flops
        25920
        """
        unit = 2 * self.steps * self.batch * GATES[self.cell] * self.hidden_size
        forward = sum(unit * (I + self.hidden_size) for I in self.inputs())
        return forward * (3 if self.training else 1)


@dataclass(frozen=True)
class Machine:
    """What `threads` threads together can do at most.

    peak and core_peak (of one thread) are FLOP/s by dtype, read is bytes/s by level
    ("L1" "L2" "L3" "DRAM"), caches bytes: L1 and L2 of each core, L3 of all; barrier is
    the seconds of one meeting.
    """

    threads: int
    peak: dict[str, float]
    core_peak: dict[str, float]
    read: dict[str, float]
    caches: dict[str, int]
    barrier: float

    def lines(self) -> list[str]:
        """The limits in words, for a report.

        Examples
        --------
        >>> peak, read = {"float32": 2e11, "float64": 9e10}, {"L1": 4e11, "L2": 2e11}
        >>> print("\\n".join(Machine(2, peak, peak, read, {}, 1e-7).lines()))
        threads: 2; peak, GFLOP/s: float32 200 (one core 200), float64 90 (one core 90)
        reading, GB/s: L1 400, L2 200; meeting of the threads: 0.10 µs
        """
        peaks = ", ".join(
            f"{dtype} {rate / 1e9:.0f} (one core {self.core_peak[dtype] / 1e9:.0f})"
            for dtype, rate in self.peak.items()
        )
        reads = ", ".join(
            f"{level} {rate / 1e9:.0f}" for level, rate in self.read.items()
        )
        meeting = self.barrier * 1e6
        return [
            f"threads: {self.threads}; peak, GFLOP/s: {peaks}",
            f"reading, GB/s: {reads}; meeting of the threads: {meeting:.2f} µs",
        ]

    def level(self, size: float) -> str:
        """The cache that serves `size` bytes, spread over the threads.

        Examples
        --------
        >>> caches = {"L1": 32 << 10, "L2": 512 << 10, "L3": 32 << 20}
        >>> machine = Machine(2, {}, {}, {}, caches, 1e-7)
        >>> [machine.level(size << 10) for size in (48, 64, 512, 1024, 65536)]
        ['L1', 'L2', 'L2', 'L3', 'DRAM']
        """
        for level, capacity in self.caches.items():
            share = size if level == "L3" else size / self.threads
            if share <= USABLE[level] * capacity:
                return level
        return "DRAM"

    def bound(self, call: Call) -> float:
        """The least seconds of a call.

        Examples
        --------
        >>> peak = {"float32": 200e9, "float64": 100e9}
        >>> read = {"L1": 400e9, "L2": 200e9, "L3": 150e9, "DRAM": 20e9}
        >>> caches = {"L1": 32 << 10, "L2": 512 << 10, "L3": 32 << 20}
        >>> machine = Machine(2, peak, peak, read, caches, 1e-7)
        >>> call = Call("lstm", 100, 64, 256, 256)
        >>> round(call.flops / peak["float32"] / machine.bound(call), 3)
        0.966
        """
        return sum(self._layer_bound(call, I) for I in call.inputs())

    def _layer_bound(self, call: Call, I: int) -> float:
        T, N, H = call.steps, call.batch, call.hidden_size
        gates, size = GATES[call.cell] * H, DTYPES[call.dtype]
        peak = self.peak[call.dtype]
        pointwise = [N * H * x / peak for x in POINTWISE[call.dtype][call.cell]]

        def product(rows: int, k: int) -> float:
            return 2 * rows * gates * k / peak

        # A loop reads the recurrent weights again at every step. The others are read
        # once a call: they come from where the weights of the whole network fit.
        own = size * gates * H
        network = size * gates * sum(I + H for I in call.inputs())
        once = size * gates * I / self.read[self.level(network)]
        step = own / self.read[self.level(own if T > 1 else network)]

        project = max(product(T * N, I), once)
        seconds = project + T * (max(product(N, H), step) + pointwise[0])
        streamed = size * T * N * (I + H)  # x and y
        if call.training:
            seconds += T * (max(product(N, H), step) + pointwise[1])
            seconds += product(T * N, H + 2 * I)
            kept = size * T * N * (GATES[call.cell] + 2) * H
            streamed += streamed + 2 * kept
        if self.level(streamed) == "DRAM":
            seconds = max(seconds, streamed / self.read["DRAM"])
        return seconds


def cache_sizes(folder: str = "/sys/devices/system/cpu/cpu0/cache") -> dict[str, int]:
    """Bytes of the data caches as Linux tells them, else usual sizes.

    Examples
    --------
    >>> cache_sizes("/nowhere") == USUAL_CACHES
    True
    """
    sizes = dict(USUAL_CACHES)
    for index in Path(folder).glob("index*"):
        try:
            level = "L" + (index / "level").read_text().strip()
            kind = (index / "type").read_text().strip()
            size = (index / "size").read_text().strip()
        except OSError:
            continue
        if level in sizes and kind != "Instruction" and size.endswith("K"):
            sizes[level] = int(size[:-1]) << 10
    return sizes


def measure(threads: int) -> Machine:
    """Measure this machine; takes about a second.

    Raises
    ------
    RuntimeError
        While another call of the package is under way.
    """
    caches = cache_sizes()
    working_sets = {
        "L1": caches["L1"] // 2,
        "L2": caches["L2"] // 2,
        "L3": caches["L3"] // 4 // threads,
        "DRAM": DRAM_BYTES // threads,
    }
    return Machine(
        threads=threads,
        peak={dtype: _core.measure_peak(dtype, threads) for dtype in DTYPES},
        core_peak={dtype: _core.measure_peak(dtype, 1) for dtype in DTYPES},
        read={
            level: _core.measure_read(max(size, 1), threads)
            for level, size in working_sets.items()
        },
        caches=caches,
        barrier=_core.measure_barrier(threads),
    )
