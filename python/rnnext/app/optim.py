"""Adam, clipping by global norm and the decay of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


class Adam:
    """Adam (Kingma and Ba, 2015) over named arrays, changed in place.

    Parameters
    ----------
    learning_rate : float
        Used by `step` unless it is given another.
    betas : tuple of two floats
        Decay of the averages of the gradient and of its square.
    epsilon : float
        Added to the root of the second average.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self.learning_rate = learning_rate
        self.betas = betas
        self.epsilon = epsilon
        self.steps = 0
        self._averages: dict[str, tuple[Array, Array]] = {}

    def step(
        self,
        parameters: Mapping[str, Array],
        gradients: Mapping[str, Array],
        learning_rate: float | None = None,
    ) -> None:
        """Move every parameter one step against its gradient.

        Parameters
        ----------
        parameters : mapping of str to ndarray
            Writable; changed in place.
        gradients : mapping of str to ndarray
            The same names and shapes; left as they are.
        learning_rate : float, optional
            In place of the optimiser's own, for this step.

        Raises
        ------
        ValueError
            When the two mappings have different names.
        """
        if parameters.keys() != gradients.keys():
            names = sorted(parameters.keys() ^ gradients.keys())
            raise ValueError(
                f"gradients: expected the names of parameters, off: {names}"
            )
        rate = self.learning_rate if learning_rate is None else learning_rate
        self.steps += 1
        beta1, beta2 = self.betas
        # Both averages start at zero; these factors take that bias out again.
        size = rate / (1 - beta1**self.steps)
        root = 1 / math.sqrt(1 - beta2**self.steps)
        for name, p in parameters.items():
            g = gradients[name]
            if name not in self._averages:
                self._averages[name] = (np.zeros_like(p), np.zeros_like(p))
            mean, square = self._averages[name]
            mean *= beta1
            mean += (1 - beta1) * g
            square *= beta2
            square += (1 - beta2) * (g * g)
            scale = np.sqrt(square)
            scale *= root
            scale += self.epsilon
            p -= size * (mean / scale)


def clip_by_global_norm(gradients: Mapping[str, Array], limit: float) -> float:
    """Scale all gradients in place so that their common norm is at most `limit`.

    Parameters
    ----------
    gradients : mapping of str to ndarray
        Writable.
    limit : float
        Greatest norm; infinity never scales.

    Returns
    -------
    float
        The Euclidean norm over all elements before scaling.
    """
    with np.errstate(over="ignore"):
        squares = [np.square(g, dtype=np.float64).sum() for g in gradients.values()]
    norm = math.sqrt(sum(map(float, squares)))
    if limit < norm < math.inf:
        for g in gradients.values():
            g *= limit / norm
    return norm


def cosine_decay(progress: float, final: float = 0.05) -> float:
    """Factor of the learning rate: 1 at the start, `final` at the end, half a cosine.

    Parameters
    ----------
    progress : float
        Part of the training that is done, 0 to 1.
    final : float
        Factor at ``progress=1``.

    Returns
    -------
    float
    """
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
