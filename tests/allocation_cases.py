"""Calls of which every allocation is failed in turn.

`python allocation_cases.py LIBRARY MODE THREADS NAME...`: in a process of its own, as
the library of `faults.py` has to be there before the extension. Modes: "one" and "all"
fail the n-th allocation of C++ and NumPy's data, or all from there on; "python" fails
the n-th of the interpreter. Prints of every case how many were failed and how many of
the calls raised.
"""

import gc
import hashlib
import itertools
import pickle
import sys
import threading
import time

from faults import Faults

if __name__ == "__main__":
    faults = Faults(sys.argv[1])

import numpy as np

import rnnext
from rnnext import _core, course

I, H, N, T = 5, 9, 6, 4
LENGTHS = [4, 0, 2, 4, 1, 3]
KINDS = {"rnn": rnnext.RNN, "lstm": rnnext.LSTM, "gru": rnnext.GRU}


def draw(*shape, dtype=np.float32):
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def digest(value):
    """Of all numbers in a result, however it is nested."""
    found = hashlib.sha256()

    def add(value):
        if isinstance(value, dict):
            for name in value:
                found.update(name.encode())
                add(value[name])
        elif isinstance(value, tuple | list):
            for part in value:
                add(part)
        elif isinstance(value, rnnext.Gradients):
            add([value.x, value.state, value.parameters])
        elif value is not None:
            array = np.ascontiguousarray(value)
            found.update(f"{array.shape}{array.dtype}".encode())
            found.update(array)

    add(value)
    return found.hexdigest()


def in_new_thread(function):
    """Call it where nothing is kept from calls before."""
    found = []

    def work():
        try:
            found.append(function())
        except MemoryError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(found[0], MemoryError):
        raise found.pop()
    return found[0]


def anew(make):
    """A case of which every call is one of a new thread."""

    def made():
        call = make()
        return lambda: in_new_thread(call)

    return made


# ---------------------------------------------------------------- layers


def construct():
    def call():
        layer = rnnext.LSTM(I, H, 2, bidirectional=True, peephole=True, rng=0)
        return layer.state_dict()

    return call


def pack():
    layer = rnnext.GRU(I, H, 2, bidirectional=True, rng=0)
    bias, x = layer.state_dict()["bias_ih_l0"], draw(T, N, I)

    def call():
        layer.assign(bias_ih_l0=bias)
        return layer(x), layer.forward(x)[:2]

    return call


def assign():
    layer, x = rnnext.LSTM(I, H, rng=0), draw(T, N, I)
    sets = [rnnext.LSTM(I, H, rng=seed).state_dict() for seed in (1, 2)]

    def call():
        layer(x)
        layer.load_state_dict(sets[0])
        layer(x)
        layer.assign(**sets[1])
        return layer(x)

    def whole():
        """All parameters are of one set, and they are what is computed with."""
        now = layer.state_dict()
        assert any(
            all((now[name] == values[name]).all() for name in now)
            for values in [rnnext.LSTM(I, H, rng=0).state_dict(), *sets]
        )
        fresh = rnnext.LSTM(I, H, rng=0)
        fresh.load_state_dict(now)
        assert digest(layer(x)) == digest(fresh(x))

    call.check = whole
    return call


def writable():
    layer, x = rnnext.GRU(I, H, rng=0), draw(T, N, I)
    values = layer.state_dict()
    kept = []

    def call():
        kept.clear()
        with layer.writable() as p:
            p["bias_hh_l0"][:] = values["bias_hh_l0"]
            kept.append(p["weight_hh_l0"][:1])
        return layer(x)

    def closed():
        """A view that was kept changes nothing that is computed with."""
        before = digest(layer(x))
        for view in kept:
            view[:] = np.nan
        fresh = rnnext.GRU(I, H, rng=0)
        fresh.load_state_dict(layer.state_dict())
        assert digest(layer(x)) == digest(fresh(x))
        layer.load_state_dict(values)
        assert digest(layer(x)) == before
        with layer.writable():
            pass
        layer(x)
        # The interpreter may be unable to close a block at all: then none are kept.
        assert layer._packed is not None or sys.argv[2] == "python"

    call.check = closed
    return call


def copy():
    layer, x = rnnext.LSTM(I, H, 2, rng=0), draw(T, N, I)
    return lambda: pickle.loads(pickle.dumps(layer))(x)


