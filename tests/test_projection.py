"""An LSTM whose h is projected before the next step reads it: proj_size."""

import numpy as np
import pytest
import reference
from conftest import (
    COMPLEX_STEP_TOLERANCE,
    Problem,
    assert_close,
    assert_same_bits,
    derivative,
    named_output,
    named_state,
)
from test_lengths import LENGTHS, STEPS, N, T

import rnnext
from rnnext import exchange

# (I, H, P, N, T): P of one unit, of less and of more than a block, one short of H.
SHAPES = [
    (3, 2, 1, 1, 1),
    (5, 9, 4, 3, 7),
    (16, 33, 32, 5, 4),
    (31, 64, 17, 1, 9),
    (8, 130, 65, 13, 3),
    (40, 70, 69, 30, 25),
]
NETWORKS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3, "bias": False},
    {"num_layers": 2, "bidirectional": True, "merge": "mul"},
    {"bidirectional": True, "merge": None},
    {"reverse": True, "num_layers": 2},
    {"peephole": True, "coupled": True},
    {"gate_clip": 0.5, "cell_clip": 0.3, "bidirectional": True},
]


def text(value):
    return "-".join(f"{k}={v}" for k, v in value.items()) or "plain"


def network(options, **more):
    return Problem("lstm", 5, 9, N, T, proj_size=4, **options, **more)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(isa, dtype, shape):
    I, H, P, batch, steps = shape
    problem = Problem("lstm", I, H, batch, steps, dtype=dtype, proj_size=P)
    outputs, gradients, cache = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())
    assert_same_bits(problem.infer(), outputs)
    assert cache.h[0].shape == (steps + 1, batch, P)
    assert cache.c[0].shape == (steps + 1, batch, H)


@pytest.mark.parametrize("options", NETWORKS, ids=text)
def test_networks(isa, dtype, options):
    problem = network(options, dtype=dtype)
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("options", NETWORKS[:5], ids=text)
def test_lengths(isa, options, steps):
    problem = network(options)
    outputs, gradients, _ = problem.train(**steps)
    assert_close(outputs, problem.true_forward(**steps))
    assert_close(gradients, problem.true_gradients(**steps))


@pytest.mark.parametrize("steps", [{}, {"lengths": LENGTHS}], ids=["all", "lengths"])
def test_dropout(isa, steps):
    problem = network(NETWORKS[1])
    rng = np.random.default_rng(0)
    masks = {
        "between": [rng.choice([0.0, 2.0], (T, N, 8))],
        "input": [rng.choice([0.0, 2.0], (N, width)) for width in (5, 5, 8, 8)],
        "recurrent": [rng.choice([0.0, 2.0], (N, 4)) for _ in range(4)],
    }
    outputs, gradients, _ = problem.train(dropout_masks=masks, **steps)
    assert_close(outputs, problem.true_forward(masks, **steps))
    assert_close(gradients, problem.true_gradients(masks, **steps))


def test_reference():
    """The reference itself, by a complex step."""
    problem = Problem("lstm", 3, 4, 2, 3, proj_size=2, num_layers=2)
    dh_n, dc_n = problem.dstate
    parameters = dict(problem.layer.parameters)
    arrays = parameters | {"x": problem.x, "h_0": problem.state[0]}

    def loss(a):
        state = a["h_0"], problem.state[1]
        weights = {name: a[name] for name in parameters}
        trace = reference.network_forward(weights, a["x"], state, **problem.options)
        return (problem.dy * trace.y).sum() + (dh_n * trace.h_n).sum()

    zero = np.zeros_like(dc_n)
    found = problem.true_backward(problem.dy, dh_n, zero, None)
    for name in ("x", "h_0", "weight_hr_l0", "weight_hh_l0", "weight_ih_l1"):
        expected = derivative(
            lambda z, name=name: loss(arrays | {name: z}), arrays[name]
        )
        error = np.abs(found[name] - expected).max() / np.abs(expected).max()
        assert error <= COMPLEX_STEP_TOLERANCE, name


def test_threads_and_company_change_no_bit(isa, dtype, threads):
    problem = Problem("lstm", 40, 70, 30, 12, dtype=dtype, proj_size=33)
    found = []
    for n in (1, 2, 3):
        threads(n)
        outputs, gradients, _ = problem.train()
        found.append(outputs | gradients)
    assert_same_bits(found[1], found[0])
    assert_same_bits(found[2], found[0])
    y, state = problem.layer(problem.x, problem.state)
    for n in (0, 17):
        alone = problem.rows([n])
        y_n, state_n = problem.layer(alone.x, alone.state)
        part = {k: a[:, [n]] for k, a in (named_output(y) | named_state(state)).items()}
        assert_same_bits(part, named_output(y_n) | named_state(state_n))


