"""Any text as the configuration in a model file: the checks of it alone, for speed."""

import contextlib
import sys

import atheris
from instrument import instrument

from rnnext import files
from rnnext.app import checkpoint

# What rnnext.load makes a ValueError of, and Checkpoint.read an AppError.
REFUSED = (ValueError, TypeError, KeyError, RecursionError)


def one(data):
    text = data.decode("utf-8", "replace")
    try:
        about = files._about(text)
        files._model(about["model"], {"weight": ((2, 2), files._DTYPES["F32"])})
    except REFUSED:
        pass
    with contextlib.suppress(ValueError, RecursionError):
        checkpoint._described(text)


if __name__ == "__main__":
    instrument("rnnext", "json")
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
