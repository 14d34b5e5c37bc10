"""How far training is."""

from __future__ import annotations

import sys
from operator import length_hint
from typing import Any

from .._validation import boolean


class _NoBar:
    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_postfix(self, *_: object, **__: object) -> None:
        pass

    def update(self) -> None:
        pass


def bar_of(progress: bool | None, batches: Any, epochs: int) -> Any:
    """A bar of tqdm over all steps, or what does nothing.

    progress=None: where tqdm is installed and a person is looking.
    """
    wanted = sys.stderr.isatty() if progress is None else boolean("progress", progress)
    if not wanted:
        return _NoBar()
    try:
        from tqdm import tqdm
    except ImportError:
        if progress is None:
            return _NoBar()
        raise ImportError(
            'progress: tqdm is missing; pip install "rnnext[app]" has it'
        ) from None
    steps = epochs * length_hint(batches)
    return tqdm(total=steps or None, unit="step")
