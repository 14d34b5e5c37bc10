"""Files of safetensors, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import numpy as np

from rnnext._validation import Array

from .errors import AppError

# Of the format's codes.
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8",
    "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2",
    "U8": "u1", "BOOL": "?",
}  # fmt: skip


def tensors_of(path: str) -> tuple[dict[str, Array], list[str]]:
    """The tensors of a safetensors file, with notes for people.

    Parameters
    ----------
    path : str

    Returns
    -------
    tensors : dict of str to ndarray
        In the order of their names; halves as float32, which holds them exactly.
    notes : list of str
        Which halves there were.

    Raises
    ------
    AppError
        If safetensors is missing.
    ValueError
        If it is no such file, or has numbers that NumPy has not.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file, library() as safetensors:
        entries = safetensors.deserialize(file.read())
    tensors: dict[str, Any] = {}
    halves: set[str] = set()
    for name, entry in sorted(entries, key=itemgetter(0)):  # it has no order
        code, data = entry["dtype"], entry["data"]
        if code not in _DTYPES:
            raise ValueError(f"{name}: expected {', '.join(_DTYPES)}, got {code}")
        array = np.frombuffer(data, _DTYPES[code])
        if code == "BF16":  # the upper half of a float32
            array = (array.astype("<u4") << 16).view("<f4")
        if code in ("F16", "BF16"):
            halves.add(code)
            array = array.astype(np.float32)
        tensors[name] = array.reshape(entry["shape"])
    notes = [f"{', '.join(sorted(halves))} read as float32"] if halves else []
    return tensors, notes


def metadata_of(path: str) -> dict[str, str]:
    """What a file says of itself."""
    with (
        library() as safetensors,
        safetensors.safe_open(path, framework="numpy") as file,
    ):
        return dict(file.metadata() or {})


@contextmanager
def library() -> Iterator[Any]:
    """The module safetensors; its own error as a ValueError."""
    try:
        import safetensors
    except ImportError:
        raise AppError('safetensors is missing: pip install "rnnext[files]"') from None
    try:
        yield safetensors
    except safetensors.SafetensorError as error:
        raise ValueError(f"not a safetensors file: {error}") from error
