"""What every wheel must do where it is installed, with NumPy alone."""

import importlib.metadata

import numpy as np
import pytest

import rnnext
from rnnext import _core

LAYERS = [rnnext.RNN, rnnext.LSTM, rnnext.GRU]


@pytest.fixture(params=LAYERS, ids=lambda kind: kind.__name__)
def layer(request, isa):
    return request.param(5, 7, num_layers=2, bidirectional=True, rng=0)


def test_the_extension_is_of_this_version():
    assert _core.__version__ == importlib.metadata.version("rnnext")


def test_gradients(layer, rng):
    x = rng.standard_normal((4, 3, 5))
    assert rnnext.check_gradients(layer, x).ok


def test_a_batch_is_its_rows(layer, rng):
    x = rng.standard_normal((9, 6, 5)).astype(np.float32)
    together = layer(x)[0]
    for row in range(6):
        alone = layer(x[:, row : row + 1])[0]
        assert alone.tobytes() == together[:, row : row + 1].tobytes()


def test_files(layer, rng, tmp_path):
    x = rng.standard_normal((3, 2, 5)).astype(np.float32)
    rnnext.save(tmp_path / "layer.npz", layer)
    again = rnnext.load(tmp_path / "layer.npz")
    assert again(x)[0].tobytes() == layer(x)[0].tobytes()


def test_training_lowers_the_loss(rng):
    x = rng.standard_normal((12, 32, 2)).astype(np.float32)
    target = x.sum(axis=(0, 2))[:, None]
    layers = rnnext.GRU(2, 16, rng=0), rnnext.Pool(), rnnext.Linear(16, 1, rng=0)
    history = rnnext.train(
        rnnext.Sequential(*layers),
        [(x, target)],
        rnnext.mse_loss,
        rnnext.Adam(1e-2),
        epochs=60,
    )
    assert history.loss[-1] < 0.5 * history.loss[0]
