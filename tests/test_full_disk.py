"""A disk that fails while files are written: nothing that was saved is lost."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import rnnext
from rnnext import files
from rnnext.app import checkpoint as checkpoints
from rnnext.app.checkpoint import Checkpoint
from rnnext.app.errors import AppError

FAULTS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS]


class Disk:
    """`os` and `tempfile` as `rnnext.files` sees them; the n-th access fails."""

    def __init__(self, at, error):
        self.at, self.error, self.taken = at, error, 0

    def access(self):
        self.taken += 1
        if self.taken == self.at:
            raise OSError(self.error, os.strerror(self.error))

    def failing(self, function):
        def call(*arguments, **options):
            self.access()
            return function(*arguments, **options)

        return call

    def fdopen(self, handle, mode):
        file = os.fdopen(handle, mode, buffering=0)
        return _File(self, file)

    def __getattr__(self, name):
        found = getattr(os, name)
        return self.failing(found) if name in ("fsync", "chmod", "replace") else found

    def mkstemp(self, **options):
        self.access()
        return tempfile.mkstemp(**options)


class _File:
    """Writes half of what it is given, then the rest."""

    def __init__(self, disk, file):
        self.disk, self.file = disk, file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        for part in (content[: len(content) // 2], content[len(content) // 2 :]):
            self.disk.access()
            self.file.write(part)

    def flush(self):
        self.disk.access()

    def fileno(self):
        return self.file.fileno()


def what_fails(action):
    try:
        action()
    except (AppError, OSError) as failed:
        return failed
    return None


def failing_in_turn(monkeypatch, write, error):
    """Call `write` with its first access failing, its second ...; their number."""
    n = 0
    while True:
        n += 1
        disk = Disk(n, error)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", disk)
            patch.setattr(files, "tempfile", disk)
            failed = write()
        if disk.taken < n:
            assert failed is None
            return n - 1
        assert failed is not None, n
        assert os.strerror(error) in str(failed)


def checkpoint(step):
    parts = {"trainer": {"progress": 0.5, "step": step, "seconds": 1.0}}
    return Checkpoint({"text": "a"}, parts, {"trainer.w": np.full(9, float(step))})


@pytest.mark.parametrize("error", FAULTS)
def test_checkpoints(tmp_path, monkeypatch, error):
    path = tmp_path / "c.npz"
    checkpoint(1).write(str(path))
    before = path.read_bytes()

    def write():
        failed = what_fails(lambda: checkpoint(2).write(str(path)))
        if failed is not None:
            assert isinstance(failed, AppError)
            assert str(failed).startswith(f"cannot write {path}: ")
            assert path.read_bytes() == before
            assert os.listdir(tmp_path) == ["c.npz"]
        return failed

    assert failing_in_turn(monkeypatch, write, error) >= 7
    found = Checkpoint.read(str(path))
    assert found.step == 2
    assert (found.arrays["trainer.w"] == 2).all()


@pytest.mark.parametrize("name", ["m.npz", "m.safetensors"])
@pytest.mark.parametrize("error", FAULTS)
def test_models(tmp_path, monkeypatch, name, error):
    path, model = tmp_path / name, rnnext.GRU(3, 4, rng=0)
    rnnext.save(path, rnnext.GRU(3, 4, rng=1))
    before = path.read_bytes()

    def write():
        failed = what_fails(lambda: rnnext.save(path, model))
        if failed is not None:
            assert failed.errno == error
            assert path.read_bytes() == before
            assert os.listdir(tmp_path) == [name]
        return failed

    assert failing_in_turn(monkeypatch, write, error) >= 7
    found = rnnext.load(path)
    for key, array in model.parameters.items():
        assert (found.parameters[key] == array).all()


def test_training_tells_what_it_could_not_save(tmp_path, monkeypatch, capsys):
    """The training goes on, with the last checkpoint as it was."""
    path, told = tmp_path / "c.npz", []
    checkpoint(1).write(str(path))
    before = path.read_bytes()

    class Part:
        def state_dict(self):
            return {"progress": 0.6, "step": 2, "seconds": 1.0}, {}

    class Event:
        step, seconds, last = 2, 1.0, False

    saver = checkpoints.Saver(
        str(path), {}, {"trainer": Part()}, steps=1, seconds=0, tell=told.append
    )
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", Disk(3, errno.ENOSPC))
        saver.after(Event())
    assert path.read_bytes() == before
    full = os.strerror(errno.ENOSPC)
    assert told == [f"no checkpoint of step 2: cannot write {path}: {full}"]
    saver.after(Event())
    assert Checkpoint.read(str(path)).step == 2


FULL = """
import builtins, errno, os, sys
from rnnext import files
from rnnext.app.cli import main

after, taken = int(sys.argv.pop(1)), 0
fsync = os.fsync

class Full:
    def __getattr__(self, name):
        return getattr(os, name)
    def fsync(self, handle):
        global taken
        taken += 1
        if taken > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

files.os = Full()
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("after", [1, 5])
def test_a_disk_that_fills_up_during_a_training(tmp_path, after):
    """One clear line, what was saved stays; with room it goes on to the same bits."""
    text = tmp_path / "words.txt"
    text.write_text("".join(f"{i * i} is {i} times {i}. " for i in range(150)))
    options = ["--epochs", "1", "--hidden-size", "8", "--batch-size", "4"]
    options += ["--sequence-length", "16", "--threads", "1"]

    def train(folder, *more, program=("-m", "rnnext")):
        folder.mkdir(exist_ok=True)
        places = ["--out", folder / "m.npz", "--checkpoint", folder / "c.npz"]
        argv = [sys.executable, *program, "train", text, *places, *options, *more]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120)

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert train(whole).returncode == 0
    every = ["--checkpoint-steps", "1"]
    done = train(cut, *every, program=("-c", FULL, str(after)))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("rnnext: error: cannot write ")
    assert last.endswith(os.strerror(errno.ENOSPC))
    left = {path.name for path in cut.iterdir()}
    assert left <= {"c.npz", "m.npz"}  # and nothing half written
    if "c.npz" in left:
        assert not Checkpoint.read(str(cut / "c.npz")).finished
    if "m.npz" in left:
        assert rnnext.load(Path(cut, "m.npz")) is not None
    assert train(cut, "--resume").returncode == 0
    assert (cut / "m.npz").read_bytes() == (whole / "m.npz").read_bytes()
