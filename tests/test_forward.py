"""Forward of every cell against the reference: sizes, options, instruction sets."""

import functools

import numpy as np
import pytest
from conftest import Problem, assert_close, make_layer, named_state, same_bits

import rnnext

# (I, H, N, T). Tiles are 4 to 32 wide and up to 8 rows high and sums are cut into
# blocks of 32, so: every size around those as I and as H, every remainder of rows.
SHAPES = [
    (1, 1, 1, 1),
    (2, 130, 2, 2),
    (3, 7, 25, 100),
    (4, 129, 3, 5),
    (5, 33, 4, 1),
    (7, 3, 11, 2),
    (8, 127, 5, 5),
    (9, 2, 12, 1),
    (15, 65, 6, 2),
    (16, 16, 7, 5),
    (17, 15, 8, 100),
    (31, 64, 13, 2),
    (32, 17, 1, 5),
    (33, 8, 25, 1),
    (63, 63, 2, 2),
    (64, 9, 12, 5),
    (65, 32, 3, 2),
    (127, 5, 4, 5),
    (129, 31, 5, 2),
    (130, 4, 6, 1),
    (130, 130, 12, 100),
    # more than one and more than two blocks of a sum, and exactly so
    (128, 256, 3, 2),
    (257, 300, 7, 3),
    (300, 128, 1, 3),
]


def name(shape):
    return "I{}-H{}-N{}-T{}".format(*shape)


def options_of(shape):
    """Bias off in every third shape."""
    return {"bias": SHAPES.index(shape) % 3 != 0}


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_shapes(isa, cell, dtype, shape):
    problem = Problem(cell, *shape, dtype=dtype, **options_of(shape))
    assert_close(problem.infer(), problem.true_forward())


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_networks(isa, cell, dtype, num_layers, bidirectional, bias):
    problem = Problem(
        *(cell, 5, 9, 3, 7),
        dtype=dtype,
        num_layers=num_layers,
        bidirectional=bidirectional,
        bias=bias,
    )
    assert_close(problem.infer(), problem.true_forward())


def test_no_state_is_a_zero_state(isa, cell, dtype):
    problem = Problem(cell, 5, 9, 3, 7, dtype=dtype, num_layers=2, bidirectional=True)
    problem.state = None
    assert_close(problem.infer(), problem.true_forward())


def test_one_part_of_an_lstm_state(isa, dtype):
    problem = Problem("lstm", 5, 9, 3, 7, dtype=dtype)
    h_0, c_0 = problem.state
    for state in ((h_0, None), (None, c_0)):
        problem.state = state
        found = problem.infer()
        h, c = (np.zeros_like(h_0) if part is None else part for part in state)
        problem.state = (h, c)
        assert_close(found, problem.true_forward())


@functools.cache
def long_truth(cell, H, T):
    problem = Problem(cell, 32, H, 1, T, dtype=np.float32)
    problem.state = None
    return problem.x, problem.true_forward()["y"]


@pytest.mark.parametrize("H", [128, 512])
def test_a_thousand_steps_in_float32(isa, cell, H):
    x, truth = long_truth(cell, H, 1000)
    y, _ = make_layer(cell, 32, H, dtype=np.float32)(x)
    assert np.abs(y - truth).max() <= 2e-6


# ---------------------------------------------------------------- dropout


def dropout_problem(cell="gru", **options):
    options = {"num_layers": 3, "bidirectional": True, "dropout": 0.25} | options
    return Problem(cell, 5, 9, 3, 7, **options)


def test_dropout(isa, cell, dtype):
    problem = dropout_problem(cell, dtype=dtype)
    y, state, cache = problem.layer.forward(problem.x, problem.state, rng=1)
    found = {"y": y} | named_state(state)
    assert len(cache.masks) == 2
    assert_close(found, problem.true_forward(cache.masks))


def test_inference_never_drops():
    problem = dropout_problem()
    plain = make_layer("gru", 5, 9, num_layers=3, bidirectional=True)
    plain.load_state_dict(problem.layer.parameters)
    y, _ = problem.layer(problem.x, problem.state)
    assert same_bits(y, plain(problem.x, problem.state)[0])


def forward_output(layer, x, **options):
    return layer.forward(x, **options)[0]


def test_dropout_is_reproducible():
    problem = dropout_problem()
    first, second = (
        forward_output(problem.layer, problem.x, rng=rng)
        for rng in (3, np.random.default_rng(3))
    )
    other = forward_output(problem.layer, problem.x, rng=4)
    assert same_bits(first, second)
    assert not same_bits(first, other)


def test_dropout_draws_from_the_generator_of_the_layer():
    one, two = (dropout_problem(seed=5) for _ in range(2))
    first = [forward_output(one.layer, one.x) for _ in range(2)]
    second = [forward_output(two.layer, two.x) for _ in range(2)]
    assert same_bits(first[0], second[0])
    assert same_bits(first[1], second[1])
    assert not same_bits(first[0], first[1])


def test_statistics_of_dropout():
    layer = make_layer("rnn_tanh", 1, 100, num_layers=3, dropout=0.3)
    *_, cache = layer.forward(np.zeros((40, 50, 1)), rng=6)
    first, second = cache.masks
    assert first.shape == second.shape == (40, 50, 100)
    for mask in cache.masks:
        np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.7], rtol=1e-15)
    deviation = np.sqrt(0.3 * 0.7 / first.size)
    for dropped in (first == 0, second == 0):
        assert abs(dropped.mean() - 0.3) < 5 * deviation
        for axes in ((1, 2), (0, 2), (0, 1)):  # nothing is dropped as a whole
            assert dropped.mean(axis=axes).min() > 0.1
            assert dropped.mean(axis=axes).max() < 0.5
    both = ((first == 0) & (second == 0)).mean()
    assert abs(both - 0.3 * 0.3) < 5 * deviation


def test_dropping_everything():
    problem = dropout_problem(dropout=1.0)
    y, state, cache = problem.layer.forward(problem.x, problem.state)
    assert not any(mask.any() for mask in cache.masks)
    found = {"y": y} | named_state(state)
    assert_close(found, problem.true_forward(cache.masks))


@pytest.mark.parametrize("kind", [rnnext.RNN, rnnext.LSTM, rnnext.GRU])
def test_dropout_with_one_layer_warns(kind):
    with pytest.warns(UserWarning, match="num_layers"):
        kind(3, 4, dropout=0.5)
