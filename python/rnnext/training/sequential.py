"""Layers one after the other, as one model with one set of named parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._cache import Gradients
from .._parameters import Parametrised
from .._recurrent import Recurrent
from .._validation import Array, boolean, generator, kind, real_array
from ._chain import check_chain
from ._layer import Layer
from ._stream import SequentialStream
from .dropout import Dropout
from .pool import Pool

States = tuple[Any, ...]  # one of every layer, None of those that have none


class SequentialCache:
    """What `Sequential.forward` keeps for its `backward`: the caches of the layers.

    Attributes
    ----------
    layers : dict of str to cache
        By the layers' names; of a recurrent one a `Cache` with h, c and gates.
    """

    __slots__ = ("_model", "layers")

    def __init__(self, model: str, layers: dict[str, Any]) -> None:
        self._model = model
        self.layers = layers


class _Joined(MutableMapping[str, Array]):
    """Mappings of the layers' arrays as one, by dotted names; holds none itself."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = parts

    def _find(self, name: str) -> tuple[Any, str]:
        layer, _, rest = name.partition(".")
        if rest not in self._parts.get(layer, ()):
            raise KeyError(f"{name} is unknown (parameters: {', '.join(self)})")
        return self._parts[layer], rest

    def __getitem__(self, name: str) -> Array:
        part, rest = self._find(name)
        array: Array = part[rest]
        return array

    def __setitem__(self, name: str, values: Array) -> None:
        part, rest = self._find(name)
        part[rest] = values

    def __delitem__(self, name: str) -> None:
        raise TypeError("parameters can be changed, not added or removed")

    def __iter__(self) -> Iterator[str]:
        return (
            f"{layer}.{name}" for layer, part in self._parts.items() for name in part
        )

    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))


