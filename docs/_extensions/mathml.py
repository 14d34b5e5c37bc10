"""Formulas as MathML: no script, nothing fetched, text that a reader can select."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

# docutils puts the index of a letter with an accent below it, as a limit.
INDEX_BELOW = re.compile(
    r"<munderover>\s*(<mi>[^<]*</mi>)(.*?)(<mo[^>]*>[^<]*</mo>)\s*</munderover>", re.S
)


def mathml(text: str, block: bool) -> str:
    """A formula, the index of an accented letter beside it."""
    index_beside = r'<msub><mover accent="true">\1\3</mover>\2</msub>'
    return INDEX_BELOW.sub(index_beside, tex2mathml(text, block))


def inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(f'<span class="math">{mathml(node.astext(), False)}</span>')
    raise nodes.SkipNode


def display(writer: Any, node: nodes.math_block) -> None:
    """A block; lines with an ampersand or a double backslash are aligned."""
    text = node.astext()
    if r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    formula = mathml(text, True)
    writer.body.append(f'<div class="math" tabindex="0">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
