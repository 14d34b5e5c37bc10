"""The loop of training, its history, and the check of gradients."""

import math
import sys

import numpy as np
import pytest

import rnnext


def model(dropout=0.0):
    return rnnext.Sequential(
        rnnext.GRU(2, 6, dtype=np.float64, rng=0),
        rnnext.Dropout(dropout, rng=1),
        rnnext.Linear(6, 1, dtype=np.float64, rng=2),
    )


def batches(count=3, steps=5):
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((count, steps, 4, 2))
    return [(x, np.cumsum(x[..., :1], axis=0)) for x in xs]


def same(one, other):
    return all(
        (a == b).all()
        for a, b in zip(
            one.state_dict().values(), other.state_dict().values(), strict=True
        )
    )


def test_is_forward_loss_backward_step():
    found, expected = model(), model()
    history = rnnext.train(
        found, batches(), rnnext.mse_loss, rnnext.SGD(0.1), epochs=2, clip=0.5
    )
    optimizer, losses, norms = rnnext.SGD(0.1), [], []
    for x, targets in batches() * 2:
        y, _, cache = expected.forward(x)
        loss, dy = rnnext.mse_loss(y, targets)
        gradients = expected.backward(cache, dy)
        losses.append(loss)
        norms.append(rnnext.clip_grad_norm(gradients, 0.5))
        optimizer.step(expected, gradients)
    assert same(found, expected)
    assert history.loss == losses
    assert history.gradient_norm == norms
    assert history.learning_rate == [0.1] * 6
    assert history.steps == 6
    assert sorted(history.seconds) == history.seconds
    means = [sum(losses[:3]) / 3, sum(losses[3:]) / 3]
    assert [e["loss"] for e in history.epochs] == pytest.approx(means)


def test_learns():
    history = rnnext.train(
        model(), batches(), rnnext.mse_loss, rnnext.Adam(0.02), epochs=60, clip=1.0
    )
    assert history.epochs[-1]["loss"] < 0.1 * history.epochs[0]["loss"]


def test_states_are_carried_within_an_epoch():
    x, targets = (np.concatenate(a) for a in zip(*batches(), strict=True))
    pieces = list(rnnext.truncated_bptt(x, targets, 5))
    states = []

    class Spy(rnnext.Sequential):
        def forward(self, x, state=None, **options):
            states.append(state)
            return super().forward(x, state, **options)

    def run(**options):
        states.clear()
        spy = Spy(*model().layers.values())
        rnnext.train(spy, pieces, rnnext.mse_loss, rnnext.SGD(0.1), epochs=2, **options)
        return [s is None for s in states]

    assert run(carry_state=True) == [True, False, False] * 2
    assert run() == [True] * 6


def test_lengths_reach_layers_and_loss():
    x, targets = batches()[0]
    lengths = np.array([5, 1, 0, 3])
    for n, length in enumerate(lengths):
        targets[length:, n] = np.nan
    history = rnnext.train(
        model(), [(x, targets, lengths)], rnnext.mse_loss, rnnext.SGD(0.1)
    )
    y, _ = model()(x, lengths=lengths)
    assert history.loss == [rnnext.mse_loss(y, targets, lengths=lengths)[0]]


def test_validation_and_metrics_have_no_dropout():
    wet = model(dropout=0.9)
    held_out = batches(2)

    def worst(y, targets):
        return float(abs(y - targets).max())

    history = rnnext.train(
        wet,
        batches(),
        rnnext.mse_loss,
        rnnext.SGD(0.1),
        validation=held_out,
        metrics={"worst": worst},
        rng=3,
    )
    found = history.epochs[0]
    losses = [rnnext.mse_loss(wet(x)[0], t)[0] for x, t in held_out]
    assert found["validation_loss"] == pytest.approx(sum(losses) / 2)
    assert found["worst"] == pytest.approx(
        sum(worst(wet(x)[0], t) for x, t in held_out) / 2
    )


def test_is_repeated_by_its_rng():
    runs = []
    for seed in (1, 1, 2):
        runs.append(model(dropout=0.5))
        rnnext.train(
            runs[-1], batches(), rnnext.mse_loss, rnnext.SGD(0.1), epochs=2, rng=seed
        )
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_stops_when_told():
    seen = []

    def on_step(history):
        seen.append(history.steps)
        return history.steps == 4

    history = rnnext.train(
        model(), batches(), rnnext.mse_loss, rnnext.SGD(0.1), epochs=9, on_step=on_step
    )
    assert seen == [1, 2, 3, 4]
    assert len(history.epochs) == 2


def test_stops_after_an_epoch_when_told():
    history = rnnext.train(
        model(),
        batches(),
        rnnext.mse_loss,
        rnnext.SGD(0.1),
        epochs=9,
        on_epoch=lambda history: len(history.epochs) == 3,
    )
    assert (history.steps, len(history.epochs)) == (9, 3)


