"""Dropout between layers of a Sequential."""

from __future__ import annotations

import numpy as np

from .._cache import Gradients
from .._validation import Array, any_float_array, boolean, generator, probability
from ._layer import Layer, LayerCache


class Dropout(Layer["Array | None"]):
    """Zeroes numbers at random in training, and scales the others up [1]_.

    A number is kept with probability 1 - p and divided by that. Inference is the
    identity.

    Parameters
    ----------
    p : float
        Probability of a zero, from 0 to 1.
    rng : None, int or numpy.random.Generator, keyword, optional
        What `forward` draws from, unless it is told another.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    References
    ----------
    .. [1] Srivastava et al., "Dropout: a simple way to prevent neural networks from
       overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> y, cache = rnnext.Dropout(0.5, rng=0).forward(np.ones(6, np.float32))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """

    _sizes = ("p",)

    def __init__(self, p: float, *, rng: object = None) -> None:
        self.p = probability("p", p)
        self._rng = generator("rng", rng)
        # Of whatever dtype its input is: there are no parameters.
        super().__init__({}, 0.0, np.dtype(np.float32), self._rng)

    def __call__(self, x: Array) -> Array:
        """Inference.

        Parameters
        ----------
        x : ndarray of any shape

        Returns
        -------
        ndarray
            `x` itself.

        Raises
        ------
        TypeError
            If `x` is no array of float32 or float64.
        """
        return any_float_array("x", x)

    def forward(
        self, x: Array, *, rng: object = None
    ) -> tuple[Array, LayerCache[Array | None]]:
        """Training.

        Parameters
        ----------
        x : ndarray of any shape
        rng : None, int or numpy.random.Generator, optional
            In place of the layer's own generator.

        Returns
        -------
        y : ndarray of the shape of `x`
        cache : LayerCache
            For `backward`: the factors.

        Raises
        ------
        TypeError
            If `x` is no array of float32 or float64.
        """
        x = any_float_array("x", x)
        if self.p == 0:
            return x, self._cache(None)
        source = self._rng if rng is None else generator("rng", rng)
        factors = (source.random(x.shape, np.float32) >= self.p).astype(x.dtype)
        if self.p < 1:
            factors /= 1 - self.p
        return x * factors, self._cache(factors)

    def backward(
        self, cache: LayerCache[Array | None], dy: Array, *, need_x: bool = True
    ) -> Gradients[None]:
        """Gradients: `x` is `dy` times the factors of that forward.

        Parameters
        ----------
        cache : LayerCache
            From `forward`. Left intact.
        dy : ndarray of the shape of the output
        need_x : bool, default True
            False leaves `x` out.

        Returns
        -------
        Gradients
            With `x`; None for `state`, no `parameters`.

        Raises
        ------
        TypeError, ValueError
            If the cache is of another layer, or `dy` of the wrong dtype or shape.
        """
        factors = self._in_cache(cache)
        dy = any_float_array("dy", dy)
        if not boolean("need_x", need_x):
            return self._gradients(None)
        if factors is None:
            return self._gradients(dy)
        if dy.shape != factors.shape or dy.dtype != factors.dtype:
            raise ValueError(
                f"dy: expected shape {factors.shape} of {factors.dtype}, got "
                f"{dy.shape} of {dy.dtype}"
            )
        return self._gradients(dy * factors)
