"""Same bits, whatever the company: batch, threads, chunks, layout, instruction set."""

import time

import numpy as np
import pytest
from conftest import (
    CELLS,
    Problem,
    assert_same_bits,
    make_layer,
    named_gradients,
    named_state,
    same_bits,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnext
from rnnext import _core

# (I, H, N, T): small; several blocks of every sum and several chunks of time; work that
# is shared by units (few sequences) and by rows (many).
SHAPES = [(5, 9, 25, 6), (33, 130, 13, 50), (257, 65, 2, 40), (20, 33, 130, 5)]
FUSED = [name for name in _core.available_isas() if name != "baseline"]


def name(shape):
    return "I{}-H{}-N{}-T{}".format(*shape)


def per_sequence(problem):
    """What belongs to the sequences of the batch: outputs, dx, dh_0, dc_0."""
    outputs, gradients, _ = problem.train()
    return outputs | {k: v for k, v in gradients.items() if k in ("x", "h_0", "c_0")}


def everything(problem):
    """Outputs and all gradients."""
    outputs, gradients, _ = problem.train()
    return outputs | gradients


def network(cell, dtype, N=3, **options):
    options = {"num_layers": 2, "bidirectional": True} | options
    return Problem(cell, 5, 9, N, 7, dtype=dtype, **options)


# ---------------------------------------------------------------- threads


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_threads(isa, cell, dtype, shape, threads):
    problem = Problem(cell, *shape, dtype=dtype)
    threads(1)
    inferred, expected = problem.infer(), everything(problem)
    for n in (2, 3, 7):
        threads(n)
        assert_same_bits(problem.infer(), inferred)
        assert_same_bits(everything(problem), expected)


def test_threads_of_a_network(isa, cell, dtype, threads):
    options = {"num_layers": 2, "bidirectional": True}
    problem = Problem(cell, 20, 65, 12, 10, dtype=dtype, **options)
    threads(1)
    expected = everything(problem)
    for n in (2, 3, 7):
        threads(n)
        assert_same_bits(everything(problem), expected)


def test_calls_that_do_not_wait_for_sleeping_threads(threads):
    problem = Problem("lstm", 256, 256, 1, 3)
    threads(1)
    expected = everything(problem)
    threads(2)
    _core.assume_quick_threads(False)
    try:
        for pause in [0.005] * 5 + [0] * 50:  # asleep, waking up, awake
            time.sleep(pause)
            assert_same_bits(everything(problem), expected)
    finally:
        _core.assume_quick_threads(True)


@pytest.mark.parametrize("rows", [1, 5])
def test_single_steps_of_a_wide_layer(cell, dtype, rows, threads):
    """Their weights go to and fro from call to call, some units at a time."""
    layer = make_layer(cell, 200, 520, dtype=dtype)
    x = np.random.default_rng(3).standard_normal((5, rows, 200)).astype(dtype)
    threads(1)
    expected, final = layer(x)
    for n in (1, 2, 3):
        threads(n)
        state = None
        for step in range(len(x)):
            y, state = layer(x[step : step + 1], state)
            assert_same_bits({"y": y[0]}, {"y": expected[step]})
        assert_same_bits(named_state(state), named_state(final))


def test_repeated_runs(isa, cell, dtype):
    problem = Problem(cell, 33, 130, 13, 50, dtype=dtype)
    expected = everything(problem)
    for _ in range(3):
        assert_same_bits(everything(problem), expected)


# ---------------------------------------------------------------- batch


def assert_alone_is_as_in_company(problem, indices):
    together = per_sequence(problem)
    for index in indices:
        alone = problem.rows(index)
        expected = {k: array[..., index, :] for k, array in together.items()}
        assert_same_bits(per_sequence(alone), expected)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_any_batch(isa, cell, dtype, shape):
    N = shape[2]
    some = range(N) if N <= 25 else (0, 1, 7, N // 2, N - 1)
    parts = [slice(n, n + 1) for n in some] + [slice(1, N), slice(0, N, 2)]
    assert_alone_is_as_in_company(Problem(cell, *shape, dtype=dtype), parts)


def test_any_batch_of_a_network(isa, cell, dtype):
    problem = network(cell, dtype, N=11)
    assert_alone_is_as_in_company(problem, [slice(n, n + 1) for n in range(11)])


def test_a_batch_so_large_that_it_is_cut(isa):
    """At a billion operations a step, rows go one slab after the other."""
    problem = Problem("lstm", 512, 512, 300, 2, dtype=np.float32)
    assert_alone_is_as_in_company(problem, [slice(n, n + 1) for n in (0, 250, 299)])


@pytest.mark.parametrize("batch_first", [False, True], ids=["time", "batch"])
def test_unbatched(isa, cell, dtype, batch_first):
    expected = per_sequence(network(cell, dtype, N=1))
    alone = network(cell, dtype, N=1, batch_first=batch_first).rows(0)
    expected = {k: array[..., 0, :] for k, array in expected.items()}
    assert_same_bits(per_sequence(alone), expected)


def test_batch_first(isa, cell, dtype):
    problem = network(cell, dtype)
    expected = everything(problem)
    other = network(cell, dtype, batch_first=True)
    other.x, other.dy = other.x.swapaxes(0, 1), other.dy.swapaxes(0, 1)
    other.x = np.ascontiguousarray(other.x)
    found = everything(other)
    for key in ("x", "y"):
        found[key] = found[key].swapaxes(0, 1)
    assert_same_bits(found, expected)


# ---------------------------------------------------------------- time

CUTS = {"halves": [3], "first_step": [1], "steps": [1, 2, 3, 4, 5], "uneven": [4, 5]}


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_chunks_with_the_state_carried(isa, cell, dtype, cuts):
    assert_chunks_are_the_whole(Problem(cell, 5, 9, 25, 6, dtype=dtype), cuts)
    network = Problem(cell, 5, 9, 3, 6, dtype=dtype, num_layers=2)
    assert_chunks_are_the_whole(network, cuts)


def test_long_chunks(isa, cell, dtype):
    problem = Problem(cell, 33, 130, 13, 100, dtype=dtype)
    assert_chunks_are_the_whole(problem, [1, 50, 97])


def assert_chunks_are_the_whole(problem, cuts):
    layer, state, caches, ys = problem.layer, problem.state, [], []
    for x in np.split(problem.x, cuts):
        y, after = layer(x, state)
        y_trained, state, cache = layer.forward(x, state)
        assert same_bits(y, y_trained)
        assert_same_bits(named_state(after), named_state(state))
        caches.append(cache)
        ys.append(y)
    found = {"y": np.concatenate(ys)} | named_state(state)

    dys = np.split(problem.dy, cuts)
    dcs = np.split(problem.dc, cuts, axis=1) if problem.has_c else [None] * len(ys)
    dstate, dxs = problem.dstate, []
    for cache, dy, dc in reversed(list(zip(caches, dys, dcs, strict=True))):
        gradients = layer.backward(cache, dy, dstate, dc=dc)
        dstate = gradients.state
        dxs.append(gradients.x)
    found |= {"x": np.concatenate(dxs[::-1])} | named_state(dstate, "h_0", "c_0")
    assert_same_bits(found, per_sequence(problem))


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(
    "shape",
    [(5, 9, 1, 6), (5, 9, 25, 6), (33, 130, 13, 20), (257, 65, 1, 40)],
    ids=name,
)
def test_streams(isa, cell, dtype, shape, num_layers):
    problem = Problem(cell, *shape, dtype=dtype, num_layers=num_layers)
    stream = problem.layer.stream(shape[2], problem.state)
    y = np.stack([stream.step(x) for x in problem.x])
    found = {"y": y} | named_state(stream.state)
    assert_same_bits(found, problem.infer())


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_inference_is_training(isa, cell, dtype, shape):
    problem = Problem(cell, *shape, dtype=dtype)
    outputs, _, _ = problem.train()
    assert_same_bits(problem.infer(), outputs)


def test_inference_is_training_in_a_network(isa, cell, dtype):
    problem = network(cell, dtype)
    outputs, _, _ = problem.train()
    assert_same_bits(problem.infer(), outputs)


# ---------------------------------------------------------------- memory


def strided(array):
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def reversed_in_memory(array):
    return array[::-1, ..., ::-1].copy()[::-1, ..., ::-1]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def misaligned(array):
    memory = bytearray(array.nbytes + 1)
    found = np.frombuffer(memory, array.dtype, offset=1, count=array.size)
    found = found.reshape(array.shape)
    found[...] = array
    assert not found.flags.aligned
    return found


def repeated_rows(array):
    """A broadcast, of stride zero: equal only where rows are."""
    return np.broadcast_to(array[..., :1, :], array.shape)


LAYOUTS = [strided, np.asfortranarray, reversed_in_memory, read_only, misaligned]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_layouts(isa, cell, dtype, layout):
    problem = network(cell, dtype)
    found = problem.mapped(layout)
    assert_same_bits(found.infer(), problem.infer())
    assert_same_bits(everything(found), everything(problem))


def test_broadcast_inputs(cell, dtype):
    problem = network(cell, dtype).mapped(repeated_rows)
    expected = everything(problem.mapped(np.array))
    assert_same_bits(everything(problem), expected)


def test_swapped_bytes_are_refused(dtype):
    problem = network("lstm", dtype)
    swapped = problem.x.astype(dtype.newbyteorder())
    with pytest.raises(TypeError, match=r"x: expected dtype .*; write x\.astype"):
        problem.layer(swapped)


def test_inputs_are_never_written(isa, cell, dtype):
    problem = network(cell, dtype, dropout=0.5)
    before = problem.mapped(np.array)
    parameters = problem.layer.state_dict()
    problem.infer()
    problem.train()
    for key in ("x", "dy"):
        assert same_bits(getattr(problem, key), getattr(before, key))
    for key in ("state", "dstate"):
        now, then = (named_state(getattr(p, key)) for p in (problem, before))
        assert_same_bits(now, then)
    assert problem.dc is None or same_bits(problem.dc, before.dc)
    assert_same_bits(dict(problem.layer.parameters), parameters)


def test_results_are_not_views_of_inputs_or_caches(cell):
    problem = network(cell, np.float64)
    y, state, cache = problem.layer.forward(problem.x, problem.state)
    expected = named_gradients(problem.layer.backward(cache, problem.dy))
    y[...] = np.nan
    for array in named_state(state).values():
        array[...] = np.nan
    problem.x[...] = np.nan
    for array in named_state(problem.state).values():
        array[...] = np.nan
    found = named_gradients(problem.layer.backward(cache, problem.dy))
    assert_same_bits(found, expected)


# ---------------------------------------------------------------- instruction sets


def on_instruction_set(name, run):
    before = _core.isa()
    _core.set_isa(name)
    try:
        return run()
    finally:
        _core.set_isa(before)


@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2, "bidirectional": True}],
    ids=["layer", "network"],
)
@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_instruction_sets_with_fused_multiply_add(cell, dtype, shape, options):
    def run():
        return everything(Problem(cell, *shape, dtype=dtype, **options))

    first, *others = [on_instruction_set(isa, run) for isa in FUSED] or [{}]
    for other in others:
        assert_same_bits(other, first)


# ---------------------------------------------------------------- anything


@st.composite
def problems(draw):
    size = st.integers(1, 40)
    return Problem(
        draw(st.sampled_from(CELLS)),
        draw(size),
        draw(size),
        draw(st.integers(1, 15)),
        draw(st.integers(0, 12)),
        seed=draw(st.integers(0, 99)),
        dtype=draw(st.sampled_from([np.float32, np.float64])),
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
    )


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(problem=problems(), data=st.data())
def test_any_configuration(problem, data):
    T, N, _ = problem.x.shape
    outputs, _, _ = problem.train()
    assert_same_bits(problem.infer(), outputs)

    first = data.draw(st.integers(0, N - 1))
    last = data.draw(st.integers(first + 1, N))
    assert_alone_is_as_in_company(problem, [slice(first, last)])

    if not problem.layer.bidirectional:
        cuts = sorted(data.draw(st.lists(st.integers(0, T), max_size=3)))
        assert_chunks_are_the_whole(problem, cuts)

    expected, before = everything(problem), rnnext.get_num_threads()
    try:
        rnnext.set_num_threads(data.draw(st.integers(1, 5)))
        assert_same_bits(everything(problem), expected)
    finally:
        rnnext.set_num_threads(before)
