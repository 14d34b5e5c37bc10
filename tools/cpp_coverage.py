"""A table of the lines and branches of the C++ core that the tests reach.

    python tools/cpp_coverage.py LLVM_COV PROFILE BINARY... [--min-lines 98]
        [--min-branches 90] [--missed]

What counts is the source: a line is reached if any instantiation of its template ran
it; a condition has two branches, each reached if any instantiation took it. (gcov
counts every inlined copy of a condition, and every call that might throw: a measure of
the compiler.) An `if constexpr` is no condition. --missed: what is not reached.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "cpp"
NOT_CORE = ("bindings", "tests", "bench", "fuzz")


def export(options, *form):
    """What llvm-cov says of all binaries together."""
    binaries = [f"-object={path}" for path in options.binaries[1:]]
    profile = f"-instr-profile={options.profile}"
    command = [options.llvm_cov, "export", profile, *form]
    done = subprocess.run(
        [*command, options.binaries[0], *binaries],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def lines_of(options):
    """File to line to count."""
    found = defaultdict(dict)
    for entry in export(options, "-format=lcov").splitlines():
        kind, _, rest = entry.partition(":")
        if kind == "SF":
            file = rest
        elif kind == "DA":
            line, count = map(int, rest.split(",")[:2])
            found[file][line] = max(count, found[file].get(line, 0))
    return found


def branches_of(options):
    """File to (line, column) of a condition to the counts of true and false."""
    found = defaultdict(dict)
    data = json.loads(export(options, "-skip-functions", "-skip-expansions"))
    for file in data["data"][0]["files"]:
        text = Path(file["filename"]).read_text().splitlines()
        for line, column, _, _, true, false, *_ in file["branches"]:
            if re.search(r"if constexpr \($", text[line - 1][: column - 1]):
                continue
            sums = found[file["filename"]].setdefault((line, column), [0, 0])
            sums[0] += true
            sums[1] += false
    return found


def ranges(lines):
    """1, 2, 3, 7 -> "1-3, 7"."""
    runs = []
    for line in sorted(lines):
        if runs and line == runs[-1][1] + 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def missed_text(lines, branches):
    ways = [
        f"{line}:{column} never {way}"
        for (line, column), counts in sorted(branches.items())
        for way, count in zip(("true", "false"), counts, strict=True)
        if not count
    ]
    dead = ranges(line for line, count in lines.items() if not count)
    return ", ".join([dead, *ways] if dead else ways)


def percent(reached, of):
    return 100 * reached / of if of else 100


def row(name, sums):
    lines, branches = percent(*sums[:2]), percent(*sums[2:])
    counts = f"{sums[0]} of {sums[1]} | {sums[2]} of {sums[3]}"
    return f"| {name} | {lines:.1f} % | {branches:.1f} % | {counts} |"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("llvm_cov")
    parser.add_argument("profile")
    parser.add_argument("binaries", nargs="+")
    parser.add_argument("--min-lines", type=float, default=0)
    parser.add_argument("--min-branches", type=float, default=0)
    parser.add_argument("--missed", action="store_true")
    options = parser.parse_args(arguments)

    lines, branches = lines_of(options), branches_of(options)
    total = {"the core": [0] * 4, "the bindings": [0] * 4}
    print("| file | lines | branches | lines | branches |\n|---|--:|--:|--:|--:|")
    for file in sorted(lines):
        path = Path(file)
        if CORE not in path.parents:
            continue
        wing = path.relative_to(CORE).parts[0]
        if wing in NOT_CORE and wing != "bindings":
            continue
        ways = [count for pair in branches[file].values() for count in pair]
        sums = [
            sum(map(bool, lines[file].values())),
            len(lines[file]),
            sum(map(bool, ways)),
            len(ways),
        ]
        own = total["the bindings" if wing == "bindings" else "the core"]
        own[:] = [a + b for a, b in zip(own, sums, strict=True)]
        print(row(f"`{path.relative_to(ROOT)}`", sums))
        if options.missed and (text := missed_text(lines[file], branches[file])):
            print(f"    {text}")
    for name, sums in total.items():
        print(row(f"**{name}**", sums))
    core = total["the core"]
    return int(
        percent(*core[:2]) < options.min_lines
        or percent(*core[2:]) < options.min_branches
    )


if __name__ == "__main__":
    sys.exit(main())
