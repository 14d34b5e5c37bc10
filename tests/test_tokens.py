"""Token ids instead of vectors: the same bits as one-hot rows."""

import numpy as np
import pytest
from conftest import (
    Problem,
    assert_same_bits,
    make_layer,
    named_gradients,
    named_output,
    named_state,
)

import rnnext

SHAPES = [(1, 2, 1, 1), (5, 9, 3, 7), (40, 33, 4, 6), (300, 17, 12, 30), (3, 40, 70, 5)]


def tokens_and_rows(problem, seed=0):
    """Ids (T, N), and what they stand for."""
    T, N, I = problem.x.shape
    ids = np.random.default_rng(seed).integers(0, I, (T, N))
    return ids, (ids[..., None] == np.arange(I)).astype(problem.dtype)


def results(problem, x, **options):
    y, state, cache = problem.layer.forward(x, problem.state, **options)
    gradients = named_gradients(
        problem.layer.backward(cache, problem.dy, problem.dstate)
    )
    gradients.pop("x", None)
    return named_output(y) | named_state(state) | gradients


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
def test_one_hot(isa, cell, dtype, shape, bidirectional):
    problem = Problem(
        cell, *shape, dtype=dtype, bidirectional=bidirectional, num_layers=2
    )
    ids, rows = tokens_and_rows(problem)
    assert_same_bits(results(problem, ids), results(problem, rows))
    called = problem.layer(ids, problem.state)
    expected = problem.layer(rows, problem.state)
    assert_same_bits({"y": called[0]}, {"y": expected[0]})


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_and_lengths(isa, cell, threads):
    problem = Problem(cell, 50, 70, 20, 30)
    ids, rows = tokens_and_rows(problem)
    lengths = np.random.default_rng(1).integers(0, 31, 20)
    before = rnnext.get_num_threads()
    rnnext.set_num_threads(threads)
    try:
        expected = results(problem, rows, lengths=lengths)
        ids[np.arange(30)[:, None] >= lengths] = -7  # never read
        assert_same_bits(results(problem, ids, lengths=lengths), expected)
    finally:
        rnnext.set_num_threads(before)


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int32, np.int64, np.uint64])
def test_integers_of_any_kind(kind):
    problem = Problem("gru", 5, 9, 3, 7)
    ids, rows = tokens_and_rows(problem)
    expected = {"y": problem.layer(rows)[0]}
    for given in (
        ids.astype(kind),
        np.asfortranarray(ids.astype(kind)),
        ids[::-1][::-1],
    ):
        assert_same_bits({"y": problem.layer(given)[0]}, expected)


def test_layouts():
    problem = Problem("lstm", 5, 9, 3, 7)
    ids, _ = tokens_and_rows(problem)
    y, _ = problem.layer(ids)
    first = make_layer("lstm", 5, 9, dtype=problem.dtype, rng=0, batch_first=True)
    assert_same_bits({"y": first(ids.T)[0]}, {"y": y.swapaxes(0, 1)})
    alone, _ = problem.layer(ids[:, 0])
    assert_same_bits({"y": alone}, {"y": np.ascontiguousarray(y[:, 0])})
    _, _, cache = problem.layer.forward(ids[:, 0])
    assert problem.layer.backward(cache, alone).x is None


def test_stream(isa, cell):
    problem = Problem(cell, 5, 9, 3, 7)
    ids, _ = tokens_and_rows(problem)
    stream = problem.layer.stream(3)
    y = np.stack([stream.step(step) for step in ids])
    assert_same_bits({"y": y}, {"y": problem.layer(ids)[0]})
    out = np.empty((3, 9))
    assert stream.step(ids[0].astype(np.int32), out) is out


@pytest.mark.parametrize("wrong", [-1, 5, 2**62])
def test_ids_out_of_range(wrong):
    problem = Problem("gru", 5, 9, 3, 7)
    ids, _ = tokens_and_rows(problem)
    ids[4, 1] = ids[5, 0] = wrong
    message = (
        f"x: expected token ids from 0 to I-1=4, got {wrong} at step 4 of sequence 1"
    )
    for call in (problem.layer, problem.layer.forward):
        with pytest.raises(ValueError, match=message):
            call(ids)
    with pytest.raises(ValueError, match="at step 0 of sequence 1"):
        problem.layer.stream(3).step(ids[4])


def test_errors():
    layer = rnnext.GRU(5, 9)
    with pytest.raises(
        ValueError, match="x: expected token ids, got 18446744073709551615"
    ):
        layer(np.full((2, 3), 2**64 - 1, np.uint64)[::-1])
    with pytest.raises(TypeError, match="x: expected dtype float32, got int64"):
        layer(np.zeros((2, 3, 5), int))
    with pytest.raises(TypeError, match="x: expected dtype float32, got bool"):
        layer(np.zeros((2, 5), bool))
    with pytest.raises(ValueError, match=r"x_t: expected shape \(N=1,\), got \(2,\)"):
        layer.stream().step(np.zeros(2, int))
