"""``rnnext selftest``: does this installation compute what it should."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass

import rnnext

from .checks import CHECKS
from .output import json_text
from .progress import progress

NAME = "selftest"
HELP = "check this installation: every instruction set, gradients, equal bits"
EXAMPLE = "rnnext selftest\nrnnext selftest --json"

# Instruction sets whose forward results have the same bits.
FUSED = ("avx512", "avx2", "neon")
LONGEST = 60.0  # seconds for one instruction set: it hangs


@dataclass(frozen=True)
class Result:
    """Of one check; `isa` is an instruction set, or several."""

    isa: str
    name: str
    ok: bool
    detail: str
    seconds: float

    def __str__(self) -> str:
        word = "ok" if self.ok else "FAILED"
        return f"{word:7}{self.isa:13}{self.name:17}{self.detail}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``rnnext selftest`` understands to `parser`."""
    parser.add_argument(
        "--json", action="store_true", help="print the results as JSON, lines to stderr"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check every instruction set of this CPU in a process of its own.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit code: 0, or 1 when a check failed.
    """
    begin = time.perf_counter()
    with redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        results = _all()
        failed = [result for result in results if not result.ok]
        seconds = time.perf_counter() - begin
        print(
            f"{len(results)} checks in {seconds:.1f} s: "
            + (f"{len(failed)} FAILED" if failed else "all ok")
        )
    if arguments.json:
        found = {
            "ok": not failed,
            "seconds": seconds,
            "config": rnnext.config(),
            "checks": [asdict(result) for result in results],
        }
        print(json_text(found))
    return 1 if failed else 0


def _all() -> list[Result]:
    isas = rnnext.config()["available_isas"]
    fused = [isa for isa in isas if isa in FUSED]
    results: list[Result] = []
    digests: dict[str, str] = {}
    total = len(isas) * len(CHECKS) + (len(fused) > 1)
    with progress(total, "check") as show:

        def keep(result: Result) -> None:
            results.append(result)
            show(str(result))

        for isa in isas:
            _check(isa, keep, digests)
        if len(fused) > 1:
            ok = len({digests.get(isa, isa) for isa in fused}) == 1
            detail = "the same outputs" if ok else "outputs differ"
            keep(Result("+".join(fused), "bits by set", ok, detail, 0.0))
    return results


def _check(isa: str, keep: Callable[[Result], None], digests: dict[str, str]) -> None:
    """All checks of an instruction set; a process that dies fails the rest of them."""
    left = list(CHECKS)
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "rnnext.app.checks"],
            env=os.environ | {"RNNEXT_ISA": isa},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        limit = threading.Timer(LONGEST, process.kill)
        limit.start()
        try:
            for line in map(json.loads, process.stdout or ()):
                if "digest" in line:
                    digests[isa] = line["digest"]
                else:
                    left.remove(line["name"])
                    keep(Result(isa, **line))
            process.wait()
        finally:
            limit.cancel()
            process.kill()
        errors.seek(0)
        said = errors.read().splitlines()[-1:] or [f"exit code {process.returncode}"]
    for name in left:
        keep(Result(isa, name, False, f"the process ended early: {said[0]}", 0.0))
