"""Options of the cells against the reference, complex steps, and others' numbers."""

import copy
import pickle

import numpy as np
import pytest
import reference
from conftest import (
    COMPLEX_STEP_TOLERANCE,
    Problem,
    assert_close,
    assert_same_bits,
    derivative,
    make_layer,
    named_gradients,
    named_state,
    same_bits,
)
from option_cases import ACTIVATIONS, CASES, LSTM_OPTIONS, name_of
from reference_activations import Activation

import rnnext
from rnnext import _core


@pytest.fixture(params=CASES)
def case(request):
    """A cell and options."""
    return CASES[request.param]


def problem_of(case, *shape, **more):
    """Of small numbers: gates without a bound grow."""
    cell, options = case
    if not more.get("bidirectional"):
        options = one_way(options)
    problem = Problem(cell, *(shape or (5, 9, 3, 5)), **options | more)
    return problem.mapped(lambda array: array * array.dtype.type(0.5))


def one_way(options):
    """The same for one direction."""
    lists = options.get("activations", [""])
    return (
        options | {"activations": lists[0]} if isinstance(lists[0], list) else options
    )


def network(case, **more):
    return problem_of(case, **{"num_layers": 2, "bidirectional": True} | more)


EVERYTHING = ("lstm", LSTM_OPTIONS["everything"])
FEW = ("lstm-everything", "gru-two_lists", "gru_reset_before-Elu", "rnn_tanh-Softplus")
few = pytest.mark.parametrize("case", [CASES[name] for name in FEW], ids=FEW)


# ---------------------------------------------------------------- right


def test_networks(isa, case, dtype):
    problem = network(case, dtype=dtype)
    assert_close(problem.infer(), problem.true_forward())
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())


# (I, H, N, T): around the widths of vectors, several blocks of units and of a sum.
SHAPES = [(1, 1, 1, 1), (3, 8, 25, 3), (5, 33, 2, 4), (130, 65, 4, 2), (9, 130, 7, 30)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(isa, dtype, shape):
    problem = problem_of(EVERYTHING, *shape, dtype=dtype, bias=shape[0] != 3)
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())


@pytest.mark.parametrize("name", ["lstm-everything", "gru_reset_before-Elu"])
def test_with_every_kind_of_dropout(isa, dtype, name):
    rates = {"dropout": 0.2, "input_dropout": 0.3, "recurrent_dropout": 0.3}
    problem = network(CASES[name], dtype=dtype, **rates)
    outputs, gradients, cache = problem.train(rng=1)
    assert_close(outputs, problem.true_forward(cache.masks))
    assert_close(gradients, problem.true_gradients(cache.masks))


def test_complex_step(case):
    problem = problem_of(case, 2, 3, 1, 3, bidirectional=True)
    _, gradients, _ = problem.train()
    has_c, parameters = problem.has_c, problem.layer.parameters
    states = problem.state if has_c else (problem.state,)
    arrays = {"x": problem.x, **parameters}
    arrays |= dict(zip(("h_0", "c_0"), states, strict=False))

    def loss(a):
        state = (a["h_0"], a["c_0"]) if has_c else a["h_0"]
        params = {key: a[key] for key in parameters}
        trace = reference.network_forward(params, a["x"], state, **problem.options)
        dh_n, dc_n = problem.dstate if has_c else (problem.dstate, None)
        total = (problem.dy * trace.y).sum() + (dh_n * trace.h_n).sum()
        if has_c:
            c = np.stack([one.c[1:] for one in trace.traces])
            total += (problem.dc * c).sum() + (dc_n * trace.c_n).sum()
        return total

    for key, array in arrays.items():
        expected = derivative(lambda z, key=key: loss(arrays | {key: z}), array)
        largest = np.abs(expected).max() or 1.0
        error = np.abs(gradients[key] - expected).max() / largest
        assert error <= COMPLEX_STEP_TOLERANCE, key


def test_gates_are_those_of_the_reference(case):
    problem = network(case)
    *_, cache = problem.train()
    for ours, trace in zip(cache.gates, problem.true_trace().traces, strict=True):
        np.testing.assert_allclose(ours, trace.gates, rtol=1e-12, atol=1e-13)


