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


def ragged():
    """Batches of sequences of different lengths, for a labelling of every step."""
    rng = np.random.default_rng(6)
    for _ in range(STEPS):
        x = rng.standard_normal((T, N, I))
        yield x, (x.sum(axis=2) > 0).astype(int), rng.integers(0, T + 1, N)


def fit(data, workers=None, **options):
    """The kit's loop over `data`: the history and the model."""
    first = 0 if workers is None else workers.rank  # rank 0 has the parameters
    layers = (
        rnnext.GRU(I, H, dtype=np.float64, rng=first),
        rnnext.Linear(H, 2, dtype=np.float64, rng=first),
    )
    model = rnnext.Sequential(*layers)
    history = rnnext.train(
        model,
        data,
        rnnext.softmax_cross_entropy,
        rnnext.Adam(0.05),
        epochs=2,
        validation=data,
        clip=0.5,
        workers=workers,
        **options,
    )
    return history, model


def loop(workers):
    """The kit's loop; a stop that only one rank asks for; batches that do not fit."""
    data = [
        (workers.shard(x), workers.shard(y), workers.shard(lengths, axis=0))
        for x, y, lengths in ragged()
    ]
    history, model = fit(data, workers)
    found = {f"model.{name}": array for name, array in model.parameters.items()}
    found["loss"] = np.array(history.loss)
    found["norm"] = np.array(history.gradient_norm)
    found["epochs"] = np.array([epoch["validation_loss"] for epoch in history.epochs])

    def stop(history):
        return workers.rank == 1 and history.steps == 3

    found["stopped"] = np.array(fit(data, workers, on_step=stop)[0].steps)
    stop_epoch = {"on_epoch": lambda _: workers.rank == 1}
    found["epoch"] = np.array(fit(data, workers, **stop_epoch)[0].steps)
    fewer = data[workers.rank :]
    found["fewer"] = np.array(refused(ValueError, lambda: fit(fewer, workers)))
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
