"""The command `rnnext selftest`: it passes here, and a fault makes it fail."""

import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from cli_cases import as_json, printed

import rnnext
from rnnext.app import checks, selftest
from rnnext.app.cli import main

ISAS = rnnext.config()["available_isas"]


def test_this_installation_passes(capsys):
    found = as_json(capsys, "selftest")
    assert found["ok"]
    assert all(check["ok"] for check in found["checks"])
    done = {(check["isa"], check["name"]) for check in found["checks"]}
    assert done >= {(isa, name) for isa in ISAS for name in checks.CHECKS}


def test_a_line_for_each_check(capsys, monkeypatch):
    monkeypatch.setattr(selftest, "_check", fake())
    *lines, last = printed(capsys, "selftest").splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert last.startswith(f"{len(lines)} checks in ")
    assert last.endswith(": all ok")


def fake(isa_that_fails=None, digest="same"):
    def check(isa, keep, digests):
        for name in checks.CHECKS:
            keep(selftest.Result(isa, name, isa != isa_that_fails, "why", 0.0))
        digests[isa] = isa if digest == "different" else digest

    return check


def test_a_check_that_fails(capsys, monkeypatch):
    monkeypatch.setattr(selftest, "_check", fake(isa_that_fails=ISAS[-1]))
    text = printed(capsys, "selftest", code=1)
    assert text.count("FAILED ") == len(checks.CHECKS)
    assert text.splitlines()[-1].endswith(f": {len(checks.CHECKS)} FAILED")
    assert as_json(capsys, "selftest", code=1)["ok"] is False


@pytest.mark.parametrize("isas", [["avx512", "avx2", "baseline"], ["neon"]])
def test_instruction_sets_that_differ(capsys, monkeypatch, isas):
    config = rnnext.config() | {"available_isas": isas}
    monkeypatch.setattr(selftest.rnnext, "config", lambda: config)
    monkeypatch.setattr(selftest, "_check", fake(digest="different"))
    several = len(isas) > 1
    found = as_json(capsys, "selftest", code=1 if several else 0)
    failed = [check["isa"] for check in found["checks"] if not check["ok"]]
    assert failed == ["avx512+avx2"] * several


def test_a_process_that_dies(capsys, monkeypatch):
    """An unknown instruction set ends the import."""
    config = rnnext.config() | {"available_isas": ["sse9"]}
    monkeypatch.setattr(selftest.rnnext, "config", lambda: config)
    found = as_json(capsys, "selftest", code=1)["checks"]
    assert [check["name"] for check in found] == list(checks.CHECKS)
    for check in found:
        assert "the process ended early: " in check["detail"]
        assert "sse9" in check["detail"]


# The checks themselves notice what is wrong.


class Wrong(rnnext.GRU):
    """A GRU whose outputs are a little off in all but the first sequence."""

    error = 1e-4

    def __call__(self, x, *arguments, **options):
        y, state = super().__call__(x, *arguments, **options)
        y[:, 1:] += y.dtype.type(self.error)
        return y, state


class WrongBackward(rnnext.GRU):
    """A GRU with a wrong gradient."""

    def backward(self, *arguments, **options):
        found = super().backward(*arguments, **options)
        found.parameters["bias_hh_l0"] += 1e-3
        return found


class ByThreads(rnnext.GRU):
    """A GRU whose outputs depend on the number of threads."""

    def forward(self, x, *arguments, **options):
        y, *rest = super().forward(x, *arguments, **options)
        return y + np.float32(rnnext.get_num_threads() > 1), *rest


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        ("forward", Wrong),
        ("bits by batch", Wrong),
        ("bits by chunks", Wrong),
        ("bits by threads", ByThreads),
        ("gradients", WrongBackward),
    ],
)
def test_a_fault_is_found(monkeypatch, check, kind):
    monkeypatch.setitem(checks.KINDS, "GRU", (kind, {}))
    with pytest.raises(checks.Failed, match="GRU"):
        checks.CHECKS[check]()


def test_the_lines_of_a_process(capsys, monkeypatch):
    def failing():
        raise checks.Failed("GRU is off")

    monkeypatch.setattr(checks, "CHECKS", {"a": lambda: "fine", "b": failing})
    checks.main()
    *lines, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(line["ok"], line["detail"]) for line in lines] == [
        (True, "fine"),
        (False, "GRU is off"),
    ]
    assert last == {"digest": checks.digest()}


def test_a_bar_on_a_terminal():
    code = (
        "import sys\nfrom rnnext.app import selftest\nfrom rnnext.app.cli import main\n"
        "def check(isa, keep, digests):\n"
        "    keep(selftest.Result(isa, 'forward', True, 'why', 0.0))\n"
        "    digests[isa] = ''\n"
        "selftest._check = check\nsys.exit(main(['selftest']))"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # how Linux says that the other end has gone
        pass
    os.close(ours)
    lines = process.communicate(timeout=30)[0].decode().splitlines()
    assert process.returncode == 0
    assert b"check" in shown
    assert [line for line in lines if line.startswith("ok ")]


def test_ctrl_c_ends_it(capsys, monkeypatch):
    def check(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(selftest, "_check", check)
    assert main(["selftest"]) == 130
    assert capsys.readouterr().err == "\nrnnext: interrupted\n"
