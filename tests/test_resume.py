"""Trainings that end before their time, and go on to the same bits."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_app import pattern
from test_distributed import mpiexec

import rnnext
from rnnext.app import checkpoint as checkpoints
from rnnext.app.checkpoint import Checkpoint
from rnnext.app.cli import main

OPTIONS = ["--epochs", "3", "--cell", "gru", "--layers", "2", "--hidden-size", "12"]
OPTIONS += ["--batch-size", "4", "--sequence-length", "16", "--threads", "1"]
EVERY_STEP = ["--checkpoint-steps", "1"]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text(pattern(3000))
    return str(path)


@pytest.fixture(scope="module")
def whole(text, tmp_path_factory):
    """The model file and the loss curve of a training that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole") / "m.safetensors"
    assert main(["train", text, "--out", str(out), *OPTIONS]) == 0
    return out.read_bytes(), out.with_suffix(".png").read_bytes()


def command(text, folder, *options):
    places = ["--out", str(folder / "m.safetensors")]
    places += ["--checkpoint", str(folder / "c.npz")]
    return ["train", text, *places, *OPTIONS, *options]


def start(*argv, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "rnnext", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def wait_for_checkpoints(process, path, number):
    """Return when the file has been replaced so often, or the process has ended."""
    seen = set()
    while len(seen) < number and process.poll() is None:
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        time.sleep(0.0005)


def test_killed_again_and_again(text, whole, tmp_path):
    path, rng, kills = tmp_path / "c.npz", random.Random(), 0
    for _ in range(4):
        process = start(*command(text, tmp_path, "--resume", *EVERY_STEP))
        wait_for_checkpoints(process, path, rng.randint(2, 12))
        time.sleep(rng.uniform(0, 0.01))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert Checkpoint.read(str(path)) is not None
    assert kills == 4
    assert not Checkpoint.read(str(path)).finished
    assert main(command(text, tmp_path, "--resume")) == 0
    assert (tmp_path / "m.safetensors").read_bytes() == whole[0]
    assert (tmp_path / "m.png").read_bytes() == whole[1]
    assert Checkpoint.read(str(path)).finished


def test_ctrl_c_and_on(text, whole, tmp_path, capsys):
    process = start(*command(text, tmp_path, *EVERY_STEP))
    wait_for_checkpoints(process, tmp_path / "c.npz", 3)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command with --resume goes on from there" in printed
    step = Checkpoint.read(str(tmp_path / "c.npz")).step
    assert main(command(text, tmp_path, "--resume")) == 0
    assert f"note: going on from step {step} of " in capsys.readouterr().err
    assert (tmp_path / "m.safetensors").read_bytes() == whole[0]


def test_a_finished_training_has_nothing_left_to_do(text, whole, tmp_path, capsys):
    assert main(command(text, tmp_path, *EVERY_STEP)) == 0
    first = (tmp_path / "c.npz").read_bytes()
    (tmp_path / "m.safetensors").unlink()
    (tmp_path / "m.png").unlink()
    assert main(command(text, tmp_path, "--resume")) == 0
    assert (tmp_path / "m.safetensors").read_bytes() == whole[0]
    assert (tmp_path / "m.png").read_bytes() == whole[1]
    assert (tmp_path / "c.npz").read_bytes() == first
    assert main(command(text, tmp_path, "--seed", "1")) == 0  # a new one may begin
    assert (tmp_path / "c.npz").read_bytes() != first


def test_a_full_disk_loses_nothing(text, whole, tmp_path, monkeypatch, capsys):
    process = start(*command(text, tmp_path, *EVERY_STEP))
    path = tmp_path / "c.npz"
    wait_for_checkpoints(process, path, 3)
    process.kill()
    process.communicate()
    before = path.read_bytes()
    small = len(before) // 2  # a model file fits, a checkpoint does not
    assert len(whole[0]) < small

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (small, small))

    step = Checkpoint.read(str(path)).step
    process = start(
        *command(text, tmp_path, "--resume", "--checkpoint-steps", "50"),
        preexec_fn=full,
    )
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert f"cannot write {path}: {os.strerror(errno.EFBIG)}" in told
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["c.npz", "m.safetensors"]
    assert (tmp_path / "m.safetensors").read_bytes() == whole[0]
    assert Checkpoint.read(str(path)).step == step


