"""``rnnext train``: a character-level language model from a text."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

import numpy as np

import rnnext

from .arguments import natural, positive, positive_number, rate
from .baselines import bigram_bits, unigram_bits
from .checkpoint import GO_ON, Checkpoint, Saver, default_path, opened
from .data import Streams, Vocabulary, base_name, fitting_batch, read_text, split
from .errors import AppError
from .files import ENDINGS, check_writable, require_library
from .interrupt import interruptible
from .keeper import Keeper
from .model import CELLS, DTYPES, character_model
from .report import Report
from .sample import first_character, generate
from .trainer import Event, Trainer, TrainOptions

if TYPE_CHECKING:
    from rnnext.distributed import Workers

NAME = "train"
HELP = "train a character-level language model"
EXAMPLE = "rnnext train book.txt --cell gru --seconds 60"

BATCH_SIZE = 16
DROPOUT = 0.2
SAMPLE_LENGTH = 200
SAMPLE_TEMPERATURE = 0.7
CHECKPOINT_SECONDS = 30.0
INTERRUPTED = 130
MISTAKE = 2

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
    going_on = parser.add_argument_group("interruptions and many machines")
    going_on.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="write everything that the training needs to go on to this .npz file, and "
        "at the end (default with --resume and --distributed: the model's name with "
        ".checkpoint.npz)",
    )
    going_on.add_argument(
        "--checkpoint-seconds",
        type=positive_number,
        default=CHECKPOINT_SECONDS,
        metavar="X",
        help="time between two checkpoints" + default,
    )
    going_on.add_argument(
        "--checkpoint-steps",
        type=positive,
        metavar="N",
        help="steps between two checkpoints, in place of time",
    )
    going_on.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint, if there is one, to the bits of a training "
        "that was never interrupted",
    )
    going_on.add_argument(
        "--distributed",
        action="store_true",
        help="train on all ranks that mpiexec starts: `mpiexec -n 2 rnnext train "
        "--distributed`; they share the streams of --batch-size",
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
    if not arguments.distributed:
        return _run(arguments, None)
    try:
        from rnnext.distributed import Workers
    except ImportError as error:
        raise AppError(f"argument --distributed: {error}") from error
    with Workers() as workers:
        try:
            return _run(arguments, workers)
        except AppError as error:
            if workers.size == 1:
                raise
            workers.abort(f"rnnext: error: {error}", MISTAKE)


def _run(arguments: argparse.Namespace, workers: Workers | None) -> int:
    out = _out(arguments)
    require_library(out)
    text = read_text(arguments.text)
    check_writable(out)
    threads = rnnext.get_num_threads()
    try:
        if arguments.threads is not None:
            _try("--threads", lambda: rnnext.set_num_threads(arguments.threads))
        return _train(arguments, text, out, workers)
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


def _checkpoint(arguments: argparse.Namespace, out: str) -> str | None:
    path: str | None = arguments.checkpoint
    if path is None and (arguments.resume or arguments.distributed):
        path = default_path(out)
    if path is not None:
        check_writable(path)
        if os.path.realpath(path) == os.path.realpath(out):
            raise AppError("argument --checkpoint: expected another file than --out")
    return path


def _train(
    arguments: argparse.Namespace, text: str, out: str, workers: Workers | None
) -> int:
    options = _options(arguments)
    path = _checkpoint(arguments, out)
    vocabulary = Vocabulary.of(text)
    learnt, held_out = split(vocabulary.encode(text))
    length, size = options.sequence_length, len(vocabulary)
    batch = fitting_batch(len(learnt), arguments.batch_size, length)
    train = Streams(learnt, batch)
    validation = Streams(held_out, fitting_batch(len(held_out), batch, length))
    rank, ranks = (0, 1) if workers is None else (workers.rank, workers.size)
    if ranks > batch:
        raise AppError(
            f"argument --batch-size: {batch} streams of this text do not go round "
            f"{ranks} ranks"
        )
    weights, dropout = np.random.SeedSequence(arguments.seed).spawn(2)
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
    trainer = Trainer(
        model,
        train if workers is None else train.shard(workers),
        validation if workers is None else validation.shard(workers),
        options,
        np.random.default_rng(dropout.spawn(ranks)[rank]),
        workers,
    )
    made = asdict(options) | {"batch_size": batch, "seed": arguments.seed}
    made |= {"dropout": arguments.dropout}
    decides = {"text": sha256(text.encode()).hexdigest()} | made | {"ranks": ranks}
    decides |= {
        name: getattr(arguments, name)
        for name in ("cell", "layers", "hidden_size", "dtype")
    }
    saver_of = partial(
        Saver,
        path,
        decides,
        steps=arguments.checkpoint_steps,
        seconds=arguments.checkpoint_seconds,
        workers=workers,
    )
    found = None
    if path is not None and not rank:
        found = opened(path, decides, arguments.resume)
    if workers is not None:
        found = workers.comm.bcast(found)
        workers.broadcast(model)
    if rank:
        saver = saver_of({"trainer": trainer}, tell=lambda _: None)
        if found is not None:
            saver.restore(found)
        with interruptible() as interrupted:
            _follow(trainer, saver, interrupted)
            return INTERRUPTED if interrupted() else 0
    baselines = {
        "bigram": bigram_bits(learnt, validation.inputs, validation.targets, size),
        "unigram": unigram_bits(learnt, validation.targets, size),
    }
    made |= {"text": base_name(arguments.text)}
    keeper = Keeper(out, model, vocabulary, made)
    with interruptible() as interrupted:
        print(
            f"{base_name(arguments.text)}: {len(text):,} characters, {size} different, "
            f"the last {len(held_out):,} for validation\n"
            f"{arguments.layers} x {arguments.hidden_size} {arguments.cell.upper()}, "
            f"{sum(p.size for p in model.parameters.values()):,} parameters, "
            f"{model.dtype}, threads: {rnnext.get_num_threads()}"
            + (f" on each of {ranks} ranks" if ranks > 1 else ""),
            flush=True,
        )
        report = Report()
        if batch != arguments.batch_size:
            report.note(f"batch size {batch}: the text is too short for more")
        parts = {"trainer": trainer, "keeper": keeper, "report": report}
        saver = saver_of(parts, tell=report.note)
        if found is not None:
            saver.restore(found)
        if arguments.resume:
            report.note(_from_where(found, path, ranks))
        try:
            _lead(trainer, keeper, report, saver, arguments.seed, interrupted)
        finally:
            report.close()
        stopped = interrupted()
    _conclude(report, keeper, baselines, vocabulary.decode(held_out[:1000]))
    if stopped and path is not None:
        print(f"go on:\n  {GO_ON}")
    return INTERRUPTED if stopped else 0


def _from_where(found: Checkpoint | None, path: str | None, ranks: int) -> str:
    if found is None:
        return f"no checkpoint {path} yet: from the beginning"
    words = f"going on from step {found.step} of {path}"
    if found.run["ranks"] != ranks:
        words += f", made by {found.run['ranks']} ranks: dropout draws anew"
    return words


def _lead(
    trainer: Trainer,
    keeper: Keeper,
    report: Report,
    saver: Saver,
    seed: int,
    stopped: Callable[[], bool],
) -> None:
    def validate(event: Event) -> None:
        keeper.before_validation(event.characters)
        bits = trainer.validate()
        keeper.after_validation(event.characters, bits)
        report.validation(event, bits, _sample(keeper, [seed, event.step]))

    for event in trainer.run(stopped):
        report.step(event)
        if event.due:
            validate(event)
        saver.after(event)
        # What only an interruption brings about is not for the checkpoint.
        if event.last and not event.due:
            validate(event)


def _follow(trainer: Trainer, saver: Saver, stopped: Callable[[], bool]) -> None:
    """What `_lead` does, as far as it takes every rank."""
    for event in trainer.run(stopped):
        if event.due:
            trainer.validate()
        saver.after(event)
        if event.last and not event.due:
            trainer.validate()


def _sample(keeper: Keeper, seed: list[int]) -> str:
    rng = np.random.default_rng(seed)
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
    report: Report, keeper: Keeper, baselines: dict[str, float], unseen: str
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
