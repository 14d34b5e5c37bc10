"""What users of other libraries reported, and what must not happen here.

The threads are those of PyTorch unless another project is named. Where another file
holds a promise for good (the ONNX attributes: test_onnx_*.py) it is not repeated.
"""

import numpy as np
import pytest
from conftest import (
    CELLS,
    Problem,
    assert_close,
    assert_same_bits,
    make_layer,
    named_gradients,
    named_output,
    named_state,
)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
def test_no_steps(cell, bidirectional):
    """T = 0 raised an error: the final state is the initial one (#50192)."""
    problem = Problem(cell, 5, 9, 3, 0, num_layers=2, bidirectional=bidirectional)
    outputs, gradients, _ = problem.train()
    assert outputs["y"].shape[0] == 0
    assert_same_bits(named_state(problem.dstate), _initial(gradients))
    state = {name.replace("_n", "_0"): a for name, a in outputs.items() if name != "y"}
    assert_same_bits(state, _initial(named_state(problem.state), "_n"))


def _initial(arrays, ending="_0"):
    """Those of the states, under the names of either end."""
    other = {"_0": "_n", "_n": "_0"}[ending]
    return {k.replace(ending, other): a for k, a in arrays.items() if ending in k}


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
def test_sequences_without_steps(cell, bidirectional):
    """Length zero was refused (#4582, #11514); here its state passes through."""
    problem = Problem(cell, 5, 9, 3, 4, bidirectional=bidirectional)
    outputs, _, cache = problem.train(lengths=[0, 4, 0])
    gradients = named_gradients(
        problem.layer.backward(cache, problem.dy, problem.dstate)
    )
    assert not outputs["y"][:, [0, 2]].any()
    for given, found in zip(
        _parts(problem.state), named_state_arrays(outputs), strict=True
    ):
        assert (given[:, [0, 2]] == found[:, [0, 2]]).all()
    for given, found in zip(
        _parts(problem.dstate), _initial(gradients).values(), strict=True
    ):
        assert (given[:, [0, 2]] == found[:, [0, 2]]).all()


def _parts(state):
    return state if isinstance(state, tuple) else (state,)


def named_state_arrays(outputs):
    return [array for name, array in outputs.items() if name.endswith("_n")]


MALFORMED = {
    "a number": np.zeros(()),
    "no sequences": np.zeros((1, 0, 9)),
    "no layers": np.zeros((0, 3, 9)),
    "two layers": np.zeros((2, 3, 9)),
    "narrow": np.zeros((1, 3, 8)),
    "another axis": np.zeros((1, 3, 9, 1)),
    "an axis too few": np.zeros((3, 9)),
    "another dtype": np.zeros((1, 3, 9), np.float32),
    "a list": [],
    "a tuple of none": (),
    "text": "state",
    "a tuple of one": (np.zeros((1, 3, 9)),),
    "a tuple of three": (np.zeros((1, 3, 9)),) * 3,
}


@pytest.mark.parametrize("state", MALFORMED.values(), ids=MALFORMED)
def test_malformed_states(cell, state):
    """Crashed the interpreter in several operators; here an error that names it."""
    problem = Problem(cell, 5, 9, 3, 4)
    for call in (problem.layer, problem.layer.forward):
        with pytest.raises((TypeError, ValueError), match=r"state|h_0"):
            call(problem.x, state)
    assert_close(problem.train()[0], problem.true_forward())


def test_lengths_of_both_directions(cell):
    """The second direction began in the padding (MXNet 19323): it is each row's own."""
    problem = Problem(cell, 5, 9, 4, 6, bidirectional=True)
    lengths = [3, 6, 1, 5]
    y, state = problem.layer(problem.x, problem.state, lengths=lengths)
    for n, length in enumerate(lengths):
        alone = problem.rows([n])
        y_n, state_n = problem.layer(alone.x[:length], alone.state)
        found = {k: a[:, [n]] for k, a in named_state(state).items()}
        assert_same_bits(
            {"y": y[:length, [n]]} | found, {"y": y_n} | named_state(state_n)
        )


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "rnn_relu"])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30, np.inf])
def test_large_inputs(isa, cell, dtype, size):
    """exp overflowed in the sigmoid: gates saturate, nothing becomes NaN."""
    layer = make_layer(cell, 1, 9, dtype=dtype)
    signs = np.sign(layer.parameters["weight_ih_l0"])
    layer.assign(weight_ih_l0=np.where(signs == 0, 1, signs))
    x = np.full((3, 2, 1), size, dtype)
    x[:, 1] *= -1
    with np.errstate(all="ignore"):
        y, _, cache = layer.forward(x)
    assert np.isfinite(y).all()
    assert (np.abs(y) <= 1).all()
    found = named_gradients(layer.backward(cache, np.ones_like(y)))
    assert all(np.isfinite(a).all() for k, a in found.items() if k != "weight_ih_l0")


@pytest.mark.parametrize("N", [2, 3, 7, 16, 33])
def test_company_changes_nothing(isa, cell, dtype, N):
    """The size of the batch changed a sequence's numbers (TensorFlow 30430, #58128)."""
    problem = Problem(cell, 13, 37, N, 5, dtype=dtype, bidirectional=True)
    y, state = problem.layer(problem.x, problem.state)
    alone = problem.rows([N - 1])
    y_n, state_n = problem.layer(alone.x, alone.state)
    found = named_output(y) | named_state(state)
    expected = named_output(y_n) | named_state(state_n)
    assert_same_bits({k: a[:, [N - 1]] for k, a in found.items()}, expected)


def test_a_sequence_of_nan_stays_alone(isa, cell, dtype):
    """One sequence's NaN spread through its batch (#177016)."""
    problem = Problem(cell, 13, 37, 5, 6, dtype=dtype)
    others = [0, 1, 3, 4]
    expected, _ = problem.layer(problem.x[:, others])
    x = problem.x.copy()
    x[:, 2] = np.nan
    y, _ = problem.layer(x)
    assert_same_bits({"y": np.ascontiguousarray(y[:, others])}, {"y": expected})


def test_deep_networks_of_both_directions(cell):
    """Wrong gradients from three layers on (MXNet 17898)."""
    problem = Problem(cell, 4, 5, 3, 6, num_layers=4, bidirectional=True)
    assert_close(problem.train()[1], problem.true_gradients())
