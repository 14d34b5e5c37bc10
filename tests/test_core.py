"""The extension called directly and wrongly: an exception, never a crash."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from conftest import CELLS, LAYERS

from rnnext import _core

T, N, I, H = 5, 2, 3, 4
GATES = {cell: LAYERS[cell][0]._gates for cell in CELLS}
WRONG = (TypeError, ValueError)
DTYPES = (np.float32, np.float64)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def arrays(cell="lstm", inputs=I, hidden=H, dtype=np.float32):
    rows = GATES[cell] * hidden
    shapes = ((rows, inputs), (rows, hidden), (rows,), (rows,))
    return [zeros(*shape, dtype=dtype) for shape in shapes]


def stack(cell="lstm", *sizes, layers=1, directions=1, backward=True, **options):
    """Layers whose arrays are those of `arrays`."""
    all_arrays = [arrays(cell, *sizes, **options)] * directions
    hidden = all_arrays[0][1].shape[1]
    options["hidden"] = hidden
    above = arrays(cell, **options | {"inputs": directions * hidden})
    all_arrays += [above] * directions * (layers - 1)
    return _core.Stack(cell, all_arrays, directions, backward)


def read_only(array):
    array.flags.writeable = False
    return array


def misaligned(shape, dtype=np.float32):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.zeros(size + 1, np.uint8)[1:].view(dtype).reshape(shape)


def wrong_arrays(*shape, optional=False):
    """Everything that is not a float32 array of this shape, C-contiguous."""
    right = zeros(*shape)
    yield from (right.astype(t) for t in (np.float64, np.float16, int, complex, object))
    yield right.astype(right.dtype.newbyteorder())
    yield from (5, "array", right.tolist(), object())
    yield from (right[None], right.reshape(-1)[:-1], zeros(*shape[:-1], shape[-1] + 1))
    yield from (zeros(*shape[:-1], 2 * shape[-1])[..., ::2], right[..., ::-1])
    yield misaligned(shape)
    yield zeros(*(0 for _ in shape))
    if not optional:
        yield None


def describe(value):
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}, strides {value.strides}"
    return repr(value)


def assert_all_wrong(call, values):
    for value in values:
        try:
            call(value)
        except WRONG:
            continue
        pytest.fail(f"no error for {describe(value)}")


FORWARD = {
    "weights": stack(),
    "x": zeros(T, N, I),
    "h_0": zeros(1, N, H),
    "c_0": zeros(1, N, H),
    "masks": None,
    "training": True,
}
BACKWARD = {
    "weights": FORWARD["weights"],
    "saved": _core.forward(**FORWARD)[3],
    "dy": zeros(T, N, H),
    "dh_n": zeros(1, N, H),
    "dc_n": zeros(1, N, H),
    "dc": zeros(1, T, N, H),
    "masks": None,
    "need_x": True,
}
CALLS = {"forward": FORWARD, "backward": BACKWARD}
WRONG_WEIGHTS = {
    "None": None,
    "number": 5,
    "list": [stack()],
    "arrays": arrays(),
    "inputs": stack("lstm", I + 1),
    "hidden": stack("lstm", I, H + 1),
    "dtype": stack(dtype=np.float64),
    "layers": stack(layers=2),
    "directions": stack(directions=2),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("wrong", WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS)
def test_weights_that_do_not_fit(name, wrong):
    with pytest.raises(WRONG):
        getattr(_core, name)(**CALLS[name] | {"weights": wrong})


@pytest.mark.parametrize(
    ("name", "argument"),
    [(n, a) for n, o in CALLS.items() for a, v in o.items() if hasattr(v, "shape")],
)
def test_arrays_that_do_not_fit(name, argument):
    options = CALLS[name]

    def call(value):
        getattr(_core, name)(**options | {argument: value})

    shape = options[argument].shape
    assert_all_wrong(call, wrong_arrays(*shape, optional=argument != "x"))
    call(options[argument])


@pytest.mark.parametrize("argument", ["masks", "saved"])
@pytest.mark.parametrize("value", [5, 1.5, object(), {}, [None], [5], "ab"], ids=repr)
def test_lists_that_are_none(argument, value):
    name = "backward" if argument == "saved" else "forward"
    with pytest.raises(WRONG):
        getattr(_core, name)(**CALLS[name] | {argument: value})


@pytest.mark.parametrize("name", CALLS)
def test_masks_that_do_not_fit(name):
    deep = stack(layers=2)
    options = {"weights": deep, "h_0": None, "c_0": None}
    saved = _core.forward(**FORWARD | options)[3]
    none = dict.fromkeys(("dh_n", "dc_n", "dc"))
    options = FORWARD | options if name == "forward" else BACKWARD | none
    options |= {"weights": deep, "saved": saved} if name == "backward" else {}
    call = getattr(_core, name)
    assert_all_wrong(lambda m: call(**options | {"masks": m}), [[], [None] * 2, 5])
    values = ([array] for array in wrong_arrays(T, N, H))
    assert_all_wrong(lambda m: call(**options | {"masks": m}), values)
    call(**options | {"masks": [np.ones((T, N, H), np.float32)]})


@pytest.mark.parametrize("index", range(4), ids=["x", "h", "c", "gates"])
def test_saved_arrays_that_do_not_fit(index):
    entry = BACKWARD["saved"][0]

    def call(value):
        saved = [(*entry[:index], value, *entry[index + 1 :])]
        _core.backward(**BACKWARD | {"saved": saved})

    assert_all_wrong(call, wrong_arrays(*entry[index].shape))
    assert_all_wrong(call, [entry[index][:-1], entry[index][1:]])
    call(entry[index])


@pytest.mark.parametrize("count", [0, 2, 3])
def test_number_of_saved_entries(count):
    with pytest.raises(ValueError, match="saved"):
        _core.backward(**BACKWARD | {"saved": BACKWARD["saved"] * count})


def test_saved_entries_of_other_lengths():
    entry = BACKWARD["saved"][0]
    for wrong in ((), entry[:3], (*entry, None), None, 1, "abcd"):
        with pytest.raises(WRONG):
            _core.backward(**BACKWARD | {"saved": [wrong]})


def test_weights_without_backward():
    with pytest.raises(ValueError, match="backward"):
        _core.backward(**BACKWARD | {"weights": stack(backward=False)})


# What "gru" keeps has the shapes of what "lstm" keeps.
@pytest.mark.parametrize("other", [c for c in CELLS if c not in ("lstm", "gru")])
def test_saved_by_another_cell(other):
    with pytest.raises(WRONG):
        _core.backward(**BACKWARD | {"weights": stack(other)})


# ---------------------------------------------------------------- weights


WRONG_STACKS = {
    "none": ([], 1),
    "no sequence": (5, 1),
    "None": (None, 1),
    "string": ("arrays", 1),
    "of others": ([arrays(), None], 1),
    "of too few arrays": ([arrays()[:3]], 1),
    "of too many arrays": ([[*arrays(), None]], 1),
    "of nothing": ([[]], 1),
    "of stacks": ([stack()], 1),
    "no directions": ([arrays()], 0),
    "three directions": ([arrays()] * 3, 3),
    "less than no directions": ([arrays()], -1),
    "too many directions": ([arrays()], 2**62),
    "half a layer": ([arrays()], 2),
    "input of the second layer": ([arrays(), arrays()], 1),
    "hidden sizes": ([arrays(), arrays(inputs=H, hidden=5)], 1),
    "cells": ([arrays(), arrays("gru", inputs=H)], 1),
    "dtypes": ([arrays(), arrays(inputs=H, dtype=np.float64)], 1),
    "input of two directions": ([arrays()] * 2 + [arrays(inputs=H)] * 2, 2),
    "directions differ": ([arrays(), arrays(inputs=5)], 2),
}


@pytest.mark.parametrize(("layers", "D"), WRONG_STACKS.values(), ids=WRONG_STACKS)
def test_layers_that_do_not_fit(layers, D):
    with pytest.raises(WRONG):
        _core.Stack("lstm", layers, D, True)


@pytest.mark.parametrize("cell", CELLS)
def test_stack_of_wrong_arrays(cell):
    right = arrays(cell)
    rows = len(right[0])
    for i, array in enumerate(right):

        def make(value, i=i):
            layer = [*right[:i], value, *right[i + 1 :]]
            _core.Stack(cell, [layer], 1, True)

        values = wrong_arrays(*array.shape, optional=i >= 2)
        if i == 0:  # any number of columns is right
            values = (v for v in values if np.shape(v) != (rows, I + 1))
        assert_all_wrong(make, values)
        make(array)
        if i < 2:
            assert_all_wrong(make, [zeros(rows, 0)])
        if i == 1:
            assert_all_wrong(make, (zeros(rows, size) for size in (1, 3)))


def test_stack_too_large():
    layer = [huge(0, 0), huge(0, 2**60), None, None]
    with pytest.raises(MemoryError):
        _core.Stack("lstm", [layer], 1, True)


@pytest.mark.parametrize("cell", ["", "LSTM", "lstm\0", None, 3, "ß"], ids=repr)
def test_unknown_cell(cell):
    with pytest.raises(WRONG):
        _core.Stack(cell, [arrays()], 1, True)


def test_nothing_can_be_made_out_of_nothing():
    """Objects that no constructor has seen; in a process of its own."""
    script = f"""
