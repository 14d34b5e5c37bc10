"""Every allocation of every call fails in turn: C++'s, NumPy's, the interpreter's."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

import allocation_cases  # noqa: E402
import faults  # noqa: E402

MODES = ("one", "all", "python")
# What these start may have no memory either, and says so on its own.
OWN_THREADS = [n for n in allocation_cases.CASES if "thread" in n or "that lives" in n]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="cases; all by default")
    options = parser.parse_args()
    totals, failed = dict.fromkeys(MODES, (0, 0)), []
    with tempfile.TemporaryDirectory() as folder:
        library = faults.build(folder)
        for mode in MODES:
            for threads in (1, 2, 4):
                for name in options.names or allocation_cases.CASES:
                    if mode == "python" and (threads > 1 or name in OWN_THREADS):
                        continue
                    argv = [TESTS / "allocation_cases.py", library, mode, str(threads)]
                    done = subprocess.run(
                        [sys.executable, *argv, name],
                        capture_output=True,
                        text=True,
                        check=False,
                    )
                    print(mode, threads, done.stdout.strip() or name, flush=True)
                    if done.returncode or done.stderr:
                        failed.append((mode, threads, name))
                        print(done.stderr[-2000:], flush=True)
                        continue
                    counts = done.stdout.rpartition(": ")[2].split()
                    totals[mode] = tuple(
                        a + int(b) for a, b in zip(totals[mode], counts, strict=True)
                    )
    for mode, (tried, raised) in totals.items():
        print(f"{mode}: {tried:,} failed in turn, {raised:,} calls raised MemoryError")
    print(f"failed: {failed or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