def trained(kind, steps=None, **options):
    def make():
        layer = KINDS[kind](I, H, 2, bidirectional=True, rng=0, **options)
        x, given = draw(T, N, I), steps or {}

        def call():
            y, state, cache = layer.forward(x, rng=7, **given)
            again, _ = layer(x, **given)
            dc = draw(4, T, N, H) if kind == "lstm" else None
            gradients = layer.backward(cache, y, state, dc=dc)
            return y, again, state, gradients, cache.h, cache.gates

        return call

    return make


def tokens():
    layer, x = rnnext.LSTM(I, H, rng=0), np.arange(T * N).reshape(T, N) % I

    def call():
        y, state, cache = layer.forward(x, lengths=LENGTHS)
        return y, layer(x), layer.backward(cache, y, state)

    return call


def strided():
    layer = rnnext.GRU(I, H, batch_first=True, dtype=np.float64, rng=0)
    x = draw(N, 2 * T, 2 * I, dtype=np.float64)[:, ::-2, ::2]

    def call():
        y, state, cache = layer.forward(x)
        return y, state, layer.backward(cache, y[::-1], state)

    return call


def wide():
    """Enough for two threads and for weights that are packed by both."""
    layer, x = rnnext.LSTM(64, 96, rng=0), draw(6, 24, 64)
    bias = layer.state_dict()["bias_ih_l0"]

    def call():
        layer.assign(bias_ih_l0=bias)
        y, state, cache = layer.forward(x)
        return y, layer.backward(cache, y, state)

    return call


def many():
    """More than a thread keeps from call to call, and never again of the same size."""
    layer, x = rnnext.RNN(2, 2, 2, rng=0), draw(1, 310_000, 2)
    sizes = itertools.count(300_000)

    def call():
        y, h_n = layer(x[:, : next(sizes)])
        return y[:, :300_000], h_n[:, :300_000]

    return call


def cell():
    layer, x = rnnext.LSTMCell(I, H, rng=0), draw(N, I)

    def call():
        state, cache = layer.forward(x)
        return state, layer.backward(cache, state)

    return call


# ---------------------------------------------------------------- streams


def stream():
    layer, x = rnnext.LSTM(I, H, 2, rng=0), draw(T, N, I)

    def call():
        stream = layer.stream(N)
        y = [stream.step(x_t) for x_t in x]
        return y, stream.state

    return call


def stream_that_lives():
    """A step that fails has not happened, in any layer."""
    layer, x = rnnext.LSTM(I, H, 2, rng=0), draw(T, N, I)
    stream, expected = layer.stream(N), layer(x)
    done = []

    def call():
        stream.reset()
        done.clear()
        for x_t in x:
            y_t = in_new_thread(lambda x_t=x_t: stream.step(x_t))
            done.append(y_t)
        return done, stream.state

    def stands():
        rest = [stream.step(x_t) for x_t in x[len(done) :]]
        assert (np.stack([*done, *rest]) == expected[0]).all()
        assert digest(stream.state) == digest(expected[1])

    call.check = stands
    return call


# ---------------------------------------------------------------- course, dense


def course_parameters(gates, extra="y"):
    shapes = {f"W{g}": (H, H + I) for g in gates} | {f"b{g}": (H, 1) for g in gates}
    shapes |= {f"W{extra}": (3, H), f"b{extra}": (3, 1)}
    return {k: draw(*s, dtype=np.float64) for k, s in shapes.items()}


def course_calls(kind):
    x, a0 = draw(I, N, T, dtype=np.float64), draw(H, N, dtype=np.float64)
    if kind == "rnn":
        shapes = {"Wax": (H, I), "Waa": (H, H), "ba": (H, 1)}
        shapes |= {"Wya": (3, H), "by": (3, 1)}
        parameters = {k: draw(*s, dtype=np.float64) for k, s in shapes.items()}
    else:
        parameters = course_parameters("fico" if kind == "lstm" else "urc")
    forward = getattr(course, f"{kind}_forward")
    backward = getattr(course, f"{kind}_backward")

    def make():
        def call():
            *outputs, caches = forward(x, a0, parameters)
            gradients = backward(outputs[0], caches)
            by_hand = backward(outputs[0], (list(caches[0]), x))
            return outputs, gradients, by_hand, caches[0][1][:3]

        return call

    return make


