"""The pieces of the commands, each against what it must compute."""

import math
import os

import numpy as np
import pytest

import rnnext
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
from rnnext.app.model import character_model
from rnnext.app.sample import draw
from rnnext.app.trainer import Diverged, Trainer, TrainOptions


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_against_central_differences(cell, layers, dropout):
    model = character_model(7, cell, 5, layers, dropout=dropout, rng=2)
    ids = np.random.default_rng(1).integers(0, 7, (6, 4))
    report = rnnext.check_gradients(model, ids)
    assert report.ok, report


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_chunks_and_steps_are_the_whole(cell, dtype):
    model = character_model(9, cell, 11, 2, dtype, dropout=0.5, rng=0)
    ids = np.random.default_rng(0).integers(0, 9, (12, 3))
    whole, end = model(ids)
    first, state = model(ids[:5])
    second, state = model(ids[5:], state)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(np.array(state[0]), np.array(end[0]))
    stream = model.stream(3)
    for t in range(12):
        np.testing.assert_array_equal(stream.step(ids[t]), whole[t])


def test_forget_gates_start_open():
    biases = [
        character_model(9, "lstm", 8, rng=0).parameters["rnn.bias_ih_l0"],
        rnnext.LSTM(9, 8, rng=0).parameters["bias_ih_l0"],
    ]
    opened = (biases[0] - biases[1]).reshape(4, 8)
    np.testing.assert_allclose(opened, [[0] * 8, [1] * 8, [0] * 8, [0] * 8], atol=1e-6)


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
    model = character_model(5, hidden_size=6, dtype="float64", rng=0)
    ids = np.random.default_rng(0).integers(0, 5, 41)
    streams = Streams(ids, 2)
    trainer = Trainer(model, streams, streams, TrainOptions(sequence_length=7))
    logits, _ = model(streams.inputs)
    loss, _ = rnnext.softmax_cross_entropy(logits, streams.targets)
    assert trainer.validate() == pytest.approx(loss / math.log(2), rel=1e-12)


def test_validation_of_a_model_that_has_diverged():
    model = character_model(5, hidden_size=6, rng=0)
    with model.writable() as parameters:
        for array in parameters.values():
            array *= np.inf
    streams = Streams(np.random.default_rng(0).integers(0, 5, 41), 2)
    with pytest.raises(Diverged, match="not a finite number: lower --learning-rate"):
        Trainer(model, streams, streams, TrainOptions()).validate()


def test_events_of_a_training():
    model = character_model(5, hidden_size=6, rng=0)
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
