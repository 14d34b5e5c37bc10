#!/usr/bin/env python3
"""Bad input to every public name, a million cases: tests/test_bad_input.py for longer.

Every seed is a process of its own, so that a crash is seen and its input is printed:
the last case is in a file before it runs.

    python tests/long/bad_input.py [--cases N] [--seeds FIRST COUNT]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 1800  # without a new case, in the time of a busy machine


def work(seed, cases, folder):
    """All entries, until there are so many cases; what was found goes to a file."""
    sys.path.insert(0, str(TESTS))
    import bad_input_check
    from bad_input_layers import ENTRIES
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    last = os.open(folder / "last", os.O_RDWR | os.O_CREAT)

    def before(text):
        os.pwrite(last, text.encode("utf-8", "replace")[:500].ljust(500), 0)

    shares = sum(entry.share for entry in ENTRIES.values())
    count, faults = 0, {}

    def try_all(name, examples):
        @seeded(seed)
        @settings(
            max_examples=max(1, round(examples)), deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate],
        )  # fmt: skip
        @given(bad_input_check.examples())
        def run(example):
            nonlocal count
            *rest, picks = example
            for pick in picks:
                count += 1
                try:
                    bad_input_check.check(name, *rest, [pick], folder, before)
                except AssertionError as error:
                    faults.setdefault(f"{name}: {str(error)[-80:]}", str(error))

        run()

    for name, entry in ENTRIES.items():
        with bad_input_check.bounded_memory():
            try_all(name, cases * entry.share / shares / bad_input_check.PER_EXAMPLE)
    (folder / "found").write_text(json.dumps([count, sorted(faults.values())]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, nargs=2, default=(1, 10))
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        seed, cases, folder = options.work
        inner = Path(folder, "a", "b")  # where files go that bad values name
        inner.mkdir(parents=True)
        os.chdir(inner)
        work(int(seed), int(cases), Path(folder))
        return 0
    first, seeds = options.seeds
    total, bad, start = 0, 0, time.monotonic()
    for seed in range(first, first + seeds):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-W", "ignore", __file__, "--work"]
            command += [str(seed), str(options.cases // seeds), folder]
            quiet = os.environ | {"TQDM_DISABLE": "1"}
            done = subprocess.run(command, check=False, timeout=SECONDS, env=quiet)
            if done.returncode:
                last = Path(folder, "last").read_text().strip()
                print(
                    f"seed {seed}: ended with {done.returncode} at {last}", flush=True
                )
                bad += 1
                continue
            count, faults = json.loads(Path(folder, "found").read_text())
        total, bad = total + count, bad + len(faults)
        seconds = time.monotonic() - start
        print(
            f"seed {seed}: {count} cases, {len(faults)} faults, {seconds:.0f} s so far"
        )
        print(*faults, sep="\n", end="\n" if faults else "", flush=True)
    print(f"{total} cases, {bad} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