import numpy as np
from rnnext import _core
empty = _core.Stack.__new__(_core.Stack)
stepper = _core.Stepper.__new__(_core.Stepper)
x = np.zeros(({T}, {N}, {I}), np.float32)
for call in (
    lambda: _core.forward(empty, x, None, None, None, False),
    lambda: _core.backward(empty, [], None, None, None, None, None, True),
    lambda: _core.Stepper(empty, 1),
    lambda: stepper.get_state(),
    lambda: stepper.set_state(None, None),
    lambda: stepper.step(empty, x[0], None),
    lambda: stepper.step(None, x[0], None),
):
    try:
        call()
    except (TypeError, ValueError):
        continue
    raise SystemExit("no error")
layer = [np.zeros(shape, np.float32) for shape in ((16, {I}), (16, 4), 16, 16)]
stepper = _core.Stepper(_core.Stack("lstm", [layer], 1, False), {N})
assert stepper.step(empty, x[0], None) is None
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


def test_types_are_final_and_not_copied():
    for kind in (_core.Stack, _core.Stepper):
        with pytest.raises(TypeError):
            type("Derived", (kind,), {})
    with pytest.raises(TypeError):
        stack().__reduce_ex__(4)


# ---------------------------------------------------------------- the stepper


@pytest.mark.parametrize("size", [-1, -(2**63), 2**63, 2**70, 1.5, None, "2"], ids=repr)
def test_batch_size_of_a_stepper(size):
    with pytest.raises(WRONG):
        _core.Stepper(stack(), size)


