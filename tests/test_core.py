"""The extension called directly and wrongly: an exception, never a crash."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from conftest import CELLS
from core_cases import (
    DTYPES,
    WRONG,
    H,
    I,
    N,
    T,
    arrays,
    assert_all_wrong,
    describe,
    misaligned,
    odd_strides,
    read_only,
    stack,
    subclasses,
    wrong_arrays,
    wrong_kinds,
    zeros,
)

from rnnext import _core


def draw(*shape):
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


FORWARD = {
    "weights": stack(),
    "x": draw(T, N, I),
    "state": (draw(1, N, H), draw(1, N, H)),
    "training": True,
}
BACKWARD = {
    "weights": FORWARD["weights"],
    "saved": _core.forward(**FORWARD)[2],
    "dy": draw(T, N, H),
    "dstate": (draw(1, N, H), draw(1, N, H)),
    "dc": draw(1, T, N, H),
    "batched": True,
    "need_x": True,
}
CALLS = {"forward": FORWARD, "backward": BACKWARD}
UNBATCHED = {"x": draw(T, I), "state": (draw(1, H), draw(1, H))}
STEP = {"x": draw(N, I), "state": (draw(N, H), draw(N, H))}
UNBATCHED_STEP = {"x": draw(I), "state": (draw(H), draw(H))}
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
    """Refused, or the arrays are."""
    try:
        found = getattr(_core, name)(**CALLS[name] | {"weights": wrong})
    except WRONG:
        return
    assert found is None


WRONG_CALLS = {
    "nothing": lambda: _core.forward(),
    "too few": lambda: _core.forward(stack(), draw(T, N, I), None),
    "too many": lambda: _core.forward(stack(), draw(T, N, I), None, True, *[None] * 3),
    "unknown": lambda: _core.forward(**FORWARD, cell=True),
    "twice": lambda: _core.forward(stack(), **FORWARD),
    "no name": lambda: _core.forward(**FORWARD | {"": 1}),
    "None for a bool": lambda: _core.forward(**FORWARD | {"training": None}),
    "number for a bool": lambda: _core.backward(**BACKWARD | {"need_x": 1}),
    "weights for a stepper": lambda: _core.step(stack(), stack(), draw(N, I), None),
}


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_calls_that_are_wrong(call):
    with pytest.raises(TypeError):
        call()


@pytest.mark.parametrize("layers", [{"layers": 2}, {"directions": 2}], ids=str)
def test_a_cell_has_one_layer(layers):
    weights = stack("lstm", H, **layers)
    with pytest.raises(ValueError, match="weights"):
        _core.forward_cell(weights, draw(N, H), None, True)
    saved = _core.forward(weights, draw(1, N, H), None, True)[2]
    with pytest.raises(ValueError, match="weights"):
        _core.backward_cell(weights, saved, None, True)


def arguments(options):
    """Name, which part of it, and array of all that users hand over."""
    for name, value in options.items():
        if name in ("x", "dy", "dc"):
            yield name, None, value
        elif name in ("state", "dstate") and value is not None:
            yield from ((name, part, value[part]) for part in range(2))


def replaced(options, name, part, array):
    if part is not None:
        array = (array, options[name][1]) if part == 0 else (options[name][0], array)
    return options | {name: array}


def flat(results):
    """All arrays of nested results."""
    for result in results:
        if isinstance(result, np.ndarray):
            yield result
        elif result is not None:
            yield from flat(result)


FORMS = {
    "layer": ("forward", FORWARD),
    "unbatched layer": ("forward", FORWARD | UNBATCHED),
    "cell": ("forward_cell", FORWARD | STEP),
    "unbatched cell": ("forward_cell", FORWARD | UNBATCHED_STEP),
    "inference": ("forward", FORWARD | {"training": False}),
    "backward": ("backward", BACKWARD),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_users_that_do_not_fit(form):
    """Nothing comes back, and nothing is raised: Python knows the words."""
    name, options = FORMS[form]
    call = getattr(_core, name)
    for argument, part, array in arguments(options):
        optional = argument != "x"
        values = wrong_kinds(*array.shape, optional=optional)
        for wrong in (*values, *subclasses(*array.shape)):
            found = call(**replaced(options, argument, part, wrong))
            assert found is None, (argument, describe(wrong))
    assert call(**options) is not None


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_users_with_any_strides(form):
    name, options = FORMS[form]
    call = getattr(_core, name)
    expected = list(flat(call(**options)))
    assert len(expected) >= 3
    for argument, part, array in arguments(options):
        for odd in (*odd_strides(array), read_only(array.copy())):
            found = list(flat(call(**replaced(options, argument, part, odd))))
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "state", [(), (None,), (None,) * 3, [None, None], zeros(1, N, H)]
)
@pytest.mark.parametrize("name", CALLS)
def test_states_that_are_no_pairs(name, state):
    argument = "state" if name == "forward" else "dstate"
    assert getattr(_core, name)(**CALLS[name] | {argument: state}) is None


def test_state_of_a_cell_without_c():
    options = FORWARD | {"weights": stack("gru")}
    h = options["state"][0]
    for wrong in ((h, None), (h,), [h], (h, h)):
        assert _core.forward(**options | {"state": wrong}) is None
    _, state, saved = _core.forward(**options | {"state": h})
    assert state.shape == h.shape
    back = BACKWARD | {"weights": options["weights"], "saved": saved, "dstate": h}
    assert _core.backward(**back) is None  # dc
    assert _core.backward(**back | {"dc": None}) is not None


def test_input_is_copied_for_training():
    x = FORWARD["x"].copy()
    saved = _core.forward(**FORWARD | {"x": x})[2]
    kept = saved[0][0].copy()
    x[...] = 0
    np.testing.assert_array_equal(saved[0][0], kept)


def test_backward_of_another_form():
    weights, many = BACKWARD["weights"], BACKWARD["saved"]
    one = _core.forward(**FORWARD | UNBATCHED)[2]
    for saved, batched in ((many, False), (one, True)):
        with pytest.raises(WRONG):
            _core.backward(**BACKWARD | {"saved": saved, "batched": batched})
    for saved, batched in ((many, True), (one, False)):
        with pytest.raises(WRONG):
            _core.backward_cell(weights, saved, None, batched)


@pytest.mark.parametrize("argument", ["masks", "saved"])
@pytest.mark.parametrize("value", [5, 1.5, object(), {}, [None], [5], "ab"], ids=repr)
def test_lists_that_are_none(argument, value):
    name = "backward" if argument == "saved" else "forward"
    with pytest.raises(WRONG):
        getattr(_core, name)(**CALLS[name] | {argument: value})


@pytest.mark.parametrize("name", CALLS)
def test_masks_that_do_not_fit(name):
    deep = {"weights": stack(layers=2)}
    saved = _core.forward(**FORWARD | deep | {"state": None})[2]
    none = dict.fromkeys(("dstate", "dc"))
    options = {
        "forward": FORWARD | deep | {"state": None},
        "backward": BACKWARD | deep | none | {"saved": saved},
    }[name]
    kinds = {"between": [(T, N, H)], "input": [(N, I), (N, H)]}
    kinds["recurrent"] = [(N, H), (N, H)]
    right = {k: [np.ones(s, np.float32) for s in v] for k, v in kinds.items()}

    def call(masks):
        return getattr(_core, name)(**options | {"masks": masks})

    assert_all_wrong(call, [[], [None], [None] * 4, 5, [5] * len(kinds)])
    for i, (kind, shapes) in enumerate(kinds.items()):

        def call_with(masks, i=i):
            return call([masks if k == i else None for k in range(len(kinds))])

        assert_all_wrong(call_with, [[], right[kind] * 2, "ab", [None] * len(shapes)])
        values = wrong_arrays(*shapes[-1])
        assert_all_wrong(call_with, ([*right[kind][:-1], wrong] for wrong in values))
        assert call_with(right[kind]) is not None
    assert call(list(right.values())) is not None


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
    "of too many arrays": ([[*arrays(), None, None, None]], 1),
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
        _core.Stack("lstm", layers, D)


@pytest.mark.parametrize("cell", CELLS)
def test_stack_of_wrong_arrays(cell):
    right = arrays(cell)
    rows = len(right[0])
    for i, array in enumerate(right):

        def make(value, i=i):
            layer = [*right[:i], value, *right[i + 1 :]]
            _core.Stack(cell, [layer], 1)

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
        _core.Stack("lstm", [layer], 1)


@pytest.mark.parametrize("cell", ["", "LSTM", "lstm\0", None, 3, "ß"], ids=repr)
def test_unknown_cell(cell):
    with pytest.raises(WRONG):
        _core.Stack(cell, [arrays()], 1)


def test_nothing_can_be_made_out_of_nothing():
    """Objects that no constructor has seen; in a process of its own."""
    script = f"""
