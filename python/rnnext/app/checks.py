"""What `rnnext selftest` checks of one instruction set, in a process of its own.

``python -m rnnext.app.checks`` writes a line of JSON as each check ends: its name, ok,
detail and seconds; last the digest of all outputs, to compare instruction sets by.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import rnnext
from rnnext._validation import Array

from . import numpy_loop

# Largest difference from NumPy over the largest output.
BOUNDS = {"float32": 1e-5, "float64": 1e-12}
KINDS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "RNN": (rnnext.RNN, {}),
    "RNN with relu": (rnnext.RNN, {"nonlinearity": "relu"}),
    "LSTM": (rnnext.LSTM, {}),
    "LSTM with peepholes": (rnnext.LSTM, {"peephole": True}),
    "GRU": (rnnext.GRU, {}),
    "GRU that resets before": (rnnext.GRU, {"reset_after": False}),
}
PLAIN = {"RNN": "rnn", "LSTM": "lstm", "GRU": "gru"}  # what the NumPy loop knows
THREADS = (1, 2, 3)


class Failed(Exception):
    """A check did not hold; the text says what came out."""


def forward() -> str:
    """Stacks of two layers and directions are what NumPy makes of them."""
    worst = dict.fromkeys(BOUNDS, 0.0)
    for dtype, bound in BOUNDS.items():
        for name, cell in PLAIN.items():
            layer, x = _problem(name, dtype, num_layers=2, bidirectional=True)
            expected = _numpy(cell, layer, x)
            difference = np.abs(layer(x)[0] - expected).max() / np.abs(expected).max()
            if not difference <= bound:
                raise Failed(f"{name}, {dtype}: {difference:.1e} from NumPy")
            worst[dtype] = max(worst[dtype], float(difference))
    found = ", ".join(f"{value:.0e} in {dtype}" for dtype, value in worst.items())
    return f"at most {found} from NumPy"


def gradients() -> str:
    """Backward gives the derivatives of forward."""
    worst = 0.0
    for name in KINDS:
        layer, x = _problem(name, "float64", sizes=(4, 2, 3, 4))
        report = rnnext.check_gradients(layer, x)
        error = report.errors[report.worst]
        if not report.ok:
            raise Failed(f"{name}: {report.worst} is {error:.1e} off")
        worst = max(worst, error)
    return f"at most {worst:.0e} from numerical derivatives"


def batches() -> str:
    """A sequence has the same bits alone and among others."""
    for name, dtype in _every():
        layer, x = _problem(name, dtype)
        _same(name, dtype, layer(x)[0][:, 2:3], layer(x[:, 2:3].copy())[0])
    return "a sequence alone and in a batch"


def threads() -> str:
    """Outputs and gradients have the same bits on any number of threads."""
    before = rnnext.get_num_threads()
    try:
        for name, dtype in _every():
            layer, x = _problem(name, dtype, sizes=(12, 24, 32, 96))
            first: list[Array] = []
            for number in THREADS:
                rnnext.set_num_threads(number)
                y, _, cache = layer.forward(x)
                grads = layer.backward(cache, y)
                found = [y, grads.x, *grads.parameters.values()]
                for one, other in zip(first or found, found, strict=True):
                    _same(name, dtype, one, other)
                first = first or found
    finally:
        rnnext.set_num_threads(before)
    return f"{', '.join(map(str, THREADS))} threads, with gradients"


def chunks() -> str:
    """A sequence has the same bits at once, in pieces and step by step."""
    for name, dtype in _every():
        layer, x = _problem(name, dtype)
        y, _ = layer(x)
        state, stream = None, layer.stream(batch_size=x.shape[1])
        for piece in np.array_split(x, 3):
            y_piece, state = layer(piece, state)
            steps = np.stack([stream.step(x_t) for x_t in piece])
            expected, y = y[: len(piece)], y[len(piece) :]
            _same(name, dtype, expected, y_piece)
            _same(name, dtype, expected, steps)
    return "one call, calls in pieces, a stream"


CHECKS: dict[str, Callable[[], str]] = {
    "forward": forward,
    "gradients": gradients,
    "bits by batch": batches,
    "bits by threads": threads,
    "bits by chunks": chunks,
}


def digest() -> str:
    """Of the outputs of every kind of layer."""
    found = hashlib.sha256()
    for name, dtype in _every():
        layer, x = _problem(name, dtype)
        found.update(layer(x)[0].tobytes())
    return found.hexdigest()


def main() -> None:
    """Write the lines."""
    for name, check in CHECKS.items():
        begin, ok = time.perf_counter(), True
        try:
            detail = check()
        except Exception as error:
            ok, detail = False, str(error) or type(error).__name__
        seconds = time.perf_counter() - begin
        _write({"name": name, "ok": ok, "detail": detail, "seconds": seconds})
    _write({"digest": digest()})


def _write(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _every() -> Iterator[tuple[str, str]]:
    for name in KINDS:
        for dtype in BOUNDS:
            yield name, dtype


def _problem(
    name: str,
    dtype: str,
    sizes: tuple[int, int, int, int] = (14, 5, 11, 19),
    **options: Any,
) -> tuple[Any, Array]:
    """A layer and an input of T, N, I and H; by default odd ones."""
    T, N, I, H = sizes
    kind, own = KINDS[name]
    layer = kind(I, H, dtype=dtype, rng=0, **own, **options)
    return layer, np.random.default_rng(1).standard_normal((T, N, I)).astype(dtype)


def _numpy(cell: str, layer: Any, x: Array) -> Array:
    """The output of a stack, by the loop in NumPy."""
    for level in range(layer.num_layers):
        ends = []
        for suffix, order in (("", 1), ("_reverse", -1)):
            parameters = {
                f"{name}_l0": layer.parameters[f"{name}_l{level}{suffix}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            y, _ = numpy_loop.forward(cell, parameters, x[::order])
            ends.append(y[::order])
        x = np.concatenate(ends, axis=-1)
    return x


def _same(name: str, dtype: str, one: Array, other: Array) -> None:
    different = int((one != other).sum())
    if different:
        raise Failed(f"{name}, {dtype}: {different} of {one.size} numbers differ")


if __name__ == "__main__":
    main()
