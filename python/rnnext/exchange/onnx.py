"""The arrays W, R, B and P of ONNX's RNN, LSTM and GRU nodes, without ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._validation import Array
from ._notation import ONNX
from ._reading import array_of, keyed, read, same_directions
from ._weights import (
    Layer,
    Stack,
    Weights,
    family_by_gates,
    layer_of,
    output_size,
    weights_of,
)


def from_onnx(*nodes: Mapping[str, Any], **options: Any) -> Layer:
    """A layer with the weights of ONNX nodes [1]_; `rnnext.onnx` reads whole models.

    Parameters
    ----------
    *nodes : mappings of str to array_like
        Of every layer of a stack: ``W`` (D, G*H, I), ``R`` (D, G*H, H) and, where there
        are, ``B`` (D, 2*G*H) and ``P`` (D, 3*H).
    **options
        For the constructor: what is an attribute of the node, as `nonlinearity` of an
        RNN. Of a GRU, `reset_after` has to be given: it is `linear_before_reset`.

    Returns
    -------
    RNN, LSTM or GRU

    Raises
    ------
    ValueError
        If names are missing or unknown, or a shape or an option does not fit.
    TypeError
        If a node is no mapping, or a value no array of real numbers.

    References
    ----------
    .. [1] https://onnx.ai/onnx/operators/onnx__LSTM.html, and __GRU, __RNN.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import exchange
    >>> exchange.from_onnx({"W": np.ones((2, 16, 3)), "R": np.ones((2, 16, 4))})
    LSTM(3, 4, bias=False, bidirectional=True, dtype=float64)
    """
    if not nodes:
        raise ValueError("nodes: expected at least one")
    for i, node in enumerate(nodes):
        keyed(f"nodes[{i}]", node, ["W", "R"], ["B", "P"])
        if ("B" in node) != ("B" in nodes[0]) or ("P" in node) != ("P" in nodes[0]):
            raise ValueError("nodes: expected B, and P, in all of them or in none")
    recurrent = [
        array_of(f"nodes[{i}] R", node["R"], 3) for i, node in enumerate(nodes)
    ]
    same_directions("nodes", [len(R) for R in recurrent])
    D, rows, H = recurrent[0].shape
    if D not in (1, 2):
        raise ValueError(
            f"nodes[0] R: expected D = 1 or 2 first, got shape {(D, rows, H)}"
        )
    family = family_by_gates("nodes[0] R", recurrent[0], rows, H)
    I = array_of("nodes[0] W", nodes[0]["W"], 3).shape[2]
    stack: Stack = []
    for i, node in enumerate(nodes):
        stack.append(_weights(f"nodes[{i}]", node, I, (D, rows, H)))
        I = output_size(H, D, options)
    return layer_of(stack, family, ONNX, options)


def to_onnx(layer: Layer) -> list[dict[str, Array]]:
    """A layer's weights as the inputs of ONNX nodes; `rnnext.onnx` writes whole models.

    A GRU needs ``linear_before_reset=1`` unless ``reset_after=False``.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of any size and dtype.

    Returns
    -------
    list of dict of str to ndarray
        ``W``, ``R`` and, where the layer has them, ``B`` and ``P``, for each of the
        layers of the stack.

    Raises
    ------
    ValueError
        If ONNX has no such layer: a projection.

    Examples
    --------
    >>> import rnnext
    >>> from rnnext import exchange
    >>> (inputs,) = exchange.to_onnx(rnnext.LSTM(3, 4))
    >>> inputs["W"].shape, inputs["B"].shape
    ((1, 16, 3), (1, 32))
    """
    found = []
    for level in weights_of(layer, ONNX):
        node = {
            "W": np.stack([w.w_ih for w in level]),
            "R": np.stack([w.w_hh for w in level]),
        }
        biases = [
            np.concatenate([w.b_ih, w.b_hh])
            for w in level
            if w.b_ih is not None and w.b_hh is not None
        ]
        peepholes = [w.peephole.ravel() for w in level if w.peephole is not None]
        if biases:
            node["B"] = np.stack(biases)
        if peepholes:
            node["P"] = np.stack(peepholes)
        found.append(node)
    return found


def _weights(
    where: str, node: Mapping[str, Any], I: int, shape: tuple[int, int, int]
) -> list[Weights]:
    D, rows, H = shape
    W = read(f"{where} W", node["W"], ("D", "G*H", "I"), (D, rows, I))
    R = read(f"{where} R", node["R"], ("D", "G*H", "H"), shape)
    found = [Weights(W[d], R[d]) for d in range(D)]
    if "B" in node:
        B = read(f"{where} B", node["B"], ("D", "2*G*H"), (D, 2 * rows))
        found = [
            w._replace(b_ih=b[:rows], b_hh=b[rows:])
            for w, b in zip(found, B, strict=True)
        ]
    if "P" in node:
        P = read(f"{where} P", node["P"], ("D", "3*H"), (D, 3 * H)).reshape(D, 3, H)
        found = [w._replace(peephole=p) for w, p in zip(found, P, strict=True)]
    return found
