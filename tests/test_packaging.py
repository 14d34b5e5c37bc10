"""What is installed: names, documentation, types, metadata, the extension file."""

import ast
import doctest
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnext
from rnnext import _core, exchange

PACKAGE = Path(rnnext.__file__).parent
KERNELS = Path(__file__).parents[1] / "cpp" / "kernels"
PUBLIC = {n: getattr(rnnext, n) for n in rnnext.__all__ if callable(getattr(rnnext, n))}


def run(script):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout


# ---------------------------------------------------------------- import


def test_import_needs_numpy_alone():
    script = (
        "import sys; before = set(sys.modules); import numpy, numpy.random\n"
        "import numpy.typing; numpys = set(sys.modules)\n"
        "import rnnext; print(*sorted(set(sys.modules) - numpys))"
    )
    modules = {name.split(".")[0] for name in run(script).split()}
    editable = {name for name in modules if name.startswith("_editable")}
    known = sys.stdlib_module_names | {"rnnext"} | editable
    assert modules <= known
    heavy = {"argparse", "asyncio", "concurrent", "multiprocessing", "subprocess"}
    assert not modules & heavy


def test_import_leaves_the_application_out():
    script = "import sys, rnnext; print(*(n for n in sys.modules if '.app' in n))"
    assert run(script).split() == []


def test_import_starts_no_threads():
    path = Path("/proc/self/task")
    if not path.exists():
        pytest.skip("no /proc here")
    script = (
        "import os, numpy; before = len(os.listdir('/proc/self/task'))\n"
        "import rnnext; print(len(os.listdir('/proc/self/task')) - before)"
    )
    assert run(script).strip() == "0"


# ---------------------------------------------------------------- names


def test_all_is_sorted_and_complete():
    """In the order of ruff: constants, classes, the rest."""
    names = rnnext.__all__
    classes = [n for n in names if inspect.isclass(getattr(rnnext, n))]
    acronyms = sorted(n for n in classes if n.isupper())
    others = sorted(n for n in classes if not n.isupper())
    rest = sorted(n for n in names if n not in classes)
    assert names == acronyms + others + rest
    public = {
        name
        for name, value in vars(rnnext).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(names) - {"__version__", "schedules"}


def test_star_import_brings_names_of_ours_alone():
    found = run("from rnnext import *; print(*dir())").split()
    expected = set(rnnext.__all__)
    assert set(found) - expected <= set(run("print(*dir())").split())
    assert expected <= set(found)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_say_where_they_are(name):
    assert PUBLIC[name].__module__.split(".")[0] == "rnnext"
    assert PUBLIC[name].__name__ == name


# ---------------------------------------------------------------- docstrings


def documented():
    """Public functions, classes and their public methods."""
    for name, value in PUBLIC.items():
        yield pytest.param(value, id=name)
        if inspect.isclass(value):
            for member, method in inspect.getmembers(value, inspect.isfunction):
                if not member.startswith("_") or member == "__call__":
                    yield pytest.param(method, id=f"{name}.{member}")
    for name in exchange.__all__:
        yield pytest.param(getattr(exchange, name), id=f"exchange.{name}")


def sections(text):
    return re.findall(r"^(\w[\w ]*)\n-{3,}$", inspect.cleandoc(text), re.MULTILINE)


MADE_BY_OTHERS = ("Cache", "GradientReport", "Gradients", "History", "Stream")


@pytest.mark.parametrize("value", list(documented()))
def test_docstring(value):
    text = value.__doc__
    assert text
    assert text.strip()
    found = sections(text)
    parameters = [
        p
        for n, p in inspect.signature(value).parameters.items()
        if n not in ("self", "_")
    ]
    if inspect.isclass(value):
        if value.__name__ in MADE_BY_OTHERS:
            assert "Attributes" in found
            return
    elif inspect.signature(value).return_annotation not in ("None", None):
        assert {"Returns", "Yields"} & set(found)
    if parameters:
        assert "Parameters" in found
        described = inspect.cleandoc(text).split("Parameters\n---")[1]
        described = described.split("\n---")[0]
        for parameter in parameters:
            assert re.search(rf"\b{parameter.name}\b", described), parameter.name


def modules():
    names = [m.name for m in pkgutil.walk_packages(rnnext.__path__, "rnnext.")]
    return [
        "rnnext",
        *(n for n in names if n.split(".")[-1] not in ("__main__", "_core")),
    ]


@pytest.mark.parametrize("name", modules())
def test_examples(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if name.startswith(("rnnext.app", "rnnext.torch")):
            pytest.skip(str(error))
        raise
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "Stream", "set_num_threads"])
def test_there_are_examples(name):
    assert ">>> " in PUBLIC[name].__doc__


