"""The character model: a recurrent layer, dropout, an output layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import rnnext

from .nn import Array, Ids, dropout_mask, linear_backward, linear_forward

CELLS = {"rnn": rnnext.RNN, "gru": rnnext.GRU, "lstm": rnnext.LSTM}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class ModelConfig:
    """What a model is, its weights and characters aside.

    Attributes
    ----------
    vocabulary_size : int
        V, the number of characters.
    cell : str
        ``"lstm"``, ``"gru"`` or ``"rnn"``.
    hidden_size : int
        H.
    layers : int
        L.
    dtype : str
        ``"float32"`` or ``"float64"``.
    """

    vocabulary_size: int
    cell: str = "lstm"
    hidden_size: int = 256
    layers: int = 1
    dtype: str = "float32"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes, in order."""
        rows, size = GATES[self.cell] * self.hidden_size, self.vocabulary_size
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.layers):
            inputs = self.hidden_size if layer else size
            shapes[f"rnn.weight_ih_l{layer}"] = (rows, inputs)
            shapes[f"rnn.weight_hh_l{layer}"] = (rows, self.hidden_size)
            shapes[f"rnn.bias_ih_l{layer}"] = (rows,)
            shapes[f"rnn.bias_hh_l{layer}"] = (rows,)
        shapes["head.weight"] = (size, self.hidden_size)
        shapes["head.bias"] = (size,)
        return shapes


@dataclass(frozen=True)
class ModelCache:
    """What `CharModel.forward` keeps for `CharModel.backward`."""

    rnn: Any
    hidden: Array  # (T*N, H), after dropout
    mask: Array | None
    weight: Array
    shape: tuple[int, int]  # T, N


