"""The parser of all commands: examples in the help, mistakes with the nearest word."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from rnnext._names import nearest

from .errors import AppError


class Parser(argparse.ArgumentParser):
    """Of all commands, and of each; a mistake is an AppError.

    Parameters
    ----------
    **options
        As of `argparse.ArgumentParser`.

    Examples
    --------
    >>> parser = Parser(prog="rnnext")
    >>> _ = parser.add_argument("--threads")
    >>> parser.parse_args(["--thread", "2"])
    Traceback (most recent call last):
    rnnext.app.errors.AppError: unrecognized arguments: --thread 2; did you mean \
--threads? (see rnnext --help)
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        raise AppError(f"{message} (see {self.prog} --help)")

    # The signatures of argparse are overloads of these.
    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """As of argparse; an option that is unknown names the nearest."""
        found, rest = self.parse_known_args(args, namespace)
        parser: Parser = found.parser
        del found.parser
        if rest:
            known = parser._option_string_actions
            meant = [nearest(word.split("=")[0], known) for word in rest]
            parser.error(f"unrecognized arguments: {' '.join(rest)}{''.join(meant)}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """The same words in every Python, and the nearest choice."""
        choices = [str(choice) for choice in action.choices or ()]
        if choices and value not in choices:
            raise argparse.ArgumentError(
                action,
                f"invalid choice: {value!r} (choose from {', '.join(choices)})"
                f"{nearest(str(value), choices)}",
            )
