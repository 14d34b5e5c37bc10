"""Lengths, masks and resets: against the reference, and as sequences of their own."""

import numpy as np
import pytest
import reference
from conftest import (
    COMPLEX_STEP_TOLERANCE,
    Problem,
    assert_close,
    assert_same_bits,
    derivative,
    named_gradients,
    named_state,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnext

T, N = 7, 6
LENGTHS = [4, 0, 7, 1, 7, 3]
HOLES = np.random.default_rng(1).random((T, N)) < 0.6
RESETS = np.random.default_rng(2).random((T, N)) < 0.3
STEPS = {
    "lengths": {"lengths": LENGTHS},
    "lengths, hold": {"lengths": LENGTHS, "pad": "hold"},
    "mask": {"mask": HOLES},
    "mask, hold": {"mask": HOLES, "pad": "hold"},
    "reset": {"reset": RESETS},
    "all": {"lengths": LENGTHS, "mask": HOLES, "reset": RESETS, "pad": "hold"},
    "none": {"mask": np.zeros((T, N), bool), "pad": "hold"},
}


@pytest.fixture(params=STEPS)
def steps(request):
    return STEPS[request.param]


def network(cell, **options):
    options = {"num_layers": 2, "bidirectional": True} | options
    return Problem(cell, 5, 9, N, T, **options)


def test_reference(cell, steps):
    """The reference itself, by a complex step."""
    problem = Problem(cell, 3, 4, N, T, num_layers=2, bidirectional=True)
    dh_n, dc_n = problem.dstate if problem.has_c else (problem.dstate, None)
    states = problem.state if problem.has_c else (problem.state,)
    arrays = dict(problem.layer.parameters) | {"x": problem.x, "h_0": states[0]}
    arrays |= {"c_0": states[1]} if problem.has_c else {}
    parameters = dict(problem.layer.parameters)

    def loss(a):
        state = (a["h_0"], a["c_0"]) if problem.has_c else a["h_0"]
        trace = reference.network_forward(
            {name: a[name] for name in parameters},
            a["x"],
            state,
            steps=problem.extent(steps),
            **problem.options,
        )
        total = (problem.dy * trace.y).sum() + (dh_n * trace.h_n).sum()
        if problem.has_c:
            total += (dc_n * trace.c_n).sum()
            total += sum(
                (dc * t.c[1:]).sum()
                for dc, t in zip(problem.dc, trace.traces, strict=True)
            )
        return total

    found = problem.true_gradients(**steps)
    for name in ("x", "h_0", "weight_hh_l0", "weight_ih_l1", "bias_hh_l0_reverse"):
        expected = derivative(
            lambda z, name=name: loss(arrays | {name: z}), arrays[name]
        )
        largest = max(np.abs(expected).max(), 1e-3)
        assert np.abs(found[name] - expected).max() <= COMPLEX_STEP_TOLERANCE * largest


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_networks(isa, cell, dtype, steps, num_layers, bidirectional):
    problem = network(
        cell, dtype=dtype, num_layers=num_layers, bidirectional=bidirectional
    )
    outputs, gradients, cache = problem.train(**steps)
    assert_close(outputs, problem.true_forward(**steps))
    assert_same_bits(problem.infer(**steps), outputs)
    assert_close(gradients, problem.true_gradients(**steps))

    traces = problem.true_trace(**steps).traces
    kept = {"h": cache.h, "gates": cache.gates} | ({"c": cache.c} if cache.c else {})
    for name, arrays in kept.items():
        expected = {str(i): getattr(t, name) for i, t in enumerate(traces)}
        assert_close({str(i): a for i, a in enumerate(arrays)}, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"merge": "sum"},
        {"merge": "mul"},
        {"merge": "ave"},
        {"merge": None, "num_layers": 1},
        {"bidirectional": False, "reverse": True},
    ],
    ids=lambda options: "-".join(f"{k}={v}" for k, v in options.items()),
)
def test_merges(cell, steps, options):
    problem = network(cell, **options)
    outputs, gradients, _ = problem.train(**steps)
    assert_close(outputs, problem.true_forward(**steps))
    assert_close(gradients, problem.true_gradients(**steps))


