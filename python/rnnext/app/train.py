"""``rnnext train``: a character-level language model from a text."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

import rnnext
from rnnext._launched import launched_ranks

from .arguments import natural, positive, positive_number, rate
from .checkpoint import default_path
from .data import base_name, read_text
from .errors import AppError
from .files import ENDINGS, check_writable, require_library
from .fit import CHECKPOINT_SECONDS, Fit, attempt
from .model import CELLS, DTYPES
from .trainer import TrainOptions

if TYPE_CHECKING:
    from rnnext.distributed import Workers

NAME = "train"
HELP = "train a character-level language model"
EXAMPLE = "rnnext train book.txt --cell gru --seconds 60"

BATCH_SIZE = 16
DROPOUT = 0.2
INTERRUPTED = 130
MISTAKE = 2


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
        metavar="X",
        help=f"time between two checkpoints (default: {CHECKPOINT_SECONDS})",
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
        if (ranks := launched_ranks()) > 1:
            raise AppError(
                f"argument --distributed: mpiexec started {ranks} ranks, and without "
                "this option each would train the same model into the same file"
            )
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
    out, text, checkpoint = "", "", None
    if workers is None or workers.rank == 0:
        out = _out(arguments)
        require_library(out)
        text = read_text(arguments.text)
        check_writable(out)
        checkpoint = _checkpoint(arguments, out)
    if workers is not None:  # one host needs to have the files
        out, text, checkpoint = workers.comm.bcast((out, text, checkpoint))
    threads = rnnext.get_num_threads()
    try:
        if arguments.threads is not None:
            attempt("--threads", lambda: rnnext.set_num_threads(arguments.threads))
        fit = Fit(arguments, _options(arguments), text, workers)
        return INTERRUPTED if fit(out, checkpoint) else 0
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
    if path is None and (option := _timing(arguments)):
        raise AppError(f"argument {option}: expected with --checkpoint FILE")
    if path is not None:
        check_writable(path)
        if os.path.realpath(path) == os.path.realpath(out):
            raise AppError("argument --checkpoint: expected another file than --out")
    return path


def _timing(arguments: argparse.Namespace) -> str:
    """The option that says when to write checkpoints, if one is given."""
    given = {
        "--checkpoint-seconds": arguments.checkpoint_seconds,
        "--checkpoint-steps": arguments.checkpoint_steps,
    }
    return next((option for option, value in given.items() if value is not None), "")