@pytest.mark.parametrize("wrong", [None, 5, [stack()], stack(directions=2)])
def test_stepper_of_weights_that_do_not_fit(wrong):
    with pytest.raises(WRONG):
        _core.Stepper(wrong, N)


def ones_stepper():
    """One with a state that any step would change, and its weights."""
    weights, state = stack(), np.ones((1, N, H), np.float32)
    stepper = _core.Stepper(weights, N)
    stepper.set_state(state, state)
    return stepper, weights


def assert_no_step(stepper, *arguments):
    assert stepper.step(*arguments) is None, [describe(a) for a in arguments]
    assert all((part == 1).all() for part in stepper.get_state())


def test_stepper_given_other_weights():
    stepper, weights = ones_stepper()
    x, out = zeros(N, I), zeros(N, H)
    others = (stack("gru"), stack("lstm", 5), stack("lstm", I, 5), stack(layers=2))
    others += (stack(dtype=np.float64), stack(directions=2), None)
    for other in others:
        assert_no_step(stepper, other, x, out)
        assert_no_step(stepper, other, x, None)
    for wrong in (5, [weights], "weights"):
        with pytest.raises(TypeError):
            stepper.step(wrong, x, out)
    assert stepper.step(weights, x, out) is out
    assert stepper.step(stack(backward=False), x, None).shape == (N, H)


class Subclass(np.ndarray):
    pass


def of_other_types(array):
    yield array.view(Subclass)
    yield array.view(np.matrix)
    yield np.ma.masked_array(array)


def test_stepper_given_arrays_that_do_not_fit():
    stepper, weights = ones_stepper()
    x, out = zeros(N, I), zeros(N, H)
    for wrong in (*wrong_arrays(N, I), *of_other_types(x)):
        assert_no_step(stepper, weights, wrong, out)
        assert_no_step(stepper, weights, wrong, None)
    wrong_outs = (*wrong_arrays(N, H, optional=True), *of_other_types(out))
    for wrong in (*wrong_outs, read_only(zeros(N, H))):
        assert_no_step(stepper, weights, x, wrong)
    assert stepper.step(weights, read_only(x), out) is out


