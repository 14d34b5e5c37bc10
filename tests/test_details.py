"""Small promises of layers and training that stand in no other test."""

import numpy as np

import rnnext

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
