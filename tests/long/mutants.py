#!/usr/bin/env python3
"""Break the kernels and the core in known ways, one at a time: the tests must notice.

The mutants are in mutants.toml, cheap ones first: a file, its text, the text instead,
what breaks by it, and the smallest part of the tests that should notice. Each is
applied in a copy under build/mutants, built for one instruction set without much
optimisation, and tried with `pytest -x`; --all tries one that survives with all tests
of the core. The table is mutants.md beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "build" / "mutants"
TREE, BUILD, PYTHON = WORK / "tree", WORK / "build", WORK / "venv/bin/python"
# What an installed library computes, as opposed to what is done with it.
ALL = [
    "core",
    "cell_options",
    "core_options",
    "forward",
    "backward",
    "reference",
    "lengths",
    "projection",
    "dropout",
    "tokens",
    "invariants",
    "stepper",
    "directions",
    "edges",
    "errors",
    "layers",
    "course_core",
    "large",
    "course_caches",
    "slabs",
    "training_layers",
]
TIMEOUT = 900  # seconds; a mutant may hang


def run(*command: object, timeout: float = TIMEOUT, **options: object) -> str | None:
    """None where all is well, else the last lines of what was printed."""
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        **options,
    )
    try:
        printed = process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return "hangs"
    return None if process.returncode == 0 else printed[-4000:]


def prepare() -> None:
    """A copy, an environment that sees it and not the installed package, a build."""
    sources = [p for name in ("cpp", "python") for p in (ROOT / name).rglob("*")]
    for path in [ROOT / "CMakeLists.txt", *sources]:
        to = TREE / path.relative_to(ROOT)
        if path.is_dir() or path.suffix in (".so", ".pyc"):
            continue
        if not to.exists() or to.read_bytes() != path.read_bytes():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)  # now: what was built of a mutant is older
    venv.create(WORK / "venv", symlinks=True)
    (packages,) = (WORK / "venv/lib").glob("*/site-packages")
    seen = (TREE / "python", sysconfig.get_path("purelib"))
    (packages / "seen.pth").write_text("".join(f"{path}\n" for path in seen))
    pybind11 = subprocess.check_output(
        [sys.executable, "-m", "pybind11", "--cmakedir"], text=True
    ).strip()
    settings = {
        "RNNEXT_ISAS": ISA,
        "RNNEXT_COMPACT": "ON",
        "RNNEXT_TESTS": "ON",
        "CMAKE_BUILD_TYPE": "Release",
        "pybind11_DIR": pybind11,
        "Python_EXECUTABLE": sys.executable,
    }
    defined = [f"-D{key}={value}" for key, value in settings.items()]
    failed = run("cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", *defined) or build(
        cpp=True
    )
    if failed:
        sys.exit(failed)


def build(*, cpp: bool) -> str | None:
    targets = ["_core", "test_math", "test_pool", "test_gemm"] if cpp else ["_core"]
    failed = run("ninja", "-C", BUILD, "-j1", *targets, timeout=3600)
    if failed:
        return failed
    (extension,) = BUILD.glob("_core*.so")
    shutil.copy2(extension, TREE / "python/rnnext")
    return None


def tried(tests: list[str]) -> str | None:
    """What notices: a failed test's name, "crashes" or "hangs"; None: nothing."""
    for name in [name for name in tests if name.startswith("cpp/")]:
        if run(BUILD / "cpp/tests" / name.removeprefix("cpp/")):
            return name
    files = [name for name in tests if not name.startswith("cpp/")]
    if not files:
        return None
    paths = [
        f"tests/test_{file}.py{'::' if case else ''}{case}"
        for file, _, case in (name.partition("::") for name in files)
        if (ROOT / f"tests/test_{file}.py").exists()
    ]
    printed = run(
        *(PYTHON, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no"),
        *("-p", "no:cacheprovider", "-p", "no:faulthandler", *paths),
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if printed is None or printed == "hangs":
        return printed
    failed = [x for x in printed.splitlines() if x.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0].split(" ", 1)[1] if failed else "crashes"


def killed_by(mutant: dict[str, object]) -> str | None:
    path = TREE / str(mutant["file"])
    text = path.read_text()
    tests = str(mutant["tests"]).split()
    cpp = any(name.startswith("cpp/") for name in tests)
    path.write_text(text.replace(str(mutant["old"]), str(mutant["new"]), 1))
    try:
        if path.suffix != ".py" and (failed := build(cpp=cpp)):
            sys.exit(f"{mutant['breaks']}: does not compile\n{failed}")
        return tried(tests) or (tried(ALL) if WITH_ALL else None)
    finally:
        path.write_text(text)


def check(mutants: list[dict[str, object]]) -> None:
    """Every text is there, and says which place is meant."""
    for m in mutants:
        count = (ROOT / str(m["file"])).read_text().count(str(m["old"]))
        if count != 1:
            sys.exit(f"{m['file']}: {count} places with {m['old']!r}")


HEAD = """\
# Mutants

{killed} of {count} killed, on {isa}. Written by `tests/long/run mutants`.

| file | what is broken | noticed by | seconds |
|---|---|---|--:|
"""


def write(rows: list[tuple[str, str, str | None, float]]) -> None:
    killed = sum(by is not None for _, _, by, _ in rows)
    text = HEAD.format(killed=killed, count=len(rows), isa=ISA)
    for file, breaks, by, seconds in rows:
        found = (
            by.replace("tests/", "").replace("|", "\\|")
            if by
            else "**survives**"
            if seconds
            else "not tried yet"
        )
        text += f"| `{file}` | {breaks} | {found} | {seconds:.0f} |\n"
    OUT.write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="words of what breaks; default: all")
    parser.add_argument(
        "--all", action="store_true", help="try survivors with all tests of the core"
    )
    parser.add_argument("--unchecked", action="store_true", help="not first without")
    parser.add_argument("--known", action="store_true", help="only the table, as known")
    parser.add_argument("--isa", default="avx2", help="instruction set to break")
    parser.add_argument("--again", action="store_true", help="those killed before, too")
    parser.add_argument("--out", type=Path, default=HERE / "mutants.md")
    options = parser.parse_args()
    global ISA, OUT, WITH_ALL
    ISA, OUT, WITH_ALL = options.isa, options.out, options.all
    mutants = tomllib.loads((HERE / "mutants.toml").read_text())["mutant"]
    check(mutants)
    mutants = [
        m
        for m in mutants
        if not options.only or any(word in m["breaks"] for word in options.only)
    ]
    prepare()
    used = {name for m in mutants for name in str(m["tests"]).split()}
    if not options.unchecked and (by := tried(ALL if WITH_ALL else sorted(used))):
        sys.exit(f"fails without any mutant: {by}")
    if not (options.unchecked or options.known):
        print("passes without any mutant", flush=True)
    known = WORK / f"known-{ISA}.json"  # killed before, and since nothing changed
    read_known = known.exists() and not options.again
    kills = json.loads(known.read_text()) if read_known else {}
    rows: list[tuple[str, str, str | None, float]] = []
    for m in mutants:
        start = time.monotonic()
        key = hashlib.sha256(
            json.dumps([m, (ROOT / m["file"]).read_text()]).encode()
        ).hexdigest()
        by, seconds = kills.get(key, (None, 0))
        if not by and not options.known:
            by = killed_by(m)
            seconds = time.monotonic() - start
            print(f"{by or 'SURVIVES'}: {m['breaks']} ({seconds:.0f} s)", flush=True)
        if by:
            kills[key] = by, seconds
            known.write_text(json.dumps(kills))
        rows.append((m["file"], m["breaks"], by, seconds))
        write(rows)
    return any(by is None for _, _, by, _ in rows)


if __name__ == "__main__":
    sys.exit(main())