import numpy as np
from rnnext import _core
empty = _core.Stack.__new__(_core.Stack)
stepper = _core.Stepper.__new__(_core.Stepper)
# Where one has been, that the memory of the next is not zero.
used = [_core.Coverage({T}, {N}, None, None, None, (False,), True) for _ in range(99)]
del used
steps = [_core.Coverage.__new__(_core.Coverage) for _ in range(99)]
assert all(one.steps == one.batch_size == 0 for one in steps)
arrays = [np.zeros((9, {I})), np.zeros((9, 3)), None, None]
right = _core.Stack("gru", [arrays], 1)
x = np.zeros(({T}, {N}, {I}), np.float32)
X = x.astype(float)
for call in (
    lambda: steps[0].rows(0),
    lambda: steps[0].starts(0),
    lambda: _core.forward(right, X, None, True, None, steps[0]),
    lambda: _core.forward(right, X[:0, :0], None, True, None, steps[0]),
    lambda: _core.forward(right, X, None, True, None, 3),
    lambda: _core.backward(right, [()], None, None, None, True, True, None, 3),
    lambda: _core.forward(empty, x, None, False),
    lambda: _core.backward(empty, [], None, None, None, True, True),
    lambda: _core.Stepper(empty, 1),
    lambda: stepper.get_state(),
    lambda: stepper.set_state(None),
    lambda: _core.step(stepper, right, x[0], None),
    lambda: _core.step(stepper, empty, x[0], None),
):
    try:
        call()
    except (TypeError, ValueError):
        continue
    raise SystemExit("no error")
