"""The pieces of the commands, each against what it must compute."""

import math
import os

import numpy as np
import pytest

from rnnext.app.baselines import bigram_bits, unigram_bits
from rnnext.app.data import (
    Streams,
    Vocabulary,
    fitting_batch,
    python_documentation,
    split,
)
from rnnext.app.errors import AppError
from rnnext.app.files import write_atomically
from rnnext.app.model import CharModel, ModelConfig
from rnnext.app.nn import softmax_cross_entropy
from rnnext.app.optim import Adam, clip_by_global_norm, cosine_decay
from rnnext.app.sample import draw
from rnnext.app.trainer import Trainer, TrainOptions


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_against_central_differences(cell, layers, dropout):
    config = ModelConfig(7, cell, hidden_size=5, layers=layers, dtype="float64")
    rng = np.random.default_rng(1)
    before, ids, targets = rng.integers(0, 7, (3, 6, 4))
    state = CharModel(config, rng=2).predict(before)[1]

    def loss(change=None):
        # A fresh model of the same seed draws the same weights and the same dropout.
        model = CharModel(config, dropout=dropout, rng=3)
        with model.writable() as parameters:
            if change is not None:
                name, place, size = change
                parameters[name][place] += size
        logits, _, cache = model.forward(ids, state)
        value, dlogits = softmax_cross_entropy(logits, targets)
        return value, model.backward(cache, dlogits)

    gradients = loss()[1]
    assert list(gradients) == list(config.shapes())
    step = 1e-5
    for name, shape in config.shapes().items():
        assert gradients[name].shape == shape
        flat = np.random.default_rng(4).permutation(math.prod(shape))[:8]
        for place in zip(*np.unravel_index(flat, shape), strict=True):
            up, down = (loss((name, place, s))[0] for s in (step, -step))
            slope = (up - down) / (2 * step)
            assert gradients[name][place] == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_chunks_and_steps_are_the_whole(cell, dtype):
    model = CharModel(ModelConfig(9, cell, 11, 2, dtype), dropout=0.5, rng=0)
    ids = np.random.default_rng(0).integers(0, 9, (12, 3))
    whole, end = model.predict(ids)
    first, state = model.predict(ids[:5])
    second, state = model.predict(ids[5:], state)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(np.array(state), np.array(end))
    stream = model.stream()
    for t in range(12):
        np.testing.assert_array_equal(stream.step(int(ids[t, 1])), whole[t, 1])


def test_dropout_is_for_training_only():
    ids = np.random.default_rng(0).integers(0, 9, (12, 3))
    wet, dry = (CharModel(ModelConfig(9), dropout=d, rng=0) for d in (0.5, 0.0))
    np.testing.assert_array_equal(wet.predict(ids)[0], dry.predict(ids)[0])
    np.testing.assert_array_equal(dry.forward(ids)[0], dry.predict(ids)[0])
    assert (wet.forward(ids)[0] != wet.predict(ids)[0]).any()


def test_a_cache_keeps_the_weights_of_its_forward():
    model = CharModel(ModelConfig(9, hidden_size=8), rng=0)
    ids = np.random.default_rng(0).integers(0, 9, (5, 3))
    logits, _, cache = model.forward(ids)
    expected = model.backward(cache, logits)
    with model.writable() as parameters:
        for p in parameters.values():
            p += 1
    for name, gradient in model.backward(cache, logits).items():
        np.testing.assert_array_equal(gradient, expected[name])


def test_load_state_dict_names_what_is_off():
    model = CharModel(ModelConfig(9, hidden_size=8), rng=0)
    parameters = model.state_dict()
    del parameters["head.bias"]
    parameters["rnn.weight_ih_l0"] = np.zeros((1, 1), np.float32)
    with pytest.raises(ValueError, match=r"off: head\.bias, rnn\.weight_ih_l0$"):
        model.load_state_dict(parameters)


def test_softmax_cross_entropy_by_hand():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    loss, dlogits = softmax_cross_entropy(logits, np.array([0, 1]))
    assert loss == pytest.approx((math.log(2) + math.log(10)) / 2)
    expected = [[-0.25, 0.125, 0.125], [0.05, -0.45, 0.4]]
    np.testing.assert_allclose(dlogits, expected, rtol=1e-12)
    far = np.array([[0.0, 1e4]], np.float32)
    loss, dlogits = softmax_cross_entropy(far, np.array([0]))
    assert loss == 1e4
    assert dlogits.dtype == np.float32
    np.testing.assert_array_equal(dlogits, [[-1, 1]])


def test_adam_by_hand():
    parameters = {"w": np.array([1.0, -2.0])}
    adam = Adam(0.1, betas=(0.5, 0.75), epsilon=0.5)
    # Step 1: the averages are the gradient and its square once the bias is out.
    adam.step(parameters, {"w": np.array([2.0, -4.0])})
    w = np.array([1 - 0.1 * 2 / 2.5, -2 + 0.1 * 4 / 4.5])
    np.testing.assert_allclose(parameters["w"], w, rtol=1e-14)
    # Step 2, w[0]: mean (0.5 * 1 + 0.5 * 1) / 0.75, square (0.75 + 0.25) / 0.4375.
    adam.step(parameters, {"w": np.array([1.0, 0.0])}, 0.2)
    w = w[0] - 0.2 * (1 / 0.75) / (math.sqrt(1 / 0.4375) + 0.5)
    assert parameters["w"][0] == pytest.approx(w, rel=1e-14)
    with pytest.raises(ValueError, match="v"):
        adam.step(parameters, {"v": np.zeros(2)})


