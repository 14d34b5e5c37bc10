"""What goes in: real numbers of one floating dtype, with shapes that fit.

Every message names the argument, what was expected and what came.
"""

from collections.abc import Iterable
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)


def is_real(value: object) -> TypeGuard[Array]:
    """Whether `real` gives the very value back."""
    return (
        type(value) is np.ndarray
        and value.dtype in (_FLOAT64, _FLOAT32)
        and value.flags.aligned
    )


def real(name: str, value: ArrayLike | None) -> Array:
    """The value as an array of float32 or float64; the array itself if it is one.

    Integers, bools and lists become float64, float16 becomes float32.
    TypeError for what is not a real number, ValueError for ragged lists.
    """
    if type(value) is np.ndarray:
        array: NDArray[Any] = value
    elif value is None or isinstance(value, str | bytes | dict | np.ma.MaskedArray):
        raise _type_error(name, type(value).__name__)
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{name}: expected an array, got {error}") from None
    dtype = array.dtype
    if dtype in (_FLOAT64, _FLOAT32):
        return array if array.flags.aligned else array.copy()
    if dtype.kind in "biu":
        return array.astype(_FLOAT64)
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return array.astype(_FLOAT64 if dtype.itemsize == 8 else _FLOAT32)
    raise _type_error(name, f"dtype {dtype}")


def common_dtype(arrays: Iterable[Array]) -> np.dtype[Any]:
    """float32 if every array is, else float64."""
    for array in arrays:
        if array.dtype != _FLOAT32:
            return _FLOAT64
    return _FLOAT32


def shape_error(
    name: str, array: Array, sizes: Iterable[tuple[str, int | None]]
) -> ValueError:
    """A ValueError for an array that has not these sizes (None: any)."""
    expected = ", ".join(
        letter if size is None else str(size) if not letter else f"{letter}={size}"
        for letter, size in sizes
    )
    return ValueError(f"{name}: expected shape ({expected}), got {array.shape}")


def _type_error(name: str, got: str) -> TypeError:
    return TypeError(
        f"{name}: expected an array of real numbers (float64 or float32; integers, "
        f"bools and lists become float64), got {got}"
    )
