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
from ._node import Node, Operator, Outputs, Tensor

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


class Computed:
    """The computation of a node.

    Attributes
    ----------
    layer : RNN, GRU or LSTM, or None
        What computes it; None where the weights are no constants.
    """

    def __init__(self, node: Node, constants: Mapping[str, Tensor]) -> None:
        self._node, self._options = node, _options(node)
        names = dict(zip(_INPUTS, node.inputs, strict=False))
        weights = {label: names[label] for label in _WEIGHTS if names.get(label)}
        self.layer: Layer | None = None
        if all(name in constants for name in weights.values()):
            given = {label: constants[name] for label, name in weights.items()}
            self.layer = _made(node, self._options, given)
        else:
            _checked(node, self._options)

    def __call__(self, *given: Tensor | None) -> Outputs:
        """Y, Y_h and of an LSTM Y_c."""
        layer, call = self.call(*given)
        return _outputs(layer, self._layout, call, layer(*call.arrays, **call.steps))

    def call(self, *given: Tensor | None) -> tuple[Layer, Call]:
        """The layer, and with what it is called."""
        found = dict(zip(_INPUTS, given, strict=False))
        inputs = {label: x for label, x in found.items() if x is not None}
        layer = self.layer
        if layer is None:
            parts = {label: inputs[label] for label in _WEIGHTS if label in inputs}
            layer = _made(self._node, self._options, parts)
        return layer, _call(layer, self._layout, inputs)

    @property
    def _layout(self) -> int:
        layout: int = self._node.attributes.get("layout", 0)
        return layout


OPERATORS = {op: Operator(Computed, 22) for op in _CELLS}


class Call(NamedTuple):
    """What a layer is called with: x and the state, and by name the lengths."""

    arrays: tuple[Tensor, Any]
    steps: dict[str, Any]


def _call(layer: Layer, layout: int, inputs: Mapping[str, Tensor]) -> Call:
    """Layout 1 has N before T and before D."""
    X = inputs["X"]
    if X.ndim != 3:
        raise ValueError(f"X: expected 3 axes, got shape {X.shape}")
    if X.dtype != layer.dtype:
        raise TypeError(f"X: expected {layer.dtype}, as W is, got {X.dtype}")
    X = X.swapaxes(0, 1) if layout else X
    shape = 1 + layer.bidirectional, X.shape[1], layer.hidden_size
    state: Any = _state(inputs, "initial_h", shape, layer, layout)
    if isinstance(layer, LSTM):
        state = state, _state(inputs, "initial_c", shape, layer, layout)
    return Call((X, state), {"lengths": inputs.get("sequence_lens")})


def _outputs(
    layer: Layer, layout: int, call: Call, found: tuple[Any, Any]
) -> tuple[Tensor, ...]:
    y, final = found
    D, H = 1 + layer.bidirectional, layer.hidden_size
    Y = y.reshape(*y.shape[:2], D, H)
    Y = Y.swapaxes(0, 1) if layout else Y.swapaxes(1, 2)
    finals: tuple[Tensor, ...] = final if isinstance(final, tuple) else (final,)
    lengths = call.steps["lengths"]
    if lengths is not None and not lengths.all():
        exists = (lengths > 0)[:, None]
        finals = tuple(np.where(exists, part, part.dtype.type(0)) for part in finals)
    return Y, *(part.swapaxes(0, 1) if layout else part for part in finals)


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