@pytest.mark.parametrize("shift", [-H * N, 1 - H * N, -1, 0, 1, I * N - 1, I * N])
def test_stepper_given_arrays_that_overlap(shift):
    stepper, weights = ones_stepper()
    memory = zeros(3 * H * N)
    x = memory[H * N :][: N * I].reshape(N, I)
    out = memory[H * N + shift :][: N * H].reshape(N, H)
    if shift in (-H * N, I * N):  # neighbours
        assert stepper.step(weights, x, out) is out
    else:
        assert_no_step(stepper, weights, x, out)


def test_state_that_does_not_fit_a_stepper():
    stepper, state = _core.Stepper(stack(), N), zeros(1, N, H)
    wrong = list(wrong_arrays(1, N, H, optional=True))
    assert_all_wrong(lambda v: stepper.set_state(v, None), wrong)
    assert_all_wrong(lambda v: stepper.set_state(state, v), wrong)
    stepper.set_state(state, state)


# ---------------------------------------------------------------- views


def test_writable_view():
    array = read_only(np.arange(6.0).reshape(2, 3))
    view = _core.writable_view(array)
    view[1] = 9
    assert array.tolist() == [[0, 1, 2], [9, 9, 9]]
    assert view[:1].T.base is view
    view.flags.writeable = False
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    del array
    assert view.sum() == 30


def test_writable_view_of_others():
    array = zeros(4, 6)
    values = (array.T, array[:, ::2], None, [1.0], 5)
    assert_all_wrong(_core.writable_view, values)
    view = _core.writable_view(zeros(0, 3))
    assert view.shape == (0, 3)


# ---------------------------------------------------------------- dense, elementwise


def test_dense_with_arrays_that_do_not_fit():
    x, w, b = zeros(3, 4), zeros(5, 4), zeros(5)
    wide = [a for a in wrong_arrays(3, 4) if np.shape(a) != (0, 0)]
    assert_all_wrong(lambda v: _core.linear(v, w, b), wide)
    assert_all_wrong(lambda v: _core.linear(x, v, b), wrong_arrays(5, 4))
    assert_all_wrong(lambda v: _core.linear(x, w, v), wrong_arrays(5, optional=True))
    a, c = zeros(3, 4), zeros(3, 5)
    tall = [v for v in wrong_arrays(3, 4) if np.shape(v) != (3, 5)]
    assert_all_wrong(lambda v: _core.matmul_tn(v, c), tall)
    wide = [v for v in wrong_arrays(3, 5) if np.shape(v) != (3, 6)]
    assert_all_wrong(lambda v: _core.matmul_tn(a, v), wide)


def not_contiguous_floats():
    x = zeros(4, 6)
    return (x[:, ::2], x.T, x[::-1], misaligned((4, 6)))


@pytest.mark.parametrize("name", ["softmax", "exp", "sigmoid", "tanh"])
def test_elementwise_with_wrong_arrays(name):
    call = getattr(_core, name)
    dtypes = (np.float16, int, complex, object, bool, np.longdouble, ">f4", ">f8")
    assert_all_wrong(call, (zeros(4, 6).astype(t) for t in dtypes))
    assert_all_wrong(call, (None, 1.0, [1.0], "x", np.float32(1)))
    assert_all_wrong(call, not_contiguous_floats())
    with pytest.raises(TypeError):
        call()
    assert call(zeros(4, 6)).shape == (4, 6)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_softmax_of_other_dimensions(shape):
    with pytest.raises(ValueError, match="2 dimensions"):
        _core.softmax(zeros(*shape))


# ---------------------------------------------------------------- nothing, too much


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_calls_of_no_steps_or_sequences(cell, dtype):
    weights = stack(cell, dtype=dtype)
    for steps, batch in itertools.product((0, 1, 3), repeat=2):
        x = zeros(steps, batch, I, dtype=dtype)
        y, h, _, saved = _core.forward(weights, x, None, None, None, True)
        assert y.shape == (steps, batch, H)
        none = (None,) * 5
        dx, dh, _, _ = _core.backward(weights, saved, *none, True)
        assert (dx.shape, dh.shape) == (x.shape, h.shape)
    stepper = _core.Stepper(weights, 0)
    assert stepper.step(weights, zeros(0, I, dtype=dtype), None).shape == (0, H)
    assert stepper.get_state()[0].shape == (1, 0, H)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_of_nothing(dtype):
    for M, K, O in itertools.product((0, 2), repeat=3):
        x, w, b = (zeros(*s, dtype=dtype) for s in ((M, K), (O, K), (O,)))
        np.testing.assert_array_equal(_core.linear(x, w, b), zeros(M, O))
        np.testing.assert_array_equal(_core.matmul_tn(x.T.copy(), w.T.copy()), x @ w.T)
        assert _core.softmax(x).shape == (M, K)
        for name in ("exp", "sigmoid", "tanh"):
            assert getattr(_core, name)(x).shape == (M, K)


