"""oneDNN's arrays of a whole stack, in its formats ldigo, ldgo and ldio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._validation import Array
from ._notation import ONEDNN
from ._reading import array_of, keyed, read
from ._weights import (
    Layer,
    Stack,
    Weights,
    family_of,
    layer_of,
    weights_of,
)

_NEEDED = ("weights_layer", "weights_iter", "bias")
_OPTIONAL = ("weights_peephole", "weights_projection")
_FAMILY = {1: "rnn", 3: "gru", 4: "lstm"}
_INDEPENDENT = (
    "expected one layer or one direction, because oneDNN runs the directions of a "
    "stack independently and rnnext merges them after every layer"
)


def from_onednn(arrays: Mapping[str, Any], **options: Any) -> Layer:
    """A layer with the weights of a oneDNN primitive [1]_.

    vanilla_rnn, vanilla_lstm with or without peepholes and projection, vanilla_gru and
    lbr_gru, which the bias tells apart. The bias becomes `bias_ih`, and `bias_hh` zero
    but for the fourth block of an lbr_gru.

    Parameters
    ----------
    arrays : mapping of str to array_like
        ``weights_layer`` (L, D, I, G, H) and ``weights_iter`` (L, D, H, G, H), that is
        ldigo; ``bias`` (L, D, G, H), or (L, D, 4, H) of an lbr_gru;
        ``weights_peephole`` (L, D, 3, H) in the order i, f, o; ``weights_projection``
        (L, D, H, P).
    **options
        For the constructor: what is not in the weights, as `nonlinearity` of an RNN.

    Returns
    -------
    RNN, LSTM or GRU

    Raises
    ------
    ValueError
        If names are missing or unknown, or a shape or an option does not fit.
    TypeError
        If it is no mapping, or a value no array of real numbers.

    References
    ----------
    .. [1] https://uxlfoundation.github.io/oneDNN/dev_guide_rnn.html

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import exchange
    >>> exchange.from_onednn({
    ...     "weights_layer": np.ones((1, 1, 3, 3, 4)),
    ...     "weights_iter": np.ones((1, 1, 4, 3, 4)), "bias": np.ones((1, 1, 4, 4)),
    ... }).reset_after
    True
    """
    given = keyed("arrays", arrays, _NEEDED, _OPTIONAL)
    L, D, I, G, H = array_of("weights_layer", given["weights_layer"], 5).shape
    out = H  # size of what goes back into the cell
    if "weights_projection" in given:
        name = "weights_projection"
        out = array_of(name, given[name], 4).shape[3]
    if G not in _FAMILY or D not in (1, 2) or L < 1:
        raise ValueError(
            "weights_layer: expected shape (L, D, I, G, H), ldigo, with D = 1 or 2 and "
            f"G = 1, 3 or 4, got {(L, D, I, G, H)}"
        )
    family = _FAMILY[G]
    if L > 1 and D > 1:
        raise ValueError(f"weights_layer: {_INDEPENDENT}, got L={L}, D={D}")
    if L > 1 and out != I:
        raise ValueError(
            f"weights_layer: expected I={out}, which the upper layers take, because "
            f"all have the shape of the first, got I={I}"
        )
    bias = array_of("bias", given["bias"], 4)
    reset_after = family == "gru" and bias.shape[2] == 4
    biases = 4 if reset_after else G
    shapes = {
        "weights_layer": (("L", "D", "I", "G", "H"), (L, D, I, G, H)),
        "weights_iter": (
            ("L", "D", "H" if out == H else "P", "G", "H"),
            (L, D, out, G, H),
        ),
        "bias": (("L", "D", "", "H"), (L, D, biases, H)),
        "weights_peephole": (("L", "D", "", "H"), (L, D, 3, H)),
        "weights_projection": (("L", "D", "H", "P"), (L, D, H, out)),
    }
    read_arrays = {n: read(n, given[n], *shapes[n]) for n in shapes if n in given}

    def weights(*at: int) -> Weights:
        a = {name: array[at] for name, array in read_arrays.items()}
        projection = a.get("weights_projection")
        w = Weights(
            a["weights_layer"].reshape(I, G * H).T,
            a["weights_iter"].reshape(out, G * H).T,
            peephole=a.get("weights_peephole"),
            projection=None if projection is None else projection.T,
        )
        b = a["bias"]
        return w.with_bias(b[:G].reshape(-1), b[3] if reset_after else None)

    stack: Stack = [[weights(l, d) for d in range(D)] for l in range(L)]
    reset = reset_after if family == "gru" else None
    return layer_of(stack, family, ONEDNN, options, reset)


def to_onednn(layer: Layer) -> dict[str, Array]:
    """A layer's weights as oneDNN takes them.

    The bias is the sum of the two, and zero where the layer has none, since oneDNN
    always has one. A GRU is an lbr_gru, or a vanilla_gru with ``reset_after=False``.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of any size and dtype.

    Returns
    -------
    dict of str to ndarray
        As `from_onednn` takes it; C-contiguous.

    Raises
    ------
    ValueError
        If there are several layers, and their inputs are not all of one size or they
        are bidirectional.

    Examples
    --------
    >>> import rnnext
    >>> from rnnext import exchange
    >>> arrays = exchange.to_onednn(rnnext.LSTM(4, 4, num_layers=2))
    >>> {name: array.shape for name, array in arrays.items()}["weights_layer"]
    (2, 1, 4, 4, 4)
    """
    family = family_of(layer)
    stack = weights_of(layer, ONEDNN)
    if len(stack) > 1 and len(stack[0]) > 1:
        raise ValueError(f"layer: {_INDEPENDENT}, got {layer!r}")
    sizes = {w.w_ih.shape[1] for level in stack for w in level}
    if len(sizes) > 1:
        raise ValueError(
            "layer: oneDNN has one array for the input weights of all layers, so their "
            f"inputs have to be of one size, got {sorted(sizes)}"
        )
    G, H = len(ONEDNN.order(family)), layer.hidden_size
    after = family == "gru" and getattr(layer, "reset_after", False)

    def bias(w: Weights) -> Array:
        joined = np.concatenate(w.gru_biases) if after else w.bias
        return joined.reshape(-1, H)

    def arrays(w: Weights) -> dict[str, Array | None]:
        return {
            "weights_layer": w.w_ih.T.reshape(-1, G, H),
            "weights_iter": w.w_hh.T.reshape(-1, G, H),
            "bias": bias(w),
            "weights_peephole": w.peephole,
            "weights_projection": None if w.projection is None else w.projection.T,
        }

    parts = [[arrays(w) for w in level] for level in stack]
    return {
        name: np.stack([np.stack([np.asarray(p[name]) for p in row]) for row in parts])
        for name, array in parts[0][0].items()
        if array is not None
    }
