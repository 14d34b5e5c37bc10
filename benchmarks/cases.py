"""What is measured, and what is to be reached.

A group is one row of the table of targets: its cases, the ratio that each must reach
and the geometric mean. Ratio = time of the fastest peer / time of rnnext.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnext._roofline import DTYPES, GATES, Call

CELLS = tuple(GATES)

Shape = tuple[int, int, int, int]  # T, N, I, H

SHAPES = (
    (1, 1, 64, 64),
    (1, 1, 256, 256),
    (1, 1, 512, 512),
    (100, 1, 64, 64),
    (100, 1, 128, 128),
    (100, 1, 256, 256),
    (100, 1, 512, 512),
    (7, 10, 3, 5),
    (50, 32, 64, 128),
    (100, 64, 256, 256),
    (50, 64, 512, 512),
    (50, 128, 512, 512),
    (25, 64, 1024, 1024),
)
STEP_SIZES = ((32, 64, 128), (256, 512))
RARE_SIZES = (64, 256)
RARE_PAUSE = 0.01
QUICK_SHAPES = ((1, 1, 64, 64), (7, 10, 3, 5), (20, 8, 32, 64))


@dataclass(frozen=True)
class Case:
    """One call to time.

    work is "inference", "training" (forward and all gradients, the weights marked as
    changed before every call) or "step" (one step of a stream that keeps its state).
    ragged: the sequences have `lengths`, in no order, up to T; tokens: x are token ids,
    which stand for vectors of I numbers, 1 in their place and 0 elsewhere; pause:
    seconds of rest before every call.
    """

    work: str
    cell: str
    shape: Shape
    dtype: str = "float32"
    layers: int = 1
    directions: int = 1
    ragged: bool = False
    tokens: bool = False
    pause: float = 0.0

    @property
    def call(self) -> Call:
        """The work as the roofline counts it: of the steps that there are.

        The rows of a table that tokens stand for take no products.
        """
        T, N, I, H = self.shape
        return Call(
            self.cell,
            T,
            round(self.lengths.mean() / T * N),
            0 if self.tokens else I,
            H,
            dtype=self.dtype,
            training=self.work == "training",
            layers=self.layers,
            directions=self.directions,
        )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of every sequence; where they are ragged drawn from 1 to T."""
        T, N = self.shape[:2]
        if not self.ragged:
            return np.full(N, T)
        return np.random.default_rng(1).integers(1, T, N, endpoint=True)

    @property
    def size(self) -> str:
        """T, N, I, H; and what else there is."""
        more = "" if self.layers == 1 else f", L={self.layers}"
        more += "" if self.directions == 1 else f", D={self.directions}"
        more += ", ragged" * self.ragged + ", tokens" * self.tokens
        more += f", every {self.pause * 1e3:g} ms" if self.pause else ""
        return ", ".join(map(str, self.shape)) + more

    def __str__(self) -> str:
        return f"{self.work} {self.cell} {self.size} {self.dtype}"

    @property
    def least_ratio(self) -> float:
        """The ratio that this case must reach."""
        T, N, _, H = self.shape
        if self.pause:
            return 1.2
        if self.work == "step":
            return 5.0 if H <= 128 else 1.5
        if self.dtype == "float64":
            return 1.5
        if self.layers > 1 or self.ragged or self.tokens:
            return 1.2
        if self.work == "training":
            return 1.3
        if (T, N) == (100, 1):
            return 2.0 if H <= 128 else 1.7 if H <= 256 else 1.3
        return 1.2

    @property
    def least_peak(self) -> float | None:
        """The part of the peak that this case must reach."""
        T, N, I, H = self.shape
        if N < 32 or min(I, H) < 256 or T < 25 or self.ragged or self.tokens:
            return None
        if self.dtype == "float64":
            return 0.80
        return 0.82 if self.work == "training" else 0.84

    @property
    def least_roofline(self) -> float | None:
        """The part of the roofline that this case must reach."""
        T, N, _, H = self.shape
        weights = DTYPES[self.dtype] * GATES[self.cell] * H * H
        return 0.75 if N == 1 and T > 1 and weights > 64 << 10 else None

    @property
    def most_seconds(self) -> float | None:
        """The time that this case may take at most."""
        small = self.shape[-1] == 64 and self.dtype == "float32"
        return 3e-6 if self.work == "step" and small and not self.pause else None


