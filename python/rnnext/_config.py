"""Threads, and what this installation is."""

import os
from typing import Any

from . import _core
from ._validation import integer

_MOST_THREADS = 1024


def set_num_threads(n: int) -> None:
    """Set how many threads later calls may use.

    Results do not depend on it. Small work stays on one thread; more threads than CPUs
    is legal, and slow. The default is the number of CPUs that this process may use, or
    what the environment variable RNNEXT_NUM_THREADS says at import.

    Parameters
    ----------
    n : int
        1 to 1024.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> import rnnext
    >>> before = rnnext.get_num_threads()
    >>> rnnext.set_num_threads(1)
    >>> rnnext.get_num_threads()
    1
    >>> rnnext.set_num_threads(before)
    """
    number = integer("n", n)
    if not 1 <= number <= _MOST_THREADS:
        raise ValueError(f"n: expected 1 to {_MOST_THREADS}, got {number}")
    _core.set_num_threads(number)


def get_num_threads() -> int:
    """How many threads calls may use.

    Returns
    -------
    int

    Examples
    --------
    >>> import rnnext
    >>> rnnext.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def config() -> dict[str, Any]:
    """What this installation is and uses.

    Returns
    -------
    dict
        ``version``, ``isa`` (the instruction set in use), ``available_isas`` (that this
        CPU can run, best first), ``compiled_isas``, ``compiler``, ``threads``,
        ``debug_build``.

    Examples
    --------
    >>> import rnnext
    >>> rnnext.config()["isa"] in rnnext.config()["available_isas"]
    True
    """
    return {
        "version": _core.__version__,
        "isa": _core.isa(),
        "available_isas": _core.available_isas(),
        "compiled_isas": _core.compiled_isas(),
        "compiler": _core.compiler(),
        "threads": _core.get_num_threads(),
        "debug_build": _core.debug_build(),
    }


def show_config() -> None:
    """Print `config`, one entry a line."""
    for name, value in config().items():
        text = ", ".join(value) if isinstance(value, list) else value
        print(f"{name + ':':<16}{text}")


def _threads_from_environment() -> None:
    text = os.environ.get("RNNEXT_NUM_THREADS", "").strip()
    if not text:
        return
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_THREADS:
        raise ImportError(
            f"RNNEXT_NUM_THREADS: expected 1 to {_MOST_THREADS}, got {text!r}"
        )
    _core.set_num_threads(int(text))


_threads_from_environment()
