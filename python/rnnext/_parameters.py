"""Named arrays that change only through doors which are noticed.

`Parametrised` is the base of layers and cells: it owns the parameters, hands out
read-only views, and keeps the packed weights until a parameter changes, so that
nothing is ever computed with stale ones.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import numpy as np

from . import _core
from ._names import NamedParameters
from ._validation import Array, real_array


class _InPlace(dict[str, Array]):
    """Setting an item writes into its array: ``p[name] = values`` is never lost."""

    def __setitem__(self, name: str, values: Array) -> None:
        if name not in self:
            raise KeyError(f"{name} is unknown (parameters: {', '.join(self)})")
        array = self[name]
        if values is array:
            return
        values = real_array(name, values)
        try:
            array[...] = values
        except ValueError:
            raise ValueError(
                f"{name}: expected shape {array.shape}, got {values.shape}"
            ) from None

    def update(self, *others: Any, **arrays: Array) -> None:
        for name, values in dict(*others, **arrays).items():
            self[name] = values

    def __ior__(self, other: Any) -> _InPlace:  # type: ignore[override,misc]
        self.update(other)
        return self

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("parameters can be changed, not added or removed")

    __delitem__ = clear = pop = popitem = setdefault = _refuse


class _Block(AbstractContextManager[dict[str, Array]]):
    """One `writable` block; a class, as a generator would take twice as long."""

    __slots__ = ("_given", "_owner", "_views")

    def __init__(self, owner: Parametrised) -> None:
        self._owner = owner
        self._views: dict[str, Array] | None = None

    def __enter__(self) -> dict[str, Array]:
        if self._views is not None:
            raise RuntimeError("writable: expected one block for each call of it")
        owner = self._owner
        with owner._lock:
            views = _core.writable_views(owner._arrays)
            self._views, self._given = views, _InPlace(views)
            # Last of all: who has no memory to begin leaves the layer closed.
            owner._open.append(views)
            owner._packed = None
        return self._given

    def __exit__(self, *_: object) -> None:
        assert self._views is not None
        self._owner._close(self._views, self._given)


class Parametrised(NamedParameters):
    """Parameters of one dtype, drawn from U(-bound, bound) in the order of `shapes`."""

    dtype: np.dtype[Any]

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        bound: float,
        dtype: np.dtype[Any],
        rng: np.random.Generator,
    ) -> None:
        self.dtype = dtype
        if sum(math.prod(shape) for shape in shapes.values()) >= 2**60:
            raise MemoryError(
                "parameters: expected fewer than 2**60 numbers, got shapes "
                f"{', '.join(map(str, shapes.values()))}"
            )
        self._arrays = {
            name: rng.uniform(-bound, bound, shape).astype(dtype)
            for name, shape in shapes.items()
        }
        self._start()

    def _start(self) -> None:
        """What is derived from the arrays, and never copied with them."""
        self._lock = threading.RLock()
        # Views that writable() blocks, which are being executed, have handed out.
        self._open: list[Mapping[str, Array]] = []
        self._kept: set[str] = set()  # parameters of which such a block left a view
        # None where they have to be packed. Streams read it at every step.
        self._packed: _core.Stack | None = None
        self._views: dict[str, Array] = {}
        for name in self._arrays:
            self._expose(name)

    def _expose(self, name: str) -> None:
        # A view of a read-only array cannot be made writable.
        self._arrays[name].flags.writeable = False
        self._views[name] = self._arrays[name].view()

    def _pack(self) -> _core.Stack:
        raise NotImplementedError

    def _weights(self) -> _core.Stack:
        """The packed weights of the parameters as they are now."""
        weights = self._packed
        if weights is None:
            with self._lock:
                weights = self._pack()
                if not self._open and not self._kept:
                    self._packed = weights
        return weights

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Name -> read-only view, in PyTorch's order.

        The mapping follows every change, and so do its views, except those taken before
        a `writable` block of which a view is kept.
        """
        return MappingProxyType(self._views)

    def state_dict(self) -> dict[str, Array]:
        """Copies of the parameters, in PyTorch's names, shapes and order.

        Returns
        -------
        dict of str to ndarray

        Examples
        --------
        >>> import rnnext
        >>> list(rnnext.GRUCell(3, 4).state_dict())
        ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh']
        """
        with self._lock:
            return {name: array.copy() for name, array in self._arrays.items()}

    def writable(self) -> AbstractContextManager[dict[str, Array]]:
        """Open the parameters for changes in place.

        Returns
        -------
        context manager of dict of str to ndarray
            Name -> writable view. After the block the views are read-only again.
            What other threads compute in the meantime may see some of the changes;
            `assign` and `load_state_dict` make all of theirs at once.

        Examples
        --------
        >>> import rnnext
        >>> layer = rnnext.GRU(3, 4, rng=0)
        >>> with layer.writable() as p:
        ...     p["bias_ih_l0"][:] = 0
        >>> float(abs(layer.parameters["bias_ih_l0"]).max())
        0.0
        """
        return _Block(self)

    def _close(self, views: dict[str, Array], given: _InPlace) -> None:
        with self._lock:
            self._packed = None
            # Without memory to note what is kept, the layer stays open.
            self._kept.update(_core.close_views(views, given))
            self._open.pop()
            while self._kept and not self._open:
                name = next(iter(self._kept))
                # Without memory for a copy it is kept, and no packed weights are.
                self._arrays[name] = self._arrays[name].copy()
                self._expose(name)
                self._kept.discard(name)

    def assign(self, **arrays: Array) -> None:
        """Replace the values of some parameters.

        Parameters
        ----------
        **arrays : array_like
            Name = values, converted to the layer's dtype.

        Raises
        ------
        ValueError
            If a name or a shape is wrong; all of them are named, and nothing changes.
        TypeError
            If values are not real numbers.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> cell = rnnext.GRUCell(3, 4, rng=0)
        >>> cell.assign(bias_ih=np.zeros(12), bias_hh=np.zeros(12))
        """
        self._set(arrays, "assign")

    def load_state_dict(self, state_dict: Mapping[str, Array]) -> None:
        """Replace all parameters.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            Exactly the names of `parameters`; converted to the layer's dtype. What
            PyTorch calls `state_dict` fits after ``{k: v.numpy() for k, v in ...}``.

        Raises
        ------
        ValueError
            If names are missing or unknown or shapes are wrong; all of them are named,
            and nothing changes.
        TypeError
            If it is no mapping, or values are not real numbers.

        Examples
        --------
        >>> import rnnext
        >>> one, other = rnnext.GRU(3, 4, rng=1), rnnext.GRU(3, 4, rng=2)
        >>> other.load_state_dict(one.state_dict())
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                "state_dict: expected a mapping of names to arrays, got "
                f"{type(state_dict).__name__}"
            )
        missing = [name for name in self._arrays if name not in state_dict]
        self._set(state_dict, "load_state_dict", missing)

    def _set(
        self, arrays: Mapping[str, object], where: str, missing: list[str] | None = None
    ) -> None:
        faults = [f"{name} is missing" for name in missing or ()]
        values: dict[str, Array] = {}
        for name, value in arrays.items():
            if name not in self._arrays:
                faults.append(f"{name!s} is unknown")
                continue
            array = real_array(name, value)
            expected = self._arrays[name].shape
            if array.shape != expected:
                faults.append(f"{name}: expected shape {expected}, got {array.shape}")
                continue
            values[name] = array.astype(self.dtype)
        if faults:
            raise ValueError(
                f"{where}: {'; '.join(faults)} (parameters: {', '.join(self._arrays)})"
            )
        with self._lock:
            views = _core.writable_views({name: self._arrays[name] for name in values})
            try:
                for name, array in values.items():
                    views[name][...] = array
            finally:
                self._packed = None

    def _adopt(self, arrays: Mapping[str, Array]) -> None:
        """Make these arrays themselves the parameters; again when they have changed.

        For others who own the memory. Names, dtype and shapes have to be right.
        """
        with self._lock:
            self._arrays = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
            self._packed = None
            for name in self._arrays:
                self._expose(name)

    def __getstate__(self) -> dict[str, Any]:
        derived = ("_lock", "_open", "_kept", "_packed", "_views")
        state = {k: v for k, v in self.__dict__.items() if k not in derived}
        # Copies of one moment: others may change them before they are written.
        return state | {"_arrays": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Arrays from a pickle may rest on memory that is not theirs.
        self._arrays = {name: array.copy() for name, array in self._arrays.items()}
        self._start()