def test_wide(isa, cell):
    """Units and rows shared among threads, several slabs' worth of chunks."""
    problem = Problem(cell, 40, 70, 30, 25)
    rng = np.random.default_rng(3)
    steps = {"lengths": rng.integers(0, 26, 30), "reset": rng.random((25, 30)) < 0.1}
    before = rnnext.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            rnnext.set_num_threads(threads)
            outputs, gradients, _ = problem.train(**steps)
            found.append(outputs | gradients)
    finally:
        rnnext.set_num_threads(before)
    assert_close(
        found[0], problem.true_forward(**steps) | problem.true_gradients(**steps)
    )
    assert_same_bits(found[1], found[0])
    assert_same_bits(found[2], found[0])


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
def test_every_sequence_alone(isa, cell, dtype, bidirectional):
    """The bits of a sequence do not depend on its batch, its padding or its place."""
    problem = network(cell, dtype=dtype, bidirectional=bidirectional)
    y, state = problem.layer(problem.x, problem.state, lengths=LENGTHS)
    for n, length in enumerate(LENGTHS):
        alone = problem.rows([n])
        y_n, state_n = problem.layer(alone.x[:length], alone.state)
        found = {"y": y[:length, [n]]} | {
            k: v[:, [n]] for k, v in named_state(state).items()
        }
        assert_same_bits(found, {"y": y_n} | named_state(state_n))
        assert not y[length:, n].any()


def test_padding_is_never_read(isa, cell):
    """What stands in steps that do not exist changes nothing, and gets no gradient."""
    problem = network(cell)
    outputs, gradients, _ = problem.train(lengths=LENGTHS)
    gone = np.arange(T)[:, None] >= np.array(LENGTHS)
    other = problem.mapped(lambda a: a)
    other.x, other.dy = problem.x.copy(), problem.dy.copy()
    other.x[gone] = np.nan
    other.dy[gone] = np.inf
    found, other_gradients, _ = other.train(lengths=LENGTHS)
    assert_same_bits(found, outputs)
    assert_same_bits(other_gradients, gradients)
    assert not gradients["x"][gone].any()


def test_resets_are_episodes(isa, cell):
    """A reset begins a sequence of its own, from the same initial state."""
    problem = Problem(cell, 5, 9, 1, T)
    reset = np.zeros((T, 1), bool)
    reset[[3, 5]] = True
    y, state = problem.layer(problem.x, problem.state, reset=reset)
    parts = [
        problem.layer(problem.x[a:b], problem.state)
        for a, b in [(0, 3), (3, 5), (5, T)]
    ]
    expected = {"y": np.concatenate([p[0] for p in parts])} | named_state(parts[-1][1])
    assert_same_bits({"y": y} | named_state(state), expected)


def test_whole_lengths_are_no_lengths(isa, cell, dtype):
    problem = network(cell, dtype=dtype)
    everything = {"lengths": [T] * N, "mask": np.ones((T, N), bool)}
    outputs, _, _ = problem.train()
    for steps in ({"lengths": [T] * N}, everything, {"reset": np.zeros((T, N), bool)}):
        found, found_gradients, _ = problem.train(**steps)
        assert_same_bits(found, outputs)
        assert_close(found_gradients, problem.true_gradients())
    assert_same_bits(problem.infer(**everything), outputs)


