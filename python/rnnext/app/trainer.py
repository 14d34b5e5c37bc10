"""Truncated back-propagation through time with carried state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnext import Adam, Sequential, clip_grad_norm, schedules, softmax_cross_entropy

from .checkpoint import Arrays
from .data import Ids, Streams
from .errors import AppError

if TYPE_CHECKING:
    from rnnext.distributed import Workers

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
    seconds, speed : float
        Since the start, and characters per second of training so far.
    due : bool
        Now is the time to validate.
    last : bool
        The last step, of the training or before an interruption.
    """

    progress: float
    step: int
    epoch: float
    characters: int
    loss: float
    seconds: float
    speed: float
    due: bool
    last: bool


class Trainer:
    """A model, a text and how to bring them together.

    Parameters
    ----------
    model : Sequential
    train, validation : Streams
        With several ranks, this one's part of them.
    options : TrainOptions
        With epochs or seconds or both.
    rng : None, int, numpy.random.SeedSequence, ...
        Draws the dropout.
    workers : Workers, optional
        Several ranks that train the model together.
    """

    def __init__(
        self,
        model: Sequential,
        train: Streams,
        validation: Streams,
        options: TrainOptions,
        rng: Any = None,
        workers: Workers | None = None,
    ) -> None:
        self.model = model
        self.train = train
        self.validation = validation
        self.options = options
        self.workers = workers
        self._rng = np.random.default_rng(rng)
        self._adam = Adam()
        start = options.learning_rate
        self._rate = schedules.cosine_decay(start, PARTS, final=start / 20)
        self._pieces = train.count(options.sequence_length)
        self._step = self._characters = 0
        self._progress = self._seconds = self._busy = 0.0
        self._state: Any = None

    def run(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Train, from where `load_state_dict` led; the caller acts between two events.

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
        start = time.perf_counter() - self._seconds
        while self._progress < 1:
            done = self._step % self._pieces
            if not done:
                self._state = None
            chunks = self.train.chunks(self.options.sequence_length)
            for inputs, targets in islice(chunks, done, None):
                began = time.perf_counter()
                loss = self._learn(inputs, targets)
                now = time.perf_counter()
                self._busy += now - began
                loss, size, self._seconds, stop = self._agree(
                    loss, targets.size, now - start, stopped()
                )
                self._step += 1
                self._characters += size
                before, self._progress = self._progress, self._done()
                last = self._progress >= 1 or stop
                yield Event(
                    progress=self._progress,
                    step=self._step,
                    epoch=self._step / self._pieces,
                    characters=self._characters,
                    loss=loss,
                    seconds=self._seconds,
                    speed=self._characters / max(self._busy, 1e-9),
                    due=int(self._progress * VALIDATIONS) > int(before * VALIDATIONS),
                    last=last,
                )
                if last:
                    return

    def _agree(
        self, loss: float, size: int, seconds: float, stop: bool
    ) -> tuple[float, int, float, bool]:
        """Loss and size of the whole batch; the clock and the wish of rank 0."""
        if self.workers is None:
            return loss, size, seconds, stop
        leads = self.workers.rank == 0
        own = [size, size * loss, seconds * leads, stop * leads]
        total, losses, seconds, stopped = self.workers.sum(own).tolist()
        return losses / total, int(total), seconds, bool(stopped)

    def _done(self) -> float:
        parts = [0.0]
        if self.options.epochs is not None:
            parts.append(self._step / (self.options.epochs * self._pieces))
        if self.options.seconds is not None:
            parts.append(self._seconds / self.options.seconds)
        return min(max(parts), 1.0)

    # Whether the numbers are still finite is checked, so NumPy need not warn.
    @np.errstate(over="ignore", invalid="ignore")
    def _learn(self, inputs: Ids, targets: Ids) -> float:
        logits, self._state, cache = self.model.forward(
            inputs, self._state, rng=self._rng
        )
        loss, dlogits = softmax_cross_entropy(logits, targets)
        gradients = self.model.backward(cache, dlogits, need_x=False)
        if self.workers is not None:
            self.workers.average(gradients, targets.size)
        norm = clip_grad_norm(gradients, self.options.clip)
        if not math.isfinite(loss + norm):
            raise Diverged("the loss is not a finite number: lower --learning-rate")
        self._adam.learning_rate = self._rate(round(self._progress * PARTS))
        self._adam.step(self.model, gradients)
        return loss

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
        size = self.validation.targets.size
        if self.workers is not None:
            total, size = self.workers.sum([total, size]).tolist()
        if not math.isfinite(total):
            raise Diverged("the loss is not a finite number: lower --learning-rate")
        return total / size / math.log(2)

    # ---------------------------------------------------------------- checkpoints

    def state_dict(self) -> tuple[dict[str, Any], Arrays]:
        """What a checkpoint needs of this, of all ranks on rank 0."""
        mine = self._rng.bit_generator.state, _flat(self._state)
        everyone = [mine]
        if self.workers is not None:
            everyone = self.workers.comm.gather(mine) or []
        carried = zip(*(arrays for _, arrays in everyone), strict=True)
        arrays = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        arrays |= {f"adam.{k}": v for k, v in self._adam.state_dict().items()}
        arrays |= {f"state.{i}": np.concatenate(c, 1) for i, c in enumerate(carried)}
        state = {
            "step": self._step,
            "characters": self._characters,
            "progress": self._progress,
            "seconds": self._seconds,
            "busy": self._busy,
            "generators": [generator for generator, _ in everyone],
        }
        return state, arrays

    def load_state_dict(self, state: dict[str, Any], arrays: Arrays) -> None:
        """Go on from what `state_dict` gave, with as many ranks or another number.

        Another number cannot go on with the same dropout: this one's generator stays.
        """
        parts: dict[str, Arrays] = {"model": {}, "adam": {}, "state": {}}
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = array
        self.model.load_state_dict(parts["model"])
        self._adam.load_state_dict(parts["adam"])
        rank, ranks = 0, 1
        carried = list(parts["state"].values())
        if self.workers is not None:
            rank, ranks = self.workers.rank, self.workers.size
            carried = [self.workers.shard(array).copy() for array in carried]
        self._state = _nested(carried, self.model)
        if len(state["generators"]) == ranks:
            self._rng.bit_generator.state = state["generators"][rank]
        self._step, self._characters = state["step"], state["characters"]
        self._progress, self._seconds = state["progress"], state["seconds"]
        self._busy = state["busy"]


def _flat(state: Any) -> list[Any]:
    """The arrays of the recurrent layer's state, all (L, N, H)."""
    rnn = state[0]
    return list(rnn) if isinstance(rnn, tuple) else [rnn]


def _nested(arrays: list[Any], model: Sequential) -> Any:
    rnn = tuple(arrays) if len(arrays) > 1 else arrays[0]
    return (rnn, *[None] * (len(model.layers) - 1))
