"""What a program holds while it trains on several ranks."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import numpy as np
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

import rnnext

from .._launched import launched_ranks
from .._validation import integer, no_mask, number, real_array
from ._average import Array, FlatAverage
from ._cores import fair_threads
from ._ending import told_when_ended

D = TypeVar("D", bound=np.dtype[Any])

FAILED = 1


class Workers(AbstractContextManager["Workers"]):
    """The ranks that train one model together, seen from one of them.

    Every rank has the whole model and a part of each batch; the average of their
    gradients is the gradient of the whole batch. All methods but `shard` are
    collective: every rank calls them, in the same order.

    Used as a context, ranks on one host share out its CPUs (`rnnext.set_num_threads`,
    unless RNNEXT_NUM_THREADS is set), and an exception in one rank is printed and ends
    all of them: the others would wait for it forever.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        Default: all ranks that ``mpiexec`` started; one without it.
    ordered : bool, default True
        Every sum is taken in the order of the ranks, so that the same number of ranks
        gives the same bits run after run, on any MPI, network and placement. False
        leaves the order to MPI's Allreduce, which waits less often where there are
        many ranks and little to send.
    last_words : str, default ""
        What is printed when the job is ended before its time, by the rank that ends it
        and by the first two where they see it end around them: how to go on.

    Attributes
    ----------
    rank, size : int
        This one, from 0, of how many.
    local_rank, local_size : int
        The same among the ranks of this host.
    comm : mpi4py.MPI.Comm
        For what else a program wants to exchange.
    last_words : str
        May be changed at any time.

    Raises
    ------
    TypeError
        If `comm` is not a communicator.
    RuntimeError
        If ``mpiexec`` started several ranks and belongs to another MPI than mpi4py.

    Examples
    --------
    One program for any number of ranks, ``python train.py`` or
    ``mpiexec -n 2 python train.py``:

    >>> import numpy as np
    >>> import rnnext
    >>> from rnnext.distributed import Workers
    >>> x = np.random.default_rng(0).standard_normal((20, 8, 4)).astype(np.float32)
    >>> layer = rnnext.GRU(4, 6, rng=0)
    >>> with Workers() as workers:
    ...     workers.broadcast(layer)
    ...     part = workers.shard(x)
    ...     y, _, cache = layer.forward(part)
    ...     grads = layer.backward(cache, y)
    ...     workers.average(grads, weight=part.shape[1])
    ...     losses = workers.sum([float(0.5 * np.square(y).sum()), part.shape[1]])
    >>> losses.shape
    (2,)
    """

    def __init__(
        self,
        comm: MPI.Comm | None = None,
        *,
        ordered: bool = True,
        last_words: str = "",
    ) -> None:
        if comm is None:
            comm = MPI.COMM_WORLD
            _check_launcher(comm.size)
        elif not isinstance(comm, MPI.Comm):
            raise TypeError(f"comm: expected an mpi4py.MPI.Comm, got {comm!r}")
        self.comm = comm
        self.rank, self.size = comm.rank, comm.size
        self._host = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.local_rank, self.local_size = self._host.rank, self._host.size
        self.last_words = last_words
        self._ordered = bool(ordered)
        self._layout: tuple[tuple[str, tuple[int, ...], str], ...] = ()
        self._averages: list[FlatAverage] = []
        self._context = ExitStack()

    def __repr__(self) -> str:
        return f"Workers(rank={self.rank}, size={self.size})"

    def average(
        self, gradients: rnnext.Gradients[Any] | Mapping[str, Array], weight: float = 1
    ) -> None:
        """Replace gradients by their average over all ranks, in place.

        Parameters
        ----------
        gradients : Gradients or mapping of str to ndarray
            Of parameters (the gradients of input and state are left alone); the same
            names, shapes and dtypes on every rank.
        weight : float, default 1
            How much this rank's count: the number of whatever its loss is a mean over,
            sequences or steps. Where parts differ in size, so does this.

        Raises
        ------
        TypeError
            If `gradients` holds anything but writable float arrays.
        ValueError
            If `weight` is negative or not finite, all weights are 0, or the ranks do
            not have the same gradients.
        """
        arrays = (
            gradients.parameters
            if isinstance(gradients, rnnext.Gradients)
            else gradients
        )
        layout = _layout("gradients", arrays)
        if not 0 <= number("weight", weight) < math.inf:
            raise ValueError(f"weight: expected a number of 0 or more, got {weight!r}")
        if layout != self._layout:
            self._prepare(layout)
        if self.size > 1:
            for average in self._averages:
                average(arrays, weight)

    def _prepare(self, layout: tuple[tuple[str, tuple[int, ...], str], ...]) -> None:
        self._same("gradients", layout)
        by_dtype: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
        for name, shape, dtype in layout:
            by_dtype.setdefault(dtype, []).append((name, shape))
        self._averages = [
            FlatAverage(self.comm, tuple(names), np.dtype(dtype), self._ordered)
            for dtype, names in by_dtype.items()
        ]
        self._layout = layout

    def sum(self, values: ArrayLike) -> NDArray[np.float64]:
        """Add up a few numbers over all ranks, in the order of the ranks.

        Parameters
        ----------
        values : array_like of float
            The same shape on every rank: losses, counts, flags.

        Returns
        -------
        ndarray of float64
            The same bits on every rank.
        """
        mine = np.array(real_array("values", values), np.float64, order="C")
        everyone = np.empty((self.size, *mine.shape))
        self.comm.Allgather(mine, everyone)
        total = everyone[0, ...]
        for theirs in everyone[1:]:
            total += theirs
        return total

    def broadcast(self, model: Any) -> None:
        """Give every rank the parameters of rank 0.

        Parameters
        ----------
        model : layer, cell or Sequential
            Anything with ``writable()``; of the same shapes on every rank.

        Raises
        ------
        TypeError
            If `model` has no parameters to write to.
        ValueError
            If the ranks do not have the same names, shapes and dtypes.
        """
        if not callable(getattr(model, "writable", None)):
            raise TypeError(f"model: expected a layer or a model, got {model!r}")
        with model.writable() as parameters:
            self._same("model", _layout("model", parameters))
            for array in parameters.values():
                whole = np.ascontiguousarray(array)
                self.comm.Bcast(whole)
                if whole is not array:
                    array[...] = whole

    def shard(self, array: np.ndarray[Any, D], axis: int = 1) -> np.ndarray[Any, D]:
        """This rank's part of a whole batch.

        Parts differ by one at most, the first are the larger; in the order of the
        ranks they make up the whole.

        Parameters
        ----------
        array : ndarray
            Steps first, ``(T, N, ...)``, unless `axis` says otherwise.
        axis : int, default 1
            The axis of the batch, N; 0 for lengths and labels ``(N,)``.

        Returns
        -------
        ndarray
            A view.

        Raises
        ------
        TypeError
            If `array` is not an array, or `axis` not an integer.
        ValueError
            If there is no such axis, or it is shorter than there are ranks.

        Examples
        --------
        >>> from rnnext.distributed import Workers
        >>> Workers().shard(np.zeros((5, 8, 3))).shape
        (5, 8, 3)
        """
        if not isinstance(array, np.ndarray):
            raise TypeError(f"array: expected an ndarray, got {type(array).__name__}")
        no_mask("array", array)
        axis = integer("axis", axis)
        if not -array.ndim <= axis < array.ndim:
            raise ValueError(f"axis: {axis} is none of an array of {array.shape}")
        N = array.shape[axis]
        if self.size > N:
            raise ValueError(
                f"array: expected a batch of at least {self.size}, one for every rank, "
                f"got N={N} (axis {axis} of {array.shape})"
            )
        least, larger = divmod(N, self.size)
        start = self.rank * least + min(self.rank, larger)
        stop = start + least + (self.rank < larger)
        index = [slice(None)] * array.ndim
        index[axis] = slice(start, stop)
        return array[tuple(index)]

    def abort(self, message: str, code: int = FAILED) -> NoReturn:
        """Print a message and end every rank of the job.

        Parameters
        ----------
        message : str
            On stderr, under this rank's name.
        code : int, default 1
            Exit code of the job.
        """
        # What befalls all of them, rank 0 tells, and ends the others as they wait.
        time.sleep(0.5 if self.rank else 0)
        where = f"rank {self.rank} of {self.size} on {MPI.Get_processor_name()}"
        said = [message.rstrip(), f"({where})", self.last_words]
        print("\n".join(filter(None, said)), file=sys.stderr, flush=True)
        sys.stdout.flush()
        if self.size > 1:
            self.comm.Abort(code)
        raise SystemExit(code)

    def __enter__(self) -> Workers:
        threads = rnnext.get_num_threads()
        self._context.callback(rnnext.set_num_threads, threads)
        rnnext.set_num_threads(fair_threads(self._host))
        if self.size > 1:
            self._context.enter_context(told_when_ended(self._ended))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if error is not None and self.size > 1:
            self.abort("".join(traceback.format_exception(error)))
        self._context.close()

    def _ended(self) -> None:
        # The launcher says who died; one of the first two is left to say more.
        if self.last_words and self.rank < 2:
            print(self.last_words, file=sys.stderr, flush=True)

    def _same(self, name: str, layout: Sequence[Any]) -> None:
        """Raise, on every rank, where the ranks have something different."""
        everyone = self.comm.allgather(tuple(layout))
        for rank, theirs in enumerate(everyone):
            if theirs != everyone[0]:
                off = sorted({str(one[0]) for one in {*theirs} ^ {*everyone[0]}})
                what = ", ".join(off) or "the order of its names"
                raise ValueError(
                    f"{name}: expected the same names, shapes and dtypes on every "
                    f"rank, rank {rank} differs from rank 0 in {what}"
                )


def _layout(name: str, arrays: Any) -> tuple[tuple[str, tuple[int, ...], str], ...]:
    if not isinstance(arrays, Mapping):
        kind = type(arrays).__name__
        raise TypeError(f"{name}: expected Gradients or a mapping, got {kind}")
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.char not in "fd":
            kind = getattr(array, "dtype", type(array).__name__)
            raise TypeError(f"{name}[{key!r}]: expected a float array, got {kind}")
        no_mask(f"{name}[{key!r}]", array)
        if not array.flags.writeable:
            raise TypeError(f"{name}[{key!r}]: expected a writable array")
    return tuple((key, a.shape, a.dtype.char) for key, a in arrays.items())


def _check_launcher(size: int) -> None:
    # A library of another kind than the launcher does not hear of the other ranks.
    if size == 1 and (launched := launched_ranks()) > 1:
        raise RuntimeError(
            f"mpiexec started {launched} ranks and mpi4py sees one: they are of "
            "different MPIs; use the mpiexec of the environment of this Python"
        )