def test_the_time_of_the_first_part_counts(text, tmp_path, monkeypatch):
    unlimited = ["--seconds", "1000"]
    argv = [*command(text, tmp_path, *EVERY_STEP), *unlimited]
    argv = argv[: argv.index("--epochs")] + argv[argv.index("--epochs") + 2 :]
    process = start(*argv)
    wait_for_checkpoints(process, tmp_path / "c.npz", 3)
    process.kill()
    process.communicate()
    found = Checkpoint.read(str(tmp_path / "c.npz"))
    found.parts["trainer"]["seconds"] = 999.999
    found.write(str(tmp_path / "c.npz"))
    assert main([*argv, "--resume"]) == 0
    found = Checkpoint.read(str(tmp_path / "c.npz"))
    assert found.finished
    assert 1000 <= found.parts["trainer"]["seconds"] < 1100


# Several ranks


def children(process):
    """The processes that a process has started."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def ranks(number, text, folder, *options):
    return mpiexec(
        number, "-m", "rnnext", *command(text, folder, "--distributed", *options)
    )


@pytest.fixture(scope="module")
def whole_of_two(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    done = ranks(2, text, folder)
    assert done.returncode == 0, done.stderr
    assert "on each of 2 ranks" in done.stdout
    assert done.stdout.count("sample from it") == 1
    return (folder / "m.safetensors").read_bytes()


def test_two_ranks_train_as_one_does(text, tmp_path):
    exact = ["--dropout", "0", "--dtype", "float64"]
    one, two = tmp_path / "1", tmp_path / "2"
    one.mkdir()
    two.mkdir()
    assert main(command(text, one, *exact)) == 0
    assert ranks(2, text, two, *exact).returncode == 0
    curves = [
        np.array(Checkpoint.read(str(folder / "c.npz")).parts["report"]["train"])
        for folder in (one, two)
    ]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-9)
    models = [rnnext.load(folder / "m.safetensors") for folder in (one, two)]
    for name, array in models[0].parameters.items():
        np.testing.assert_allclose(models[1].parameters[name], array, atol=1e-8)


def test_a_rank_that_is_killed_and_a_job_that_goes_on(text, whole_of_two, tmp_path):
    argv = command(text, tmp_path, "--distributed", *EVERY_STEP)
    options = ["--allow-run-as-root", "--oversubscribe", "-n", "2", sys.executable]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("mpiexec"), *options, "-m", "rnnext", *argv],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = tmp_path / "c.npz"
    wait_for_checkpoints(process, path, random.Random().randint(2, 12))
    os.kill(children(process)[1], signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert "signal 9" in told
    assert f"the checkpoint {path} is of step" in told
    assert checkpoints.GO_ON in told
    assert not Checkpoint.read(str(path)).finished

    fewer = tmp_path / "fewer"
    fewer.mkdir()
    (fewer / "c.npz").write_bytes(path.read_bytes())
    done = ranks(2, text, tmp_path, "--resume")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.safetensors").read_bytes() == whole_of_two
    assert main(command(text, fewer, "--resume")) == 0  # one rank may go on, too
    assert Checkpoint.read(str(fewer / "c.npz")).finished


def test_a_mistake_is_told_once(text, tmp_path):
    done = ranks(2, text, tmp_path, "--batch-size", "1")
    assert done.returncode == 2
    (told,) = [line for line in done.stderr.splitlines() if "rnnext: error" in line]
    assert told.endswith("--batch-size: 1 streams of this text do not go round 2 ranks")
    done = ranks(2, text + "x", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count(f"rnnext: error: cannot read {text}x: No such file") == 1


# Mistakes


def refused(capsys, *argv):
    assert main(argv) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1, told
    return told[0].removeprefix("rnnext: error: ")


@pytest.fixture(scope="module")
def unfinished(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unfinished")
    assert main(command(text, folder)) == 0
    found = Checkpoint.read(str(folder / "c.npz"))
    found.parts["trainer"]["progress"] = 0.5
    found.write(str(folder / "c.npz"))
    return folder


def test_an_unfinished_training_is_not_overwritten(text, unfinished, capsys):
    before = (unfinished / "c.npz").read_bytes()
    told = refused(capsys, *command(text, unfinished))
    assert "unfinished training" in told
    assert "--resume goes on with it" in told
    assert (unfinished / "c.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epochs", "4"], "argument --epochs: .* with 3, this training is with 4"),
        (["--seconds", "9"], "argument --seconds: .* without, .* with 9.0"),
        (["--hidden-size", "13"], "argument --hidden-size: .* with 12, .* with 13"),
        (["--seed", "5"], "argument --seed: .* with 0, .* with 5"),
    ],
)
def test_another_training_cannot_go_on(text, unfinished, capsys, options, words):
    argv = command(text, unfinished, "--resume", *options)
    assert_matches(words, refused(capsys, *argv))


def assert_matches(words, told):
    with pytest.raises(ValueError, match=words):
        raise ValueError(told)


def test_another_text_cannot_go_on(unfinished, tmp_path, capsys):
    other = tmp_path / "other.txt"
    other.write_text(pattern(3000, seed=7))
    told = refused(capsys, *command(str(other), unfinished, "--resume"))
    assert told.endswith("c.npz is of a training on another text")


def test_files_that_are_no_checkpoints(text, tmp_path, capsys):
    path = tmp_path / "c.npz"
    for content in (b"", b"a text", b"PK\3\4" + bytes(40)):
        path.write_bytes(content)
        for options in ([], ["--resume"]):
            told = refused(capsys, *command(text, tmp_path, *options))
            assert "c.npz is not a checkpoint" in told
        assert path.read_bytes() == content
    np.savez(path, a=np.zeros(3))
    assert "not a checkpoint" in refused(capsys, *command(text, tmp_path))
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    assert "not a checkpoint" in refused(capsys, *command(text, tmp_path))


def test_a_checkpoint_that_lacks_something(text, unfinished, tmp_path, capsys):
    for name, words in (
        ("step", "is not a checkpoint: the trainer's step is missing"),
        ("busy", "is not a checkpoint of this training: KeyError('busy')"),
    ):
        found = Checkpoint.read(str(unfinished / "c.npz"))
        del found.parts["trainer"][name]
        found.write(str(tmp_path / "c.npz"))
        told = refused(capsys, *command(text, tmp_path, "--resume"))
        assert told.endswith(f"c.npz {words}")


def test_a_curve_that_cannot_be_drawn(text, tmp_path, capsys):
    (tmp_path / "m.png").mkdir()
    assert main(command(text, tmp_path)) == 0
    told = capsys.readouterr()
    assert "m.png: " in told.out + told.err
    assert "loss curve: " not in told.out
    assert rnnext.load(tmp_path / "m.safetensors")


def test_places_for_the_checkpoint(text, tmp_path, monkeypatch, capsys):
    argv = ["train", text, *OPTIONS, "--out", str(tmp_path / "m.npz")]
    told = refused(capsys, *argv, "--checkpoint", str(tmp_path / "m.npz"))
    assert told == "argument --checkpoint: expected another file than --out"
    told = refused(capsys, *argv, "--checkpoint", str(tmp_path / "no" / "c.npz"))
    assert "no folder" in told
    assert main([*argv, "--resume"]) == 0
    path = tmp_path / "m.checkpoint.npz"
    assert f"no checkpoint {path} yet: from the beginning" in capsys.readouterr().err
    assert Checkpoint.read(str(path)).finished


def test_ranks_that_would_write_the_same_file(text, monkeypatch, capsys):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    told = refused(capsys, "train", text)
    assert told.startswith("argument --distributed: mpiexec started 2 ranks")


def test_distributed_without_the_extra(text, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rnnext.distributed", None)
    told = refused(capsys, "train", text, "--distributed")
    assert told.startswith("argument --distributed: ")


def test_a_rank_alone_says_what_a_process_says(text, tmp_path, capsys):
    pytest.importorskip("rnnext.distributed", exc_type=ImportError)
    told = refused(capsys, *command(text + "x", tmp_path, "--distributed"))
    assert told.startswith(f"cannot read {text}x: No such file")
