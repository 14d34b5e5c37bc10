"""Commands and ranks in rare places: threads, other systems, no memory, no topics."""

import errno
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

import rnnext
from rnnext.app import cli, data, files, fit, gates, info, modelfile
from rnnext.app.checkpoint import Checkpoint
from rnnext.app.errors import AppError
from rnnext.app.interrupt import interruptible


def in_a_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def test_a_thread_is_not_interrupted():
    """Only the main thread may have handlers: another goes without."""

    def came():
        with interruptible() as stopped:
            return stopped()

    assert in_a_thread(came) is False


def test_a_command_without_memory(monkeypatch, capsys):
    def installation():
        raise MemoryError

    monkeypatch.setattr(info, "installation", installation)
    assert cli.main(["info"]) == 2
    assert capsys.readouterr().err.endswith("not enough memory: choose smaller sizes\n")


def test_a_number_that_is_none(capsys):
    assert cli.main(["train", "--learning-rate", "fast"]) == 2
    assert "expected a number above 0, got 'fast'" in capsys.readouterr().err


def test_a_python_without_its_documentation(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(
        AppError, match="installed without pydoc_data: name a text file"
    ):
        data.python_documentation()


def test_a_folder_is_no_place_to_write_to(tmp_path):
    with pytest.raises(AppError, match="not a regular file"):
        files.check_writable(str(tmp_path))


def test_cpus_of_a_system_that_binds_no_process(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert info._cpus() == 5
    assert _ranks()._cores._cpus() == set(range(5))


def _ranks():
    return pytest.importorskip("rnnext.distributed", exc_type=ImportError)


def test_a_thread_is_not_told_of_the_end():
    ending = _ranks()._ending

    def entered():
        with ending.told_when_ended(lambda: None):
            return True

    assert in_a_thread(entered)


class Recorder:
    """A communicator that only notes how the job was ended."""

    def Abort(self, code):
        self.code = code


def test_what_a_rank_says_before_it_ends_the_job(capsys):
    workers = _ranks().Workers(last_words="the checkpoint is whole")
    workers.comm, workers.rank, workers.size = Recorder(), 1, 2
    with pytest.raises(SystemExit, match="3"):
        workers.abort("a mistake\n", 3)
    assert workers.comm.code == 3
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "a mistake"
    assert said[1].startswith("(rank 1 of 2 on ")
    assert said[2] == "the checkpoint is whole"


def test_an_exception_of_one_of_several_ranks_ends_the_job(capsys):
    workers = _ranks().Workers()
    workers.comm, workers.size = Recorder(), 2
    with pytest.raises(SystemExit, match="1"):
        workers.__exit__(ValueError, ValueError("wrong"), None)
    assert workers.comm.code == 1
    assert "ValueError: wrong" in capsys.readouterr().err


def test_ranks_validate_when_the_first_does():
    """Else the first would wait for them for ever."""
    events = [
        SimpleNamespace(due=due, last=last)
        for due, last in [(False, False), (True, False), (False, True)]
    ]
    done = []
    trainer = SimpleNamespace(
        run=lambda stopped: events, validate=lambda: done.append("validated")
    )
    saver = SimpleNamespace(restore=done.append, after=lambda event: done.append(event))
    rank = SimpleNamespace(trainer=trainer, _saver=lambda *arguments: saver)
    fit.Fit._follow(rank, None, "found", lambda: False)
    expected = ["found", events[0], "validated", events[1], events[2], "validated"]
    assert done == expected


def test_plots_of_chosen_units():
    plot = pytest.importorskip("rnnext.plot", exc_type=ImportError)
    assert plot._units(slice(1, 2), 3) == slice(1, 2)
    assert plot._units([1, -1], 3).tolist() == [1, -1]
    for wrong, words in (([], "a slice, or a list"), ([3], "expected -H to H-1=2")):
        with pytest.raises(ValueError, match=words):
            plot._units(np.array(wrong, int), 3)


def test_a_model_of_another_kind_predicts_no_characters():
    other = rnnext.Sequential(rnnext.GRU(2, 3, rng=0), rnnext.Linear(3, 2, rng=0))
    assert not files._predicts_characters(other)
    assert not files._predicts_characters(rnnext.GRU(2, 3, rng=0))


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(AppError, match=r"cannot read .*: Is a directory"):
        Checkpoint.read(str(tmp_path))


def test_a_disk_that_fails_within_a_model(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    path = tmp_path / "m.npz"
    rnnext.save(path, rnnext.GRU(2, 3, rng=0))
    monkeypatch.setattr(modelfile, "_own", fail)
    with pytest.raises(AppError, match=r"cannot read .*m\.npz: Input/output error"):
        modelfile.read(str(path))


def test_what_the_library_refuses_names_the_option():
    def refuse():
        raise ValueError("expected more")

    with pytest.raises(AppError, match="argument --hidden-size: expected more"):
        fit.attempt("--hidden-size", refuse)


def test_no_gate_of_no_step_is_saturated():
    assert gates._saturated(np.zeros(0), None) is None


class Transposed:
    """A model whose parameter lies by columns."""

    def __init__(self):
        self.array = np.asfortranarray(np.arange(6.0).reshape(2, 3))

    @contextmanager
    def writable(self):
        yield {"w": self.array}


def test_parameters_by_columns_are_shared():
    model = Transposed()
    with _ranks().Workers() as workers:
        workers.broadcast(model)
    assert np.array_equal(model.array, np.arange(6.0).reshape(2, 3))