def test_stream(isa, dtype):
    problem = network({"num_layers": 2}, dtype=dtype)
    y, state = problem.layer(problem.x, problem.state)
    stream = problem.layer.stream(N, problem.state)
    out = np.empty((N, 4), dtype)
    steps = np.stack([stream.step(x_t, out).copy() for x_t in problem.x])
    found = {"y": steps} | named_state(stream.state)
    assert_same_bits(found, {"y": y} | named_state(state))
    with pytest.raises(ValueError, match=r"out: expected shape \(N=6, P=4\)"):
        stream.step(problem.x[0], np.empty((N, 9), dtype))


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_numbers_of_pytorch(bidirectional, num_layers, bias):
    torch = pytest.importorskip("torch")
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
    problem = network(options)
    theirs = torch.nn.LSTM(5, 9, proj_size=4, dtype=torch.float64, **options)
    assert list(theirs.state_dict()) == list(problem.layer.parameters)
    state = {k: torch.tensor(v) for k, v in problem.layer.state_dict().items()}
    theirs.load_state_dict(state)
    x, h, c = (torch.tensor(a, requires_grad=True) for a in (problem.x, *problem.state))
    y, (h_n, c_n) = theirs(x, (h, c))
    pairs = zip((y, h_n, c_n), (problem.dy, *problem.dstate), strict=True)
    sum((a * torch.tensor(d)).sum() for a, d in pairs).backward()
    expected = {"x": x.grad, "h_0": h.grad, "c_0": c.grad}
    expected |= {name: p.grad for name, p in theirs.named_parameters()}

    y_ours, state_ours, cache = problem.layer.forward(problem.x, problem.state)
    found = problem.layer.backward(cache, problem.dy, problem.dstate)
    for ours, other in zip((y_ours, *state_ours), (y, h_n, c_n), strict=True):
        assert np.abs(ours - other.detach().numpy()).max() <= 1e-12
    gradients = {"x": found.x, "h_0": found.state[0], "c_0": found.state[1]}
    for name, gradient in (gradients | found.parameters).items():
        other = expected[name].numpy()
        assert np.abs(gradient - other).max() <= 1e-12 * max(np.abs(other).max(), 1)


def test_exchange():
    """To the state_dict of PyTorch and to oneDNN's arrays, and back."""
    problem = network({"bidirectional": True})
    state = exchange.to_torch(problem.layer)
    again = exchange.from_torch(state)
    assert again.proj_size == 4
    expected = {"y": problem.layer(problem.x)[0]}
    assert_same_bits({"y": again(problem.x)[0]}, expected)
    theirs = exchange.to_onednn(network({"bias": True}).layer)
    back = exchange.from_onednn(theirs)
    expected, _ = network({}).layer(problem.x)
    assert np.abs(back(problem.x)[0] - expected).max() <= 1e-14


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
def test_module_of_pytorch(bidirectional):
    torch = pytest.importorskip("torch")
    from rnnext import torch as ours

    options = {"proj_size": 4, "bidirectional": bidirectional, "dtype": torch.float64}
    theirs, module = torch.nn.LSTM(5, 9, 2, **options), ours.LSTM(5, 9, 2, **options)
    module.load_state_dict(theirs.state_dict())
    x = torch.randn(7, 3, 5, dtype=torch.float64)
    results = []
    for one in (theirs, module):
        y, (h_n, c_n) = one(x)
        (y.sin().sum() + h_n.sum() + c_n.cos().sum()).backward()
        gradients = [p.grad for p in one.parameters()]
        results.append([a.detach().numpy() for a in (y, h_n, c_n, *gradients)])
    for a, b in zip(*results, strict=True):
        assert np.abs(a - b).max() <= 1e-12


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [(-1, "0 or more"), (9, "less than H=9"), (10, "less than H=9")],
)
def test_wrong_sizes(wrong, expected):
    with pytest.raises(
        ValueError, match=f"proj_size: expected {expected}, got {wrong}"
    ):
        rnnext.LSTM(5, 9, proj_size=wrong)


def test_wrong_states():
    layer = rnnext.LSTM(5, 9, proj_size=4)
    x, h, c = (np.zeros(s, np.float32) for s in ((7, 3, 5), (1, 3, 4), (1, 3, 9)))
    with pytest.raises(ValueError, match=r"h_0: expected shape \(1, N=3, P=4\)"):
        layer(x, (c, c))
    with pytest.raises(ValueError, match=r"c_0: expected shape \(1, N=3, H=9\)"):
        layer(x, (h, h))
    y, _, cache = layer.forward(x, (h, c))
    with pytest.raises(ValueError, match=r"dy: expected shape \(T=7, N=3, D\*P=4\)"):
        layer.backward(cache, np.zeros((7, 3, 9), np.float32))
    assert y.shape == (7, 3, 4)
    assert repr(layer) == "LSTM(5, 9, proj_size=4)"
