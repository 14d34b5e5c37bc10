"""Calls so large that they are cut up: into slabs of rows, chunks of steps."""

import numpy as np
import pytest
import reference

import rnnext


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_one_step_of_over_two_gigaflops(cell):
    """The rows are cut into slabs, the last of them short."""
    rng = np.random.default_rng(0)
    layer = getattr(rnnext, cell)(1024, 1024, dtype=np.float64, rng=1)
    x = rng.standard_normal((2, 250, 1024))
    y, _, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    gradients = layer.backward(cache, dy)

    trace = reference.network_forward(layer.parameters, x, cell=cell.lower())
    dx, _, _, expected = reference.network_backward(
        layer.parameters, trace, dy, cell=cell.lower()
    )
    assert np.abs(y - trace.y).max() < 1e-12
    assert np.abs(gradients.x - dx).max() < 1e-12
    for name, array in gradients.parameters.items():
        wanted = expected[name]
        assert np.abs(array - wanted).max() <= 1e-12 * np.abs(wanted).max()
    np.testing.assert_array_equal(layer(x[:, 248:])[0], y[:, 248:])


def test_more_threads_than_rows():
    """Some threads have nothing to do in the last slab."""
    layer = rnnext.LSTM(1024, 1024, rng=1)
    x = np.random.default_rng(0).standard_normal((1, 64, 1024)).astype(np.float32)
    before = rnnext.get_num_threads()
    try:
        rnnext.set_num_threads(1)
        alone = layer(x)[0]
        rnnext.set_num_threads(7)
        np.testing.assert_array_equal(layer(x)[0], alone)
    finally:
        rnnext.set_num_threads(before)
