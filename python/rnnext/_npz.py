"""Files of `numpy.savez`, read as if a stranger had made them.

NumPy's own reader takes the memory that a file asks for; this one takes that of the
numbers that are in it.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_JSON = 1 << 24  # bytes
# What zipfile raises at a damaged file.
_NO_ZIP = (
    zipfile.BadZipFile,
    EOFError,
    IndexError,
    OSError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@contextmanager
def reading_npz(
    path: str | os.PathLike[str], key: str, dtypes: Sequence[np.dtype[Any]]
) -> Iterator[tuple[str, dict[str, Any], Callable[[str], NDArray[Any]]]]:
    """Open what `numpy.savez` wrote, a text among its arrays.

    Parameters
    ----------
    path : str or path
    key : str
        The name of the text, UTF-8 as an array of bytes.
    dtypes : sequence of dtype
        Those that arrays may have.

    Yields
    ------
    text : str
    headers : dict of str to (shape, dtype)
        Of all other arrays.
    read : callable
        The array of a name.

    Raises
    ------
    ValueError
        If it is damaged, or not such a file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = {}
            for info in file.infolist():
                name = info.filename.removesuffix(".npy")
                stored = info.compress_type == zipfile.ZIP_STORED
                if name in members or not stored or info.flag_bits & 1:
                    raise ValueError(
                        f"its member {info.filename} is not as save makes it"
                    )
                members[name] = info
            headers = {
                name: _header(file, info, dtypes) for name, info in members.items()
            }
            if key not in headers or members[key].file_size > _MOST_JSON:
                raise ValueError("it has no configuration")
            text = bytes(_member(file, members[key], *headers.pop(key))).decode()
            yield (
                text,
                headers,
                lambda name: _member(file, members[name], *headers[name]),
            )
    except _NO_ZIP as error:
        raise ValueError(f"{error}, so it is damaged or no npz file") from None


def _header(
    file: zipfile.ZipFile, info: zipfile.ZipInfo, dtypes: Sequence[np.dtype[Any]]
) -> Any:
    """Shape and dtype of a member, whose bytes must be as many as they need."""
    with file.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{info.filename} is of another format")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member)
        size = math.prod(shape) * dtype.itemsize
        if by_columns and len(shape) > 1:
            raise ValueError(f"{info.filename} is not in the order of rows")
        if dtype not in dtypes or member.tell() + size != info.file_size:
            raise ValueError(f"{info.filename} is of {dtype}, shape {shape}")
    return shape, dtype


def _member(
    file: zipfile.ZipFile, info: zipfile.ZipInfo, shape: Any, dtype: Any
) -> NDArray[Any]:
    content = file.read(info)  # checks its sum
    size = math.prod(shape) * dtype.itemsize
    array: NDArray[Any] = np.frombuffer(content[len(content) - size :], dtype).reshape(
        shape
    )
    return array
