"""The command line as a whole: help, mistakes, exit codes, info."""

import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli_cases import as_json, printed, refused

import rnnext
from rnnext.app import info
from rnnext.app.cli import COMMANDS, main, parser
from rnnext.app.errors import AppError

NAMES = [command.NAME for command in COMMANDS]


def helped(capsys, *argv):
    with pytest.raises(SystemExit) as ending:
        main([*argv, "--help"])
    assert ending.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_command_and_exit_code(capsys):
    text = helped(capsys)
    for command in COMMANDS:
        assert re.search(rf"^ +{command.NAME} +\w", text, re.M)
    for code in (0, 1, 2, 130):
        assert re.search(rf"\b{code} ", text.split("exit codes:")[1])


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_help_has_examples_that_the_parser_takes(capsys, command):
    text = helped(capsys, command.NAME)
    examples = text.split("examples:\n")[1].split("\n\n")[0].splitlines()
    assert [example.strip() for example in examples] == command.EXAMPLE.splitlines()
    for example in command.EXAMPLE.splitlines():
        program, *argv = shlex.split(example)
        assert program == "rnnext"
        # The help of a command whose other arguments are wrong is never shown.
        helped(capsys, *argv)


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["trian"], "train"),
        (["sefltest"], "selftest"),
        (["train", "--hiden-size", "3"], "--hidden-size"),
        (["bench", "--thread=2"], "--threads"),
        (["train", "--cell", "ltsm"], "lstm"),
        (["info", "--jsn"], "--json"),
        (["inspect", "m.npz", "--inputs", "x.npy"], "--input"),
        (["convert", "a.npz", "b.onnx", "--forse"], "--force"),
        (["convert", "a.npz", "b.onnx", "--to", "pytorch"], "torch"),
    ],
)
def test_a_typo_names_the_nearest(capsys, argv, meant):
    assert f"; did you mean {meant}? (see rnnext " in refused(capsys, *argv)


@pytest.mark.parametrize(
    "argv", [["train", "--json"], ["frob"], ["info", "--colour"], ["info", "more"]]
)
def test_nothing_near_names_nothing(capsys, argv):
    assert "did you mean" not in refused(capsys, *argv)


def test_the_module_is_the_console_script():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="rnnext")
    assert script.load() is main
    command = [sys.executable, "-m", "rnnext", "info", "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout)["version"] == rnnext.__version__


# info


def test_info(capsys):
    found = as_json(capsys, "info")
    assert found.items() >= rnnext.config().items()
    assert 1 <= found["cpus"] <= os.cpu_count()
    text = printed(capsys, "info")
    assert f"version:        {rnnext.__version__}\n" in text
    assert f"available isas: {', '.join(found['available_isas'])}\n" in text
    for extra, packages in found["extras"].items():
        assert re.search(rf"^  {extra} +\S", text, re.M)
        for package, version in packages.items():
            if version:
                assert importlib.metadata.version(package) == version


def test_info_says_how_to_install_what_is_missing(capsys, monkeypatch):
    def version(package):
        if package == "onnx":
            raise importlib.metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(info.metadata, "version", version)
    assert as_json(capsys, "info")["extras"]["onnx"] == {"onnx": None}
    line = 'onnx          without onnx: pip install "rnnext[onnx]"\n'
    assert line in printed(capsys, "info")


def test_info_without_an_installation(capsys, monkeypatch):
    def requires(package):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(info.metadata, "requires", requires)
    assert as_json(capsys, "info")["extras"] == {}


# docs/cli.md

GUIDE = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()


def test_the_guide_has_every_command():
    titles = " ".join(re.findall(r"^## (.*)$", GUIDE, re.M)).split()
    assert set(NAMES) <= set(titles)


@pytest.mark.parametrize(
    ("command", "answer"),
    re.findall(r"^\$ rnnext (.*?)(?: \d?>.*)?\n(.*)$", GUIDE, re.M),
)
def test_commands_of_the_guide(command, answer):
    """The parser takes them, or says what is written there."""
    said = None
    try:
        parser().parse_args(shlex.split(command))
    except AppError as error:
        said = f"rnnext: error: {error}"
    assert said in (None, answer)
