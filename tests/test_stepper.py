"""Streams: any array, changed weights, errors; and the stepper behind them."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import CELLS, make_layer, named_state
from core_cases import (
    WRONG,
    H,
    I,
    N,
    Subclass,
    describe,
    odd_strides,
    read_only,
    stack,
    subclasses,
    wrong_arrays,
    wrong_kinds,
    zeros,
)

from rnnext import _core

# ---------------------------------------------------------------- the stepper


@pytest.mark.parametrize("size", [-1, -(2**63), 2**63, 2**70, 1.5, None, "2"], ids=repr)
def test_batch_size_of_a_stepper(size):
    with pytest.raises(WRONG):
        _core.Stepper(stack(), size)


@pytest.mark.parametrize("size", [2**40, 2**58, 2**60, 2**61, 2**62, 2**63 - 1])
@pytest.mark.parametrize("cell", CELLS)
def test_stepper_too_large(cell, size):
    with pytest.raises(MemoryError):
        _core.Stepper(stack(cell, layers=2), size)


@pytest.mark.parametrize("wrong", [None, 5, [stack()], stack(directions=2)])
def test_stepper_of_weights_that_do_not_fit(wrong):
    with pytest.raises(WRONG):
        _core.Stepper(wrong, N)


def ones_stepper():
    """One with a state that any step would change, and its weights."""
    weights, state = stack(), np.ones((1, N, H), np.float32)
    stepper = _core.Stepper(weights, N)
    stepper.set_state((state, state))
    return stepper, weights


def assert_no_step(stepper, *arguments):
    assert _core.step(stepper, *arguments) is None, [describe(a) for a in arguments]
    assert all((part == 1).all() for part in stepper.get_state())


def test_stepper_given_other_weights():
    stepper, weights = ones_stepper()
    x, out = zeros(N, I), zeros(N, H)
    others = (stack("gru"), stack("lstm", 5), stack("lstm", I, 5), stack(layers=2))
    others += (stack(dtype=np.float64), stack(directions=2))
    for other in others:
        assert_no_step(stepper, other, x, out)
        assert_no_step(stepper, other, x, None)
    for wrong in (None, 5, [weights], "weights"):
        with pytest.raises(TypeError):
            _core.step(stepper, wrong, x, out)
    assert _core.step(stepper, weights, x, out) is out
    assert _core.step(stepper, stack(), x, None).shape == (N, H)


def test_stepper_given_arrays_that_do_not_fit():
    stepper, weights = ones_stepper()
    x, out = zeros(N, I), zeros(N, H)
    for wrong in (*wrong_kinds(N, I), *subclasses(N, I)):
        assert_no_step(stepper, weights, wrong, out)
        assert_no_step(stepper, weights, wrong, None)
    wrong_outs = (*wrong_arrays(N, H, optional=True), *subclasses(N, H))
    for wrong in (*wrong_outs, read_only(zeros(N, H))):
        assert_no_step(stepper, weights, x, wrong)
    for odd in (*odd_strides(x), read_only(x)):
        assert _core.step(stepper, weights, odd, out) is out


def test_state_that_does_not_fit_a_stepper():
    stepper, state = _core.Stepper(stack(), N), zeros(1, N, H)
    wrong_parts = [*wrong_kinds(1, N, H, optional=True), *subclasses(1, N, H)]
    wrong = [state, (state,), [state, state], 5, (state, state, state)]
    wrong += [(part, None) for part in wrong_parts]
    wrong += [(state, part) for part in wrong_parts]
    for value in wrong:
        with pytest.raises(WRONG):
            stepper.set_state(value)
    for odd in odd_strides(np.ones((1, N, H), np.float32)):
        stepper.set_state((odd, None))
        h, c = stepper.get_state()
        assert (h == 1).all()
        assert (c == 0).all()


def test_weights_given_up_during_a_step():
    """A step keeps the weights that it computes with."""
    script = """
import threading
import numpy as np
from rnnext import _core

H = 1600

def weights():
    shapes = ((4 * H, 8), (4 * H, H), 4 * H, 4 * H)
    layer = [np.zeros(shape, np.float32) for shape in shapes]
    return _core.Stack("lstm", [layer], 1)

x, out = (np.zeros((256, n), np.float32) for n in (8, H))
held = [weights()]
stepper = _core.Stepper(held[0], 256)
thread = threading.Thread(
    target=lambda: [_core.step(stepper, held[0], x, out) for _ in range(3)]
)
thread.start()
while thread.is_alive():
    held[0] = weights()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


# ---------------------------------------------------------------- streams


def new_layer(cell="lstm"):
    return make_layer(cell, I, H, dtype=np.float32)


def two_streams():
    """A stream that is tried, and one that shows what is right."""
    return new_layer().stream(2), new_layer().stream(2)


def draw_steps(count):
    rng = np.random.default_rng(count)
    return rng.standard_normal((count, 2, I)).astype(np.float32)


def of_any_kind(x):
    """The same numbers in every array that a step takes."""
    yield from odd_strides(x)
    yield read_only(x.copy())
    yield x.view(np.matrix)
    yield pickle.loads(pickle.dumps(x))  # with a dtype object of its own
    memory = np.empty(x.nbytes, np.uint8).view(x.dtype).reshape(x.shape)
    memory[...] = x
    yield memory


