"""Lists of names without the numbers of references, which lead nowhere from there."""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.autosummary import Autosummary

REFERENCE = re.compile(r"\s*\[R?[0-9a-f]*-?\d+\]_")


class Summaries(Autosummary):
    """Name, arguments, first sentence."""

    def get_items(self, names: list[str]) -> list[tuple[str, str | None, str, str]]:
        return [
            (name, signature, REFERENCE.sub("", summary), target)
            for name, signature, summary, target in super().get_items(names)
        ]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("autosummary", Summaries, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
