"""Layers one after the other, as one model with one set of named parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._cache import Gradients
from .._recurrent import Recurrent
from .._validation import Array, boolean, generator
from ._layer import Layer
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
        if layer not in self._parts:
            raise KeyError(name)
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

    Raises
    ------
    TypeError, ValueError
        If a layer is none of these, a name has a dot, or the dtypes differ.

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
                raise TypeError(
                    f"layers: {name}: expected a layer, got {type(layer).__name__}"
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

    def __repr__(self) -> str:
        words = ", ".join(f"{name!r}: {layer!r}" for name, layer in self.layers.items())
        return f"Sequential({{{words}}})"

    # ---------------------------------------------------------------- computation

    def _states(self, name: str, state: Any) -> States:
        if state is None:
            return (None,) * len(self.layers)
        if not isinstance(state, (tuple, list)) or len(state) != len(self.layers):
            raise TypeError(
                f"{name}: expected a tuple of {len(self.layers)}, one entry for each "
                f"layer, got {type(state).__name__}"
            )
        for (layer_name, layer), entry in zip(self.layers.items(), state, strict=True):
            if entry is not None and not isinstance(layer, (Recurrent, Sequential)):
                raise ValueError(f"{name}: {layer_name} has none, got one")
        return tuple(state)

    def __call__(
        self, x: Any, state: Any = None, *, lengths: ArrayLike | None = None
    ) -> tuple[Array, States]:
        """Inference: keeps nothing, never drops out.

        Parameters
        ----------
        x : ndarray
            What the first layer takes.
        state : tuple, optional
            One entry for each layer; None, for all or for one, is zero.
        lengths : integers of shape (N,), optional
            Steps of every sequence, for the layers that mind.

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
                x, final = layer(x, before, lengths=lengths)
            elif isinstance(layer, Pool):
                x = layer(x, lengths=lengths)
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
        rng: object = None,
    ) -> tuple[Array, States, SequentialCache]:
        """Training: the numbers of a call (dropout aside), and what backward needs.

        Parameters
        ----------
        x, state, lengths
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
                x, final, cache = layer.forward(x, before, lengths=lengths, rng=source)
            elif isinstance(layer, Pool):
                x, cache = layer.forward(x, lengths=lengths)
            elif isinstance(layer, Dropout):
                x, cache = layer.forward(x, rng=source)
            else:
                x, cache = layer.forward(x)
            after.append(final)
            caches[name] = cache
        return x, tuple(after), SequentialCache(repr(self), caches)

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
        if cache._model != repr(self):
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
        ValueError
            If a name or a shape is wrong; nothing changes.
        """
        self.load_state_dict(self.state_dict() | dict(arrays or {}) | more)

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
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                "state_dict: expected a mapping of names to arrays, got "
                f"{type(state_dict).__name__}"
            )
        own = {name: array.shape for name, array in self.parameters.items()}
        faults = [f"{name} is missing" for name in own if name not in state_dict]
        for name, value in state_dict.items():
            if name not in own:
                faults.append(f"{name} is unknown")
            elif np.shape(value) != own[name]:
                faults.append(
                    f"{name}: expected shape {own[name]}, got {np.shape(value)}"
                )
        if faults:
            raise ValueError(
                f"load_state_dict: {'; '.join(faults)} (parameters: {', '.join(own)})"
            )
        for name, layer in self.layers.items():
            start = f"{name}."
            layer.load_state_dict(
                {
                    k.removeprefix(start): v
                    for k, v in state_dict.items()
                    if k.startswith(start)
                }
            )

    # ---------------------------------------------------------------- streams

    def stream(self, batch_size: int = 1) -> SequentialStream:
        """Feed the model one step at a time, in real time.

        Parameters
        ----------
        batch_size : int, default 1
            Sequences that advance together, N.

        Returns
        -------
        SequentialStream

        Raises
        ------
        ValueError
            If a layer needs the whole sequence.
        """
        return SequentialStream(self, batch_size)


class SequentialStream:
    """A `Sequential` that is fed one step at a time; its layers keep their states.

    The steps give the bits of a call on the whole sequence.
    """

    def __init__(self, model: Sequential, batch_size: int) -> None:
        self._steps: list[Any] = []
        self._streams: list[Any] = []
        for name, layer in model.layers.items():
            if isinstance(layer, (Recurrent, Sequential)):
                stream = layer.stream(batch_size)
                self._streams.append(stream)
                self._steps.append(stream.step)
            elif isinstance(layer, Pool):
                raise ValueError(f"stream: {name} needs the whole sequence")
            elif not isinstance(layer, Dropout):
                self._steps.append(layer)

    def step(self, x_t: Any) -> Array:
        """Advance by one step.

        Parameters
        ----------
        x_t : ndarray
            Of every sequence what the first layer takes of one step: (N, I), or ids
            (N,).

        Returns
        -------
        ndarray of shape (N, features)

        Raises
        ------
        TypeError, ValueError
            As the layers.
        """
        for step in self._steps:
            x_t = step(x_t)
        y: Array = x_t
        return y

    def reset(self) -> None:
        """Go back to the states that the stream began with."""
        for stream in self._streams:
            stream.reset()
