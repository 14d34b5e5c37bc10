"""Backward beside numerical derivatives, for users' own models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._cache import Gradients
from .._configured import Configured
from .._recurrent import Recurrent
from .._validation import (
    Array,
    generator,
    kind,
    positive,
    positive_integer,
    real_array,
)
from ..cells import Cell
from ._layer import Layer
from .dropout import Dropout
from .pool import Pool
from .sequential import Sequential


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found; its text is a table.

    Attributes
    ----------
    errors : dict of str to float
        Of every parameter, ``"x"`` and ``"state"``: the largest difference between
        backward and the numerical derivative, less what rounding explains, relative to
        the larger of the two, and to at least a thousandth of the largest derivative of
        that array.
    coordinates : dict of str to int
        How many numbers of each were tried.
    tolerance : float
    """

    errors: dict[str, float]
    coordinates: dict[str, int]
    tolerance: float

    @property
    def worst(self) -> str:
        """The name with the largest error."""
        return max(
            self.errors, key=lambda name: np.nan_to_num(self.errors[name], nan=np.inf)
        )

    @property
    def ok(self) -> bool:
        """Whether all errors are within the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())

    def __str__(self) -> str:
        width = max(map(len, self.errors))
        lines = [f"{'gradient':{width}}  {'tried':>5}  {'error':>8}"]
        for name, error in self.errors.items():
            mark = "" if error <= self.tolerance else "  wrong"
            lines.append(
                f"{name:{width}}  {self.coordinates[name]:5}  {error:8.1e}{mark}"
            )
        return "\n".join(lines)


def check_gradients(
    layer: Any,
    x: Any,
    state: Any = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    rng: object = 0,
    samples: int = 20,
    step: float = 1e-5,
    tolerance: float = 1e-5,
) -> GradientReport:
    """Compare `backward` with central differences.

    In float64, on a copy, for the loss ``sum(a * y) + sum(b * final state)`` with
    random a and b.

    Parameters
    ----------
    layer : layer, cell or Sequential
        With its parameters as they are; dropout is drawn alike every time.
    x : array_like
        What the layer takes.
    state : like the layer's state, optional
        Default zeros.
    lengths, mask : optional
        As the layer takes them, if it does.
    rng : None, int or numpy.random.Generator, default 0
        Chooses a, b and the numbers that are tried.
    samples : int, default 20
        Most numbers that are tried of each array.
    step : float, default 1e-5
        Of the differences, ``(f(v + step) - f(v - step)) / (2 step)``.
    tolerance : float, default 1e-5
        Greatest error of `GradientReport.ok`.

    Returns
    -------
    GradientReport

    Raises
    ------
    TypeError, ValueError
        As the layer, or if an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> x = np.random.default_rng(0).standard_normal((5, 2, 3))
    >>> report = rnnext.check_gradients(rnnext.LSTM(3, 4, rng=0), x)
    >>> report.ok, report.coordinates["weight_ih_l0"]
    (True, 20)
    """
    source = generator("rng", rng)
    most = positive_integer("samples", samples)
    size, most_error = positive("step", step), positive("tolerance", tolerance)
    exact = _in_float64(layer)
    options = {"lengths": lengths, "mask": mask}
    options = {name: value for name, value in options.items() if value is not None}
    _check_takes(layer, state, options)
    x = np.array(real_array("x", x), order="C")
    if x.dtype.kind not in "iu":
        x = x.astype(np.float64)
    state = _apply(lambda part: np.array(part, np.float64, order="C"), state)
    seed = int(source.integers(2**32))
    run = _runner(exact, options, seed)

    y, state_n, cache = run(x, state)
    if state is None:
        state = _apply(lambda part: np.zeros(part.shape), state_n)
    # The output of a cell is its state: one loss is enough.
    a = None if isinstance(exact, Cell) else _apply(_drawn(source), y)
    b = _apply(_drawn(source), state_n)

    def terms() -> list[Array]:
        y, state_n, _ = run(x, state)
        found = _parts(state_n) + ([] if a is None else _parts(y))
        pairs = zip(_parts(b) + _parts(a), found, strict=True)
        return [weight * part for weight, part in pairs]

    def loss() -> float:
        return sum(float(term.sum()) for term in terms())

    grads = _backward(exact, cache, a, b)
    # What a difference of two losses can be wrong by: some units in the last place.
    magnitude = sum(float(abs(term).sum()) for term in terms())
    noise = 4 * np.finfo(np.float64).eps * magnitude / size
    errors: dict[str, float] = {}
    tried: dict[str, int] = {}

    def compare(name: str, array: Array, gradient: Array, shift: _Shift) -> None:
        chosen = source.permutation(array.size)[:most]
        found = gradient.reshape(-1)[chosen]
        measured = np.array([shift(int(i), size, loss) for i in chosen])
        scale = np.maximum(abs(found), abs(measured))
        scale = np.maximum(scale, 1e-3 * scale.max(initial=0)) + 1e-12
        off = np.maximum(abs(found - measured) - noise, 0)
        errors[name] = float((off / scale).max(initial=0))
        tried[name] = len(chosen)

    for name, gradient in grads.parameters.items():
        compare(name, exact.parameters[name], gradient, _of_parameter(exact, name))
    if grads.x is not None:
        compare("x", x, grads.x, _of_array(x))
    for i, (part, gradient) in enumerate(
        zip(_parts(state), _parts(grads.state), strict=True)
    ):
        several = len(_parts(state)) > 1
        compare(f"state {i}" if several else "state", part, gradient, _of_array(part))
    return GradientReport(errors, tried, most_error)


_Shift = Callable[[int, float, Callable[[], float]], float]


def _of_array(array: Array) -> _Shift:
    flat = array.reshape(-1)

    def shift(i: int, size: float, loss: Callable[[], float]) -> float:
        value, found = flat[i], []
        for sign in (1, -1):
            flat[i] = value + sign * size
            found.append(loss())
        flat[i] = value
        return (found[0] - found[1]) / (2 * size)

    return shift


def _of_parameter(layer: Any, name: str) -> _Shift:
    def shift(i: int, size: float, loss: Callable[[], float]) -> float:
        value, found = float(layer.parameters[name].flat[i]), []
        for moved in (value + size, value - size, value):
            with layer.writable() as p:
                p[name].flat[i] = moved
            found.append(loss() if moved != value else 0.0)
        return (found[0] - found[1]) / (2 * size)

    return shift


def _in_float64(layer: Any) -> Any:
    """A copy of a layer or model."""
    if isinstance(layer, Sequential):
        return Sequential({k: _in_float64(v) for k, v in layer.layers.items()})
    if not isinstance(layer, Configured):
        raise TypeError(f"layer: expected a layer or model, got {type(layer).__name__}")
    arguments = layer._configuration()
    if not isinstance(layer, (Dropout, Pool)):
        arguments["dtype"] = np.float64
    made: Any = type(layer)(**arguments)
    made.load_state_dict(layer.state_dict())  # type: ignore[attr-defined]
    return made


def _check_takes(layer: Any, state: Any, options: dict[str, Any]) -> None:
    name = type(layer).__name__
    if state is not None and isinstance(layer, Layer):
        raise TypeError(f"state: {name} has none, got {kind(state)}")
    if options and not isinstance(layer, (Recurrent, Sequential, Pool)):
        raise TypeError(f"{next(iter(options))}: {name} takes none")


def _runner(layer: Any, options: Any, seed: int) -> Callable[[Any, Any], Any]:
    """Forward to y, final state or None, cache; dropout the same every time."""

    def run(x: Any, state: Any) -> Any:
        rng = np.random.default_rng(seed)
        cache: Any
        if isinstance(layer, (Recurrent, Sequential)):
            return layer.forward(x, state, rng=rng, **options)
        if isinstance(layer, Cell):
            state_n, cache = layer.forward(x, state)
            return _parts(state_n)[0], state_n, cache
        if isinstance(layer, Pool):
            y, cache = layer.forward(x, **options)
        elif isinstance(layer, Dropout):
            y, cache = layer.forward(x, rng=rng)
        else:
            y, cache = layer.forward(x)
        return y, None, cache

    return run


def _backward(layer: Any, cache: Any, dy: Any, dstate: Any) -> Gradients[Any]:
    found: Gradients[Any]
    if isinstance(layer, Cell):
        found = layer.backward(cache, dstate)
    elif isinstance(layer, (Recurrent, Sequential)):
        found = layer.backward(cache, dy, dstate)
    else:
        found = layer.backward(cache, dy)
    return found


def _drawn(source: np.random.Generator) -> Callable[[Array], Array]:
    return lambda part: source.standard_normal(part.shape)


def _apply(function: Callable[[Any], Any], state: Any) -> Any:
    """To every array of a state."""
    if state is None:
        return None
    if isinstance(state, (tuple, list)):
        return tuple(_apply(function, part) for part in state)
    return function(state)


def _parts(state: Any) -> list[Array]:
    """The arrays of a state."""
    if state is None:
        return []
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in _parts(part)]
    return [state]
