"""The course's functions against a NumPy time loop as one writes it by hand, float64.

Either side runs in a process of its own and is asked in turn, round by round; a figure
is the median over the rounds of the median over a burst. The loop is the one of the
course: a cell function that computes one step and returns what the backward needs, and
a function that calls it for every step.

Run: python benchmarks/course.py [--rounds 5] [--threads 2] [--only lstm] [--sizes own]
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

# n_x, m, T, n_a: the course's own, the same widths for long, and large.
SIZES = {
    "own": [(3, 10, 4, 5), (3, 10, 7, 5)],
    "long": [(3, 10, 200, 5)],
    "large": [(128, 64, 100, 256)],
}
CELLS = {"rnn": "", "lstm": "fico", "gru": "urc"}
OUTPUTS = 2
FUNCTIONS = ("forward", "backward", "cell_forward", "cell_backward")

Case = tuple[str, str, tuple[int, int, int, int]]  # function, cell, size


def by_hand() -> dict[str, Callable[..., Any]]:
    """The functions in plain NumPy, under their names."""
    import numpy as np

    def sigmoid(v: Any) -> Any:
        return 1 / (1 + np.exp(-v))

    def predict(w: Any, a: Any, b: Any) -> Any:
        logits = np.dot(w, a) + b
        e = np.exp(logits - np.max(logits))
        return e / e.sum(axis=0)

    def total(v: Any) -> Any:
        return np.sum(v, axis=1, keepdims=True)

    def rnn_cell_forward(xt: Any, a: Any, p: Any) -> Any:
        z = np.dot(p["Wax"], xt) + np.dot(p["Waa"], a) + p["ba"]
        new = np.tanh(z)
        return new, predict(p["Wya"], new, p["by"]), (new, a, xt, p)

    def rnn_cell_backward(da: Any, cache: Any) -> Any:
        new, a, xt, p = cache
        dz = (1 - new**2) * da
        return {
            "dxt": np.dot(p["Wax"].T, dz),
            "da_prev": np.dot(p["Waa"].T, dz),
            "dWax": np.dot(dz, xt.T),
            "dWaa": np.dot(dz, a.T),
            "dba": total(dz),
        }

    def lstm_cell_forward(xt: Any, a: Any, c: Any, p: Any) -> Any:
        v = np.concatenate((a, xt))
        f = sigmoid(np.dot(p["Wf"], v) + p["bf"])
        i = sigmoid(np.dot(p["Wi"], v) + p["bi"])
        g = np.tanh(np.dot(p["Wc"], v) + p["bc"])
        o = sigmoid(np.dot(p["Wo"], v) + p["bo"])
        c_new = f * c + i * g
        new = o * np.tanh(c_new)
        y = predict(p["Wy"], new, p["by"])
        return new, c_new, y, (new, c_new, a, c, f, i, g, o, xt, p)

    def lstm_cell_backward(da: Any, dc: Any, cache: Any) -> Any:
        _, c_new, a, c, f, i, g, o, xt, p = cache
        n, v, th = len(a), np.concatenate((a, xt)), np.tanh(c_new)
        dc = dc + da * o * (1 - th**2)
        d = {
            "f": dc * c * f * (1 - f),
            "i": dc * g * i * (1 - i),
            "c": dc * i * (1 - g**2),
            "o": da * th * o * (1 - o),
        }
        dv = sum(np.dot(p["W" + k].T, d[k]) for k in "fico")
        gradients = {"dxt": dv[n:], "da_prev": dv[:n], "dc_prev": dc * f}
        for k in "fico":
            gradients["dW" + k] = np.dot(d[k], v.T)
            gradients["db" + k] = total(d[k])
        return gradients

    def gru_cell_forward(xt: Any, a: Any, p: Any) -> Any:
        v = np.concatenate((a, xt))
        u = sigmoid(np.dot(p["Wu"], v) + p["bu"])
        r = sigmoid(np.dot(p["Wr"], v) + p["br"])
        g = np.tanh(np.dot(p["Wc"], np.concatenate((r * a, xt))) + p["bc"])
        new = u * g + (1 - u) * a
        return new, predict(p["Wy"], new, p["by"]), (new, a, u, r, g, xt, p)

    def gru_cell_backward(da: Any, cache: Any) -> Any:
        _, a, u, r, g, xt, p = cache
        n, v = len(a), np.concatenate((a, xt))
        d = {"c": da * u * (1 - g**2), "u": da * (g - a) * u * (1 - u)}
        dv_c = np.dot(p["Wc"].T, d["c"])
        d["r"] = dv_c[:n] * a * r * (1 - r)
        dv = np.dot(p["Wu"].T, d["u"]) + np.dot(p["Wr"].T, d["r"])
        gradients = {
            "dxt": dv[n:] + dv_c[n:],
            "da_prev": da * (1 - u) + dv_c[:n] * r + dv[:n],
        }
        seen = {"u": v, "r": v, "c": np.concatenate((r * a, xt))}
        for k in "urc":
            gradients["dW" + k] = np.dot(d[k], seen[k].T)
            gradients["db" + k] = total(d[k])
        return gradients

    cells = locals()

    def forward(cell: str, x: Any, a: Any, p: Any) -> Any:
        """Every output over time, then (list of caches, x)."""
        _, m, steps = x.shape
        widths = [len(a), OUTPUTS] if cell != "lstm" else [len(a), len(a), OUTPUTS]
        outputs = [np.zeros((n, m, steps)) for n in widths]
        state = [a] if cell != "lstm" else [a, np.zeros_like(a)]
        caches = []
        for t in range(steps):
            *results, cache = cells[cell + "_cell_forward"](x[:, :, t], *state, p)
            for output, result in zip(outputs, results, strict=True):
                output[:, :, t] = result
            state = results[:-1]
            caches.append(cache)
        return *outputs, (caches, x)

    def backward(cell: str, da: Any, caches: Any) -> Any:
        steps, x = caches
        dx, totals = np.zeros(x.shape), {}
        carried = [np.zeros(da.shape[:2]) for _ in range(1 + (cell == "lstm"))]
        for t in reversed(range(da.shape[2])):
            carried[0] = carried[0] + da[:, :, t]
            part = cells[cell + "_cell_backward"](*carried, steps[t])
            dx[:, :, t] = part.pop("dxt")
            carried = [part.pop(k) for k in ("da_prev", "dc_prev") if k in part]
            for name, value in part.items():
                totals[name] = totals.get(name, 0) + value
        return {"dx": dx, "carried": carried, **totals}

    functions = {name: f for name, f in cells.items() if "_cell_" in name}
    for cell in CELLS:
        functions[cell + "_forward"] = lambda *given, c=cell: forward(c, *given)
        functions[cell + "_backward"] = lambda *given, c=cell: backward(c, *given)
    return functions


def call_of(side: str, case: Case) -> Callable[[], Any]:
    """The call that is timed."""
    import numpy as np

    import rnnext

    functions = vars(rnnext) if side == "rnnext" else by_hand()
    function, cell, (n_x, m, steps, n_a) = case
    rng = np.random.default_rng(0)
    shapes = {
        "Wax": (n_a, n_x),
        "Waa": (n_a, n_a),
        "Wya": (OUTPUTS, n_a),
        "ba": (n_a, 1),
    }
    if cell != "rnn":
        shapes = {"W" + k: (n_a, n_a + n_x) for k in CELLS[cell]}
        shapes |= {"b" + k: (n_a, 1) for k in CELLS[cell]}
        shapes["Wy"] = (OUTPUTS, n_a)
    shapes["by"] = (OUTPUTS, 1)
    scale = 1 / np.sqrt(n_a + n_x)
    p = {name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}
    x, da = rng.standard_normal((n_x, m, steps)), rng.standard_normal((n_a, m, steps))
    state = [rng.standard_normal((n_a, m)) for _ in range(1 + (cell == "lstm"))]

    f = functions[f"{cell}_{function}"]
    if function == "forward":
        return lambda: f(x, state[0], p)
    if function == "backward":
        *_, caches = functions[cell + "_forward"](x, state[0], p)
        return lambda: f(da, caches)
    xt = np.ascontiguousarray(x[:, :, 0])
    if function == "cell_forward":
        return lambda: f(xt, *state, p)
    *_, cache = functions[cell + "_cell_forward"](xt, *state, p)
    return lambda: f(*state, cache)  # gradients as good as any


def worker(side: str, threads: int, pipe: Connection) -> None:
    """Answers cases with seconds per call: the median of a short burst."""
    os.environ["RNNEXT_NUM_THREADS"] = str(threads)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    while (question := pipe.recv()) is not None:
        case, seconds = question
        call = call_of(side, case)
        start = time.perf_counter()
        call()
        count = 1 + int(1e-3 / (time.perf_counter() - start))  # calls timed together
        times: list[float] = []
        begin = time.perf_counter()
        while len(times) < 3 or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            for _ in range(count):
                call()
            times.append((time.perf_counter() - start) / count)
        pipe.send(statistics.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of one burst")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(CELLS), choices=CELLS)
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=SIZES)
    options = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for side in ("rnnext", "numpy"):
        pipes[side], theirs = context.Pipe()
        arguments = (side, options.threads, theirs)
        context.Process(target=worker, args=arguments, daemon=True).start()

    print("| function | n_x, m, T, n_a | rnnext µs | numpy µs | ratio |")
    print("|---|---|--:|--:|--:|")
    for name in options.sizes:
        for size in SIZES[name]:
            for cell in options.only:
                for function in FUNCTIONS:
                    case: Case = (function, cell, size)
                    rounds: dict[str, list[float]] = {side: [] for side in pipes}
                    for _ in range(options.rounds):
                        for side, pipe in pipes.items():
                            time.sleep(0.05)  # for the other side to stop spinning
                            pipe.send((case, options.seconds))
                            rounds[side].append(pipe.recv())
                    ours, theirs = (1e6 * statistics.median(v) for v in rounds.values())
                    print(
                        f"| {cell}_{function} | {', '.join(map(str, size))} | "
                        f"{ours:,.1f} | {theirs:,.1f} | {theirs / ours:.1f} |",
                        flush=True,
                    )
    for pipe in pipes.values():
        pipe.send(None)


if __name__ == "__main__":
    main()