def dense():
    linear = rnnext.Linear(H, I, rng=0)
    x = draw(T, N, H)

    def call():
        y, cache = linear.forward(x)
        parts = linear.backward(cache, y)
        return y, parts.x, parts.parameters, rnnext.softmax(y[0])

    return call


def functions():
    x = draw(30, 40)
    return lambda: [f(x) for f in (_core.exp, _core.tanh, _core.sigmoid, _core.softmax)]


MASK = np.random.default_rng(0).random((T, N)) < 0.7
CASES = {
    "construct": construct,
    "pack": pack,
    "assign": assign,
    "writable": writable,
    "copy": copy,
    "rnn": trained("rnn"),
    "lstm": trained("lstm"),
    "gru": trained("gru"),
    "options": trained("lstm", peephole=True, gate_clip=3.0, proj_size=4, merge="mul"),
    "lengths": trained("lstm", {"lengths": LENGTHS}),
    "mask": trained("gru", {"mask": MASK, "pad": "hold"}),
    "reset": trained("rnn", {"reset": ~MASK}),
    "dropout": trained("gru", dropout=0.5, input_dropout=0.5, recurrent_dropout=0.5),
    "tokens": tokens,
    "strided": strided,
    "wide": wide,
    "many": many,
    "cell": cell,
    "stream": stream,
    "stream that lives": stream_that_lives,
    "course rnn": course_calls("rnn"),
    "course lstm": course_calls("lstm"),
    "course gru": course_calls("gru"),
    "dense": dense,
    "functions": functions,
    "new thread, layer": anew(trained("lstm", recurrent_dropout=0.5, peephole=True)),
    "new thread, lengths": anew(trained("gru", {"lengths": LENGTHS}, merge="sum")),
    "new thread, course": anew(course_calls("lstm")),
    "new thread, dense": anew(dense),
}


# ---------------------------------------------------------------- the loop

# What CPython and NumPy make of a MemoryError of their own: locks that cannot be
# allocated, errors that were not set, imports that failed.
# The interpreter also loses the arguments of a call for which it has no frame, so what
# is left behind is counted only where C++ and NumPy's data fail.
OF_OTHERS = (RuntimeError, SystemError, ImportError, pickle.PicklingError)


# Blocks that the core keeps for later, each of a megabyte or more.
SHELF, LARGE = 17, ("many",)


def attempt(call):
    """What a call gives, or None where it raises MemoryError."""
    try:
        return digest(call())
    except MemoryError:
        return None


def with_faults(call, n, mode):
    """The result of a call of which the n-th allocation fails, and how many did."""
    if mode == "python":
        import _testcapi

        result = None
        _testcapi.set_nomemory(n, n + 1)
        try:
            result = call()
        except (MemoryError, *OF_OTHERS):
            pass
        finally:
            _testcapi.remove_mem_hooks()
        return result, None
    faults.arm(n, mode == "all")
    try:
        result = call()
    except MemoryError:
        result = None
    finally:
        count = faults.disarm()
    return result, count


def in_turn(name, threads, mode):
    """Fail the first allocation, the second ... until the call goes through."""
    rnnext.set_num_threads(threads)
    call = CASES[name]()
    check = getattr(call, "check", lambda: None)
    expected = digest(call())
    assert attempt(call) == expected
    gc.collect()
    gc.disable()
    live, n, raised, clean = faults.live(), 0, 0, 0
    kept = SHELF if name in LARGE else 0
    while clean < (20 if mode == "python" else 1):
        n += 1
        result, count = with_faults(call, n, mode)
        raised += result is None
        clean = clean + 1 if (result is not None and not count) else 0
        assert result is None or digest(result) == expected, f"other bits at {n}"
        del result
        check()
        assert attempt(call) == expected, f"not the same after {n}"
        if faults.live() > live and mode != "python":
            gc.collect()
            attempt(call)
            until = time.monotonic() + 10  # a thread that is joined may still be going
            while faults.live() > live + kept and time.monotonic() < until:
                time.sleep(0.001)
            left = faults.live() - live
            assert left <= kept, f"{left} blocks left after {n}"
    gc.enable()
    return n - 1, raised


if __name__ == "__main__":
    for name in sys.argv[4:]:
        print(name, end=": ", flush=True)
        print(*in_turn(name, int(sys.argv[3]), sys.argv[2]), flush=True)
