"""Memory that does not grow, call after call and mistake after mistake."""

import subprocess
import sys
from pathlib import Path

import growth_cases
import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="resident memory as Linux tells it"
)

PROGRAM = Path(growth_cases.__file__)
MOST = 256 << 10  # bytes; one byte kept in every call would be a sixtieth of it


def grown(count, *names):
    """By how many bytes, by name."""
    argv = [sys.executable, PROGRAM, str(count), *names]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rpartition(": ") for line in done.stdout.splitlines()]
    return {name: int(size) for name, _, size in lines}


def test_calls_and_mistakes():
    """What seems to grow is asked again, for longer: the heap itself moves in steps."""
    found = grown(2000)
    assert list(found) == list(growth_cases.CASES)
    suspects = [name for name, size in found.items() if size > MOST]
    if suspects:
        again = grown(8000, *suspects)
        assert not {name: size for name, size in again.items() if size > MOST}


def test_a_leak_is_seen(tmp_path):
    """The measurement itself: a case that keeps 512 bytes of every call."""
    program = PROGRAM.read_text() + "\n"
    leak = (
        'CASES["leak"] = ENTRIES["leak"] = lambda: kept.append(bytes(512))\nkept = []\n'
    )
    start = program.index("\nif __name__")
    path = tmp_path / "leaks.py"
    path.write_text(program[:start] + leak + program[start:])
    argv = [sys.executable, path, "2000", "leak"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True)
    assert int(done.stdout.rpartition(": ")[2]) > MOST