class CharModel:
    """Predict the next character from all before it.

    Parameters
    ----------
    config : ModelConfig
    dropout : float
        Between layers and before the output layer, in training only.
    rng : None, int, numpy.random.Generator, ...
        Draws the initial weights and the dropout.
    """

    def __init__(
        self, config: ModelConfig, *, dropout: float = 0.0, rng: Any = None
    ) -> None:
        self.config = config
        self.dropout = dropout
        self.dtype = np.dtype(config.dtype)
        self._rng = np.random.default_rng(rng)
        size, hidden = config.vocabulary_size, config.hidden_size
        self.rnn = CELLS[config.cell](
            size,
            hidden,
            num_layers=config.layers,
            dropout=dropout if config.layers > 1 else 0.0,
            dtype=self.dtype.type,
            rng=self._rng,
        )
        bound = 1 / np.sqrt(hidden)
        self._head: dict[str, Array] = {
            "weight": self._rng.uniform(-bound, bound, (size, hidden)),
            "bias": self._rng.uniform(-bound, bound, size),
        }
        self._head = {k: v.astype(self.dtype) for k, v in self._head.items()}
        if config.cell == "lstm":
            # A forget gate that starts open lets the gradient reach far back.
            with self.rnn.writable() as p:
                for layer in range(config.layers):
                    p[f"bias_ih_l{layer}"][hidden : 2 * hidden] += 1

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters by name: ``rnn.*`` and ``head.*``."""
        parameters = {f"rnn.{k}": v for k, v in self.rnn.state_dict().items()}
        return parameters | {f"head.{k}": v.copy() for k, v in self._head.items()}

    def load_state_dict(self, parameters: Mapping[str, Array]) -> None:
        """Take over the parameters of `state_dict`.

        Parameters
        ----------
        parameters : mapping of str to ndarray

        Raises
        ------
        ValueError
            When a name or a shape is wrong.
        """
        expected = self.config.shapes()
        came = {name: value.shape for name, value in parameters.items()}
        if came != expected:
            off = {k for k, v in (expected.items() ^ came.items())}
            raise ValueError(
                f"parameters: expected {expected}, off: {', '.join(sorted(off))}"
            )
        of_rnn = {
            k.removeprefix("rnn."): v
            for k, v in parameters.items()
            if k.startswith("rnn.")
        }
        self.rnn.load_state_dict(of_rnn)
        for name in self._head:
            self._head[name] = np.array(parameters[f"head.{name}"], dtype=self.dtype)

    @contextmanager
    def writable(self) -> Iterator[dict[str, Array]]:
        """All parameters as arrays to write to, by the names of `state_dict`."""
        # The caches of forward calls keep the weights they were made with.
        self._head = {name: value.copy() for name, value in self._head.items()}
        with self.rnn.writable() as p:
            named: dict[str, Array] = {f"rnn.{k}": v for k, v in p.items()}
            yield named | {f"head.{k}": v for k, v in self._head.items()}

    def inputs(self, ids: Ids) -> Array:
        """Turn characters into the recurrent layer's input: one-hot rows.

        Parameters
        ----------
        ids : ndarray of int, shape (...)

        Returns
        -------
        ndarray, shape (..., V)
        """
        x = np.zeros((ids.size, self.config.vocabulary_size), self.dtype)
        x[np.arange(ids.size), ids.reshape(-1)] = 1
        return x.reshape(*ids.shape, -1)

    def predict(self, ids: Ids, state: Any = None) -> tuple[Array, Any]:
        """Forward without dropout and without a cache.

        Parameters
        ----------
        ids : ndarray of int, shape (T, N)
        state : state of the recurrent layer, optional
            None is zero.

        Returns
        -------
        logits : ndarray, shape (T, N, V)
        state
            After the last step.
        """
        y, state = self.rnn(self.inputs(ids), state)
        logits = linear_forward(
            y.reshape(-1, y.shape[-1]), self._head["weight"], self._head["bias"]
        )
        return logits.reshape(*ids.shape, -1), state

    def forward(self, ids: Ids, state: Any = None) -> tuple[Array, Any, ModelCache]:
        """Forward for training.

        Parameters
        ----------
        ids : ndarray of int, shape (T, N)
        state : state of the recurrent layer, optional
            None is zero.

        Returns
        -------
        logits : ndarray, shape (T, N, V)
        state
            After the last step.
        cache : ModelCache
            What `backward` needs.
        """
        steps, batch = ids.shape
        y, state, saved = self.rnn.forward(self.inputs(ids), state, rng=self._rng)
        hidden, mask = y.reshape(steps * batch, -1), None
        if self.dropout:
            mask = dropout_mask(hidden.shape, self.dropout, self.dtype, self._rng)
            hidden = hidden * mask
        weight = self._head["weight"]
        logits = linear_forward(hidden, weight, self._head["bias"])
        cache = ModelCache(saved, hidden, mask, weight, (steps, batch))
        return logits.reshape(steps, batch, -1), state, cache

    def backward(self, cache: ModelCache, dlogits: Array) -> dict[str, Array]:
        """Gradients of all parameters; the state that came in counts as a constant.

        Parameters
        ----------
        cache : ModelCache
            Of `forward`.
        dlogits : ndarray, shape (T, N, V)

        Returns
        -------
        dict of str to ndarray
            By the names of `state_dict`.
        """
        steps, batch = cache.shape
        dhidden, dweight, dbias = linear_backward(
            cache.hidden, cache.weight, dlogits.reshape(steps * batch, -1)
        )
        if cache.mask is not None:
            dhidden *= cache.mask
        dy = dhidden.reshape(steps, batch, -1)
        gradients = self.rnn.backward(cache.rnn, dy, need_x=False).parameters
        named: dict[str, Array] = {f"rnn.{k}": v for k, v in gradients.items()}
        return named | {"head.weight": dweight, "head.bias": dbias}

    def stream(self) -> CharStream:
        """One text, fed character by character."""
        return CharStream(self)


class CharStream:
    """The state of a model that reads one text, and its next prediction.

    Parameters
    ----------
    model : CharModel
    """

    def __init__(self, model: CharModel) -> None:
        self._model = model
        self._stream = model.rnn.stream(batch_size=1)

    def step(self, character: int) -> Array:
        """Read one character.

        Parameters
        ----------
        character : int
            Its id.

        Returns
        -------
        ndarray, shape (V,)
            Logits of the character after it.
        """
        model = self._model
        y = self._stream.step(model.inputs(np.array([character])))
        logits = linear_forward(y, model._head["weight"], model._head["bias"])
        return logits.reshape(-1)