def test_a_loss_that_is_no_number_changes_nothing():
    one = model()
    bad = [(x, targets * math.nan) for x, targets in batches(1)]
    with pytest.raises(FloatingPointError, match="loss nan, norm"):
        rnnext.train(one, bad, rnnext.mse_loss, rnnext.SGD(0.1))
    assert same(one, model())


def test_batches_may_be_made_for_every_epoch():
    calls = []

    def shuffled():
        calls.append(len(calls))
        return iter(batches())

    rnnext.train(model(), shuffled, rnnext.mse_loss, rnnext.SGD(0.1), epochs=3)
    assert calls == [0, 1, 2]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"batches": iter(batches()), "epochs": 2}, ValueError, "once an epoch"),
        ({"batches": []}, ValueError, "at least one, got none"),
        ({"batches": [np.zeros(3)]}, TypeError, r"\(x, targets\)"),
        ({"epochs": 0}, ValueError, "epochs"),
        ({"validation": []}, ValueError, "validation"),
        ({"clip": -1}, ValueError, "clip: expected a number above 0"),
        ({"progress": 1}, TypeError, "progress"),
        ({"carry_state": None}, TypeError, "carry_state"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else None,
)
def test_wrong_arguments(given, error, message):
    options = {"batches": batches()} | given
    with pytest.raises(error, match=message):
        rnnext.train(
            model(), options.pop("batches"), rnnext.mse_loss, rnnext.SGD(0.1), **options
        )


def test_progress(capsys, monkeypatch):
    def run(progress=True):
        rnnext.train(
            model(), batches(), rnnext.mse_loss, rnnext.SGD(0.1), progress=progress
        )
        return capsys.readouterr().err

    assert "3/3" in run()
    assert run(None) == run(False) == ""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"rnnext\[app\]"):
        run()


def test_truncated_bptt():
    x = np.arange(20).reshape(10, 2)
    pieces = list(rnnext.truncated_bptt(x, x + 1, 4))
    assert [len(p) for p, _ in pieces] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([t for _, t in pieces]), x + 1)
    with pytest.raises(ValueError, match="targets: expected T=10 steps, got 9"):
        rnnext.truncated_bptt(x, x[1:], 4)


# ---------------------------------------------------------------- gradient check

CHECKED = {
    "RNN": rnnext.RNN(3, 4, 2, rng=0),
    "LSTM": rnnext.LSTM(3, 4, peephole=True, bidirectional=True, rng=0),
    "projected LSTM": rnnext.LSTM(3, 4, proj_size=2, rng=0),
    "GRU": rnnext.GRU(3, 4, 2, dropout=0.5, recurrent_dropout=0.3, rng=0),
    "reset before": rnnext.GRU(3, 4, reset_after=False, input_dropout=0.5, rng=0),
    "RNNCell": rnnext.RNNCell(3, 4, rng=0),
    "LSTMCell": rnnext.LSTMCell(3, 4, rng=0),
    "GRUCell": rnnext.GRUCell(3, 4, rng=0),
}


@pytest.mark.parametrize("name", CHECKED)
def test_gradients_are_right(name):
    layer = CHECKED[name]
    shape = (2, 3) if name.endswith("Cell") else (5, 2, 3)
    x = np.random.default_rng(0).standard_normal(shape)
    report = rnnext.check_gradients(layer, x)
    assert report.ok, report
    assert set(layer.parameters) < set(report.errors)
    assert "x" in report.errors


@pytest.mark.parametrize("wrong", ["weight_hh_l0", "x", "state"])
def test_a_wrong_gradient_is_found(monkeypatch, wrong):
    right = rnnext.GRU.backward

    def backward(self, *arguments, **options):
        found = right(self, *arguments, **options)
        array = {"x": found.x, "state": found.state} | found.parameters
        array[wrong] *= 1.001
        return found

    monkeypatch.setattr(rnnext.GRU, "backward", backward)
    x = np.random.default_rng(0).standard_normal((5, 2, 3))
    report = rnnext.check_gradients(rnnext.GRU(3, 4, rng=0), x)
    assert not report.ok
    assert report.worst == wrong
    assert 5e-4 < report.errors[wrong] < 2e-3
    (line,) = [row for row in str(report).splitlines() if row.endswith("wrong")]
    assert line.startswith(wrong)


def test_the_check_leaves_the_layer_alone():
    layer = rnnext.GRU(3, 4, rng=0)
    before = layer.state_dict()
    x = np.ones((5, 2, 3), np.float32)
    rnnext.check_gradients(layer, x, np.ones((1, 2, 4), np.float32), samples=3)
    assert layer.dtype == x.dtype == np.float32
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(TypeError, match="layer: expected a layer or model, got int"):
        rnnext.check_gradients(3, x)