layer = [np.zeros(shape, np.float32) for shape in ((16, {I}), (16, 4), 16, 16)]
stepper = _core.Stepper(_core.Stack("lstm", [layer], 1), {N})
assert _core.step(stepper, empty, x[0], None) is None
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


def test_types_are_final_and_not_copied():
    for kind in (_core.Stack, _core.Stepper):
        with pytest.raises(TypeError):
            type("Derived", (kind,), {})
    with pytest.raises(TypeError):
        stack().__reduce_ex__(4)


# ---------------------------------------------------------------- views


def test_writable_views():
    array = read_only(np.arange(6.0).reshape(2, 3))
    view = _core.writable_views({"a": array})["a"]
    view[1] = 9
    assert array.tolist() == [[0, 1, 2], [9, 9, 9]]
    assert view[:1].T.base is view
    view.flags.writeable = False
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    del array
    assert view.sum() == 30


def test_closed_views_are_read_only_and_those_referred_to_are_named():
    views = _core.writable_views({name: zeros(2, 3) for name in "abcde"})
    given = dict(views)
    kept = given["b"]
    column = given["c"][:, 0]
    del given["d"]
    given["e"] = zeros(1)
    assert sorted(_core.close_views(views, given)) == ["b", "c"]
    for name in "abcde":
        with pytest.raises(ValueError, match="read-only"):
            views[name][...] = 1
    assert not kept.flags.writeable
    column[...] = 1  # a view of a view stays as it is: hence the copy that layers make
    assert views["c"].sum() == 2