class Sequential:
    """A chain of layers: every one takes the output of the one before.

    Parameters
    ----------
    *layers : layers, or one mapping of str to layer
        RNN, LSTM, GRU, `Linear`, `Embedding`, `Dropout`, `Pool`, or a Sequential. Names
        are those of the mapping, or ``"0"``, ``"1"`` ... All of one dtype.

    Attributes
    ----------
    layers : dict of str to layer
    batch_first : bool
        Whether sequences are (N, T, features), as its layers say.

    Raises
    ------
    TypeError, ValueError
        If a layer is none of these or is there twice, a name has a dot, or dtypes,
        orders or numbers of features do not fit.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> model = rnnext.Sequential(
    ...     {"rnn": rnnext.GRU(3, 8, rng=0), "head": rnnext.Linear(8, 2, rng=1)}
    ... )
    >>> x = np.ones((5, 4, 3), np.float32)
    >>> y, state, cache = model.forward(x)
    >>> loss, dy = rnnext.mse_loss(y, np.zeros_like(y))
    >>> grads = model.backward(cache, dy)
    >>> y.shape, list(grads.parameters)[-2:]
    ((5, 4, 2), ['head.weight', 'head.bias'])
    """

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = dict(layers[0])
        else:
            named = {str(i): layer for i, layer in enumerate(layers)}
        if not named:
            raise ValueError("layers: expected at least one")
        for name, layer in named.items():
            if not isinstance(name, str) or not name or "." in name:
                raise ValueError(f"layers: expected names without dots, got {name!r}")
            if not isinstance(layer, (Recurrent, Layer, Sequential)):
                listed = isinstance(layer, (list, tuple))
                meant = (
                    "; Sequential(*layers) takes the layers of one" if listed else ""
                )
                raise TypeError(
                    f"layers: {name}: expected a layer, got {kind(layer)}{meant}"
                )
            if getattr(layer, "merge", "") is None:
                raise ValueError(f"layers: {name}: merge=None gives two outputs")
        self.layers: dict[str, Any] = named
        dtypes = {layer.dtype for layer in named.values() if layer.parameters}
        if len(dtypes) > 1:
            raise ValueError(
                f"layers: expected one dtype, got {', '.join(map(str, dtypes))}"
            )
        self.dtype: np.dtype[Any] = dtypes.pop() if dtypes else np.dtype(np.float32)
        self.batch_first, self._gives_steps = check_chain(named)

    def __repr__(self) -> str:
        words = ", ".join(f"{name!r}: {layer!r}" for name, layer in self.layers.items())
        return f"Sequential({{{words}}})"

    @cached_property
    def _kind(self) -> str:
        """Whose caches fit."""
        return repr(self)

    # ---------------------------------------------------------------- computation

    def _states(self, name: str, state: Any) -> States:
        if state is None:
            return (None,) * len(self.layers)
        if not isinstance(state, (tuple, list)) or len(state) != len(self.layers):
            raise TypeError(
                f"{name}: expected a tuple of {len(self.layers)}, one entry for each "
                f"layer, got {kind(state)}"
            )
        for (layer_name, layer), entry in zip(self.layers.items(), state, strict=True):
            if entry is not None and not isinstance(layer, (Recurrent, Sequential)):
                raise ValueError(f"{name}: {layer_name} has none, got one")
        return tuple(state)

    def __call__(
        self,
        x: Any,
        state: Any = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> tuple[Array, States]:
        """Inference: keeps nothing, never drops out.

        Parameters
        ----------
        x : ndarray
            What the first layer takes.
        state : tuple, optional
            One entry for each layer; None, for all or for one, is zero.
        lengths : integers of shape (N,), optional
            Steps of every sequence, for the layers that mind: recurrent ones and
            `Pool`.
        mask : booleans of shape (T, N), or (N, T) with `batch_first`, optional
            False: the step does not exist, for the same layers.

        Returns
        -------
        y : ndarray
            What the last layer gives.
        state : tuple
            One entry for each layer, None for those without a state.

        Raises
        ------
        TypeError, ValueError
            As the layers.
        """
        after = []
        for layer, before in zip(
            self.layers.values(), self._states("state", state), strict=True
        ):
            final = None
            if isinstance(layer, (Recurrent, Sequential)):
                x, final = layer(x, before, lengths=lengths, mask=mask)
            elif isinstance(layer, Pool):
                x = layer(x, lengths=lengths, mask=mask)
            else:
                x = layer(x)
            after.append(final)
        return x, tuple(after)

    def forward(
        self,
        x: Any,
        state: Any = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        rng: object = None,
    ) -> tuple[Array, States, SequentialCache]:
        """Training: the numbers of a call (dropout aside), and what backward needs.

        Parameters
        ----------
        x, state, lengths, mask
            As in a call.
        rng : None, int or numpy.random.Generator, optional
            What all dropout draws from; by default each layer's own generator.

        Returns
        -------
        y, state
            As from a call.
        cache : SequentialCache
            For `backward`.

        Raises
        ------
        TypeError, ValueError
            As the layers.
        """
        source = None if rng is None else generator("rng", rng)
        after: list[Any] = []
        caches: dict[str, Any] = {}
        for (name, layer), before in zip(
            self.layers.items(), self._states("state", state), strict=True
        ):
            final: Any = None
            cache: Any
            if isinstance(layer, (Recurrent, Sequential)):
                x, final, cache = layer.forward(
                    x, before, lengths=lengths, mask=mask, rng=source
                )
            elif isinstance(layer, Pool):
                x, cache = layer.forward(x, lengths=lengths, mask=mask)
            elif isinstance(layer, Dropout):
                x, cache = layer.forward(x, rng=source)
            else:
                x, cache = layer.forward(x)
            after.append(final)
            caches[name] = cache
        return x, tuple(after), SequentialCache(self._kind, caches)

    def backward(
        self,
        cache: SequentialCache,
        dy: Array | None = None,
        dstate: Any = None,
        *,
        need_x: bool = True,
    ) -> Gradients[States]:
        """Gradients of a loss with respect to input, initial states and parameters.

        Parameters
        ----------
        cache : SequentialCache
            From `forward`. Left intact.
        dy : ndarray of the shape of y, optional
            With respect to the output; None, only where the last layer has a state, is
            zero.
        dstate : tuple, optional
            With respect to the final states, one entry for each layer.
        need_x : bool, default True
            False skips the gradient of `x`.

        Returns
        -------
        Gradients
            With `x`, `state` (one entry for each layer) and `parameters` by the names
            of the model.

        Raises
        ------
        TypeError, ValueError
            As the layers.
        """
        if not isinstance(cache, SequentialCache):
            raise TypeError(
                f"cache: expected what forward returned, got {type(cache).__name__}"
            )
        if cache._model != self._kind:
            raise ValueError(
                f"cache: expected one of {self!r}, got one of {cache._model}"
            )
        need_x = boolean("need_x", need_x)
        states: list[Any] = []
        found: list[dict[str, Array]] = []
        gradient: Any = dy
        entries = list(
            zip(self.layers.items(), self._states("dstate", dstate), strict=True)
        )
        for i in reversed(range(len(entries))):
            (name, layer), d_after = entries[i]
            wanted = need_x or i > 0
            kept = cache.layers[name]
            if isinstance(layer, (Recurrent, Sequential)):
                grads = layer.backward(kept, gradient, d_after, need_x=wanted)
            else:
                grads = layer.backward(kept, gradient, need_x=wanted)
            gradient = grads.x
            states.append(grads.state)
            found.append({f"{name}.{k}": v for k, v in grads.parameters.items()})
        parameters = {k: v for part in reversed(found) for k, v in part.items()}
        return Gradients(gradient, tuple(reversed(states)), parameters)

    # ---------------------------------------------------------------- parameters

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Name -> read-only view, ``layer.parameter``, in the order of the layers."""
        return {
            f"{name}.{k}": v
            for name, layer in self.layers.items()
            for k, v in layer.parameters.items()
        }

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters by name.

        Returns
        -------
        dict of str to ndarray
        """
        return {
            f"{name}.{k}": v
            for name, layer in self.layers.items()
            for k, v in layer.state_dict().items()
        }

    @contextmanager
    def writable(self) -> Iterator[MutableMapping[str, Array]]:
        """Open all parameters for changes in place.

        Yields
        ------
        mapping of str to ndarray
            Name -> writable view. After the block the views are read-only again.
        """
        with ExitStack() as stack:
            yield _Joined(
                {
                    name: stack.enter_context(layer.writable())
                    for name, layer in self.layers.items()
                }
            )

    def assign(self, arrays: Mapping[str, Array] | None = None, **more: Array) -> None:
        """Replace the values of some parameters.

        Parameters
        ----------
        arrays : mapping of str to array_like, optional
            Name -> values; names with dots are no keywords, so they come as a mapping.
        **more : array_like

        Raises
        ------
        TypeError, ValueError
            If it is no mapping, values are not real numbers, or a name or a shape is
            wrong; all of them are named, and nothing changes.
        """
        self._set("assign", {} if arrays is None else arrays, more)

    def load_state_dict(self, state_dict: Mapping[str, Array]) -> None:
        """Replace all parameters.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            Exactly the names of `parameters`; converted to the model's dtype.

        Raises
        ------
        TypeError, ValueError
            If it is no mapping, or names are missing or unknown or shapes are wrong;
            all of them are named, and nothing changes.
        """
        self._set("load_state_dict", state_dict, needed=tuple(self.parameters))

    def _set(
        self,
        where: str,
        arrays: object,
        more: Mapping[str, Array] | None = None,
        needed: tuple[str, ...] = (),
    ) -> None:
        if not isinstance(arrays, Mapping):
            raise TypeError(
                f"{where}: expected a mapping of names to arrays, got {kind(arrays)}"
            )
        given, own = dict(arrays) | dict(more or {}), self.parameters
        faults = [f"{name} is missing" for name in needed if name not in given]
        parts: dict[str, dict[str, Array]] = {name: {} for name in self.layers}
        for name, value in given.items():
            if name not in own:
                faults.append(f"{name} is unknown")
                continue
            array = real_array(name, value)
            if array.shape != own[name].shape:
                faults.append(
                    f"{name}: expected shape {own[name].shape}, got {array.shape}"
                )
            layer, _, rest = name.partition(".")
            parts[layer][rest] = array
        if faults:
            raise ValueError(
                f"{where}: {'; '.join(faults)} (parameters: {', '.join(own)})"
            )
        for name, part in parts.items():
            layer = self.layers[name]
            if isinstance(layer, Parametrised):
                layer.assign(**part)
            else:
                layer.assign(part)

    # ---------------------------------------------------------------- streams

    def stream(self, batch_size: int = 1, state: Any = None) -> SequentialStream:
        """Feed the model one step at a time, in real time.

        Parameters
        ----------
        batch_size : int, default 1
            Sequences that advance together, N.
        state : tuple, optional
            Where to start, like the state of a call. Default zeros.

        Returns
        -------
        SequentialStream

        Raises
        ------
        TypeError, ValueError
            If a layer needs the whole sequence, or an argument is wrong.

        Examples
        --------
        >>> import numpy as np, rnnext
        >>> model = rnnext.Sequential(rnnext.GRU(3, 4, rng=0), rnnext.Linear(4, 2))
        >>> stream = model.stream(batch_size=5)
        >>> stream.step(np.zeros((5, 3), np.float32)).shape, stream.state[0].shape
        ((5, 2), (1, 5, 4))
        """
        return SequentialStream(self, batch_size, state)
