"""Lines, a bar and files: what the programs here share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def progress(items: Sequence[T]) -> Iterable[T]:
    """The items, with a bar on stderr where tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    bar: Iterable[T] = tqdm(items, unit="case", disable=None)
    return bar


def say(line: str) -> None:
    """Print a line without breaking the bar."""
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(line)
        sys.stdout.flush()
    else:
        print(line, flush=True)


def write(path: Path, text: str) -> None:
    """Replace a file at once: a run that is cut off leaves the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    other = path.with_name(path.name + ".part")
    other.write_text(text)
    other.replace(path)
