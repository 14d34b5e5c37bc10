"""Optimisers by hand; test_training_torch.py holds them against PyTorch."""

import math

import numpy as np
import pytest

import rnnext

OPTIMIZERS = {
    "SGD": lambda: rnnext.SGD(0.1),
    "momentum": lambda: rnnext.SGD(0.1, momentum=0.9),
    "Nesterov": lambda: rnnext.SGD(0.1, 0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda: rnnext.Adam(0.1),
    "AdamW": lambda: rnnext.AdamW(rnnext.schedules.exponential_decay(0.1, 0.9)),
}


def layer():
    made = rnnext.Linear(2, 1, dtype=np.float64)
    made.assign(weight=[[1.0, -2.0]], bias=[0.5])
    return made


def gradients(seed):
    rng = np.random.default_rng(seed)
    return {"weight": rng.standard_normal((1, 2)), "bias": rng.standard_normal(1)}


def step(one, optimizer, w, b=0.0):
    optimizer.step(one, {"weight": np.array([w]), "bias": np.array([b])})
    return one.parameters["weight"][0].tolist()


def test_sgd_by_hand():
    assert step(layer(), rnnext.SGD(0.5), [2.0, 4.0]) == [0.0, -4.0]
    one, sgd = layer(), rnnext.SGD(0.5, momentum=0.5)
    step(one, sgd, [2.0, 0.0])
    assert step(one, sgd, [1.0, 0.0]) == [0.0 - 0.5 * (0.5 * 2 + 1), -2.0]
    nesterov = rnnext.SGD(0.5, momentum=0.5, nesterov=True)
    assert step(layer(), nesterov, [2.0, 0.0]) == [1 - 0.5 * (2 + 0.5 * 2), -2.0]
    decaying = rnnext.SGD(0.5, weight_decay=0.25)
    assert step(layer(), decaying, [0.0, 0.0]) == [1 - 0.125, -2 + 0.25]


def test_adam_by_hand():
    one, adam = layer(), rnnext.Adam(0.1, betas=(0.5, 0.75), eps=0.5)
    # Step 1: the averages are the gradient and its square once the bias is out.
    found = step(one, adam, [2.0, -4.0])
    w = [1 - 0.1 * 2 / 2.5, -2 + 0.1 * 4 / 4.5]
    assert found == pytest.approx(w, rel=1e-14)
    # Step 2, w[0]: mean (0.5 * 1 + 0.5 * 1) / 0.75, square (0.75 + 0.25) / 0.4375.
    adam.learning_rate = 0.2
    found = step(one, adam, [1.0, 0.0])
    w = w[0] - 0.2 * (1 / 0.75) / (math.sqrt(1 / 0.4375) + 0.5)
    assert found[0] == pytest.approx(w, rel=1e-14)


def test_decay_of_adamw_is_apart():
    found = step(layer(), rnnext.AdamW(0.1, weight_decay=0.5), [0.0, 0.0])
    assert found == pytest.approx([0.95, -1.9])


def test_rates_follow_their_schedule():
    one = layer()
    sgd = rnnext.SGD(rnnext.schedules.exponential_decay(1.0, 0.5))
    rates = []
    for _ in range(3):
        rates.append(sgd.rate)
        step(one, sgd, [1.0, 0.0])
    assert rates == [1.0, 0.5, 0.25]
    assert one.parameters["weight"][0, 0] == 1 - 1.75
    assert sgd.steps == 3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_goes_on_from_its_state(name):
    one, first = layer(), OPTIMIZERS[name]()
    for seed in range(3):
        first.step(one, gradients(seed))
    other, second = layer(), OPTIMIZERS[name]()
    other.load_state_dict(one.state_dict())
    second.load_state_dict(first.state_dict())
    for seed in range(3, 6):
        first.step(one, gradients(seed))
        second.step(other, gradients(seed))
    for key, array in one.parameters.items():
        np.testing.assert_array_equal(array, other.parameters[key])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_are_left_as_they_are(name):
    one, given = layer(), gradients(0)
    OPTIMIZERS[name]().step(one, given)
    for key, array in gradients(0).items():
        np.testing.assert_array_equal(given[key], array)


def test_float32_stays():
    one = rnnext.Linear(2, 1, rng=0)
    for make in OPTIMIZERS.values():
        y, cache = one.forward(np.ones((3, 2), np.float32))
        optimizer = make()
        optimizer.step(one, one.backward(cache, y))
        arrays = optimizer.state_dict()
        del arrays["steps"]
        assert {a.dtype for a in arrays.values()} <= {np.dtype(np.float32)}
    assert one.parameters["weight"].dtype == np.float32


GRADIENTS = gradients(0)
WRONG = {
    "rate": (lambda: rnnext.SGD(-1), ValueError, "learning_rate"),
    "rate, kind": (lambda: rnnext.Adam("fast"), TypeError, "learning_rate"),
    "momentum": (lambda: rnnext.SGD(1, momentum=-1), ValueError, "momentum"),
    "momentum of one": (lambda: rnnext.SGD(1, momentum=1), ValueError, r"\[0, 1\)"),
    "nesterov": (lambda: rnnext.SGD(1, nesterov=True), ValueError, "nesterov"),
    "betas": (lambda: rnnext.Adam(betas=(0.9, 1.0)), ValueError, "betas"),
    "eps": (lambda: rnnext.Adam(eps=math.nan), ValueError, "eps"),
    "decay": (lambda: rnnext.AdamW(weight_decay=-1), ValueError, "weight_decay"),
    "gradients": (lambda: rnnext.SGD(1).step(layer(), [1]), TypeError, "gradients: "),
    "missing": (
        lambda: rnnext.SGD(1).step(layer(), {"bias": np.ones(1)}), ValueError, "weight",
    ),
    "unknown": (
        lambda: rnnext.SGD(1).step(layer(), GRADIENTS | {"v": np.ones(1)}),
        ValueError, "another shape: v",
    ),
    "shape": (
        lambda: rnnext.SGD(1).step(layer(), GRADIENTS | {"bias": np.ones(2)}),
        ValueError, "another shape: bias",
    ),
    "state": (
        lambda: rnnext.Adam().load_state_dict({"velocity.w": np.ones(1)}),
        ValueError, "none of Adam's",
    ),
    "half a state": (
        lambda: rnnext.Adam().load_state_dict({"steps": 1, "mean.w": np.ones(1)}),
        ValueError, "incomplete, see w",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()