@dataclass(frozen=True)
class Group:
    """Cases that are judged together, by the geometric mean of their ratios."""

    name: str
    title: str
    cases: tuple[Case, ...]
    mean: float

    def only(self, cells: Sequence[str]) -> Group:
        """The group with fewer cells."""
        return replace(self, cases=tuple(c for c in self.cases if c.cell in cells))


def _cases(
    works: Sequence[str], shapes: Sequence[Shape], **options: Any
) -> tuple[Case, ...]:
    return tuple(
        Case(work, cell, shape, **options)
        for work, cell, shape in product(works, CELLS, shapes)
    )


def groups(quick: bool = False) -> list[Group]:
    """All groups, in the order of the report; `quick` takes small shapes."""
    shapes = QUICK_SHAPES if quick else SHAPES
    small, large, rare = (
        [(1, 1, H, H) for H in sizes] for sizes in (*STEP_SIZES, RARE_SIZES)
    )
    if quick:
        small, large, rare = small[:1], large[:1], rare[:1]
    rarely = _cases(("step",), rare, pause=RARE_PAUSE)
    double = _cases(("inference", "training"), shapes, dtype="float64")
    return [
        Group("inference", "Inference", _cases(("inference",), shapes), 2.6),
        Group("training", "Training", _cases(("training",), shapes), 4.0),
        Group("step", "One step, H to 128", _cases(("step",), small), 7.0),
        Group("large-step", "One step, H from 256", _cases(("step",), large), 2.0),
        Group("rare-step", "One step every 10 ms", rarely, 2.0),
        Group("float64", "float64", double, 2.6),
        Group("network", "Networks, lengths, tokens", _networks(quick), 2.5),
    ]


def _networks(quick: bool) -> tuple[Case, ...]:
    two = (8, 8, 32, 32) if quick else (50, 64, 256, 256)
    three = (10, 1, 32, 32) if quick else (100, 1, 128, 128)
    works = ("inference", "training")
    batch = (8, 8, 16, 32) if quick else (100, 64, 128, 256)
    return (
        *_cases(works, [two], layers=2, directions=2),
        *_cases(works, [three], layers=3),
        *_cases(works, [batch], ragged=True),
        *_cases(works, [batch], tokens=True),
    )


class Problem:
    """Input and weights of a case, the same in every library.

    Attributes
    ----------
    parameters : dict of str to ndarray
        By PyTorch's names and shapes.
    x, dy : ndarray
        Input (T, N, I), or token ids (T, N), and incoming gradient (T, N, D * H).
    lengths : ndarray of shape (N,), or None
        Of ragged sequences.
    """

    def __init__(self, case: Case) -> None:
        T, N, I, H = case.shape
        rng = np.random.default_rng(0)
        rows, bound = GATES[case.cell] * H, H**-0.5
        self.parameters = {}
        vectors = replace(case, tokens=False)
        for i, inputs in enumerate(vectors.call.inputs()):
            layer, reverse = divmod(i, case.directions)
            end = f"_l{layer}" + ("_reverse" if reverse else "")
            for name, shape in {
                "weight_ih": (rows, inputs),
                "weight_hh": (rows, H),
                "bias_ih": (rows,),
                "bias_hh": (rows,),
            }.items():
                drawn = rng.uniform(-bound, bound, shape)
                self.parameters[name + end] = drawn.astype(case.dtype)
        self.x = rng.standard_normal((T, N, I)).astype(case.dtype)
        if case.tokens:
            self.x = rng.integers(I, size=(T, N))
        self.lengths = case.lengths if case.ragged else None
        self.dy = rng.standard_normal((T, N, case.directions * H)).astype(case.dtype)