def test_batch_first_and_unbatched(cell):
    layer = network(cell).layer
    other = network(cell, batch_first=True).layer
    other.load_state_dict(layer.state_dict())
    x = network(cell).x
    steps = {"lengths": LENGTHS, "mask": HOLES, "reset": RESETS}
    turned = {"lengths": LENGTHS, "mask": HOLES.T, "reset": RESETS.T}
    y, _ = layer(x, **steps)
    assert_same_bits(
        {"y": other(x.swapaxes(0, 1), **turned)[0].swapaxes(0, 1)}, {"y": y}
    )
    alone = {name: flags[:, 0] for name, flags in steps.items() if name != "lengths"}
    y_0, _ = layer(x[:, 0], lengths=LENGTHS[:1], **alone)
    assert_same_bits({"y": y_0}, {"y": np.ascontiguousarray(y[:, 0])})


@pytest.mark.parametrize("part", ["x", "dy", "dstate", "dc"])
def test_backward_parts(part):
    """Any of the incoming gradients may be missing; need_x=False."""
    problem, steps = network("lstm"), STEPS["all"]
    _, _, cache = problem.train(**steps)
    dy = None if part == "dy" else problem.dy
    dstate = None if part == "dstate" else problem.dstate
    dc = None if part == "dc" else problem.dc
    found = problem.layer.backward(cache, dy, dstate, dc=dc, need_x=part != "x")
    dh_n, dc_n = dstate or (None, None)
    expected = problem.true_backward(dy, dh_n, dc_n, dc, **steps)
    if part == "x":
        assert found.x is None
        del expected["x"]
    assert_close(named_gradients(found), expected)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_steps(data):
    T_ = data.draw(st.integers(0, 6), "T")
    N_ = data.draw(st.integers(0, 5), "N")
    flags = st.lists(
        st.lists(st.booleans(), min_size=N_, max_size=N_), min_size=T_, max_size=T_
    ).map(lambda rows: np.array(rows, bool).reshape(T_, N_))
    steps = {
        "lengths": data.draw(
            st.none() | st.lists(st.integers(0, T_), min_size=N_, max_size=N_)
        ),
        "mask": data.draw(st.none() | flags),
        "reset": data.draw(st.none() | flags),
        "pad": data.draw(st.sampled_from(["zeros", "hold"])),
    }
    cell = data.draw(st.sampled_from(list(reference.CELLS)))
    problem = Problem(cell, 3, 4, N_, T_, bidirectional=data.draw(st.booleans()))
    outputs, gradients, _ = problem.train(**steps)
    assert_close(outputs, problem.true_forward(**steps))
    assert_close(gradients, problem.true_gradients(**steps))


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (
            {"lengths": [1, 2]},
            ValueError,
            r"lengths: expected shape \(N=6,\), got \(2,\)",
        ),
        (
            {"lengths": [1.0] * N},
            TypeError,
            "lengths: expected integers, got dtype float64",
        ),
        ({"lengths": [[1], [2, 3]]}, ValueError, "lengths: expected an array, got"),
        (
            {"lengths": [True] * N},
            TypeError,
            "lengths: expected integers, got dtype bool",
        ),
        (
            {"lengths": [0, 1, 2, 3, 4, 8]},
            ValueError,
            "lengths: expected 0 to T=7, got 8 for sequence 5",
        ),
        ({"lengths": [0, -1, 2, 3, 4, 5]}, ValueError, "got -1 for sequence 1"),
        (
            {"mask": HOLES.astype(int)},
            TypeError,
            "mask: expected booleans, got dtype int64",
        ),
        (
            {"mask": HOLES.T},
            ValueError,
            r"mask: expected shape \(T=7, N=6\), got \(6, 7\)",
        ),
        (
            {"reset": HOLES[1:]},
            ValueError,
            r"reset: expected shape \(T=7, N=6\), got \(6, 6\)",
        ),
        ({"pad": "same"}, ValueError, "pad: expected 'zeros' or 'hold', got 'same'"),
        ({"pad": None}, TypeError, "pad: expected a string, got NoneType"),
    ],
)
def test_errors(steps, error, message):
    problem = network("gru")
    for call in (problem.layer, problem.layer.forward):
        with pytest.raises(error, match=message):
            call(problem.x, **steps)