def test_options_that_change_nothing_change_no_bit(isa, dtype):
    """Peepholes of zeros: the general kernels compute what the plain ones do."""
    plain = Problem("lstm", 5, 33, 3, 7, dtype=dtype, num_layers=2)
    other = Problem("lstm", 5, 33, 3, 7, dtype=dtype, num_layers=2, peephole=True)
    zeros = np.zeros((3, 33))
    peepholes = {"weight_ch_l0": zeros, "weight_ch_l1": zeros}
    other.layer.load_state_dict({**plain.layer.parameters, **peepholes})
    assert_same_bits(other.infer(), plain.infer())
    (_, found, _), (_, expected, _) = other.train(), plain.train()
    for name in peepholes:
        assert found.pop(name).any()
    assert_close(found, {k: v.astype(np.float64) for k, v in expected.items()})


def test_a_cells_own_activations_are_the_fast_ones():
    own = ["sigmoid", "SIGMOID", ("Tanh", None, None), "sigmoid", ("tanh", 0, 0)]
    layer = rnnext.LSTM(3, 4, activations=own, rng=0)
    assert layer.activations is None
    assert repr(layer) == "LSTM(3, 4)"
    assert layer.forward(np.zeros((2, 1, 3), np.float32))[2]._saved[0][3].shape[2] == 4


# ---------------------------------------------------------------- semantics


def test_coupled_gates_leave_the_forget_rows_alone():
    problem = problem_of(("lstm", {"coupled": True, "peephole": True}))
    before, gradients, cache = problem.train()
    gates = cache.gates[0]
    np.testing.assert_allclose(gates[:, :, 1], 1 - gates[:, :, 0], rtol=0, atol=1e-16)
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        assert not gradients[name][9:18].any()
        assert gradients[name][:9].any()
    assert not gradients["weight_ch_l0"][1].any()
    with problem.layer.writable() as parameters:
        parameters["weight_hh_l0"][9:18] += 1
        parameters["weight_ch_l0"][1] += 1
    assert_same_bits(problem.train()[0], before)


def test_clips_bound_what_they_say():
    cell = problem_of(("lstm", {"cell_clip": 0.25}))
    cell.state = None
    *_, cache = cell.train()
    assert np.abs(cache.c[0]).max() == 0.25
    gate = problem_of(("lstm", {"gate_clip": 0.25}))
    gates = gate.train()[2].gates[0]
    most = 1 / (1 + np.exp(-0.25))
    np.testing.assert_allclose(gates[:, :, [0, 1, 3]].max(), most, rtol=1e-15)
    np.testing.assert_allclose(np.abs(gates[:, :, 2]).max(), np.tanh(0.25), rtol=1e-15)


@pytest.mark.parametrize("options", [{"gate_clip": 1.0}, {"cell_clip": 1.0}])
def test_nan_is_not_clipped(options):
    problem = problem_of(("lstm", options))
    problem.x[2, 1] = np.nan
    y = problem.infer()["y"]
    assert np.isnan(y[2:, 1]).all()
    assert np.isfinite(y[:, [0, 2]]).all()


@pytest.mark.parametrize("entry", ACTIVATIONS, ids=str)
def test_activations_of_extreme_arguments(isa, dtype, entry):
    """One unit with weight 1: y is the activation of x."""
    layer = make_layer("rnn_tanh", 1, 1, bias=False, dtype=dtype, activations=[entry])
    layer.assign(weight_ih_l0=[[1.0]], weight_hh_l0=[[0.0]])
    x = np.array([-1e30, -750, -90, -1, -1e-30, -0.0, 1e-30, 1, 90, 750, 1e30], dtype)
    y, _, cache = layer.forward(x[:, None, None])
    slopes = layer.backward(cache, np.ones_like(y)).x
    f, exact = Activation(entry), x.astype(np.float64)
    tolerance = {"rtol": 1e-14 if dtype == np.float64 else 5e-7, "atol": 1e-37}
    with np.errstate(under="ignore", over="ignore"):
        np.testing.assert_allclose(y[:, 0, 0], f(exact), **tolerance)
        np.testing.assert_allclose(slopes[:, 0, 0], f.slope(exact), **tolerance)


