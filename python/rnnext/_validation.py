"""Shapes and dtypes at the edge: messages a person can act on.

Every message names the argument, what was expected (letters and numbers) and what
came. The extension checks again, for memory safety.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def describe(letters: Sequence[str], shape: Sequence[int]) -> str:
    """The expected shape in letters and numbers: ``(2, N=4, H=16)``.

    A size whose letter is empty stands alone.
    """
    words = [
        f"{letter}={n}" if letter else str(n)
        for letter, n in zip(letters, shape, strict=True)
    ]
    return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


def float_array(name: str, value: object, dtype: np.dtype[Any]) -> Array:
    """`value` itself if it is an array of exactly this dtype."""
    if type(value) is np.ndarray and value.dtype == dtype:
        return value
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}: expected an array of dtype {dtype}, got {type(value).__name__};"
            f" write np.asarray({name}, dtype=np.{dtype})"
        )
    if value.dtype != dtype:
        raise TypeError(
            f"{name}: expected dtype {dtype}, got {value.dtype};"
            f" write {name}.astype(np.{dtype})"
        )
    no_mask(name, value)
    return np.asarray(value)


def no_mask(name: str, value: object) -> None:
    """TypeError for an array of which numbers are masked: none is left out here."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected a plain array, got one with a mask")


def plain_array(name: str, value: object) -> NDArray[Any]:
    """`value` as an array of whatever dtype, of NumPy's own class."""
    no_mask(name, value)
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected an array, got {error}") from None


def any_float_array(name: str, value: object) -> Array:
    """`value` itself if it is an array of float32 or float64."""
    found = getattr(value, "dtype", type(value).__name__)
    if not isinstance(value, np.ndarray) or value.dtype not in _FLOATS:
        raise TypeError(f"{name}: expected an array of float32 or float64, got {found}")
    return float_array(name, value, value.dtype)


def integer_array(name: str, value: object) -> NDArray[Any]:
    """`value` itself if it is an array of integers."""
    found = getattr(value, "dtype", type(value).__name__)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected an array of integers, got {found}")
    no_mask(name, value)
    return np.asarray(value)


def as_tokens(name: str, ids: NDArray[Any]) -> Array:
    """Integers as the core takes token ids. (Typed as what they stand for.)"""
    no_mask(name, ids)
    if ids.dtype.kind == "u" and ids.size and int(ids.max()) > np.iinfo(np.intp).max:
        raise ValueError(f"{name}: expected token ids, got {ids.max()}")
    tokens: Array = np.require(ids, np.intp, ("C", "A", "E"))
    return tokens


def real_array(name: str, value: object) -> NDArray[Any]:
    """`value` as an array of real numbers of whatever dtype."""
    no_mask(name, value)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: expected an array of real numbers, got {kind(value)}"
            f"{_foreign(name, value)}"
        ) from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    return array


def _foreign(name: str, value: object) -> str:
    """What to do with a tensor of a dtype that NumPy has not, as bfloat16."""
    dtype = getattr(value, "dtype", None)
    return "" if dtype is None else f" of {dtype}; write {name}.float() in PyTorch"


def kind(value: object) -> str:
    """What a value is, for a message: its type, and its length if it is a tuple."""
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def state_parts(
    name: str, state: object, labels: tuple[str, str], has_c: bool
) -> tuple[object, object]:
    """The parts of a state: h and c, or h alone."""
    if has_c:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            expected = f"a tuple ({labels[0]}, {labels[1]})"
            raise TypeError(f"{name}: expected {expected}, got {kind(state)}")
        return state[0], state[1]
    if isinstance(state, (tuple, list)):
        raise TypeError(f"{name}: expected an array {labels[0]}, got {kind(state)}")
    return state, None


def of_shape(
    name: str,
    value: object,
    dtype: np.dtype[Any],
    letters: Sequence[str],
    shape: tuple[int, ...],
) -> Array:
    """`value` itself if it is an array of exactly this dtype and shape."""
    array = float_array(name, value, dtype)
    if array.shape != shape:
        expected = describe(letters, shape)
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}")
    return array


def integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    return int(value)


def positive_integer(name: str, value: object) -> int:
    number, most = integer(name, value), 2**48
    if number < 1:
        raise ValueError(f"{name}: expected 1 or more, got {number}")
    if number > most:
        raise ValueError(f"{name}: expected at most {most}, got {number}")
    return number


def boolean(name: str, value: object) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {type(value).__name__}")
    return bool(value)


def choice(name: str, value: object, choices: Sequence[str | None]) -> Any:
    """`value` if it is one of the strings, or None where that is one, too."""
    if not isinstance(value, str) and not (value is None and None in choices):
        expected = "a string or None" if None in choices else "a string"
        raise TypeError(f"{name}: expected {expected}, got {type(value).__name__}")
    if value not in choices:
        *words, last = map(repr, choices)
        raise ValueError(
            f"{name}: expected {', '.join(words)} or {last}, got {value!r}"
        )
    return value


def number(name: str, value: object) -> float:
    kinds = (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}: expected a number, got one beyond floats") from None


def finite(name: str, value: object) -> float:
    given = number(name, value)
    if not np.isfinite(given):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return given


def not_negative(name: str, value: object) -> float:
    given = finite(name, value)
    if given < 0:
        raise ValueError(f"{name}: expected 0 or more, got {value}")
    return given


def positive(name: str, value: object) -> float:
    """Infinity is one, too."""
    given = number(name, value)
    if not given > 0:
        raise ValueError(f"{name}: expected a number above 0, got {value}")
    return given


def probability(name: str, value: object) -> float:
    given = number(name, value)
    if not 0 <= given <= 1:
        raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")
    return given


def file_path(name: str, value: object) -> str:
    """The name of a file; numbers, which open takes for open files, are none."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name}: expected a str or path, got {type(value).__name__}")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError(f"{name}: expected a str or path, got {type(path).__name__}")
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError(f"{name}: no file can be called {path!r}") from None
    if b"\0" in encoded:
        raise ValueError(f"{name}: no file can be called {path!r}")
    return path


def float_dtype(value: DTypeLike) -> np.dtype[Any]:
    if value is None:
        raise TypeError("dtype: expected float32 or float64, got None")
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError):
        raise TypeError(f"dtype: expected float32 or float64, got {value!r}") from None
    if dtype not in _FLOATS:
        raise TypeError(f"dtype: expected float32 or float64, got {dtype}")
    return dtype


def generator(name: str, value: object) -> np.random.Generator:
    """`value` normalised by `np.random.default_rng` (SPEC 7)."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return np.random.default_rng(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name}: expected None, an integer, a Generator or what"
            f" np.random.default_rng takes, got {value!r}"
        ) from None
