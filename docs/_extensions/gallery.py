"""The directive ``gallery``: a figure and a text of every example.

An example NAME is examples/NAME.py: its docstring is the text, docs/gallery/NAME.png
the figure, if there is one. The first sentence says what one sees.
"""

import ast
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.util.nodes import make_id

CODE = re.compile(r"(`+)(.+?)\1")


def examples(docs: Path) -> list[tuple[Path, Path | None, str]]:
    """(program, picture or None, docstring) of all, by name."""
    found = []
    for program in sorted((docs.parent / "examples").glob("*.py")):
        source = program.read_text(encoding="utf-8")
        if "common.command(" not in source or program.stem == "common":
            continue  # what the examples share, and what remakes the figures
        picture = docs / "gallery" / f"{program.stem}.png"
        text = ast.get_docstring(ast.parse(source)) or program.stem
        found.append((program, picture if picture.exists() else None, text))
    return found


def title_of(program: Path) -> str:
    """The name in words; three letters are an abbreviation."""
    name = program.stem.replace("_", " ")
    return name.upper() if len(name) == 3 else name.capitalize()


def block(text: str, language: str) -> nodes.literal_block:
    made = nodes.literal_block(text, text)
    made["language"] = language
    return made


def paragraph(text: str) -> nodes.Node:
    """Words with code between backticks, or indented lines as they are."""
    lines = text.splitlines()
    if all(line.startswith("    ") for line in lines):
        return block("\n".join(line[4:] for line in lines), "text")
    words = " ".join(line.strip() for line in lines)
    made, end = nodes.paragraph(), 0
    for code in CODE.finditer(words):
        made += nodes.Text(words[end : code.start()])
        made += nodes.literal("", code[2])
        end = code.end()
    made += nodes.Text(words[end:])
    return made


class Gallery(Directive):
    """One section for each example."""

    def run(self) -> list[nodes.Node]:
        env = self.state.document.settings.env
        sections: list[nodes.Node] = []
        for program, picture, text in examples(Path(env.srcdir)):
            env.note_dependency(str(program))
            title, (first, *others) = title_of(program), text.split("\n\n")
            place = make_id(env, self.state.document, "", title)
            section = nodes.section(ids=[place], names=[program.stem])
            section += [nodes.title("", title), paragraph(first)]
            if picture is not None:
                subject = " ".join(first.split()).partition(". ")[0].rstrip(".")
                alt = f"Figure of {program.name}: {subject}"
                # With a width it is a link to itself, which a phone can enlarge.
                section += nodes.image(uri=picture.name, alt=alt, width="720px")
            section += [paragraph(other) for other in others]
            command = f"python examples/{program.name}"
            if command not in text:
                section += block(command, "bash")
            sections.append(section)
        if not sections:
            sections.append(nodes.paragraph("", "The examples come with the sources."))
        return sections


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
