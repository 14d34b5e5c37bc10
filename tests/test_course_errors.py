"""Wrong calls of the course's functions: type and message, and life after them."""

import re

import numpy as np
import pytest
from course_cases import KINDS, cell_forward, draw, loop_backward, loop_forward

import rnnext

RNN, UWV, LSTM, GRU = (draw(kind) for kind in KINDS)  # (3, 5, 2, 10, 4)
RNN_CELL, UWV_CELL, LSTM_CELL, GRU_CELL = (
    cell_forward(rnnext, case)[1] for case in (RNN, UWV, LSTM, GRU)
)
RNN_CACHES, UWV_CACHES, LSTM_CACHES, GRU_CACHES = (
    loop_forward(rnnext, case)[1] for case in (RNN, UWV, LSTM, GRU)
)
XT = RNN.x[:, :, 0]
DA = RNN.da[:, :, 0]
REAL = "expected an array of real numbers"


def without(parameters, *names):
    return {name: v for name, v in parameters.items() if name not in names}


def entry(cache, index, value):
    """The cache with one entry replaced."""
    return (*cache[:index], value, *cache[index + 1 :])


def zeros(*shape):
    return np.zeros(shape)


WRONG = {
    # softmax, sigmoid
    "softmax of a scalar": (
        lambda: rnnext.softmax(1.0),
        ValueError,
        r"^x: expected shape \(n, ...\), got \(\)$",
    ),
    "softmax of complex": (
        lambda: rnnext.softmax(zeros(3) + 1j),
        TypeError,
        rf"^x: {REAL}.*, got dtype complex128$",
    ),
    "softmax of a string": (
        lambda: rnnext.softmax("abc"),
        TypeError,
        rf"^x: {REAL}.*, got str$",
    ),
    "sigmoid of None": (
        lambda: rnnext.sigmoid(None),
        TypeError,
        rf"^x: {REAL}.*, got NoneType$",
    ),
    "sigmoid of objects": (
        lambda: rnnext.sigmoid(np.array([1, None])),
        TypeError,
        rf"^x: {REAL}.*, got dtype object$",
    ),
    "sigmoid of a ragged list": (
        lambda: rnnext.sigmoid([[1.0, 2.0], [3.0]]),
        ValueError,
        r"^x: expected an array, got .*inhomogeneous",
    ),
    "sigmoid of dates": (
        lambda: rnnext.sigmoid(np.array(["2020-01-01"], dtype="datetime64[D]")),
        TypeError,
        rf"^x: {REAL}.*, got dtype datetime64",
    ),
    "sigmoid of a dict": (
        lambda: rnnext.sigmoid({"x": 1.0}),
        TypeError,
        rf"^x: {REAL}.*, got dict$",
    ),
    # x and states
    "x of two dimensions": (
        lambda: rnnext.rnn_forward(XT, RNN.a0, RNN.p),
        ValueError,
        r"^x: expected shape \(n_x=3, m, T_x\), got \(3, 10\)$",
    ),
    "x of other features": (
        lambda: rnnext.lstm_forward(zeros(4, 10, 7), LSTM.a0, LSTM.p),
        ValueError,
        r"^x: expected shape \(n_x=3, m, T_x\), got \(4, 10, 7\)$",
    ),
    "x of strings": (
        lambda: rnnext.gru_forward(np.full((3, 10, 4), "a"), GRU.a0, GRU.p),
        TypeError,
        rf"^x: {REAL}.*, got dtype <U1$",
    ),
    "x of None": (
        lambda: rnnext.gru_forward(None, GRU.a0, GRU.p),
        TypeError,
        rf"^x: {REAL}.*, got NoneType$",
    ),
    "xt of three dimensions": (
        lambda: rnnext.rnn_cell_forward(RNN.x, RNN.a0, RNN.p),
        ValueError,
        r"^xt: expected shape \(n_x=3, m\), got \(3, 10, 4\)$",
    ),
    "xt complex": (
        lambda: rnnext.lstm_cell_forward(XT + 0j, LSTM.a0, LSTM.c0, LSTM.p),
        TypeError,
        rf"^xt: {REAL}.*, got dtype complex128$",
    ),
    "xt of long doubles": (
        lambda: rnnext.rnn_cell_forward(XT.astype(np.longdouble), RNN.a0, RNN.p),
        TypeError,
        rf"^xt: {REAL}.*, got dtype (float128|float96)$",
    ),
    "a0 of another batch": (
        lambda: rnnext.rnn_forward(RNN.x, zeros(5, 9), RNN.p),
        ValueError,
        r"^a0: expected shape \(n_a=5, m=10\), got \(5, 9\)$",
    ),
    "a0 of one column": (
        lambda: rnnext.gru_forward(GRU.x, zeros(5, 1), GRU.p),
        ValueError,
        r"^a0: expected shape \(n_a=5, m=10\), got \(5, 1\)$",
    ),
    "a0 of other units": (
        lambda: rnnext.rnn_forward(UWV.x, zeros(6, 10), UWV.p),
        ValueError,
        r"^a0: expected shape \(n_a=5, m=10\), got \(6, 10\)$",
    ),
    "a0 of None": (
        lambda: rnnext.rnn_forward(RNN.x, None, RNN.p),
        TypeError,
        rf"^a0: {REAL}.*, got NoneType$",
    ),
    "a_prev with a time axis": (
        lambda: rnnext.gru_cell_forward(XT, zeros(5, 10, 1), GRU.p),
        ValueError,
        r"^a_prev: expected shape \(n_a=5, m=10\), got \(5, 10, 1\)$",
    ),
    "c0 of another batch": (
        lambda: rnnext.lstm_forward(LSTM.x, LSTM.a0, LSTM.p, zeros(5, 11)),
        ValueError,
        r"^c0: expected shape \(n_a=5, m=10\), got \(5, 11\)$",
    ),
    "c_prev transposed": (
        lambda: rnnext.lstm_cell_forward(XT, LSTM.a0, LSTM.c0.T, LSTM.p),
        ValueError,
        r"^c_prev: expected shape \(n_a=5, m=10\), got \(10, 5\)$",
    ),
    "c_prev of None": (
        lambda: rnnext.lstm_cell_forward(XT, LSTM.a0, None, LSTM.p),
        TypeError,
        rf"^c_prev: {REAL}.*, got NoneType$",
    ),
    # parameters
    "parameters in a list": (
        lambda: rnnext.rnn_forward(RNN.x, RNN.a0, list(RNN.p.values())),
        TypeError,
        r"^parameters: expected a dict, got list$",
    ),
    "parameters forgotten in a cell": (
        lambda: rnnext.rnn_cell_forward(XT, RNN.a0, None),
        TypeError,
        r"^parameters: expected a dict, got NoneType$",
    ),
    "no Waa": (
        lambda: rnnext.rnn_forward(RNN.x, RNN.a0, without(RNN.p, "Waa")),
        ValueError,
        r"^parameters: missing 'Waa' of the notation Wax Waa ba Wya by, or 'U', .*",
    ),
    "no V and by": (
        lambda: rnnext.rnn_cell_forward(XT, UWV.a0, without(UWV.p, "V", "by")),
        ValueError,
        r"^parameters: missing 'V', 'by' of the notation U W ba V by, or 'Wax'",
    ),
    "parameters of nothing": (
        lambda: rnnext.rnn_forward(RNN.x, RNN.a0, {}),
        ValueError,
        r"^parameters: missing 'Wax', 'Waa', 'ba', 'Wya', 'by' of",
    ),
    "parameters of an RNN for an LSTM": (
        lambda: rnnext.lstm_forward(RNN.x, RNN.a0, RNN.p),
        ValueError,
        r"^parameters: missing 'Wi', 'bi', 'Wf', 'bf', 'Wc', 'bc', 'Wo', 'bo', 'Wy' of",
    ),
    "no bu": (
        lambda: rnnext.gru_forward(GRU.x, GRU.a0, without(GRU.p, "bu")),
        ValueError,
        r"^parameters: missing 'bu' of the notation Wr br Wu bu Wc bc Wy by$",
    ),
    "Waa not square": (
        lambda: rnnext.rnn_forward(RNN.x, RNN.a0, RNN.p | {"Waa": zeros(5, 4)}),
        ValueError,
        r"^parameters\['Waa'\]: expected shape \(n_a=5, n_a=5\), got \(5, 4\)$",
    ),
    "U of other units": (
        lambda: rnnext.rnn_forward(UWV.x, UWV.a0, UWV.p | {"U": zeros(6, 3)}),
        ValueError,
        r"^parameters\['U'\]: expected shape \(n_a=5, n_x=3\), got \(6, 3\)$",
    ),
    "Wf without the state's columns": (
        lambda: rnnext.lstm_forward(LSTM.x, LSTM.a0, LSTM.p | {"Wf": zeros(5, 3)}),
        ValueError,
        r"^parameters\['Wf'\]: expected shape \(n_a=5, n_a \+ n_x=8\), got \(5, 3\)$",
    ),
    "Wu transposed": (
        lambda: rnnext.gru_cell_forward(XT, GRU.a0, GRU.p | {"Wu": zeros(8, 5)}),
        ValueError,
        r"^parameters\['Wu'\]: expected shape \(n_a=5, n_a \+ n_x=8\), got \(8, 5\)$",
    ),
    "bias of one dimension": (
        lambda: rnnext.rnn_forward(RNN.x, RNN.a0, RNN.p | {"ba": zeros(5)}),
        ValueError,
        r"^parameters\['ba'\]: expected shape \(n_a=5, 1\), got \(5,\)$",
    ),
    "by of other outputs": (
        lambda: rnnext.lstm_forward(LSTM.x, LSTM.a0, LSTM.p | {"by": zeros(3, 1)}),
        ValueError,
        r"^parameters\['by'\]: expected shape \(n_y=2, 1\), got \(3, 1\)$",
    ),
    "Wy of other units": (
        lambda: rnnext.gru_forward(GRU.x, GRU.a0, GRU.p | {"Wy": zeros(2, 6)}),
        ValueError,
        r"^parameters\['Wy'\]: expected shape \(n_y=2, n_a=5\), got \(2, 6\)$",
    ),
    "Wax of objects": (
        lambda: rnnext.rnn_forward(
            RNN.x, RNN.a0, RNN.p | {"Wax": RNN.p["Wax"].astype(object)}
        ),
        TypeError,
        rf"^parameters\['Wax'\]: {REAL}.*, got dtype object$",
    ),
    "bo of None": (
        lambda: rnnext.lstm_cell_forward(XT, LSTM.a0, LSTM.c0, LSTM.p | {"bo": None}),
        TypeError,
        rf"^parameters\['bo'\]: {REAL}.*, got NoneType$",
    ),
    "no outputs": (
        lambda: rnnext.rnn_forward(
            RNN.x, RNN.a0, RNN.p | {"Wya": zeros(0, 5), "by": zeros(0, 1)}
        ),
        ValueError,
        r"^parameters: expected n_a, n_x and n_y of at least 1, got .*Wya \(0, 5\)",
    ),
    "no inputs": (
        lambda: rnnext.rnn_forward(
            zeros(0, 10, 4), RNN.a0, RNN.p | {"Wax": zeros(5, 0)}
        ),
        ValueError,
        r"^parameters: expected n_a, n_x and n_y of at least 1, got Wax \(5, 0\)",
    ),
    # incoming gradients
    "da of more steps than the forward": (
        lambda: rnnext.rnn_backward(zeros(5, 10, 5), RNN_CACHES),
        ValueError,
        r"^da: expected shape \(n_a=5, m=10, T_x<=4\), got \(5, 10, 5\)$",
    ),
    "da of another batch": (
        lambda: rnnext.lstm_backward(zeros(5, 9, 4), LSTM_CACHES),
        ValueError,
        r"^da: expected shape \(n_a=5, m=10, T_x<=4\), got \(5, 9, 4\)$",
    ),
    "da without time": (
        lambda: rnnext.gru_backward(DA, GRU_CACHES),
        ValueError,
        r"^da: expected shape \(n_a=5, m=10, T_x<=4\), got \(5, 10\)$",
    ),
    "da of None and no dy": (
        lambda: rnnext.rnn_backward(None, RNN_CACHES),
        TypeError,
        r"^da: expected an array, got None and no dy$",
    ),
    "da_next of None and no dy": (
        lambda: rnnext.lstm_cell_backward(None, LSTM.dc, LSTM_CELL),
        TypeError,
        r"^da_next: expected an array, got None and no dy$",
    ),
    "da complex": (
        lambda: rnnext.rnn_backward(RNN.da + 0j, RNN_CACHES),
        TypeError,
        rf"^da: {REAL}.*, got dtype complex128$",
    ),
    "da_next with time": (
        lambda: rnnext.rnn_cell_backward(RNN.da, RNN_CELL),
        ValueError,
        r"^da_next: expected shape \(n_a=5, m=10\), got \(5, 10, 4\)$",
    ),
    "da_next of other units": (
        lambda: rnnext.gru_cell_backward(zeros(4, 10), GRU_CELL),
        ValueError,
        r"^da_next: expected shape \(n_a=5, m=10\), got \(4, 10\)$",
    ),
    "dc_next with time": (
        lambda: rnnext.lstm_backward(LSTM.da, LSTM_CACHES, zeros(5, 10, 4)),
        ValueError,
        r"^dc_next: expected shape \(n_a=5, m=10\), got \(5, 10, 4\)$",
    ),
    "dc_next of a cell, another batch": (
        lambda: rnnext.lstm_cell_backward(DA, zeros(5, 1), LSTM_CELL),
        ValueError,
        r"^dc_next: expected shape \(n_a=5, m=10\), got \(5, 1\)$",
    ),
    "dc_next of strings": (
        lambda: rnnext.lstm_backward(LSTM.da, LSTM_CACHES, dc_next="0"),
        TypeError,
        rf"^dc_next: {REAL}.*, got str$",
    ),
    "dy of the states' shape": (
        lambda: rnnext.rnn_backward(RNN.da, RNN_CACHES, dy=RNN.da),
        ValueError,
        r"^dy: expected shape \(n_y=2, m=10, T_x=4\), got \(5, 10, 4\)$",
    ),
    "dy of other steps than da": (
        lambda: rnnext.gru_backward(GRU.da, GRU_CACHES, dy=GRU.dy[:, :, :3]),
        ValueError,
        r"^dy: expected shape \(n_y=2, m=10, T_x=4\), got \(2, 10, 3\)$",
    ),
    "dy of more steps than the forward": (
        lambda: rnnext.rnn_backward(None, UWV_CACHES, dy=zeros(2, 10, 6)),
        ValueError,
        r"^dy: expected shape \(n_y=2, m=10, T_x<=4\), got \(2, 10, 6\)$",
    ),
    "dy of a cell with time": (
        lambda: rnnext.rnn_cell_backward(DA, RNN_CELL, dy=RNN.dy),
        ValueError,
        r"^dy: expected shape \(n_y=2, m=10\), got \(2, 10, 4\)$",
    ),
    # caches
    "cache of None": (
        lambda: rnnext.rnn_cell_backward(DA, None),
        TypeError,
        r"^cache: expected a cell cache \(a_next, a_prev, xt, .*\), got NoneType$",
    ),
    "cache of a GRU for an RNN": (
        lambda: rnnext.rnn_cell_backward(DA, GRU_CELL),
        ValueError,
        r"^cache: expected a cell cache \(a_next, a_prev, xt, .*\), got 7 entries$",
    ),
    "caches of a loop for a cell": (
        lambda: rnnext.lstm_cell_backward(DA, DA, LSTM_CACHES),
        ValueError,
        r"^cache: expected a cell cache .*, got 2 entries$",
    ),
    "cache with a wrong gate": (
        lambda: rnnext.lstm_cell_backward(DA, DA, entry(LSTM_CELL, 4, zeros(5, 9))),
        ValueError,
        r"^cache\[4\] \(ft\): expected shape \(n_a=5, m=10\), got \(5, 9\)$",
    ),
    "cache with complex states": (
        lambda: rnnext.gru_cell_backward(DA, entry(GRU_CELL, 1, zeros(5, 10) + 1j)),
        TypeError,
        rf"^cache\[1\] \(a_prev\): {REAL}.*, got dtype complex128$",
    ),
    "cache with a wrong x": (
        lambda: rnnext.rnn_cell_backward(DA, entry(UWV_CELL, 2, zeros(2, 10))),
        ValueError,
        r"^cache\[2\] \(xt\): expected shape \(n_x=3, m=10\), got \(2, 10\)$",
    ),
    "cache without parameters": (
        lambda: rnnext.rnn_cell_backward(DA, entry(RNN_CELL, 3, None)),
        TypeError,
        r"^parameters: expected a dict, got NoneType$",
    ),
    "caches of an array": (
        lambda: rnnext.rnn_backward(RNN.da, RNN.da),
        TypeError,
        r"^caches: expected a pair \(list of cell caches, x\).*, got ndarray$",
    ),
    "caches of None": (
        lambda: rnnext.lstm_backward(LSTM.da, None),
        TypeError,
        r"^caches: expected a pair \(list of cell caches, x\).*, got NoneType$",
    ),
    "caches of an RNN for an LSTM": (
        lambda: rnnext.lstm_backward(LSTM.da, RNN_CACHES),
        TypeError,
        r"^caches: expected those of lstm_forward, got those of rnn_forward$",
    ),
    "caches of an LSTM for a GRU": (
        lambda: rnnext.gru_backward(LSTM.da, LSTM_CACHES),
        TypeError,
        r"^caches: expected those of gru_forward, got those of lstm_forward$",
    ),
    "caches of the loop without x": (
        lambda: rnnext.lstm_backward(LSTM.da, LSTM_CACHES[0]),
        ValueError,
        r"^caches: expected a pair \(list of cell caches, x\), got 4 cell caches",
    ),
    "cell cache for a loop": (
        lambda: rnnext.rnn_backward(RNN.da, RNN_CELL),
        TypeError,
        r"^caches\[0\]: expected a cell cache .*, got ndarray$",
    ),
    "caches of no cell cache": (
        lambda: rnnext.rnn_backward(RNN.da, ([], RNN.x)),
        ValueError,
        r"^caches: expected at least one cell cache, got none$",
    ),
    "caches built of too few": (
        lambda: rnnext.rnn_backward(RNN.da, (RNN_CACHES[0][:2], RNN.x)),
        ValueError,
        r"^da: expected shape \(n_a=5, m=10, T_x<=2\), got \(5, 10, 4\)$",
    ),
    "caches built with a wrong step": (
        lambda: rnnext.gru_backward(GRU.da, ([*GRU_CACHES[0][:3], RNN_CELL], GRU.x)),
        ValueError,
        r"^caches\[0\]\[3\]: expected a cell cache \(a_next, .*\), got 4 entries$",
    ),
    "caches built with a wrong state": (
        lambda: rnnext.rnn_backward(
            UWV.da, [*UWV_CACHES[:3], entry(UWV_CACHES[3], 1, zeros(5, 9))]
        ),
        ValueError,
        r"^caches\[3\]\[1\] \(a_prev\): expected shape \(n_a=5, m=10\), got \(5, 9\)$",
    ),
    "caches built with two notations": (
        lambda: rnnext.rnn_backward(RNN.da, ([*RNN_CACHES[0][:3], UWV_CELL], RNN.x)),
        ValueError,
        r"^caches\[0\]\[3\]: expected the names .*, Wax .* with .*, got U W ba V by",
    ),
}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_says_what_was_expected(call):
    function, error, message = WRONG[call]
    with pytest.raises(error, match=message) as caught:
        function()
    assert type(caught.value) is error
    assert re.search(r"expected|missing", str(caught.value))


def test_everything_works_after_the_errors():
    for case, caches in (
        (RNN, RNN_CACHES),
        (UWV, UWV_CACHES),
        (LSTM, LSTM_CACHES),
        (GRU, GRU_CACHES),
    ):
        want = loop_backward(rnnext, case, caches, dy=True)
        for function, error, _ in WRONG.values():
            with pytest.raises(error):
                function()
        got = loop_backward(rnnext, case, caches, dy=True)
        for name, value in want.items():
            np.testing.assert_array_equal(got[name], value)
