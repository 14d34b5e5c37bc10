"""The numbers that Keras's own tests expect of constant weights."""

import numpy as np
import pytest

from rnnext import exchange

RNN, LSTM, GRU = "SimpleRNN", "LSTM", "GRU"


def keras_constants(kind, inputs, units, **options):
    """Kernel .01, recurrent .02, bias .03; a unit forget bias is 1."""
    gates = {RNN: 1, GRU: 3, LSTM: 4}[kind]
    columns = gates * units
    weights = [np.full((inputs, columns), 0.01), np.full((units, columns), 0.02)]
    if options.get("use_bias", True):
        rows = (2,) if kind == GRU and options.get("reset_after", True) else ()
        weights.append(np.full((*rows, columns), 0.03))
    if kind == LSTM and options.get("unit_forget_bias", True) and len(weights) == 3:
        weights[2][units : 2 * units] = 1
    return weights


CONSTANTS = [
    (LSTM, {}, [0.6288687, 0.86899155, 0.9460773]),
    (LSTM, {"go_backwards": True}, [0.35622165, 0.74789524, 0.8872726]),
    (LSTM, {"unit_forget_bias": False}, [0.57019705, 0.8661914, 0.9459622]),
    (LSTM, {"use_bias": False}, [0.54986924, 0.86226785, 0.9443936]),
    (GRU, {}, [0.5217289, 0.6371659, 0.39384964]),
    (GRU, {"go_backwards": True}, [0.24406259, 0.611516, 0.3928808]),
    (GRU, {"reset_after": False}, [0.51447755, 0.6426879, 0.40208298]),
    (GRU, {"use_bias": False}, [0.49988455, 0.64701196, 0.4103359]),
]


@pytest.mark.parametrize(("kind", "options", "expected"), CONSTANTS)
def test_keras_constants(kind, options, expected):
    """keras/src/layers/rnn/{lstm,gru}_test.py, test_correctness."""
    weights = keras_constants(kind, 4, 3, **options)
    x = np.arange(72.0).reshape(3, 6, 4)
    own = {"reset_after": options.get("reset_after", True)} if kind == GRU else {}
    own["reverse"] = options.get("go_backwards", False)
    _, state = exchange.from_keras(weights, batch_first=True, **own)(x)
    h_n = state[0][0] if kind == LSTM else state[0]
    assert h_n == pytest.approx(np.repeat(expected, 3).reshape(3, 3), abs=2e-7)


INITIAL = [
    (LSTM, False, [[0.20574439, 0.3558822], [0.64930826, 0.66276]]),
    (LSTM, True, [[0.13281618, 0.2790356], [0.5839337, 0.5992567]]),
    (GRU, False, [[0.23774096, 0.33508456], [0.83659905, 1.0227708]]),
    (GRU, True, [[0.13486053, 0.23261218], [0.78257304, 0.9691353]]),
]


@pytest.mark.parametrize(("kind", "reverse", "expected"), INITIAL)
def test_keras_constants_with_an_initial_state(kind, reverse, expected):
    """test_pass_initial_state."""
    layer = exchange.from_keras(
        keras_constants(kind, 3, 2), batch_first=True, reverse=reverse
    )
    x, h = np.arange(24.0).reshape(2, 4, 3), np.arange(4.0).reshape(1, 2, 2)
    _, state = layer(x, (h, h) if kind == LSTM else h)
    h_n = state[0][0] if kind == LSTM else state[0]
    assert h_n == pytest.approx(np.array(expected), abs=2e-7)


SIMPLE = [(False, [0.405432, 0.73605347]), (True, [0.11144729, 0.5528889])]


@pytest.mark.parametrize(("reverse", "expected"), SIMPLE)
def test_keras_constants_of_a_simple_rnn(reverse, expected):
    weights, x = keras_constants(RNN, 4, 4), np.arange(24.0).reshape(2, 3, 4)
    layer = exchange.from_keras(weights, batch_first=True, reverse=reverse)
    found = layer(x)[1][0]
    assert found == pytest.approx(np.repeat(expected, 4).reshape(2, 4), abs=2e-7)


MASKED = [
    (
        LSTM,
        [[1, 1, 1, 0], [1, 1, 0, 0]],
        [
            [0.01588910, 0.05552048, 0.11755939, 0.11755939],
            [0.14185596, 0.28556206, 0.28556206, 0.28556206],
        ],
    ),
    (GRU, [[1, 1, 0, 1], [1, 0, 0, 1]], [[0.19393763], [0.30818558]]),
]


@pytest.mark.parametrize(("kind", "mask", "expected"), MASKED)
def test_keras_constants_with_a_mask(kind, mask, expected):
    """test_masking: outputs are held, or zero with `zero_output_for_mask`."""
    layer = exchange.from_keras(keras_constants(kind, 3, 2), batch_first=True)
    x, mask = np.arange(24.0).reshape(2, 4, 3), np.array(mask, bool)
    expected = np.repeat(np.array(expected)[..., None], 2, axis=2)
    held, _ = layer(x, mask=mask, pad="hold")
    steps = expected.shape[1]
    assert held[:, -steps:] == pytest.approx(expected, abs=2e-7)
    zeros, _ = layer(x, mask=mask, pad="zeros")
    assert (zeros == np.where(mask[..., None], held, 0)).all()


def test_keras_constants_of_a_bidirectional():
    """The last output of either direction, concatenated and averaged."""
    one, x = keras_constants(RNN, 4, 2), np.arange(24.0).reshape(2, 3, 4)
    layer = exchange.from_keras([*one, *one], batch_first=True)
    _, h_n = layer(x)
    expected = [[0.39687276, 0.7237238], [0.10004295, 0.53391594]]
    for found, direction in zip(h_n, expected, strict=True):
        assert found == pytest.approx(np.repeat(direction, 2).reshape(2, 2), abs=2e-7)
    mean = np.repeat([0.24845785, 0.6288199], 2).reshape(2, 2)
    assert h_n.mean(axis=0) == pytest.approx(mean, abs=2e-7)
