"""A graph that is nothing but a recurrent layer, as that layer; and what is in others.

What stands around the nodes (transpositions, states that are split and joined, zeros)
differs with every exporter, so a layer is not read off the graph: the nodes make the
candidates, and one is right if it gives the outputs of the graph.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

import numpy as np
import onnx

from ..exchange import from_onnx, to_onnx
from ..layers import LSTM
from ._model import Model, load
from ._node import Node, Tensor
from ._recurrent import Call, Computed, Layer
from ._value import fitting

# Options of a layer that its arrays do not tell.
_OPTIONS = (
    "activations",
    "coupled",
    "gate_clip",
    "nonlinearity",
    "reset_after",
    "reverse",
)
_STEPS, _BATCH = 5, 3  # where a model leaves T and N open
# Against the outputs of the graph, over the largest of them.
_TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def load_layer(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> Layer:
    """Read an ONNX model that is one recurrent layer, to train it or use it here.

    A node RNN, GRU or LSTM, or a stack of them, with whatever only moves numbers around
    them: what `save` writes, what PyTorch exports of a layer, or a bare node.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        As `load` takes it.

    Returns
    -------
    RNN, LSTM or GRU
        With the weights of the model; run beside it on random numbers, it has given
        the same outputs.

    Raises
    ------
    TypeError, ValueError, OSError
        As `load`; ValueError also if the model is anything else, with what it is.

    Examples
    --------
    >>> import io, rnnext, rnnext.onnx
    >>> layer = rnnext.GRU(3, 4, num_layers=2, batch_first=True, rng=0)
    >>> rnnext.onnx.save(layer, file := io.BytesIO())
    >>> rnnext.onnx.load_layer(file.getvalue())
    GRU(3, 4, num_layers=2, batch_first=True)
    """
    graph = load(model)
    nodes = [node for node, _ in graph._steps]
    kinds = ", ".join(dict.fromkeys(node.op for node in nodes)) or "none"
    layers = [layer for _, layer in recurrent_nodes(graph)]
    if not layers:
        raise ValueError(
            "model: expected one RNN, GRU or LSTM with constant weights, got nodes "
            f"{kinds}"
        )
    inputs, state, lengths = _drawn(graph, layers)
    expected = graph.run(inputs)
    x = next(iter(inputs.values()))
    for layer in _candidates(layers):
        try:
            y, final = layer(x, state, lengths=lengths)
        except ValueError:  # another layout
            continue
        if _explained(expected.values(), list(_forms(layer, y, final))):
            return layer
    shown = ", ".join(map(repr, layers))
    raise ValueError(
        f"model: expected nothing but one recurrent layer, got nodes {kinds}, whose "
        f"outputs ({', '.join(expected)}) are not those of {shown} alone"
    )


def recurrent_nodes(model: Model) -> Iterator[tuple[Node, Layer]]:
    """The nodes that a layer with constant weights computes, in order."""
    for node, compute in model._steps:
        if isinstance(compute, Computed) and compute.layer is not None:
            yield node, compute.layer


def recurrent_calls(
    model: Model, inputs: Mapping[str, Tensor]
) -> Iterator[tuple[Node, Layer, Call]]:
    """With what the layers of a model are called when it is run with `inputs`."""
    values = model._evaluated(model._values | model._checked(inputs))
    for node, compute in model._steps:
        if isinstance(compute, Computed):
            yield node, *compute.call(*(values.get(name) for name in node.inputs))


def drawn_inputs(
    model: Model,
    rng: np.random.Generator,
    steps: int,
    batch: int,
    x: Tensor | None = None,
) -> dict[str, Tensor]:
    """Inputs of the shapes that a model asks for.

    Parameters
    ----------
    model : Model
    rng : numpy.random.Generator
        Draws normal numbers.
    steps, batch : int
        Sizes of a first axis, and of others, that the model leaves open; of the same
        size under the same name.
    x : ndarray, optional
        In place of the first input; it sets the sizes that have names.

    Returns
    -------
    dict of str to ndarray
        By name. Integers of one axis are lengths that end no sequence; others are 1.
    """
    sizes: dict[str, int] = {}
    found: dict[str, Tensor] = {}
    for value in model.inputs:
        assert value.shape is not None  # a model without is not valid
        if x is not None and not found:
            found[value.name] = fitting(value, x.astype(value.dtype or x.dtype))
            named = enumerate(zip(value.shape, x.shape, strict=True))
            sizes = {_key(size, axis): n for axis, (size, n) in named}
            continue
        shape = tuple(
            size
            if isinstance(size, int)
            else sizes.setdefault(_key(size, axis), batch if axis else steps)
            for axis, size in enumerate(value.shape)
        )
        dtype = value.dtype or np.dtype(np.float32)
        if dtype.kind == "f":
            found[value.name] = rng.standard_normal(shape).astype(dtype)
        else:
            first = next(iter(found.values()), np.ones((1, 1)))
            whole = min(first.shape[:2]) if len(shape) == 1 else 1
            found[value.name] = np.full(shape, whole, dtype)
    return found


def _key(size: int | str | None, axis: int) -> str:
    return size if isinstance(size, str) else f"axis {axis}"


def _drawn(
    graph: Model, layers: Sequence[Layer]
) -> tuple[dict[str, Tensor], Any, Tensor | None]:
    """Inputs of the graph by name, and those after x as a layer's state and lengths."""
    inputs = drawn_inputs(graph, np.random.default_rng(0), _STEPS, _BATCH)
    names = list(inputs)
    states = [name for name in names[1:] if inputs[name].dtype.kind == "f"]
    lengths = [name for name in names[1:] if inputs[name].dtype.kind in "iu"]
    has_c = isinstance(layers[0], LSTM)
    if (
        not names
        or inputs[names[0]].dtype.kind != "f"
        or len(lengths) > 1
        or len(states) not in (0, 1 + has_c)
    ):
        shown = ", ".join(f"{v.name} {v.dtype}" for v in graph.inputs)
        raise ValueError(
            "model: expected inputs x, h_0 (and c_0) and lengths of one recurrent "
            f"layer, got {shown or 'none'}"
        )
    parts = tuple(inputs[name] for name in states)
    state = (parts if has_c else parts[0]) if parts else None
    return inputs, state, inputs[lengths[0]] if lengths else None


