"""What the examples share: options, errors in the data, figures, the report.

An example is a function from `Options` to `Result`; `command` makes it a program::

    if __name__ == "__main__":
        sys.exit(common.command(run, __doc__, data="CSV of label,sequence"))

Its exit codes: 0; 1 the margin over the baseline is not reached; 2 a wrong option or
wrong data.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rnnext

Array = NDArray[Any]


class DataError(Exception):
    """Something is wrong with a person's own data: the message says what and where."""


@dataclass(frozen=True)
class Options:
    """What every example understands."""

    quick: bool  # a small run of a few seconds
    seed: int
    out: Path  # an existing folder
    data: Path | None  # the person's own data
    threads: int | None


@dataclass(frozen=True)
class Result:
    """A metric on held-out data, and what it is compared with."""

    metric: str
    value: float
    baseline: str
    baseline_value: float
    margin: float  # by which the value is better at least
    lower_is_better: bool = False
    others: dict[str, float] = field(default_factory=dict)  # more rows of the table

    @property
    def gain(self) -> float:
        """By how much the value is better than the baseline's."""
        difference = self.value - self.baseline_value
        return -difference if self.lower_is_better else difference


def command(
    run: Callable[[Options], Result],
    description: str | None,
    *,
    data: str,
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the options, run the example, print its table, return the exit code.

    Parameters
    ----------
    run : callable
        The example.
    description : str
        Its docstring, for ``--help``.
    data : str
        The format of ``--data``, for ``--help``.
    argv : sequence of str, optional
        The arguments, by default the program's.
    """
    parser = _parser(description, data)
    options = parser.parse_args(argv)
    if options.threads is not None:
        try:
            rnnext.set_num_threads(options.threads)
        except ValueError as error:
            parser.error(f"argument --threads: {error}")
    start = time.perf_counter()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        result = run(Options(**vars(options)))
    except (DataError, ImportError, OSError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        return 2
    return report(result, options.data is not None, time.perf_counter() - start)


def report(result: Result, own_data: bool, seconds: float) -> int:
    """Print the table; 1 if the margin is not reached, which own data cannot miss."""
    rows = {"rnnext": result.value, result.baseline: result.baseline_value}
    rows |= result.others
    width = max(map(len, rows)) + 2
    print(f"\n{'':{width}}{result.metric}")
    for name, value in rows.items():
        print(f"{name:{width}}{value:.3f}")
    promised = "none is promised for your data" if own_data else f"{result.margin:g}"
    print(f"\nbetter by {result.gain:.3f}; margin: {promised} ({seconds:.0f} s)")
    if own_data or result.gain >= result.margin:
        return 0
    print("the margin is not reached", file=sys.stderr)
    return 1


def _parser(description: str | None, data: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a run of a few seconds")
    parser.add_argument(
        "--seed", type=_natural, default=0, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="where the figure goes (default: the current folder)",
    )
    parser.add_argument("--data", type=Path, metavar="PATH", help=f"your own: {data}")
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="default: all CPUs"
    )
    return parser


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer from 0, got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"expected an integer from 1, got {text!r}")
    return int(text)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 text that are not empty, with their numbers."""
    if not path.is_file():
        raise DataError(f"{path}: expected a file, there is none")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text in UTF-8: {error}") from None
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: expected lines of text, the file is empty")
    yield from lines


def axes(columns: int = 1) -> tuple[Any, list[Any]]:
    """A figure with `columns` axes beside each other, drawn without a screen."""
    try:
        import matplotlib
    except ImportError:
        raise ImportError(
            'matplotlib is missing; pip install "rnnext[examples]" has it'
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(
        1, columns, figsize=(8, 3), squeeze=False, layout="constrained"
    )
    for ax in grid[0]:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, list(grid[0])


def save(figure: Any, options: Options, name: str) -> Path:
    """Write ``NAME.png`` into the folder of `options`: the same bytes every time."""
    from matplotlib import pyplot

    path = options.out / f"{name}.png"
    figure.savefig(path, dpi=90, metadata={"Software": None})
    pyplot.close(figure)
    print(f"figure: {path}")
    return path


def padded(sequences: Sequence[Array], fill: float = 0) -> tuple[Array, Array]:
    """Sequences (T_n, ...) as one array (T, N, ...), and their lengths (N,)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    first = np.asarray(sequences[0])
    shape = (lengths.max(), len(sequences), *first.shape[1:])
    x = np.full(shape, fill, first.dtype)
    for n, sequence in enumerate(sequences):
        x[: len(sequence), n] = sequence
    return x, lengths


def shuffled_batches(
    sequences: Sequence[Array], labels: Array, size: int, rng: np.random.Generator
) -> Callable[[], Iterator[tuple[Array, Array, Array]]]:
    """For `rnnext.train`: every epoch all sequences once, in a new order."""

    def epoch() -> Iterator[tuple[Array, Array, Array]]:
        order = rng.permutation(len(sequences))
        for chosen in np.split(order, range(size, len(order), size)):
            x, lengths = padded([sequences[i] for i in chosen])
            yield x, labels[chosen], lengths

    return epoch


def classify(model: rnnext.Sequential, sequences: Sequence[Array]) -> Array:
    """The class of every sequence, (N,)."""
    found = []
    for first in range(0, len(sequences), 256):
        x, lengths = padded(sequences[first : first + 256])
        found.append(model(x, lengths=lengths)[0].argmax(axis=-1))
    return np.concatenate(found)


def logistic_regression(features: Array, labels: Array, classes: int) -> Any:
    """The usual baseline for counts: a linear layer alone, its features standardised.

    Returns
    -------
    callable
        From features (N, F) to classes (N,).
    """
    mean, std = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = ((features - mean) / std).astype(np.float32)
    linear = rnnext.Sequential(rnnext.Linear(x.shape[1], classes, rng=0))
    optimizer = rnnext.AdamW(0.02, weight_decay=0.1)
    rnnext.train(
        linear, [(x, labels)], rnnext.softmax_cross_entropy, optimizer, epochs=200
    )

    def predict(features: Array) -> Array:
        rows = ((features - mean) / std).astype(np.float32)
        classes: Array = linear(rows)[0].argmax(axis=-1)
        return classes

    return predict


def split(n: int, rng: np.random.Generator, held_out: float = 0.25) -> Any:
    """The numbers of what is for training, and of what is held out."""
    order = rng.permutation(n)
    cut = max(1, round(n * held_out))
    return np.sort(order[cut:]), np.sort(order[:cut])
