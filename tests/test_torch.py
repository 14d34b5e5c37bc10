"""Against PyTorch: same weights, same numbers, same names, same start."""

import functools

import numpy as np
import pytest
from conftest import Problem, errors, named_gradients, named_state, same_bits

import rnnext

torch = pytest.importorskip("torch")

# PyTorch has no GRU with the reset before the product.
KINDS = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}
T, N, I, H = 7, 3, 5, 9


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The work is small, and two libraries' threads get in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=KINDS)
def cell(request):
    return request.param


def numpy_state_dict(module):
    return {name: array.detach().numpy() for name, array in module.state_dict().items()}


def pair(cell, suffix="", dtype="float64", **options):
    """PyTorch's layer or cell and ours, of the same weights."""
    name, own = KINDS[cell]
    torch.manual_seed(3)
    theirs = getattr(torch.nn, name + suffix)(
        I, H, dtype=getattr(torch, dtype), **own, **options
    )
    ours = getattr(rnnext, name + suffix)(I, H, dtype=dtype, **own, **options)
    ours.load_state_dict(numpy_state_dict(theirs))
    return theirs, ours


def tensors(value):
    """Leaves that gradients are wanted of, from an array or a tuple of arrays."""
    if isinstance(value, tuple):
        return tuple(tensors(part) for part in value)
    return torch.tensor(value, requires_grad=True)


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def arrays(value):
    """Arrays of a tensor, or of a tuple of tensors."""
    if isinstance(value, tuple):
        return tuple(arrays(part) for part in value)
    return value.detach().numpy()


def gradients_of(value):
    return tuple(p.grad for p in value) if isinstance(value, tuple) else value.grad


def back_propagate(outputs, incoming):
    """The loss is the sum of outputs times incoming gradients."""
    pairs = zip(outputs, incoming, strict=True)
    sum((y * torch.tensor(dy)).sum() for y, dy in pairs).backward()


def run_theirs(layer, x, state, dy, dstate):
    """Outputs and gradients of PyTorch's layer, as dicts of arrays."""
    x, state = tensors(x), tensors(state)
    layer.zero_grad()
    y, after = layer(x, state)
    back_propagate((y, *parts(after)), (dy, *parts(dstate)))
    outputs = {"y": arrays(y)} | named_state(arrays(after))
    gradients = {"x": x.grad} | named_state(gradients_of(state), "h_0", "c_0")
    gradients |= {name: p.grad for name, p in layer.named_parameters()}
    return outputs, {name: arrays(g) for name, g in gradients.items()}


def run_ours(layer, x, state, dy, dstate):
    y, after, cache = layer.forward(x, state)
    gradients = layer.backward(cache, dy, dstate)
    return {"y": y} | named_state(after), named_gradients(gradients)


def assert_equal(found, expected):
    """Within 1e-12 of the largest magnitude."""
    assert list(found) == list(expected)
    for name, array in found.items():
        assert array.shape == expected[name].shape
        assert errors(array, expected[name])[1] <= 1e-12, name


def draw_states(rng, cell, *shape):
    if cell == "lstm":
        return tuple(rng.standard_normal((2, *shape)))
    return rng.standard_normal(shape)


LAYERS = {
    "layer": {},
    "no_bias": {"bias": False},
    "network": {"num_layers": 2, "bidirectional": True},
    "batch_first": {"num_layers": 2, "bidirectional": True, "batch_first": True},
}


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("batched", [True, False], ids=["batch", "unbatched"])
def test_layers(isa, cell, options, batched, rng):
    theirs, ours = pair(cell, **options)
    D = 1 + ours.bidirectional
    batch = (N,) if batched else ()
    steps = (N, T) if ours.batch_first and batched else (T, *batch)
    state = (ours.num_layers * D, *batch, H)
    given = (
        rng.standard_normal((*steps, I)),
        draw_states(rng, cell, *state),
        rng.standard_normal((*steps, D * H)),
        draw_states(rng, cell, *state),
    )
    found, expected = run_ours(ours, *given), run_theirs(theirs, *given)
    assert_equal(found[0], expected[0])
    assert_equal(found[1], expected[1])


