"""Model files of all formats that the commands read.

A file becomes a `ModelFile`: its parts to be shown, and where there is one the model
that they make. rnnext's own files, PyTorch's state dicts and ONNX's graphs are read
here; `convert` writes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import rnnext
from rnnext._validation import Array
from rnnext.cells import Cell
from rnnext.files import KEY

from .errors import AppError
from .state_dict import read_state_dict
from .tensors import metadata_of, tensors_of

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
TENSORS = "tensors"  # the kind of what is not known
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
    def flops(self) -> int | None:
        """Of one step of one sequence: its products, a multiply-add counted as 2.

        None where nobody knows what is done with the tensors.
        """
        if self.kind == TENSORS:
            return None
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
    """What is in a file of format "rnnext", "torch" (a state dict) or "onnx".

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
    """Of the name of a model file; AppError for an unknown one."""
    if os.path.isdir(path):
        raise AppError(f"{path} is a folder: expected the name of a file")
    found = os.path.splitext(path)[1]
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
    check_readable(path)
    kind = ending(path)
    try:
        with told(path):
            if kind == ".onnx":
                return _onnx(path)
            if kind == ".npz" or KEY in metadata_of(path):
                return _own(path)
            return _state_dict(path, prefix, options)
    except OSError as error:
        raise AppError(f"cannot read {path}: {error.strerror or error}") from error


def check_readable(path: str) -> None:
    """AppError, in the system's words, for a file that is not there or empty."""
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                raise AppError(f"{path} is empty")
    except OSError as error:
        raise AppError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def told(path: str) -> Iterator[None]:
    """What is wrong with the content of a file as an AppError."""
    try:
        yield
    except ImportError as error:
        raise AppError(str(error)) from error
    except (TypeError, ValueError, KeyError) as error:
        text = str(error)
        raise AppError(text if text.startswith(path) else f"{path}: {text}") from error


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
) -> Any:
    """An input for a layer, a cell or a Sequential: normal numbers, or ids."""
    first = model
    while isinstance(first, rnnext.Sequential):
        first = next(iter(first.layers.values()))
    shape: tuple[int, ...] = (N, T) if getattr(first, "batch_first", False) else (T, N)
    if isinstance(first, Cell):
        shape = (N,)
    if isinstance(first, rnnext.Embedding):
        return rng.integers(0, first.num_embeddings, shape)
    size: int = getattr(first, "input_size", 0) or getattr(first, "in_features", 1)
    if ids:
        return rng.integers(0, size, shape)
    return rng.standard_normal((*shape, size)).astype(model.dtype)


def _own(path: str) -> ModelFile:
    model, metadata = rnnext.load(path, with_metadata=True)
    return ModelFile(path, "rnnext", list(parts_of(model)), metadata, model)


def _onnx(path: str) -> ModelFile:
    from rnnext.onnx import load

    model = load(path)  # said what is missing
    import onnx

    from rnnext.onnx._layer import recurrent_nodes

    proto = onnx.load(path)
    layers = {node.outputs: layer for node, layer in recurrent_nodes(model)}
    arrays = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in proto.graph.initializer
    }
    parts = []
    for node in proto.graph.node:
        name = node.name or next(filter(None, node.output), "")
        layer = layers.get(tuple(node.output))
        if layer is not None:
            parts.append(Part(name, repr(layer), layer.parameters, layer))
            continue
        own = {k: arrays[k] for k in node.input if k in arrays}
        own = {k: array for k, array in own.items() if array.dtype.kind == "f"}
        if own:
            tables = tuple(own) if node.op_type == "Gather" else ()
            parts.append(Part(name, node.op_type, own, tables=tables))
    metadata = {
        "producer": f"{proto.producer_name} {proto.producer_version}".strip(),
        "opset": max(opset.version for opset in proto.opset_import),
        "nodes": ", ".join(sorted({node.op_type for node in proto.graph.node})),
    } | {entry.key: entry.value for entry in proto.metadata_props}
    return ModelFile(path, "onnx", parts, metadata, model)


def _state_dict(path: str, prefix: str, options: Mapping[str, Any]) -> ModelFile:
    tensors, notes = tensors_of(path)
    chosen = {name: a for name, a in tensors.items() if name.startswith(prefix)}
    found = read_state_dict(chosen, **options)
    if not found.recurrent:
        raise ValueError(
            f"expected a model of rnnext or a PyTorch state dict with {prefix}"
            f"weight_ih_l0, got tensors {', '.join(tensors) or 'none'}"
        )
    parts = [
        Part(name.rstrip("."), repr(layer), layer.parameters, layer)
        for name, layer in found.recurrent.items()
    ]
    parts += _others(found.others)
    if any(getattr(layer, "nonlinearity", "") for layer in found.recurrent.values()):
        notes.append(RNN_NOTE)
    return ModelFile(path, "torch", parts, metadata_of(path), None, notes)


def _others(tensors: Mapping[str, Array]) -> Iterator[Part]:
    """What is not recurrent, by prefixes; a matrix and a bias are a Linear."""
    groups: dict[str, dict[str, Array]] = {}
    for name, tensor in tensors.items():
        prefix, _, last = name.rpartition(".")
        groups.setdefault(prefix, {})[last] = tensor
    for prefix, group in groups.items():
        shapes = {name: tensor.shape for name, tensor in group.items()}
        weight, bias = shapes.get("weight", ()), shapes.get("bias", ())
        if len(group) == 2 and len(weight) == 2 and bias == weight[:1]:
            yield Part(prefix, f"Linear({weight[1]}, {weight[0]})", group)
        else:
            yield Part(prefix, TENSORS, group)
