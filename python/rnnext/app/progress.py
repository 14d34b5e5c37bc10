"""Progress of commands that take more than two seconds."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[[str | None], None]]:
    """Lines to stdout, and on a terminal a bar on stderr below them.

    Parameters
    ----------
    total : int
        How many times something is done.
    unit : str
        What is done.

    Yields
    ------
    callable
        Shows a line, or with None nothing, and that one more is done.

    Examples
    --------
    >>> with progress(2, "case") as show:
    ...     show("first")
    ...     show("second")
    first
    second
    """
    if not sys.stderr.isatty() or importlib.util.find_spec("tqdm") is None:
        yield lambda line: None if line is None else print(line, flush=True)
        return
    from tqdm import tqdm

    # Left alone, tqdm draws nothing on a terminal that says it has no size.
    columns = shutil.get_terminal_size().columns
    with tqdm(total=total, unit=unit, ncols=columns, nrows=20, leave=False) as bar:

        def show(line: str | None) -> None:
            if line is not None:
                bar.write(line)
                sys.stdout.flush()
            bar.update()

        yield show
