"""ONNX Runtime: one session, the CPU provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
from cases import Case, Problem

from peers import onnx_model

_options = ort.SessionOptions()


def start(threads: int) -> None:
    _options.intra_op_num_threads = threads
    _options.inter_op_num_threads = 1
    _options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL


def calls(case: Case, problem: Problem) -> dict[str, Callable[[], list[Any]]]:
    step = case.work == "step"
    session = ort.InferenceSession(
        onnx_model.model(case, problem, stateful=step),
        _options,
        providers=["CPUExecutionProvider"],
    )
    if step:
        return {
            "run": _steps_by_run(session, problem.x),
            "binding": _steps_by_binding(session, problem.x),
        }
    name = session.get_outputs()[0].name
    binding = session.io_binding()
    x = ort.OrtValue.ortvalue_from_numpy(problem.x)
    binding.bind_ortvalue_input("x", x)
    binding.bind_output(name)

    def bound() -> list[Any]:
        session.run_with_iobinding(binding)
        return [onnx_model.by_time(case, binding.get_outputs()[0].numpy())]

    feeds = {"x": problem.x}

    def run() -> list[Any]:
        return [onnx_model.by_time(case, session.run([name], feeds)[0])]

    return {"run": run, "binding": bound}


def _zero_states(session: Any) -> dict[str, Any]:
    inputs = {i.name: i.shape for i in session.get_inputs() if i.name != "x"}
    return {name: np.zeros(shape, np.float32) for name, shape in inputs.items()}


def _steps_by_run(session: Any, x: Any) -> Callable[[], list[Any]]:
    feeds = {"x": x, **_zero_states(session)}
    names = [n for n in feeds if n != "x"]
    outputs = [f"{n}_n" for n in names]

    def step() -> list[Any]:
        states = session.run(outputs, feeds)
        feeds.update(zip(names, states, strict=True))
        return states[:1]

    return step


def _steps_by_binding(session: Any, x: Any) -> Callable[[], list[Any]]:
    """Two sets of states that are read and written by turns."""
    sets = [
        {
            k: ort.OrtValue.ortvalue_from_numpy(v)
            for k, v in _zero_states(session).items()
        }
        for _ in range(2)
    ]
    value = ort.OrtValue.ortvalue_from_numpy(x)
    bindings = []
    for read, written in (sets, sets[::-1]):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", value)
        for name in read:
            binding.bind_ortvalue_input(name, read[name])
            binding.bind_ortvalue_output(f"{name}_n", written[name])
        bindings.append(binding)
    turn = 0

    def step() -> list[Any]:
        nonlocal turn
        session.run_with_iobinding(bindings[turn])
        turn = 1 - turn
        return [sets[turn]["h"]]

    return step
