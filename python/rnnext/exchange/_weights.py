"""Layers as lists of weights and back: what all notations share.

Weights       of one layer and direction
weights_of    a layer's weights, its gates in the order of a notation
layer_of      a layer from such weights
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .._validation import Array, kind
from ..layers import GRU, LSTM, RNN
from ._notation import RNNEXT, Notation, reorder

Layer: TypeAlias = RNN | LSTM | GRU
_FAMILIES: dict[str, type[Any]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class Weights(NamedTuple):
    """Of one layer and direction, in PyTorch's shapes."""

    w_ih: Array  # (G*H, I)
    w_hh: Array  # (G*H, H), or (G*H, P) with a projection
    b_ih: Array | None = None  # (G*H,); where one bias is None, so is the other
    b_hh: Array | None = None
    peephole: Array | None = None  # (3, H)
    projection: Array | None = None  # (P, H)

    @property
    def bias(self) -> Array:
        """The one bias that does what the two do."""
        if self.b_ih is None or self.b_hh is None:
            return np.zeros(len(self.w_ih), self.w_ih.dtype)
        return self.b_ih + self.b_hh

    @property
    def gru_biases(self) -> tuple[Array, Array]:
        """Of a GRU that resets after the product: one of all gates, and b_hn.

        r multiplies b_hn, so the two biases of n cannot become one.
        """
        bias, H = self.bias, len(self.w_ih) // 3
        if self.b_ih is None or self.b_hh is None:
            return bias, np.zeros(H, bias.dtype)
        bias[-H:] = self.b_ih[-H:]
        return bias, self.b_hh[-H:].copy()

    def with_bias(self, bias: Array, b_hn: Array | None = None) -> Weights:
        """With one bias in place of two; of a GRU, as `gru_biases` gives it."""
        b_hh = np.zeros_like(bias)
        if b_hn is not None:
            b_hh[-len(b_hn) :] = b_hn
        return self._replace(b_ih=bias, b_hh=b_hh)


_ROWS = ("w_ih", "w_hh", "b_ih", "b_hh")  # what has gates

# By layer and direction.
Stack: TypeAlias = list[list[Weights]]

_NAMES = {
    "w_ih": "weight_ih",
    "w_hh": "weight_hh",
    "b_ih": "bias_ih",
    "b_hh": "bias_hh",
    "peephole": "weight_ch",
    "projection": "weight_hr",
}


def names(layers: int, directions: int) -> list[list[dict[str, str]]]:
    """What the fields of `Weights` are called in a layer, by layer and direction."""
    ends = ("", "_reverse")[:directions]
    return [
        [{f: f"{name}_l{i}{end}" for f, name in _NAMES.items()} for end in ends]
        for i in range(layers)
    ]


def family_of(layer: object) -> str:
    """ "rnn", "gru" or "lstm"."""
    for family, cls in _FAMILIES.items():
        if isinstance(layer, cls):
            return family
    raise TypeError(f"layer: expected an RNN, LSTM or GRU of rnnext, got {kind(layer)}")


def weights_of(layer: Layer, notation: Notation) -> Stack:
    """Copies, gates in the notation's order; ValueError for what it cannot say."""
    family = family_of(layer)
    _check_expressible(layer, notation)
    parameters = layer.state_dict()
    found = [
        [
            Weights(**{f: parameters[n] for f, n in fields.items() if n in parameters})
            for fields in layer_names
        ]
        for layer_names in names(layer.num_layers, 1 + layer.bidirectional)
    ]
    return _reordered(found, family, RNNEXT, notation)


