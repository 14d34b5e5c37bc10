"""The reference's backward against derivatives of its forward by a complex step.

f'(x) = Im f(x + ih) / h has no difference and so no cancellation: h may be 1e-30.
"""

import numpy as np
import pytest
import reference
from conftest import COMPLEX_STEP_TOLERANCE, derivative
from reference import Weights
from reference_activations import relu, sigmoid


def assert_derivatives(loss, arrays, gradients):
    """`gradients` are those of loss(dict of arrays), for every array in turn."""
    assert set(gradients) == set(arrays)
    for name, array in arrays.items():
        expected = derivative(lambda z, name=name: loss(arrays | {name: z}), array)
        error = np.abs(gradients[name] - expected).max() / np.abs(expected).max()
        assert error <= COMPLEX_STEP_TOLERANCE, f"{name}: {error:.2g}"


def draw(rng, **shapes):
    return {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}


def test_step(cell, rng):
    cell, (N, I, H) = reference.CELLS[cell], (3, 4, 5)
    rows = cell.gates * H
    arrays = draw(rng, x=(N, I), h=(N, H)) | (draw(rng, c=(N, H)) if cell.has_c else {})
    arrays |= draw(rng, w_ih=(rows, I), w_hh=(rows, H), b_ih=rows, b_hh=rows)
    dh, dc = rng.standard_normal((2, N, H))

    def unpack(a):
        w = Weights(*(a[name] for name in Weights._fields if name in a))
        return a["x"], a["h"], a.get("c"), w

    def loss(a):
        h_next, c_next, _ = cell.step(*unpack(a))
        return (dh * h_next).sum() + ((dc * c_next).sum() if cell.has_c else 0)

    x, h, c, w = unpack(arrays)
    _, c_next, gates = cell.step(x, h, c, w)
    dx, dh_0, dc_0, dw = cell.step_backward(dh, dc, x, h, c, gates, c_next, w)
    gradients = {"x": dx, "h": dh_0} | ({"c": dc_0} if cell.has_c else {})
    gradients |= {name: d for name, d in dw._asdict().items() if name in arrays}
    assert_derivatives(loss, arrays, gradients)


NETWORKS = {
    "concat": {"num_layers": 2, "bidirectional": True},
    "sum": {"num_layers": 2, "bidirectional": True, "merge": "sum"},
    "mul": {"num_layers": 2, "bidirectional": True, "merge": "mul"},
    "ave": {"num_layers": 2, "bidirectional": True, "merge": "ave"},
    "apart": {"num_layers": 1, "bidirectional": True, "merge": None},
    "reverse": {"num_layers": 2, "bidirectional": False, "reverse": True},
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_network(cell, bias, network, rng):
    has_c, gates = reference.CELLS[cell].has_c, reference.CELLS[cell].gates
    options = {"cell": cell} | network
    L, D = options["num_layers"], 1 + options["bidirectional"]
    T, N, I, H = 3, 2, 3, 4
    merge = options.get("merge", "concat")
    F = D * H if merge == "concat" else H
    state = (L * D, N, H)

    sizes = [I] * D + [F] * D * (L - 1)
    options["masks"] = {
        "between": [rng.choice([0.0, 2.0], (T, N, F)) for _ in range(L - 1)],
        "input": [rng.uniform(-1, 2, (N, columns)) for columns in sizes],
        "recurrent": [rng.uniform(-1, 2, (N, H)) for _ in sizes],
    }

    params = {}
    for columns, suffix in zip(sizes, reference.suffixes(L, D == 2), strict=True):
        params |= draw(
            rng,
            **{f"weight_ih{suffix}": (gates * H, columns)},
            **{f"weight_hh{suffix}": (gates * H, H)},
        )
        if bias:
            names = [f"bias_ih{suffix}", f"bias_hh{suffix}"]
            params |= draw(rng, **dict.fromkeys(names, gates * H))
    arrays = params | draw(rng, x=(T, N, I), h_0=state)
    arrays |= draw(rng, c_0=state) if has_c else {}
    dy, dh_n, dc_n = (
        rng.standard_normal(shape) for shape in ((D, T, N, F), state, state)
    )
    dy = tuple(dy) if merge is None else dy[0]
    dc = rng.standard_normal((L * D, T, N, H))

    def run(a):
        state = (a["h_0"], a["c_0"]) if has_c else a["h_0"]
        return reference.network_forward(
            {name: a[name] for name in params}, a["x"], state, **options
        )

    def loss(a):
        trace = run(a)
        total = (np.array(dy) * np.array(trace.y)).sum() + (dh_n * trace.h_n).sum()
        if has_c:
            c = np.stack([one.c[1:] for one in trace.traces])
            total += (dc_n * trace.c_n).sum() + (dc * c).sum()
        return total

    x, h_0, c_0, gradients = reference.network_backward(
        params, run(arrays), dy, dh_n, dc_n, dc, **options
    )
    assert list(gradients) == list(params)
    gradients |= {"x": x, "h_0": h_0} | ({"c_0": c_0} if has_c else {})
    assert_derivatives(loss, arrays, gradients)


def test_no_incoming_gradient_is_a_zero_one(cell, rng):
    gates = reference.CELLS[cell].gates
    params = draw(rng, weight_ih_l0=(4 * gates, 3), weight_hh_l0=(4 * gates, 4))
    trace = reference.network_forward(params, rng.standard_normal((2, 3, 3)), cell=cell)
    x, h_0, c_0, gradients = reference.network_backward(params, trace, cell=cell)
    for array in (x, h_0, *([] if c_0 is None else [c_0]), *gradients.values()):
        assert not array.any()


def test_sigmoid_of_large_numbers():
    x = np.array([-np.inf, -1000, -700, 0, 40, 1000, np.inf])
    expected = [0, 0, np.exp(-700.0), 0.5, 1 / (1 + np.exp(-40.0)), 1, 1]
    np.testing.assert_allclose(sigmoid(x), expected, rtol=1e-15, atol=0)
    both = sigmoid(x) + sigmoid(-x)
    np.testing.assert_allclose(both, 1, rtol=1e-15)


def test_relu_keeps_nan():
    np.testing.assert_array_equal(
        relu(np.array([np.nan, -1, -0.0, 2])), [np.nan, 0, 0, 2]
    )
