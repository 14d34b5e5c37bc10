"""A graph: read and checked as a whole, then run node by node."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from .._validation import file_path, kind
from . import _arithmetic, _arrangement, _recurrent
from ._arrangement import array_of
from ._constants import Budget
from ._node import Computation, Node, Tensor, read_node
from ._value import fitting, value_of

OPERATORS = {
    **_recurrent.OPERATORS,
    **_arithmetic.OPERATORS,
    **_arrangement.OPERATORS,
}
OLDEST_OPSET = 7


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
        values = {tensor.name: _initializer(tensor) for tensor in graph.initializer}
        given = [value_of("input", info) for info in graph.input]
        self.inputs = tuple(value for value in given if value.name not in values)
        self.outputs = tuple(value_of("output", info) for info in graph.output)
        # An initializer that is an input, too, is a default that a run can replace.
        self._defaults = {value.name: value for value in given if value.name in values}
        constants = {k: v for k, v in values.items() if k not in self._defaults}
        self._steps: list[tuple[Node, Computation]] = []
        budget = Budget(proto.ByteSize())
        with np.errstate(all="ignore"):
            for node in nodes:
                compute = OPERATORS[node.op].prepare(node, constants)
                if all(name in constants for name in node.inputs if name):
                    known = [constants.get(name) for name in node.inputs]
                    budget.spend(node, known)
                    constants |= _computed(node, compute, constants)
                else:
                    self._steps.append((node, compute))
        self._values = values | constants

    def __repr__(self) -> str:
        inputs, outputs = (
            ", ".join(value.name for value in values)
            for values in (self.inputs, self.outputs)
        )
        return f"Model(inputs: {inputs}; outputs: {outputs})"

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
        given = self._values | self._checked(inputs)
        values = self._evaluated(given)
        outputs = {value.name: values[value.name] for value in self.outputs}
        return {
            name: array.copy() if _shared(array, list(given.values())) else array
            for name, array in outputs.items()
        }

    def _evaluated(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Everything that is computed on the way, too."""
        values = dict(given)
        with np.errstate(all="ignore"):
            for node, compute in self._steps:
                values |= _computed(node, compute, values)
        return values

    def _checked(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not isinstance(inputs, Mapping):
            raise TypeError(
                f"inputs: expected a mapping of names to arrays, got {kind(inputs)}"
            )
        known = {value.name: value for value in self.inputs} | self._defaults
        missing = [value.name for value in self.inputs if value.name not in inputs]
        unknown = [str(name) for name in inputs if name not in known]
        if missing or unknown:
            faults = [f"{name} is missing" for name in missing]
            faults += [f"{name} is unknown" for name in unknown]
            raise ValueError(
                f"inputs: {'; '.join(faults)} (the model has {', '.join(known)})"
            )
        return {name: fitting(known[name], array) for name, array in inputs.items()}


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
    path = file_path("model", model)
    with open(path, "rb") as file:
        proto = _parsed(path, file.read())
    beside = os.path.dirname(os.path.abspath(path))
    try:
        onnx.external_data_helper.load_external_data_for_model(proto, beside)
        return Model(proto)
    except (TypeError, ValueError, onnx.checker.ValidationError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{path}: {error}") from error


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


def _computed(
    node: Node, compute: Computation, values: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The outputs of a node by name."""
    try:
        found = compute(*(values[name] if name else None for name in node.inputs))
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise node.named(error) from error
    parts = found if isinstance(found, tuple) else (found,)
    named = zip(node.outputs, parts, strict=False)
    return {name: np.asarray(part) for name, part in named if name}


def _shared(array: Tensor, given: list[Tensor]) -> bool:
    return any(np.may_share_memory(array, other) for other in given)
