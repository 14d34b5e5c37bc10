"""Threads on layers that change, for as long as wanted: `test_threads.py`, soaked."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
FILES = ("test_threads.py", "test_process.py", "test_interrupts.py")
WORDS = "thread or mixture or writable or course or joblib or pools or fork or exit"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    end, rounds = time.monotonic() + 60 * options.minutes, 0
    while time.monotonic() < end:
        argv = [sys.executable, "-m", "pytest", "-q", "-x", "-k", WORDS]
        done = subprocess.run(
            [*argv, *(TESTS / name for name in FILES)],
            env=os.environ | {"RNNEXT_SOAK_SECONDS": "10"},
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stdout.splitlines()[-1], flush=True)
        if done.returncode:
            print(done.stdout, done.stderr)
            return 1
        rounds += 1
    print(f"{rounds} rounds without a fault")
    return 0


if __name__ == "__main__":
    sys.exit(main())
