"""Errors that a command reports as one line."""


class AppError(Exception):
    """What the person at the keyboard can put right; its text is the whole message."""


EXTRA = 'pip install "rnnext[app]"'


def missing(package: str, purpose: str) -> str:
    """Say that an optional package is missing and how to install it.

    Parameters
    ----------
    package : str
        Name of the package.
    purpose : str
        What needs it.

    Returns
    -------
    str
        One line.
    """
    return f"{purpose} needs {package}: {EXTRA}"
