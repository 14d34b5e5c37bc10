"""Options of the cells given to the extension directly and wrongly: never a crash."""

import numpy as np
import pytest
from core_cases import WRONG, H, I, arrays, assert_all_wrong, wrong_arrays, zeros

from rnnext import _core

SIGMOID, TANH = ("Sigmoid", 0.0, 0.0), ("Tanh", 0.0, 0.0)
LSTM = (SIGMOID, SIGMOID, TANH, SIGMOID, TANH)
RIGHT = (LSTM, 1.0, np.inf, False)


def make(options, cell="lstm", directions=1, peephole=()):
    layers = [[*arrays(cell), *peephole]] * directions
    return _core.Stack(cell, layers, directions, options=options)


def test_right_ones():
    make([RIGHT])
    make([None])
    make([RIGHT, None], directions=2)
    make([RIGHT], peephole=[zeros(3, H)])
    make([(LSTM[:1], np.inf, 1.0, True)], "rnn_tanh")


WRONG_OPTIONS = {
    "of nothing": [],
    "a number": 3,
    "of a number": [3],
    "two for one direction": [RIGHT, RIGHT],
    "too short": [RIGHT[:3]],
    "too long": [(*RIGHT, None)],
    "four activations": [(LSTM[:4], *RIGHT[1:])],
    "six activations": [((*LSTM, TANH), *RIGHT[1:])],
    "no activations": [(None, *RIGHT[1:])],
    "names alone": [(("Tanh",) * 5, *RIGHT[1:])],
    "an unknown name": [((("Cosine", 0.0, 0.0),) * 5, *RIGHT[1:])],
    "no name": [(((None, 0.0, 0.0),) * 5, *RIGHT[1:])],
    "alpha": [((("Elu", "1", 0.0),) * 5, *RIGHT[1:])],
    "beta": [((("Elu", 1.0, None),) * 5, *RIGHT[1:])],
    "gate_clip": [(LSTM, "much", *RIGHT[2:])],
    "cell_clip": [(LSTM, 1.0, None, False)],
    "coupled": [(LSTM, 1.0, 1.0, "yes")],
}


@pytest.mark.parametrize("options", WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_wrong_ones(options):
    with pytest.raises(WRONG):
        make(options)


def test_wrong_peepholes():
    wrong = [w for w in wrong_arrays(3, H) if w is not None]  # None: no peepholes
    assert_all_wrong(lambda w: make([RIGHT], peephole=[w]), wrong)


def test_peepholes_need_an_lstm_with_options():
    for cell, options in (("lstm", None), ("lstm", [None]), ("gru", [None])):
        with pytest.raises(ValueError, match="w_ch"):
            make(options, cell, peephole=[zeros(3, H)])


def projected(w_hr, cell="lstm", gates=4, layers=1):
    arrays = [zeros(gates * H, I), zeros(gates * H, H - 1), None, None, None, w_hr]
    above = [zeros(gates * H, H - 1), *arrays[1:5], None]
    return _core.Stack(cell, [arrays, above][:layers], 1)


def test_wrong_projections():
    wrong = [w for w in wrong_arrays(H - 1, H) if w is not None]
    assert_all_wrong(projected, wrong)
    for call in (
        lambda: projected(zeros(H - 1, H), "gru", 3),
        lambda: projected(zeros(H - 1, H), layers=2),
        lambda: projected(zeros(H - 1, H - 1)),
    ):
        with pytest.raises(ValueError, match="w_hr"):
            call()
