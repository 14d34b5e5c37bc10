"""The same bits: any configuration, every schedule, a hundred times, from now on."""

import hashlib

import numpy as np
import pytest
from conftest import (
    CELLS,
    Problem,
    assert_same_bits,
    make_layer,
    named_gradients,
    named_output,
    named_state,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnext
from rnnext import _core

PER_SEQUENCE = ("y", "y_forward", "y_backward", "h_n", "c_n", "x", "h_0", "c_0")


def results(problem, **steps):
    """Outputs and all gradients."""
    outputs, gradients, _ = problem.train(**steps)
    return outputs | gradients


def of_sequences(found):
    return {name: found[name] for name in PER_SEQUENCE if name in found}


def with_threads(n, function):
    before = rnnext.get_num_threads()
    rnnext.set_num_threads(n)
    try:
        return function()
    finally:
        rnnext.set_num_threads(before)


# ---------------------------------------------------------------- any configuration


@st.composite
def options(draw, cell):
    """Of a layer, but dropout: its factors are given with the call."""
    found = {"num_layers": draw(st.integers(1, 3)), "bias": draw(st.booleans())}
    if draw(st.booleans()):
        found["bidirectional"] = True
        merges = ["concat", "sum", "mul", "ave"]
        merges += [None] if found["num_layers"] == 1 else []
        found["merge"] = draw(st.sampled_from(merges))
    else:
        found["reverse"] = draw(st.booleans())
    if draw(st.booleans()):
        found["gate_clip"] = draw(st.sampled_from([0.5, 2.0]))
    if draw(st.booleans()):
        gates = {"lstm": 5, "gru": 3, "gru_reset_before": 3}.get(cell, 1)
        kinds = st.sampled_from(["sigmoid", "tanh", "relu", "HardSigmoid", "elu"])
        chosen = draw(st.lists(kinds, min_size=gates, max_size=gates))
        if not cell.startswith("rnn"):
            found["activations"] = chosen
    if cell == "lstm":
        found["peephole"] = draw(st.booleans())
        found["coupled"] = draw(st.booleans())
        if draw(st.booleans()):
            found["cell_clip"] = 0.5
        found["proj_size"] = draw(st.sampled_from([0, 1, 5]))
    return found


@st.composite
def problems(draw):
    cell = draw(st.sampled_from(CELLS))
    own = draw(options(cell))
    H = draw(st.integers(2, 40))
    if own.get("proj_size"):
        own["proj_size"] = min(own["proj_size"], H - 1)
    shape = [draw(st.integers(1, 40)), H]
    shape += [draw(st.integers(1, 12)), draw(st.integers(1, 10))]
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return Problem(cell, *shape, seed=draw(st.integers(0, 99)), dtype=dtype, **own)


@st.composite
def extents(draw, T, N):
    """Which steps exist and which start anew."""
    kind = draw(st.sampled_from(["all", "lengths", "mask", "reset"]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    found = {"pad": draw(st.sampled_from(["zeros", "hold"]))}
    if kind == "lengths":
        found["lengths"] = random.integers(0, T + 1, N)
    elif kind == "mask":
        found["mask"] = random.random((T, N)) < 0.7
    elif kind == "reset":
        found["reset"] = random.random((T, N)) < 0.3
    return found


def factors(problem, seed):
    """Of all kinds of dropout."""
    T, N, I = problem.x.shape
    layer, random = problem.layer, np.random.default_rng(seed)
    L, D = layer.num_layers, 1 + layer.bidirectional
    P = layer.proj_size or layer.hidden_size
    F = D * P if layer.merge == "concat" else P

    def drawn(*shape):
        return (2 * (random.random(shape) < 0.5)).astype(problem.dtype)

    inputs = [drawn(N, I if i < D else F) for i in range(L * D)]
    return {
        "between": [drawn(T, N, F) for _ in range(L - 1)],
        "input": inputs,
        "recurrent": [drawn(N, P) for _ in range(L * D)],
    }


def only(steps, rows):
    """Of some sequences."""
    found = dict(steps)
    for name in ("lengths", "mask", "reset"):
        if name in found:
            found[name] = found[name][..., rows]
    if masks := found.get("dropout_masks"):
        found["dropout_masks"] = {
            kind: [mask[..., rows, :] for mask in some] for kind, some in masks.items()
        }
    return found


ANY = settings(max_examples=120, deadline=None, derandomize=True, database=None)


@ANY
@given(problem=problems(), data=st.data())
def test_any_configuration(problem, data):
    T, N, _ = problem.x.shape
    steps = data.draw(extents(T, N))
    expected = results(problem, **steps)
    assert_same_bits(
        problem.infer(**steps), {k: expected[k] for k in problem.infer(**steps)}
    )
    if data.draw(st.booleans()):
        steps["dropout_masks"] = factors(problem, 5)
        expected = results(problem, **steps)

    for n in range(1, 5):
        assert_same_bits(with_threads(n, lambda: results(problem, **steps)), expected)
    first = data.draw(st.integers(0, N - 1))
    rows = slice(first, data.draw(st.integers(first + 1, N)))
    some = of_sequences(results(problem.rows(rows), **only(steps, rows)))
    assert_same_bits(
        some, {k: a[..., rows, :] for k, a in of_sequences(expected).items()}
    )
    back = slice(None, None, -1)  # another place in the batch
    turned = of_sequences(results(problem.rows(back), **only(steps, back)))
    assert_same_bits(
        turned, {k: a[..., back, :] for k, a in of_sequences(expected).items()}
    )


@ANY
@given(problem=problems(), data=st.data())
def test_any_cut_in_time(problem, data):
    """In chunks with the state carried, and step by step through a stream."""
    layer, T = problem.layer, len(problem.x)
    if layer.bidirectional or layer.reverse:
        return
    expected = results(problem)
    cuts = sorted(data.draw(st.lists(st.integers(0, T), max_size=3)))
    ids = data.draw(st.booleans())
    if ids:
        problem.x = np.arange(problem.x[..., 0].size).reshape(T, -1) % layer.input_size
        expected = results(problem)
    state, caches, ys = problem.state, [], []
    for x in np.split(problem.x, cuts):
        y, state, cache = layer.forward(x, state)
        ys.append(y)
        caches.append(cache)
    found = {"y": np.concatenate(ys)} | named_state(state)
    dcs = [None] * len(ys) if problem.dc is None else np.split(problem.dc, cuts, axis=1)
    dys, state, dxs = np.split(problem.dy, cuts), problem.dstate, []
    for cache, dy, dc in reversed(list(zip(caches, dys, dcs, strict=True))):
        gradients = layer.backward(cache, dy, state, dc=dc)
        state = gradients.state
        dxs.insert(0, gradients.x)
    if not ids:
        found["x"] = np.concatenate(dxs)
    found |= named_state(state, "h_0", "c_0")
    assert_same_bits(found, of_sequences(expected))

    stream = layer.stream(problem.x.shape[1], problem.state)
    found = {"y": np.stack([stream.step(x) for x in problem.x])}
    found |= named_state(stream.state)
    assert_same_bits(found, {name: expected[name] for name in found})


@ANY
@given(problem=problems(), seed=st.integers(0, 99))
def test_any_tokens(problem, seed):
    T, N, I = problem.x.shape
    ids = np.random.default_rng(seed).integers(0, I, (T, N))
    problem.x = np.eye(I, dtype=problem.dtype)[ids]
    expected = of_sequences(results(problem))
    problem.x = ids
    del expected["x"]
    assert_same_bits(of_sequences(results(problem)), expected)


@ANY
@given(problem=problems(), data=st.data())
def test_any_padding(problem, data):
    """A padded sequence is the one of its own length."""
    T, N, _ = problem.x.shape
    problem.dc = None  # after the end it is a gradient of the last state
    lengths = np.array(data.draw(st.lists(st.integers(0, T), min_size=N, max_size=N)))
    found = of_sequences(results(problem, lengths=lengths))
    n = data.draw(st.integers(0, N - 1))
    alone, end = problem.rows(slice(n, n + 1)), lengths[n]
    alone.x = alone.x[:end]
    parts = alone.dy if isinstance(alone.dy, tuple) else (alone.dy,)
    cut = tuple(part[:end] for part in parts)
    alone.dy = cut if isinstance(alone.dy, tuple) else cut[0]
    expected = of_sequences(results(alone))
    for name, array in found.items():
        array = array[..., n : n + 1, :]
        timed = name.startswith("y") or name == "x"
        found[name] = array[:end] if timed else array
        assert not timed or not array[end:].any()
    assert_same_bits(found, expected)


# ---------------------------------------------------------------- every schedule

# (cell, I, H, N, T), threads, and what `plans` says of forward: threads, split, slab
# and chunk; the branches of cpp/schedule.cpp, one by one.
SCHEDULES = {
    "a step too small to plan": (("lstm", 3, 4, 1, 1), 4, (1, "units", 1, 1)),
    "too small for threads": (("lstm", 3, 4, 2, 3), 4, (1, "units", 2, 3)),
    "rows of one thread": (("lstm", 33, 130, 13, 50), 1, (1, "rows", 13, 9)),
    "rows of two": (("gru", 64, 96, 256, 5), 2, (2, "rows", 256, 1)),
    "rows of four": (("lstm", 20, 33, 130, 5), 4, (4, "rows", 130, 3)),
    "too few rows": (("lstm", 33, 130, 13, 50), 4, (4, "units", 13, 9)),
    "steps too small to meet at": (("lstm", 5, 9, 4, 25), 4, (1, "units", 4, 25)),
    "one sequence": (("lstm", 64, 128, 1, 40), 4, (4, "units", 1, 40)),
    "fewer blocks than threads": (("rnn_tanh", 500, 48, 16, 20), 16, None),
    "weights beyond the cache": (("lstm", 128, 256, 63, 6), 2, (2, "units", 63, 1)),
    "rows enough for them": (("lstm", 128, 256, 64, 6), 2, (2, "rows", 64, 1)),
    "two slabs": (("gru", 512, 768, 500, 2), 2, None),
    "slabs of rows": (("rnn_relu", 8, 8, 3000, 4), 3, (3, "rows", 3000, 2)),
}


def plans(problem, backward=False):
    T, N, _ = problem.x.shape
    (plan,) = _core.plans(problem.layer._weights(), T, N, backward)
    return plan


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule(name):
    (cell, *shape), threads, plan = SCHEDULES[name]
    problem = Problem(cell, *shape, dtype=np.float32)

    def found():
        return plans(problem), results(problem)

    planned, expected = with_threads(threads, found)
    assert plan is None or planned == plan
    if name == "fewer blocks than threads":
        assert 1 < planned[0] < threads
    if name == "two slabs":
        assert planned[2] < shape[2]
        assert plans(problem, True)[2] < planned[2]
    for n in {1, 2, 3, 5} - {threads}:
        assert_same_bits(with_threads(n, lambda: results(problem)), expected)
    N = shape[2]
    for n in {0, N // 2, N - 1}:
        rows = slice(n, n + 1)
        alone = of_sequences(results(problem.rows(rows)))
        together = of_sequences(expected)
        assert_same_bits(alone, {k: a[..., rows, :] for k, a in together.items()})


def test_schedules_hit_every_branch():
    """Both splits, one thread and more; chunks and slabs, cut and whole."""
    seen = set()
    for (cell, *shape), threads, _ in SCHEDULES.values():
        problem = Problem(cell, *shape, dtype=np.float32)
        _, _, N, T = shape
        both = with_threads(threads, lambda p=problem: [plans(p), plans(p, True)])
        for got, split, slab, chunk in both:
            seen |= {(split, got > 1), ("slab", slab < N), ("chunk", chunk < T)}
    kinds = ("rows", "units", "slab", "chunk")
    assert seen == {(kind, which) for kind in kinds for which in (False, True)}


@pytest.mark.parametrize("name", ["rows of four", "one sequence", "too few rows"])
def test_a_hundred_times(name):
    (cell, *shape), threads, _ = SCHEDULES[name]
    problem = Problem(cell, *shape, dtype=np.float32)

    def repeat():
        expected = results(problem)
        for _ in range(100):
            assert_same_bits(results(problem), expected)

    with_threads(threads, repeat)


TRANSPOSED = {
    "rnn_tanh": {},
    "rnn_relu": {"num_layers": 2, "bidirectional": True},
    "lstm": {"proj_size": 21, "peephole": True},
    "gru": {"bidirectional": True},
    "gru_reset_before": {},
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [22, 64, 133])
def test_weights_packed_transposed_or_not(isa, cell, dtype, hidden):
    """A step of a few rows needs no transposed weights, and gives what they give."""
    alone = Problem(cell, 37, hidden, 3, 1, dtype=dtype, **TRANSPOSED[cell])
    expected = results(alone)
    longer = Problem(cell, 37, hidden, 1, 2, dtype=dtype, **TRANSPOSED[cell])
    longer.layer = alone.layer
    results(longer)  # which leaves the transposed ones behind
    assert_same_bits(results(alone), expected)


# ---------------------------------------------------------------- from now on

WORKLOADS = {
    "rnn_tanh": {"num_layers": 2},
    "rnn_relu": {"bidirectional": True, "merge": "sum"},
    "lstm": {"num_layers": 2, "bidirectional": True, "peephole": True, "proj_size": 17},
    "gru": {"num_layers": 2, "bidirectional": True},
    "gru_reset_before": {"gate_clip": 1.5},
}
# SHA-256 of outputs and of gradients, by what computes them: fused multiply-adds or
# none. Who changes them on purpose says so in CHANGELOG.md: they are a promise.
BITS = {
    "fused": (
        "0519bbd3690245439253734b6833210119e57418ad326c67705162c0cb5a5475",
        "e38c4a488eadc95c0319bbff3d0deeafea2697fc443e3f7db563da7513afe4a5",
    ),
    "baseline": (
        "085094b2a83cae1972ae14e0206e4f07081d4bec446569189c0ed92180972e89",
        "75d0b794926e975547a1b030ef3fb74ef315dfbf0a7c4eee8bd1e7c902d9ee00",
    ),
}


def numbers(*shape, scale, dtype, start=0):
    """Exact in every dtype and on every machine: no generator, no rounding."""
    count = np.arange(start, start + np.prod(shape, dtype=int), dtype=np.uint64)
    steps = (count * 2654435761 % 2**32 >> 20).astype(np.int64) - 2048
    return (steps.reshape(shape) * (scale / 2048)).astype(dtype)


def fixed_workload():
    """Hashes of the outputs and of the gradients of all cells."""
    forward, backward = hashlib.sha256(), hashlib.sha256()
    I, H, N, T = 37, 70, 11, 9
    for cell, own in WORKLOADS.items():
        for dtype in (np.float32, np.float64):
            layer = make_layer(cell, I, H, dtype=dtype, **own)
            shapes = {name: p.shape for name, p in layer.parameters.items()}
            given = {"scale": 0.125, "dtype": dtype}
            layer.assign(
                **{
                    name: numbers(*shape, start=97 * i, **given)
                    for i, (name, shape) in enumerate(shapes.items())
                }
            )
            x = numbers(T, N, I, scale=2.0, dtype=dtype)
            lengths = np.arange(N) * 5 % (T + 1)
            y, state, cache = layer.forward(x, lengths=lengths)
            gradients = layer.backward(cache, numbers(*y.shape, scale=1.0, dtype=dtype))
            found = named_output(y) | named_state(state)
            for made, arrays in (
                (forward, found),
                (backward, named_gradients(gradients)),
            ):
                for array in arrays.values():
                    made.update(np.ascontiguousarray(array))
    return forward.hexdigest(), backward.hexdigest()


def test_bits_of_a_fixed_workload(isa):
    assert fixed_workload() == BITS["baseline" if isa == "baseline" else "fused"]
