"""Commands run in this process, and models for them to read."""

import json

import numpy as np

import rnnext
from rnnext.app.cli import main


def printed(capsys, *argv, code=0):
    """What a command writes to stdout."""
    assert main(list(map(str, argv))) == code
    return capsys.readouterr().out


def as_json(capsys, *argv, code=0):
    """What it writes with --json."""
    return json.loads(printed(capsys, *argv, "--json", code=code))


def refused(capsys, *argv):
    """Run what must end with one line and exit code 2; return the line."""
    assert main(list(map(str, argv))) == 2
    streams = capsys.readouterr()
    (line,) = streams.err.splitlines()
    assert line.startswith("rnnext: error: ")
    assert streams.out == ""
    return line


def classifier():
    """A model of every kind of layer that a Sequential has."""
    return rnnext.Sequential(
        {
            "words": rnnext.Embedding(30, 8, rng=0),
            "rnn": rnnext.LSTM(8, 16, 2, bidirectional=True, dropout=0.5, rng=1),
            "drop": rnnext.Dropout(0.5),
            "pool": rnnext.Pool("last", bidirectional=True),
            "head": rnnext.Linear(32, 4, rng=2),
        }
    )


def same_parameters(one, other):
    """Whether names, dtypes and all bits agree."""
    first, second = one.parameters, other.parameters
    return list(first) == list(second) and all(
        array.dtype == second[name].dtype and np.array_equal(array, second[name])
        for name, array in first.items()
    )
