"""Progress of commands that take more than two seconds."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[[str], None]]:
    """Lines to stdout, and on a terminal a bar on stderr below them.

    Parameters
    ----------
    total : int
        How many lines there will be.
    unit : str
        What a line is about.

    Yields
    ------
    callable
        Shows a line, and that one more is done.

    Examples
    --------
    >>> with progress(2, "case") as show:
    ...     show("first")
    ...     show("second")
    first
    second
    """
    if not sys.stderr.isatty() or importlib.util.find_spec("tqdm") is None:
        yield lambda line: print(line, flush=True)
        return
    from tqdm import tqdm

    # Left alone, tqdm draws nothing on a terminal that says it has no size.
    columns = shutil.get_terminal_size().columns
    with tqdm(total=total, unit=unit, ncols=columns, nrows=20, leave=False) as bar:

        def show(line: str) -> None:
            bar.write(line)
            sys.stdout.flush()
            bar.update()

        yield show