def test_clipping_by_hand():
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]], np.float32)}
    assert clip_by_global_norm(gradients, 5.0) == 5.0
    np.testing.assert_array_equal(gradients["a"], [3, 0])
    assert clip_by_global_norm(gradients, 2.5) == 5.0
    np.testing.assert_allclose(gradients["a"], [1.5, 0])
    np.testing.assert_allclose(gradients["b"], [[2]])
    assert clip_by_global_norm({"a": np.array([1e300, 1e300])}, 1.0) == math.inf
    assert math.isnan(clip_by_global_norm({"a": np.array([math.nan])}, 1.0))


def test_cosine_decay():
    assert cosine_decay(0, 0.1) == 1
    assert cosine_decay(0.5, 0.1) == pytest.approx(0.55)
    assert cosine_decay(1, 0.1) == pytest.approx(0.1)
    assert cosine_decay(2, 0.1) == pytest.approx(0.1)


def test_vocabulary():
    vocabulary = Vocabulary.of("hello\U0001f600é")
    assert vocabulary.characters == "ehloé\U0001f600"
    ids = vocabulary.encode("\U0001f600hé")
    assert ids.tolist() == [5, 1, 4]
    assert vocabulary.decode(ids) == "\U0001f600hé"
    assert vocabulary.encode("").size == 0
    with pytest.raises(AppError, match="'x', 'ÿ'"):
        vocabulary.encode("oÿx")


def test_streams_are_contiguous():
    ids = np.arange(24)
    streams = Streams(ids, 3)
    assert streams.inputs.shape == streams.targets.shape == (7, 3)
    np.testing.assert_array_equal(streams.inputs[:, 1], np.arange(7, 14))
    np.testing.assert_array_equal(streams.targets, streams.inputs + 1)
    pieces = list(streams.chunks(3))
    assert [len(inputs) for inputs, _ in pieces] == [3, 3, 1]
    assert len(pieces) == streams.count(3)
    for k, whole in enumerate((streams.inputs, streams.targets)):
        np.testing.assert_array_equal(np.concatenate([p[k] for p in pieces]), whole)


@pytest.mark.parametrize(
    ("n", "batch"), [(2, 1), (100, 1), (16 * 80 + 1, 16), (16 * 80, 15), (10**6, 16)]
)
def test_fitting_batch(n, batch):
    assert fitting_batch(n, 16, 10) == batch


def test_split_and_documentation():
    text = python_documentation()
    assert 200_000 < len(text) < 2_000_000
    train, validation = split(np.arange(len(text)))
    assert len(validation) == len(text) // 10
    assert len(train) + len(validation) == len(text)
    paragraphs = text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs)


def test_counting_models_by_hand():
    train = np.array([0, 1, 0, 1, 0, 2])
    inputs, targets = np.array([[0, 1]]), np.array([[1, 1]])
    # After 0 come 1, 1, 2; after 1 comes 0 twice.
    expected = -np.log2([(2 + 0.5) / (3 + 1.5), 0.5 / (2 + 1.5)]).mean()
    assert bigram_bits(train, inputs, targets, 3, 0.5) == pytest.approx(expected)
    expected = -math.log2((2 + 0.5) / (6 + 1.5))
    assert unigram_bits(train, targets, 3, 0.5) == pytest.approx(expected)


def test_draw_follows_the_probabilities():
    rng = np.random.default_rng(0)
    logits = np.log(np.array([0.1, 0.6, 0.3], np.float32))
    counts = np.bincount([draw(logits, 1.0, rng) for _ in range(20_000)])
    np.testing.assert_allclose(counts / 20_000, [0.1, 0.6, 0.3], atol=0.02)
    squares = np.array([0.01, 0.36, 0.09]) / 0.46
    counts = np.bincount([draw(logits, 0.5, rng) for _ in range(20_000)])
    np.testing.assert_allclose(counts / 20_000, squares, atol=0.02)
    with pytest.raises(AppError):
        draw(np.array([0.0, np.nan]), 1.0, rng)


def test_validation_is_the_mean_over_the_text():
    model = CharModel(ModelConfig(5, hidden_size=6, dtype="float64"), rng=0)
    ids = np.random.default_rng(0).integers(0, 5, 41)
    streams = Streams(ids, 2)
    trainer = Trainer(model, streams, streams, TrainOptions(sequence_length=7))
    loss = softmax_cross_entropy(model.predict(streams.inputs)[0], streams.targets)[0]
    assert trainer.validate() == pytest.approx(loss / math.log(2), rel=1e-12)


def test_events_of_a_training():
    model = CharModel(ModelConfig(5, hidden_size=6), rng=0)
    streams = Streams(np.random.default_rng(0).integers(0, 5, 81), 2)
    options = TrainOptions(sequence_length=16, epochs=4, seconds=None)
    events = list(Trainer(model, streams, streams, options).run())
    assert [e.step for e in events] == list(range(1, 13))
    assert [e.characters for e in events[:4]] == [32, 64, 80, 112]
    assert events[2].epoch == 1
    assert [e.last for e in events] == [False] * 11 + [True]
    assert sum(e.due for e in events) == 10
    events = list(Trainer(model, streams, streams, options).run(lambda: True))
    assert len(events) == 1
    assert events[0].last


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(str(path), b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(AppError, match=r"file: No space left on device$"):
            write_atomically(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    link = tmp_path / "link"
    link.symlink_to(path)
    write_atomically(str(link), b"new")
    assert path.read_bytes() == b"new"
    assert link.is_symlink()
