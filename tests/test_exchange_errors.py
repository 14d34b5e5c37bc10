"""Weights of other notations that do not fit: the message says what and why."""

import numpy as np
import pytest

import rnnext
from rnnext import exchange

I, H = 5, 4
NOTATIONS = ["torch", "keras", "flax", "haste", "onednn", "onnx", "course"]


def lstm_arrays():
    return [np.ones((I, 4 * H)), np.ones((H, 4 * H)), np.ones(4 * H)]


def gru_arrays(rows=(2,)):
    return [np.ones((I, 3 * H)), np.ones((H, 3 * H)), np.ones((*rows, 3 * H))]


ONNX_GRU = {"W": np.ones((1, 3 * H, I)), "R": np.ones((1, 3 * H, H))}
STATE_DICT = {
    "a.weight_ih_l0": np.ones((4 * H, I)),
    "a.weight_hh_l0": np.ones((4 * H, H)),
}
ONEDNN = {
    "weights_layer": np.ones((1, 1, I, 3, H)),
    "weights_iter": np.ones((1, 1, H, 3, H)),
    "bias": np.ones((1, 1, 4, H)),
}
SIMPLE = {"i": {"kernel": np.ones((I, H)), "bias": np.ones(H)}}
WRONG = {
    "nothing": (exchange.from_keras, [], {}, "at least one"),
    "no list": (exchange.from_keras, [np.ones(3)], {}, r"layers\[0\]: expected a list"),
    "five arrays": (exchange.from_keras, [lstm_arrays()[:2] + [1] * 3], {}, "got 5"),
    "kernel": (
        exchange.from_keras,
        [[np.ones((I, H)), *lstm_arrays()[1:]]],
        {},
        r"kernel: expected shape \(I=5, G\*H=16\), got \(5, 4\)",
    ),
    "upper layer": (
        exchange.from_keras,
        [lstm_arrays(), lstm_arrays()],
        {},
        r"layers\[1\] kernel: expected shape \(I=4, G\*H=16\), got \(5, 16\)",
    ),
    "gates": (
        exchange.from_keras,
        [[np.ones((I, 2 * H)), np.ones((H, 2 * H))]],
        {},
        r"recurrent_kernel: expected H=4 and G\*H.*got \(4, 8\)",
    ),
    "no bias in the layer": (
        exchange.from_keras,
        [lstm_arrays()],
        {"bias": False},
        "bias: the weights are those of bias=True, got False",
    ),
    "reset of two biases": (
        exchange.from_keras,
        [gru_arrays()],
        {"reset_after": False},
        "reset_after: the weights are those of reset_after=True",
    ),
    "reset of one bias": (
        exchange.from_keras,
        [gru_arrays(())],
        {"reset_after": True},
        "reset_after: the weights are those of reset_after=False",
    ),
    "unknown reset": (
        exchange.from_keras,
        [gru_arrays()[:2]],
        {},
        "reset_after: expected True or False",
    ),
    "unknown reset of ONNX": (
        exchange.from_onnx,
        [ONNX_GRU],
        {},
        "reset_after: expected True or False",
    ),
    "one B": (
        exchange.from_onnx,
        [ONNX_GRU | {"B": np.ones((1, 6 * H))}, ONNX_GRU],
        {"reset_after": True},
        "B, and P, in all of them or in none",
    ),
    "name of ONNX": (exchange.from_onnx, [{"W": 1, "Q": 1}], {}, "R is missing; Q is"),
    "prefix": (exchange.from_torch, [STATE_DICT], {}, "lead to a layer: 'a.'"),
    "other names": (
        exchange.from_torch,
        [STATE_DICT | {"a.fc": 1}, "a."],
        {},
        "a.fc is unknown",
    ),
    "rows of one weight": (
        exchange.from_torch,
        [{"weight_ih_l0": np.ones((4, 3)), "weight_hh_l0": np.ones((3, 1))}],
        {},
        r"weight_ih_l0 and weight_hh_l0: expected G\*H rows in both, got 4 and 3",
    ),
    "no state_dict": (exchange.from_torch, [[1]], {}, "state_dict: expected a mapping"),
    "no name": (exchange.from_torch, [{3: 1}], {}, "got a key of int"),
    "half a bias": (
        exchange.from_torch,
        [STATE_DICT | {"a.bias_ih_l0": np.ones(4 * H)}, "a."],
        {},
        "a.bias_hh_l0 is missing",
    ),
    "complex": (
        exchange.from_torch,
        [{k: a * 1j for k, a in STATE_DICT.items()}, "a."],
        {},
        "expected real numbers",
    ),
    "half precision": (
        exchange.from_torch,
        [{k: a.astype(np.float16) for k, a in STATE_DICT.items()}, "a."],
        {},
        "pass dtype=np.float32",
    ),
    "bias of a vanilla_gru": (
        exchange.from_onednn,
        [ONEDNN],
        {"reset_after": False},
        "reset_after=True",
    ),
    "layers of oneDNN": (
        exchange.from_onednn,
        [{k: np.concatenate([a, a]) for k, a in ONEDNN.items()}],
        {},
        "expected I=4, which the upper layers take",
    ),
    "directions of oneDNN": (
        exchange.from_onednn,
        [{k: np.ones((2, 2, *a.shape[2:])) for k, a in ONEDNN.items()}],
        {},
        "expected one layer or one direction.* got L=2, D=2",
    ),
    "gates of oneDNN": (
        exchange.from_onednn,
        [ONEDNN | {"weights_layer": np.ones((1, 1, I, 2, H))}],
        {},
        "ldigo",
    ),
    "no cell of Flax": (exchange.from_flax, [{"x": 1}], {}, "LSTMCell"),
    "half a cell": (
        exchange.from_flax,
        [SIMPLE | {"h": {}}],
        {},
        "h: kernel is missing",
    ),
    "bias too many": (
        exchange.from_flax,
        [SIMPLE | {"h": {"kernel": np.ones((H, H)), "bias": np.ones(H)}}],
        {},
        r"layers\[0\] h: bias is unknown",
    ),
    "directions": (
        exchange.from_flax,
        [({}, {}), {}],
        {},
        r"as many directions in every layer, got \[2, 1\]",
    ),
    "an Elman network of haste": (
        exchange.from_haste,
        [
            {
                "kernel": SIMPLE["i"]["kernel"],
                "recurrent_kernel": np.ones((H, H)),
                "bias": 1,
            }
        ],
        {},
        "haste has no other cells",
    ),
    "recurrent bias of an LSTM": (
        exchange.from_haste,
        [
            dict(
                zip(("kernel", "recurrent_kernel", "bias"), lstm_arrays(), strict=True)
            )
            | {"recurrent_bias": 1}
        ],
        {},
        "recurrent_bias is unknown",
    ),
    "names of the course": (exchange.from_course, [{"Wf": 1}], {}, "Wi bi Wf bf"),
    "a bias of the course": (
        exchange.from_course,
        [{"Wax": np.ones((H, I)), "Waa": np.ones((H, H)), "ba": np.ones(H)}],
        {},
        r"ba: expected shape \(n_a=4, 1\), got \(4,\)",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(case):
    function, arguments, options, message = case
    with pytest.raises((ValueError, TypeError), match=message):
        function(*arguments, **options)


@pytest.mark.parametrize("notation", NOTATIONS)
def test_only_layers(notation):
    with pytest.raises(TypeError, match="layer: expected an RNN, LSTM or GRU"):
        getattr(exchange, f"to_{notation}")(rnnext.LSTMCell(I, H))


def test_onednn_runs_directions_independently():
    with pytest.raises(ValueError, match="layer: expected one layer or one direction"):
        exchange.to_onednn(rnnext.GRU(2 * H, H, num_layers=2, bidirectional=True))


def test_onednn_has_one_array_for_all_layers():
    with pytest.raises(
        ValueError, match=r"inputs have to be of one size, got \[4, 5\]"
    ):
        exchange.to_onednn(rnnext.LSTM(I, H, num_layers=2))
