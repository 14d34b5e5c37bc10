"""A case as an ONNX model, for the libraries that run those."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import Case, Problem
from onnx import TensorProto, helper, numpy_helper

# PyTorch's order of gates -> ONNX's: i f g o -> i o f c, r z n -> z r h.
ORDER = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}


def model(case: Case, problem: Problem, stateful: bool = False) -> bytes:
    """The model, serialised.

    Inputs: x, vectors or token ids, and of a stateful one h (and c), each (D, N, H);
    lengths are a constant. Outputs: y (T, D, N, H),
    or of a stateful one h_n (and c_n).
    """
    T, N, I, H = case.shape
    D = case.directions
    kind = TensorProto.DOUBLE if case.dtype == "float64" else TensorProto.FLOAT
    states = ["h", "c"][: 1 + (case.cell == "lstm")] if stateful else []
    nodes, constants = [], {}
    x, lengths = "x", ""
    if case.tokens:
        x = "vectors"
        constants["depth"] = np.array(I)
        constants["off and on"] = np.array([0, 1], case.dtype)
        nodes.append(helper.make_node("OneHot", ["x", "depth", "off and on"], [x]))
    if problem.lengths is not None:
        lengths = "lengths"
        constants[lengths] = problem.lengths.astype(np.int32)
    for layer in range(case.layers):
        names = {k: f"{k}{layer}" for k in "WRB"}
        constants |= _weights(case, problem, layer, names)
        if layer:
            constants[f"shape{layer}"] = np.array([T, N, D * H], np.int64)
            turned = f"turned{layer}"
            nodes.append(
                helper.make_node("Transpose", [x], [turned], perm=(0, 2, 1, 3))
            )
            x = f"x{layer}"
            nodes.append(helper.make_node("Reshape", [turned, f"shape{layer}"], [x]))
        y = f"y{layer}"
        nodes.append(
            helper.make_node(
                case.cell.upper(),
                [x, *names.values(), lengths, *states],
                ["", *(f"{s}_n" for s in states)] if stateful else [y],
                hidden_size=H,
                direction="bidirectional" if D == 2 else "forward",
                **({"linear_before_reset": 1} if case.cell == "gru" else {}),
            )
        )
        x = y

    def value(name: str, shape: tuple[int, ...], kind: int = kind) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    given = value("x", (T, N), TensorProto.INT64)
    if not case.tokens:
        given = value("x", (T, N, I))
    inputs = [given, *(value(s, (D, N, H)) for s in states)]
    outputs = [value(f"{s}_n", (D, N, H)) for s in states] or [value(x, (T, D, N, H))]
    tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "rnn", inputs, outputs, tensors)
    made = helper.make_model(
        graph, ir_version=10, opset_imports=[helper.make_opsetid("", 14)]
    )
    return made.SerializeToString()


def _weights(
    case: Case, problem: Problem, layer: int, names: dict[str, str]
) -> dict[str, Any]:
    """W (D, G*H, I), R (D, G*H, H), B (D, 2*G*H), in ONNX's order of gates."""
    H = case.shape[3]
    ends = [f"_l{layer}", f"_l{layer}_reverse"][: case.directions]

    def part(name: str, end: str) -> Any:
        array = problem.parameters[name + end]
        gates = array.reshape(-1, H, *array.shape[1:])
        return gates[list(ORDER[case.cell])].reshape(array.shape)

    return {
        names["W"]: np.stack([part("weight_ih", end) for end in ends]),
        names["R"]: np.stack([part("weight_hh", end) for end in ends]),
        names["B"]: np.stack(
            [np.concatenate([part("bias_ih", e), part("bias_hh", e)]) for e in ends]
        ),
    }


def by_time(case: Case, y: Any) -> Any:
    """The output of two directions with (N, D, H) within a step; a view."""
    return y if case.directions == 1 else y.transpose(0, 2, 1, 3)