@pytest.mark.parametrize("size", [2**40, 2**58, 2**60, 2**61, 2**62, 2**63 - 1])
@pytest.mark.parametrize("cell", CELLS)
def test_stepper_too_large(cell, size):
    with pytest.raises(MemoryError):
        _core.Stepper(stack(cell, layers=2), size)


def huge(*shape):
    """An array of no elements with huge sizes."""
    return np.empty(shape, np.float32)


TOO_LARGE = {
    "forward, N": lambda: _core.forward(
        stack(), huge(0, 2**45, I), None, None, None, False
    ),
    "forward, N over": lambda: _core.forward(
        stack(), huge(0, 2**58, I), None, None, None, True
    ),
    "forward, T over": lambda: _core.forward(
        stack(hidden=64), huge(2**58, 0, I), None, None, None, True
    ),
    "linear": lambda: _core.linear(huge(2**30, 0), huge(2**30, 0), None),
    "linear over": lambda: _core.linear(huge(2**40, 0), huge(2**40, 0), None),
    "matmul_tn": lambda: _core.matmul_tn(huge(0, 2**30), huge(0, 2**30)),
    "matmul_tn over": lambda: _core.matmul_tn(huge(0, 2**40), huge(0, 2**40)),
}


@pytest.mark.parametrize("call", TOO_LARGE.values(), ids=TOO_LARGE)
def test_result_too_large(call):
    with pytest.raises(MemoryError):
        call()


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("name", ["", "AVX2", "sse9", "avx2\0"], ids=repr)
def test_unknown_instruction_set(name):
    before = _core.isa()
    if name:
        with pytest.raises(ValueError, match=before):
            _core.set_isa(name)
    else:
        _core.set_isa(name)
        assert _core.isa() == _core.available_isas()[0]
        _core.set_isa(before)
    assert _core.isa() == before


@pytest.mark.parametrize("n", [0, -1, 1025, 2**31, 2**63, 1.5, "2", None], ids=repr)
def test_wrong_number_of_threads(n):
    before = _core.get_num_threads()
    with pytest.raises(WRONG):
        _core.set_num_threads(n)
    assert _core.get_num_threads() == before


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
    return _core.Stack("lstm", [layer], 1, False)

x, out = (np.zeros((256, n), np.float32) for n in (8, H))
held = [weights()]
stepper = _core.Stepper(held[0], 256)
thread = threading.Thread(
    target=lambda: [stepper.step(held[0], x, out) for _ in range(3)]
)
thread.start()
while thread.is_alive():
    held[0] = weights()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


def test_sequences_that_make_their_items():
    """Arrays live as long as the call, also where nobody else holds them."""
    script = """
import numpy as np
from rnnext import _core

class Made:
    def __init__(self, *makes):
        self.makes = makes
    def __len__(self):
        return len(self.makes)
    def __getitem__(self, index):
        return self.makes[index]()

def ones(*shape):
    return np.ones(shape, np.float32)

def layer(inputs):
    shapes = ((16, inputs), (16, 4), (16,), (16,))
    return Made(*(lambda shape=shape: ones(*shape) for shape in shapes))

def stack(layers):
    return _core.Stack("lstm", layers, 1, True)

deep = stack([[*layer(3)], [*layer(4)]])
made_deep = stack(Made(lambda: layer(3), lambda: layer(4)))
x, mask = ones(1, 1 << 14, 3), ones(1, 1 << 14, 4)
held = _core.forward(deep, x, None, None, [mask], True)
made = _core.forward(made_deep, x, None, None, Made(mask.copy), True)
assert (made[0] == held[0]).all()
single = stack([[*layer(3)]])
saved = _core.forward(single, x, None, None, None, True)[3]
copies = Made(lambda: Made(*(array.copy for array in saved[0])))
rest = (mask, None, None, None, None, True)
held = _core.backward(single, saved, *rest)
made = _core.backward(single, copies, *rest)
assert all((a == b).all() for a, b in zip(made[3][0], held[3][0]))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0
