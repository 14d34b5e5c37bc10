"""Nothing to do, numbers at the edge, and a process that forks or runs threads."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import (
    CELLS,
    Problem,
    assert_close,
    assert_same_bits,
    make_layer,
    named_gradients,
    named_state,
    same_bits,
)
from reference_activations import sigmoid

from rnnext import _core

# ---------------------------------------------------------------- nothing to do

NETWORKS = {
    "layer": {},
    "network": {"num_layers": 2, "bidirectional": True},
}


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_no_steps(isa, cell, dtype, options):
    problem = Problem(cell, 3, 5, 4, 0, dtype=dtype, **options)
    outputs, gradients, cache = problem.train()
    assert outputs["y"].shape == problem.dy.shape
    assert gradients["x"].shape == problem.x.shape
    state, dstate = (
        named_state(problem.state),
        named_state(problem.dstate, "h_0", "c_0"),
    )
    assert_same_bits(problem.infer(), outputs)
    assert_same_bits({k: outputs[k] for k in state}, state)
    assert_same_bits({k: gradients[k] for k in dstate}, dstate)
    assert_parameter_gradients_are_zero(problem, gradients)
    assert cache.h[0].shape == (1, 4, 5)


def assert_parameter_gradients_are_zero(problem, gradients):
    for key, array in problem.layer.parameters.items():
        assert gradients[key].shape == array.shape
        assert not gradients[key].any()


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("T", [0, 6])
def test_no_sequences(isa, cell, dtype, T, options):
    problem = Problem(cell, 3, 5, 0, T, dtype=dtype, **options)
    outputs, gradients, cache = problem.train()
    assert_same_bits(problem.infer(), outputs)
    assert outputs["y"].shape == problem.dy.shape
    assert gradients["x"].shape == problem.x.shape
    for key, array in named_state(problem.state).items():
        assert outputs[key].shape == array.shape
    assert_parameter_gradients_are_zero(problem, gradients)
    assert cache.gates[0].shape[:2] == (T, 0)


def test_no_steps_without_state(cell, dtype):
    layer = make_layer(cell, 3, 5, dtype=dtype)
    y, state = layer(np.empty((0, 4, 3), dtype))
    assert y.shape == (0, 4, 5)
    for part in named_state(state).values():
        assert part.shape == (1, 4, 5)
        assert not part.any()


def test_a_last_chunk_may_be_empty(cell):
    problem = Problem(cell, 3, 5, 4, 6)
    _, state = problem.layer(problem.x, problem.state)
    _, after = problem.layer(problem.x[:0], state)
    assert_same_bits(named_state(after), named_state(state))


# ---------------------------------------------------------------- not finite

BAD = [np.nan, np.inf, -np.inf]
BATCHES = [3, 40]  # fewer and more rows than a tile has


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("N", BATCHES)
def test_not_finite_input_stays_in_its_sequence(isa, cell, dtype, N, value):
    options = {"num_layers": 2, "bidirectional": True}
    problem = Problem(cell, 5, 33, N, 7, dtype=dtype, **options)
    before_outputs, before_gradients, _ = problem.train()
    problem.x[3, 1, 2] = value
    outputs, gradients, _ = problem.train()
    others = np.arange(N) != 1
    for now, before in ((outputs, before_outputs), (gradients, before_gradients)):
        per_sequence = [k for k in now if k not in problem.layer.parameters]
        expected = {k: before[k][..., others, :] for k in per_sequence}
        assert_same_bits({k: now[k][..., others, :] for k in per_sequence}, expected)
    if np.isnan(value):
        assert np.isnan(outputs["y"][3:, 1, :33]).all()


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("N", BATCHES)
def test_not_finite_gradient_stays_in_its_sequence(isa, cell, dtype, N, value):
    problem = Problem(cell, 5, 33, N, 7, dtype=dtype)
    _, before, _ = problem.train()
    problem.dy[3, 1, 2] = value
    _, gradients, _ = problem.train()
    others = np.arange(N) != 1
    keys = [k for k in ("x", "h_0", "c_0") if k in gradients]
    expected = {k: before[k][..., others, :] for k in keys}
    assert_same_bits({k: gradients[k][..., others, :] for k in keys}, expected)


def test_nan_is_not_lost(isa, cell, dtype):
    """Not even by a relu, nor by a gate that is 0."""
    layer = make_layer(cell, 1, 1, dtype=dtype, bias=False)
    y, _ = layer(np.full((1, 1, 1), np.nan, dtype))
    assert np.isnan(y).all()


@pytest.mark.parametrize("sign", [1, -1], ids=["positive", "negative"])
@pytest.mark.parametrize("scale", [1e3, 1e6, 1e30])
def test_saturation(isa, cell, dtype, scale, sign):
    """Where every gate is 0 or 1, nothing overflows and nothing is lost."""
    problem = Problem(cell, 5, 33, 9, 4, dtype=dtype, bias=False)
    problem.layer.assign(
        weight_ih_l0=np.ones_like(problem.layer.parameters["weight_ih_l0"])
    )
    problem.x = np.full_like(problem.x, sign * scale)
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())


# ---------------------------------------------------------------- activations


def exact(name, x):
    """The function in a wider format."""
    wide = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    with np.errstate(over="ignore", under="ignore"):
        functions = {"exp": np.exp, "sigmoid": sigmoid, "tanh": np.tanh}
        return functions[name](wide)


def units_off(name, x):
    """The error of each value in units in the last place of the exact one."""
    found, expected = getattr(_core, name)(x), exact(name, x)
    with np.errstate(over="ignore", under="ignore"):
        unit = np.spacing(np.abs(expected).astype(x.dtype)).astype(expected.dtype)
    return np.abs(found.astype(expected.dtype) - expected) / unit


def sample(rng, dtype, count=200_000):
    """Numbers of every size that matters, both signs, results subnormal included."""
    most = 103 if dtype == np.float32 else 744
    linear = rng.uniform(-most, most, count)
    logarithmic = 10.0 ** rng.uniform(-30, 2, count) * rng.choice([-1, 1], count)
    return np.concatenate([linear, rng.uniform(-3, 3, count), logarithmic]).astype(
        dtype
    )


FUNCTIONS = ["exp", "sigmoid", "tanh"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activations_within_two_units(isa, dtype, rng, name):
    x = sample(rng, dtype)
    overflow = 88.72 if dtype == np.float32 else 709.78
    x = x[x < overflow]
    assert units_off(name, x).max() <= 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activations_at_the_edges(isa, dtype, name):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype)
    expected = {
        "exp": [1, 1, np.inf, 0, np.nan],
        "sigmoid": [0.5, 0.5, 1, 0, np.nan],
        "tanh": [0.0, -0.0, 1, -1, np.nan],
    }[name]
    found = getattr(_core, name)(x)
    np.testing.assert_array_equal(found, np.array(expected, dtype))
    np.testing.assert_array_equal(
        np.signbit(found[:4]), np.signbit(np.array(expected[:4]))
    )


def test_activations_of_the_largest_numbers(isa, dtype):
    most = np.finfo(dtype).max
    x = np.array([most, -most], dtype)
    assert _core.exp(x).tolist() == [np.inf, 0]
    assert _core.sigmoid(x).tolist() == [1, 0]
    assert _core.tanh(x).tolist() == [1, -1]


def test_tails_are_subnormal_numbers(isa):
    x = np.array([-100, -87.5, -103], np.float32)
    for function in (_core.sigmoid, _core.exp):
        found = function(x)
        assert (found > 0).all()
        assert (found < np.finfo(np.float32).tiny).all()
    for name in ("sigmoid", "exp"):
        assert units_off(name, x).max() <= 2
        assert units_off(name, np.array([-710.5, -744.0])).max() <= 2


def test_tanh_is_odd_and_bounded(isa, dtype, rng):
    x = sample(rng, dtype)
    assert same_bits(_core.tanh(-x), -_core.tanh(x))
    assert np.abs(_core.tanh(x)).max() <= 1
    assert _core.sigmoid(x).min() >= 0
    assert _core.sigmoid(x).max() <= 1


def test_tanh_keeps_small_numbers(isa, dtype):
    tiny, least = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
    x = np.array([tiny, -tiny, tiny / 2, least, -least, 3 * least], dtype)
    assert same_bits(_core.tanh(x), x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activations_are_monotone(isa, name):
    """Over runs of neighbouring float32 numbers, and over all of the range."""
    starts = np.array(
        [1e-3, 0.05, 0.34, 0.35, 0.69, 1.03, 2, 5, 8.5, 15, 60], np.float32
    )
    runs = starts.view(np.int32)[:, None] + np.arange(20_000, dtype=np.int32)
    runs = np.concatenate([runs.view(np.float32), -runs.view(np.float32)[:, ::-1]])
    runs = np.concatenate([runs.ravel(), np.linspace(-110, 95, 400_001)])
    x = np.unique(runs.astype(np.float32))
    found = getattr(_core, name)(x)
    assert (found[1:] >= found[:-1]).all()


@pytest.mark.parametrize("count", [0, 1, 3, 7, 8, 15, 16, 17, 33])
def test_activations_of_any_number_of_elements(isa, dtype, rng, count):
    x = rng.standard_normal(64).astype(dtype)
    for name in FUNCTIONS:
        function = getattr(_core, name)
        assert same_bits(function(x[:count]), function(x)[:count])


# ---------------------------------------------------------------- subnormal numbers


def test_subnormal_numbers_pass_through_in_every_thread(isa, dtype, threads):
    """A relu with weight 1 is the identity, also of the smallest numbers."""
    least = np.finfo(dtype).smallest_subnormal
    layer = make_layer("rnn_relu", 64, 64, dtype=dtype, bias=False)
    layer.assign(weight_ih_l0=np.eye(64), weight_hh_l0=np.zeros((64, 64)))
    x = (np.arange(1, 40 * 200 * 64 + 1) * least).astype(dtype).reshape(40, 200, 64)
    threads(4)
    y, _, cache = layer.forward(x)
    assert same_bits(y, x)
    assert same_bits(layer.backward(cache, x).x, x)


def test_floating_point_environment_is_untouched(isa, cell, dtype, threads):
    threads(3)
    problem = Problem(cell, 33, 65, 40, 20, dtype=dtype)
    before = rounding_of_a_process()
    problem.train()
    assert rounding_of_a_process() == before
    least = np.full(16, np.finfo(dtype).smallest_subnormal)
    assert (least * 2 / 2 == least).all()
    assert (least > 0).all()


def rounding_of_a_process():
    half = np.full(8, 2.0**-53)
    return [
        (one + x).tolist() for one in (1.0, -1.0) for x in (half, -half, 1.5 * half)
    ]


# ---------------------------------------------------------------- processes, threads

FORK = """
import os
import numpy as np
import rnnext

