"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[object]], left: int) -> str:
    """Columns as wide as what is in them, two spaces between them.

    Parameters
    ----------
    head : sequence of str
        What the columns are called.
    rows : sequence of sequences
        As long as `head`; integers are shown with commas, None as a dash.
    left : int
        So many columns are flush left, the others flush right.

    Returns
    -------
    str
        Lines without an end of line after the last.

    Examples
    --------
    >>> print(table(["layer", "parameters"], [["lstm", 1234], ["linear", 5]], left=1))
    layer   parameters
    lstm         1,234
    linear           5
    """
    lines = [list(head), *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _shown(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:,}" if isinstance(cell, int) else printable(str(cell))


def printable(text: str) -> str:
    r"""Text of a stranger's file on one line, without what moves a terminal's cursor.

    Examples
    --------
    >>> print(printable("two lines\nof text"))
    two lines\nof text
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def json_text(found: object) -> str:
    """JSON of dicts, lists, numbers and text; what is no finite number is null.

    Examples
    --------
    >>> print(json_text({"loss": float("nan"), "steps": [1, 2]}))
    {
     "loss": null,
     "steps": [
      1,
      2
     ]
    }
    """
    return json.dumps(_finite(found), indent=1, allow_nan=False)


def _finite(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _finite(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_finite(value) for value in found]
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return found