@pytest.mark.parametrize("batched", [True, False], ids=["batch", "unbatched"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_cells(isa, cell, bias, batched, rng):
    theirs, ours = pair(cell, "Cell", bias=bias)
    batch = (N,) if batched else ()
    x, state = rng.standard_normal((*batch, I)), draw_states(rng, cell, *batch, H)
    dstate = draw_states(rng, cell, *batch, H)

    x_leaf, state_leaves = tensors(x), tensors(state)
    after = theirs(x_leaf, state_leaves)
    back_propagate(parts(after), parts(dstate))
    expected = {"x": x_leaf.grad} | named_state(
        gradients_of(state_leaves), "h_0", "c_0"
    )
    expected |= {name: p.grad for name, p in theirs.named_parameters()}

    found, cache = ours.forward(x, state)
    assert_equal(named_state(found), named_state(arrays(after)))
    gradients = named_gradients(ours.backward(cache, dstate))
    assert_equal(gradients, {name: arrays(g) for name, g in expected.items()})


def test_state_dict_goes_there_and_back(cell):
    theirs, ours = pair(cell, num_layers=2, bidirectional=True)
    expected = numpy_state_dict(theirs)
    found = ours.state_dict()
    assert list(found) == list(expected)
    assert all(same_bits(found[name], expected[name]) for name in expected)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.zero_()
    theirs.load_state_dict({name: torch.tensor(a) for name, a in found.items()})
    back = numpy_state_dict(theirs)
    assert all(same_bits(back[name], found[name]) for name in found)


def test_state_dict_of_cells(cell):
    for bias in (True, False):
        theirs, ours = pair(cell, "Cell", bias=bias)
        shapes = {name: array.shape for name, array in numpy_state_dict(theirs).items()}
        found = {name: array.shape for name, array in ours.state_dict().items()}
        assert list(found.items()) == list(shapes.items())


def test_initial_distribution(cell):
    """U(-1/sqrt(H), 1/sqrt(H)) in every parameter of both."""
    hidden = 100
    name, own = KINDS[cell]
    theirs = getattr(torch.nn, name)(80, hidden, num_layers=2, **own)
    for seed in range(3):
        ours = getattr(rnnext, name)(80, hidden, num_layers=2, rng=seed, **own)
        for group in (ours.parameters, numpy_state_dict(theirs)):
            for array in group.values():
                assert_uniform(array, hidden**-0.5)


def assert_uniform(array, bound):
    u = array.astype(np.float64).ravel() / bound
    deviations = 5 / np.sqrt(u.size)
    assert np.abs(u).max() <= 1 + 1e-7
    assert np.abs(u).max() >= 1 - 20 / u.size
    assert abs(u.mean()) < deviations * np.sqrt(1 / 3)
    assert abs((u**2).mean() - 1 / 3) < deviations * np.sqrt(4 / 45)
    assert abs((u**4).mean() - 1 / 5) < deviations * np.sqrt(16 / 225)


DRAWS = 20
NOISE = 1.05  # the rms of twenty draws is good to a few percent


def float32_problem(cell, shape, seed):
    problem = Problem(cell, *shape, dtype=np.float32, seed=seed)
    return problem, (problem.x, problem.state, problem.dy, problem.dstate)


def squared_errors(results, truth):
    """Of outputs and gradients, in relative norm."""
    outputs, gradients = results
    found = outputs | gradients
    return np.array([errors(found[key], truth[key])[0] ** 2 for key in truth])


@functools.cache
def truths_and_their_error(cell, shape):
    """In float64, and the mean square of PyTorch's errors in float32."""
    name, own = KINDS[cell]
    theirs, truths, total = getattr(torch.nn, name)(*shape[:2], **own), [], 0.0
    for seed in range(DRAWS):
        problem, given = float32_problem(cell, shape, seed)
        problem.dc = None
        truths.append(problem.true_forward() | problem.true_gradients())
        state_dict = problem.layer.state_dict()
        theirs.load_state_dict({k: torch.tensor(a) for k, a in state_dict.items()})
        total += squared_errors(run_theirs(theirs, *given), truths[-1])
    return truths, total


@pytest.mark.parametrize("shape", [(32, 64, 8, 100), (64, 128, 1, 60)], ids=str)
def test_no_further_from_the_truth_in_float32(isa, cell, shape):
    """In rms over twenty draws, outputs and every gradient."""
    truths, theirs = truths_and_their_error(cell, shape)
    ours = 0.0
    for seed, truth in enumerate(truths):
        problem, given = float32_problem(cell, shape, seed)
        ours += squared_errors(run_ours(problem.layer, *given), truth)
    ratios = dict(zip(truths[0], np.sqrt(ours / theirs).round(2).tolist(), strict=True))
    assert {key: ratio for key, ratio in ratios.items() if ratio > NOISE} == {}
