"""Instruction sets, dtypes and tolerances of all tests, and a problem to solve."""

import copy
import signal

import numpy as np
import pytest
import reference

import rnnext
from rnnext import _core

CELLS = list(reference.CELLS)

# Against the float64 reference on the same inputs: (error in relative norm, largest
# error over the array's largest magnitude).
# float64: the contract. A right result is some 1e-15 off, a wrong term 1e-3.
# float32: a right result is some 1e-7 off, 1e-6 where few terms cancel. The float64
# bounds scaled by the ratio of the units in the last place would be (5e-5, 5e-4).
TOLERANCE = {
    np.dtype(np.float64): (1e-13, 1e-12),
    np.dtype(np.float32): (2e-6, 5e-6),
}
# Against derivatives by a complex step, over the array's largest magnitude.
COMPLEX_STEP_TOLERANCE = 1e-11


def pytest_configure():
    # Else small calls would run on one thread, and which do would be up to the machine.
    _core.assume_quick_threads(True)
    # Shells start what is to run in the background deaf to Ctrl-C, which tests send.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header():
    compiled, runs = _core.compiled_isas(), _core.available_isas()
    rest = [name for name in compiled if name not in runs]
    return (
        f"rnnext: {_core.compiler()}, instruction sets tested: {', '.join(runs)}; "
        f"compiled but not runnable here: {', '.join(rest) or 'none'}"
    )


@pytest.fixture(params=_core.available_isas())
def isa(request):
    """Each instruction set of this machine; make layers after it is in force."""
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture(params=CELLS)
def cell(request):
    """The name of a cell, as in `reference.CELLS`."""
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def threads():
    """`set_num_threads`, undone after the test."""
    before = rnnext.get_num_threads()
    yield rnnext.set_num_threads
    rnnext.set_num_threads(before)


LAYERS = {
    "rnn_tanh": (rnnext.RNN, {}),
    "rnn_relu": (rnnext.RNN, {"nonlinearity": "relu"}),
    "lstm": (rnnext.LSTM, {}),
    "gru": (rnnext.GRU, {}),
    "gru_reset_before": (rnnext.GRU, {"reset_after": False}),
}


def make_layer(cell, *sizes, **options):
    kind, own = LAYERS[cell]
    return kind(*sizes, **({"dtype": np.float64, "rng": 0} | own | options))


def true_cells(cell, directions, activations=None, **options):
    """The cells of the reference with options of our layers, by direction."""
    lists = [activations] * directions
    if activations is not None and len(activations) == 2:
        lists = activations
    options = {name: options[name] for name in CELL_OPTIONS if options.get(name)}
    own = [{} if one is None else {"activations": one} for one in lists]
    return [reference.make_cell(cell, **one, **options) for one in own]


CELL_OPTIONS = ("gate_clip", "cell_clip", "coupled")


def named_output(y):
    """An output as a dict of arrays."""
    if isinstance(y, tuple):
        return dict(zip(("y_forward", "y_backward"), y, strict=True))
    return {"y": y}


def named_state(state, h="h_n", c="c_n"):
    """A state as a dict of arrays."""
    if isinstance(state, tuple):
        return dict(zip((h, c), state, strict=True))
    return {h: state}


def named_gradients(gradients):
    """Gradients as a dict of arrays."""
    x = {} if gradients.x is None else {"x": gradients.x}
    return x | named_state(gradients.state, "h_0", "c_0") | gradients.parameters


