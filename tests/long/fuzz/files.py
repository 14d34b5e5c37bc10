"""Any bytes as a file of a model (npz, safetensors) or a checkpoint.

ValueError, OSError and AppError that name the file; nothing else.
"""

import os
import sys
import tempfile

import atheris
from instrument import instrument

import rnnext
from rnnext.app.checkpoint import Checkpoint
from rnnext.app.errors import AppError

PATH = os.path.join(tempfile.mkdtemp(), "file")


def one(data):
    with open(PATH, "wb") as file:
        file.write(data)
    for read in (rnnext.load, Checkpoint.read):
        try:
            read(PATH)
        except (ValueError, OSError, AppError) as error:  # noqa: PERF203
            if PATH not in str(error):
                raise


if __name__ == "__main__":
    instrument("rnnext", "zipfile", "json", "numpy.lib._format")
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
