"""The operators RNN, GRU and LSTM, by the layers.

Attributes become options of a layer when the model is loaded. Weights that never change
become the layer then, too; others at every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .._options import PARAMETERS
from ..exchange import from_onnx
from ..layers import GRU, LSTM, RNN
from ._node import Computation, Node, Operator, Outputs, Tensor

Layer: TypeAlias = RNN | GRU | LSTM
Activation: TypeAlias = tuple[str, float | None, float | None]


class _Cell(NamedTuple):
    """own: its activations f, g, h where none are written. places: which of them each
    place of the layer's `activations` has."""

    layer: type[Any]
    gates: int
    own: tuple[str, ...]
    places: tuple[int, ...]


_CELLS = {
    "RNN": _Cell(RNN, 1, ("tanh",), (0,)),
    "GRU": _Cell(GRU, 3, ("sigmoid", "tanh"), (0, 0, 1)),
    "LSTM": _Cell(LSTM, 4, ("sigmoid", "tanh", "tanh"), (0, 0, 1, 0, 2)),
}
_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
# How many parameters an activation takes: alpha, then beta.
_TAKES = {name.lower(): len(defaults) for name, defaults in PARAMETERS.items()}

_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_WEIGHTS = ("W", "R", "B", "P")


def _prepare(node: Node, constants: Mapping[str, Tensor]) -> Computation:
    options = _options(node)
    names = dict(zip(_INPUTS, node.inputs, strict=False))
    names = {label: name for label, name in names.items() if name}
    weights = {label: names[label] for label in _WEIGHTS if label in names}
    layer: Layer | None = None
    if all(name in constants for name in weights.values()):
        layer = _made(node, options, {k: constants[n] for k, n in weights.items()})
    else:
        _checked(node, options)

    def compute(*given: Tensor | None) -> Outputs:
        found = dict(zip(_INPUTS, given, strict=False))
        inputs = {label: x for label, x in found.items() if x is not None}
        used = layer
        if used is None:
            parts = {label: inputs[label] for label in _WEIGHTS if label in inputs}
            used = _made(node, options, parts)
        return _run(used, node.attributes.get("layout", 0), inputs)

    return compute


OPERATORS = {op: Operator(_prepare, 22) for op in _CELLS}


def _run(layer: Layer, layout: int, inputs: Mapping[str, Tensor]) -> Outputs:
    """Y, Y_h and of an LSTM Y_c. Layout 1 has N before T and before D."""

    def swapped(x: Tensor) -> Tensor:
        return x.swapaxes(0, 1) if layout else x

    X = inputs["X"]
    if X.ndim != 3:
        raise ValueError(f"X: expected 3 axes, got shape {X.shape}")
    if X.dtype != layer.dtype:
        raise TypeError(f"X: expected {layer.dtype}, as W is, got {X.dtype}")
    X = swapped(X)
    D, H = 1 + layer.bidirectional, layer.hidden_size
    T, N, _ = X.shape
    state: Any = _state(inputs, "initial_h", (D, N, H), layer, layout)
    if isinstance(layer, LSTM):
        state = state, _state(inputs, "initial_c", (D, N, H), layer, layout)
    lengths = inputs.get("sequence_lens")
    y: Any
    final: Any
    y, final = layer(X, state, lengths=lengths)
    Y = y.reshape(T, N, D, H)
    Y = Y.swapaxes(0, 1) if layout else Y.swapaxes(1, 2)
    finals: tuple[Tensor, ...] = final if isinstance(final, tuple) else (final,)
    if lengths is not None and not lengths.all():
        exists = (lengths > 0)[:, None]
        finals = tuple(np.where(exists, part, part.dtype.type(0)) for part in finals)
    return Y, *map(swapped, finals)


