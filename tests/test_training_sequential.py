"""Chains of layers: one model, one set of names."""

import copy
import pickle

import numpy as np
import pytest

import rnnext


def make(dtype=np.float64, dropout=0.0, **options):
    return rnnext.Sequential(
        {
            "table": rnnext.Embedding(9, 3, dtype=dtype, rng=0),
            "rnn": rnnext.LSTM(3, 5, bidirectional=True, dtype=dtype, rng=1, **options),
            "drop": rnnext.Dropout(dropout, rng=2),
            "top": rnnext.GRU(10, 4, dtype=dtype, rng=3),
            "pool": rnnext.Pool("mean"),
            "head": rnnext.Linear(4, 2, dtype=dtype, rng=4),
        }
    )


IDS = np.random.default_rng(0).integers(0, 9, (6, 3))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("lengths", [None, [6, 2, 0]])
def test_gradients(dropout, lengths):
    report = rnnext.check_gradients(make(dropout=dropout), IDS, lengths=lengths)
    assert report.ok, report
    states = [f"state {i}" for i in range(3)]
    assert list(report.errors) == [*make().parameters, *states]


def test_is_its_layers_one_after_the_other():
    model, lengths = make(), [6, 2, 3]
    layers = model.layers
    y = layers["table"](IDS)
    y, (h, c) = layers["rnn"](y, lengths=lengths)
    y, h_top = layers["top"](y, lengths=lengths)
    expected = layers["head"](layers["pool"](y, lengths=lengths))
    found, state = model(IDS, lengths=lengths)
    np.testing.assert_array_equal(found, expected)
    assert [s is None for s in state] == [True, False, True, False, True, True]
    for one, other in zip((*state[1], state[3]), (h, c, h_top), strict=True):
        np.testing.assert_array_equal(one, other)
    trained, state_n, cache = model.forward(IDS, lengths=lengths)
    np.testing.assert_array_equal(trained, found)
    np.testing.assert_array_equal(state_n[3], state[3])
    assert cache.layers["rnn"].h[0].shape == (7, 3, 5)


def test_names_order_and_doors():
    model = make()
    names = list(model.parameters)
    assert names[0] == "table.weight"
    assert names[-2:] == ["head.weight", "head.bias"]
    assert list(model.state_dict()) == names
    numbered = rnnext.Sequential(rnnext.RNN(2, 3), rnnext.Linear(3, 1))
    assert list(numbered.parameters)[-1] == "1.bias"
    with model.writable() as p:
        assert list(p) == names
        assert len(p) == len(names)
        p["head.bias"][:] = 1
        p["head.weight"] = np.zeros((2, 4))
        with pytest.raises(TypeError, match="not added or removed"):
            del p["head.bias"]
        with pytest.raises(KeyError):
            p["neck.bias"]
    np.testing.assert_array_equal(model(IDS)[0], np.ones((3, 2)))
    model.assign({"head.bias": np.full(2, 3.0)})
    np.testing.assert_array_equal(model(IDS)[0], np.full((3, 2), 3.0))


def test_steps_change_arrays_in_place():
    """And every call sees them."""
    model = make()
    before = {k: v.__array_interface__["data"] for k, v in model.parameters.items()}
    ys = []
    for optimizer in (rnnext.SGD(0.1), rnnext.Adam(0.1)):
        y, _, cache = model.forward(IDS)
        optimizer.step(model, model.backward(cache, y))
        ys.append(model(IDS)[0])
    after = {k: v.__array_interface__["data"] for k, v in model.parameters.items()}
    assert before == after
    assert (ys[0] != ys[1]).all()
    other = make()
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other(IDS)[0], ys[1])


def test_states_are_carried():
    model = rnnext.Sequential(rnnext.GRU(2, 3, rng=0), rnnext.Linear(3, 1, rng=1))
    x = np.random.default_rng(0).standard_normal((8, 4, 2), np.float32)
    whole, end = model(x)
    first, state = model(x[:3])
    second, state = model(x[3:], state)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(state[0], end[0])
    np.testing.assert_array_equal(model(x, (None, None))[0], whole)


