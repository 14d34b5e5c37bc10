"""Small promises of layers and training that stand in no other test."""

import sys

import numpy as np

import rnnext
from rnnext.training._progress import bar_of

T, N, I, H = 3, 2, 4, 5
GRU = rnnext.GRU(I, H, rng=0)
X = np.random.default_rng(0).standard_normal((T, N, I)).astype(np.float32)


def test_a_mask_of_one_sequence():
    mask = np.array([True, True, False])
    y, h_n = GRU(X[:, 0], mask=mask)
    assert np.array_equal(y[:2], GRU(X[:2, 0])[0])
    assert not y[2].any()
    assert np.array_equal(h_n, GRU(X[:2, 0])[1])


def test_parameters_are_updated_in_place():
    gru = rnnext.GRU(I, H, rng=0)
    with gru.writable() as parameters:
        parameters |= {"bias_ih_l0": np.ones(3 * H, np.float32)}
    assert (gru.parameters["bias_ih_l0"] == 1).all()


def test_what_objects_say():
    _, _, cache = GRU.forward(X)
    gradients = GRU.backward(cache, dy=np.ones((T, N, H), np.float32))
    assert repr(gradients).startswith("Gradients(x=(3, 2, 4), parameters: weight_ih_l0")
    assert repr(cache) == "Cache(T=3, N=2, layers and directions: 1)"
    assert repr(GRU.stream(batch_size=2)) == "Stream(GRU(4, 5), batch_size=2)"
    model = rnnext.Sequential(GRU, rnnext.Linear(H, 3, rng=0))
    assert repr(model.stream()).startswith("SequentialStream(Sequential(")


def test_a_stream_of_layers_goes_back():
    stream = rnnext.Sequential(GRU, rnnext.Linear(H, 3, rng=0)).stream()
    first = stream.step(X[0, :1])
    assert not np.array_equal(stream.step(X[0, :1]), first)
    stream.reset()
    assert np.array_equal(stream.step(X[0, :1]), first)


def test_without_need_x_no_gradient_of_the_input():
    dropout, pool = rnnext.Dropout(0.5, rng=0), rnnext.Pool("mean")
    for layer in (dropout, pool):
        z, cache = layer.forward(X)
        assert layer.backward(cache, np.ones_like(z), need_x=False).x is None


def test_a_decay_beyond_the_floats_is_infinite():
    assert rnnext.schedules.step_decay(-1.0, 1, 10.0)(10**6) == -np.inf


def test_gradients_of_c_one_by_one():
    lstm = rnnext.LSTM(I, H, num_layers=2, rng=0)
    y, _, cache = lstm.forward(X)
    dc = [np.full((T, N, H), n, np.float32) for n in (1, 2)]
    listed = lstm.backward(cache, dy=np.ones_like(y), dc=dc).x
    assert np.array_equal(
        listed, lstm.backward(cache, dy=np.ones_like(y), dc=np.stack(dc)).x
    )


def test_no_masks_without_dropout():
    assert GRU.forward(X)[2].masks is None


def test_a_layer_of_ones_own_takes_any_name():
    class Mine(rnnext.GRU):
        def __init__(self, **options):
            super().__init__(options["inputs"], options["hidden"])

    assert Mine(inputs=2, hidden=3).hidden_size == 3


def test_no_bar_without_tqdm(monkeypatch):
    """Where a person looks and asked for none, a missing package is no mistake."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with bar_of(None, [], 1) as bar:
        bar.update()