def _state(
    inputs: Mapping[str, Tensor],
    name: str,
    shape: tuple[int, int, int],
    layer: Layer,
    layout: int,
) -> Tensor:
    state = inputs.get(name)
    if state is None:
        return np.zeros(shape, layer.dtype)
    D, N, H = shape
    expected = (N, D, H) if layout else shape
    if state.shape != expected:
        order = f"N={N}, D={D}" if layout else f"D={D}, N={N}"
        raise ValueError(f"{name}: expected shape ({order}, H={H}), got {state.shape}")
    return state.swapaxes(0, 1) if layout else state


def _made(
    node: Node, options: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> Layer:
    """ValueError for weights of other shapes than the attributes say."""
    D, G = _DIRECTIONS[node.attributes["direction"]], _CELLS[node.op].gates
    shape = weights["R"].shape
    H = node.attributes.get("hidden_size", shape[-1] if shape else 0)
    if shape != (D, G * H, H):
        raise node.fault(f"R: expected shape (D={D}, {G}*H, H={H}), got {shape}")
    try:
        layer = from_onnx(weights, **options)
    except (TypeError, ValueError) as error:
        raise node.named(error) from error
    assert isinstance(layer, (RNN, GRU, LSTM))
    return layer


def _options(node: Node) -> dict[str, Any]:
    """Of the layer, by the attributes."""
    get = node.attributes
    if get["direction"] not in _DIRECTIONS:
        raise node.fault(
            f"direction: expected {', '.join(_DIRECTIONS)}, got {get['direction']!r}"
        )
    for name in ("layout", "linear_before_reset", "input_forget"):
        if get.get(name, 0) not in (0, 1):
            raise node.fault(f"{name}: expected 0 or 1, got {get[name]}")
    options: dict[str, Any] = {}
    if get["direction"] == "reverse":
        options["reverse"] = True
    if "clip" in get:
        options["gate_clip"] = get["clip"]
    if node.op == "GRU":
        options["reset_after"] = bool(get["linear_before_reset"])
    if get.get("input_forget", 0):
        options["coupled"] = True
    return options | _activations(node)


def _checked(node: Node, options: Mapping[str, Any]) -> None:
    """What is wrong with the options is wrong when the model is loaded."""
    bidirectional = _DIRECTIONS[node.attributes["direction"]] == 2
    try:
        _CELLS[node.op].layer(1, 1, bidirectional=bidirectional, **options)
    except (TypeError, ValueError) as error:
        raise node.named(error) from error


def _activations(node: Node) -> dict[str, Any]:
    """The option for what is not the cell's own."""
    cell = _CELLS[node.op]
    D = _DIRECTIONS[node.attributes["direction"]]
    written = [
        name.lower() for name in node.attributes.get("activations", cell.own * D)
    ]
    count = len(cell.own)
    if node.op == "RNN" and D == 1 and written == ["tanh", "tanh"]:
        written = ["tanh"]  # the default, which is written for two directions
    if len(written) != count * D:
        raise node.fault(
            f"activations: expected {count} for each of {D} directions, got {written}"
        )
    parameters = _parameters(node, written)
    if tuple(written) == cell.own * D:
        return {}
    if node.op == "RNN" and set(written) == {"relu"}:
        return {"nonlinearity": "relu"}
    found = [[parameters[d * count + place] for place in cell.places] for d in range(D)]
    return {"activations": found[0] if D == 1 else found}


def _parameters(node: Node, names: Sequence[str]) -> list[Activation]:
    """With alpha and beta, which those that take them consume in order."""
    given = {
        attribute: list(node.attributes.get(attribute, ()))
        for attribute in ("activation_alpha", "activation_beta")
    }
    alphas, betas = given.values()
    found: list[Activation] = []
    for name in names:
        takes = _TAKES.get(name, 0)
        alpha = alphas.pop(0) if takes > 0 and alphas else None
        beta = betas.pop(0) if takes > 1 and betas else None
        found.append((name, alpha, beta))
    for attribute, left in given.items():
        if left:
            raise node.fault(
                f"{attribute}: expected as many as there are activations in "
                f"{list(names)} that take it, got {left} more"
            )
    return found
