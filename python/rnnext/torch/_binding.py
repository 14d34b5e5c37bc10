"""Tensors and arrays that share memory, and a module's layer of rnnext.

The parameters of the module are the memory of the layer's: nothing is copied but into
packed weights, which are made anew when a parameter has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch

from .._recurrent import Recurrent
from .._validation import Array, describe

Layer: TypeAlias = Recurrent[Any]

FLOATS = (torch.float32, torch.float64)


def check(name: str, tensor: object, dtype: torch.dtype | None = None) -> None:
    """A dense tensor on the CPU, float32 or float64, of this dtype if one is given."""
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{name}: expected a tensor on the CPU, got one on {tensor.device}; rnnext "
            "computes on the CPU"
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense tensor, got {tensor.layout}")
    if dtype is None and tensor.dtype not in FLOATS:
        raise TypeError(
            f"{name}: expected torch.float32 or torch.float64, got {tensor.dtype}"
        )
    if dtype is not None and tensor.dtype != dtype:
        raise TypeError(
            f"{name}: expected {dtype}, as the parameters are, got {tensor.dtype}; "
            f"write {name}.to({dtype})"
        )


def check_shape(
    name: str, tensor: torch.Tensor, letters: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(
            f"{name}: expected shape {describe(letters, shape)}, "
            f"got {tuple(tensor.shape)}"
        )


def array(tensor: torch.Tensor) -> Array:
    """The tensor's own memory."""
    found: Array = tensor.numpy(force=True)
    return found


class Binding:
    """A layer whose parameters are those of a module.

    It follows parameters that are replaced, and every change that PyTorch counts
    (`Tensor._version`). What is written through ``parameter.data`` or an array is not
    counted: it is found by comparing values, but only where that is asked for.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._shapes = {name: a.shape for name, a in layer.parameters.items()}
        self._seen: list[object] = []
        self._kept: list[torch.Tensor] = []  # so that no other memory has their address
        self._values: list[torch.Tensor] = []  # copies, if the last call asked for them

    def follow(self, parameters: Mapping[str, torch.Tensor], compare: bool) -> Layer:
        """The layer with the parameters as they are now."""
        seen = [_mark(p) for p in parameters.values()]
        if seen != self._seen or (compare and not self._unchanged()):
            dtype = None
            for name, parameter in parameters.items():
                check(name, parameter, dtype)
                check_shape(
                    name, parameter, ("",) * len(self._shapes[name]), self._shapes[name]
                )
                dtype = parameter.dtype
            self._kept = [p.detach() for p in parameters.values()]
            self._values = [p.clone() for p in self._kept] if compare else []
            arrays = zip(parameters, map(array, self._kept), strict=True)
            self.layer._adopt(dict(arrays))
            self._seen = seen
        return self.layer

    def _unchanged(self) -> bool:
        return len(self._values) == len(self._kept) and all(
            map(torch.equal, self._kept, self._values)
        )

    def forget(self) -> None:
        """Take the parameters anew next time, whatever was counted."""
        self._seen = []


def _mark(parameter: torch.Tensor) -> object:
    """What differs where the values may differ."""
    if parameter.is_inference():  # PyTorch counts no changes of these
        return object()
    if parameter.layout != torch.strided:  # no memory to tell by; an error follows
        return object()
    return (
        parameter.data_ptr(),
        parameter._version,
        parameter.shape,
        parameter.stride(),
    )
