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
from typing import TypeAlias

from .._validation import finite, positive_integer

Schedule: TypeAlias = Callable[[int], float]


def constant(rate: float) -> Schedule:
    """Always `rate`."""
    value = finite("rate", rate)
    return lambda step: value


def step_decay(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """`rate` times `factor` after every `every` steps."""
    start, period = finite("rate", rate), positive_integer("every", every)
    by = finite("factor", factor)
    return lambda step: start * by ** (step // period)


def exponential_decay(rate: float, factor: float) -> Schedule:
    """`rate` times `factor` after every step."""
    return step_decay(rate, 1, factor)


def cosine_decay(rate: float, steps: int, final: float = 0.0) -> Schedule:
    """From `rate` to `final` in `steps` steps along half a cosine; `final` after them.

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """
    start, end = finite("rate", rate), finite("final", final)
    length = positive_integer("steps", steps)

    def at(step: int) -> float:
        part = min(step / length, 1.0)
        return end + (start - end) * 0.5 * (1 + math.cos(math.pi * part))

    return at


def warmup(steps: int, then: Schedule | float) -> Schedule:
    """In `steps` equal steps to the start of `then`, and then that from its start."""
    length = positive_integer("steps", steps)
    after = then if callable(then) else constant(then)

    def at(step: int) -> float:
        if step < length:
            return after(0) * (step + 1) / length
        return after(step - length)

    return at
