"""``rnnext info``: what this installation is and uses."""

from __future__ import annotations

import argparse
import os
import platform
import re
from importlib import metadata
from typing import Any

import numpy as np

import rnnext

from .output import json_text

NAME = "info"
HELP = "show version, instruction sets, threads and installed extras"
EXAMPLE = "rnnext info\nrnnext info --json"

# Extras for developers.
HIDDEN = ("test", "dev", "docs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``rnnext info`` understands to `parser`."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what this installation is, for people or as JSON.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit code, 0.
    """
    found = installation()
    if arguments.json:
        print(json_text(found))
        return 0
    for name, value in found.items():
        if name != "extras":
            text = ", ".join(value) if isinstance(value, list) else value
            print(f"{name.replace('_', ' ') + ':':16}{text}")
    print("extras:")
    for extra, packages in found["extras"].items():
        there = [f"{name} {version}" for name, version in packages.items() if version]
        lacking = [name for name, version in packages.items() if not version]
        if lacking:
            there.append(f'without {", ".join(lacking)}: pip install "rnnext[{extra}]"')
        print(f"  {extra:14}{'; '.join(there)}")
    return 0


def installation() -> dict[str, Any]:
    """What `rnnext.config` says, and what it runs on.

    Returns
    -------
    dict
        The entries of `rnnext.config`, and ``cpus`` (those of this process), ``python``
        and ``numpy`` (versions), ``platform``, and ``extras``: by extra the versions of
        its packages by name, None where a package is missing.

    Examples
    --------
    >>> installation()["cpus"] >= 1
    True
    """
    return rnnext.config() | {
        "cpus": _cpus(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "extras": extras(),
    }


def extras() -> dict[str, dict[str, str | None]]:
    """The packages of every extra, with the installed version or None.

    Examples
    --------
    >>> sorted(extras()["onnx"])
    ['onnx']
    """
    try:
        requirements = metadata.requires("rnnext") or []
    except metadata.PackageNotFoundError:  # run from a source tree
        return {}
    found: dict[str, dict[str, str | None]] = {}
    for requirement in requirements:
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
        name = re.match(r"[\w.-]+", requirement)
        if extra and name and name[0] != "rnnext" and extra[1] not in HIDDEN:
            found.setdefault(extra[1], {})[name[0]] = _version(name[0])
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
