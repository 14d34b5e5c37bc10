"""What the ranks of test_distributed.py do: ``distributed_cases.py CASE FOLDER``.

A case writes what it found as ``CASE-RANK.npz`` into the folder.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

import rnnext

SHAPES = {"a": (3, 5), "b": (7,), "c": (2, 2, 2), "d": ()}
WEIGHTS = (3.0, 0.5, 1.25, 2.0)
T, N, I, H, C = 6, 7, 3, 5, 4
STEPS = 8
LAST_WORDS = "go on with --resume"


def gradients(rank):
    """Of two dtypes, so different in size that every order of summing shows."""
    rng = np.random.default_rng(rank)
    found = {}
    for name, shape in SHAPES.items():
        values = 10.0 ** rng.integers(-3, 3) * rng.standard_normal(shape)
        found[name] = np.asarray(values, np.float64 if name == "b" else np.float32)
    return found


def network(dtype):
    return rnnext.LSTM(I, H, dtype=dtype, rng=1), rnnext.LSTM(H, C, dtype=dtype, rng=2)


def batches(dtype):
    rng = np.random.default_rng(5)
    for _ in range(STEPS):
        x = rng.standard_normal((T, N, I)).astype(dtype)
        yield x, np.full((T, N, C), 0.5, dtype)


def step(first, second, x, target):
    """The mean squared error over the batch and the gradients of all parameters."""
    hidden, _, cache_1 = first.forward(x)
    y, _, cache_2 = second.forward(hidden)
    error = y - target
    grads_2 = second.backward(cache_2, error / x.shape[1])
    grads_1 = first.backward(cache_1, grads_2.x)
    loss = 0.5 * float(np.square(error, dtype=np.float64).sum()) / x.shape[1]
    named = {f"1.{k}": v for k, v in grads_1.parameters.items()}
    return loss, named | {f"2.{k}": v for k, v in grads_2.parameters.items()}


def descend(first, second, grads, rate=0.1):
    for prefix, layer in (("1.", first), ("2.", second)):
        with layer.writable() as p:
            for name, array in p.items():
                array -= rate * grads[prefix + name]


def refused(kind, action):
    try:
        action()
    except kind as error:
        return str(error)
    return ""


def exchange(workers):
    """One of everything."""
    ordered, free = gradients(workers.rank), gradients(workers.rank)
    workers.average(ordered, WEIGHTS[workers.rank])
    type(workers)(ordered=False).average(free, WEIGHTS[workers.rank])
    again = gradients(workers.rank)
    workers.average(again, WEIGHTS[workers.rank])
    found = {f"ordered.{k}": v for k, v in ordered.items()}
    found |= {f"free.{k}": v for k, v in free.items()}
    found |= {f"again.{k}": v for k, v in again.items()}

    layer = rnnext.GRU(I, H, rng=workers.rank)
    workers.broadcast(layer)
    found |= {f"model.{k}": v for k, v in layer.parameters.items()}

    found["sum"] = workers.sum([[1.0, 0.1 * workers.rank], [1e-9, 1e9]])
    found["shard"] = workers.shard(np.arange(2 * N).reshape(2, N))
    found["labels"] = workers.shard(np.arange(N), axis=0)
    found["ranks"] = np.array([workers.rank, workers.size, workers.local_size])
    found["threads"] = np.array(rnnext.get_num_threads())

    name = "other" if workers.rank == 2 else "same"
    found["different"] = np.array(
        refused(ValueError, lambda: workers.average({name: np.zeros(2)}))
    )
    found["weightless"] = np.array(
        refused(ValueError, lambda: workers.average({"a": np.zeros(2)}, weight=0))
    )
    found["short"] = np.array(
        refused(ValueError, lambda: workers.shard(np.zeros((9, 1))))
    )
    return found


def train(workers):
    """A training whose parts differ in size; the losses and the parameters."""
    found = {}
    for dtype in ("float32", "float64"):
        model = network(dtype)
        losses = []
        for x, target in batches(dtype):
            part, wanted = workers.shard(x), workers.shard(target)
            count = part.shape[1]
            loss, grads = step(*model, part, wanted)
            workers.average(grads, weight=count)
            total = workers.sum([count, count * loss])
            losses.append(total[1] / total[0])
            descend(*model, grads)
        found[f"losses.{dtype}"] = np.array(losses)
        for i, layer in enumerate(model):
            for name, array in layer.parameters.items():
                found[f"{dtype}.{i}.{name}"] = array
    return found


def fail(workers):
    workers.last_words = LAST_WORDS
    if workers.rank == 1:
        raise ZeroDivisionError("of rank one")
    workers.sum(1.0)


def die(workers):
    workers.last_words = LAST_WORDS
    workers.sum(1.0)
    if workers.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    workers.sum(1.0)


def main(case, folder):
    from rnnext.distributed import Workers

    with Workers() as workers:
        found = globals()[case](workers)
        np.savez(Path(folder) / f"{case}-{workers.rank}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
