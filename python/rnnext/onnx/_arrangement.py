"""Operators that only move numbers, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from ._arithmetic import axes_of
from ._node import Computation, Node, Operator, Tensor, simple

_NAMES = """
    BOOL INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 FLOAT16 FLOAT DOUBLE
"""
# NumPy knows FLOAT by this name, too, but as float64.
_DTYPES: Mapping[int, np.dtype[Any]] = {
    onnx.TensorProto.DataType.Value(name): np.dtype(
        "float32" if name == "FLOAT" else name.lower()
    )
    for name in _NAMES.split()
}


def numpy_dtype(code: int) -> np.dtype[Any]:
    """Of the element type of a tensor; ValueError where NumPy has none."""
    if code not in _DTYPES:
        name = onnx.TensorProto.DataType.Name(code)
        raise ValueError(f"expected numbers or booleans, got element type {name}")
    return _DTYPES[code]


def array_of(tensor: onnx.TensorProto) -> Tensor:
    """A tensor of the file; it cannot be written to."""
    numpy_dtype(tensor.data_type)
    array = np.array(numpy_helper.to_array(tensor))
    array.flags.writeable = False
    return array


_NUMBERS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _constant(node: Node, constants: Mapping[str, Tensor]) -> Computation:
    if len(node.attributes) != 1:
        raise node.fault(f"expected one attribute, got {list(node.attributes)}")
    ((name, value),) = node.attributes.items()
    if name == "value":
        try:
            array = array_of(value)
        except ValueError as error:
            raise node.fault(f"attribute value: {error}") from error
    elif name in _NUMBERS:
        array = np.array(value, _NUMBERS[name])
    else:
        raise node.fault(f"attribute {name}: expected numbers")
    return lambda: array


def _constant_of_shape(node: Node, constants: Mapping[str, Tensor]) -> Computation:
    value = node.attributes.get("value")
    one = np.zeros(1, np.float32) if value is None else array_of(value)
    return lambda shape: np.full(tuple(shape), one.item(), one.dtype)


def _cast(node: Node, constants: Mapping[str, Tensor]) -> Computation:
    try:
        dtype = numpy_dtype(node.attributes["to"])
    except ValueError as error:
        raise node.fault(f"attribute to: {error}") from None
    return lambda x: x.astype(dtype)


def _reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    sizes = [int(size) for size in shape]
    if not node.attributes.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.attributes["axis"]
    axis = axis + x.ndim if axis < 0 else axis
    rows, columns = x.shape[:axis], x.shape[axis:]
    return x.reshape(int(np.prod(rows)), int(np.prod(columns)))


def _transpose(node: Node, x: Tensor) -> Tensor:
    return np.transpose(x, node.attributes.get("perm"))


def _squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return np.squeeze(x, axes_of(node, axes))


def _unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return np.expand_dims(x, axes_of(node, axes) or ())


def _concat(node: Node, *parts: Tensor) -> Tensor:
    return np.concatenate(parts, node.attributes["axis"])


def _slice(node: Node, x: Tensor, *given: Tensor | None) -> Tensor:
    """What to take is in attributes before opset 10."""
    found: list[Any] = [*given, *(None,) * (4 - len(given))]
    if node.version < 10:
        found = [node.attributes.get(name) for name in ("starts", "ends", "axes")]
        found.append(None)
    starts, ends = found[:2]
    axes = range(len(starts)) if found[2] is None else found[2]
    steps = [1] * len(starts) if found[3] is None else found[3]
    taken = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        taken[int(axis)] = _bounded(int(start), int(end), int(step), x.shape[int(axis)])
    return x[tuple(taken)]


def _bounded(start: int, end: int, step: int, size: int) -> slice:
    """ONNX says with -1 after wrapping, and Python with None, that a slice going down
    takes the first."""
    if step == 0:
        raise ValueError("steps: expected no zero")
    start, end = (n + size if n < 0 else n for n in (start, end))
    if step > 0:
        return slice(min(max(start, 0), size), min(max(end, 0), size), step)
    start, end = min(max(start, -1), size - 1), min(max(end, -1), size - 1)
    if start < 0:
        return slice(0, 0)
    return slice(start, end if end >= 0 else None, step)


def _split(node: Node, x: Tensor, given: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = node.attributes["axis"]
    sizes = node.attributes.get("split") if given is None else given
    if sizes is None:
        parts, size = len(node.outputs), x.shape[axis]
        if size % parts and node.version < 18:
            raise ValueError(f"expected axis {axis} in {parts} equal parts, got {size}")
        ends = [min(-(-size // parts) * (i + 1), size) for i in range(parts)]
    else:
        ends = list(np.cumsum(sizes))
        if len(ends) != len(node.outputs) or ends[-1] != x.shape[axis]:
            raise ValueError(
                f"split: expected {len(node.outputs)} sizes with the sum "
                f"{x.shape[axis]}, got {list(map(int, sizes))}"
            )
    return tuple(np.split(x, ends[:-1], axis))


def _gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.attributes["axis"]
    size = x.shape[axis]
    wrong = indices[(indices < -size) | (indices >= size)]
    if wrong.size:
        raise ValueError(f"indices: expected {-size} to {size - 1}, got {wrong[0]}")
    return np.take(x, indices, axis)


def _shape(node: Node, x: Tensor) -> Tensor:
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    return np.array(x.shape[start:end], np.int64)


def _expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(map(int, shape))))


OPERATORS: Mapping[str, Operator] = {
    "Cast": Operator(_cast, 28),
    "Concat": simple(_concat, 13),
    "Constant": Operator(_constant, 25),
    "ConstantOfShape": Operator(_constant_of_shape, 25),
    "Expand": simple(_expand, 13),
    "Flatten": simple(_flatten, 25),
    "Gather": simple(_gather, 13),
    "Identity": simple(lambda node, x: x, 25),
    "Reshape": simple(_reshape, 25),
    "Shape": simple(_shape, 25),
    "Slice": simple(_slice, 13),
    "Split": simple(_split, 18),
    "Squeeze": simple(_squeeze, 25),
    "Tile": simple(lambda node, x, repeats: np.tile(x, tuple(repeats)), 13),
    "Transpose": simple(_transpose, 25),
    "Unsqueeze": simple(_unsqueeze, 25),
}
