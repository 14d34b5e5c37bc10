"""The README's examples run in its order and print what it says."""

import contextlib
import io
import re
from itertools import pairwise
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
LINK = re.compile(r"\]\(([^)#]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples():
    """Pairs of code and what it prints; text that follows no code is a command line."""
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    for (kind, code), (next_kind, text) in pairwise([*blocks, ("", "")]):
        if kind == "python":
            yield code, "" if next_kind else text


def test_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code, expected in examples():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, README.name, "exec"), names)
        assert printed.getvalue() == expected


def test_the_first_example_is_on_the_first_screen():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert lines.index("```python") < 12


@pytest.mark.parametrize("path", LINK.findall(README.read_text(encoding="utf-8")))
def test_links(path):
    assert (README.parent / path).exists()
