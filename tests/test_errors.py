"""Wrong calls of layers, cells, streams, parameters and threads: type and message,
and life after them."""

import re

import numpy as np
import pytest
from conftest import assert_same_bits, named_gradients, named_state

import rnnext

T, N, I, H = 5, 2, 3, 4
RNG = np.random.default_rng(7)


def draw(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def read_only(array):
    array.flags.writeable = False
    return array


X, X_STEP, DY, DC = draw(T, N, I), draw(N, I), draw(T, N, H), draw(T, N, H)
STATE, WRONG_STATE = draw(1, N, H), draw(1, N, H + 1)
H_STEP, WRONG_H_STEP = draw(N, H), draw(N, H + 1)
ARRAYS = [X, X_STEP, DY, DC, STATE, WRONG_STATE, H_STEP, WRONG_H_STEP]

LSTM, GRU, RNN = (
    kind(I, H, rng=seed)
    for seed, kind in enumerate((rnnext.LSTM, rnnext.GRU, rnnext.RNN))
)
FIRST = rnnext.LSTM(I, H, batch_first=True, rng=3)
DEEP = rnnext.LSTM(I, H, 2, bidirectional=True, rng=4)
LSTM_CELL, GRU_CELL = rnnext.LSTMCell(I, H, rng=5), rnnext.GRUCell(I, H, rng=6)
LSTM_CACHE, GRU_CACHE, DEEP_CACHE = (k.forward(X)[-1] for k in (LSTM, GRU, DEEP))
LSTM_CELL_CACHE, GRU_CELL_CACHE = (
    cell.forward(X_STEP)[1] for cell in (LSTM_CELL, GRU_CELL)
)
STREAM = LSTM.stream(N)

# Two networks of the same number of cells, whose first cells have the same sizes.
STACKED = rnnext.LSTM(H, H, 2, rng=8)
BOTH_WAYS = rnnext.LSTM(H, H, bidirectional=True, rng=9)


def cache_of(layer, x=X):
    return layer.forward(x)[-1]


def write(name, values):
    with LSTM.writable() as p:
        p[name] = values


def set_state(state):
    STREAM.state = state


def step_into(out):
    STREAM.step(X_STEP, out)


DTYPES = {
    "int": X.astype(np.int64),
    "bool": X.astype(bool),
    "complex": X.astype(np.complex64),
    "object": X.astype(object),
    "float16": X.astype(np.float16),
    "float64": X.astype(np.float64),
    "longdouble": X.astype(np.longdouble),
    "byte-swapped": X.astype(X.dtype.newbyteorder()),
    "string": X.astype(str),
}
KINDS = {"list": X.tolist(), "None": None, "str": "x", "float32": np.float32(1)}
SHAPES = {"1-d": X[0, 0], "4-d": X[None], "0-d": X[0, 0, 0, ...], "size": X[..., :2]}

NO_FLOATS = "expected an array of dtype float32, got "
NO_SHAPE = "x: expected shape (T, N, I=3), or (T, I=3) unbatched, got "
NO_CELL_SHAPE = "x: expected shape (N, I=3), or (I=3,) unbatched, got "

# id: (call, exception, message)
WRONG = {
    **{
        f"x of dtype {name}": (
            lambda x=x: LSTM(x),
            TypeError,
            f"x: expected dtype float32, got {x.dtype}; write x.astype(np.float32)",
        )
        for name, x in DTYPES.items()
    },
    **{
        f"x is {name}": (
            lambda x=x: LSTM.forward(x),
            TypeError,
            f"x: {NO_FLOATS}{name if x is not None else 'NoneType'}; write ...",
        )
        for name, x in KINDS.items()
    },
    **{
        f"x of shape {name}": (
            lambda x=x: GRU(x),
            ValueError,
            f"{NO_SHAPE}{x.shape}",
        )
        for name, x in SHAPES.items()
    },
    "x batch first": (
        lambda: FIRST(X[..., :2]),
        ValueError,
        "x: expected shape (N, T, I=3), or (T, I=3) unbatched, got (5, 2, 2)",
    ),
    "x of a float64 layer": (
        lambda: rnnext.RNN(I, H, dtype=np.float64)(X),
        TypeError,
        "x: expected dtype float64, got float32; write x.astype(np.float64)",
    ),
    # the initial state
    "h_0 of another size": (
        lambda: GRU(X, WRONG_STATE),
        ValueError,
        "h_0: expected shape (1, N=2, H=4), got (1, 2, 5)",
    ),
    "h_0 of another batch": (
        lambda: RNN(X[:, :1], STATE),
        ValueError,
        "h_0: expected shape (1, N=1, H=4), got (1, 2, 4)",
    ),
    "h_0 of too few layers": (
        lambda: DEEP(X, (STATE, STATE)),
        ValueError,
        "h_0: expected shape (4, N=2, H=4), got (1, 2, 4)",
    ),
    "h_0 without its first axis": (
        lambda: GRU(X, STATE[0]),
        ValueError,
        "h_0: expected shape (1, N=2, H=4), got (2, 4)",
    ),
    "h_0 batched for unbatched x": (
        lambda: GRU(X[:, 0], STATE),
        ValueError,
        "h_0: expected shape (1, H=4), got (1, 2, 4)",
    ),
    "h_0 of float64": (
        lambda: GRU(X, STATE.astype(np.float64)),
        TypeError,
        "h_0: expected dtype float32, got float64; write h_0.astype(np.float32)",
    ),
    "h_0 is a number": (lambda: GRU(X, 0.0), TypeError, f"h_0: {NO_FLOATS}float; ..."),
    "c_0 of another size": (
        lambda: LSTM(X, (STATE, WRONG_STATE)),
        ValueError,
        "c_0: expected shape (1, N=2, H=4), got (1, 2, 5)",
    ),
    "c_0 is a list": (
        lambda: LSTM.forward(X, (STATE, STATE.tolist())),
        TypeError,
        f"c_0: {NO_FLOATS}list; ...",
    ),
    "an array for the state of an LSTM": (
        lambda: LSTM(X, STATE),
        TypeError,
        "state: expected a tuple (h_0, c_0), got ndarray",
    ),
    "three arrays for the state of an LSTM": (
        lambda: LSTM.forward(X, (STATE,) * 3),
        TypeError,
        "state: expected a tuple (h_0, c_0), got tuple of 3",
    ),
    "a tuple for the state of a GRU": (
        lambda: GRU(X, (STATE, STATE)),
        TypeError,
        "state: expected an array h_0, got tuple of 2",
    ),
    "a tuple for the state of an RNN": (
        lambda: RNN.forward(X, (STATE,)),
        TypeError,
        "state: expected an array h_0, got tuple of 1",
    ),
    # backward
    "dy of another size": (
        lambda: LSTM.backward(LSTM_CACHE, DY[..., :3]),
        ValueError,
        "dy: expected shape (T=5, N=2, D*H=4), got (5, 2, 3)",
    ),
    "dy of one direction": (
        lambda: DEEP.backward(DEEP_CACHE, DY),
        ValueError,
        "dy: expected shape (T=5, N=2, D*H=8), got (5, 2, 4)",
    ),
    "dy of fewer steps": (
        lambda: GRU.backward(GRU_CACHE, DY[:4]),
        ValueError,
        "dy: expected shape (T=5, N=2, D*H=4), got (4, 2, 4)",
    ),
    "dy batch first": (
        lambda: FIRST.backward(cache_of(FIRST), DY.swapaxes(0, 1)),
        ValueError,
        "dy: expected shape (N=5, T=2, D*H=4), got (2, 5, 4)",
    ),
    "dy of float64": (
        lambda: GRU.backward(GRU_CACHE, DY.astype(np.float64)),
        TypeError,
        "dy: expected dtype float32, got float64; write dy.astype(np.float32)",
    ),
    "dy is a number": (
        lambda: GRU.backward(GRU_CACHE, 1.0),
        TypeError,
        f"dy: {NO_FLOATS}float; ...",
    ),
    "dh_n of another size": (
        lambda: GRU.backward(GRU_CACHE, DY, WRONG_STATE),
        ValueError,
        "dh_n: expected shape (1, N=2, H=4), got (1, 2, 5)",
    ),
    "dc_n of another size": (
        lambda: LSTM.backward(LSTM_CACHE, DY, (None, WRONG_STATE)),
        ValueError,
        "dc_n: expected shape (1, N=2, H=4), got (1, 2, 5)",
    ),
    "an array for the dstate of an LSTM": (
        lambda: LSTM.backward(LSTM_CACHE, DY, STATE),
        TypeError,
        "dstate: expected a tuple (dh_n, dc_n), got ndarray",
    ),
    "a tuple for the dstate of a GRU": (
        lambda: GRU.backward(GRU_CACHE, DY, (STATE, None)),
        TypeError,
        "dstate: expected an array dh_n, got tuple of 2",
    ),
    "dc of another size": (
        lambda: LSTM.backward(LSTM_CACHE, dc=DC[..., :3]),
        ValueError,
        "dc: expected shape (T=5, N=2, H=4), got (5, 2, 3)",
    ),
    "dc of one layer": (
        lambda: DEEP.backward(DEEP_CACHE, dc=DC),
        ValueError,
        "dc: expected shape (4, T=5, N=2, H=4), got (5, 2, 4)",
    ),
    "dc of no layers": (
        lambda: DEEP.backward(DEEP_CACHE, dc=[]),
        ValueError,
        "dc: expected ...",
    ),
    "dc of layers that differ": (
        lambda: DEEP.backward(DEEP_CACHE, dc=[DC, DC, DC, DC[:4]]),
        ValueError,
        "dc: expected ...",
    ),
    "dc of float64": (
        lambda: LSTM.backward(LSTM_CACHE, dc=DC.astype(np.float64)),
        TypeError,
        "dc: expected dtype float32, got float64; ...",
    ),
    "dc of a GRU": (
        lambda: GRU.backward(GRU_CACHE, dc=DC),
        TypeError,
        "dc: GRU has no cell state",
    ),
    "need_x is a number": (
        lambda: GRU.backward(GRU_CACHE, DY, need_x=1),
        TypeError,
        "need_x: expected True or False, got int",
    ),
    # caches of others
    "cache is a string": (
        lambda: LSTM.backward("cache", DY),
        TypeError,
        "cache: expected what forward returned, got str",
    ),
    "cache of a cell": (
        lambda: LSTM.backward(LSTM_CELL_CACHE, DY),
        TypeError,
        "cache: expected what forward returned, got CellCache",
    ),
    "cache of another kind of layer": (
        lambda: GRU.backward(LSTM_CACHE, DY),
        ValueError,
        "cache: expected one of a layer of (cell=gru, ...got one of (cell=lstm, ...",
    ),
    "cache of another size": (
        lambda: rnnext.LSTM(I, 5).backward(LSTM_CACHE),
        ValueError,
        "cache: expected one of a layer of (...H=5...got one of (...H=4...",
    ),
    "cache of another dtype": (
        lambda: rnnext.LSTM(I, H, dtype=np.float64).backward(LSTM_CACHE),
        ValueError,
        "cache: expected one of a layer of (...float64), got one of (...float32)",
    ),
    "cache of fewer layers": (
        lambda: DEEP.backward(LSTM_CACHE),
        ValueError,
        "cache: expected one of a layer of (..., got one of (...",
    ),
    "cache of layers for directions": (
        lambda: BOTH_WAYS.backward(cache_of(STACKED, draw(T, N, H))),
        ValueError,
        "cache: expected one of a layer of (..., got one of (...",
    ),
    "cache of directions for layers": (
        lambda: STACKED.backward(cache_of(BOTH_WAYS, draw(T, N, H))),
        ValueError,
        "cache: expected one of a layer of (..., got one of (...",
    ),
    "cache of layers for directions of other sizes": (
        lambda: rnnext.GRU(I, H, bidirectional=True).backward(
            cache_of(rnnext.GRU(I, H, 2))
        ),
        ValueError,
        "cache: expected one of a layer of (..., got one of (...",
    ),
    "cache without biases": (
        lambda: LSTM.backward(cache_of(rnnext.LSTM(I, H, bias=False)), DY),
        ValueError,
        "cache: expected one of a layer of (..., got one of (...",
    ),
    "cell: cache of another cell": (
        lambda: GRU_CELL.backward(LSTM_CELL_CACHE, H_STEP),
        ValueError,
        "cache: expected one of this cell...('gru', 3, ...got ('lstm', 3, ...",
    ),
    "cell: cache without biases": (
        lambda: rnnext.GRUCell(I, H, bias=False).backward(GRU_CELL_CACHE, H_STEP),
        ValueError,
        "cache: expected one of this cell...",
    ),
    "cell: cache of a layer": (
        lambda: GRU_CELL.backward(GRU_CACHE, H_STEP),
        TypeError,
        "cache: expected what forward returned, got Cache",
    ),
    # cells
    "cell: x of three dimensions": (
        lambda: GRU_CELL(X),
        ValueError,
        f"{NO_CELL_SHAPE}(5, 2, 3)",
    ),
    "cell: x of another size": (
        lambda: LSTM_CELL(X_STEP[:, :2]),
        ValueError,
        f"{NO_CELL_SHAPE}(2, 2)",
    ),
    "cell: x is a list": (
        lambda: GRU_CELL(X_STEP.tolist()),
        TypeError,
        f"x: {NO_FLOATS}list; ...",
    ),
    "cell: state of another size": (
        lambda: GRU_CELL(X_STEP, WRONG_H_STEP),
        ValueError,
        "h: expected shape (N=2, H=4), got (2, 5)",
    ),
    "cell: c of another size": (
        lambda: LSTM_CELL(X_STEP, (H_STEP, WRONG_H_STEP)),
        ValueError,
        "c: expected shape (N=2, H=4), got (2, 5)",
    ),
    "cell: an array for the state of an LSTM": (
        lambda: LSTM_CELL(X_STEP, H_STEP),
        TypeError,
        "state: expected a tuple (h, c), got ndarray",
    ),
    "cell: three arrays for the state of an LSTM": (
        lambda: LSTM_CELL(X_STEP, (H_STEP,) * 3),
        TypeError,
        "state: expected a tuple (h, c), got tuple of 3",
    ),
    "cell: a tuple for the state of a GRU": (
        lambda: GRU_CELL(X_STEP, (H_STEP,)),
        TypeError,
        "state: expected an array...got tuple of 1",
    ),
    "cell: dstate of another size": (
        lambda: LSTM_CELL.backward(LSTM_CELL_CACHE, (None, WRONG_H_STEP)),
        ValueError,
        "dc: expected shape (N=2, H=4), got (2, 5)",
    ),
    # streams
    "a stream of two directions": (
        lambda: DEEP.stream(),
        ValueError,
        "stream: a bidirectional layer needs the whole sequence; ...",
    ),
    "a stream of no sequences": (
        lambda: LSTM.stream(0),
        ValueError,
        "batch_size: expected 1 or more, got 0",
    ),
    "a stream of a half": (
        lambda: LSTM.stream(0.5),
        TypeError,
        "batch_size: expected an integer, got float",
    ),
    "a stream of more than can be counted": (
        lambda: LSTM.stream(2**63),
        (MemoryError, ValueError),
        "...",
    ),
    "a stream of another state": (
        lambda: LSTM.stream(1, (STATE, STATE)),
        ValueError,
        "h_0: expected shape (1, N=1, H=4), got (1, 2, 4)",
    ),
    "stream: x_t of another batch": (
        lambda: STREAM.step(X_STEP[:1]),
        ValueError,
        "x_t: expected shape (N=2, I=3), got (1, 3)",
    ),
    "stream: x_t is a sequence": (
        lambda: STREAM.step(X),
        ValueError,
        "x_t: expected shape (N=2, I=3), got (5, 2, 3)",
    ),
    "stream: x_t of float64": (
        lambda: STREAM.step(X_STEP.astype(np.float64)),
        TypeError,
        "x_t: expected dtype float32, got float64; ...",
    ),
    "stream: out of another size": (
        lambda: step_into(np.empty((N, H + 1), np.float32)),
        ValueError,
        "out: expected shape (N=2, H=4), got (2, 5)",
    ),
    "stream: out of float64": (
        lambda: step_into(np.empty((N, H))),
        TypeError,
        "out: expected dtype float32, got float64; ...",
    ),
    "stream: out is a list": (
        lambda: step_into([]),
        TypeError,
        f"out: {NO_FLOATS}list; ...",
    ),
    "stream: out is not contiguous": (
        lambda: step_into(np.empty((H, N), np.float32).T),
        ValueError,
        "out: expected a writable C-contiguous array",
    ),
    "stream: out is read-only": (
        lambda: step_into(read_only(np.empty((N, H), np.float32))),
        ValueError,
        "out: expected a writable C-contiguous array",
    ),
    "stream: state is an array": (
        lambda: set_state(STATE),
        TypeError,
        "state: expected a tuple (h_0, c_0), got ndarray",
    ),
    "stream: state of another size": (
        lambda: set_state((STATE, WRONG_STATE)),
        ValueError,
        "c_0: expected shape (1, N=2, H=4), got (1, 2, 5)",
    ),
    # parameters
    "assign: everything wrong": (
        lambda: LSTM.assign(
            bias_ih_l0=np.ones(15), foo=1, weight_hh_l0=np.ones((3, 4))
        ),
        ValueError,
        "assign: bias_ih_l0: ...(16,), got (15,); foo is unknown; weight_hh_l0: ...",
    ),
    "assign: one right, one wrong": (
        lambda: LSTM.assign(bias_ih_l0=np.ones(16), bias_hh_l0=np.ones((16, 1))),
        ValueError,
        "assign: bias_hh_l0: expected shape (16,), got (16, 1)...",
    ),
    "assign: a number": (
        lambda: LSTM.assign(bias_ih_l0=0),
        ValueError,
        "assign: bias_ih_l0: expected shape (16,), got ()...",
    ),
    "assign: complex": (
        lambda: LSTM.assign(bias_hh_l0=np.ones(16), bias_ih_l0=np.ones(16) + 0j),
        TypeError,
        "bias_ih_l0: expected real numbers, got dtype complex128",
    ),
    "assign: None": (
        lambda: LSTM.assign(bias_ih_l0=None),
        TypeError,
        "bias_ih_l0: expected real numbers, got dtype object",
    ),
    "assign: rows that differ": (
        lambda: LSTM.assign(bias_ih_l0=[[1], [1, 2]]),
        (TypeError, ValueError),
        "...bias_ih_l0: expected...",
    ),
    "load_state_dict: missing and unknown": (
        lambda: GRU.load_state_dict({"weight_ih_l0": np.ones((12, 3)), "foo": 1}),
        ValueError,
        "...: weight_hh_l0 is missing; bias_ih_l0 is missing; ...; foo is unknown...",
    ),
    "load_state_dict: of another layer": (
        lambda: GRU.load_state_dict(LSTM.state_dict()),
        ValueError,
        "...weight_ih_l0: ...(12, 3), got (16, 3)...bias_hh_l0: ...(12,), got (16,)...",
    ),
    "load_state_dict: no mapping": (
        lambda: GRU.load_state_dict([1]),
        TypeError,
        "state_dict: expected a mapping of names to arrays, got list",
    ),
    "load_state_dict: complex": (
        lambda: GRU.load_state_dict(
            {k: v + 0j for k, v in GRU.state_dict().items()},
        ),
        TypeError,
        "weight_ih_l0: expected real numbers, got dtype complex64",
    ),
    "writable: unknown": (lambda: write("foo", 1), KeyError, "...foo..."),
    "writable: another shape": (
        lambda: write("bias_ih_l0", np.ones(15)),
        ValueError,
        "bias_ih_l0: expected shape (16,), got (15,)",
    ),
    "writable: complex": (
        lambda: write("bias_ih_l0", np.ones(16) + 1j),
        TypeError,
        "bias_ih_l0: expected real numbers, got dtype complex128",
    ),
    "writable: None": (
        lambda: write("bias_ih_l0", None),
        TypeError,
        "bias_ih_l0: expected real numbers, got dtype object",
    ),
    "a view written to": (
        lambda: LSTM.parameters["bias_ih_l0"].fill(0),
        ValueError,
        "...read-only",
    ),
    "a cache written to": (
        lambda: LSTM_CACHE.gates[0].fill(0),
        ValueError,
        "...read-only",
    ),
}

# How to make a layer, and how not to.
OPTIONS = {
    "input_size": (
        (0, -1, 1.0, True, "3", None, 2**62),
        "an integer|1 or more|at most",
    ),
    "hidden_size": (
        (0, -4, 4.0, False, [4], None, 2**62),
        "an integer|1 or more|at most",
    ),
    "num_layers": ((0, -1, 2.0, True, "2", None), "an integer|1 or more|at most"),
    "bias": ((1, 0, "yes", None), "True or False"),
    "batch_first": ((1, "T", None), "True or False"),
    "bidirectional": ((2, "both", None), "True or False"),
    "dropout": ((-0.1, 1.5, np.nan, np.inf, True, "0", None, 1j), "a number"),
    "proj_size": ((-1, 1.5, "1", None, False, 0.0), "an integer|or more"),
    "dtype": (("float16", "foo", int, complex, ">f4", "O", 4), "float32 or float64"),
    "rng": (("seed", -1, 1.5, [-1]), "a Generator"),
}


def options():
    return [
        pytest.param(name, value, expected, id=f"{name}={value!r}")
        for name, (values, expected) in OPTIONS.items()
        for value in values
    ]


def pattern(message):
    """The message as a regular expression; dots stand for anything."""
    middle = ".*".join(re.escape(part) for part in message.split("..."))
    return f"^{middle}$"


@pytest.mark.parametrize(("call", "kind", "message"), WRONG.values(), ids=WRONG)
def test_wrong_call(call, kind, message):
    arrays = [array.copy() for array in ARRAYS]
    before = everything()
    with pytest.raises(kind) as caught:
        call()
    assert re.search(pattern(message), str(caught.value), re.DOTALL), caught.value
    assert_same_bits(everything(), before)
    for array, copy in zip(ARRAYS, arrays, strict=True):
        np.testing.assert_array_equal(array, copy)


def everything():
    """What the objects above compute, and where the stream stands."""
    results = {}
    for name, layer in (("lstm", LSTM), ("gru", GRU), ("rnn", RNN), ("deep", DEEP)):
        y, state, cache = layer.forward(X)
        gradients = named_gradients(layer.backward(cache, np.ones_like(y)))
        kept = named_state(STREAM.state, "h", "c") | layer.state_dict()
        found = {"y": y} | named_state(state) | gradients
        results |= {f"{name}: {k}": v for k, v in found.items()}
        results |= {f"{name} holds {k}": v for k, v in kept.items()}
    for name, cell, cache in (
        ("lstm cell", LSTM_CELL, LSTM_CELL_CACHE),
        ("gru cell", GRU_CELL, GRU_CELL_CACHE),
    ):
        state = cell(X_STEP)
        gradients = named_gradients(cell.backward(cache, state))
        results |= {f"{name}: {k}": v for k, v in gradients.items()}
    old = named_gradients(LSTM.backward(LSTM_CACHE, DY))
    return results | {f"old cache: {k}": v for k, v in old.items()}


@pytest.mark.parametrize(("name", "value", "expected"), options())
def test_wrong_option(name, value, expected):
    sizes = {"input_size": 3, "hidden_size": 4}
    too_large = (MemoryError,) if value == 2**62 else ()
    with pytest.raises((TypeError, ValueError, *too_large)) as caught:
        rnnext.LSTM(**sizes | {name: value})
    if not isinstance(caught.value, MemoryError):
        assert re.search(f"^{name}: expected .*({expected})", str(caught.value))
        assert ", got " in str(caught.value)


@pytest.mark.parametrize("value", [0, -4, True, 4.0, "4"], ids=repr)
def test_wrong_size_of_a_cell(value):
    for kind in (rnnext.RNNCell, rnnext.LSTMCell, rnnext.GRUCell):
        with pytest.raises((TypeError, ValueError), match=r"^hidden_size: expected "):
            kind(3, value)


@pytest.mark.parametrize("kind", [rnnext.RNN, rnnext.RNNCell])
def test_wrong_nonlinearity(kind):
    message = r"^nonlinearity: expected 'tanh' or 'relu', got 'sigmoid'$"
    with pytest.raises(ValueError, match=message):
        kind(3, 4, nonlinearity="sigmoid")
    with pytest.raises(TypeError, match=r"^nonlinearity: expected a string, got int$"):
        kind(3, 4, nonlinearity=0)


@pytest.mark.parametrize("kind", [rnnext.GRU, rnnext.GRUCell])
def test_wrong_reset_after(kind):
    message = r"^reset_after: expected True or False, got int$"
    with pytest.raises(TypeError, match=message):
        kind(3, 4, reset_after=1)


def test_positional_arguments_are_wanted():
    with pytest.raises(TypeError, match=r"input_size.*hidden_size"):
        rnnext.LSTM()
    with pytest.raises(TypeError, match="hiden_size"):
        rnnext.LSTM(3, hiden_size=4)


@pytest.mark.parametrize("value", ["seed", -1, 1.5], ids=repr)
def test_wrong_rng_of_a_call(value):
    layer = rnnext.GRU(I, H, 2, dropout=0.5, rng=0)
    before = layer.forward(X, rng=1)[0]
    message = r"^rng: expected None, an integer, a Generator or .*, got "
    with pytest.raises((TypeError, ValueError), match=message):
        layer.forward(X, rng=value)
    np.testing.assert_array_equal(layer.forward(X, rng=1)[0], before)


@pytest.mark.parametrize("value", [0, -1, 1025, 2**70, True, 1.5, "2", None], ids=repr)
def test_wrong_number_of_threads(threads, value):
    threads(2)
    message = rf"^n: expected (1 to 1024|an integer), got ({value}|\w+)$"
    with pytest.raises((TypeError, ValueError), match=message):
        threads(value)
    assert rnnext.get_num_threads() == 2


@pytest.mark.parametrize("method", ["update", "__ior__"])
def test_no_way_of_writing_is_lost(method):
    layer = rnnext.GRU(I, H, rng=0)
    values = np.full(3 * H, 7, np.float32)
    with layer.writable() as p:
        getattr(p, method)({"bias_ih_l0": values})
    np.testing.assert_array_equal(layer.parameters["bias_ih_l0"], values)