# ---------------------------------------------------------------- types


def stub():
    return ast.parse((PACKAGE / "_core.pyi").read_text())


def names_of(body):
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id


def test_types_are_installed():
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_core.pyi").exists()


def test_stub_names_what_the_extension_has():
    standard = {"__doc__", "__file__", "__loader__", "__name__", "__package__"}
    names = set(dir(_core)) - standard - {"__spec__"}
    assert set(names_of(stub().body)) == names


@pytest.mark.parametrize("kind", [_core.Stack, _core.Stepper])
def test_stub_names_the_members_of_classes(kind):
    (node,) = (
        n
        for n in stub().body
        if isinstance(n, ast.ClassDef) and n.name == kind.__name__
    )
    members = {n for n in vars(kind) if not n.startswith("_")}
    assert set(names_of(node.body)) - {"__init__"} == members


def test_stub_names_the_arguments():
    """As pybind11 writes them in the docstring, or Python knows them."""
    for node in stub().body:
        if isinstance(node, ast.FunctionDef):
            function = getattr(_core, node.name)
            if function.__text_signature__:
                found = list(inspect.signature(function).parameters)
            else:
                signature = function.__doc__.split("\n")[0]
                inside = signature[signature.index("(") : signature.rindex(" ->")]
                found = re.findall(r"(\w+):", inside)
            assert found == [a.arg for a in node.args.args], node.name


# ---------------------------------------------------------------- metadata


def test_version():
    assert rnnext.__version__ == importlib.metadata.version("rnnext")
    assert rnnext.config()["version"] == rnnext.__version__


def test_numpy_is_the_only_dependency():
    needed = [
        r for r in importlib.metadata.requires("rnnext") or [] if "extra ==" not in r
    ]
    assert [re.split(r"[^\w-]", r)[0] for r in needed] == ["numpy"]


def test_extras():
    metadata = importlib.metadata.metadata("rnnext")
    assert {"app", "test"} <= set(metadata.get_all("Provides-Extra"))
    assert metadata["License-Expression"] == "BSD-3-Clause"


def test_console_script():
    (script,) = (
        e
        for e in importlib.metadata.entry_points(group="console_scripts")
        if e.name == "rnnext"
    )
    assert callable(script.load())


# ---------------------------------------------------------------- the extension


def test_extension_is_small():
    if _core.debug_build():
        pytest.skip("a debug build")
    assert Path(_core.__file__).stat().st_size < 2_000_000


def output_of(tool, *arguments):
    if not shutil.which(tool):
        pytest.skip(f"no {tool} here")
    done = subprocess.run(
        [tool, *arguments, _core.__file__], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_extension_needs_the_standard_libraries_alone():
    text = output_of("readelf", "-d", "-W")
    needed = re.findall(r"\(NEEDED\).*\[(.*?)\.so", text)
    assert needed
    assert set(needed) <= {"libstdc++", "libm", "libgcc_s", "libc", "libpthread"} | {
        name for name in needed if name.startswith(("ld-linux", "libpython"))
    }
    assert "RPATH" not in text
    assert "RUNPATH" not in text
    assert "TEXTREL" not in text


def test_extension_shows_one_symbol():
    """What it defines for others is its entry; the rest stays inside."""
    lines = output_of("nm", "-D", "--defined-only").splitlines()
    ours = {line.split()[-1] for line in lines if "rnnext" in line or "PyInit" in line}
    assert ours == {"PyInit__core"}


def test_kernels_include_nothing_of_the_standard_library():
    if not KERNELS.exists():
        pytest.skip("no sources here")
    allowed = {"stddef.h", "stdint.h", "immintrin.h", "arm_neon.h"}
    files = [p for p in KERNELS.rglob("*") if p.suffix in (".cpp", ".hpp")]
    assert files
    for path in [*files, KERNELS.parent / "kernels.hpp"]:
        text = path.read_text()
        system = re.findall(r"^\s*#\s*include\s*<(.*?)>", text, re.MULTILINE)
        assert set(system) <= allowed, path.name
        code = re.sub(r"//.*|/\*.*?\*/", "", text)
        assert "std::" not in code, path.name
        for own in re.findall(r'^\s*#\s*include\s*"(.*?)"', text, re.MULTILINE):
            inside = (path.parent / own).resolve()
            assert inside.is_relative_to(KERNELS) or inside.name == "kernels.hpp"
