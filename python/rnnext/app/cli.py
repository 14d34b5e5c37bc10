"""The console script: arguments to a command, errors to one line and exit code 2."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import rnnext

from . import bench, sample, train
from .errors import AppError

# A command is a module with NAME, HELP, EXAMPLE, add_arguments(parser) and
# run(arguments).
COMMANDS = (train, sample, bench)

INTERRUPTED = 130
BROKEN_PIPE = 141
ENDINGS = (
    "exit codes: 0 done; 2 a wrong option, file or text, told in one line; 130 stopped "
    "by Ctrl-C (train saves the model first)"
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise AppError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = _Parser(
        prog="rnnext",
        description="Character-level language models, and the speed of this machine.",
        epilog=ENDINGS,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=rnnext.__version__)
    commands = top.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for command in COMMANDS:
        sub = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP[0].upper() + command.HELP[1:] + ".",
            epilog=f"example: `{command.EXAMPLE}`; {ENDINGS}",
            allow_abbrev=False,
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    int
        Exit code: 0, 2 for what the person at the keyboard can put right, 130 after
        Ctrl-C, 141 when the reader of the output has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        # A text may hold characters that the terminal's encoding lacks.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except AppError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory: choose smaller sizes")
    except KeyboardInterrupt:
        print("\nrnnext: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more as it ends; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _fail(message: str) -> int:
    line = " ".join(message.split("\n"))
    print(f"rnnext: error: {line}", file=sys.stderr, flush=True)
    return 2
