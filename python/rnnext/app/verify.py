"""A model beside its converted self: both run on the same random numbers.

The engines are rnnext and, where they are installed, PyTorch and ONNX Runtime.
"""

from __future__ import annotations

import copy
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import rnnext
from rnnext._recurrent import Recurrent
from rnnext._validation import Array
from rnnext.cells import Cell
from rnnext.exchange import to_torch

from .modelfile import random_input

STEPS, SEQUENCES = 7, 3
# Largest difference over the largest output; other engines have approximations of their
# own, whose errors grow with the steps and the weights.
OWN_BOUNDS = {"float32": 1e-5, "float64": 1e-12}
BOUNDS = {"float32": 1e-4, "float64": 1e-9}


class Case:
    """A model with an input and a state to run it on.

    Attributes
    ----------
    differences : dict of str to float
        What was found, by engine: the largest difference over the largest output.
    notes : list of str
        Which engine could not run the model, and why.
    """

    def __init__(self, model: Any) -> None:
        self.differences: dict[str, float] = {}
        self.notes: list[str] = []
        rng = np.random.default_rng(0)
        self._model = model
        self._x = random_input(model, rng, STEPS, SEQUENCES)
        self._state: tuple[Array, ...] = ()
        if isinstance(model, (Recurrent, Cell)):
            rows: tuple[int, ...] = (SEQUENCES,)
            if isinstance(model, Recurrent):
                rows = (model.num_layers * (1 + model.bidirectional), SEQUENCES)
            sizes = [model.proj_size or model.hidden_size]
            sizes += [model.hidden_size] * model._has_c
            self._state = tuple(
                rng.standard_normal((*rows, size)).astype(model.dtype) for size in sizes
            )
        self._expected = self._outputs(model)

    @property
    def ok(self) -> bool:
        """Whether all differences are those of rounding."""
        dtype = str(self._model.dtype)
        return all(
            value <= (OWN_BOUNDS if engine.startswith("rnnext") else BOUNDS)[dtype]
            for engine, value in self.differences.items()
        )

    def __str__(self) -> str:
        words = [
            f"{name} {'has the same bits' if value == 0 else f'is {value:.0e} off'}"
            for name, value in self.differences.items()
        ]
        return f"on a random input {', '.join(words)}"

    def by_rnnext(self, model: Any) -> None:
        """Run another model of the same kind."""
        self._compare("rnnext", self._outputs(model))

    def by_parameters(self, tensors: Mapping[str, Array]) -> None:
        """Run the model with parameters from elsewhere."""
        other = copy.deepcopy(self._model)
        other.load_state_dict(tensors)
        self.by_rnnext(other)

    def by_onnx(self, path: str) -> None:
        """Run a graph, by rnnext and by ONNX Runtime."""
        import rnnext.onnx

        given = [self._x, *self._state]
        self._compare("rnnext.onnx", rnnext.onnx.load(path)(*given))
        # Its RNN, GRU and LSTM are of float32 only.
        if importlib.util.find_spec("onnxruntime") and self._x.dtype == np.float32:
            import onnxruntime

            try:
                session = onnxruntime.InferenceSession(path)
                names = [value.name for value in session.get_inputs()]
                found = session.run(None, dict(zip(names, given, strict=True)))
            except Exception as error:  # its errors share no other class
                self.notes.append(f"ONNX Runtime cannot run it: {error}")
            else:
                self._compare("ONNX Runtime", found)

    def by_pytorch(self) -> None:
        """Run PyTorch's layer with the same weights, if there is PyTorch."""
        model = self._model
        if not isinstance(model, Recurrent) or not importlib.util.find_spec("torch"):
            return
        import torch

        options = {"batch_first": model.batch_first, "bias": model.bias}
        for name in ("nonlinearity", "proj_size"):
            if getattr(model, name, None):
                options[name] = getattr(model, name)
        made = getattr(torch.nn, type(model).__name__)(
            model.input_size,
            model.hidden_size,
            model.num_layers,
            bidirectional=model.bidirectional,
            dtype=getattr(torch, str(model.dtype)),
            **options,
        )
        weights = to_torch(model)  # type: ignore[arg-type]
        made.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        state = tuple(map(torch.from_numpy, self._state))
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is slow there
            y, final = made(
                torch.from_numpy(self._x), state if len(state) > 1 else state[0]
            )
        parts = final if isinstance(final, tuple) else (final,)
        self._compare("PyTorch", [part.numpy() for part in (y, *parts)])

    def _outputs(self, model: Any) -> list[Array]:
        if isinstance(model, (Recurrent, Cell)):
            state: Any = self._state if len(self._state) > 1 else self._state[0]
            return _flat(model(self._x, state))
        if isinstance(model, rnnext.Sequential):
            return [model(self._x)[0]]
        return [model(self._x)]

    def _compare(self, engine: str, found: Sequence[Array]) -> None:
        worst = 0.0
        for one, other in zip(self._expected, found, strict=True):
            if one.shape != other.shape:
                raise ValueError(
                    f"{engine} gives an output of shape {other.shape}, not {one.shape}"
                )
            if not np.array_equal(one, other, equal_nan=True):
                scale = float(np.abs(one).max(initial=0)) or 1.0
                difference = float(np.abs(one - other).max()) / scale
                worst = float(np.maximum(worst, difference))  # NaN stays
        self.differences[engine] = worst


def _flat(found: Any) -> list[Array]:
    if isinstance(found, tuple):
        return [array for part in found for array in _flat(part)]
    return [found]
