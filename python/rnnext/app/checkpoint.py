"""Checkpoints: everything that a training needs to go on as if it had never stopped."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnext._npz import reading_npz

from .errors import AppError
from .files import write_atomically

if TYPE_CHECKING:
    from rnnext.distributed import Workers

    from .trainer import Event

KEY = "rnnext.checkpoint"
VERSION = 1
GO_ON = "the same command with --resume"

_DTYPES = tuple(map(np.dtype, ("float32", "float64", "int32", "int64", "uint8")))

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a training.

    Attributes
    ----------
    run : dict
        What decides the numbers of the training, by the names of its options.
    parts : dict of str to dict
        The state of everything that has one; anything that JSON can hold.
    arrays : dict of str to ndarray
        Of all parts, by dotted names that begin with the part's.
    """

    run: dict[str, Any]
    parts: dict[str, dict[str, Any]]
    arrays: Arrays

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.parts["trainer"]["progress"] >= 1)

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.parts["trainer"]["step"])

    def part(self, name: str) -> tuple[dict[str, Any], Arrays]:
        """The state of one part and its arrays, by their names in it."""
        arrays = {
            key.removeprefix(f"{name}."): array
            for key, array in self.arrays.items()
            if key.startswith(f"{name}.")
        }
        return self.parts[name], arrays

    def write(self, path: str) -> None:
        """Write a file that holds this or, whatever happens meanwhile, what it held.

        Raises
        ------
        AppError
            When it cannot be written; the file is as it was.
        """
        about = {"version": VERSION, "run": self.run, "parts": self.parts}
        text = json.dumps(about, allow_nan=False).encode()
        members: dict[str, Any] = {KEY: np.frombuffer(text, np.uint8)}
        members |= {k: np.asarray(v, order="C") for k, v in self.arrays.items()}
        content = io.BytesIO()
        np.savez(content, **members)
        write_atomically(path, content.getvalue())

    @classmethod
    def read(cls, path: str) -> Checkpoint | None:
        """Read a file of `write`; None where there is no file.

        Raises
        ------
        AppError
            When it is something else.
        """
        try:
            with open(path, "rb"):
                pass
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AppError(f"cannot read {path}: {error.strerror or error}") from error
        try:
            with reading_npz(path, KEY, _DTYPES) as (text, headers, read):
                run, parts = _described(text)
                return cls(run, parts, {name: read(name) for name in headers})
        except (ValueError, RecursionError) as error:
            raise AppError(f"{path} is not a checkpoint: {error}") from error

    def check(self, path: str, run: Mapping[str, Any]) -> None:
        """Raise AppError where the training that wants to go on is another one.

        The number of ranks may differ: then only dropout draws other numbers.
        """
        for name, before in self.run.items():
            if name != "ranks" and run.get(name) != before:
                raise AppError(_difference(path, name, before, run.get(name)))


def _described(text: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The run and the parts; ValueError for what is none."""
    about = json.loads(text)
    version = about.get("version") if isinstance(about, dict) else None
    if version != VERSION:
        raise ValueError(f"version {version!r}, expected {VERSION}")
    run, parts = about.get("run"), about.get("parts")
    if not isinstance(run, dict) or not isinstance(parts, dict):
        raise ValueError("run or parts are missing")
    if not all(isinstance(part, dict) for part in parts.values()):
        raise ValueError("a part is no state")
    trainer = parts.get("trainer", {})
    for name in ("step", "progress", "seconds"):
        if not isinstance(trainer.get(name), (int, float)):
            raise ValueError(f"the trainer's {name} is missing")
    return run, parts


def _difference(path: str, name: str, before: Any, now: Any) -> str:
    if name == "text":
        return f"{path} is of a training on another text"
    option = f"--{name.replace('_', '-')}"
    words = ["without" if value is None else f"with {value}" for value in (before, now)]
    return f"argument {option}: {path} was made {words[0]}, this training is {words[1]}"


def opened(path: str, run: Mapping[str, Any], resume: bool) -> Checkpoint | None:
    """The checkpoint to go on from, if there is to be one.

    Parameters
    ----------
    path : str
    run : mapping
        What decides the numbers of the training that begins.
    resume : bool
        Whether it shall go on from the file; without one it begins at the beginning.

    Raises
    ------
    AppError
        When the file is of another training, or would be lost.
    """
    found = Checkpoint.read(path)
    if found is None:
        return None
    if resume:
        found.check(path, run)
        return found
    if not found.finished:
        raise AppError(
            f"{path} holds an unfinished training (step {found.step}): --resume goes "
            "on with it; remove it, or name another --checkpoint, to begin anew"
        )
    return None


class Saver:
    """Writes checkpoints: every so many steps or seconds, and at the end.

    Parameters
    ----------
    path : str or None
        None writes none.
    run : dict
        What decides the numbers of the training.
    parts : mapping of str to object
        With ``state_dict() -> (state, arrays)``; the trainer is one. On ranks other
        than the first it is all, and nothing is written.
    steps : int or None
    seconds : float
        Between two; counts where steps is None.
    tell : callable
        Given what is to be said when one cannot be written; the training goes on.
    workers : Workers, optional
        Learn what to say should the job end before its time.
    """

    def __init__(
        self,
        path: str | None,
        run: dict[str, Any],
        parts: Mapping[str, Any],
        *,
        steps: int | None,
        seconds: float,
        tell: Callable[[str], None],
        workers: Workers | None = None,
    ) -> None:
        self._path = path
        self._run = run
        self._parts = parts
        self._steps = steps
        self._seconds = seconds
        self._tell = tell
        self._workers = workers
        self._last = 0.0

    def restore(self, found: Checkpoint | None) -> None:
        """Lead all parts to where the checkpoint was, if there is one."""
        if found is None:
            return
        try:
            for name, part in self._parts.items():
                part.load_state_dict(*found.part(name))
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise AppError(
                f"{self._path} is not a checkpoint of this training: {error!r}"
            ) from error
        self._last = found.parts["trainer"]["seconds"]
        self._reached(found.step)

    def after(self, event: Event) -> None:
        """Write one if it is time."""
        if self._path is None or not self._due(event):
            return
        self._last = event.seconds
        states = {name: part.state_dict() for name, part in self._parts.items()}
        if self._workers is not None and self._workers.rank:
            self._reached(event.step)
            return
        found = Checkpoint(
            self._run,
            {name: state for name, (state, _) in states.items()},
            {
                f"{name}.{key}": array
                for name, (_, arrays) in states.items()
                for key, array in arrays.items()
            },
        )
        try:
            found.write(self._path)
            self._reached(event.step)
        except AppError as error:
            self._tell(f"no checkpoint of step {event.step}: {error}")

    def _reached(self, step: int) -> None:
        if self._workers is not None:
            at = f"rnnext: the checkpoint {self._path} is of step {step}"
            self._workers.last_words = f"{at}: {GO_ON} goes on from there"

    def _due(self, event: Event) -> bool:
        if event.last:
            return True
        if self._steps is not None:
            return event.step % self._steps == 0
        return event.seconds - self._last >= self._seconds


def default_path(model: str) -> str:
    """Where the checkpoint of a training goes that writes the model to `model`."""
    return f"{os.path.splitext(model)[0]}.checkpoint.npz"
