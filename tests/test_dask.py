"""The recipes of docs/distributed.md, as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest
from test_distributed import mpiexec

import rnnext

PAGE = Path(__file__).parents[1] / "docs" / "distributed.md"
TRAINING, THREADS, PROCESSES = re.findall(
    r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S
)


@pytest.fixture
def computed(threads):
    """What the first recipe of inference leaves behind."""
    names = {"__name__": "recipe"}
    exec(compile(THREADS, str(PAGE), "exec"), names)
    return names


def test_threads_of_one_host(computed):
    expected, _ = computed["model"](computed["sequences"])
    assert computed["y"].numblocks == (1, 8, 1)
    np.testing.assert_array_equal(computed["result"], expected, strict=True)


def test_processes_and_hosts(computed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = computed.pop("result")
    exec(compile(PROCESSES, str(PAGE), "exec"), computed)
    np.testing.assert_array_equal(computed["result"], expected, strict=True)


def test_the_program_that_trains(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(TRAINING + "    print(workers.size, history.loss[-1])\n")
    losses = []
    for ranks in (1, 2):
        done = mpiexec(ranks, program, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said = sorted(line.split() for line in done.stdout.splitlines())
        assert [int(size) for size, _ in said] == [ranks] * ranks
        assert len({loss for _, loss in said}) == 1
        losses.append(float(said[0][1]))
        assert isinstance(rnnext.load(tmp_path / "model.npz"), rnnext.Sequential)
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