def _candidates(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Stacks of these layers, by what their nodes leave open."""
    first = layers[0]
    options = {name: getattr(first, name) for name in _OPTIONS if hasattr(first, name)}
    if options.get("activations") is not None:
        options.pop("nonlinearity", None)
    if any(
        getattr(layer, name, None) != value
        for layer in layers
        for name, value in options.items()
    ):
        return
    nodes = [node for layer in layers for node in to_onnx(layer)]
    merges: list[str | None] = ["concat"]
    if first.bidirectional:
        merges += ["sum", "mul", "ave"]
        merges += [None] if len(layers) == 1 else []
    for merge, batch_first in product(merges, (False, True)):
        with suppress(ValueError):  # nodes that do not fit on each other
            yield from_onnx(*nodes, merge=merge, batch_first=batch_first, **options)


def _forms(layer: Layer, y: Any, final: Any) -> Iterator[Tensor]:
    """The outputs of a layer, and as a bare node of ONNX has them."""
    parts = list(final) if isinstance(final, tuple) else [final]
    yield from (*y, *parts) if isinstance(y, tuple) else (y, *parts)
    if isinstance(y, tuple) or y.ndim != 3 or layer.merge != "concat":
        return
    by_direction = y.reshape(*y.shape[:2], 1 + layer.bidirectional, -1)
    yield by_direction if layer.batch_first else by_direction.swapaxes(1, 2)
    if layer.batch_first:
        yield from (part.swapaxes(0, 1) for part in parts)


def _explained(outputs: Any, forms: Sequence[Tensor]) -> bool:
    """Whether every output is one of `forms`."""

    def same(output: Tensor, form: Tensor) -> bool:
        if output.shape != form.shape:
            return False
        bound = _TOLERANCE[str(form.dtype)] * max(1.0, float(np.abs(form).max()))
        return bool((np.abs(output - form) <= bound).all())

    return all(any(same(output, form) for form in forms) for output in outputs)