rnnext.set_num_threads(2)
layer = rnnext.LSTM(64, 128, rng=0)
x = np.random.default_rng(0).standard_normal((50, 16, 64), dtype=np.float32)

def run():
    y, _, cache = layer.forward(x)
    return y, layer.backward(cache, y).x

expected = run()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        same = all((a == b).all() for a, b in zip(run(), expected))
        os._exit(0 if same else 1)
    assert os.waitpid(pid, 0)[1] == 0
assert all((a == b).all() for a, b in zip(run(), expected))
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_after_use():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize("cell", CELLS)
def test_threads_of_python_share_a_layer(isa, cell):
    options = {"dtype": np.float32, "num_layers": 2, "bidirectional": True}
    layer = make_layer(cell, 20, 64, **options)
    inputs = [
        np.random.default_rng(n).standard_normal((30, 8, 20), dtype=np.float32)
        for n in range(8)
    ]

    def run(x):
        y, state, cache = layer.forward(x)
        gradients = named_gradients(layer.backward(cache, y, state))
        return {"y": y, "again": layer(x)[0]} | gradients

    with ThreadPoolExecutor(8) as pool:  # first use of the layer is in the threads
        found = [list(pool.map(run, inputs)) for _ in range(4)]
    expected = [run(x) for x in inputs]
    for results in found:
        for result, right in zip(results, expected, strict=True):
            assert_same_bits(result, right)
