"""The pages: their code runs and prints what they say, links lead somewhere, and the
reference has every public name. Sphinx itself builds in `nox -s docs`."""

import ast
import contextlib
import doctest
import importlib.util
import io
import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

import rnnext

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = Path(rnnext.__file__).parent
PAGES = sorted(DOCS.rglob("*.md"))
# The chapters of the tutorial are one program.
CHAPTERS = ["forward", "backward", "lstm", "gru", "check", "rnnext"]
TUTORIAL = [DOCS / "tutorial" / f"{name}.md" for name in CHAPTERS]
BLOCK = re.compile(
    r"^```(?P<language>\w+)\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


def python_blocks(page):
    """(first line, code, what it prints or None) of a page."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        if found["language"] == "python":
            line = text.count("\n", 0, found.start("code")) + 1
            yield line, found["code"], found["printed"]


def run(pages):
    """Run the blocks of pages as one program; compare what is printed."""
    names = {"__name__": "page"}
    threads = rnnext.get_num_threads()
    try:
        for page in pages:
            for line, code, printed in python_blocks(page):
                if code.startswith(">>>"):
                    run_session(code, names, page, line)
                    continue
                program = compile("\n" * (line - 1) + code, str(page), "exec")
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(program, names)
                if printed is not None:
                    assert out.getvalue() == printed, f"{page.name}:{line}"
    finally:
        rnnext.set_num_threads(threads)


def run_session(code, names, page, line):
    """Run lines as one types them, with what Python answers."""
    test = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), line - 1)
    test.globs = names
    with contextlib.redirect_stdout(io.StringIO()) as out:
        failed = doctest.DocTestRunner().run(test, out=out.write, clear_globs=False)
    assert failed.failed == 0, out.getvalue()


def program_of(code):
    """The statements of a block."""
    if not code.startswith(">>>"):
        return code
    return "".join(
        example.source for example in doctest.DocTestParser().get_examples(code)
    )


def needed(page):
    """What a page imports that an installation may lack."""
    trees = [ast.parse(program_of(code)) for _, code, _ in python_blocks(page)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    modules |= {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
    peers = {m.removeprefix("rnnext.").split(".")[0] for m in modules}
    return peers & {"dask", "mpi4py", "sklearn", "torch"}


def test_the_tutorial_runs():
    run(TUTORIAL)


OTHERS = [p for p in PAGES if p not in TUTORIAL and any(python_blocks(p))]


@pytest.mark.parametrize("page", OTHERS, ids=lambda p: str(p.relative_to(DOCS)))
def test_code_runs(page, tmp_path, monkeypatch):
    for name in needed(page):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)  # pages write files
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run([page])


# ---------------------------------------------------------------- links


def anchors(page):
    """Of headings, as MyST makes them."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    heads = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```(?!\{).*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_pictures_are_there_and_described(page):
    text = page.read_text(encoding="utf-8")
    for words, path in re.findall(r"!\[(.*?)\]\(([^)]+)\)", text, flags=re.DOTALL):
        assert words.strip(), path
        assert (page.parent / path).exists(), path


def test_no_page_is_left_out():
    """Every page is in some table of contents."""
    listed = {DOCS / "index.md"}
    for page in PAGES:
        for options in re.findall(
            r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S
        ):
            for entry in options.split():
                entry = re.sub(r".*<(.*)>", r"\1", entry)
                if entry.startswith(":"):
                    continue
                base = DOCS if entry.startswith("/") else page.parent
                listed |= set(base.glob(entry.lstrip("/") + ".md"))
    assert set(PAGES) <= listed


# ---------------------------------------------------------------- reference


def exported(path):
    """The names of ``__all__``, without importing what may need an extra."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def public_modules():
    """Name and file of every module that people import, the applications apart."""
    found = {"rnnext": PACKAGE / "__init__.py"}
    for path in sorted(PACKAGE.glob("[!_]*")):
        file = path / "__init__.py" if path.is_dir() else path
        same = path.stem in {"app", "course", "training", "layers", "cells", "files"}
        if file.suffix == ".py" and file.exists() and not same:
            found[f"rnnext.{path.stem}"] = file
    return found


def referenced():
    """The full names in the lists of the reference."""
    found = set()
    for page in (DOCS / "reference").glob("*.rst"):
        module, listing = "", False
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith(".. currentmodule::"):
                module = line.split()[-1]
            if line.strip():
                listing = line.startswith(".. autosummary::") or (
                    listing and line.startswith("   ")
                )
            if listing and line.startswith("   ") and ":" not in line:
                found.add(f"{module}.{line.strip()}")
    return found


@pytest.mark.parametrize("module", public_modules())
def test_every_public_name_is_in_the_reference(module):
    names = exported(public_modules()[module])
    assert names
    missing = {f"{module}.{name}" for name in names} - referenced()
    assert missing <= {"rnnext.schedules"}  # a module: its names are below


def test_the_reference_lists_what_exists():
    known = {f"{m}.{n}" for m, file in public_modules().items() for n in exported(file)}
    schedules = {n for n in vars(rnnext.schedules) if not n.startswith("_")}
    listed = referenced()
    own = {n for n in listed if n.startswith("rnnext.training.schedules.")}
    assert listed - own <= known
    assert {n.rpartition(".")[2] for n in own} <= schedules
    functions = {
        n
        for n, f in vars(rnnext.schedules).items()
        if getattr(f, "__module__", "") == "rnnext.training.schedules"
        and n[0].islower()
    }
    assert functions == {n.rpartition(".")[2] for n in own}


def extension(name):
    """A module that the pages are built with."""
    pytest.importorskip("sphinx")
    path = DOCS / "_extensions" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", [r"\hat y_k", r"\log \hat y_{k(j, t)} = \hat x_i"])
def test_indices_of_accented_letters_stand_beside_them(text):
    formula = re.sub(r"\s", "", extension("mathml").mathml(text, True))
    assert "munderover" not in formula
    hat = '<msub><moveraccent="true"><mi>{}</mi><mostretchy="false">ˆ</mo></mover>'
    assert hat.format("y") in formula


def test_sums_keep_their_limits():
    assert "<munderover>" in extension("mathml").mathml(r"\sum_{k=1}^K x_k", True)


def test_every_picture_of_the_gallery_has_its_example():
    gallery = extension("gallery")
    shown = {program.stem for program, _, _ in gallery.examples(DOCS)}
    assert {picture.stem for picture in (DOCS / "gallery").glob("*.png")} <= shown


def test_pictures_of_the_gallery_can_be_enlarged():
    gallery = extension("gallery")
    env = SimpleNamespace(srcdir=DOCS, note_dependency=str, new_serialno=len)
    document = SimpleNamespace(settings=SimpleNamespace(env=env, id_prefix=""), ids={})
    state = SimpleNamespace(document=document)
    machine = SimpleNamespace(reporter=None)
    directive = gallery.Gallery("gallery", [], {}, [], 0, 0, "", state, machine)
    pictures = [
        p for made in directive.run() for p in made.findall(gallery.nodes.image)
    ]
    # Sphinx makes those with a width links to themselves.
    assert pictures
    assert all(picture["width"] for picture in pictures)
