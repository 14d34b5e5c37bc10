"""The directive ``gallery``: a figure and a text of every example that has a picture.

An example NAME is examples/NAME.py: its docstring is the text, docs/gallery/NAME.png
the figure, if there is one. The first sentence says what one sees.
"""

import ast
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.util.nodes import make_id


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


class Gallery(Directive):
    """One section an example."""

    def run(self) -> list[nodes.Node]:
        env = self.state.document.settings.env
        docs = Path(env.srcdir)
        sections: list[nodes.Node] = []
        for program, picture, text in examples(docs):
            env.note_dependency(str(program))
            paragraphs = text.split("\n\n")
            subject = " ".join(paragraphs[0].split()).partition(". ")[0].rstrip(".")
            name = program.stem.replace("_", " ")
            section = nodes.section(
                ids=[make_id(env, self.state.document, "", name)], names=[program.stem]
            )
            section += nodes.title("", name.capitalize())
            if picture is not None:
                image = nodes.image(
                    uri=picture.name, alt=f"Figure of {program.name}: {subject}"
                )
                section += image
            for paragraph in paragraphs:
                lines = paragraph.splitlines()
                if all(line.startswith("    ") for line in lines):
                    code = nodes.literal_block("", "\n".join(x[4:] for x in lines))
                    code["language"] = "text"
                    section += code
                else:
                    words = " ".join(paragraph.split()).replace("`", "")
                    section += nodes.paragraph("", words)
            command = nodes.literal_block("", f"python examples/{program.name}")
            command["language"] = "bash"
            if command.astext() not in text:
                section += command
            sections.append(section)
        if not sections:
            sections.append(nodes.paragraph("", "The examples come with the sources."))
        return sections


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
