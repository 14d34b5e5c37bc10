"""Learning rates that change: functions of the number of the step, from 0 on.

Each of these makes one, for the `learning_rate` of an optimiser.

Examples
--------
>>> import rnnext
>>> rate = rnnext.schedules.warmup(10, rnnext.schedules.cosine_decay(0.1, 100))
>>> [round(rate(step), 3) for step in (0, 9, 10, 60, 110)]
[0.01, 0.1, 0.1, 0.05, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from .._validation import finite, positive_integer

Schedule: TypeAlias = Callable[[int], float]


def constant(rate: float) -> Schedule:
    """Always `rate`."""
    return _Constant(finite("rate", rate))


def step_decay(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """`rate` times `factor` after every `every` steps."""
    return _StepDecay(
        finite("rate", rate), positive_integer("every", every), finite("factor", factor)
    )


def exponential_decay(rate: float, factor: float) -> Schedule:
    """`rate` times `factor` after every step."""
    return step_decay(rate, 1, factor)


def cosine_decay(rate: float, steps: int, final: float = 0.0) -> Schedule:
    """From `rate` to `final` in `steps` steps along half a cosine; `final` after them.

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """
    return _CosineDecay(
        finite("rate", rate), positive_integer("steps", steps), finite("final", final)
    )


def warmup(steps: int, then: Schedule | float) -> Schedule:
    """In `steps` equal steps to the start of `then`, and then that from its start."""
    after = then if callable(then) else constant(finite("then", then))
    return _Warmup(positive_integer("steps", steps), after)


# Objects and no closures: they show what they are, and go through pickle.


@dataclass(frozen=True)
class _Constant:
    rate: float

    def __call__(self, step: int) -> float:
        return self.rate


@dataclass(frozen=True)
class _StepDecay:
    rate: float
    every: int
    factor: float

    def __call__(self, step: int) -> float:
        try:
            return self.rate * self.factor ** (step // self.every)
        except OverflowError:  # where a float becomes infinite, Python's power raises
            return math.copysign(math.inf, self.rate)


@dataclass(frozen=True)
class _CosineDecay:
    rate: float
    steps: int
    final: float

    def __call__(self, step: int) -> float:
        part = min(step / self.steps, 1.0)
        fall = (self.rate - self.final) * 0.5 * (1 + math.cos(math.pi * part))
        return self.final + fall


@dataclass(frozen=True)
class _Warmup:
    steps: int
    then: Schedule

    def __call__(self, step: int) -> float:
        if step < self.steps:
            return self.then(0) * (step + 1) / self.steps
        return self.then(step - self.steps)