def test_streams_give_the_bits_of_the_whole():
    model = rnnext.Sequential(
        rnnext.Embedding(9, 3, rng=0),
        rnnext.LSTM(3, 8, num_layers=2, rng=1),
        rnnext.Dropout(0.5),
        rnnext.Sequential(rnnext.GRU(8, 5, rng=2)),
        rnnext.Linear(5, 2, rng=3),
    )
    whole, _ = model(IDS)
    stream = model.stream(batch_size=3)
    for _ in range(2):
        for t in range(6):
            np.testing.assert_array_equal(stream.step(IDS[t]), whole[t])
        stream.reset()


def test_a_sequential_in_another():
    inner = rnnext.Sequential({"rnn": rnnext.GRU(2, 3, dtype=np.float64, rng=0)})
    model = rnnext.Sequential({"body": inner, "head": rnnext.Linear(3, 1, dtype=float)})
    assert next(iter(model.parameters)) == "body.rnn.weight_ih_l0"
    x = np.random.default_rng(0).standard_normal((5, 2, 2))
    report = rnnext.check_gradients(model, x)
    assert report.ok, report
    y, state, cache = model.forward(x)
    grads = model.backward(cache, y, ((np.ones((1, 2, 3)),), None))
    assert grads.state[0][0].shape == state[0][0].shape
    flat = copy.deepcopy(model.state_dict())
    model.load_state_dict({k: v + 1 for k, v in flat.items()})
    for name, array in inner.state_dict().items():
        np.testing.assert_array_equal(array, flat[f"body.{name}"] + 1)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_are_their_own(copied):
    model = make()
    other = copied(model)
    y, _ = model(IDS)
    np.testing.assert_array_equal(other(IDS)[0], y)
    other.assign({"head.bias": np.zeros(2)})
    np.testing.assert_array_equal(model(IDS)[0], y)
    assert repr(other) == repr(model)


def test_dropout_of_all_layers_draws_from_one_generator():
    model = make(dropout=0.5, recurrent_dropout=0.5)
    first, second = (model.forward(IDS, rng=5)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (model.forward(IDS, rng=6)[0] != first).any()
    assert (model.forward(IDS)[0] != model(IDS)[0]).any()


def test_all_names_that_are_off_are_told():
    model = make()
    arrays = model.state_dict()
    del arrays["head.bias"]
    arrays["head.weight"] = np.zeros((1, 1))
    arrays["neck.bias"] = np.zeros(1)
    before = model(IDS)[0]
    with pytest.raises(ValueError) as caught:
        model.load_state_dict(arrays)
    for fault in (
        "head.bias is missing",
        "head.weight: expected shape (2, 4), got (1, 1)",
        "neck.bias is unknown",
    ):
        assert fault in str(caught.value)
    np.testing.assert_array_equal(model(IDS)[0], before)


MODEL = make()
Y, _, CACHE = MODEL.forward(IDS)
WRONG = {
    "nothing": (lambda: rnnext.Sequential(), ValueError, "at least one"),
    "no layer": (lambda: rnnext.Sequential(3), TypeError, "0: expected a layer"),
    "a cell": (lambda: rnnext.Sequential(rnnext.GRUCell(2, 3)), TypeError, "GRUCell"),
    "a dot": (
        lambda: rnnext.Sequential({"a.b": rnnext.Pool()}), ValueError, "names without",
    ),
    "dtypes": (
        lambda: rnnext.Sequential(rnnext.GRU(2, 3), rnnext.Linear(3, 1, dtype=float)),
        ValueError, "one dtype",
    ),
    "two outputs": (
        lambda: rnnext.Sequential(rnnext.GRU(2, 3, bidirectional=True, merge=None)),
        ValueError, "two outputs",
    ),
    "state": (lambda: MODEL(IDS, np.zeros(3)), TypeError, "a tuple of 6"),
    "state of none": (
        lambda: MODEL(IDS, (np.zeros(3), *[None] * 5)), ValueError, "table has none",
    ),
    "cache": (lambda: MODEL.backward(None, Y), TypeError, "what forward returned"),
    "another's": (
        lambda: make(np.float32).backward(CACHE, Y), ValueError, "expected one of Seq",
    ),
    "no dy": (lambda: MODEL.backward(CACHE), TypeError, "dy: expected"),
    "stream": (lambda: MODEL.stream(), ValueError, "whole sequence"),
    "state dict": (lambda: MODEL.load_state_dict([1]), TypeError, "a mapping"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()
