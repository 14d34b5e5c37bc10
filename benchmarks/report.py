"""The report of a run: text as it goes, Markdown to keep."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import Group
from peers import OURS, PEERS
from results import Result, summarize

import rnnext
from rnnext._roofline import Machine

PACKAGES = (*PEERS, "jaxlib", "onnx", "numpy")


def environment() -> dict[str, Any]:
    """Where and with what a run is made."""
    return {
        "commit": _commit(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
        "isa": rnnext.config()["isa"],
        "compiler": rnnext.config()["compiler"],
        "versions": {k: v for k in PACKAGES if (v := _version(k))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    def git(*arguments: str) -> str:
        folder = Path(__file__).parent
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = " with changes" if git("status", "--porcelain", "-uno") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


# ---------------------------------------------------------------- text


def text_header(libraries: Sequence[str]) -> str:
    """The head of the rows of `text_row`."""
    peers = "".join(f"{name[:11]:>12}" for name in libraries if name != OURS)
    return (
        f"{'work':14}{'cell':5}{'T, N, I, H':28}{'µs':>11}{'GFLOP/s':>9}"
        f"{'peak':>6}{'roof':>6}{'ratio':>8}{peers}"
    )


def text_row(result: Result, libraries: Sequence[str], machine: Machine) -> str:
    """One case in one line; a star marks a target that is missed."""
    case, ratios = result.case, result.ratios()
    work = f"{case.work} f{case.dtype.removeprefix('float')}"
    head = f"{work:14}{case.cell:5}{case.size:28}"
    if OURS not in result.seconds:
        return f"{head} {result.missing.get(OURS, '')} *"
    seconds = result.seconds[OURS]
    ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
    peers = "".join(
        f"{f'{ratios[name]:.2f}' if name in ratios else '-':>12}"
        for name in libraries
        if name != OURS
    )
    star = " *" if result.misses(machine) else ""
    return (
        f"{head}{seconds * 1e6:11,.1f}{case.call.flops / seconds / 1e9:9.1f}"
        f"{result.of_peak(machine):6.0%}{result.of_roofline(machine):6.0%}"
        f"{ratio:>8}{peers}{star}"
    )


def text_summary(
    groups: Sequence[Group], results: Sequence[Result], machine: Machine
) -> str:
    """Every group beside its targets, and the cases that miss one."""
    lines = ["", f"{'group':28}{'cases':>6}{'least':>8}{'mean':>8}{'target':>8}"]
    for group in groups:
        summary = summarize(
            group, [r for r in results if r.case in group.cases], machine
        )
        if summary is None:
            continue
        verdict = "reached" if summary.reached else f"{summary.below} below their least"
        lines.append(
            f"{group.title:28}{summary.count:6}{summary.least:8.2f}{summary.mean:8.2f}"
            f"{group.mean:8.1f}  {verdict}"
        )
    lines += [
        f"misses: {result.case}: {'; '.join(misses)}"
        for result in results
        if (misses := result.misses(machine))
    ]
    lines += [
        f"no figure: {name}, {result.case}: {reason}"
        for result in results
        for name, reason in result.missing.items()
    ]
    return "\n".join(lines)


# ---------------------------------------------------------------- Markdown


def markdown(
    groups: Sequence[Group],
    results: Sequence[Result],
    machine: Machine,
    run: Mapping[str, Any],
    figure: str | None,
) -> str:
    """The whole report."""
    where, libraries = run["environment"], run["libraries"]
    burst = f"{run['seconds']:g} s"
    versions = ", ".join(f"{k} {v}" for k, v in where["versions"].items())
    lines = [
        "# Results",
        "",
        "Ratio: time of a peer / time of rnnext, above 1 rnnext is faster. Written by",
        "`benchmarks/compare.py`; how it measures: [README.md](README.md).",
        "",
        f"* {run['date']}, commit {where['commit']}",
        f"* {where['processor']}, {where['cpus']} CPUs, {where['system']}",
        *(f"* {line}" for line in machine.lines()),
        f"* {where['isa']}, {where['compiler']}, Python {where['python']}; {versions}",
        f"* medians of {run['rounds']} or fewer interleaved bursts of {burst}",
        f"* CPUs near each other in every burst{_exceptions(results)}",
        "",
        *([f"![Ratios of every case]({figure})", ""] if figure else []),
        "## Beside the targets",
        "",
        "| work | cases | least | all reach theirs | mean | target | at the roofline |",
        "|---|--:|--:|---|--:|--:|--:|",
    ]
    for group in groups:
        summary = summarize(
            group, [r for r in results if r.case in group.cases], machine
        )
        if summary is not None:
            all_or_some = f"no: {summary.below} do not" if summary.below else "yes"
            if summary.beyond:
                all_or_some += f", {summary.beyond} cannot"
            lines.append(
                f"| {group.title} | {summary.count} | {summary.least:.2f} | "
                f"{all_or_some} | {summary.mean:.2f} | {group.mean:g} | "
                f"{summary.ceiling:.2f} |"
            )
    missed = [(r.case, "; ".join(m)) for r in results if (m := r.misses(machine))]
    lines += [
        "",
        "Mean: geometric, of the ratios to the fastest peer. At the roofline: the mean",
        "that calls would have which take the least time that this machine allows, by",
        "the multiply-adds and reads measured before the run. A case cannot reach its",
        "target where not even such a call would.",
        "",
    ]
    if missed:
        lines += ["Cases that miss a target:", ""]
        lines += [f"* {case}: {what}" for case, what in missed]
        lines.append("")
    for group in groups:
        rows = [r for r in results if r.case in group.cases]
        if rows:
            lines += ["", f"## {group.title}", "", *_table(rows, libraries, machine)]
    reasons = sorted(
        {f"{PEERS[k].title}: {v}" for r in results for k, v in r.missing.items()}
    )
    if reasons:
        lines += ["", "A dash: no figure.", *(f"* {reason}" for reason in reasons)]
    lines += ["", "## Settings of the libraries", ""]
    lines += [f"* {PEERS[name].title}: {PEERS[name].settings}" for name in libraries]
    return "\n".join(lines) + "\n"


def _exceptions(results: Sequence[Result]) -> str:
    unsure = sum(result.unsure > 0 for result in results)
    return f", but for bursts of {unsure} cases, perhaps" if unsure else ""


def _table(
    rows: Sequence[Result], libraries: Sequence[str], machine: Machine
) -> list[str]:
    peers = [name for name in libraries if name != OURS]
    names = " | ".join(PEERS[name].title for name in peers)
    columns = "µs | GFLOP/s | of peak | of roofline | ratio"
    lines = [
        f"| work | cell | T, N, I, H | {columns} | {names} |",
        "|---|---|---|" + "--:|" * (5 + len(peers)),
    ]
    for result in rows:
        if OURS not in result.seconds:
            continue
        case, ratios, seconds = result.case, result.ratios(), result.seconds[OURS]
        work = case.work + (" float64" if case.dtype == "float64" else "")
        ratio = "–" if result.ratio is None else f"**{result.ratio:.2f}**"
        cells = " | ".join(f"{ratios[n]:.2f}" if n in ratios else "–" for n in peers)
        lines.append(
            f"| {work} | {case.cell} | {case.size} | {seconds * 1e6:,.1f} | "
            f"{case.call.flops / seconds / 1e9:.1f} | {result.of_peak(machine):.0%} | "
            f"{result.of_roofline(machine):.0%} | {ratio} | {cells} |"
        )
    return lines
