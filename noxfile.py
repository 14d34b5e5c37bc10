#!/usr/bin/env -S uv run --script

# /// script
# dependencies = ["nox>=2025.2.9"]
# ///

"""Tasks of the developers. `nox -s lint` checks everything that needs no build."""

import shlex
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CXX = ("cpp/**/*.cpp", "cpp/**/*.hpp")


def cxx_files() -> list[str]:
    return sorted(str(path) for pattern in CXX for path in Path().glob(pattern))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, clang-format, mypy and spelling; `nox -s lint -- fix` mends what it can."""
    session.install("ruff", "clang-format==23.1.5", "mypy", "numpy>=2.0")
    session.install("codespell", "tomli; python_version < '3.11'")
    fix = "fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")
    style = ["-i"] if fix else ["--dry-run", "--Werror"]
    session.run("clang-format", *style, *cxx_files())
    session.run("mypy")
    session.run("codespell")


@nox.session(default=False)
def review(session: nox.Session) -> None:
    """The project's papers: metadata, workflows and what the guides ask for."""
    session.install("sp-repo-review[cli]", "validate-pyproject[all]")
    session.install("check-jsonschema", "zizmor")
    session.run("repo-review", ".")
    session.run("validate-pyproject", "pyproject.toml")
    workflows = sorted(str(path) for path in Path(".github/workflows").glob("*.yml"))
    schema = ("check-jsonschema", "--builtin-schema")
    session.run(*schema, "vendor.github-workflows", *workflows)
    session.run(*schema, "vendor.dependabot", ".github/dependabot.yml")
    session.run("zizmor", "--offline", "--pedantic", ".github")


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """The package in a fresh environment, and its tests."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session(default=False, venv_backend="none")
def stubs(session: nox.Session) -> None:
    """The types of the extension that is installed here; needs mypy."""
    stubtest = ("python", "-m", "mypy.stubtest", "rnnext._core")
    config = ("--mypy-config-file", "pyproject.toml")
    allowed = ("--allowlist", "tools/stubtest-allowlist.txt")
    session.run(*stubtest, *config, *allowed, external=True)


@nox.session(default=False, python=PYTHONS)
def wheels(session: nox.Session) -> None:
    """A wheel out of the source distribution, installed alone and tried."""
    built = Path(session.create_tmp(), "dist").resolve()
    shutil.rmtree(built, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(built))
    (wheel,) = built.glob("*.whl")
    settings = PROJECT["tool"]["cibuildwheel"]
    session.install("--force-reinstall", str(wheel), *settings["test-requires"])
    for command in settings["test-command"]:
        session.run(*shlex.split(command.replace("{project}", str(Path.cwd()))))


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The pages in build/docs, every warning an error, and all of their code run."""
    groups = nox.project.load_toml("pyproject.toml")["dependency-groups"]
    session.install(".[test]", *groups["docs"])
    options = ["-qW", "--keep-going", "-d", "build/doctrees"]
    session.run("sphinx-build", *options, "docs", "build/docs")
    session.run("pytest", "tests/test_docs.py", "tests/test_packaging.py")


@nox.session(default=False, venv_backend="none")
def cpp(session: nox.Session) -> None:
    """The C++ tests with a preset: `nox -s cpp -- asan` (default: release)."""
    preset = session.posargs[0] if session.posargs else "release"
    session.run("cmake", "--preset", preset, external=True)
    session.run("cmake", "--build", "--preset", preset, external=True)
    session.run("ctest", "--preset", preset, external=True)


@nox.session(default=False, venv_backend="none")
def clean(session: nox.Session) -> None:
    """Remove what builds left."""
    for name in ("build", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache"):
        shutil.rmtree(name, ignore_errors=True)


if __name__ == "__main__":
    nox.main()
