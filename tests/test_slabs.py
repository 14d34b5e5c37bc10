"""Batches whose single step is cut into slabs of rows, and very long sums."""

import numpy as np
import pytest
from conftest import make_layer, same_bits

import rnnext

# Rows of which one step of these layers is more than a slab (2e9 operations).
ROWS = {"lstm": 600, "gru_reset_before": 800}
SIZES = 400, 520


def parts(layer, x, dy, rows):
    y, _, cache = layer.forward(x[:, rows])
    found = layer.backward(cache, dy[:, rows])
    return y, found.x, found.parameters


@pytest.mark.parametrize("cell", ROWS)
def test_gradients_of_slabs(cell):
    """Those of every row alone, bit for bit; of the parameters the sum of the rows'."""
    N, T = ROWS[cell], 2
    rng = np.random.default_rng(3)
    layer = make_layer(cell, *SIZES, dtype=np.float32)
    x = rng.standard_normal((T, N, SIZES[0])).astype(np.float32)
    dy = rng.standard_normal((T, N, SIZES[1])).astype(np.float32)
    y, dx, parameters = parts(layer, x, dy, slice(None))
    halves = [parts(layer, x, dy, rows) for rows in (slice(0, 97), slice(97, None))]
    assert same_bits(y, np.concatenate([half[0] for half in halves], axis=1))
    assert same_bits(dx, np.concatenate([half[1] for half in halves], axis=1))
    for name, whole in parameters.items():
        sums = sum(half[2][name].astype(np.float64) for half in halves)
        assert np.linalg.norm(whole - sums) <= 2e-6 * np.linalg.norm(sums), name


def test_sums_of_biases_are_compensated():
    """A plain float32 chain over so many rows would be 30 times further off."""
    rng = np.random.default_rng(4)
    layer = rnnext.RNN(1, 8, rng=0)
    x = rng.standard_normal((200, 400, 1)).astype(np.float32)
    y, _, cache = layer.forward(x)
    # One sign, so that partial sums grow and each addition rounds.
    dy = np.zeros_like(y)
    dy[-1] = 1 + rng.random(y.shape[1:], np.float32)
    dy[:] = dy[-1]
    found = layer.backward(cache, dy).parameters["bias_ih_l0"]
    wide = rnnext.RNN(1, 8, rng=0, dtype=np.float64)
    wide.load_state_dict(layer.state_dict())
    _, _, cache = wide.forward(x.astype(np.float64))
    truth = wide.backward(cache, dy.astype(np.float64)).parameters["bias_ih_l0"]
    assert np.abs(found / truth - 1).max() <= 3e-7
