"""``rnnext train``: a character-level language model from a text."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

import rnnext
from rnnext import Sequential

from .arguments import natural, positive, positive_number, rate
from .baselines import bigram_bits, unigram_bits
from .data import Streams, Vocabulary, base_name, fitting_batch, read_text, split
from .errors import AppError
from .files import ENDINGS, check_writable, require_library, save_model
from .interrupt import interruptible
from .model import CELLS, DTYPES, character_model
from .report import Report
from .sample import first_character, generate
from .trainer import Event, Trainer, TrainOptions

NAME = "train"
HELP = "train a character-level language model"
EXAMPLE = "rnnext train book.txt --cell gru --seconds 60"

BATCH_SIZE = 16
DROPOUT = 0.2
SAMPLE_LENGTH = 200
SAMPLE_TEMPERATURE = 0.7
INTERRUPTED = 130

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``rnnext train`` understands to `parser`."""
    options, default = TrainOptions(), " (default: %(default)s)"
    parser.add_argument(
        "text",
        nargs="?",
        metavar="TEXT_FILE",
        help="UTF-8 text to learn (default: the documentation that Python carries)",
    )
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="model file, .safetensors or .npz, or a folder for it (default: "
        "TEXT-CELL.safetensors in the current folder); the loss curve, a PNG file, is "
        "written beside it",
    )
    model = parser.add_argument_group("model")
    model.add_argument(
        "--cell", choices=tuple(CELLS), default="lstm", help="default: %(default)s"
    )
    model.add_argument(
        "--layers", type=positive, default=1, metavar="N", help="layers" + default
    )
    model.add_argument(
        "--hidden-size", type=positive, default=256, metavar="N", help="units" + default
    )
    model.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="default: %(default)s"
    )
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs",
        type=positive,
        metavar="N",
        help=f"passes over the text; with neither --epochs nor --seconds "
        f"{options.epochs} or {options.seconds:g} seconds, whatever comes first",
    )
    training.add_argument(
        "--seconds", type=positive_number, metavar="X", help="time to stop after"
    )
    training.add_argument(
        "--batch-size",
        type=positive,
        default=BATCH_SIZE,
        metavar="N",
        help="streams of text read side by side" + default,
    )
    training.add_argument(
        "--sequence-length",
        type=positive,
        default=options.sequence_length,
        metavar="T",
        help="steps of one back-propagation" + default,
    )
    training.add_argument(
        "--learning-rate",
        type=positive_number,
        default=options.learning_rate,
        metavar="X",
        help="of Adam, at the start; it falls to a twentieth" + default,
    )
    training.add_argument(
        "--clip",
        type=positive_number,
        default=options.clip,
        metavar="X",
        help="greatest norm of the gradient" + default,
    )
    training.add_argument(
        "--dropout",
        type=rate,
        default=DROPOUT,
        metavar="X",
        help="after every layer" + default,
    )
    training.add_argument(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="the same seed, options and --epochs give the same weights" + default,
    )
    training.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="worker threads; they do not change the result (default: all CPUs)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, show how it goes, write the model and the loss curve.

    The file holds the weights with the lowest validation loss so far. Ctrl-C ends the
    training as its last step would; a second one ends the program.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit code: 0, or 130 after Ctrl-C.

    Raises
    ------
    AppError
        For a wrong text, place or option.
    """
    out = _out(arguments)
    require_library(out)
    text = read_text(arguments.text)
    check_writable(out)
    threads = rnnext.get_num_threads()
    try:
        if arguments.threads is not None:
            _try("--threads", lambda: rnnext.set_num_threads(arguments.threads))
        return _train(arguments, text, out)
    finally:
        rnnext.set_num_threads(threads)


def _out(arguments: argparse.Namespace) -> str:
    name = f"{base_name(arguments.text)}-{arguments.cell}.safetensors"
    out: str = arguments.out or name
    if os.path.isdir(out):
        return os.path.join(out, name)
    if not out.endswith(ENDINGS):
        raise AppError(
            f"argument --out: expected a name that ends with {' or '.join(ENDINGS)}, "
            f"or a folder, got {out}"
        )
    return out


def _options(arguments: argparse.Namespace) -> TrainOptions:
    limits = {"epochs": arguments.epochs, "seconds": arguments.seconds}
    return TrainOptions(
        sequence_length=arguments.sequence_length,
        learning_rate=arguments.learning_rate,
        clip=arguments.clip,
        **({} if limits == {"epochs": None, "seconds": None} else limits),
    )


def _train(arguments: argparse.Namespace, text: str, out: str) -> int:
    options = _options(arguments)
    vocabulary = Vocabulary.of(text)
    learnt, held_out = split(vocabulary.encode(text))
    length, size = options.sequence_length, len(vocabulary)
    batch = fitting_batch(len(learnt), arguments.batch_size, length)
    train = Streams(learnt, batch)
    validation = Streams(held_out, fitting_batch(len(held_out), batch, length))
    weights, dice = np.random.SeedSequence(arguments.seed).spawn(2)
    model = _try(
        "--hidden-size",
        lambda: character_model(
            size,
            arguments.cell,
            arguments.hidden_size,
            arguments.layers,
            arguments.dtype,
            dropout=arguments.dropout,
            rng=weights,
        ),
    )
    baselines = {
        "bigram": bigram_bits(learnt, validation.inputs, validation.targets, size),
        "unigram": unigram_bits(learnt, validation.targets, size),
    }
    made = asdict(options) | {"batch_size": batch, "seed": arguments.seed}
    made |= {"dropout": arguments.dropout, "text": base_name(arguments.text)}
    keeper = _Keeper(out, model, vocabulary, made)
    trainer = Trainer(model, train, validation, options)
    with interruptible() as interrupted:
        print(
            f"{base_name(arguments.text)}: {len(text):,} characters, {size} different, "
            f"the last {len(held_out):,} for validation\n"
            f"{arguments.layers} x {arguments.hidden_size} {arguments.cell.upper()}, "
            f"{sum(p.size for p in model.parameters.values()):,} parameters, "
            f"{model.dtype}, threads: {rnnext.get_num_threads()}",
            flush=True,
        )
        report = Report()
        if batch != arguments.batch_size:
            report.note(f"batch size {batch}: the text is too short for more")
        try:
            _fit(trainer, keeper, report, np.random.default_rng(dice), interrupted)
        finally:
            report.close()
        stopped = interrupted()
    _conclude(report, keeper, baselines, vocabulary.decode(held_out[:1000]))
    return INTERRUPTED if stopped else 0


@dataclass
class _Keeper:
    """Keep the model file: the weights with the lowest validation loss so far."""

    path: str
    model: Sequential
    vocabulary: Vocabulary
    made: dict[str, Any]
    best: float | None = None
    written: bool = False

    def before_validation(self, event: Event) -> None:
        """See to it that there is a file: a second Ctrl-C may end the validation."""
        if not self.written:
            self._write(event)

    def after_validation(self, event: Event, bits: float) -> None:
        """Write the model if it is the best."""
        if self.best is None or bits < self.best:
            self.best = bits
            self._write(event)

    def _write(self, event: Event) -> None:
        reached = {"characters": event.characters, "validation_bits": self.best}
        save_model(self.path, self.model, self.vocabulary, self.made | reached)
        self.written = True


def _fit(
    trainer: Trainer,
    keeper: _Keeper,
    report: Report,
    rng: np.random.Generator,
    stopped: Callable[[], bool],
) -> None:
    for event in trainer.run(stopped):
        report.step(event)
        if event.due:
            keeper.before_validation(event)
            bits = trainer.validate()
            keeper.after_validation(event, bits)
            report.validation(event, bits, _sample(keeper, rng))


def _sample(keeper: _Keeper, rng: np.random.Generator) -> str:
    start = first_character(keeper.vocabulary)
    drawn = generate(keeper.model, start, SAMPLE_LENGTH, SAMPLE_TEMPERATURE, rng)
    return "".join(keeper.vocabulary.characters[i] for i in drawn)


def _try(option: str, action: Callable[[], T]) -> T:
    """Turn what the library says of a value into a message about the option."""
    try:
        return action()
    except (ValueError, OverflowError) as error:
        raise AppError(f"argument {option}: {error}") from error


def _conclude(
    report: Report, keeper: _Keeper, baselines: dict[str, float], unseen: str
) -> None:
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
    word = re.search(r"(?<=\s)\w+", unseen) or re.search(r"\w+", unseen)
    prompt = f" --prompt {shlex.quote(word.group())}" if word else ""
    print(
        f"sample from it:\n  rnnext sample {shlex.quote(out)}{prompt} --temperature 0.7"
    )
