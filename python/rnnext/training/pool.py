"""One vector for a whole sequence."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._cache import Gradients
from .._coverage import checked_lengths, checked_mask
from .._validation import Array, any_float_array, boolean, choice, of_shape
from ._layer import Layer, LayerCache


class Kept(NamedTuple):
    """Of one forward: what of y went into the output."""

    shape: tuple[int, ...]  # (T, N, F)
    dtype: np.dtype[Any]
    exists: NDArray[np.bool_]  # (T, N)
    best: NDArray[np.intp] | None  # (N, F), the steps of the maxima
    batched: bool

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Which sequences have steps."""
        return np.asarray(self.exists.any(axis=0))


class Pool(Layer[Kept]):
    """The outputs of all steps of a sequence to one vector.

    Parameters
    ----------
    how : {"last", "mean", "max"}, default "last"
        The output of the last step, or the mean or maximum over all steps. Only steps
        within `lengths` and `mask` exist; of a sequence of no steps the result is zero.
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

    def __call__(
        self,
        y: Array,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Array:
        """Inference.

        Parameters
        ----------
        y : ndarray of shape (T, N, F), (N, T, F) with `batch_first`, or (T, F)
        lengths : integers of shape (N,), optional
            Steps of every sequence; all T by default.
        mask : booleans of shape (T, N), in the layout of `y`, optional
            False: the step does not exist.

        Returns
        -------
        ndarray of shape (N, F), or (F,)

        Raises
        ------
        TypeError, ValueError
            If an array is of the wrong dtype or shape.
        """
        return self.forward(y, lengths=lengths, mask=mask)[0]

    def forward(
        self,
        y: Array,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> tuple[Array, LayerCache[Kept]]:
        """Training: the numbers of a call, and what `backward` needs.

        Parameters
        ----------
        y, lengths, mask
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
        batch = N if batched else None
        if self.bidirectional and F % 2:
            raise ValueError(f"y: expected two directions, got F={F} features")
        exists = np.ones((T, N), np.bool_)
        if lengths is not None:
            exists &= np.arange(T)[:, None] < checked_lengths(lengths, T, N)
        if mask is not None:
            exists &= checked_mask("mask", mask, T, batch, self.batch_first)
        best = None
        if self.how == "max" and T:
            best = np.where(exists[..., None], y, -np.inf).argmax(axis=0)
        kept = Kept((T, N, F), y.dtype, exists, best, batched)
        z = self._pooled(y, kept)
        return (z if batched else z[0]), self._cache(kept)

    def _ends(self, kept: Kept) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]:
        """Of sequences with steps: which, their last and first; where a half begins."""
        rows = np.flatnonzero(kept.filled)
        exists = kept.exists[:, rows]
        last, first = exists[::-1].argmax(axis=0), exists.argmax(axis=0)
        F = kept.shape[2]
        return rows, len(exists) - 1 - last, first, F // 2 if self.bidirectional else F

    def _pooled(self, y: Array, kept: Kept) -> Array:
        T, N, F = kept.shape
        z = np.zeros((N, F), kept.dtype)
        if not T:
            return z
        if self.how == "last":
            rows, last, first, half = self._ends(kept)
            z[rows, :half] = y[last, rows, :half]
            z[rows, half:] = y[first, rows, half:]
        elif self.how == "max":
            assert kept.best is not None
            best = np.take_along_axis(y, kept.best[None], axis=0)[0]
            np.copyto(z, best, where=kept.filled[:, None])
        else:
            y.sum(axis=0, out=z, where=kept.exists[..., None])
            z /= self._counts(kept)
        return z

    @staticmethod
    def _counts(kept: Kept) -> Array:
        """(N, 1): steps that exist, to divide by."""
        counts: Array = np.maximum(kept.exists.sum(axis=0), 1).astype(kept.dtype)
        return counts[:, None]

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
        if self.how == "last" and T:
            rows, last, first, half = self._ends(kept)
            dy[last, rows, :half] = dz[rows, :half]
            dy[first, rows, half:] = dz[rows, half:]
        elif self.how == "max" and kept.best is not None:
            of_steps = np.where(kept.filled[:, None], dz, 0)
            np.put_along_axis(dy, kept.best[None], of_steps[None], axis=0)
        elif self.how == "mean":
            np.copyto(dy, dz / self._counts(kept), where=kept.exists[..., None])
        if not kept.batched:
            return self._gradients(dy[:, 0])
        return self._gradients(dy.swapaxes(0, 1) if self.batch_first else dy)
