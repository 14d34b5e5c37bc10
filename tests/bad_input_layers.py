"""Calls of layers, cells and streams that are right, for tests/test_bad_input.py.

An entry makes, from a `Case`, a function and good arguments for it by name. Arguments
are of the sizes and dtype of the case, so that some of them are empty.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

import rnnext

ENTRIES = {}  # public name -> Entry


@dataclass
class Case:
    """T steps, N sequences, I features, H hidden units; the rest is drawn from rng."""

    T: int
    N: int
    I: int
    H: int
    dtype: Any
    rng: np.random.Generator
    folder: Any = None

    def draw(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def ids(self, *shape, below=None):
        return self.rng.integers(0, below or self.I, shape)

    def pick(self, *things):
        return things[self.rng.integers(len(things))]


@dataclass
class Entry:
    """make(case) -> (function, arguments by name).

    writes: arguments that the function may write to. strict: those whose layout in
    memory matters. share: of the cases, relative to others. huge: whether arrays of
    huge sizes go in; scikit-learn looks at every number before anything else. foreign:
    whether messages are another library's. goes_on: whether an
    error comes after work that is kept.
    """

    make: Any
    writes: tuple = ()
    strict: tuple = ()
    share: float = 1.0
    huge: bool = True
    foreign: bool = False
    goes_on: bool = False


def entry(*names, **options):
    """For all kinds: make(case, name) or make(case)."""

    def add(make):
        for name in names:
            assert name not in ENTRIES, name
            kind = name.split(".")[0]
            ENTRIES[name] = Entry(lambda case, k=kind: make(case, k), **options)
        return make

    return add


LAYERS, CELLS = ("RNN", "LSTM", "GRU"), ("RNNCell", "LSTMCell", "GRUCell")


def made(case, kind, *sizes, **options):
    return getattr(rnnext, kind)(
        *(sizes or (case.I, case.H)), dtype=case.dtype, rng=1, **options
    )


def directions(case):
    return case.pick(
        {}, {"num_layers": 2}, {"bidirectional": True}, {"batch_first": True}
    )


def state_of(case, kind, *shape):
    h = case.draw(*shape)
    return (h, case.draw(*shape)) if kind.startswith("LSTM") else h


def steps_of(case, batch_first=False):
    """Some of lengths, mask, pad and reset."""
    shape = (case.N, case.T) if batch_first else (case.T, case.N)
    flags = case.rng.integers(0, 2, (2, *shape)).astype(bool)
    found = {
        "lengths": case.rng.integers(0, case.T + 1, case.N),
        "mask": flags[0],
        "pad": case.pick("zeros", "hold"),
        "reset": flags[1],
    }
    chosen = case.rng.integers(0, 3, len(found))
    return {k: v for (k, v), c in zip(found.items(), chosen, strict=True) if c == 0}


def called(case, kind):
    """A layer, and x, state and steps for a call of it."""
    options = directions(case)
    layer = made(case, kind, **options)
    order = (case.N, case.T) if options.get("batch_first") else (case.T, case.N)
    x = case.draw(*order, case.I)
    if case.pick(True, False, False):
        x = case.ids(*order)
    count = layer.num_layers * (1 + layer.bidirectional)
    arguments = {"x": x}
    if case.pick(True, False):
        arguments["state"] = state_of(case, kind, count, case.N, case.H)
    return layer, arguments | steps_of(case, bool(options.get("batch_first")))


@entry(*LAYERS)
def layer_constructor(case, kind):
    arguments = {"input_size": case.I, "hidden_size": case.H, "num_layers": 2}
    arguments |= {"bias": True, "batch_first": False, "dropout": 0.25}
    arguments |= {"bidirectional": case.pick(True, False), "dtype": "float32", "rng": 3}
    arguments |= {"input_dropout": 0.5, "recurrent_dropout": 0.1, "gate_clip": 2.0}
    gates = {"RNN": 1, "LSTM": 5, "GRU": 3}[kind]
    more = {
        "RNN": {"nonlinearity": "relu"},
        "LSTM": case.pick(
            {"peephole": True, "coupled": True, "cell_clip": 3.0, "activations": None},
            {"forget_bias": 1.0},
        ),
        "GRU": {"reset_after": False},
    }[kind]
    if kind != "RNN" and case.pick(True, False):
        more["activations"] = ["Tanh", ("Affine", 0.5, 0.1), "Elu", "Relu", "Tanh"][
            :gates
        ]
    if arguments["bidirectional"]:
        arguments["merge"] = "sum"
    else:
        arguments["reverse"] = True
    return getattr(rnnext, kind), arguments | more


@entry(*(f"{kind}.__call__" for kind in LAYERS), share=2)
def layer_call(case, kind):
    return called(case, kind)


@entry(*(f"{kind}.forward" for kind in LAYERS), share=2)
def layer_forward(case, kind):
    layer, arguments = called(case, kind)
    order = arguments["x"].shape[:2]
    T, N = order[::-1] if layer.batch_first else order
    D = 1 + layer.bidirectional
    masks = {
        "between": [case.draw(T, N, D * case.H) for _ in range(layer.num_layers - 1)],
        "recurrent": [case.draw(N, case.H) for _ in range(layer.num_layers * D)],
    }
    how = case.pick({}, {"rng": 5}, {"dropout_masks": masks})
    return layer.forward, arguments | how


@entry(*(f"{kind}.backward" for kind in LAYERS), share=2)
def layer_backward(case, kind):
    layer, arguments = called(case, kind)
    y, state, cache = layer.forward(**arguments)
    arguments = {"cache": cache, "dy": case.draw(*y.shape), "need_x": True}
    if case.pick(True, False):
        arguments["dstate"] = state_of(case, kind, *np.shape(np.asarray(state))[-3:])
    if kind == "LSTM" and case.pick(True, False):
        T, N = y.shape[1::-1] if layer.batch_first else y.shape[:2]
        arguments["dc"] = case.draw(len(cache.c), T, N, case.H)
    return layer.backward, arguments


@entry(*(f"{kind}.stream" for kind in LAYERS))
def layer_stream(case, kind):
    layer = made(case, kind)

    def stream(batch_size, state):
        made = layer.stream(batch_size, state)
        return made.batch_size, made.state

    N = max(case.N, 1)
    return stream, {"batch_size": N, "state": state_of(case, kind, 1, N, case.H)}


@entry("Stream.step", share=3, writes=("out",), strict=("out",))
def stream_step(case, _):
    N = max(case.N, 1)
    stream = made(case, case.pick(*LAYERS)).stream(N)
    x = case.pick(case.draw(N, case.I), case.ids(N))
    arguments = {"x_t": x}
    if case.pick(True, False):
        arguments["out"] = case.draw(N, case.H)
    return stream.step, arguments


@entry("Stream.state", share=2)
def stream_state(case, _):
    N, kind = max(case.N, 1), case.pick(*LAYERS)
    stream = made(case, kind).stream(N)

    def set_state(state):
        stream.state = state
        return stream.state

    return set_state, {"state": state_of(case, kind, 1, N, case.H)}


@entry(*CELLS)
def cell_constructor(case, kind):
    arguments = {"input_size": case.I, "hidden_size": case.H, "bias": True}
    arguments |= {"dtype": "float64", "rng": 3}
    more = {"RNNCell": {"nonlinearity": "relu"}, "GRUCell": {"reset_after": True}}
    return getattr(rnnext, kind), arguments | more.get(kind, {})


@entry(*(f"{kind}.{name}" for kind in CELLS for name in ("__call__", "forward")))
def cell_call(case, kind):
    cell = made(case, kind)
    batch = case.pick((), (case.N,))
    arguments = {"x": case.draw(*batch, case.I)}
    if case.pick(True, False):
        arguments["state"] = state_of(case, kind, *batch, case.H)
    return case.pick(cell, cell.forward), arguments


@entry(*(f"{kind}.backward" for kind in CELLS))
def cell_backward(case, kind):
    cell = made(case, kind)
    _, cache = cell.forward(case.draw(case.N, case.I))
    shape = (case.N, case.H)
    return cell.backward, {"cache": cache, "dstate": state_of(case, kind, *shape)}


OTHERS = {
    "Linear": lambda case: rnnext.Linear(case.I, case.H, dtype=case.dtype, rng=1),
    "Embedding": lambda case: rnnext.Embedding(
        case.I, case.H, padding_idx=0, dtype=case.dtype, rng=1
    ),
    "Dropout": lambda case: rnnext.Dropout(0.5, rng=1),
    "Pool": lambda case: rnnext.Pool(case.pick("last", "mean", "max")),
}


def other_input(case, kind):
    if kind == "Embedding":
        return {"ids": case.ids(case.T, case.N)}
    if kind == "Pool":
        steps = steps_of(case)
        found = {"y": case.draw(case.T, case.N, case.I)}
        return found | {k: v for k, v in steps.items() if k in ("lengths", "mask")}
    return {"x": case.draw(case.T, case.N, case.I)}


@entry(*OTHERS)
def other_constructor(case, kind):
    arguments = {
        "Linear": {"in_features": case.I, "out_features": case.H, "bias": True},
        "Embedding": {
            "num_embeddings": case.I,
            "embedding_dim": case.H,
            "padding_idx": 0,
        },
        "Dropout": {"p": 0.5, "rng": 3},
        "Pool": {"how": "max", "bidirectional": True, "batch_first": False},
    }[kind]
    if kind in ("Linear", "Embedding"):
        arguments |= {"dtype": "float64", "rng": 3}
    return getattr(rnnext, kind), arguments


@entry(*(f"{kind}.__call__" for kind in OTHERS))
def other_call(case, kind):
    return OTHERS[kind](case), other_input(case, kind)


@entry(*(f"{kind}.forward" for kind in OTHERS))
def other_forward(case, kind):
    more = {"rng": 4} if kind == "Dropout" else {}
    return OTHERS[kind](case).forward, other_input(case, kind) | more


@entry(*(f"{kind}.backward" for kind in OTHERS))
def other_backward(case, kind):
    layer = OTHERS[kind](case)
    y, cache = layer.forward(**other_input(case, kind))
    name = "dz" if kind == "Pool" else "dy"
    return layer.backward, {"cache": cache, name: case.draw(*y.shape), "need_x": True}


# ---------------------------------------------------------------- parameters


def any_model(case, kind):
    if kind == "Sequential":
        return model(case)
    return OTHERS[kind](case) if kind in OTHERS else made(case, kind)


WITH_PARAMETERS = (*LAYERS, *CELLS, *OTHERS, "Sequential")


@entry(*(f"{kind}.load_state_dict" for kind in WITH_PARAMETERS))
def load_state_dict(case, kind):
    layer = any_model(case, kind)
    given = {k: case.draw(*v.shape) for k, v in layer.parameters.items()}

    def load(state_dict):
        layer.load_state_dict(state_dict)
        return layer.state_dict()

    return load, {"state_dict": given}


@entry(*(f"{kind}.{do}" for kind in WITH_PARAMETERS for do in ("assign", "writable")))
def assign(case, kind):
    layer = any_model(case, kind)
    if not layer.parameters:
        return layer.load_state_dict, {"state_dict": {}}
    name, value = next(iter(layer.parameters.items()))
    write = case.pick(True, False)

    def set_one(weight):
        if write:
            with layer.writable() as p:
                p[name] = weight
        elif kind == "Sequential":
            layer.assign({name: weight})
        else:
            layer.assign(**{name: weight})
        return layer.state_dict()

    return set_one, {"weight": case.draw(*value.shape)}


# ---------------------------------------------------------------- chains


def model(case):
    return rnnext.Sequential(
        {
            "rnn": made(case, case.pick(*LAYERS)),
            "dropout": rnnext.Dropout(0.5, rng=3),
            "head": made(case, "Linear", case.H, 2),
        }
    )


@entry("Sequential")
def sequential(case, _):
    layers = {"a": made(case, "GRU"), "b": made(case, "Linear", case.H, 2)}
    return (lambda layers: rnnext.Sequential(layers)), {"layers": layers}


def sequential_input(case):
    arguments = {"x": case.draw(case.T, case.N, case.I)}
    steps = steps_of(case)
    return arguments | {k: v for k, v in steps.items() if k in ("lengths", "mask")}


@entry("Sequential.__call__", share=2)
def sequential_call(case, _):
    return model(case), sequential_input(case)


@entry("Sequential.forward", share=2)
def sequential_forward(case, _):
    return model(case).forward, sequential_input(case) | {"rng": 3}


@entry("Sequential.backward", share=2)
def sequential_backward(case, _):
    chain = model(case)
    y, _, cache = chain.forward(**sequential_input(case))
    return chain.backward, {"cache": cache, "dy": case.draw(*y.shape), "need_x": True}


@entry("Sequential.stream", share=2)
def sequential_stream(case, _):
    chain, N = model(case), max(case.N, 1)

    def steps(batch_size, state, x_t, new_state):
        stream = chain.stream(batch_size, state)
        y = stream.step(x_t)
        stream.state = new_state
        return y, stream.state

    recurrent = chain.layers["rnn"]
    state = state_of(case, type(recurrent).__name__, 1, N, case.H)
    arguments = {"batch_size": N, "state": (state, None, None)}
    arguments |= {"x_t": case.draw(N, case.I), "new_state": (state, None, None)}
    return steps, arguments
