"""Memory over 100,000 calls of every entry and every mistake: less than 1 MiB more."""

import argparse
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "growth_cases.py"
MOST = 1 << 20  # bytes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("names", nargs="*", help="cases; all by default")
    options = parser.parse_args()
    argv = [sys.executable, PROGRAM, str(options.calls), *options.names]
    sizes = {}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            name, _, size = line.rpartition(": ")
            sizes[name] = int(size)
    grown = [name for name, size in sizes.items() if size >= MOST]
    print(
        f"{len(sizes)} cases of {options.calls:,} calls, the most grown: "
        f"{max(sizes.values(), default=0):,} bytes; 1 MiB or more: {grown or 'none'}"
    )
    return process.returncode or bool(grown)


if __name__ == "__main__":
    sys.exit(main())
