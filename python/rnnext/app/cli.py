"""The console script: arguments to a command, errors to one line and exit code 2."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from textwrap import fill, indent

import rnnext

from . import bench, convert, info, inspect, sample, selftest, train
from .errors import AppError
from .output import printable
from .parser import Parser

# A command is a module with NAME, HELP, EXAMPLE (a line each), add_arguments(parser)
# and run(arguments).
COMMANDS = (train, sample, bench, info, selftest, inspect, convert)

INTERRUPTED = 130
BROKEN_PIPE = 141
ENDINGS = (
    "exit codes: 0 done; 1 a check failed; 2 a wrong option, file or text, told in one "
    "line; 130 stopped by Ctrl-C (train saves the model first)"
)


def parser() -> Parser:
    """The parser of all commands."""
    top = Parser(
        prog="rnnext",
        description=fill(
            "Train character-level language models and sample from them; measure and "
            "check this installation; look into model files and convert them."
        ),
        epilog=_epilog("rnnext train --seconds 60\nrnnext COMMAND --help"),
    )
    top.add_argument("--version", action="version", version=rnnext.__version__)
    commands = top.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for command in COMMANDS:
        sub = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=fill(command.HELP[0].upper() + command.HELP[1:] + "."),
            epilog=_epilog(command.EXAMPLE),
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return top


def _epilog(examples: str) -> str:
    return f"examples:\n{indent(examples, '  ')}\n\n{fill(ENDINGS)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    int
        Exit code: 0, 1 when a check failed, 2 for what the person at the keyboard can
        put right, 130 after Ctrl-C, 141 when the reader of the output has gone.
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
    line = " ".join(filter(None, map(str.strip, message.split("\n"))))
    print(f"rnnext: error: {printable(line)}", file=sys.stderr, flush=True)
    return 2
