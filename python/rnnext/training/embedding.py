"""Vectors for ids."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._cache import Gradients
from .._validation import (
    Array,
    boolean,
    float_dtype,
    generator,
    integer,
    integer_array,
    of_shape,
    positive_integer,
)
from ._layer import Layer, LayerCache

Ids = NDArray[Any]


class Embedding(Layer[Ids]):
    """A table of vectors, one for each id: ``y = weight[ids]``.

    A parameter ``weight`` (V, E) from N(0, 1), as PyTorch's. A recurrent layer takes
    ids by itself, too: that is this layer and the product with W_ih in one.

    Parameters
    ----------
    num_embeddings : int
        V, ids are 0 to V - 1.
    embedding_dim : int
        E, numbers in a vector.
    padding_idx : int, keyword, optional
        An id that stands for nothing: its vector begins as zero, and its gradient is
        zero.
    dtype : {float32, float64}, keyword, default float32
        Of the vectors.
    rng : None, int or numpy.random.Generator, keyword, optional
        Of the initial vectors.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> table = rnnext.Embedding(10, 4, rng=0)
    >>> y, cache = table.forward(np.array([[1, 2], [2, 2]]))
    >>> grads = table.backward(cache, np.ones_like(y))
    >>> y.shape, grads.parameters["weight"][:4, 0]
    ((2, 2, 4), array([0., 1., 3., 0.], dtype=float32))
    """

    _sizes = ("num_embeddings", "embedding_dim")
    _defaults: ClassVar[dict[str, object]] = {"padding_idx": None}

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        padding_idx: int | None = None,
        dtype: DTypeLike = np.float32,
        rng: object = None,
    ) -> None:
        self.num_embeddings = positive_integer("num_embeddings", num_embeddings)
        self.embedding_dim = positive_integer("embedding_dim", embedding_dim)
        self.padding_idx = padding_idx
        if padding_idx is not None:
            self.padding_idx = integer("padding_idx", padding_idx)
            if not 0 <= self.padding_idx < self.num_embeddings:
                raise ValueError(
                    f"padding_idx: expected 0 to V-1={self.num_embeddings - 1}, got "
                    f"{padding_idx}"
                )
        shape = (self.num_embeddings, self.embedding_dim)
        source = generator("rng", rng)
        super().__init__({"weight": shape}, 1.0, float_dtype(dtype), source)
        vectors = source.standard_normal(shape)
        if self.padding_idx is not None:
            vectors[self.padding_idx] = 0
        self.assign(weight=vectors)

    def _ids(self, given: object) -> Ids:
        ids = integer_array("ids", given)
        wrong = (ids < 0) | (ids >= self.num_embeddings)
        if wrong.any():
            raise ValueError(
                f"ids: expected 0 to V-1={self.num_embeddings - 1}, got {ids[wrong][0]}"
            )
        return ids.astype(np.intp)

    def __call__(self, ids: Ids) -> Array:
        """Inference.

        Parameters
        ----------
        ids : ndarray of integers of shape (...)

        Returns
        -------
        ndarray of shape (..., E)

        Raises
        ------
        TypeError, ValueError
            If they are no integers, or outside 0 to V - 1.
        """
        found: Array = self._arrays["weight"][self._ids(ids)]
        return found

    def forward(self, ids: Ids) -> tuple[Array, LayerCache[Ids]]:
        """Training: the vectors of a call, and what `backward` needs.

        Parameters
        ----------
        ids : ndarray of integers of shape (...)

        Returns
        -------
        y : ndarray of shape (..., E)
        cache : LayerCache
            For `backward`; a copy of `ids`.

        Raises
        ------
        TypeError, ValueError
            As a call.
        """
        kept = self._ids(ids)
        return self._arrays["weight"][kept], self._cache(kept)

    def backward(
        self, cache: LayerCache[Ids], dy: Array, *, need_x: bool = True
    ) -> Gradients[None]:
        """Gradients of a loss, from that with respect to the vectors.

        Parameters
        ----------
        cache : LayerCache
            From `forward`. Left intact.
        dy : ndarray of shape (..., E)
        need_x : bool, default True
            Ids have no gradient: without effect.

        Returns
        -------
        Gradients
            With None for `x` and `state`; in ``parameters["weight"]`` the sums over all
            places where an id stood, zero for `padding_idx`.

        Raises
        ------
        TypeError, ValueError
            If the cache is of another layer, or `dy` of the wrong dtype or shape.
        """
        ids = self._in_cache(cache)
        boolean("need_x", need_x)
        letters = [""] * ids.ndim + ["E"]
        shape = (*ids.shape, self.embedding_dim)
        dy = of_shape("dy", dy, self.dtype, letters, shape)
        sums = np.zeros((self.num_embeddings, self.embedding_dim), self.dtype)
        flat, rows = ids.reshape(-1), dy.reshape(-1, self.embedding_dim)
        order = np.argsort(flat, kind="stable")
        starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
        # One after the other in float32, a frequent id would lose digits.
        sums[flat[order][starts]] = np.add.reduceat(
            rows[order], starts, axis=0, dtype=np.float64
        )
        if self.padding_idx is not None:
            sums[self.padding_idx] = 0
        return self._gradients(None, weight=sums)
