"""What goes into a model and comes out of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx

from .._validation import plain_array
from ._arrangement import numpy_dtype
from ._node import Tensor


class Value(NamedTuple):
    """An input or output of a model.

    Attributes
    ----------
    name : str
    dtype : dtype or None
        None where the model does not say.
    shape : tuple of int, str or None, or None
        A string where a size has only a name, None where it has none; None for all
        where the model does not say.

    Examples
    --------
    >>> import io, rnnext.onnx
    >>> rnnext.onnx.save(rnnext.RNN(3, 4, rng=0), file := io.BytesIO())
    >>> rnnext.onnx.load(file.getvalue()).inputs[0]
    Value(name='x', dtype=dtype('float32'), shape=('T', 'N', 3))
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None


def value_of(kind: str, info: onnx.ValueInfoProto) -> Value:
    """ValueError for what NumPy has no array for."""
    which = info.type.WhichOneof("value")
    if which not in ("tensor_type", None):
        raise ValueError(f"{kind} {info.name}: expected a tensor, got {which}")
    tensor = info.type.tensor_type
    if not tensor.elem_type:
        return Value(info.name, None, None)
    try:
        dtype = numpy_dtype(tensor.elem_type)
    except ValueError as error:
        raise ValueError(f"{kind} {info.name}: {error}") from error
    if not tensor.HasField("shape"):
        return Value(info.name, dtype, None)
    shape = tuple(
        int(size.dim_value) if size.HasField("dim_value") else size.dim_param or None
        for size in tensor.shape.dim
    )
    return Value(info.name, dtype, shape)


def fitting(value: Value, given: object) -> Tensor:
    """The array if it is of the dtype and shape that the model says."""
    array = plain_array(value.name, given)
    if value.dtype is not None and array.dtype != value.dtype:
        raise TypeError(f"{value.name}: expected {value.dtype}, got {array.dtype}")
    if value.shape is not None and not (
        array.ndim == len(value.shape)
        and all(
            not isinstance(size, int) or size == n
            for size, n in zip(value.shape, array.shape, strict=True)
        )
    ):
        sizes = ", ".join("?" if size is None else str(size) for size in value.shape)
        raise ValueError(f"{value.name}: expected shape ({sizes}), got {array.shape}")
    return array
