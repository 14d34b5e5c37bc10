"""Linear, Embedding, Dropout and Pool, by hand and by numerical derivatives."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import rnnext


def draw(*shape, dtype=np.float64):
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


LAYERS = {
    "linear": (rnnext.Linear(3, 4, rng=0), (5, 2, 3)),
    "linear of rows": (rnnext.Linear(3, 4, rng=0), (7, 3)),
    "linear of a vector": (rnnext.Linear(3, 4, rng=0), (3,)),
    "linear without bias": (rnnext.Linear(3, 1, bias=False, rng=0), (2, 2, 2, 3)),
    "dropout": (rnnext.Dropout(0.4, rng=0), (5, 2, 3)),
    "dropout of all": (rnnext.Dropout(1.0), (5, 2)),
    "pool last": (rnnext.Pool(), (5, 2, 4)),
    "pool last, both ways": (rnnext.Pool(bidirectional=True), (5, 2, 4)),
    "pool mean": (rnnext.Pool("mean"), (5, 2, 4)),
    "pool max": (rnnext.Pool("max", batch_first=True), (2, 5, 4)),
    "pool unbatched": (rnnext.Pool("max"), (5, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name):
    layer, shape = LAYERS[name]
    report = rnnext.check_gradients(layer, draw(*shape))
    assert report.ok, report
    assert set(report.coordinates) == {"x", *layer.parameters}


@pytest.mark.parametrize("how", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_of_pools_of_lengths(how, bidirectional):
    layer = rnnext.Pool(how, bidirectional=bidirectional)
    report = rnnext.check_gradients(layer, draw(6, 4, 2), lengths=[6, 0, 3, 1])
    assert report.ok, report


def test_gradients_of_an_embedding():
    ids = np.random.default_rng(1).integers(0, 6, (5, 3))
    report = rnnext.check_gradients(rnnext.Embedding(6, 4, rng=0), ids)
    assert report.ok, report
    assert list(report.errors) == ["weight"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_is_a_product(dtype):
    layer = rnnext.Linear(3, 4, dtype=dtype, rng=0)
    x = draw(5, 2, 3, dtype=dtype)
    w, b = layer.parameters["weight"], layer.parameters["bias"]
    expected = x @ w.T + b
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(layer(x), expected, tolerance, tolerance)
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, layer(x))
    grads = layer.backward(cache, np.ones_like(y))
    rows = x.reshape(-1, 3)
    np.testing.assert_allclose(
        grads.parameters["weight"], np.ones((4, 10), dtype) @ rows, tolerance, tolerance
    )
    np.testing.assert_allclose(grads.parameters["bias"], [10] * 4)
    assert grads.x.dtype == y.dtype == dtype
    assert layer.backward(cache, y, need_x=False).x is None


def test_linear_with_any_strides_and_no_rows():
    layer = rnnext.Linear(3, 4, dtype=np.float64, rng=0)
    x = draw(5, 2, 6)[..., ::2]
    np.testing.assert_array_equal(layer(x), layer(np.ascontiguousarray(x)))
    y, cache = layer.forward(x[:0])
    grads = layer.backward(cache, y)
    assert (y.shape, grads.x.shape) == ((0, 2, 4), (0, 2, 3))
    assert not grads.parameters["weight"].any()


def test_caches_keep_what_they_were_made_with():
    layer, x = rnnext.Linear(3, 4, dtype=np.float64, rng=0), draw(5, 3)
    y, cache = layer.forward(x)
    before = layer.backward(cache, y)
    x[:] = 0
    with layer.writable() as p:
        p["weight"] *= 2
    after = layer.backward(cache, y)
    np.testing.assert_array_equal(after.x, before.x)
    np.testing.assert_array_equal(
        after.parameters["weight"], before.parameters["weight"]
    )


def test_embedding_is_a_table():
    layer = rnnext.Embedding(6, 4, dtype=np.float64, rng=0)
    table = layer.parameters["weight"]
    ids = np.array([[1, 5], [1, 0]], np.uint8)
    y, cache = layer.forward(ids)
    np.testing.assert_array_equal(y, table[ids])
    ids[:] = 3
    dy = draw(2, 2, 4)
    found = layer.backward(cache, dy)
    expected = np.zeros((6, 4))
    expected[[1, 5, 0]] = dy[0, 0] + dy[1, 0], dy[0, 1], dy[1, 1]
    np.testing.assert_array_equal(found.parameters["weight"], expected)
    assert found.x is None
    assert abs(rnnext.Embedding(100, 100, rng=0).parameters["weight"].std() - 1) < 0.05


def test_dropout_keeps_its_share():
    layer = rnnext.Dropout(0.25, rng=0)
    x = np.ones((400, 100), np.float32)
    y, cache = layer.forward(x)
    kept = y > 0
    assert kept.mean() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(y[kept], 1 / 0.75, rtol=1e-6)
    np.testing.assert_array_equal(layer.backward(cache, x).x, y)
    assert layer(x) is x
    first, second = (layer.forward(x, rng=7)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert rnnext.Dropout(0.0).forward(x)[0] is x


def by_hand(y, lengths, how, bidirectional):
    """(T, N, F) to (N, F), sequence by sequence."""
    z = np.zeros(y.shape[1:])
    for n, length in enumerate(lengths):
        steps = y[:length, n]
        if not length:
            continue
        z[n] = {"last": steps[-1], "mean": steps.mean(0), "max": steps.max(0)}[how]
        if how == "last" and bidirectional:
            z[n, y.shape[2] // 2 :] = steps[0, y.shape[2] // 2 :]
    return z


@pytest.mark.parametrize("how", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_pools_by_hand(how, bidirectional, batch_first):
    y = draw(6, 4, 2)
    layer = rnnext.Pool(how, bidirectional=bidirectional, batch_first=batch_first)
    given = y.swapaxes(0, 1) if batch_first else y
    for lengths in ([6] * 4, [3, 0, 6, 1]):
        expected = by_hand(y, lengths, how, bidirectional)
        found = layer(given, lengths=np.array(lengths))
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_array_equal(layer(given), layer(given, lengths=[6] * 4))
    one = rnnext.Pool(how, bidirectional=bidirectional)(y[:, 0])
    np.testing.assert_array_equal(one, layer(given)[0])


@pytest.mark.parametrize("how", ["last", "mean", "max"])
def test_pools_of_nothing(how):
    layer = rnnext.Pool(how)
    for shape in ((0, 2, 4), (3, 0, 4)):
        z, cache = layer.forward(np.ones(shape))
        assert z.shape == shape[1:]
        assert not z.any()
        assert layer.backward(cache, z).x.shape == shape


@pytest.mark.parametrize("name", LAYERS)
def test_repr_makes_it_again_and_copies_are_equal(name):
    layer, shape = LAYERS[name]
    again = eval(f"rnnext.{layer!r}")
    assert repr(again) == repr(layer)
    again.load_state_dict(layer.state_dict())
    x = draw(*shape, dtype=np.float32)
    for other in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(x), layer(x))


def test_repr_of_dtypes():
    assert repr(rnnext.Linear(3, 4, False, dtype=np.float64)) == (
        "Linear(3, 4, bias=False, dtype=float64)"
    )
    assert repr(rnnext.Pool("max", batch_first=True)) == "Pool('max', batch_first=True)"


WRONG = {
    "Linear, size": (lambda: rnnext.Linear(0, 4), ValueError, "in_features"),
    "Linear, kind": (lambda: rnnext.Linear(3, 4.0), TypeError, "out_features"),
    "Linear, dtype": (lambda: rnnext.Linear(3, 4, dtype=int), TypeError, "dtype"),
    "Linear, rng": (lambda: rnnext.Linear(3, 4, rng="x"), TypeError, "rng"),
    "Embedding": (lambda: rnnext.Embedding(-1, 4), ValueError, "num_embeddings"),
    "Dropout": (lambda: rnnext.Dropout(1.5), ValueError, "p: expected"),
    "Dropout, kind": (lambda: rnnext.Dropout(True), TypeError, "p: expected"),
    "Pool": (lambda: rnnext.Pool("first"), ValueError, "how: expected 'last'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    make, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        make()


LINEAR, X = rnnext.Linear(3, 4, rng=0), np.ones((5, 2, 3), np.float32)
TABLE, POOL, DROPOUT = rnnext.Embedding(6, 4, rng=0), rnnext.Pool(), rnnext.Dropout(0.5)
Y, CACHE = LINEAR.forward(X)
POOLED, POOL_CACHE = POOL.forward(X)
DROPPED, DROP_CACHE = DROPOUT.forward(X)
WRONG_CALLS = {
    "x, dtype": (lambda: LINEAR(X.astype(float)), TypeError, "x: expected dtype"),
    "x, list": (lambda: LINEAR(X.tolist()), TypeError, "x: expected an array"),
    "x, shape": (lambda: LINEAR(X[..., :2]), ValueError, r"\(\.\.\., I=3\), got"),
    "x, scalar": (lambda: LINEAR(np.float32(1)), TypeError, "x: expected an array"),
    "dy, shape": (lambda: LINEAR.backward(CACHE, Y[:1]), ValueError, "dy: expected"),
    "dy, dtype": (lambda: LINEAR.backward(CACHE, Y.astype(float)), TypeError, "dy"),
    "cache": (lambda: LINEAR.backward(None, Y), TypeError, "what forward returned"),
    "another's": (lambda: POOL.backward(CACHE, Y), ValueError, "one of Pool"),
    "need_x": (lambda: LINEAR.backward(CACHE, Y, need_x=1), TypeError, "need_x"),
    "ids, float": (lambda: TABLE(X), TypeError, "ids: expected an array of integers"),
    "ids, list": (lambda: TABLE([1]), TypeError, "ids: expected an array"),
    "ids, large": (lambda: TABLE(np.array([6])), ValueError, "0 to V-1=5, got 6"),
    "ids, negative": (lambda: TABLE(np.array([-1])), ValueError, "got -1"),
    "y, axes": (lambda: POOL(X[0, 0]), ValueError, r"\(T, N, F\), or \(T, F\)"),
    "y, half": (
        lambda: rnnext.Pool(bidirectional=True)(X), ValueError, "two directions",
    ),
    "lengths": (lambda: POOL(X, lengths=[6, 1]), ValueError, "expected 0 to T"),
    "lengths, kind": (lambda: POOL(X, lengths=[0.5, 1]), TypeError, "lengths"),
    "dz": (lambda: POOL.backward(POOL_CACHE, POOLED[0]), ValueError, "dz: expected"),
    "dropout, x": (lambda: DROPOUT(X.astype(int)), TypeError, "x: expected"),
    "dropout, dy": (
        lambda: DROPOUT.backward(DROP_CACHE, X[:1]), ValueError, "dy: expected shape",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_calls(name):
    call, error, message = WRONG_CALLS[name]
    with pytest.raises(error, match=message):
        call()


def test_parameters_change_through_their_doors():
    for layer, name in itertools.product((LINEAR, TABLE), ("weight",)):
        with pytest.raises(ValueError, match="read-only"):
            layer.parameters[name][0] = 1
        with pytest.raises(ValueError, match="bias_ih is unknown"):
            layer.assign(bias_ih=np.zeros(3))
