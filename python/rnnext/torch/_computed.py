"""The call of the modules: what PyTorch declares, computed by rnnext."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pad_packed_sequence,
)

from ._autograd import Recurrence, initial, tensors
from ._binding import Binding, Layer, array, check, check_shape


class Computed(nn.Module):
    """The call of a module whose parameters PyTorch's own class makes."""

    _layer_class: ClassVar[Any]
    _binding: Binding | None = None

    def _options(self) -> dict[str, Any]:
        """Of the layer, besides what all have."""
        return {}

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Output and final state; see `rnnext.LSTM` and PyTorch's own.

        Parameters
        ----------
        input : Tensor of shape (T, N, I), (N, T, I) with `batch_first`, or (T, I)
            On the CPU, of the dtype of the parameters; or a PackedSequence of such.
        hx : Tensor of shape (L*D, N, H), or for LSTM a tuple of two, optional
            Initial state; (L*D, H) unbatched. Default zeros.

        Returns
        -------
        output : Tensor of shape (T, N, D*H), in the layout of `input`
            Output of the last layer; a PackedSequence if `input` is one.
        state : like `hx`
            The final state.

        Raises
        ------
        TypeError
            If a tensor is of another dtype or kind.
        ValueError
            If a shape is wrong, or a tensor is not on the CPU.
        """
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        return self._padded(input, hx)

    def _padded(self, input: torch.Tensor, hx: Any) -> tuple[torch.Tensor, Any]:
        parameters, layer = self._current()
        dtype = next(iter(parameters.values())).dtype
        check("input", input, dtype)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            order = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"input: expected shape ({order}, I={self.input_size}), or "
                f"(T, I={self.input_size}) unbatched, got {tuple(input.shape)}"
            )
        swapped = self.batch_first and input.ndim == 3
        x = input.transpose(0, 1) if swapped else input
        state = self._checked_state(hx, dtype, x.shape[1:-1])
        y, final_state = self._compute(layer, parameters, x, state, {})
        return y.transpose(0, 1) if swapped else y, final_state

    def _packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        parameters, layer = self._current()
        dtype = next(iter(parameters.values())).dtype
        data, batch_sizes, order, back = input
        check("input", data, dtype)
        check_shape("input", data, ("", "I"), (len(data), self.input_size))
        x, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        state = _permuted(self._checked_state(hx, dtype, x.shape[1:-1]), order)
        options = {"lengths": lengths.numpy()}
        y, final_state = self._compute(layer, parameters, x, state, options)
        packed = pack_padded_sequence(y, lengths)
        output = PackedSequence(packed.data, batch_sizes, order, back)
        return output, _permuted(final_state, back)

    def _compute(
        self,
        layer: Layer,
        parameters: Mapping[str, torch.Tensor],
        x: torch.Tensor,
        state: Any,
        options: dict[str, Any],
    ) -> tuple[torch.Tensor, Any]:
        """Of a sequence (T, N, I) or (T, I); options: keywords of the layer's call."""
        # Also where the module got another value since.
        layer.dropout = float(self.dropout) if self.training else 0.0
        drops = layer.dropout > 0 and self.num_layers > 1
        if drops:
            options["rng"] = int(torch.randint(2**63 - 1, ()))
        h_0, c_0 = state if isinstance(state, tuple) else (state, None)

        inputs = (x, h_0, c_0, *parameters.values())
        wanted = any(t is not None and t.requires_grad for t in inputs)
        if wanted and torch.is_grad_enabled():
            y, *parts = Recurrence.apply(layer, options, *inputs)
        else:
            given = array(x), initial(layer, h_0, c_0)
            found = (layer.forward if drops else layer)(*given, **options)
            y, *parts = tensors(*found[:2])
        return y, tuple(parts) if len(parts) > 1 else parts[0]

    def _current(self) -> tuple[dict[str, torch.Tensor], Layer]:
        """The parameters, and the layer that is bound to them."""
        parameters = {name: getattr(self, name) for name in self._flat_weights_names}
        for name, parameter in parameters.items():
            if parameter is None:
                raise TypeError(f"{name}: expected a tensor, got None")
        first = self._flat_weights_names[0]
        dtype = str(parameters[first].dtype).removeprefix("torch.")
        if self._binding is None or self._binding.layer.dtype != dtype:
            check(first, parameters[first])
            layer = self._layer_class(
                self.input_size,
                self.hidden_size,
                self.num_layers,
                bias=self.bias,
                bidirectional=self.bidirectional,
                dtype=dtype,
                **self._options(),
            )
            self._binding = Binding(layer)
        # The copies to compare with are worth it where an update is to follow.
        compare = torch.is_grad_enabled() and any(
            p.requires_grad for p in parameters.values()
        )
        return parameters, self._binding.follow(parameters, compare)

    def _checked_state(self, hx: Any, dtype: torch.dtype, batch: Any) -> Any:
        """`hx` if its tensors are (L*D, N, H), or (L*D, H) unbatched."""
        if hx is None:
            return None
        count = self.num_layers * (2 if self.bidirectional else 1)
        sizes = [self.proj_size or self.hidden_size, self.hidden_size]
        parts: tuple[Any, ...] = (hx,)
        labels: tuple[str, ...] = ("hx",)
        if self._layer_class._has_c:
            if not isinstance(hx, (tuple, list)) or len(hx) != 2:
                raise TypeError(
                    f"hx: expected a tuple (h_0, c_0), got {type(hx).__name__}"
                )
            parts, labels = tuple(hx), ("h_0", "c_0")
        letters = ("", "N", "H") if batch else ("", "H")
        for label, part, size in zip(labels, parts, sizes, strict=False):
            check(label, part, dtype)
            check_shape(label, part, letters, (count, *batch, size))
        return parts if len(parts) > 1 else parts[0]

    def train(self, mode: bool = True) -> Any:
        # Averaged weights are often brought in here through `.data`.
        if self._binding is not None:
            self._binding.forget()
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        state.pop("_binding", None)
        return state


def _permuted(state: Any, order: torch.Tensor | None) -> Any:
    """The sequences of a state in another order."""
    if state is None or order is None:
        return state
    if isinstance(state, tuple):
        return tuple(part.index_select(1, order) for part in state)
    return state.index_select(1, order)
