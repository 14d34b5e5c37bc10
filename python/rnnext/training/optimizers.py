"""Optimisers over the named parameters of a layer or model, changed in place.

The formulas, with weight decay and its order, are those of PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .._cache import Gradients
from .._names import NamedArguments
from .._parameters import Parametrised
from .._validation import (
    Array,
    any_float_array,
    boolean,
    kind,
    not_negative,
    number,
    positive,
    real_array,
)
from .schedules import Schedule
from .sequential import Sequential


class Optimizer(NamedArguments):
    """What moves parameters against their gradients.

    Attributes
    ----------
    steps : int
        Steps done.
    learning_rate : float or callable
        Of the next step; a callable is given `steps`.
    """

    # Names of the averages that are kept for every parameter.
    _averages: tuple[str, ...] = ()

    def __init__(self, learning_rate: float | Schedule, weight_decay: float) -> None:
        self.learning_rate = learning_rate
        if not callable(learning_rate):
            self.learning_rate = not_negative("learning_rate", learning_rate)
        self.weight_decay = not_negative("weight_decay", weight_decay)
        self.steps = 0
        self._kept: dict[str, dict[str, Array]] = {}

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        given = self.learning_rate
        return not_negative(
            f"learning_rate of step {self.steps}",
            given(self.steps) if callable(given) else given,
        )

    def step(self, model: Any, gradients: Gradients[Any] | Mapping[str, Array]) -> None:
        """Move every parameter one step against its gradient.

        Parameters
        ----------
        model : layer, cell or Sequential
            What has parameters and `writable`.
        gradients : Gradients, or mapping of str to ndarray
            Of all its parameters; left as they are.

        Raises
        ------
        TypeError, ValueError
            If the gradients are not those of the model's parameters, or the optimiser
            has begun with others; nothing changes.
        """
        if not isinstance(model, (Parametrised, Sequential)):
            raise TypeError(
                f"model: expected a layer, a cell or a Sequential, got {kind(model)}"
            )
        arrays = {
            name: real_array(f"gradients: {name}", array)
            for name, array in _named(gradients).items()
        }
        own = model.parameters
        shapes = {name: array.shape for name, array in own.items()}
        came = {name: array.shape for name, array in arrays.items()}
        if shapes != came:
            off = sorted(str(name) for name, _ in shapes.items() ^ came.items())
            raise ValueError(
                "gradients: expected those of the model's parameters; missing, unknown "
                f"or of another shape: {', '.join(dict.fromkeys(off))}"
            )
        kept = {name: self._kept_of(name, p) for name, p in own.items()}
        rate = self.rate
        self._kept |= kept
        with model.writable() as parameters:
            for name, gradient in arrays.items():
                self._update(parameters[name], gradient, rate, **kept[name])
        self.steps += 1

    def _kept_of(self, name: str, p: Array) -> dict[str, Array]:
        """The averages of a parameter, of its shape and dtype."""
        if name not in self._kept:
            return {average: np.zeros_like(p) for average in self._averages}
        found = self._kept[name]
        for average, array in found.items():
            if array.shape != p.shape:
                raise ValueError(
                    f"model: {name} is of shape {p.shape}, but this optimiser's "
                    f"{average} of it is of {array.shape}: every model needs its own"
                )
        return {k: array.astype(p.dtype, copy=False) for k, array in found.items()}

    def _update(self, p: Array, gradient: Array, rate: float, **kept: Array) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Array]:
        """Copies of what the next step depends on: ``steps`` and the averages.

        Returns
        -------
        dict of str to ndarray
        """
        averages = {
            f"{kind}.{name}": array.copy()
            for name, kept in self._kept.items()
            for kind, array in kept.items()
        }
        return {"steps": np.array(self.steps, np.float64)} | averages

    def load_state_dict(self, state_dict: Mapping[str, Array]) -> None:
        """Take over what `state_dict` gave.

        Parameters
        ----------
        state_dict : mapping of str to ndarray

        Raises
        ------
        TypeError, ValueError
            If a name is not one that such an optimiser keeps, or a value no such
            number or array; nothing changes.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                "state_dict: expected a mapping of names to arrays, got "
                f"{kind(state_dict)}"
            )
        kept: dict[str, dict[str, Array]] = {}
        for label, array in state_dict.items():
            if label == "steps":
                continue
            average, _, name = str(label).partition(".")
            if average not in self._averages or not name:
                raise ValueError(
                    f"state_dict: {label} is none of {type(self).__name__}'s"
                )
            kept.setdefault(name, {})[average] = _own(real_array(label, array))
        halves = [
            name for name, found in kept.items() if len(found) < len(self._averages)
        ]
        if "steps" not in state_dict or halves:
            missing = ["steps"] * ("steps" not in state_dict) + halves
            raise ValueError(f"state_dict: incomplete, see {', '.join(missing)}")
        steps = real_array("state_dict: steps", state_dict["steps"])
        if steps.shape or not steps >= 0 or steps % 1:
            raise ValueError(f"state_dict: expected a number of steps, got {steps}")
        self.steps = int(steps)
        self._kept = kept

    def __repr__(self) -> str:
        return f"{type(self).__name__}(learning_rate={self.learning_rate})"


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum [1]_.

    ``v = momentum v + g``, ``p -= rate v``; Nesterov's by ``g + momentum v``.

    Parameters
    ----------
    learning_rate : float or callable
        A number, or a function of the number of the step (`rnnext.schedules`).
    momentum : float from 0 to below 1, default 0
    nesterov : bool, default False
    weight_decay : float, default 0
        Times the parameter added to its gradient.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    References
    ----------
    .. [1] Sutskever et al., "On the importance of initialization and momentum in deep
       learning", ICML 2013.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> head, sgd = rnnext.Linear(2, 1, rng=0), rnnext.SGD(0.5)
    >>> before = head.state_dict()["bias"]
    >>> sgd.step(head, {"weight": np.zeros((1, 2)), "bias": np.ones(1)})
    >>> float(before[0] - head.parameters["bias"][0])
    0.5
    """

    def __init__(
        self,
        learning_rate: float | Schedule,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        self.momentum = not_negative("momentum", momentum)
        if self.momentum >= 1:  # the velocity would grow for ever
            raise ValueError(f"momentum: expected a number in [0, 1), got {momentum}")
        self.nesterov = boolean("nesterov", nesterov)
        self._averages = ("velocity",) if self.momentum else ()
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: expected False without momentum, got True")

    def _update(self, p: Array, gradient: Array, rate: float, **kept: Array) -> None:
        g = gradient + self.weight_decay * p if self.weight_decay else gradient
        if self.momentum:
            velocity = kept["velocity"]
            velocity *= self.momentum
            velocity += g
            g = g + self.momentum * velocity if self.nesterov else velocity
        p -= rate * g


class Adam(Optimizer):
    """Adam [1]_.

    Parameters
    ----------
    learning_rate : float or callable, default 1e-3
        A number, or a function of the number of the step (`rnnext.schedules`).
    betas : tuple of two floats, default (0.9, 0.999)
        Decay of the averages of the gradient and of its square.
    eps : float, default 1e-8
        Added to the root of the second average.
    weight_decay : float, default 0
        Times the parameter added to its gradient; `AdamW` has the other form.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    References
    ----------
    .. [1] Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> gru, adam = rnnext.GRU(3, 4, rng=0), rnnext.Adam(1e-2)
    >>> y, h_n, cache = gru.forward(np.ones((5, 2, 3), np.float32))
    >>> adam.step(gru, gru.backward(cache, y))
    >>> adam.steps
    1
    """

    _averages = ("mean", "square")
    _decoupled: ClassVar[bool] = False

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        given: object = betas
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise TypeError(f"betas: expected a tuple of two, got {kind(given)}")
        beta1, beta2 = (number("betas", beta) for beta in given)
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise ValueError(f"betas: expected numbers in [0, 1), got {betas}")
        self.betas = (beta1, beta2)
        self.eps = not_negative("eps", eps)

    def _update(self, p: Array, gradient: Array, rate: float, **kept: Array) -> None:
        mean, square = kept["mean"], kept["square"]
        (beta1, beta2), t = self.betas, self.steps + 1
        g = gradient
        if self.weight_decay and self._decoupled:
            p *= 1 - rate * self.weight_decay
        elif self.weight_decay:
            g = gradient + self.weight_decay * p
        mean *= beta1
        mean += (1 - beta1) * g
        square *= beta2
        square += (1 - beta2) * (g * g)
        # Both averages start at zero; these factors take that bias out again.
        scale = np.sqrt(square)
        scale /= math.sqrt(1 - beta2**t)
        scale += self.eps
        p -= rate / (1 - beta1**t) * (mean / scale)


class AdamW(Adam):
    """Adam with weight decay apart from the gradient [1]_: ``p *= 1 - rate decay``.

    Parameters
    ----------
    learning_rate, betas, eps
        As of `Adam`.
    weight_decay : float, default 0.01

    References
    ----------
    .. [1] Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> import rnnext
    >>> rnnext.AdamW(1e-3, weight_decay=0.1)
    AdamW(learning_rate=0.001)
    """

    _decoupled = True

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, betas, eps, weight_decay)


def clip_grad_norm(
    gradients: Gradients[Any] | Mapping[str, Array], max_norm: float
) -> float:
    """Scale all gradients in place so that their common norm is at most `max_norm`.

    Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.

    Parameters
    ----------
    gradients : Gradients, or mapping of str to ndarray
        Of parameters; writable.
    max_norm : float
        Infinity only measures.

    Returns
    -------
    float
        The Euclidean norm over all numbers before; where it is infinite or NaN, nothing
        is scaled.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> gradients = {"w": np.array([3.0, 4.0])}
    >>> rnnext.clip_grad_norm(gradients, 1.0), gradients["w"]
    (5.0, array([0.6, 0.8]))
    """
    limit = positive("max_norm", max_norm)
    arrays = [
        any_float_array(f"gradients: {name}", array)
        for name, array in _named(gradients).items()
    ]
    with np.errstate(over="ignore"):
        squares = [np.square(g, dtype=np.float64, order="C").sum() for g in arrays]
    norm = math.sqrt(sum(map(float, squares)))
    if limit < norm < math.inf:
        if not all(g.flags.writeable for g in arrays):
            raise ValueError("gradients: expected writable arrays, got read-only ones")
        for g in arrays:
            g *= limit / norm
    return norm


def _own(array: NDArray[Any]) -> Array:
    """A copy, in the byte order of this machine."""
    return np.array(array, array.dtype.newbyteorder("="))


def _named(gradients: Gradients[Any] | Mapping[str, Array]) -> Mapping[str, Array]:
    """Of the parameters."""
    if isinstance(gradients, Gradients):
        return gradients.parameters
    if not isinstance(gradients, Mapping):
        raise TypeError(
            "gradients: expected Gradients or a mapping of names to arrays, got "
            f"{kind(gradients)}"
        )
    return gradients