# The limits at -inf and inf.
LIMITS = {
    "Relu": (0, np.inf),
    "Tanh": (-1, 1),
    "Sigmoid": (0, 1),
    "Affine": (-np.inf, np.inf),
    "LeakyRelu": (-np.inf, np.inf),
    "ThresholdedRelu": (0, np.inf),
    "ScaledTanh": (-0.8, 0.8),
    "HardSigmoid": (0, 1),
    "Elu": (-0.7, np.inf),
    "Softsign": (-1, 1),
    "Softplus": (0, np.inf),
}


@pytest.mark.parametrize("entry", ACTIVATIONS, ids=str)
def test_activations_of_infinities_and_nan(isa, dtype, entry):
    layer = make_layer("rnn_tanh", 1, 1, bias=False, dtype=dtype, activations=[entry])
    layer.assign(weight_ih_l0=[[1.0]], weight_hh_l0=[[0.0]])
    x = np.array([-np.inf, np.inf, np.nan], dtype)
    y, _ = layer(x[None, :, None])
    expected = np.array([*LIMITS[name_of(entry)], np.nan])
    np.testing.assert_allclose(y[0, :, 0], expected, rtol=1e-6)


def test_forget_bias_is_added_at_the_start():
    sizes = {"num_layers": 2, "bidirectional": True, "rng": 3}
    plain, biased = (
        rnnext.LSTM(3, 4, **sizes),
        rnnext.LSTM(3, 4, **sizes, forget_bias=1.5),
    )
    for name, array in plain.parameters.items():
        expected = array.copy()
        if name.startswith("bias_ih"):
            expected[4:8] += 1.5
        assert same_bits(biased.parameters[name], expected)


def test_peepholes_are_the_last_parameters_of_a_layer():
    layer = rnnext.LSTM(3, 4, bidirectional=True, peephole=True)
    one = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ch_l0"]
    assert list(layer.parameters) == one + [f"{name}_reverse" for name in one]
    assert layer.parameters["weight_ch_l0"].shape == (3, 4)
    without = rnnext.LSTM(3, 4, bias=False, peephole=True)
    assert list(without.parameters) == [one[0], one[1], one[4]]


# ---------------------------------------------------------------- same bits


def test_threads_change_no_bit(threads, dtype):
    problem = problem_of(EVERYTHING, 20, 150, 13, 12, dtype=dtype, num_layers=2)
    threads(1)
    one = problem.train()
    for count in (2, 3, 5):
        threads(count)
        found = problem.train()
        assert_same_bits(found[0], one[0])
        assert_same_bits(found[1], one[1])


@few
def test_rows_and_training_change_no_bit(isa, case, dtype):
    problem = problem_of(case, 5, 33, 9, 4, dtype=dtype, num_layers=2)
    whole = problem.infer()
    assert_same_bits(problem.train()[0], whole)
    part = problem.rows(slice(3, 5))
    expected = {name: array[..., 3:5, :] for name, array in whole.items()}
    assert_same_bits(part.infer(), expected)


def test_instruction_sets(case, dtype):
    """The same bits on all that have a fused multiply-add; gradients too."""
    before, found = _core.isa(), []
    for name in _core.available_isas():
        if name != "baseline":
            _core.set_isa(name)
            outputs, gradients, _ = network(case, dtype=dtype).train()
            found.append(outputs | gradients)
    _core.set_isa(before)
    for other in found[1:]:
        assert_same_bits(other, found[0])


LENGTHS = {"lengths": [5, 0, 3], "reset": np.eye(5, 3, dtype=bool)}


@few
def test_sequences_of_their_own_lengths(isa, case, dtype):
    """Each is what it is alone, forward and backward."""
    problem = problem_of(case, 5, 33, 3, 5, dtype=dtype)
    layer, sums = problem.layer, {}
    y, _, cache = layer.forward(problem.x, problem.state, **LENGTHS)
    whole = layer.backward(cache, problem.dy)
    for n, length in enumerate(LENGTHS["lengths"]):
        one = problem.rows([n])
        reset = LENGTHS["reset"][:length, [n]]
        y_n, _, cache = layer.forward(one.x[:length], one.state, reset=reset)
        alone = layer.backward(cache, one.dy[:length])
        assert_same_bits({"y": y[:length, [n]]}, {"y": y_n})
        assert_same_bits({"dx": whole.x[:length, [n]]}, {"dx": alone.x})
        assert not y[length:, n].any()
        assert not whole.x[length:, n].any()
        for name, gradient in alone.parameters.items():
            sums[name] = sums.get(name, 0.0) + gradient.astype(np.float64)
    assert_close(whole.parameters, sums)


