"""Operators that compute: elementwise functions, products, sums over axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from ._node import Node, Operator, Tensor, simple


def axes_of(node: Node, given: Tensor | None) -> tuple[int, ...] | None:
    """An attribute in old opsets, an input in new ones; None: left out."""
    axes = node.attributes.get("axes") if given is None else given
    return None if axes is None else tuple(int(axis) for axis in axes)


def _elementwise(function: Callable[..., Any], newest: int) -> Operator:
    return simple(lambda node, *inputs: function(*inputs), newest)


def _variadic(function: Callable[..., Any], newest: int) -> Operator:
    return simple(lambda node, *inputs: reduce(function, inputs), newest)


def _sigmoid(x: Tensor) -> Tensor:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1) / (1 + e), x.dtype)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    """Integers are cut towards zero."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    return np.asarray((a - np.fmod(a, b)) // b)


def _clip(
    node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    """The bounds are attributes before opset 11."""
    if node.version < 11:
        low, high = node.attributes.get("min"), node.attributes.get("max")
    if low is not None:
        x = np.maximum(x, np.asarray(low, x.dtype))
    return x if high is None else np.minimum(x, np.asarray(high, x.dtype))


def _elu(node: Node, x: Tensor) -> Tensor:
    negative = node.attributes["alpha"] * np.expm1(np.minimum(x, 0))
    return np.where(x < 0, negative.astype(x.dtype), x)


def _leaky_relu(node: Node, x: Tensor) -> Tensor:
    return np.where(x < 0, x.dtype.type(node.attributes["alpha"]) * x, x)


def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    alpha, beta = node.attributes["alpha"], node.attributes["beta"]
    line = x.dtype.type(alpha) * x + x.dtype.type(beta)
    return np.asarray(np.clip(line, 0, 1))


def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    get = node.attributes
    product: Tensor = (a.T if get["transA"] else a) @ (b.T if get["transB"] else b)
    if get["alpha"] != 1:
        product = (get["alpha"] * product).astype(a.dtype)
    if c is None:
        return product
    shift = c if get["beta"] == 1 else (get["beta"] * c).astype(a.dtype)
    return np.asarray(product + shift)


def _softmax(log: bool) -> Operator:
    def compute(node: Node, x: Tensor) -> Tensor:
        axis = node.attributes["axis"]
        if node.version >= 13:
            return _normalised(x, axis, log)
        # Before opset 13 over all axes from this one on.
        axis = axis + x.ndim if axis < 0 else axis
        rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
        return _normalised(rows, 1, log).reshape(x.shape)

    return simple(compute, 13)


def _normalised(x: Tensor, axis: int, log: bool) -> Tensor:
    if x.size == 0:
        return x
    shifted = x - x.max(axis, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis, keepdims=True)
    return np.asarray(shifted - np.log(total) if log else e / total, x.dtype)


def _reduction(function: Callable[..., Any], newest: int) -> Operator:
    def compute(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        over = axes_of(node, axes)
        if not over:
            if node.attributes.get("noop_with_empty_axes", 0):
                return x
            over = None
        result = function(x, axis=over, keepdims=bool(node.attributes["keepdims"]))
        return np.asarray(result, x.dtype)

    return simple(compute, newest)


def _largest(x: Tensor, **options: Any) -> Any:
    return np.max(x, initial=_bounds(x.dtype)[0], **options)


def _smallest(x: Tensor, **options: Any) -> Any:
    return np.min(x, initial=_bounds(x.dtype)[1], **options)


def _bounds(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """What the extremes of nothing are: no number is below, none above."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    if dtype.kind == "b":
        return False, True
    limits = np.iinfo(dtype)
    return limits.min, limits.max


def _arg_max(node: Node, x: Tensor) -> Tensor:
    axis, keep = node.attributes["axis"], bool(node.attributes["keepdims"])
    if not node.attributes.get("select_last_index", 0):
        return np.asarray(np.argmax(x, axis, keepdims=keep), np.int64)
    last = np.argmax(np.flip(x, axis), axis, keepdims=keep)
    return np.asarray(x.shape[axis] - 1 - last, np.int64)


def _dropout(node: Node, x: Tensor, *given: Tensor | None) -> tuple[Tensor, Tensor]:
    """Inference: nothing drops out."""
    if len(given) > 1 and given[1] is not None and given[1].item():
        raise ValueError("training_mode: expected false, got true")
    return x, np.ones(x.shape, np.bool_)


OPERATORS: Mapping[str, Operator] = {
    "Abs": _elementwise(np.abs, 13),
    "Add": _elementwise(np.add, 14),
    "And": _elementwise(np.logical_and, 7),
    "ArgMax": simple(_arg_max, 13),
    "Ceil": _elementwise(np.ceil, 13),
    "Clip": simple(_clip, 13),
    "Div": _elementwise(_divide, 14),
    "Dropout": simple(_dropout, 22),
    "Elu": simple(_elu, 22),
    "Equal": _elementwise(np.equal, 19),
    "Exp": _elementwise(np.exp, 13),
    "Floor": _elementwise(np.floor, 13),
    "Gemm": simple(_gemm, 13),
    "Greater": _elementwise(np.greater, 13),
    "GreaterOrEqual": _elementwise(np.greater_equal, 16),
    "HardSigmoid": simple(_hard_sigmoid, 22),
    "LeakyRelu": simple(_leaky_relu, 16),
    "Less": _elementwise(np.less, 13),
    "LessOrEqual": _elementwise(np.less_equal, 16),
    "Log": _elementwise(np.log, 13),
    "LogSoftmax": _softmax(log=True),
    "MatMul": _elementwise(np.matmul, 13),
    "Max": _variadic(np.maximum, 13),
    "Min": _variadic(np.minimum, 13),
    "Mul": _elementwise(np.multiply, 14),
    "Neg": _elementwise(np.negative, 13),
    "Not": _elementwise(np.logical_not, 1),
    "Or": _elementwise(np.logical_or, 7),
    "Pow": _elementwise(lambda a, b: np.power(a, b).astype(a.dtype), 15),
    "Reciprocal": _elementwise(np.reciprocal, 13),
    "ReduceMax": _reduction(_largest, 20),
    "ReduceMean": _reduction(np.mean, 18),
    "ReduceMin": _reduction(_smallest, 20),
    "ReduceProd": _reduction(np.prod, 18),
    "ReduceSum": _reduction(np.sum, 13),
    "Relu": _elementwise(lambda x: np.maximum(x, x.dtype.type(0)), 14),
    "Sigmoid": _elementwise(_sigmoid, 13),
    "Softmax": _softmax(log=False),
    "Softplus": _elementwise(lambda x: np.logaddexp(x, x.dtype.type(0)), 22),
    "Softsign": _elementwise(lambda x: x / (1 + np.abs(x)), 22),
    "Sqrt": _elementwise(np.sqrt, 13),
    "Sub": _elementwise(np.subtract, 14),
    "Sum": _variadic(np.add, 13),
    "Tanh": _elementwise(np.tanh, 13),
    "Where": _elementwise(np.where, 16),
}
