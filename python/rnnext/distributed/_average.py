"""Averages of arrays over ranks, through one flat buffer for each dtype.

The buffer is cut into as many pieces as there are ranks. Rank r receives everybody's
piece r, sums them in the order of the ranks, and hands the sum to all. The bytes are
those of the ring algorithm; the order of every sum is known, whatever the MPI library,
the network and the placement of the ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Layout = tuple[tuple[str, tuple[int, ...]], ...]


class FlatAverage:
    """The weighted average of named arrays of one dtype, in buffers that stay.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    layout : tuple of (name, shape)
        The same on every rank.
    dtype : dtype
    ordered : bool
        Sum in the order of the ranks; else as MPI's Allreduce likes.
    """

    def __init__(
        self, comm: MPI.Comm, layout: Layout, dtype: np.dtype[Any], ordered: bool
    ) -> None:
        self._comm = comm
        self._ordered = ordered
        sizes = [int(np.prod(shape)) for _, shape in layout]
        self._used = sum(sizes) + 1  # the last one is the weight
        piece = -(-self._used // comm.size)
        self._flat = np.zeros(piece * comm.size, dtype)
        self._pieces = np.empty((comm.size, piece), dtype) if ordered else None
        ends = np.cumsum(sizes)
        self._views = {
            name: self._flat[end - size : end].reshape(shape)
            for (name, shape), size, end in zip(layout, sizes, ends, strict=True)
        }

    def __call__(self, arrays: Mapping[str, Array], weight: float) -> None:
        """Put the average over all ranks in place of every array."""
        flat, last = self._flat, self._used - 1
        for name, view in self._views.items():
            np.multiply(arrays[name], weight, out=view)
        flat[last] = weight
        self._sum()
        total = flat[last]
        if not total > 0:
            raise ValueError("weight: expected a sum over the ranks above 0, got 0")
        for name, view in self._views.items():
            np.divide(view, total, out=arrays[name])

    def _sum(self) -> None:
        flat, pieces = self._flat, self._pieces
        if pieces is None:
            self._comm.Allreduce(MPI.IN_PLACE, flat)
            return
        self._comm.Alltoall(flat, pieces)
        mine = pieces[0]
        for theirs in pieces[1:]:
            mine += theirs
        self._comm.Allgather(mine, flat)
