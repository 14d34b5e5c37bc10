"""Any bytes as a model of ONNX: ValueError or TypeError, nothing else."""

import sys

import atheris
from instrument import instrument

import rnnext.onnx


def one(data):
    try:
        rnnext.onnx.load(data)
    except (ValueError, TypeError) as error:
        if not str(error):
            raise


if __name__ == "__main__":
    instrument("rnnext")
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