class Problem:
    """A layer and everything that goes into its forward and backward, drawn at random.

    x (T, N, I), state, dy (T, N, D*H) or what `merge` makes of that, dstate and, for an
    LSTM, dc (L*D, T, N, H).
    """

    def __init__(self, cell, *shape, seed=0, dtype=np.float64, **options):
        I, H, N, T = shape
        self.cell, self.dtype = cell, np.dtype(dtype)
        self.layer = make_layer(cell, I, H, dtype=dtype, rng=seed, **options)
        L, D = self.layer.num_layers, 1 + self.layer.bidirectional
        rng = np.random.default_rng([seed, *shape])

        def draw(*shape):
            return rng.standard_normal(shape).astype(dtype)

        P = self.layer.proj_size or H

        def draw_state():
            h = draw(L * D, N, P)
            return (h, draw(L * D, N, H)) if self.has_c else h

        merge = self.layer.merge
        self.x, self.dy = draw(T, N, I), draw(T, N, D * P if merge == "concat" else P)
        if merge is None:
            self.dy = (self.dy, draw(T, N, P))
        self.state, self.dstate = draw_state(), draw_state()
        self.dc = draw(L * D, T, N, H) if self.has_c else None
        self.options = {"num_layers": L, "bidirectional": D == 2}
        self.options |= {"merge": merge, "reverse": self.layer.reverse}
        self.options["cell"] = true_cells(cell, D, **options)

    @property
    def has_c(self):
        return self.cell == "lstm"

    def mapped(self, function):
        """The same layer with `function` of every input array."""
        problem = copy.copy(self)
        for name in ("x", "dy", "state", "dstate", "dc"):
            value = getattr(self, name)
            if isinstance(value, tuple):
                value = tuple(function(part) for part in value)
            elif value is not None:
                value = function(value)
            setattr(problem, name, value)
        return problem

    def rows(self, index):
        """Only some sequences of the batch: its axis is the last but one everywhere."""
        return self.mapped(lambda array: array[..., index, :])

    def infer(self, **steps):
        y, state = self.layer(self.x, self.state, **steps)
        return named_output(y) | named_state(state)

    def train(self, **options):
        """Outputs, gradients (all incoming ones given) and the cache."""
        y, state, cache = self.layer.forward(self.x, self.state, **options)
        gradients = self.layer.backward(cache, self.dy, self.dstate, dc=self.dc)
        return named_output(y) | named_state(state), named_gradients(gradients), cache

    def extent(self, steps):
        return reference.extent(*self.x.shape[:2], **steps)

    def true_trace(self, masks=None, **steps):
        parameters = self.layer.parameters
        options = self.options | {"masks": masks, "steps": self.extent(steps)}
        return reference.network_forward(parameters, self.x, self.state, **options)

    def true_forward(self, masks=None, **steps):
        trace = self.true_trace(masks, **steps)
        found = named_output(trace.y) | {"h_n": trace.h_n, "c_n": trace.c_n}
        return {name: array for name, array in found.items() if array is not None}

    def true_backward(self, dy, dh_n, dc_n, dc, masks=None, **steps):
        parameters, trace = self.layer.parameters, self.true_trace(masks, **steps)
        options = self.options | {"masks": masks, "steps": self.extent(steps)}
        x, h_0, c_0, rest = reference.network_backward(
            parameters, trace, dy, dh_n, dc_n, dc, **options
        )
        return {"x": x, "h_0": h_0} | ({"c_0": c_0} if self.has_c else {}) | rest

    def true_gradients(self, masks=None, **steps):
        """With all incoming gradients, as `train`."""
        dh_n, dc_n = self.dstate if self.has_c else (self.dstate, None)
        return self.true_backward(self.dy, dh_n, dc_n, self.dc, masks, **steps)


def derivative(loss, array, step=1e-30):
    """The gradient of loss(array) by a complex step in every element."""
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        z = array.astype(complex)
        z[index] += 1j * step
        gradient[index] = loss(z).imag / step
    return gradient


def errors(actual, expected):
    """In relative norm, and the largest over the largest magnitude."""
    difference = np.asarray(actual, np.float64) - expected
    largest = np.abs(expected).max(initial=0.0)
    if largest == 0:
        found = np.abs(difference).max(initial=0.0)
        return found, found
    norm = np.linalg.norm(difference) / np.linalg.norm(expected)
    return norm, np.abs(difference).max() / largest


def assert_close(actual, expected):
    """Dicts of arrays agree within the tolerance of the actual dtype."""
    assert list(actual) == list(expected)
    for name, array in actual.items():
        assert array.shape == expected[name].shape, name
        norm, largest = errors(array, expected[name])
        norm_bound, largest_bound = TOLERANCE[array.dtype]
        assert norm <= norm_bound, f"{name}: {norm:.2g} in relative norm"
        assert largest <= largest_bound, f"{name}: {largest:.2g} of the largest"


def same_bits(actual, expected):
    """Whether dtype, shape and every bit agree: -0 is not 0, NaN is NaN."""
    if (actual.dtype, actual.shape) != (expected.dtype, expected.shape):
        return False
    bits = np.dtype(f"u{actual.dtype.itemsize}")
    actual, expected = (np.ascontiguousarray(a).view(bits) for a in (actual, expected))
    return bool((actual == expected).all())


def assert_same_bits(actual, expected):
    """Dicts of arrays agree bit for bit."""
    assert list(actual) == list(expected)
    different = [k for k, array in actual.items() if not same_bits(array, expected[k])]
    assert not different
