"""A graph: read and checked as a whole, then run node by node."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx

from . import _arithmetic, _arrangement, _recurrent
from ._arrangement import array_of, constant_of, numpy_dtype
from ._node import Computation, Node, Tensor, read_node

OPERATORS = {
    **_recurrent.OPERATORS,
    **_arithmetic.OPERATORS,
    **_arrangement.OPERATORS,
}
OLDEST_OPSET = 7


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
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None


class Model:
    """A model that `load` has read; calls keep no state.

    Attributes
    ----------
    inputs : tuple of Value
        What has to be given, in order.
    outputs : tuple of Value
        What comes back, in order.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        graph = proto.graph
        opset = _opset(proto)
        nodes = [read_node(node, opset, OPERATORS) for node in graph.node]
        try:
            onnx.checker.check_model(proto)
        except onnx.checker.ValidationError as error:
            raise ValueError(f"model: {error}") from error
        if graph.sparse_initializer:
            raise ValueError("model: expected no sparse initializers")
        self._values = {
            tensor.name: _initializer(tensor) for tensor in graph.initializer
        }
        self.inputs = tuple(
            _value("input", info)
            for info in graph.input
            if info.name not in self._values
        )
        self.outputs = tuple(_value("output", info) for info in graph.output)
        # An initializer that is an input, too, is a default that a run can replace.
        self._defaults = {
            info.name: _value("input", info)
            for info in graph.input
            if info.name in self._values
        }
        constants = {
            name: array
            for name, array in self._values.items()
            if name not in self._defaults
        }
        self._steps: list[tuple[Node, Computation]] = []
        for node in nodes:
            if node.op == "Constant":
                self._values[node.outputs[0]] = constants[node.outputs[0]] = (
                    constant_of(node)
                )
            else:
                compute = OPERATORS[node.op].prepare(node, constants)
                self._steps.append((node, compute))

    def __call__(self, *arrays: Tensor) -> Any:
        """Run the model.

        Parameters
        ----------
        *arrays : ndarray
            The inputs in order, of their dtypes and shapes.

        Returns
        -------
        ndarray or tuple of ndarray
            The outputs in order, without a tuple if there is only one.

        Raises
        ------
        TypeError
            If there are more or fewer arrays than inputs, or a dtype is wrong.
        ValueError
            If a shape or a value is wrong; the message names the node.

        Examples
        --------
        >>> import io, numpy as np, rnnext, rnnext.onnx
        >>> rnnext.onnx.save(rnnext.GRU(3, 4, rng=0), file := io.BytesIO())
        >>> model = rnnext.onnx.load(file.getvalue())
        >>> y, h_n = model(np.ones((5, 2, 3), "f4"), np.zeros((1, 2, 4), "f4"))
        >>> y.shape
        (5, 2, 4)
        """
        names = [value.name for value in self.inputs]
        if len(arrays) != len(names):
            raise TypeError(
                f"model: expected {len(names)} inputs ({', '.join(names)}), "
                f"got {len(arrays)}"
            )
        found = tuple(self.run(dict(zip(names, arrays, strict=True))).values())
        return found if len(found) > 1 else found[0]

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the model with inputs by name.

        Parameters
        ----------
        inputs : mapping of str to ndarray
            All of `inputs`, and whatever of the model's own values are inputs, too.

        Returns
        -------
        dict of str to ndarray
            All of `outputs`, by name; arrays of your own.

        Raises
        ------
        TypeError
            If an input is of another dtype.
        ValueError
            If an input is missing or unknown, or a shape or a value is wrong.

        Examples
        --------
        >>> import io, numpy as np, rnnext, rnnext.onnx
        >>> rnnext.onnx.save(rnnext.RNN(3, 4, rng=0), file := io.BytesIO())
        >>> model = rnnext.onnx.load(file.getvalue())
        >>> found = model.run({"x": np.ones((5, 2, 3), np.float32),
        ...                    "h_0": np.zeros((1, 2, 4), np.float32)})
        >>> list(found)
        ['y', 'h_n']
        """
        values = self._values | self._checked(inputs)
        given = list(values.values())
        with np.errstate(all="ignore"):
            for node, compute in self._steps:
                arrays = [values[name] if name else None for name in node.inputs]
                found = _computed(node, compute, arrays)
                values.update(zip(node.outputs, found, strict=False))
        outputs = {value.name: values[value.name] for value in self.outputs}
        return {
            name: array.copy() if _shared(array, given) else array
            for name, array in outputs.items()
        }

    def _checked(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        known = {value.name: value for value in self.inputs} | self._defaults
        missing = [value.name for value in self.inputs if value.name not in inputs]
        unknown = [str(name) for name in inputs if name not in known]
        if missing or unknown:
            faults = [f"{name} is missing" for name in missing]
            faults += [f"{name} is unknown" for name in unknown]
            raise ValueError(
                f"inputs: {'; '.join(faults)} (the model has {', '.join(known)})"
            )
        return {name: _fitting(known[name], array) for name, array in inputs.items()}


def load(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> Model:
    """Read an ONNX model [1]_ to run it here.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The file, what is in it, or what onnx makes of it.

    Returns
    -------
    Model
        To be called with arrays, or run with names.

    Raises
    ------
    TypeError
        If it is none of the three.
    ValueError
        If ONNX's checker does not accept the model, or if there is an operator, version
        or attribute in it that is not known here; the message names the node.
    OSError
        If the file cannot be read.

    Notes
    -----
    RNN, GRU and LSTM are computed by the layers, in float32 or float64, from opset 7
    on: all attributes, `layout` 0 and 1, `sequence_lens`, initial states, peepholes. As
    in ONNX Runtime [2]_, `clip` bounds what goes into the activations of gates,
    peepholes included, but not the cell state; alpha and beta are consumed in order by
    those activations that take them; and the final state of a sequence of length 0 is
    zero (that of a layer is its initial state).

    Around them, by NumPy: Abs, Add, And, ArgMax, Cast, Ceil, Clip, Concat, Constant,
    ConstantOfShape, Div, Dropout, Elu, Equal, Exp, Expand, Flatten, Floor, Gather,
    Gemm, Greater, GreaterOrEqual, HardSigmoid, Identity, LeakyRelu, Less, LessOrEqual,
    Log, LogSoftmax, MatMul, Max, Min, Mul, Neg, Not, Or, Pow, Reciprocal, ReduceMax,
    ReduceMean, ReduceMin, ReduceProd, ReduceSum, Relu, Reshape, Shape, Sigmoid, Slice,
    Softmax, Softplus, Softsign, Split, Sqrt, Squeeze, Sub, Sum, Tanh, Tile, Transpose,
    Unsqueeze, Where. Dropout is that of inference.

    References
    ----------
    .. [1] https://onnx.ai/onnx/operators
    .. [2] https://github.com/microsoft/onnxruntime, onnxruntime/core/providers/cpu/rnn

    Examples
    --------
    >>> import io, numpy as np, rnnext, rnnext.onnx
    >>> rnnext.onnx.save(rnnext.LSTM(3, 4, rng=0), file := io.BytesIO())
    >>> model = rnnext.onnx.load(file.getvalue())
    >>> [value.name for value in model.inputs]
    ['x', 'h_0', 'c_0']
    """
    if isinstance(model, onnx.ModelProto):
        return Model(model)
    if isinstance(model, bytes):
        return Model(_parsed("model", model))
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(
            "model: expected a path, bytes or onnx.ModelProto, got "
            f"{type(model).__name__}"
        )
    path = os.fspath(model)
    with open(path, "rb") as file:
        proto = _parsed(path, file.read())
    beside = os.path.dirname(os.path.abspath(path))
    onnx.external_data_helper.load_external_data_for_model(proto, beside)
    return Model(proto)


def _parsed(name: str, data: bytes) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own, which onnx does not name
        raise ValueError(f"{name}: expected an ONNX model, got {error}") from error


def _opset(proto: onnx.ModelProto) -> int:
    versions = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")]
    if not versions:
        raise ValueError("model: expected an opset of ai.onnx, got none")
    if versions[0] < OLDEST_OPSET:
        raise ValueError(
            f"model: expected opset {OLDEST_OPSET} or newer, got {versions[0]}"
        )
    return int(versions[0])


def _initializer(tensor: onnx.TensorProto) -> Tensor:
    try:
        return array_of(tensor)
    except ValueError as error:
        raise ValueError(f"initializer {tensor.name}: {error}") from error


def _value(kind: str, info: onnx.ValueInfoProto) -> Value:
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


def _fitting(value: Value, given: Tensor) -> Tensor:
    array = np.asarray(given)
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


def _computed(
    node: Node, compute: Computation, arrays: list[Tensor | None]
) -> list[Tensor]:
    try:
        found = compute(*arrays)
    except (TypeError, ValueError, IndexError) as error:
        kind = ValueError if isinstance(error, IndexError) else type(error)
        raise kind(f"{node}: {error}") from error
    parts = found if isinstance(found, tuple) else (found,)
    return [np.asarray(part) for part in parts]


def _shared(array: Tensor, given: list[Tensor]) -> bool:
    return any(np.may_share_memory(array, other) for other in given)
