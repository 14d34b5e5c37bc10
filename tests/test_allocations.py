"""Memory that ends at any moment: every allocation of a call is failed in turn."""

import subprocess
import sys
from pathlib import Path

import allocation_cases
import faults
import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="takes the place of libstdc++'s operator new"
)

HERE = Path(__file__).parent
# What the interpreter allocates is much; `tests/long/allocations.py` has all of it.
BY_INTERPRETER = (
    "pack",
    "writable",
    "strided",
    "many",
    "stream",
    "course rnn",
    "dense",
)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return faults.build(tmp_path_factory.mktemp("faults"))


def in_turn(library, mode, threads, names):
    """Run cases in a process of its own; what was failed and what raised, by name."""
    program = HERE / "allocation_cases.py"
    argv = [sys.executable, program, library, mode, str(threads), *names]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = [line.rpartition(": ") for line in done.stdout.splitlines()]
    return {name: [int(n) for n in counts.split()] for name, _, counts in lines}


@pytest.mark.parametrize("mode", ["one", "all"])
def test_every_allocation_fails_in_turn(library, mode):
    """MemoryError, or the right result without; after it the same bits, nothing lost.

    The right result comes of an allocation that is a convenience, as a thread is.
    """
    found = in_turn(library, mode, 2, allocation_cases.CASES)
    assert list(found) == list(allocation_cases.CASES)
    for name, (tried, raised) in found.items():
        assert raised > 0, name
        assert 0 <= tried - raised <= max(1, 0.2 * tried), name


def test_every_allocation_of_the_interpreter_fails_in_turn(library):
    pytest.importorskip("_testcapi")
    found = in_turn(library, "python", 1, BY_INTERPRETER)
    for name, (tried, raised) in found.items():
        assert tried >= raised > 0, name


THREADS = """
import sys
sys.path.insert(0, {here!r})
from faults import Faults
faults = Faults({library!r})
import numpy as np
import rnnext

layer = rnnext.LSTM(64, 96, rng=0)
x = np.random.default_rng(0).standard_normal((6, 24, 64)).astype(np.float32)
rnnext.set_num_threads(1)
def results():
    y, state, cache = layer.forward(x)
    return [y, layer(x)[0], layer.backward(cache, y, state).x]
expected = results()
def check():
    assert all((a == b).all() for a, b in zip(results(), expected))

rnnext.set_num_threads(4)
faults.forbid_threads(1)
check()
faults.forbid_threads(0)
for n in range(1, 60):  # of three threads, none, one, two ...
    rnnext.set_num_threads(2 + n % 15)
    faults.arm(n, n % 2)
    try:
        check()
    except MemoryError:
        pass
    faults.disarm()
    check()
print("alive")
"""


def test_threads_that_cannot_be_started(library):
    script = THREADS.format(here=str(HERE), library=str(library))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")
