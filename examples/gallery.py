"""Remakes the figures of the gallery, docs/gallery/NAME.png, by full runs.

python examples/gallery.py             all of them, some minutes
python examples/gallery.py dna speech  these
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
GALLERY = HERE.parent / "docs" / "gallery"
LARGEST = 60_000  # bytes of a figure


def examples() -> list[str]:
    """The names of the examples: the programs of this folder, but for this one."""
    programs = (
        path.stem
        for path in HERE.glob("*.py")
        if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")
    )
    return sorted(set(programs) - {"gallery"})


def remake(name: str) -> str | None:
    """Run an example and store its figure; what went wrong, if anything did."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, str(HERE / f"{name}.py"), "--out", folder]
        code = subprocess.run(program, check=False).returncode
        if code:
            return f"exit code {code}"
        figure = Path(folder) / f"{name}.png"
        if not figure.is_file():
            return "no figure"
        if figure.stat().st_size > LARGEST:
            return f"a figure of {figure.stat().st_size} bytes, at most {LARGEST}"
        GALLERY.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(figure, GALLERY / figure.name)
    return None


def main(names: list[str]) -> int:
    known = examples()
    if {"-h", "--help"} & set(names):
        print(f"{__doc__}\nnames: {', '.join(known)}")
        return 0
    if unknown := set(names) - set(known):
        print(f"{', '.join(sorted(unknown))}: expected of {', '.join(known)}")
        return 2
    failed = False
    for name in names or known:
        print(f"==== {name}", flush=True)
        start = time.perf_counter()
        problem = remake(name)
        failed |= problem is not None
        print(f"{name}: {problem or 'stored'}, {time.perf_counter() - start:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