def test_steps_of_any_array():
    stream, right = two_streams()
    for step in draw_steps(3):
        for x in of_any_kind(step):
            before = bytes(np.ascontiguousarray(x))
            y = stream.step(x)
            np.testing.assert_array_equal(y, right.step(step))
            assert type(y) is np.ndarray
            assert bytes(np.ascontiguousarray(x)) == before


def test_steps_into_any_array():
    stream, right = two_streams()
    row = np.full((6, H), 7, np.float32)
    outs = (row[2:4], np.empty((2, H), np.float32).view(np.matrix), row[:2])
    for x, out in zip(draw_steps(len(outs)), outs, strict=True):
        assert stream.step(x, out) is out
        np.testing.assert_array_equal(out, right.step(x))
        np.testing.assert_array_equal(row[4:], 7)


@pytest.mark.parametrize("shift", range(-2 * H, 2 * I + 1))
def test_steps_over_their_own_input(shift):
    """`out` before, over and after `x_t` in the same memory."""
    stream, right = two_streams()
    x = draw_steps(1)[0]
    memory = np.zeros(2 * (2 * H) + 2 * I, np.float32)
    given = memory[2 * H :][: 2 * I].reshape(2, I)
    given[...] = x
    out = memory[2 * H + shift :][: 2 * H].reshape(2, H)
    assert stream.step(given, out) is out
    np.testing.assert_array_equal(out, right.step(x))


def wrong_steps():
    for wrong in wrong_kinds(2, I):
        yield wrong, None
    yield np.ma.masked_array(zeros(2, I)), None
    for wrong in wrong_arrays(2, H, optional=True):
        yield zeros(2, I), wrong
    yield zeros(2, I), read_only(zeros(2, H))
    yield zeros(2, I), np.ma.masked_array(zeros(2, H))


def test_wrong_steps_leave_the_state():
    stream, right = two_streams()
    first, second = draw_steps(2)
    stream.step(first)
    right.step(first)
    for x, out in wrong_steps():
        with pytest.raises(WRONG, match=r"^(x_t|out): expected"):
            stream.step(x, out)
    np.testing.assert_array_equal(stream.step(second), right.step(second))


def fresh(layer, stream):
    """A stream that has seen no change, in the state of this one."""
    return copy.deepcopy(layer).stream(2, stream.state)


def change_in_a_block(layer):
    with layer.writable() as p:
        p["weight_ih_l0"] *= 2


def assign(layer):
    layer.assign(bias_ih_l0=layer.parameters["bias_ih_l0"] + 1)


def load(layer):
    layer.load_state_dict({k: -v for k, v in layer.parameters.items()})


def train(layer):
    """Packs for training, which a stream may use too."""
    change_in_a_block(layer)
    layer.forward(np.zeros((1, 1, I), np.float32))


@pytest.mark.parametrize("change", [change_in_a_block, assign, load, train])
def test_changes_show_at_the_next_step(cell, change):
    layer = new_layer(cell)
    stream = layer.stream(2)
    for x in draw_steps(3):
        old = fresh(layer, stream).step(x)
        change(layer)
        right = fresh(layer, stream).step(x)
        y = stream.step(x)
        np.testing.assert_array_equal(y, right)
        assert (y != old).any()


def test_changes_show_within_an_open_block():
    layer = new_layer()
    stream = layer.stream(2)
    with layer.writable() as p, layer.writable() as inner:
        for parameters in (p, inner, p):
            for x in draw_steps(2):
                parameters["weight_ih_l0"] *= 1.5
                right = fresh(layer, stream).step(x)
                np.testing.assert_array_equal(stream.step(x), right)
    x = draw_steps(1)[0]
    right = fresh(layer, stream).step(x)
    np.testing.assert_array_equal(stream.step(x), right)


def test_views_that_outlive_their_block_change_no_step():
    layer, right = new_layer(), new_layer().stream(2)
    stream = layer.stream(2)
    with layer.writable() as p:
        kept = p["weight_ih_l0"][:]
    kept[...] = 0
    for x in draw_steps(2):
        np.testing.assert_array_equal(stream.step(x), right.step(x))
    assert layer.parameters["weight_ih_l0"].any()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_steps_in_a_forked_child():
    script = """
import os
import numpy as np
import rnnext

layer = rnnext.LSTM(3, 4, rng=0)
stream, x = layer.stream(2), np.ones((2, 3), np.float32)
stream.step(x)
pid = os.fork()
if pid == 0:
    with layer.writable() as p:
        p["bias_ih_l0"] += 1
    y = stream.step(x)
    layer.assign(bias_ih_l0=layer.parameters["bias_ih_l0"] - 1)
    os._exit(int((y == stream.step(x)).all()))
assert os.waitpid(pid, 0)[1] == 0
y, state = layer(np.stack([x, x]))
assert (stream.step(x) == y[1]).all()
assert (stream.state[1] == state[1]).all()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


def test_state_of_a_stream_of_any_array():
    stream, right = two_streams()
    x, part = draw_steps(1)[0], np.arange(2.0 * H, dtype=np.float32).reshape(1, 2, H)
    right.state = (part, None)
    expected = named_state(right.state)
    for odd in (*odd_strides(part), part.view(Subclass)):
        stream.state = [odd, None]
        for name, value in named_state(stream.state).items():
            np.testing.assert_array_equal(value, expected[name])
    np.testing.assert_array_equal(stream.step(x), right.step(x))
