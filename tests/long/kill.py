"""`rnnext train` killed again and again (SIGKILL), and trained on a disk that is full.

Every training is killed at random moments, half of them while a checkpoint is written,
until it is done; then its files have the bits of one that nobody disturbed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rnnext.app.checkpoint import Checkpoint

KINDS = {
    "gru": ["--cell", "gru", "--layers", "2", "--hidden-size", "12"],
    "lstm": ["--cell", "lstm", "--hidden-size", "16", "--dropout", "0.3"],
    "rnn": ["--cell", "rnn", "--hidden-size", "16", "--dtype", "float64"],
}
COMMON = ["--epochs", "2", "--batch-size", "4", "--sequence-length", "16"]
COMMON += ["--threads", "1", "--checkpoint-steps", "1"]
STATES = ("c.npz", "m.safetensors")


def command(text, folder, kind):
    places = ["--out", folder / "m.safetensors", "--checkpoint", folder / "c.npz"]
    options = [*KINDS[kind], *COMMON]
    return [sys.executable, "-m", "rnnext", "train", text, *places, *options]


def run(argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def unfinished(folder):
    """The files that were being written."""
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def killed(argv, folder, rng):
    """Whether the training was killed before it was done."""
    process = subprocess.Popen(
        [*argv, "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + rng.uniform(0.3, 4)
    within_a_write = rng.random() < 0.5
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    while within_a_write and process.poll() is None and not unfinished(folder):
        pass
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def kill_until_done(text, folder, kind, rng, least):
    """How often it was killed, how often within a write, and the fault or None."""
    argv, kills, writes = command(text, folder, kind), 0, 0
    while kills < least and killed(argv, folder, rng):
        kills += 1
        writes += bool(unfinished(folder))
        for path in unfinished(folder):  # nobody else would: seen anew the next time
            path.unlink()
        path = folder / "c.npz"
        if path.exists() and Checkpoint.read(str(path)) is None:
            return kills, writes, "a checkpoint that cannot be read"
    done = run([*argv, "--resume"])
    return kills, writes, done.stderr if done.returncode else None


def full(text, folder, kind, rng):
    """On a small disk of its own, which fills up; the fault, why not tried, or None."""
    if os.geteuid():
        return "not tried: root mounts a disk for it"
    size = rng.randint(20, 400)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder]
    if run(mount).returncode:
        return "not tried: no disk can be mounted here"
    try:
        done = run([*command(text, folder, kind), "--resume"])
        if done.returncode not in (0, 2) or "Traceback" in done.stderr:
            return done.stderr
        if done.returncode and "cannot write" not in done.stderr:
            return done.stderr
        if any(name not in (*STATES, "m.png") for name in os.listdir(folder)):
            return f"left behind: {os.listdir(folder)}"
        if (folder / "c.npz").exists() and not Checkpoint.read(str(folder / "c.npz")):
            return "a checkpoint that cannot be read"
        run(["mount", "-o", "remount,size=64m", folder])
        done = run([*command(text, folder, kind), "--resume"])
        if done.returncode:
            return done.stderr
        return None if files(folder) == files(folder.parent / "whole") else "other bits"
    finally:
        run(["umount", folder])


def files(folder):
    return (folder / "m.safetensors").read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="trainings of each kind")
    parser.add_argument("--kills", type=int, default=10, help="of a training, at most")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    rng, failed, kills, writes, disks = random.Random(options.seed), [], 0, 0, 0
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as name:
            base = Path(name)
            text = base / "words.txt"
            text.write_text("".join(f"{i * i} is {i} times {i}. " for i in range(400)))
            (base / "whole").mkdir()
            done = run(command(text, base / "whole", kind))
            assert done.returncode == 0, done.stderr
            for turn in range(options.rounds):
                folder = base / str(turn)
                folder.mkdir()
                counts = kill_until_done(text, folder, kind, rng, options.kills)
                kills, writes = kills + counts[0], writes + counts[1]
                fault = counts[2]
                if not fault and files(folder) != files(base / "whole"):
                    fault = "other bits"
                disk = base / f"disk{turn}"
                disk.mkdir()
                told = full(text, disk, kind, rng)
                disks += told is None
                if told and not told.startswith("not tried"):
                    fault = f"{fault or ''} full disk: {told}"
                print(f"{kind} {turn}: {counts[:2]} {told or ''} {fault or 'ok'}")
                sys.stdout.flush()
                if fault:
                    failed.append((kind, turn))
    print(
        f"{options.rounds * len(KINDS)} trainings, {kills} kills, {writes} of them in "
        f"a write; {disks} full disks; failed: {failed or 'none'}"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
