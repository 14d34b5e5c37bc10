"""Layers and directions side by side: the bits of one after the other."""

import numpy as np
import pytest
from conftest import CELLS, Problem, assert_same_bits, named_output, named_state
from test_determinism import factors, results, with_threads

import rnnext
from rnnext import _core

T, N, I, H = 70, 2, 20, 24
NETWORKS = {
    "two layers": {"num_layers": 2},
    "three from the end": {"num_layers": 3, "reverse": True},
    "more layers than threads": {"num_layers": 7},
    "two directions": {"bidirectional": True},
    "directions apart": {"bidirectional": True, "merge": None},
    "two layers of two": {"num_layers": 2, "bidirectional": True, "merge": "mul"},
    "sums of directions": {"num_layers": 3, "bidirectional": True, "merge": "sum"},
}


def threads(problem, n):
    steps, rows, _ = problem.x.shape
    weights = problem.layer._weights()
    return with_threads(n, lambda: _core.side_by_side(weights, steps, rows))


def extents():
    random = np.random.default_rng(2)
    yield {}
    yield {"lengths": [T, 3]}
    yield {"lengths": [0, 0]}
    yield {"mask": random.random((T, N)) < 0.7, "pad": "hold"}
    # Runs of other lengths in either direction.
    yield {"reset": np.arange(T)[:, None] % [T, 7] == 5}
    yield {"mask": random.random((T, N)) < 0.6, "reset": random.random((T, N)) < 0.2}


def assert_as_one_thread(problem, **steps):
    expected = with_threads(1, lambda: results(problem, **steps))
    for n in (2, 3, 4):
        assert_same_bits(with_threads(n, lambda: results(problem, **steps)), expected)
        if "dropout_masks" not in steps:
            inferred = with_threads(n, lambda: problem.infer(**steps))
            assert_same_bits(inferred, {k: expected[k] for k in inferred})


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("network", NETWORKS)
def test_networks(network, cell):
    problem = Problem(cell, I, H, N, T, dtype=np.float32, **NETWORKS[network])
    side = problem.layer.num_layers if not problem.layer.bidirectional else 2
    assert [threads(problem, n) for n in (1, 2, 4)] == [1, 2, min(4, side)]
    for steps in extents():
        assert_as_one_thread(problem, **steps)


@pytest.mark.parametrize("network", NETWORKS)
def test_projections_peepholes_and_dropout(network):
    own = {"proj_size": 9, "peephole": True, **NETWORKS[network]}
    problem = Problem("lstm", I, H, N, T, **own)
    assert threads(problem, 2) == 2
    assert_as_one_thread(problem)
    masks = factors(problem, 3)
    assert_as_one_thread(problem, dropout_masks=masks)
    assert_as_one_thread(problem, dropout_masks={"recurrent": masks["recurrent"]})


@pytest.mark.parametrize("network", NETWORKS)
def test_tokens(network):
    layer = rnnext.GRU(I, H, rng=1, **NETWORKS[network])
    ids = np.random.default_rng(1).integers(0, I, (T, N))

    def found():
        y, state = layer(ids)
        return named_output(y) | named_state(state)

    expected = with_threads(1, found)
    for n in (2, 4):
        assert_same_bits(with_threads(n, found), expected)


def test_only_where_it_pays():
    """Not for a step, rows that threads share anyway, weights beyond a cache."""
    few = Problem("lstm", I, H, N, T, num_layers=2)
    many = Problem("lstm", I, H, 64, T, num_layers=2)
    wide = Problem("lstm", 256, 256, 1, 4, num_layers=2)
    step = Problem("lstm", I, H, N, 1, num_layers=2)
    assert [threads(p, 2) for p in (few, many, wide, step)] == [2, 1, 1, 1]
