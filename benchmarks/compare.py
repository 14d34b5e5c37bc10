"""rnnext against torch.nn and against a NumPy time loop: forward and training.

Every library runs in a process of its own and is asked in turn, round by round; the
figures are medians over the rounds. Training is the forward pass and all gradients,
with the weights marked as changed before every call. Prints one Markdown table, and
writes the figures with --json.

Run: python benchmarks/compare.py [--rounds 5] [--threads 2] [--only lstm] [--json FILE]
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

SHAPES = [
    (1, 1, 64, 64),
    (1, 1, 256, 256),
    (1, 1, 512, 512),
    (100, 1, 64, 64),
    (100, 1, 128, 128),
    (100, 1, 256, 256),
    (100, 1, 512, 512),
    (7, 10, 3, 5),
    (50, 32, 64, 128),
    (100, 64, 256, 256),
    (50, 64, 512, 512),
    (50, 128, 512, 512),
    (25, 64, 1024, 1024),
]
CELLS = ("rnn", "gru", "lstm")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
WORK = ("forward", "training")

Case = tuple[str, str, tuple[int, int, int, int], str]  # work, cell, shape, dtype


def rnnext_call(case: Case) -> Callable[[], Any]:
    import numpy as np

    import rnnext

    work, cell, (steps, batch, inputs, hidden), dtype = case
    layer: Any = getattr(rnnext, cell.upper())(inputs, hidden, dtype=dtype, rng=0)
    x = np.random.default_rng(0).standard_normal((steps, batch, inputs)).astype(dtype)
    dy = np.ones((steps, batch, hidden), dtype)

    def train() -> None:
        with layer.writable():
            pass  # marks the weights as changed
        _, _, cache = layer.forward(x)
        layer.backward(cache, dy)

    return train if work == "training" else lambda: layer(x)


def torch_call(case: Case) -> Callable[[], Any]:
    import torch

    work, cell, (steps, batch, inputs, hidden), dtype = case
    kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    layer = kind(inputs, hidden).to(getattr(torch, dtype))
    x = torch.randn(steps, batch, inputs, dtype=getattr(torch, dtype))
    dy = torch.ones(steps, batch, hidden, dtype=getattr(torch, dtype))

    def infer() -> None:
        with torch.inference_mode():
            layer(x)

    def train() -> None:
        layer.zero_grad(set_to_none=True)
        leaf = x.detach().requires_grad_()
        y, _ = layer(leaf)
        y.backward(dy)

    return train if work == "training" else infer


def numpy_call(case: Case) -> Callable[[], Any]:
    import numpy as np

    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests"))
    import reference

    work, cell, (steps, batch, inputs, hidden), _ = case
    rng = np.random.default_rng(0)
    rows = GATES[cell] * hidden
    shapes = {
        "weight_ih_l0": (rows, inputs),
        "weight_hh_l0": (rows, hidden),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    params = {k: 0.1 * rng.standard_normal(v) for k, v in shapes.items()}
    x = rng.standard_normal((steps, batch, inputs))
    dy = np.ones((steps, batch, hidden))
    name = "rnn_tanh" if cell == "rnn" else cell

    def infer() -> Any:
        return reference.network_forward(params, x, cell=name)

    def train() -> None:
        trace = infer()
        reference.network_backward(params, trace, dy, cell=name)

    return train if work == "training" else infer


CALLS = {"rnnext": rnnext_call, "torch": torch_call, "numpy": numpy_call}


def worker(library: str, threads: int, pipe: Connection) -> None:
    """Answers cases with seconds per call: the median of a short burst."""
    os.environ["RNNEXT_NUM_THREADS"] = str(threads)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
    ready: dict[Case, Callable[[], Any]] = {}
    while (question := pipe.recv()) is not None:
        case, seconds = question
        if case not in ready:
            ready.clear()
            ready[case] = CALLS[library](case)
            ready[case]()
        call = ready[case]
        times: list[float] = []
        begin = time.perf_counter()
        while len(times) < 3 or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        pipe.send(statistics.median(times))


def flops(case: Case) -> float:
    work, cell, (steps, batch, inputs, hidden), _ = case
    forward = 2.0 * steps * batch * GATES[cell] * hidden * (inputs + hidden)
    return forward * (3 if work == "training" else 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of one burst")
    parser.add_argument(
        "--rest", type=float, default=0.1, help="seconds for others to stop spinning"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--only", nargs="*", default=CELLS, choices=CELLS)
    parser.add_argument("--work", nargs="*", default=WORK, choices=WORK)
    parser.add_argument("--against", nargs="*", default=["torch", "numpy"])
    parser.add_argument("--quick", action="store_true", help="three small shapes")
    parser.add_argument("--json", metavar="FILE", help="where to write the figures")
    options = parser.parse_args()

    libraries = ["rnnext", *options.against]
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for library in libraries:
        ours, theirs = context.Pipe()
        pipes[library] = ours
        arguments = (library, options.threads, theirs)
        context.Process(target=worker, args=arguments, daemon=True).start()

    shapes = [(1, 1, 64, 64), (7, 10, 3, 5), (20, 8, 32, 64)]
    figures = []
    others = " | ".join(f"{name} µs | ratio" for name in options.against)
    print(f"| work | cell | T, N, I, H | rnnext µs | GFLOP/s | {others} |")
    print("|---|---|---|--:|--:|" + "--:|--:|" * len(options.against))
    for work in options.work:
        for cell in options.only:
            for shape in shapes if options.quick else SHAPES:
                case = (work, cell, shape, options.dtype)
                rounds: dict[str, list[float]] = {name: [] for name in libraries}
                for _ in range(options.rounds):
                    for name in libraries:
                        time.sleep(options.rest)
                        pipes[name].send((case, options.seconds))
                        rounds[name].append(pipes[name].recv())
                seconds = {k: statistics.median(v) for k, v in rounds.items()}
                figures.append({"case": case, "seconds": seconds})
                ours = seconds["rnnext"]
                theirs = " | ".join(
                    f"{seconds[k] * 1e6:,.0f} | {seconds[k] / ours:.1f}"
                    for k in options.against
                )
                print(
                    f"| {work} | {cell} | {', '.join(map(str, shape))} | "
                    f"{ours * 1e6:,.1f} | {flops(case) / ours / 1e9:.0f} | {theirs} |",
                    flush=True,
                )
    for pipe in pipes.values():
        pipe.send(None)
    for name in options.against:
        for work in options.work:
            ratios = [
                f["seconds"][name] / f["seconds"]["rnnext"]
                for f in figures
                if f["case"][0] == work
            ]
            mean = statistics.geometric_mean(ratios)
            print(f"\n{work}, {name} / rnnext: geometric mean {mean:.2f}, ", end="")
            print(f"least {min(ratios):.2f}, most {max(ratios):.1f}")
    if options.json:
        machine = {"processor": platform.processor(), "machine": platform.machine()}
        with open(options.json, "w") as file:
            json.dump({"machine": machine, "figures": figures}, file, indent=1)


if __name__ == "__main__":
    main()
