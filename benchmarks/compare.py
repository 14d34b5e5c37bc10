"""rnnext beside the other libraries that run recurrent networks on a CPU.

Every library works in a process of its own and is asked in turn, round by round; the
figures are medians over the rounds. What is measured and what is to be reached:
cases.py. How each library is used: peers/. A library that is not installed is left out.

    python benchmarks/compare.py --quick
    python benchmarks/compare.py --json build/compare.json \\
        --markdown benchmarks/RESULTS.md --figure benchmarks/RESULTS.png
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import report
import scaling
from cases import CELLS, Group, groups
from console import progress, say, write
from measure import Nearness, compare, estimate
from peers import OURS, PEERS
from results import from_json, to_json
from worker import Library

from rnnext._roofline import Machine, measure
from rnnext.app.arguments import positive, positive_number

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    names = [group.name for group in groups()]
    rest = [name for name in PEERS if name != OURS]
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def choice(option: str, choices: Sequence[str]) -> None:
        made.add_argument(
            option,
            nargs="*",
            default=list(choices),
            choices=choices,
            metavar="NAME",
            help="of " + ", ".join(choices) + " (default: all)",
        )

    add = made.add_argument
    add("--quick", action="store_true", help="small shapes")
    choice("--groups", names)
    choice("--cells", CELLS)
    choice("--against", rest)
    add("--threads", type=positive, default=min(2, len(os.sched_getaffinity(0))))
    add("--rounds", type=positive, default=5, help="at most; long cases take 3")
    add("--seconds", type=positive_number, default=0.05, help="of one burst of calls")
    add("--json", type=Path, metavar="FILE", help="keep the figures, case by case")
    add("--resume", action="store_true", help="go on with the run that --json holds")
    add("--markdown", type=Path, metavar="FILE", help="write the report")
    add("--figure", type=Path, metavar="FILE", help="draw the ratios (PNG)")
    add("--scaling", action="store_true", help="rnnext alone: one thread and --threads")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; the exit code is 1 when rnnext failed at a case."""
    options = parser().parse_args(argv)
    if options.resume and not options.json:
        parser().error("--resume needs --json FILE")
    chosen = chosen_groups(options)
    if options.scaling:
        return scaling.main(chosen, options)
    libraries = installed(options.against)
    run = begin(options, libraries)
    machine = Machine(**run["machine"])
    results = from_json(run["results"])
    cases = [case for group in chosen for case in group.cases]
    left = [case for case in cases if case not in {r.case for r in results}]
    minutes = estimate(left, libraries, machine, run["rounds"], run["seconds"]) / 60
    print("\n".join(machine.lines()))
    print(f"{len(left)} cases, about {minutes:.1f} minutes on a quiet machine\n")
    print(report.text_header(libraries), flush=True)

    workers = {name: Library(name, machine.threads) for name in libraries}
    near = Nearness(workers[OURS], machine.barrier)
    try:
        for case in progress(left):
            result = compare(case, workers, run["rounds"], run["seconds"], near)
            results.append(result)
            say(report.text_row(result, libraries, machine))
            if options.json:
                run["results"] = to_json(results)
                write(options.json, json.dumps(run, indent=1) + "\n")
    except KeyboardInterrupt:
        print("\nstopped; --resume goes on" if options.json else "\nstopped")
        return INTERRUPTED
    finally:
        for worker in workers.values():
            worker.close()

    results.sort(key=lambda r: cases.index(r.case) if r.case in cases else len(cases))
    print(report.text_summary(chosen, results, machine))
    if options.figure:
        import figure

        figure.draw(chosen, results, options.figure)
    if options.markdown:
        picture = None
        if options.figure:
            picture = os.path.relpath(options.figure, options.markdown.parent)
        write(
            options.markdown,
            report.markdown(chosen, results, machine, run, picture),
        )
    return int(any(OURS in result.missing for result in results))


def chosen_groups(options: argparse.Namespace) -> list[Group]:
    """What --groups, --cells and --quick leave."""
    return [
        group.only(options.cells)
        for group in groups(options.quick)
        if group.name in options.groups
    ]


def installed(names: Iterable[str]) -> list[str]:
    """rnnext and the peers that are here; says which are not."""
    found = [OURS]
    for name in names:
        if missing := PEERS[name].missing():
            print(f"{PEERS[name].title}: left out, no module {' or '.join(missing)}")
        else:
            found.append(name)
    return found


def begin(options: argparse.Namespace, libraries: list[str]) -> dict[str, Any]:
    """What is kept of a run: a new one, or the one to resume."""
    run = {
        "date": datetime.date.today().isoformat(),
        "environment": report.environment(),
        "libraries": libraries,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    if options.resume and options.json.exists():
        kept: dict[str, Any] = json.loads(options.json.read_text())
        for name in ("environment", "libraries", "rounds", "seconds"):
            if kept[name] != run[name]:
                sys.exit(f"--resume: {options.json} has another {name}: {kept[name]}")
        if kept["machine"]["threads"] != options.threads:
            sys.exit(f"--resume: {options.json} has another number of threads")
        return kept
    return {**run, "machine": asdict(measure(options.threads)), "results": []}


if __name__ == "__main__":
    sys.exit(main())
