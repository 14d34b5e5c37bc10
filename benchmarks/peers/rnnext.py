"""Ours: layers and streams as a user calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case, Problem

import rnnext


def start(threads: int) -> None:
    rnnext.set_num_threads(threads)


def make(case: Case, problem: Problem) -> Any:
    layer = getattr(rnnext, case.cell.upper())(
        *case.shape[2:],
        num_layers=case.layers,
        bidirectional=case.directions == 2,
        dtype=case.dtype,
    )
    layer.load_state_dict(problem.parameters)
    return layer


def calls(case: Case, problem: Problem) -> dict[str, Callable[[], list[Any]]]:
    layer, x, dy = make(case, problem), problem.x, problem.dy
    lengths = problem.lengths

    def train() -> list[Any]:
        with layer.writable():
            pass  # marks the weights as changed
        _, _, cache = layer.forward(x, lengths=lengths)
        gradients = layer.backward(cache, dy)
        of = gradients.parameters
        first = of["weight_ih_l0"] if case.tokens else gradients.x
        return [first, of["weight_hh_l0"]]

    if case.work == "training":
        return {"forward and backward": train}
    if case.work == "inference":
        return {"call": lambda: [layer(x, lengths=lengths)[0]]}
    stream, out = layer.stream(), np.empty((1, case.shape[3]), case.dtype)
    return {"stream": lambda: [stream.step(x[0], out)]}
