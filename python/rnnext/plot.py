"""Pictures of training and of what goes on within a layer.

Every function draws on `ax`, or on a new figure, and returns the Axes; nothing is
shown or written. Needs ``pip install "rnnext[plot]"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._cache import Cache, Gradients
from ._validation import Array, any_float_array, choice, integer, real_array
from .training import History

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError(
        'rnnext.plot needs matplotlib: pip install "rnnext[plot]"'
    ) from error

__all__ = ["gate_activations", "gradient_norms", "loss_curves"]

Norms: TypeAlias = Mapping[str, Any]

# Okabe and Ito's colours, told apart without red or green.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_GATES = {"lstm": "ifgo", "gru": "rzn", "gru_reset_before": "rzn"}


def _axes(ax: Any) -> Any:
    if ax is None:
        return Figure(layout="constrained").subplots()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax: expected Axes of matplotlib, got {type(ax).__name__}")
    return ax


def loss_curves(
    history: History, *, smooth: int = 1, log: bool = False, ax: Any = None
) -> Any:
    """Draw the loss of every step, of every epoch, and on the validation set.

    Parameters
    ----------
    history : History
        From `rnnext.train`.
    smooth : int, default 1
        Steps over which the loss of steps is averaged.
    log : bool, default False
        Whether the axis of the loss is logarithmic.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import rnnext, rnnext.plot
    >>> history = rnnext.History([3.0, 2.0, 1.0, 1.0], epochs=[{"loss": 1.75}])
    >>> [line.get_label() for line in rnnext.plot.loss_curves(history).lines]
    ['step', 'epoch, mean']
    """
    if not isinstance(history, History):
        raise TypeError(f"history: expected a History, got {type(history).__name__}")
    width = integer("smooth", smooth)
    if not 1 <= width <= max(history.steps, 1):
        raise ValueError(f"smooth: expected 1 to {history.steps} steps, got {smooth}")
    axes = _axes(ax)
    means = np.convolve(history.loss, np.ones(width) / width, "valid")
    steps = np.arange(width, history.steps + 1)
    label = "step" if width == 1 else f"mean of {width} steps"
    axes.plot(steps, means, color=_COLOURS[4], linewidth=1, label=label)
    count = len(history.epochs)
    ends = np.arange(1, count + 1) * (history.steps / max(count, 1))
    if count:
        losses = [epoch["loss"] for epoch in history.epochs]
        axes.plot(ends, losses, color=_COLOURS[0], marker="o", label="epoch, mean")
    if count and "validation_loss" in history.epochs[0]:
        held_out = [epoch["validation_loss"] for epoch in history.epochs]
        axes.plot(
            ends, held_out, color=_COLOURS[1], marker="s", linestyle="--",
            label="validation",
        )  # fmt: skip
    axes.set(xlabel="step", ylabel="loss", yscale="log" if log else "linear")
    axes.legend()
    return axes


def gate_activations(
    cache: Cache,
    gate: str | None = None,
    *,
    layer: int = 0,
    sequence: int = 0,
    units: Sequence[int] | slice | None = None,
    ax: Any = None,
) -> Any:
    """Draw the gates of a layer over a sequence.

    Parameters
    ----------
    cache : Cache
        From a layer's `forward`.
    gate : str, optional
        One gate, whose units are rows of a map: ``"i"``, ``"f"``, ``"g"``, ``"o"`` of
        an LSTM, ``"r"``, ``"z"``, ``"n"`` of a GRU, ``"h"`` the state of any, ``"c"``
        the cell state. By default the mean of every gate over the units, as a line.
    layer : int, default 0
        Layer and direction, ``layer * D + direction``.
    sequence : int, default 0
        Of the batch.
    units : slice or sequence of int, optional
        Some hidden units instead of all.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext, rnnext.plot
    >>> _, _, cache = rnnext.LSTM(3, 8, rng=0).forward(np.ones((20, 1, 3), np.float32))
    >>> axes = rnnext.plot.gate_activations(cache, "f")
    >>> axes.images[0].get_array().shape
    (8, 20)
    """
    if not isinstance(cache, Cache):
        raise TypeError(
            f"cache: expected what a layer's forward returned, got "
            f"{type(cache).__name__}"
        )
    names = _GATES.get(cache._kind.cell, "")
    layers = len(cache.h)
    if not 0 <= integer("layer", layer) < layers:
        raise ValueError(f"layer: expected 0 to {layers - 1}, got {layer}")
    found = _values(cache, names, layer)
    batch = found["h"].shape[1]
    if not 0 <= integer("sequence", sequence) < batch:
        raise ValueError(f"sequence: expected 0 to {batch - 1}, got {sequence}")
    chosen = slice(None) if units is None else _units(units, found["h"].shape[2])
    axes = _axes(ax)
    if gate is None:
        lines = {k: v for k, v in found.items() if k in names} or {"h": found["h"]}
        for i, (name, values) in enumerate(lines.items()):
            mean = values[:, sequence][:, chosen].mean(axis=1)
            axes.plot(mean, color=_COLOURS[i], label=name)
        axes.set(xlabel="step", ylabel="mean over units")
        if len(lines) > 1:
            axes.legend(title="gate")
        return axes
    choice("gate", gate, tuple(found))
    values = found[gate][:, sequence][:, chosen].T
    signed = values.min(initial=0) < 0
    reach = max(1.0, float(abs(values).max(initial=0)))
    image = axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu" if signed else "viridis",
        vmin=-reach if signed else 0,
        vmax=reach,
    )
    axes.set(xlabel="step", ylabel="unit")
    axes.figure.colorbar(image, ax=axes, label=gate)
    return axes


def _units(units: object, size: int) -> Any:
    """What chooses from an axis of this size."""
    if isinstance(units, slice):
        return units
    chosen = real_array("units", units)
    if chosen.size == 0 or chosen.ndim != 1 or chosen.dtype.kind not in "iub":
        raise ValueError("units: expected a slice, or a list of whole numbers")
    fits = len(chosen) == size if chosen.dtype == bool else abs(chosen).max() < size
    if not fits:
        raise ValueError(f"units: expected -H to H-1={size - 1}, got {units}")
    return chosen


def _values(cache: Cache, names: str, layer: int) -> dict[str, Array]:
    """By name, (T, N, H)."""
    gates = cache.gates[layer]
    found = {name: gates[..., i, :] for i, name in enumerate(names)}
    found["h"] = cache.h[layer][1:]
    if cache.c is not None:
        found["c"] = cache.c[layer][1:]
    return found


def gradient_norms(
    source: History | Gradients[Any] | NDArray[Any] | Norms,
    *,
    log: bool = True,
    ax: Any = None,
) -> Any:
    """Draw how large gradients are: over training, over time, or by parameter.

    Parameters
    ----------
    source : History, ndarray, Gradients or mapping of str to ndarray
        A history: the norm of all gradients at every step of training. An array
        (T, N, features), as ``gradients.x`` or that of the outputs: the norm at every
        step of the sequence, largest, median and smallest of the batch; where it
        vanishes backwards, a layer learns nothing of what was long ago. Gradients, or a
        mapping of names to arrays: a bar for each parameter.
    log : bool, default True
        Whether the axis of the norm is logarithmic.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext, rnnext.plot
    >>> rnn = rnnext.RNN(3, 8, rng=0)
    >>> y, _, cache = rnn.forward(np.ones((20, 4, 3), np.float32))
    >>> dy = np.zeros_like(y)
    >>> dy[-1] = 1
    >>> axes = rnnext.plot.gradient_norms(rnn.backward(cache, dy).x)
    >>> norms = axes.lines[0].get_ydata()
    >>> bool(norms[0] < norms[-1])
    True
    """
    axes = _axes(ax)
    if isinstance(source, History):
        steps = np.arange(1, source.steps + 1)
        axes.plot(steps, source.gradient_norm, color=_COLOURS[0])
        axes.set(xlabel="step of training", ylabel="norm of the gradient")
    elif isinstance(source, np.ndarray):
        if source.ndim not in (2, 3):
            raise ValueError(
                f"source: expected shape (T, N, features), got {source.shape}"
            )
        array = any_float_array("source", source)
        norms = np.linalg.norm(array, axis=-1).reshape(len(source), -1)
        for label, reduce, style in (
            ("median", np.median, "-"), ("largest", np.max, "--"),
            ("smallest", np.min, ":"),
        ):  # fmt: skip
            values = reduce(norms, axis=1)
            axes.plot(values, color=_COLOURS[0], linestyle=style, label=label)
        axes.set(xlabel="step of the sequence", ylabel="norm of the gradient")
        axes.legend(title="of the batch")
    elif isinstance(source, (Gradients, Mapping)):
        arrays = source.parameters if isinstance(source, Gradients) else source
        sizes = [
            float(np.linalg.norm(real_array(f"source: {name}", array)))
            for name, array in arrays.items()
        ]
        axes.barh(list(map(str, arrays)), sizes, color=_COLOURS[0])
        axes.invert_yaxis()
        axes.set(xlabel="norm of the gradient")
    else:
        raise TypeError(
            "source: expected a History, an array, Gradients or a mapping, got "
            f"{type(source).__name__}"
        )
    if log and not isinstance(source, (Gradients, Mapping)):
        axes.set_yscale("log")
    elif log:
        axes.set_xscale("log")
    return axes
