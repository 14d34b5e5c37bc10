"""OpenVINO: one compiled model, the CPU plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from cases import Case, Problem

from peers import onnx_model

_threads = 1


def start(threads: int) -> None:
    global _threads
    _threads = threads


def calls(case: Case, problem: Problem) -> dict[str, Callable[[], list[Any]]]:
    step = case.work == "step"
    core = ov.Core()
    compiled = core.compile_model(
        core.read_model(onnx_model.model(case, problem, stateful=step)),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": _threads,
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )

    def in_turn(run: Callable[[Any], None]) -> Callable[[], list[Any]]:
        requests = _requests(compiled, problem.x)
        turn = 0

        def call() -> list[Any]:
            nonlocal turn
            request = requests[turn % len(requests)]
            run(request)
            turn += 1
            return [onnx_model.by_time(case, request.get_output_tensor(0).data)]

        return call

    def infer(request: Any) -> None:
        request.infer()

    def start_and_wait(request: Any) -> None:
        request.start_async()
        request.wait()

    return {"infer": in_turn(infer), "start_async": in_turn(start_and_wait)}


def _requests(compiled: Any, x: Any) -> list[Any]:
    """One request, or two that read each other's states."""
    states = [i.any_name for i in compiled.inputs if i.any_name != "x"]
    requests = [compiled.create_infer_request() for _ in range(2 if states else 1)]
    for request in requests:
        request.set_tensor("x", ov.Tensor(x))
    for name in states:
        shape = tuple(compiled.input(name).shape)
        first, second = (ov.Tensor(np.zeros(shape, np.float32)) for _ in range(2))
        for request, read, written in zip(
            requests, (first, second), (second, first), strict=True
        ):
            request.set_tensor(name, read)
            request.set_tensor(f"{name}_n", written)
    return requests
