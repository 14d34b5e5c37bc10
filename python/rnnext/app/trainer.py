"""Truncated back-propagation through time with carried state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnext import Adam, Sequential, clip_grad_norm, schedules, softmax_cross_entropy

from .data import Ids, Streams
from .errors import AppError

VALIDATIONS = 10
PARTS = 10**6  # of a training, as far as its learning rate goes


class Diverged(AppError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Attributes
    ----------
    sequence_length : int
        T, steps of one back-propagation.
    learning_rate : float
        Of Adam, at the start; it falls to a twentieth along half a cosine.
    clip : float
        Greatest global norm of the gradient.
    epochs : int or None
        Passes over the text; None is any number.
    seconds : float or None
        Time to stop after, whatever comes first; None is any time. Without it a run
        depends on nothing but its options and its text.
    """

    sequence_length: int = 64
    learning_rate: float = 6e-3
    clip: float = 1.0
    epochs: int | None = 20
    seconds: float | None = 110.0


@dataclass(frozen=True)
class Event:
    """What a step of training tells.

    Attributes
    ----------
    progress : float
        Done part of the training, 0 to 1.
    step, epoch, characters : int, float, int
        How much has been read.
    loss : float
        Of this step, in nats per character.
    speed : float
        Characters per second of training so far.
    due : bool
        Now is the time to validate.
    last : bool
        The last step.
    """

    progress: float
    step: int
    epoch: float
    characters: int
    loss: float
    speed: float
    due: bool
    last: bool


class Trainer:
    """A model, a text and how to bring them together.

    Parameters
    ----------
    model : Sequential
    train, validation : Streams
    options : TrainOptions
        With epochs or seconds or both.
    """

    def __init__(
        self,
        model: Sequential,
        train: Streams,
        validation: Streams,
        options: TrainOptions,
    ) -> None:
        self.model = model
        self.train = train
        self.validation = validation
        self.options = options
        self._adam = Adam()
        start = options.learning_rate
        self._rate = schedules.cosine_decay(start, PARTS, final=start / 20)
        self._pieces = train.count(options.sequence_length)

    def run(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Train; what happens between two events is up to the caller.

        Parameters
        ----------
        stopped : callable
            Asked after every step; true makes it the last.

        Yields
        ------
        Event
            One per step.

        Raises
        ------
        Diverged
        """
        start = time.perf_counter()
        step = characters = 0
        progress = busy = 0.0
        while True:
            state = None
            for inputs, targets in self.train.chunks(self.options.sequence_length):
                began = time.perf_counter()
                loss, state = self._step(inputs, targets, state, progress)
                now = time.perf_counter()
                step += 1
                characters += inputs.size
                busy += now - began
                before, progress = progress, self._progress(step, now - start)
                last = progress >= 1 or stopped()
                yield Event(
                    progress=progress,
                    step=step,
                    epoch=step / self._pieces,
                    characters=characters,
                    loss=loss,
                    speed=characters / max(busy, 1e-9),
                    due=last or int(progress * VALIDATIONS) > int(before * VALIDATIONS),
                    last=last,
                )
                if last:
                    return

    def _progress(self, step: int, seconds: float) -> float:
        parts = [0.0]
        if self.options.epochs is not None:
            parts.append(step / (self.options.epochs * self._pieces))
        if self.options.seconds is not None:
            parts.append(seconds / self.options.seconds)
        return min(max(parts), 1.0)

    # Whether the numbers are still finite is checked, so NumPy need not warn.
    @np.errstate(over="ignore", invalid="ignore")
    def _step(
        self, inputs: Ids, targets: Ids, state: Any, progress: float
    ) -> tuple[float, Any]:
        logits, state, cache = self.model.forward(inputs, state)
        loss, dlogits = softmax_cross_entropy(logits, targets)
        gradients = self.model.backward(cache, dlogits, need_x=False)
        norm = clip_grad_norm(gradients, self.options.clip)
        if not math.isfinite(loss + norm):
            raise Diverged("the loss is not a finite number: lower --learning-rate")
        self._adam.learning_rate = self._rate(round(progress * PARTS))
        self._adam.step(self.model, gradients)
        return loss, state

    @np.errstate(over="ignore", invalid="ignore")
    def validate(self) -> float:
        """Loss on the validation text, in bits per character.

        Returns
        -------
        float

        Raises
        ------
        Diverged
        """
        total, state = 0.0, None
        for inputs, targets in self.validation.chunks(self.options.sequence_length):
            logits, state = self.model(inputs, state)
            total += softmax_cross_entropy(logits, targets)[0] * targets.size
        if not math.isfinite(total):
            raise Diverged("the loss is not a finite number: lower --learning-rate")
        return total / self.validation.targets.size / math.log(2)
