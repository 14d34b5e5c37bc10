"""The affine map of the last axis."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from .. import _core
from .._cache import Gradients
from .._validation import (
    Array,
    boolean,
    float_array,
    float_dtype,
    generator,
    of_shape,
    positive_integer,
)
from ._layer import Layer, LayerCache

# x as rows (M, I), the weight of that forward, the shape of x without the last axis.
Kept = tuple[Array, Array, tuple[int, ...]]


class Linear(Layer[Kept]):
    """``y = x W^T + b`` over the last axis.

    Parameters ``weight`` (O, I) and ``bias`` (O,), drawn from U(-1/sqrt(I), 1/sqrt(I)):
    names, shapes and distribution are PyTorch's.

    Parameters
    ----------
    in_features : int
        I, numbers in an input vector.
    out_features : int
        O, numbers in an output vector.
    bias : bool, default True
        Whether there is b.
    dtype : {float32, float64}, keyword, default float32
        Of parameters, inputs and outputs.
    rng : None, int or numpy.random.Generator, keyword, optional
        Of the initial parameters.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> head = rnnext.Linear(4, 3, rng=0)
    >>> y, cache = head.forward(np.ones((7, 2, 4), np.float32))
    >>> grads = head.backward(cache, np.ones_like(y))
    >>> y.shape, grads.x.shape, grads.parameters["weight"].shape
    ((7, 2, 3), (7, 2, 4), (3, 4))
    """

    _sizes = ("in_features", "out_features")
    _defaults: ClassVar[dict[str, object]] = {"bias": True}

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: object = None,
    ) -> None:
        self.in_features = positive_integer("in_features", in_features)
        self.out_features = positive_integer("out_features", out_features)
        self.bias = boolean("bias", bias)
        shapes: dict[str, tuple[int, ...]] = {
            "weight": (self.out_features, self.in_features)
        }
        if self.bias:
            shapes["bias"] = (self.out_features,)
        bound = self.in_features**-0.5
        super().__init__(shapes, bound, float_dtype(dtype), generator("rng", rng))

    def _rows(self, x: object) -> tuple[Array, tuple[int, ...]]:
        array = float_array("x", x, self.dtype)
        if array.ndim == 0 or array.shape[-1] != self.in_features:
            raise ValueError(
                f"x: expected shape (..., I={self.in_features}), got {array.shape}"
            )
        rows = array.reshape(-1, self.in_features)
        return np.require(rows, requirements=("C", "A", "E")), array.shape[:-1]

    def _product(self, rows: Array, outer: tuple[int, ...]) -> Array:
        y = _core.linear(rows, self._arrays["weight"], self._arrays.get("bias"))
        return y.reshape(*outer, self.out_features)

    def __call__(self, x: Array) -> Array:
        """Inference.

        Parameters
        ----------
        x : ndarray of shape (..., I)
            Of the layer's dtype.

        Returns
        -------
        ndarray of shape (..., O)

        Raises
        ------
        TypeError, ValueError
            If `x` is of the wrong dtype or shape.
        """
        return self._product(*self._rows(x))

    def forward(self, x: Array) -> tuple[Array, LayerCache[Kept]]:
        """Training: the numbers of a call, and what `backward` needs.

        Parameters
        ----------
        x : ndarray of shape (..., I)
            Of the layer's dtype.

        Returns
        -------
        y : ndarray of shape (..., O)
        cache : LayerCache
            For `backward`; of copies of `x` and the weight.

        Raises
        ------
        TypeError, ValueError
            As a call.
        """
        rows, outer = self._rows(x)
        kept = rows.copy() if np.may_share_memory(rows, x) else rows
        cache = self._cache((kept, self._arrays["weight"].copy(), outer))
        return self._product(rows, outer), cache

    def backward(
        self, cache: LayerCache[Kept], dy: Array, *, need_x: bool = True
    ) -> Gradients[None]:
        """Gradients of a loss, from that with respect to the output.

        Parameters
        ----------
        cache : LayerCache
            From `forward`. Left intact.
        dy : ndarray of shape (..., O)
            Gradient with respect to the output.
        need_x : bool, default True
            False skips the gradient of `x`.

        Returns
        -------
        Gradients
            With `x`, None for `state`, and `parameters`.

        Raises
        ------
        TypeError, ValueError
            If the cache is of another layer, or `dy` of the wrong dtype or shape.
        """
        x, weight, outer = self._in_cache(cache)
        shape = (*outer, self.out_features)
        letters = [""] * len(outer) + ["O"]
        dy = of_shape("dy", dy, self.dtype, letters, shape)
        rows = dy.reshape(-1, self.out_features)
        rows = np.require(rows, requirements=("C", "A", "E"))
        dx = None
        if boolean("need_x", need_x):
            dx = _core.linear(rows, np.ascontiguousarray(weight.T), None)
            dx = dx.reshape(*outer, self.in_features)
        gradients = {"weight": _core.matmul_tn(rows, x)}
        if self.bias:
            # One after the other in float32, many rows would lose digits.
            gradients["bias"] = rows.sum(axis=0, dtype=np.float64).astype(self.dtype)
        return self._gradients(dx, **gradients)
