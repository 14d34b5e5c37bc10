"""A layer's forward and backward as one function of autograd.

What `forward` caches is handed to PyTorch as saved tensors, so it is freed when PyTorch
frees them, and its hooks (offloading, checkpoints) see them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from .._cache import Cache
from ._binding import Layer, array


class Recurrence(torch.autograd.Function):
    """(y, h_n) or (y, h_n, c_n) of a layer; differentiable once.

    layer, options: whose `forward` is called and with which keywords. parameters: those
    that the layer is bound to, in its order.
    """

    @staticmethod
    def forward(
        ctx: Any,
        layer: Layer,
        options: Mapping[str, Any],
        x: torch.Tensor,
        h_0: torch.Tensor | None,
        c_0: torch.Tensor | None,
        *parameters: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        y, state, cache = layer.forward(array(x), initial(layer, h_0, c_0), **options)
        ctx.set_materialize_grads(False)
        ctx.layer = layer
        ctx.cache, saved = _stripped(cache)
        ctx.save_for_backward(*saved)
        return tensors(y, state)

    @staticmethod
    def backward(
        ctx: Any,
        dy: torch.Tensor | None,
        dh_n: torch.Tensor | None,
        dc_n: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor | None, ...]:
        layer, needed = ctx.layer, ctx.needs_input_grad
        cache = _restored(ctx.cache, ctx.saved_tensors)
        gradients = layer.backward(
            cache,
            None if dy is None else array(dy),
            initial(layer, dh_n, dc_n),
            need_x=needed[2],
        )
        state = gradients.state
        parts = state if isinstance(state, tuple) else (state, None)
        found = [gradients.x, *parts, *gradients.parameters.values()]
        wanted = [
            torch.from_numpy(gradient) if need and gradient is not None else None
            for gradient, need in zip(found, needed[2:], strict=True)
        ]
        if torch.is_grad_enabled():  # create_graph=True
            anchor = torch.empty(0, requires_grad=True)
            wanted = [g if g is None else Once.apply(g, anchor) for g in wanted]
        return None, None, *wanted


class Once(torch.autograd.Function):
    """A gradient that is an error to differentiate.

    PyTorch's `once_differentiable` notices only gradients of incoming gradients; that
    ours also depend on the inputs would be left out silently.
    """

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, anchor: torch.Tensor) -> torch.Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, dd: torch.Tensor) -> Any:
        raise NotImplementedError(
            "rnnext.torch: gradients cannot be differentiated again, as torch.nn's can"
        )


def initial(layer: Layer, h: torch.Tensor | None, c: torch.Tensor | None) -> Any:
    """A state, or its gradient, as the layer takes it."""
    arrays = [None if part is None else array(part) for part in (h, c)]
    return tuple(arrays) if layer._has_c else arrays[0]


def tensors(y: Any, state: Any) -> tuple[torch.Tensor, ...]:
    parts = state if isinstance(state, tuple) else (state,)
    return tuple(torch.from_numpy(part) for part in (y, *parts))


def _stripped(cache: Cache) -> tuple[Cache, list[torch.Tensor | None]]:
    """The cache without its arrays, and the arrays."""
    saved = [
        None if part is None else torch.from_numpy(part)
        for entry in cache._saved
        for part in entry
    ]
    bare: Any = cache
    bare._saved = [(None,) * len(entry) for entry in cache._saved]
    return cache, saved


def _restored(cache: Cache, saved: tuple[torch.Tensor | None, ...]) -> Cache:
    arrays = iter([None if part is None else array(part) for part in saved])
    restored = copy.copy(cache)
    full: Any = restored
    full._saved = [tuple(next(arrays) for _ in entry) for entry in cache._saved]
    return restored
