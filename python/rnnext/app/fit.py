"""A training of ``rnnext train``: from a text to the model file and the loss curve."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import rnnext
from rnnext import Sequential

from .baselines import bigram_bits, unigram_bits
from .checkpoint import GO_ON, Checkpoint, Saver, opened
from .data import Streams, Vocabulary, base_name, fitting_batch, split
from .errors import AppError
from .interrupt import interruptible
from .keeper import Keeper
from .model import character_model
from .report import Report
from .sample import first_character, generate
from .trainer import Event, Trainer, TrainOptions

if TYPE_CHECKING:
    from rnnext.distributed import Workers

CHECKPOINT_SECONDS = 30.0
SAMPLE_LENGTH = 200
SAMPLE_TEMPERATURE = 0.7

T = TypeVar("T")


class Fit:
    """A text, a model and the rank that brings them together.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of ``rnnext train``.
    options : TrainOptions
    text : str
    workers : Workers or None

    Raises
    ------
    AppError
        For options that do not fit the text or the memory.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        options: TrainOptions,
        text: str,
        workers: Workers | None,
    ) -> None:
        self.arguments = arguments
        self.workers = workers
        self.characters = len(text)
        self.rank, self.ranks = 0, 1
        if workers is not None:
            self.rank, self.ranks = workers.rank, workers.size
        self.vocabulary = Vocabulary.of(text)
        self.learnt, self.held_out = split(self.vocabulary.encode(text))
        length = options.sequence_length
        self.batch = fitting_batch(len(self.learnt), arguments.batch_size, length)
        if self.ranks > self.batch:
            raise AppError(
                f"argument --batch-size: {self.batch} streams of this text do not go "
                f"round {self.ranks} ranks"
            )
        train = Streams(self.learnt, self.batch)
        self.validation = Streams(
            self.held_out, fitting_batch(len(self.held_out), self.batch, length)
        )
        weights, dropout = np.random.SeedSequence(arguments.seed).spawn(2)
        self.trainer = Trainer(
            self._model(weights),
            train if workers is None else train.shard(workers),
            self.validation if workers is None else self.validation.shard(workers),
            options,
            dropout.spawn(self.ranks)[self.rank],
            workers,
        )
        self.made = asdict(options) | {"batch_size": self.batch}
        self.made |= {"seed": arguments.seed, "dropout": arguments.dropout}
        self.run: dict[str, Any] = {"text": sha256(text.encode()).hexdigest()}
        self.run |= self.made | {"ranks": self.ranks}
        for name in ("cell", "layers", "hidden_size", "dtype"):
            self.run[name] = getattr(arguments, name)

    def _model(self, weights: np.random.SeedSequence) -> Sequential:
        given = self.arguments
        return attempt(
            "--hidden-size",
            lambda: character_model(
                len(self.vocabulary),
                given.cell,
                given.hidden_size,
                given.layers,
                given.dtype,
                dropout=given.dropout,
                rng=weights,
            ),
        )

    def __call__(self, out: str, checkpoint: str | None) -> bool:
        """Train, on rank 0 with everything that a person sees of it.

        Parameters
        ----------
        out : str
            The model file.
        checkpoint : str or None
            The checkpoint, if there shall be one.

        Returns
        -------
        bool
            Whether Ctrl-C ended it.
        """
        found = None
        if checkpoint is not None and not self.rank:
            found = opened(checkpoint, self.run, self.arguments.resume)
        if self.workers is not None:
            found = self.workers.comm.bcast(found)
            self.workers.broadcast(self.trainer.model)
        with interruptible() as interrupted:
            if self.rank:
                self._follow(checkpoint, found, interrupted)
            else:
                self._lead(out, checkpoint, found, interrupted)
            return interrupted()

    def _saver(
        self, path: str | None, parts: dict[str, Any], tell: Callable[[str], None]
    ) -> Saver:
        return Saver(
            path,
            self.run,
            parts,
            steps=self.arguments.checkpoint_steps,
            seconds=self.arguments.checkpoint_seconds or CHECKPOINT_SECONDS,
            tell=tell,
            workers=self.workers,
        )

    def _follow(
        self,
        checkpoint: str | None,
        found: Checkpoint | None,
        stopped: Callable[[], bool],
    ) -> None:
        """What `_lead` does, as far as it takes every rank."""
        saver = self._saver(checkpoint, {"trainer": self.trainer}, lambda _: None)
        saver.restore(found)
        for event in self.trainer.run(stopped):
            if event.due:
                self.trainer.validate()
            saver.after(event)
            if event.last and not event.due:
                self.trainer.validate()

    def _lead(
        self,
        out: str,
        checkpoint: str | None,
        found: Checkpoint | None,
        stopped: Callable[[], bool],
    ) -> None:
        trainer, text = self.trainer, base_name(self.arguments.text)
        keeper = Keeper(out, trainer.model, self.vocabulary, self.made | {"text": text})
        self._introduce()
        report = Report()
        if self.batch != self.arguments.batch_size:
            report.note(f"batch size {self.batch}: the text is too short for more")
        parts = {"trainer": trainer, "keeper": keeper, "report": report}
        saver = self._saver(checkpoint, parts, report.note)
        saver.restore(found)
        if self.arguments.resume:
            report.note(_from_where(found, checkpoint, self.ranks))

        def validate(event: Event) -> None:
            keeper.before_validation(event.characters)
            bits = trainer.validate()
            keeper.after_validation(event.characters, bits)
            report.validation(event, bits, self._sample(event))

        try:
            for event in trainer.run(stopped):
                report.step(event)
                if event.due:
                    validate(event)
                saver.after(event)
                # What only an interruption brings about is not for the checkpoint.
                if event.last and not event.due:
                    validate(event)
        finally:
            report.close()
        self._conclude(report, keeper)
        if stopped() and checkpoint is not None:
            print(f"checkpoint: {checkpoint}\n  {GO_ON} goes on from there")

    def _introduce(self) -> None:
        given, model = self.arguments, self.trainer.model
        everywhere = f" on each of {self.ranks} ranks" if self.ranks > 1 else ""
        print(
            f"{base_name(given.text)}: {self.characters:,} characters, "
            f"{len(self.vocabulary)} different, "
            f"the last {len(self.held_out):,} for validation\n"
            f"{given.layers} x {given.hidden_size} {given.cell.upper()}, "
            f"{sum(p.size for p in model.parameters.values()):,} parameters, "
            f"{model.dtype}, threads: {rnnext.get_num_threads()}{everywhere}",
            flush=True,
        )

    def _sample(self, event: Event) -> str:
        rng = np.random.default_rng([self.arguments.seed, event.step])
        start = first_character(self.vocabulary)
        model = self.trainer.model
        drawn = generate(model, start, SAMPLE_LENGTH, SAMPLE_TEMPERATURE, rng)
        return "".join(self.vocabulary.characters[i] for i in drawn)

    def _conclude(self, report: Report, keeper: Keeper) -> None:
        size, streams = len(self.vocabulary), self.validation
        baselines = {
            "bigram": bigram_bits(self.learnt, streams.inputs, streams.targets, size),
            "unigram": unigram_bits(self.learnt, streams.targets, size),
        }
        best, out = keeper.best or 0.0, keeper.path
        print("validation, bits per character:")
        print(f"  this model {best:8.3f}")
        for name, bits in baselines.items():
            ratio = f"   this model's is {best / bits:.1%} of it" if bits else ""
            print(f"  {name:10} {bits:8.3f}{ratio}")
        print(f"model: {out}")
        curve = os.path.splitext(out)[0]
        try:
            if report.curve.save(f"{curve}.png", baselines):
                print(f"loss curve: {curve}.png")
        except AppError as error:
            report.note(str(error))
        unseen = self.vocabulary.decode(self.held_out[:1000])
        word = re.search(r"(?<=\s)\w+", unseen) or re.search(r"\w+", unseen)
        prompt = f" --prompt {shlex.quote(word.group())}" if word else ""
        command = f"rnnext sample {shlex.quote(out)}{prompt} --temperature 0.7"
        print(f"sample from it:\n  {command}")


def _from_where(found: Checkpoint | None, path: str | None, ranks: int) -> str:
    if found is None:
        return f"no checkpoint {path} yet: from the beginning"
    words = f"going on from step {found.step} of {path}"
    if found.run["ranks"] != ranks:
        words += f", made by {found.run['ranks']} ranks: dropout draws anew"
    return words


def attempt(option: str, action: Callable[[], T]) -> T:
    """Turn what the library says of a value into a message about the option."""
    try:
        return action()
    except (ValueError, OverflowError) as error:
        raise AppError(f"argument {option}: {error}") from error
