"""``rnnext sample``: text from a trained model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np

from rnnext import Sequential
from rnnext._validation import Array

from .arguments import natural, not_negative
from .data import Ids, Vocabulary
from .errors import AppError
from .files import load_model

NAME = "sample"
HELP = "write text with a trained model"
EXAMPLE = "rnnext sample book-gru.safetensors --prompt The --temperature 0.7"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``rnnext sample`` understands to `parser`."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="file that `rnnext train` wrote")
    add("--prompt", default="", metavar="TEXT", help="text to go on from")
    add(
        "--temperature",
        type=not_negative,
        default=0.7,
        metavar="X",
        help="0 always takes the likeliest character, 1 draws as the model has learnt, "
        "more is wilder (default: %(default)s)",
    )
    add(
        "--length",
        type=natural,
        default=500,
        metavar="N",
        help="characters to write (default: %(default)s)",
    )
    add(
        "--seed",
        type=natural,
        metavar="N",
        help="write the same text again; without it every text is another",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the prompt and what follows it to stdout.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit code, 0.

    Raises
    ------
    AppError
        When the file is not a model or the prompt has characters it does not know.
    """
    model, vocabulary, _ = load_model(arguments.model)
    prompt = vocabulary.encode(arguments.prompt)
    rng = np.random.default_rng(arguments.seed)
    sys.stdout.write(arguments.prompt)
    start = prompt if prompt.size else first_character(vocabulary)
    for i in generate(model, start, arguments.length, arguments.temperature, rng):
        sys.stdout.write(vocabulary.characters[i])
        sys.stdout.flush()
    sys.stdout.write("\n")
    return 0


def first_character(vocabulary: Vocabulary) -> Ids:
    """What a text without a prompt goes on from: the end of a line, if known."""
    return vocabulary.encode(
        "\n" if "\n" in vocabulary.characters else vocabulary.characters[0]
    )


def generate(
    model: Sequential,
    prompt: Ids,
    length: int,
    temperature: float,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Draw characters one after the other, each from the prediction after all before.

    Parameters
    ----------
    model : Sequential
    prompt : ndarray of int, shape (n,)
        At least one character to start from.
    length : int
        How many to draw.
    temperature : float
        See `draw`.
    rng : numpy.random.Generator

    Yields
    ------
    int
        A character's id.
    """
    stream = model.stream()
    for i in range(len(prompt) - 1):
        stream.step(prompt[i : i + 1])
    last = prompt[-1:].copy()
    for _ in range(length):
        last[0] = draw(stream.step(last)[0], temperature, rng)
        yield int(last[0])


def draw(logits: Array, temperature: float, rng: np.random.Generator) -> int:
    """Draw from softmax(`logits` / `temperature`).

    Parameters
    ----------
    logits : ndarray, shape (V,)
    temperature : float
        0 takes the greatest.
    rng : numpy.random.Generator

    Returns
    -------
    int
        0 to V - 1.

    Raises
    ------
    AppError
        When a logit is not a finite number.
    """
    if not np.isfinite(logits).all():
        raise AppError("the model's predictions are not finite numbers")
    if temperature == 0:
        return int(logits.argmax())
    # From the greatest down: a tiny temperature rightly sends the others to -inf.
    with np.errstate(over="ignore", under="ignore"):
        p = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
    sums = p.cumsum()
    return int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
