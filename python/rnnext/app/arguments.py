"""Values of options: text to number, or a message that argparse shows."""

from __future__ import annotations

import argparse
import math


def _integer(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(
            f"expected an integer of {least} or more, got {text!r}"
        )
    return value


def positive(text: str) -> int:
    """An integer of 1 or more."""
    return _integer(text, 1)


def natural(text: str) -> int:
    """An integer of 0 or more."""
    return _integer(text, 0)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def positive_number(text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def not_negative(text: str) -> float:
    """A finite number of 0 or more."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text!r}")
    return value


def rate(text: str) -> float:
    """A number in [0, 1)."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(
            f"expected a number from 0 to less than 1, got {text!r}"
        )
    return value
