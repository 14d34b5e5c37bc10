"""What is drawn, by its data."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

import rnnext
from rnnext import plot

HISTORY = rnnext.History(
    loss=[4.0, 2.0, 2.0, 1.0],
    gradient_norm=[1.0, 3.0, 2.0, 0.5],
    epochs=[
        {"loss": 3.0, "validation_loss": 2.5},
        {"loss": 1.5, "validation_loss": 2.0},
    ],
)


def lines(axes):
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.lines
    }


def test_loss_curves():
    axes = plot.loss_curves(HISTORY)
    assert lines(axes) == {
        "step": ([1, 2, 3, 4], [4, 2, 2, 1]),
        "epoch, mean": ([2, 4], [3, 1.5]),
        "validation": ([2, 4], [2.5, 2.0]),
    }
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss")
    assert len(axes.get_legend().get_texts()) == 3
    axes = plot.loss_curves(HISTORY, smooth=2, log=True)
    assert lines(axes)["mean of 2 steps"] == ([2, 3, 4], [3, 2, 1.5])
    assert axes.get_yscale() == "log"


def caches():
    x = np.random.default_rng(0).standard_normal((7, 3, 2), np.float32)
    lstm = rnnext.LSTM(2, 5, bidirectional=True, rng=0)
    gru = rnnext.GRU(2, 5, rng=0)
    rnn = rnnext.RNN(2, 5, rng=0)
    return {
        "lstm": (lstm.forward(x)[2], "ifgo"),
        "gru": (gru.forward(x, lengths=[7, 3, 0])[2], "rzn"),
        "rnn": (rnn.forward(x)[2], ""),
    }


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_means_of_gates(cell):
    cache, names = caches()[cell]
    axes = plot.gate_activations(cache, sequence=1)
    found = [line.get_ydata() for line in axes.lines]
    assert len(found) == max(len(names), 1)
    for i, values in enumerate(found):
        np.testing.assert_allclose(values, cache.gates[0][:, 1, i].mean(axis=-1))
    assert (axes.get_legend() is not None) == (len(names) > 1)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_maps_of_gates(cell):
    cache, names = caches()[cell]
    layer = len(cache.h) - 1
    for i, name in enumerate(names):
        axes = plot.gate_activations(cache, name, layer=layer, sequence=2)
        (image,) = axes.images
        expected = cache.gates[layer][:, 2, i].T
        np.testing.assert_array_equal(image.get_array(), expected)
        assert image.get_clim()[1] == 1
    state = plot.gate_activations(cache, "h", units=[0, 3]).images[0].get_array()
    np.testing.assert_array_equal(state, cache.h[0][1:, 0, [0, 3]].T)
    if cell == "lstm":
        c = plot.gate_activations(cache, "c").images[0].get_array()
        np.testing.assert_array_equal(c, cache.c[0][1:, 0].T)


def test_norms_over_training_time_and_parameters():
    axes = plot.gradient_norms(HISTORY)
    assert list(axes.lines[0].get_ydata()) == [1, 3, 2, 0.5]
    assert axes.get_yscale() == "log"
    d = np.random.default_rng(0).standard_normal((6, 3, 2))
    found = lines(plot.gradient_norms(d, log=False))
    norms = np.sqrt((d**2).sum(axis=2))
    np.testing.assert_allclose(found["largest"][1], norms.max(axis=1))
    np.testing.assert_allclose(found["median"][1], np.median(norms, axis=1))
    np.testing.assert_allclose(found["smallest"][1], norms.min(axis=1))
    one = lines(plot.gradient_norms(d[:, 0]))
    np.testing.assert_allclose(one["largest"][1], norms[:, 0])
    layer = rnnext.GRU(2, 3, rng=0)
    y, _, cache = layer.forward(np.ones((4, 1, 2), np.float32))
    gradients = layer.backward(cache, y)
    for given in (gradients, gradients.parameters):
        axes = plot.gradient_norms(given)
        widths = [bar.get_width() for bar in axes.patches]
        sizes = [np.linalg.norm(g) for g in gradients.parameters.values()]
        np.testing.assert_allclose(widths, sizes)
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == list(gradients.parameters)


def test_draws_on_axes_that_are_given(tmp_path):
    figure = Figure()
    first, second = figure.subplots(2)
    assert plot.loss_curves(HISTORY, ax=first) is first
    assert plot.gradient_norms(HISTORY, ax=second) is second
    figure.savefig(tmp_path / "both.png")
    assert (tmp_path / "both.png").stat().st_size > 1000


def test_no_window_and_no_state():
    script = (
        "import sys, rnnext, rnnext.plot; "
        "rnnext.plot.loss_curves(rnnext.History([1.0, 2.0])); "
        "raise SystemExit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_matplotlib():
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "try: import rnnext.plot\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith('pip install "rnnext[plot]"')


CACHE = caches()["lstm"][0]
WRONG = {
    "history": (lambda: plot.loss_curves([1.0]), TypeError, "history: expected"),
    "smooth": (lambda: plot.loss_curves(HISTORY, smooth=5), ValueError, "1 to 4 steps"),
    "ax": (lambda: plot.loss_curves(HISTORY, ax=3), TypeError, "ax: expected Axes"),
    "cache": (lambda: plot.gate_activations(3), TypeError, "cache: expected"),
    "gate": (lambda: plot.gate_activations(CACHE, "z"), ValueError, "gate: expected"),
    "layer": (lambda: plot.gate_activations(CACHE, layer=2), ValueError, "0 to 1"),
    "sequence": (
        lambda: plot.gate_activations(CACHE, sequence=-1), ValueError, "0 to 2, got -1",
    ),
    "source": (lambda: plot.gradient_norms("x"), TypeError, "source: expected"),
    "shape": (lambda: plot.gradient_norms(np.ones(3)), ValueError, "source: expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()
