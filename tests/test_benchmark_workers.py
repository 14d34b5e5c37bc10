"""How benchmarks/compare.py asks the libraries, each in a process of its own."""

import math
import os
import signal

import measure
import numpy as np
import pytest
import worker
from cases import Case
from peers import OURS

SMALL = Case("inference", "lstm", (7, 10, 3, 5))


@pytest.fixture
def library():
    made = worker.Library(OURS, 1)
    yield made
    made.close()


def ask(library, *question, patience=60):
    library.ask(*question)
    return library.answer(patience)


def test_what_a_library_reads_at_import_stays_with_it(library, monkeypatch):
    """A test that ran after this one once found threads that nobody had asked for."""
    monkeypatch.delenv("RNNEXT_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)
    ask(library, "prepare", SMALL)
    assert dict(os.environ) == before


def test_a_library_answers(library):
    numbers = ask(library, "prepare", SMALL)
    assert all(np.isfinite(part).all() for part in numbers)
    assert ask(library, "choose") == "call"
    assert 0 < ask(library, "time", 0.001) < 10
    assert 0 <= ask(library, "meeting") < 1


def test_an_error_in_a_library_is_an_answer(library):
    wrong = Case("inference", "lstm", (-7, 10, 3, 5))
    assert "ValueError" in ask(library, "prepare", wrong).reason
    assert isinstance(ask(library, "prepare", SMALL), list)


def test_a_library_that_dies_starts_anew(library):
    ask(library, "prepare", SMALL)
    os.kill(library._process.pid, signal.SIGKILL)
    assert ask(library, "time", 0.001).reason == "died with exit code -9"
    assert isinstance(ask(library, "prepare", SMALL), list)


def test_a_library_that_is_silent_is_ended(library):
    ask(library, "prepare", SMALL)
    os.kill(library._process.pid, signal.SIGSTOP)
    assert ask(library, "time", 0.001, patience=0.2).reason == "no answer in 0 s"
    assert isinstance(ask(library, "prepare", SMALL), list)


class Scripted:
    """A library that answers as it is told."""

    def __init__(self, name, answers):
        self.name, self.answers, self.question = name, answers, None

    def ask(self, *question):
        self.question = question[0]

    def answer(self):
        answer = self.answers[self.question]
        return answer.pop(0) if self.question == "time" else answer


def scripted(name, times, numbers=None):
    numbers = [np.ones(3)] if numbers is None else numbers
    answers = {"prepare": numbers, "choose": "call", "time": times}
    return {name: Scripted(name, answers)}


class Meetings(Scripted):
    """Answers how long meetings of two threads take."""

    threads = 2

    def __init__(self, meetings):
        super().__init__(OURS, list(meetings))

    def answer(self):
        return self.answers.pop(0)


NEAR, APART = 1e-7, 4e-7


def always_near():
    return measure.Nearness(Meetings([NEAR] * 100), NEAR)


def test_medians_of_rounds_and_gaps():
    libraries = {
        **scripted(OURS, [2e-6, 9e-6, 1e-6, 3e-6, 2e-6]),
        **scripted("torch", [5e-6, worker.Failure("died with exit code -11")]),
        **scripted("jax", [4e-6] * 5, [np.array([1.0, 1.0, 1.1])]),
        **scripted("openvino", [6e-6, 7e-6, 8e-6, 6e-6, 6e-6]),
    }
    result = measure.compare(SMALL, libraries, 5, 0.01, always_near())
    assert result.seconds == {OURS: 2e-6, "openvino": 6e-6}
    assert result.missing == {
        "torch": "died with exit code -11",
        "jax": "computes something else",
    }
    assert result.ratio == pytest.approx(3)


def test_bursts_while_the_cpus_are_apart_are_made_again(monkeypatch):
    monkeypatch.setattr(measure, "LOOK_SECONDS", 0.0)
    meetings = Meetings([APART, NEAR, APART, NEAR, NEAR, NEAR, NEAR])
    near = measure.Nearness(meetings, NEAR)
    libraries = scripted(OURS, [9e-6, 1e-6]) | scripted("torch", [5e-6])
    result = measure.compare(SMALL, libraries, 1, 0.01, near)
    assert result.seconds == {OURS: 1e-6, "torch": 5e-6}
    assert result.unsure == 0
    assert not meetings.answers


def test_cpus_that_stay_apart_are_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(measure, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(measure, "APART_SECONDS", 0.01)
    near = measure.Nearness(Meetings([APART] * 100), NEAR)
    libraries = scripted(OURS, [1e-6] * 3) | scripted("torch", [5e-6] * 3)
    result = measure.compare(SMALL, libraries, 3, 0.01, near)
    assert result.seconds == {OURS: 1e-6, "torch": 5e-6}
    assert result.unsure == 6


def test_nearness_is_that_of_the_shortest_meeting():
    failure = worker.Failure("died with exit code -9")
    library = Meetings([3e-7, 4.1e-7, 1e-7, 1.9e-7, 2.1e-7, failure])
    near = measure.Nearness(library, 2e-7)
    assert [near.apart() for _ in range(6)] == [False, True, False, False, True, False]
    library.threads = 1
    assert not near.apart()


def test_libraries_are_not_asked_what_they_cannot():
    libraries = scripted(OURS, [1e-6]) | scripted("onnxruntime", [])
    training = Case("training", "rnn", SMALL.shape)
    result = measure.compare(training, libraries, 1, 0.01, always_near())
    assert list(result.seconds) == [OURS]
    assert result.missing == {}


def test_fingerprints():
    y = np.linspace(0, 1, 1000).reshape(10, 100)
    numbers = worker.fingerprint([y, y[0]])
    assert [len(part) for part in numbers] == [64, 64]
    assert worker.alike(worker.fingerprint([y + 1e-9, y[0]]), numbers, "float64")
    assert not worker.alike(worker.fingerprint([y + 1e-5, y[0]]), numbers, "float64")
    assert worker.alike(worker.fingerprint([y + 1e-5, y[0]]), numbers, "float32")
    assert not worker.alike(worker.fingerprint([y + 0.01, y[0]]), numbers, "float32")
    assert not worker.alike(
        worker.fingerprint([y * math.nan, y[0]]), numbers, "float32"
    )