@few
def test_streams(isa, case, dtype):
    problem = problem_of(case, dtype=dtype, num_layers=2)
    expected = problem.infer()
    stream = problem.layer.stream(3, problem.state)
    y = np.stack([stream.step(x_t) for x_t in problem.x])
    assert_same_bits({"y": y} | named_state(stream.state), expected)


@pytest.mark.parametrize("shape", [(5, 9, 3, 0), (5, 9, 0, 7)], ids=str)
def test_nothing_to_do(shape):
    problem = problem_of(EVERYTHING, *shape)
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    for name in problem.layer.parameters:
        assert not gradients[name].any()


# ---------------------------------------------------------------- objects


def test_copies_and_their_text(case):
    cell, options = case
    layer = make_layer(cell, 3, 4, bidirectional=True, **options)
    x = np.linspace(-1, 1, 24).reshape(4, 2, 3)
    for other in (
        pickle.loads(pickle.dumps(layer)),
        copy.deepcopy(layer),
        eval(repr(layer), vars(rnnext) | {"float64": np.float64}),
    ):
        assert repr(other) == repr(layer)
        other.load_state_dict(layer.state_dict())
        assert same_bits(other(x)[0], layer(x)[0])


def test_a_cache_of_other_options_is_refused():
    one, other = (make_layer("lstm", 3, 4, cell_clip=clip) for clip in (0.5, 0.25))
    *_, cache = one.forward(np.zeros((2, 1, 3)))
    with pytest.raises(ValueError, match=r"cell_clip=0\.25\), got .* cell_clip=0\.5"):
        other.backward(cache)


def test_a_cache_keeps_its_peepholes():
    problem = network(EVERYTHING)
    _, expected, cache = problem.train()
    with problem.layer.writable() as parameters:
        for array in parameters.values():
            array += 1
    found = problem.layer.backward(cache, problem.dy, problem.dstate, dc=problem.dc)
    assert_same_bits(named_gradients(found), expected)


FIVE = ["sigmoid"] * 5
WRONG = [
    ("lstm", {"activations": "relu"}, TypeError, r"a list of 5 \(i, f, g, o, h\)"),
    ("lstm", {"activations": ["relu"] * 3}, ValueError, "list of 3"),
    ("lstm", {"activations": [FIVE, FIVE]}, ValueError, "list of 2"),
    ("lstm", {"activations": ["sigmod"] * 5}, ValueError, "'sigmod'"),
    ("lstm", {"activations": [3] * 5}, TypeError, "got 3"),
    ("gru", {"activations": [("Elu", "much"), "relu", "relu"]}, TypeError, "alpha"),
    ("gru", {"activations": [("Elu", np.nan), "relu", "relu"]}, ValueError, "alpha"),
    ("gru", {"activations": [("Tanh", 2.0), "relu", "relu"]}, ValueError, "takes none"),
    ("gru", {"activations": [("Elu", 1, 2), "relu", "relu"]}, ValueError, "beta"),
    ("gru", {"activations": [("Elu", 1, 2, 3), "relu", "relu"]}, TypeError, "Elu"),
    ("rnn_tanh", {"activations": ["affine"]}, ValueError, "alpha of Affine"),
    ("rnn_tanh", {"activations": [("affine", 1)]}, ValueError, "beta of Affine"),
    ("rnn_relu", {"activations": ["tanh"]}, ValueError, "nonlinearity"),
    ("gru", {"gate_clip": 0}, ValueError, "gate_clip"),
    ("gru", {"gate_clip": -1.0}, ValueError, "gate_clip"),
    ("gru", {"gate_clip": "1"}, TypeError, "gate_clip"),
    ("gru", {"gate_clip": True}, TypeError, "gate_clip"),
    ("lstm", {"cell_clip": np.nan}, ValueError, "cell_clip"),
    ("lstm", {"peephole": 1}, TypeError, "peephole"),
    ("lstm", {"coupled": "yes"}, TypeError, "coupled"),
    ("lstm", {"forget_bias": None}, TypeError, "forget_bias"),
    ("lstm", {"forget_bias": np.inf}, ValueError, "forget_bias"),
    ("lstm", {"forget_bias": 1, "bias": False}, ValueError, "forget_bias"),
    ("lstm", {"forget_bias": 1, "coupled": True}, ValueError, "forget_bias"),
]


