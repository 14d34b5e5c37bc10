"""PyTorch: torch.nn layers, eager."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from cases import Case, Problem
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

_mode = ExitStack()


def start(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def calls(case: Case, problem: Problem) -> dict[str, Callable[[], list[Any]]]:
    _mode.close()
    layer = getattr(torch.nn, case.cell.upper())(
        *case.shape[2:],
        num_layers=case.layers,
        bidirectional=case.directions == 2,
        dtype=getattr(torch, case.dtype),
    )
    layer.load_state_dict({k: torch.tensor(v) for k, v in problem.parameters.items()})
    x, dy = torch.tensor(problem.x), torch.tensor(problem.dy)
    lengths = torch.tensor(case.lengths)
    if case.work != "training":
        _mode.enter_context(torch.inference_mode())

    def output(x: Any) -> Any:
        if case.tokens:
            x = torch.nn.functional.one_hot(x, case.shape[2]).to(dy.dtype)
        if problem.lengths is None:
            return layer(x)[0]
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], total_length=len(x))[0]

    def train() -> list[Any]:
        layer.zero_grad(set_to_none=True)
        leaf = x if case.tokens else x.detach().requires_grad_()
        output(leaf).backward(dy)
        first = layer.weight_ih_l0 if case.tokens else leaf
        return [first.grad, layer.weight_hh_l0.grad]

    if case.work == "training":
        return {"forward and backward": train}
    if case.work == "inference":
        return {"call": lambda: [output(x)]}
    return {"layer": _steps(layer, x), "cell": _steps(_cell(case, problem), x[0])}


def _cell(case: Case, problem: Problem) -> Any:
    cell = getattr(torch.nn, f"{case.cell.upper()}Cell")(*case.shape[2:])
    named = {k.removesuffix("_l0"): v for k, v in problem.parameters.items()}
    cell.load_state_dict({k: torch.tensor(v) for k, v in named.items()})
    return cell


def _steps(module: Any, x: Any) -> Callable[[], list[Any]]:
    """One step of a layer, which returns y and the state, or of a cell: the state."""
    state = None
    is_cell = isinstance(module, torch.nn.RNNCellBase)

    def step() -> list[Any]:
        nonlocal state
        state = module(x, state) if is_cell else module(x, state)[1]
        return [state[0] if isinstance(state, tuple) else state]

    return step
