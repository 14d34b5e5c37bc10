"""Tasks of the developers. `nox -s lint` checks everything that needs no build."""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint"]

CXX = ("cpp/**/*.cpp", "cpp/**/*.hpp")


def cxx_files() -> list[str]:
    return sorted(str(path) for pattern in CXX for path in Path().glob(pattern))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, clang-format and mypy; `nox -s lint -- fix` mends what can be mended."""
    session.install("ruff", "clang-format==23.1.5", "mypy", "numpy>=2.0")
    fix = "fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")
    style = ["-i"] if fix else ["--dry-run", "--Werror"]
    session.run("clang-format", *style, *cxx_files())
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The package in a fresh environment, and its tests."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The pages in build/docs, every warning an error, and all of their code run."""
    groups = nox.project.load_toml("pyproject.toml")["dependency-groups"]
    session.install(".[test]", *groups["docs"])
    options = ["-qW", "--keep-going", "-d", "build/doctrees"]
    session.run("sphinx-build", *options, "docs", "build/docs")
    session.run("pytest", "tests/test_docs.py", "tests/test_packaging.py")


@nox.session(venv_backend="none")
def cpp(session: nox.Session) -> None:
    """The C++ tests with a preset: `nox -s cpp -- asan` (default: release)."""
    preset = session.posargs[0] if session.posargs else "release"
    session.run("cmake", "--preset", preset, external=True)
    session.run("cmake", "--build", "--preset", preset, external=True)
    session.run("ctest", "--preset", preset, external=True)


@nox.session(venv_backend="none")
def clean(session: nox.Session) -> None:
    """Remove what builds left."""
    for name in ("build", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache"):
        shutil.rmtree(name, ignore_errors=True)
