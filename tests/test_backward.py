"""Backward of every cell against the reference, and against complex steps."""

import numpy as np
import pytest
import reference
from conftest import (
    COMPLEX_STEP_TOLERANCE,
    Problem,
    assert_close,
    assert_same_bits,
    derivative,
    make_layer,
    named_gradients,
)

# (I, H, N, T): every size as I and as H, every N, and T * N, over which the gradients
# of the parameters are summed, from 1 to far past a thousand.
SHAPES = [
    (1, 2, 1, 1),
    (2, 1, 3, 5),
    (3, 129, 2, 2),
    (4, 9, 25, 100),
    (5, 31, 6, 1),
    (7, 8, 12, 100),
    (8, 33, 1, 5),
    (9, 64, 8, 2),
    (15, 4, 5, 1),
    (16, 127, 4, 5),
    (17, 16, 11, 2),
    (31, 7, 13, 5),
    (32, 15, 2, 100),
    (33, 130, 7, 1),
    (63, 5, 4, 2),
    (64, 17, 1, 1),
    (65, 65, 12, 5),
    (127, 3, 6, 2),
    (129, 32, 3, 1),
    (130, 63, 5, 2),
    (130, 130, 13, 100),
    # more than one and more than two blocks of a sum, and exactly so
    (256, 128, 3, 2),
    (300, 257, 7, 3),
    (20, 300, 1, 3),
]


def name(shape):
    return "I{}-H{}-N{}-T{}".format(*shape)


def network(cell, **options):
    """A problem with everything in it: layers, directions, all incoming gradients."""
    options = {"num_layers": 2, "bidirectional": True} | options
    return Problem(cell, 5, 9, 3, 7, **options)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_shapes(isa, cell, dtype, shape):
    bias = SHAPES.index(shape) % 3 != 0
    problem = Problem(cell, *shape, dtype=dtype, bias=bias)
    _, gradients, _ = problem.train()
    assert_close(gradients, problem.true_gradients())


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_networks(isa, cell, dtype, num_layers, bidirectional, bias):
    problem = network(
        cell,
        dtype=dtype,
        num_layers=num_layers,
        bidirectional=bidirectional,
        bias=bias,
    )
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())


def test_dropout(isa, cell, dtype):
    problem = network(cell, dtype=dtype, num_layers=3, dropout=0.4)
    _, gradients, cache = problem.train(rng=1)
    assert_close(gradients, problem.true_gradients(cache.masks))


INCOMING = ["dy", "dh_n", "dc_n", "dc"]


@pytest.mark.parametrize("absent", [*INCOMING, "all", "all but dy", "all but dh_n"])
def test_incoming_gradients_may_be_absent(isa, cell, absent):
    problem = network(cell)
    dh_n, dc_n = problem.dstate if problem.has_c else (problem.dstate, None)
    given = dict(zip(INCOMING, (problem.dy, dh_n, dc_n, problem.dc), strict=True))
    for key in INCOMING:
        if key == absent or absent == "all" or ("but" in absent and key not in absent):
            given[key] = None
    *_, cache = problem.layer.forward(problem.x, problem.state)
    dstate = (given["dh_n"], given["dc_n"]) if problem.has_c else given["dh_n"]
    gradients = problem.layer.backward(cache, given["dy"], dstate, dc=given["dc"])
    assert_close(named_gradients(gradients), problem.true_backward(**given))


def test_only_the_gradient_of_the_output(isa, cell):
    problem = network(cell)
    *_, cache = problem.layer.forward(problem.x, problem.state)
    gradients = problem.layer.backward(cache, problem.dy)
    expected = problem.true_backward(problem.dy, None, None, None)
    assert_close(named_gradients(gradients), expected)


def test_without_the_gradient_of_x(isa, cell, dtype):
    problem = network(cell, dtype=dtype)
    _, expected, cache = problem.train()
    gradients = problem.layer.backward(
        cache, problem.dy, problem.dstate, dc=problem.dc, need_x=False
    )
    assert gradients.x is None
    del expected["x"]
    assert_same_bits(named_gradients(gradients), expected)


