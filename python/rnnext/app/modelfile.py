"""Model files of all formats that the commands read.

A file becomes a `ModelFile`: its parts to be shown, and where there is one the model
that they make. rnnext's own files, PyTorch's state dicts and ONNX's graphs are read
here; `convert` writes them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import rnnext
from rnnext.cells import Cell

from .errors import AppError
from .numpy_loop import Array
from .state_dict import read_state_dict

ENDINGS = (".safetensors", ".npz", ".onnx")
# How other files become one of these.
ELSEWHERE = {
    ".pt": "save the state dict with safetensors.torch.save_file",
    ".pth": "save the state dict with safetensors.torch.save_file",
    ".bin": "save the state dict with safetensors.torch.save_file",
    ".ckpt": "save the state dict with safetensors.torch.save_file",
    ".h5": "rnnext.exchange.from_keras takes the weights",
    ".keras": "rnnext.exchange.from_keras takes the weights",
}
RNN_NOTE = "whether an RNN has tanh or relu is not in the file: tanh is assumed"


@dataclass(frozen=True)
class Part:
    """A layer, a node or some tensors of a model."""

    name: str
    kind: str  # as its constructor is called, or what a node is
    parameters: Mapping[str, Array]
    model: Any = None  # what can be run
    tables: tuple[str, ...] = ()  # parameters that are looked up, not multiplied

    @property
    def flops(self) -> int:
        """Of one step of one sequence: its products, a multiply-add counted as 2."""
        matrices = (
            array.size
            for name, array in self.parameters.items()
            if array.ndim > 1
            and name not in self.tables
            and not name.startswith("weight_ch")
        )
        return 2 * sum(matrices)


@dataclass(frozen=True)
class ModelFile:
    """What is in a file.

    model is a layer, a cell, a Sequential or a graph of ONNX; None for a state dict,
    whose parts are not known to make one.
    """

    path: str
    format: str
    parts: list[Part]
    metadata: Mapping[str, Any]
    model: Any = None
    notes: list[str] = field(default_factory=list)


def ending(path: str) -> str:
    """Of the name of a model file, in small letters; AppError for an unknown one."""
    found = os.path.splitext(path)[1].lower()
    if found in ENDINGS:
        return found
    hint = f"; {ELSEWHERE[found]}" if found in ELSEWHERE else ""
    raise AppError(
        f"{path}: expected a name that ends in {', '.join(ENDINGS)}, "
        f"got {found or 'no ending'}{hint}"
    )


def read(path: str, prefix: str = "", **options: Any) -> ModelFile:
    """Read a model file.

    Parameters
    ----------
    path : str
    prefix : str
        Of a state dict, only what begins so.
    **options
        Of the layers of a state dict, as `read_state_dict` takes them.

    Returns
    -------
    ModelFile

    Raises
    ------
    AppError
        If it cannot be read, or is no model.
    """
    kind = ending(path)
    with told(path):
        with open(path, "rb") as file:  # the system's words are the clearest
            if not file.read(1):
                raise AppError(f"{path} is empty")
        if kind == ".onnx":
            return _onnx(path)
        if kind == ".npz" or _is_ours(path):
            return _own(path)
        return _state_dict(path, prefix, options)


@contextmanager
def told(path: str) -> Iterator[None]:
    """Whatever is wrong with a file as an AppError."""
    try:
        yield
    except ImportError as error:
        raise AppError(str(error)) from error
    except OSError as error:
        raise AppError(f"cannot read {path}: {error.strerror or error}") from error
    except (TypeError, ValueError, KeyError) as error:
        raise AppError(f"{path}: {error}") from error


def parts_of(model: Any, name: str = "") -> Iterator[Part]:
    """The layers of a model, those of a Sequential one by one with dotted names."""
    if isinstance(model, rnnext.Sequential):
        for inner, layer in model.layers.items():
            yield from parts_of(layer, f"{name}.{inner}" if name else inner)
        return
    tables = ("weight",) if isinstance(model, rnnext.Embedding) else ()
    yield Part(name, repr(model), model.parameters, model, tables)


def random_input(
    model: Any, rng: np.random.Generator, T: int, N: int, *, ids: bool = False
) -> Array:
    """An input for a layer, a cell or a Sequential: normal numbers, or ids."""
    first = model
    while isinstance(first, rnnext.Sequential):
        first = next(iter(first.layers.values()))
    shape = (N, T) if getattr(first, "batch_first", False) else (T, N)
    if isinstance(first, Cell):
        shape = (N,)
    if isinstance(first, rnnext.Embedding):
        return rng.integers(0, first.num_embeddings, shape)
    size = getattr(first, "input_size", None) or getattr(first, "in_features", 1)
    if ids:
        return rng.integers(0, size, shape)
    return rng.standard_normal((*shape, size)).astype(model.dtype)


def _own(path: str) -> ModelFile:
    model, metadata = rnnext.load(path, with_metadata=True)
    parts = list(parts_of(model))
    return ModelFile(path, "rnnext", parts, metadata or {}, model)


def _onnx(path: str) -> ModelFile:
    import rnnext.onnx
    from rnnext.onnx import _layer

    model = rnnext.onnx.load(path)
    parts = [
        Part(part.name, part.kind, part.parameters, part.layer, part.tables)
        for part in _layer.parts(path, model)
    ]
    metadata = _layer.metadata(path)
    return ModelFile(path, "ONNX", parts, metadata, model)


def _is_ours(path: str) -> bool:
    return "rnnext" in _header(path)


def _header(path: str) -> dict[str, str]:
    from safetensors import safe_open

    with _safetensors(), safe_open(path, framework="numpy") as file:
        return dict(file.metadata() or {})


def _state_dict(path: str, prefix: str, options: Mapping[str, Any]) -> ModelFile:
    from safetensors.numpy import load_file

    with _safetensors():
        tensors = load_file(path)