def test_writable_views_of_others():
    array = zeros(4, 6)
    values = (array.T, array[:, ::2], None, [1.0], 5)
    assert_all_wrong(lambda a: _core.writable_views({"a": a}), values)
    assert_all_wrong(_core.writable_views, (None, [array], 5))
    assert_all_wrong(lambda a: _core.close_views({"a": a}, {}), values[2:])
    assert_all_wrong(lambda a: _core.close_views(a, {}), (None, [array]))
    assert_all_wrong(lambda a: _core.close_views({}, a), (None, [array]))
    view = _core.writable_views({"a": zeros(0, 3)})["a"]
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
        y, state, saved = _core.forward(weights, x, None, True)
        assert y.shape == (steps, batch, H)
        rest = (None, None, None, True, True)
        dx, dstate, _ = _core.backward(weights, saved, *rest)
        assert dx.shape == x.shape
        shapes = [[part.shape for part in flat([s])] for s in (dstate, state)]
        assert shapes[0] == shapes[1]
    stepper = _core.Stepper(weights, 0)
    assert _core.step(stepper, weights, zeros(0, I, dtype=dtype), None).shape == (0, H)
    assert {part.shape for part in flat([stepper.get_state()])} == {(1, 0, H)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_of_nothing(dtype):
    for M, K, O in itertools.product((0, 2), repeat=3):
        x, w, b = (zeros(*s, dtype=dtype) for s in ((M, K), (O, K), (O,)))
        np.testing.assert_array_equal(_core.linear(x, w, b), zeros(M, O))
        np.testing.assert_array_equal(_core.matmul_tn(x.T.copy(), w.T.copy()), x @ w.T)
        assert _core.softmax(x).shape == (M, K)
        for name in ("exp", "sigmoid", "tanh"):
            assert getattr(_core, name)(x).shape == (M, K)


def huge(*shape):
    """An array of no elements with huge sizes."""
    return np.empty(shape, np.float32)


TOO_LARGE = {
    "forward, N": lambda: _core.forward(stack(), huge(0, 2**45, I), None, False),
    "forward, N over": lambda: _core.forward(stack(), huge(0, 2**58, I), None, True),
    "forward, T over": lambda: _core.forward(
        stack(hidden=64), huge(2**58, 0, I), None, True
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
    return _core.Stack("lstm", layers, 1)

deep = stack([[*layer(3)], [*layer(4)]])
made_deep = stack(Made(lambda: layer(3), lambda: layer(4)))
x, mask = ones(1, 1 << 14, 3), ones(1, 1 << 14, 4)
none = (None, None)
held = _core.forward(deep, x, None, True, ([mask], *none))
made = _core.forward(made_deep, x, None, True, (Made(mask.copy), *none))
assert (made[0] == held[0]).all()
single = stack([[*layer(3)]])
saved = _core.forward(single, x, None, True)[2]
copies = Made(lambda: Made(*(array.copy for array in saved[0])))
rest = (mask, None, None, True, True)
held = _core.backward(single, saved, *rest)
made = _core.backward(single, copies, *rest)
assert all((a == b).all() for a, b in zip(made[2], held[2]))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


def test_dense_begins_with_nothing_of_a_call_before(dtype):
    """Neither in scratch that a bias was in, nor in memory of an array given up."""
    x, w, b = np.ones((3, 4), dtype), np.ones((5, 4), dtype), np.full(5, 7, dtype)
    assert (_core.linear(x, w, b) == 11).all()
    assert (_core.linear(x, w, None) == 4).all()
    for _ in range(3):
        used = [np.full((3, 5), 7, dtype) for _ in range(20)]
        del used
        found = _core.matmul_tn(np.empty((0, 3), dtype), np.empty((0, 5), dtype))
        assert found.shape == (3, 5)
        assert (found == 0).all()