def test_cell_gradients_come_in_order_of_computation(isa):
    """dc of the last step of the reverse direction is what dc_n would be."""
    problem = network("lstm", num_layers=1)
    *_, cache = problem.layer.forward(problem.x, problem.state)
    dh_n, dc_n = problem.dstate
    dc = np.zeros_like(problem.dc)
    dc[:, -1] = dc_n
    found = problem.layer.backward(cache, dstate=(dh_n, None), dc=dc)
    expected = problem.layer.backward(cache, dstate=(dh_n, dc_n))
    assert_close(named_gradients(found), named_gradients(expected))


def test_complex_step(isa, cell):
    problem = Problem(cell, 3, 4, 2, 3, num_layers=2, bidirectional=True)
    layer, has_c = problem.layer, problem.has_c
    _, gradients, _ = problem.train()
    arrays = {"x": problem.x, **layer.parameters}
    states = problem.state if has_c else (problem.state,)
    arrays |= dict(zip(("h_0", "c_0"), states, strict=False))

    def loss(a):
        state = (a["h_0"], a["c_0"]) if has_c else a["h_0"]
        params = {key: a[key] for key in layer.parameters}
        trace = reference.network_forward(params, a["x"], state, **problem.options)
        total = (problem.dy * trace.y).sum()
        if not has_c:
            return total + (problem.dstate * trace.h_n).sum()
        dh_n, dc_n = problem.dstate
        c = np.stack([one.c[1:] for one in trace.traces])
        total += (problem.dc * c).sum() + (dc_n * trace.c_n).sum()
        return total + (dh_n * trace.h_n).sum()

    for key, array in arrays.items():
        expected = derivative(lambda z, key=key: loss(arrays | {key: z}), array)
        error = np.abs(gradients[key] - expected).max() / np.abs(expected).max()
        assert error <= COMPLEX_STEP_TOLERANCE, key


def test_truncated_in_the_middle_and_carried_on(isa, cell, dtype):
    """Two halves with the state's gradient carried are the whole."""
    problem = Problem(cell, 5, 9, 3, 8, dtype=dtype, num_layers=1)
    layer, x, dy = problem.layer, problem.x, problem.dy
    dc = (None, None) if problem.dc is None else np.split(problem.dc, 2, axis=1)
    _, middle, first = layer.forward(x[:4], problem.state)
    _, _, second = layer.forward(x[4:], middle)
    late = layer.backward(second, dy[4:], problem.dstate, dc=dc[1])
    early = layer.backward(first, dy[:4], late.state, dc=dc[0])
    found = named_gradients(early)
    found["x"] = np.concatenate([early.x, late.x])
    for key in layer.parameters:
        found[key] = early.parameters[key] + late.parameters[key]
    assert_close(found, problem.true_gradients())


def test_cache_may_be_used_again(isa, cell, dtype):
    problem = network(cell, dtype=dtype, dropout=0.3)
    _, first, cache = problem.train()
    second = problem.layer.backward(cache, problem.dy, problem.dstate, dc=problem.dc)
    assert_same_bits(named_gradients(second), first)


def test_cache_keeps_the_weights_of_its_forward(isa, cell):
    problem = network(cell)
    _, expected, cache = problem.train()
    with problem.layer.writable() as parameters:
        for array in parameters.values():
            array += 1
    found = problem.layer.backward(cache, problem.dy, problem.dstate, dc=problem.dc)
    assert_same_bits(named_gradients(found), expected)


def test_layers_of_different_sizes_compose():
    """A stack of one's own: the output of one layer is the input of the next."""
    below, above = (
        make_layer("gru", 5, 9, bidirectional=True),
        make_layer("lstm", 18, 4),
    )
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((7, 3, 5)), rng.standard_normal((7, 3, 4))
    between, _, cache_below = below.forward(x)
    y, _, cache_above = above.forward(between)
    found = below.backward(cache_below, above.backward(cache_above, dy).x)

    def loss(z):
        first = reference.network_forward(
            below.parameters, z, cell="gru", bidirectional=True
        )
        second = reference.network_forward(above.parameters, first.y, cell="lstm")
        return (dy * second.y).sum()

    expected = derivative(loss, x)
    error = np.abs(found.x - expected).max() / np.abs(expected).max()
    assert error <= COMPLEX_STEP_TOLERANCE
    assert y.shape == (7, 3, 4)