def layer_of(
    stack: Stack,
    family: str,
    notation: Notation,
    options: Mapping[str, Any],
    reset_after: bool | None = None,
) -> Layer:
    """A layer of these weights; None: they do not tell what the reset of a GRU is."""
    first = stack[0][0]
    recurrent = first.w_hh if first.projection is None else first.projection
    found: dict[str, Any] = {
        "input_size": first.w_ih.shape[1],
        "hidden_size": recurrent.shape[1],
        "num_layers": len(stack),
        "bidirectional": len(stack[0]) == 2,
        "bias": first.b_ih is not None,
    }
    if first.peephole is not None:
        found["peephole"] = True
    if first.projection is not None:
        found["proj_size"] = first.projection.shape[0]
    if family == "gru":
        if reset_after is not None:
            found["reset_after"] = reset_after
        elif "reset_after" not in options:
            raise ValueError(
                f"reset_after: expected True or False, because {notation.name} has "
                "both forms of the GRU and these arrays are the same in both"
            )
    for name in found.keys() & options.keys():
        if options[name] != found[name]:
            raise ValueError(
                f"{name}: the weights are those of {name}={found[name]!r}, "
                f"got {options[name]!r}"
            )
    ordered = _reordered(stack, family, notation, RNNEXT)
    parameters = {
        fields[field]: array
        for layer_names, layer in zip(names(len(stack), 2), ordered, strict=True)
        for fields, weights in zip(layer_names, layer, strict=False)
        for field, array in weights._asdict().items()
        if array is not None
    }
    dtype = {"dtype": _dtype(parameters)} if "dtype" not in options else {}
    made: Layer = _FAMILIES[family](**{**found, **dtype, **options})
    made.load_state_dict(parameters)
    return made


def family_by_gates(name: str, array: Array, rows: int, H: int) -> str:
    """Which cell it is by the rows of its weights, G*H (in some notations columns)."""
    for family, cls in _FAMILIES.items():
        if H > 0 and rows == cls._gates * H:
            return family
    raise ValueError(
        f"{name}: expected H={H} and G*H, with G = 1 (RNN), 3 (GRU) or 4 (LSTM), in "
        f"its shape, got {array.shape}"
    )


def output_size(H: int, D: int, options: Mapping[str, Any]) -> int:
    """What the next layer takes, by the `merge` of the options."""
    return D * H if options.get("merge", "concat") == "concat" else H


def _check_expressible(layer: Layer, notation: Notation) -> None:
    family = family_of(layer)
    if not notation.order(family):
        raise ValueError(f"layer: {notation.name} has no {type(layer).__name__}")
    if isinstance(layer, GRU) and layer.reset_after not in notation.resets:
        raise ValueError(
            f"layer: expected a GRU with reset_after={notation.resets[0]}, the only "
            f"form in the notation of {notation.name}, got {layer.reset_after}; the "
            "two forms are different functions, so no weights make them equal"
        )
    for name in notation.lacks:
        default = layer._defaults.get(name)
        value = getattr(layer, name, default)
        if value != default:
            raise ValueError(
                f"layer: expected {name}={default!r}, as {notation.name} has no other, "
                f"got {value!r}"
            )
    extras = (("peephole", "weight_ch"), ("projection", "weight_hr"))
    for field, prefix in extras:
        has = any(name.startswith(prefix) for name in layer.parameters)
        if has and not getattr(notation, field):
            raise ValueError(
                f"layer: {notation.name} has no {field} in its LSTM, got {prefix}_l0"
            )


def _reordered(stack: Stack, family: str, source: Notation, target: Notation) -> Stack:
    def gates(array: Array | None) -> Any:
        if array is None:
            return None
        return reorder(array, source.order(family), target.order(family))

    def ordered(w: Weights) -> Weights:
        w = w._replace(**{name: gates(getattr(w, name)) for name in _ROWS})
        if w.peephole is None:
            return w
        peephole = reorder(w.peephole, source.peephole, target.peephole)
        return w._replace(peephole=peephole)

    return [[ordered(w) for w in layer] for layer in stack]


def _dtype(arrays: Mapping[str, Array]) -> np.dtype[Any]:
    """That of the weights together."""
    found = np.result_type(*arrays.values())
    if found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(
            f"weights: expected float32 or float64, got {found};"
            " pass dtype=np.float32 or dtype=np.float64"
        )
    return found
