"""A layer as a graph that other engines run."""

from __future__ import annotations

import os
from typing import IO, Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .._options import PARAMETERS
from .._validation import file_path
from ..exchange import to_onnx
from ..layers import GRU, LSTM, RNN
from ._recurrent import Layer

Shape: TypeAlias = tuple[int | str, ...]

# Old enough for every engine that is about, new enough for all that is needed.
OPSET, IR_VERSION = 14, 7
_REDUCTIONS = {"mul": "ReduceProd", "ave": "ReduceMean"}
# ONNX's activations f, g and h by their places among those of a layer.
_PLACES: dict[type[Any], tuple[tuple[int, ...], ...]] = {
    RNN: ((0,),),
    GRU: ((0, 1), (2,)),
    LSTM: ((0, 1, 3), (2,), (4,)),
}


def save(layer: Layer, path: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write a layer as an ONNX model, for inference elsewhere.

    The inputs are ``x``, ``h_0`` and for an LSTM ``c_0``, the outputs ``y``, ``h_n``
    and ``c_n``, all of the shapes that they have in a call with a batch; T and N are
    open. With ``merge=None`` there are ``y_forward`` and ``y_backward``.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of any size and dtype; dropout has no part in inference.
    path : path or binary file
        Where to.

    Raises
    ------
    TypeError
        If it is no layer.
    ValueError
        If ONNX has no such layer: `cell_clip`, `proj_size`, or several activations
        where ONNX has one for all gates.
    OSError
        If the file cannot be written.

    Notes
    -----
    Opset 14: a node RNN, GRU or LSTM [1]_ for every layer of the stack, in layout 0,
    which all engines run. ONNX Runtime computes in float32 only.

    References
    ----------
    .. [1] https://onnx.ai/onnx/operators

    Examples
    --------
    >>> import io, onnx, rnnext, rnnext.onnx
    >>> lstm = rnnext.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0)
    >>> rnnext.onnx.save(lstm, file := io.BytesIO())
    >>> model = onnx.load_model_from_string(file.getvalue())
    >>> [node.op_type for node in model.graph.node if node.op_type == "LSTM"]
    ['LSTM', 'LSTM']
    """
    data = model_of(layer).SerializeToString()
    if hasattr(path, "write"):
        path.write(data)
    else:
        with open(file_path("path", path), "wb") as file:
            file.write(data)


def model_of(layer: Layer) -> onnx.ModelProto:
    """The model that `save` writes."""
    graph = _Graph(layer)
    model = helper.make_model(
        graph.finished(),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="rnnext",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and initializers, one after the other."""

    def __init__(self, layer: Layer) -> None:
        self._weights = to_onnx(layer)
        self._layer = layer
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._states = ("h", "c") if isinstance(layer, LSTM) else ("h",)
        self._directions = 1 + layer.bidirectional

    def finished(self) -> onnx.GraphProto:
        layer, D = self._layer, self._directions
        L, H = layer.num_layers, layer.hidden_size
        order = ("N", "T") if layer.batch_first else ("T", "N")
        F = D * H if layer.merge == "concat" else H
        names = ["y"] if layer.merge is not None else ["y_forward", "y_backward"]
        state: Shape = (L * D, "N", H)
        inputs: dict[str, Shape] = {"x": (*order, layer.input_size)}
        inputs |= {f"{s}_0": state for s in self._states}
        outputs: dict[str, Shape] = dict.fromkeys(names, (*order, F))
        outputs |= {f"{s}_n": state for s in self._states}
        self._stack(names)
        return helper.make_graph(
            self._nodes,
            "rnnext",
            [self._info(name, shape) for name, shape in inputs.items()],
            [self._info(name, shape) for name, shape in outputs.items()],
            self._initializers,
        )

    def _info(self, name: str, shape: Shape) -> onnx.ValueInfoProto:
        code = helper.np_dtype_to_tensor_dtype(self._layer.dtype)
        return helper.make_tensor_value_info(name, code, shape)

    def _stack(self, names: list[str]) -> None:
        """From x and the initial states to `names` and the final states."""
        L, x = self._layer.num_layers, "x"
        if self._layer.batch_first:
            x = self._add("Transpose", ["x"], "x_by_time", perm=[1, 0, 2])
        initial = {s: self._by_layer(f"{s}_0", L) for s in self._states}
        final: dict[str, list[str]] = {s: [] for s in self._states}
        for i, weights in enumerate(self._weights):
            found = {s: f"{s}_n_l{i}" if L > 1 else f"{s}_n" for s in self._states}
            inputs = {f"initial_{s}": initial[s][i] for s in self._states}
            self._recurrent(i, x, weights, inputs, [f"Y_l{i}", *found.values()])
            for s in self._states:
                final[s].append(found[s])
            x = self._output(i, names if i == L - 1 else [f"y_l{i}"], i == L - 1)
        if L > 1:
            for s in self._states:
                self._add("Concat", final[s], f"{s}_n", axis=0)

    def _by_layer(self, state: str, L: int) -> list[str]:
        if L == 1:
            return [state]
        names = [f"{state}_l{i}" for i in range(L)]
        self._parts(state, names, axis=0)
        return names

    def _parts(self, whole: str, names: list[str], axis: int) -> None:
        """Equal parts of an axis."""
        self._nodes.append(
            helper.make_node("Split", [whole], names, f"split_{whole}", axis=axis)
        )

    def _recurrent(
        self,
        i: int,
        x: str,
        weights: dict[str, Any],
        states: dict[str, str],
        outputs: list[str],
    ) -> None:
        layer = self._layer
        given = {k: self._constant(f"{k}_l{i}", w) for k, w in weights.items()} | states
        slots = ("W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
        inputs = [x, *(given.get(slot, "") for slot in slots)]
        while not inputs[-1]:
            inputs.pop()
        kind = type(layer).__name__
        node = helper.make_node(
            kind, inputs, outputs, f"{kind.lower()}_l{i}", **_attributes(layer)
        )
        self._nodes.append(node)

    def _output(self, i: int, names: list[str], last: bool) -> str:
        """Y (T, D, N, H) as what the layer gives: the next one's input."""
        swap = last and self._layer.batch_first
        found = [f"{name}_by_time" for name in names] if swap else names
        self._merged(f"Y_l{i}", found)
        if swap:
            for by_time, name in zip(found, names, strict=True):
                self._add("Transpose", [by_time], name, perm=[1, 0, 2])
        return names[0]

    def _merged(self, Y: str, names: list[str]) -> None:
        merge, F = self._layer.merge, self._directions * self._layer.hidden_size
        if merge == "concat":
            rows = self._add("Transpose", [Y], f"{Y}_rows", perm=[0, 2, 1, 3])
            shape = self._constant(f"{Y}_shape", np.array([0, 0, F], np.int64))
            self._add("Reshape", [rows, shape], names[0])
        elif merge is None:
            parts = [f"{Y}_forward", f"{Y}_backward"]
            self._parts(Y, parts, axis=1)
            axis = self._constant(f"{Y}_axis", np.array([1], np.int64))
            for part, name in zip(parts, names, strict=True):
                self._add("Squeeze", [part, axis], name)
        elif merge == "sum":
            axis = self._constant(f"{Y}_axis", np.array([1], np.int64))
            self._add("ReduceSum", [Y, axis], names[0], keepdims=0)
        else:
            op = _REDUCTIONS[merge]
            self._add(op, [Y], names[0], axes=[1], keepdims=0)

    def _constant(self, name: str, array: Any) -> str:
        self._initializers.append(numpy_helper.from_array(array, name))
        return name

    def _add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        node = helper.make_node(op, inputs, [output], f"make_{output}", **attributes)
        self._nodes.append(node)
        return output


def _attributes(layer: Layer) -> dict[str, Any]:
    """Of the nodes of a layer; only what is not the default."""
    D = 1 + layer.bidirectional
    found: dict[str, Any] = {"hidden_size": layer.hidden_size}
    if D == 2 or layer.reverse:
        found["direction"] = "bidirectional" if D == 2 else "reverse"
    if isinstance(layer, GRU):
        found["linear_before_reset"] = int(layer.reset_after)
    if isinstance(layer, LSTM) and layer.coupled:
        found["input_forget"] = 1
    if layer.gate_clip is not None:
        found["clip"] = layer.gate_clip
    if layer.activations is not None:
        found |= _activations(layer)
    elif isinstance(layer, RNN):
        found["activations"] = [layer.nonlinearity.capitalize()] * D
    return found


def _activations(layer: Layer) -> dict[str, Any]:
    names: list[str] = []
    alphas: list[float] = []
    betas: list[float] = []
    for direction in layer._options.by_direction:
        for places in _PLACES[type(layer)]:
            used = {direction[place] for place in places}
            if len(used) > 1:
                raise ValueError(
                    "layer: expected one activation for all gates but the candidate, "
                    f"as ONNX has no other, got {layer.activations}"
                )
            ((name, alpha, beta),) = used
            names.append(name)
            alphas += [alpha] * (len(PARAMETERS[name]) > 0)
            betas += [beta] * (len(PARAMETERS[name]) > 1)
    found: dict[str, Any] = {"activations": names}
    if alphas:
        found["activation_alpha"] = alphas
    if betas:
        found["activation_beta"] = betas
    return found
