"""Ways to start Python: optimised, strict, from odd places, in sub-interpreters.

What is computed and saved is the same in each. `tests/long/run abi` does this for many
versions of Python and NumPy.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnnext
from rnnext import _core

PACKAGE = Path(rnnext.__file__).parent

WORK = """
import hashlib, pathlib, tempfile
import numpy as np, rnnext

rng = np.random.default_rng(5)
layer = rnnext.LSTM(3, 9, num_layers=2, bidirectional=True, rng=1)
y, state, cache = layer.forward(rng.standard_normal((6, 4, 3)).astype(np.float32))
gradients = layer.backward(cache, np.ones_like(y))
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "weights 層.npz")
    rnnext.save(path, layer)
    again = rnnext.load(path)
try:
    again(np.zeros((2, 3)), 1)
except (TypeError, ValueError) as error:
    assert True
    message = str(error)
arrays = [y, *state, *gradients.parameters.values(), *again.parameters.values()]
print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest(), message)
"""


def printed(*options, code=WORK, **environment):
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=300,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | environment,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def expected():
    return printed()


@pytest.mark.parametrize(
    "options",
    [["-O"], ["-OO"], ["-W", "error"], ["-X", "dev", "-W", "error"], ["-I"], ["-bb"]],
    ids="".join,
)
def test_modes(options, expected):
    assert printed(*options) == expected


def installed(folder):
    """A copy of the package in a folder, and the code that finds it there with -S."""
    shutil.copytree(
        PACKAGE, folder / "rnnext", ignore=shutil.ignore_patterns("*.so", "*.pyc")
    )
    shutil.copy2(_core.__file__, folder / "rnnext")
    paths = [str(folder), str(Path(np.__file__).parents[1])]
    return f"import sys; sys.path[:0] = {paths!r}\n"


def work_in(folder):
    there = f"\nassert rnnext.__file__.startswith({str(folder)!r}), rnnext.__file__"
    return installed(folder) + WORK + there


def test_path_with_spaces_and_other_letters(tmp_path, expected):
    folder = tmp_path / "späte Wörter 層 'quoted'"
    folder.mkdir()
    assert printed("-S", "-W", "error", code=work_in(folder)) == expected


def test_folder_that_cannot_be_written(tmp_path, expected):
    folder = tmp_path / "site"
    folder.mkdir()
    code = work_in(folder)
    entries = sorted(folder.rglob("*"))
    for path in [folder, *entries]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert printed("-S", code=code, PYTHONDONTWRITEBYTECODE="1") == expected
        assert sorted(folder.rglob("*")) == entries
    finally:
        for path in [folder, *entries]:
            path.chmod(0o755)


# `path` finds the package: in an isolated one the finder of an editable installation
# could not start its build.
SUB = """
try:
    import _interpreters as module  # Python 3.13
    id = module.create({kind!r})
except ImportError:
    import _xxsubinterpreters as module
    id = module.create(isolated={kind!r} == "isolated")
{first}
code = {path!r} + '''
import os
try:
    import {name}
    os.write(1, b"works")
except ImportError as error:
    os.write(1, ("ImportError: " + str(error)).encode())
'''
assert module.run_string(id, code) is None
module.destroy(id)
import numpy as np, rnnext
rnnext.GRU(2, 3, rng=0)(np.ones((4, 1, 2), np.float32))
"""


@pytest.mark.parametrize("first", ["", "import rnnext"], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["legacy", "isolated"])
@pytest.mark.parametrize("name", ["rnnext", "rnnext._core"])
def test_sub_interpreter(tmp_path, name, kind, first):
    """An ImportError that says why, not a crash; the main interpreter goes on."""
    if sys.version_info < (3, 13):
        pytest.importorskip("_xxsubinterpreters")
    path = installed(tmp_path)
    code = path + SUB.format(name=name, kind=kind, first=first, path=path)
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,  # it used to wait for itself
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-2000:])
    assert done.stdout.startswith("ImportError: ")
