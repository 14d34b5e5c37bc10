"""One vector for a whole sequence."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._cache import Gradients
from .._coverage import checked_lengths
from .._validation import Array, any_float_array, boolean, choice, of_shape
from ._layer import Layer, LayerCache


class Kept(NamedTuple):
    """Of one forward: what of y went into the output."""

    shape: tuple[int, ...]  # (T, N, F)
    dtype: np.dtype[Any]
    lengths: NDArray[np.intp]  # (N,)
    best: NDArray[np.intp] | None  # (N, F), the steps of the maxima
    batched: bool


class Pool(Layer[Kept]):
    """The outputs of all steps of a sequence to one vector.

    Parameters
    ----------
    how : {"last", "mean", "max"}, default "last"
        The output of the last step, or the mean or maximum over all steps. Only steps
        within `lengths` count; of a sequence of no steps the result is zero.
    bidirectional : bool, keyword, default False
        With ``how="last"``: the second half of the features is of a layer's reverse
        direction, whose last step is the sequence's first.
    batch_first : bool, keyword, default False
        Whether sequences are (N, T, F) instead of (T, N, F).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> y = np.arange(6, dtype=np.float32).reshape(3, 2, 1)
    >>> rnnext.Pool("last")(y, lengths=[3, 1]).ravel()
    array([4., 1.], dtype=float32)
    >>> rnnext.Pool("mean")(y).ravel()
    array([2., 3.], dtype=float32)
    """

    _sizes = ("how",)
    _defaults: ClassVar[dict[str, object]] = {
        "bidirectional": False,
        "batch_first": False,
    }

    def __init__(
        self,
        how: str = "last",
        *,
        bidirectional: bool = False,
        batch_first: bool = False,
    ) -> None:
        self.how: str = choice("how", how, ("last", "mean", "max"))
        self.bidirectional = boolean("bidirectional", bidirectional)
        self.batch_first = boolean("batch_first", batch_first)
        # Of whatever dtype its input is: there are no parameters.
        rng = np.random.default_rng(0)
        super().__init__({}, 0.0, np.dtype(np.float32), rng)

    def __repr__(self) -> str:
        return super().__repr__().replace(f"({self.how}", f"({self.how!r}", 1)

    def __call__(self, y: Array, *, lengths: ArrayLike | None = None) -> Array:
        """Inference.

        Parameters
        ----------
        y : ndarray of shape (T, N, F), (N, T, F) with `batch_first`, or (T, F)
        lengths : integers of shape (N,), optional
            Steps of every sequence; all T by default.

        Returns
        -------
        ndarray of shape (N, F), or (F,)

        Raises
        ------
        TypeError, ValueError
            If an array is of the wrong dtype or shape.
        """
        return self.forward(y, lengths=lengths)[0]

    def forward(
        self, y: Array, *, lengths: ArrayLike | None = None
    ) -> tuple[Array, LayerCache[Kept]]:
        """Training: the numbers of a call, and what `backward` needs.

        Parameters
        ----------
        y, lengths
            As in a call.

        Returns
        -------
        z : ndarray of shape (N, F), or (F,)
        cache : LayerCache
            For `backward`.

        Raises
        ------
        TypeError, ValueError
            As a call.
        """
        y = any_float_array("y", y)
        if y.ndim not in (2, 3):
            order = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"y: expected shape ({order}, F), or (T, F) unbatched, got {y.shape}"
            )
        batched = y.ndim == 3
        if not batched:
            y = y[:, None]
        elif self.batch_first:
            y = y.swapaxes(0, 1)
        T, N, F = y.shape
        if self.bidirectional and F % 2:
            raise ValueError(f"y: expected two directions, got F={F} features")
        steps = np.full(N, T, np.intp)
        if lengths is not None:
            steps = checked_lengths(lengths, T, N)
        best = None
        if self.how == "max":
            hidden = np.arange(T)[:, None, None] >= steps[:, None]
            best = np.where(hidden, -np.inf, y).argmax(axis=0) if T else None
        kept = Kept((T, N, F), y.dtype, steps, best, batched)
        z = self._pooled(y, kept)
        return (z if batched else z[0]), self._cache(kept)

    def _ends(self, kept: Kept) -> tuple[NDArray[np.intp], NDArray[np.bool_], int]:
        """The last steps, which sequences have one, and where reversed ones begin."""
        exists = kept.lengths > 0
        F = kept.shape[2]
        return kept.lengths - 1, exists, F // 2 if self.bidirectional else F

    def _pooled(self, y: Array, kept: Kept) -> Array:
        _, N, F = kept.shape
        z = np.zeros((N, F), kept.dtype)
        last, exists, half = self._ends(kept)
        if not exists.any():
            return z
        rows = np.flatnonzero(exists)
        if self.how == "last":
            z[rows, :half] = y[last[rows], rows, :half]
            z[rows, half:] = y[0, rows, half:]
        elif self.how == "max":
            assert kept.best is not None
            z[rows] = np.take_along_axis(y, kept.best[None], axis=0)[0][rows]
        else:
            inside = np.arange(len(y))[:, None] < kept.lengths
            sums = np.where(inside[..., None], y, 0).sum(axis=0)
            z[rows] = sums[rows] / kept.lengths[rows, None].astype(kept.dtype)
        return z

    def backward(
        self, cache: LayerCache[Kept], dz: Array, *, need_x: bool = True
    ) -> Gradients[None]:
        """Gradients of a loss, from that with respect to the output.

        Parameters
        ----------
        cache : LayerCache
            From `forward`. Left intact.
        dz : ndarray of shape (N, F), or (F,)
        need_x : bool, default True
            False leaves `x` out.

        Returns
        -------
        Gradients
            With `x`, of the shape of `y`; None for `state`, no `parameters`.

        Raises
        ------
        TypeError, ValueError
            If the cache is of another layer, or `dz` of the wrong dtype or shape.
        """
        kept = self._in_cache(cache)
        T, N, F = kept.shape
        form = (["N", "F"], (N, F)) if kept.batched else (["F"], (F,))
        dz = of_shape("dz", dz, kept.dtype, *form).reshape(N, F)
        if not boolean("need_x", need_x):
            return self._gradients(None)
        dy = np.zeros((T, N, F), kept.dtype)
        last, exists, half = self._ends(kept)
        rows = np.flatnonzero(exists)
        if self.how == "last" and T:
            dy[last[rows], rows, :half] = dz[rows, :half]
            dy[0, rows, half:] += dz[rows, half:]
        elif self.how == "max" and kept.best is not None:
            exists_dz = np.where(exists[:, None], dz, 0)
            np.put_along_axis(dy, kept.best[None], exists_dz[None], axis=0)
        elif self.how == "mean":
            inside = np.arange(T)[:, None] < kept.lengths
            share = dz / np.maximum(kept.lengths, 1)[:, None].astype(kept.dtype)
            dy[:] = np.where(inside[..., None], share, 0)
        if not kept.batched:
            return self._gradients(dy[:, 0])
        return self._gradients(dy.swapaxes(0, 1) if self.batch_first else dy)