@pytest.mark.parametrize(("cell", "options", "error", "words"), WRONG)
def test_what_is_wrong_is_said(cell, options, error, words):
    with pytest.raises(error, match=words):
        make_layer(cell, 3, 4, **options)


def test_two_lists_need_two_lists_of_the_right_length():
    with pytest.raises(ValueError, match="or two such lists, got list of 4"):
        make_layer("gru", 3, 4, bidirectional=True, activations=[["relu"] * 3] * 4)
    with pytest.raises(ValueError, match="list of 2"):
        make_layer("gru", 3, 4, bidirectional=True, activations=[["relu"] * 2] * 2)


# ---------------------------------------------------------------- others' numbers

# From ONNX Runtime's tests of the operator LSTM: gates in the order i o f c, peepholes
# i o f.
ORT_W = """-.494659 .0453352 -.487793 .417264 -.0175329 .489074 -.446013 .414029
           -.0091708 -.255364 -.106952 -.266717 -.0888852 -.428709 -.283349 .208792"""
ORT_R = """.146626 -.0620289 -.0815302 .100482 -.219535 -.306635 -.28515 -.314112
           -.228172 .405972 .31576 .281487 -.394864 .42111 -.386624 -.390225"""
ORT_B = ".381619 .0323954 -.14449 .420804 -.258721 .45056 -.250755 .0967895"
ORT_P = ".2345 .5235 .4378 .3475 .8927 .3456"
ORT_X = "-.455351 -.276391 -.185934 -.269585"
P, COUPLED = {"peephole": True}, {"peephole": True, "coupled": True}
ACTS = {"activations": ["tanh", "tanh", "sigmoid", "tanh", "tanh"]}
# Direction, options; Y by time where given, the last step computed, Y_c.
ORT_CASES = {
    "peephole": (
        *("forward", P),
        *("-.02510625 .05612617 -.03277518 .05935364", "-.0780206 .098829"),
    ),
    "peephole, reverse": (
        *("reverse", P),
        *("-.03189282 .07626793 -.03068724 .02803503", "-.07536839 .12079399"),
    ),
    "input_forget": (
        *("forward", COUPLED),
        *("-.0314321 .05087372", "-.07474898 .08480116"),
    ),
    "clip": (
        *("forward", P | {"gate_clip": 0.1}),
        *("-.02280854 .02744377 -.03516197 .03875681", "-.07415761 .07395997"),
    ),
    "activations": (
        *("forward", ACTS),
        *("-.0660155 .0351227 -.04236888 .0177365", "0.1624992 0.04672481"),
    ),
}


def numbers(text, *shape):
    return np.array([float(word) for word in text.split()]).reshape(shape)


def from_onnx(array, order):
    """Blocks of rows in our order."""
    return np.concatenate([np.split(array, len(order))[i] for i in order])


@pytest.mark.parametrize("name", ORT_CASES)
def test_numbers_of_onnx_runtime(isa, dtype, name):
    direction, options, y, c = ORT_CASES[name]
    layer = make_layer("lstm", 2, 2, dtype=dtype, **options)
    gates = (0, 2, 3, 1)
    weights = {
        "weight_ih_l0": from_onnx(numbers(ORT_W, 8, 2), gates),
        "weight_hh_l0": from_onnx(numbers(ORT_R, 8, 2), gates),
        "bias_ih_l0": from_onnx(numbers(ORT_B, 8), gates),
        "bias_hh_l0": np.zeros(8),
    }
    if "peephole" in options:
        weights["weight_ch_l0"] = numbers(ORT_P, 3, 2)[[0, 2, 1]]
    layer.load_state_dict(weights)
    x = numbers(ORT_X, 2, 1, 2).astype(dtype)
    found, (_, c_n) = layer(x if direction == "forward" else x[::-1])
    found = found if direction == "forward" else found[::-1]
    expected = numbers(y, -1, 1, 2)
    np.testing.assert_allclose(found[-len(expected) :], expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(c_n[0], numbers(c, 1, 2), rtol=0, atol=2e-6)
