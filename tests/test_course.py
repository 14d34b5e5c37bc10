"""The functions of the course: published values, and the equations in plain NumPy."""

import course_reference as reference
import numpy as np
import pytest
from course_cases import (
    KINDS,
    SIZES,
    assert_all_close,
    assert_caches_close,
    assert_close,
    cell_backward,
    cell_forward,
    draw,
    hand_built,
    loop_backward,
    loop_forward,
)

import rnnext

MODES = [(True, False), (True, True), (False, True)]  # da, dy


def printed(*values):
    """Values as NumPy prints them: eight digits after the point."""
    return pytest.approx(list(values), abs=6e-9, rel=6e-9)


def randn(*shape):
    return np.random.randn(*shape)  # noqa: NPY002 (the published values' generator)


def seed(value):
    np.random.seed(value)  # noqa: NPY002


def draws(**shapes):
    """Arrays drawn in the order of the keywords."""
    return {name: randn(*shape) for name, shape in shapes.items()}


def lstm_draws(n_x, n_a, n_y=None):
    shapes = {}
    for gate in "fioc":
        shapes |= {"W" + gate: (n_a, n_a + n_x), "b" + gate: (n_a, 1)}
    if n_y is not None:
        shapes |= {"Wy": (n_y, n_a), "by": (n_y, 1)}
    return draws(**shapes)


# ---------------------------------------------------------- published values

RNN_DRAWS = {"Waa": (5, 5), "Wax": (5, 3), "Wya": (2, 5), "ba": (5, 1), "by": (2, 1)}
RNN_BACKWARD_DRAWS = {k: RNN_DRAWS[k] for k in ("Wax", "Waa", "Wya", "ba", "by")}


def test_rnn_cell_forward_prints_the_published_values():
    seed(1)
    xt, a_prev = randn(3, 10), randn(5, 10)
    p = draws(**RNN_DRAWS)
    a_next, yt_pred, cache = rnnext.rnn_cell_forward(xt, a_prev, p)
    assert a_next[4] == printed(
        *(0.59584544, 0.18141802, 0.61311866, 0.99808218, 0.85016201),
        *(0.99980978, -0.18887155, 0.99815551, 0.6531151, 0.82872037),
    )
    assert yt_pred[1] == printed(
        *(0.9888161, 0.01682021, 0.21140899, 0.36817467, 0.98988387),
        *(0.88945212, 0.36920224, 0.9966312, 0.9982559, 0.17746526),
    )
    assert (a_next.shape, yt_pred.shape, len(cache)) == ((5, 10), (2, 10), 4)


def test_rnn_forward_prints_the_published_values():
    seed(1)
    x, a0 = randn(3, 10, 4), randn(5, 10)
    p = draws(**RNN_DRAWS)
    a, y_pred, caches = rnnext.rnn_forward(x, a0, p)
    assert a[4][1] == printed(-0.99999375, 0.77911235, -0.99861469, -0.99833267)
    assert y_pred[1][3] == printed(0.79560373, 0.86224861, 0.11118257, 0.81515947)
    assert caches[1][1][3] == printed(-1.1425182, -0.34934272, -0.20889423, 0.58662319)
    assert (a.shape, y_pred.shape, len(caches)) == ((5, 10, 4), (2, 10, 4), 2)


def test_lstm_cell_forward_prints_the_published_values():
    seed(1)
    xt, a_prev, c_prev = randn(3, 10), randn(5, 10), randn(5, 10)
    p = lstm_draws(3, 5, 2)
    a_next, c_next, yt, cache = rnnext.lstm_cell_forward(xt, a_prev, c_prev, p)
    assert a_next[4] == printed(
        *(-0.66408471, 0.0036921, 0.02088357, 0.22834167, -0.85575339),
        *(0.00138482, 0.76566531, 0.34631421, -0.00215674, 0.43827275),
    )
    assert c_next[2] == printed(
        *(0.63267805, 1.00570849, 0.35504474, 0.20690913, -1.64566718),
        *(0.11832942, 0.76449811, -0.0981561, -0.74348425, -0.26810932),
    )
    assert yt[1] == printed(
        *(0.79913913, 0.15986619, 0.22412122, 0.15606108, 0.97057211),
        *(0.31146381, 0.00943007, 0.12666353, 0.39380172, 0.07828381),
    )
    assert cache[1][3] == printed(
        *(-0.16263996, 1.03729328, 0.72938082, -0.54101719, 0.02752074),
        *(-0.30821874, 0.07651101, -1.03752894, 1.41219977, -0.37647422),
    )
    assert len(cache) == 10


def test_lstm_forward_prints_the_published_values():
    seed(1)
    x, a0 = randn(3, 10, 7), randn(5, 10)
    a, y, c, caches = rnnext.lstm_forward(x, a0, lstm_draws(3, 5, 2))
    assert [a[4][3][6], y[1][4][3]] == pytest.approx(
        [0.172117767533, 0.95087346185], rel=1e-11
    )
    assert caches[1][1][1] == printed(
        *(0.82797464, 0.23009474, 0.76201118, -0.22232814),
        *(-0.20075807, 0.18656139, 0.41005165),
    )
    assert c[1][2][1] == pytest.approx(-0.855544916718, rel=1e-11)
    assert (a.shape, y.shape, len(caches)) == ((5, 10, 7), (2, 10, 7), 2)


@pytest.mark.parametrize(
    ("stale", "values", "bias"),
    [
        # The document reuses the bias of the test before: values of older editions.
        (
            True,
            [-0.460564103059, 0.0842968653807, 0.393081873922, -0.28483955787],
            0.80517166,
        ),
        (
            False,
            [-1.3872130506, -0.1523994937739, 0.4107728249355, 1.15034506685],
            0.20023491,
        ),
    ],
)
def test_rnn_cell_backward_prints_the_published_values(stale, values, bias):
    seed(1)
    randn(3, 10, 4), randn(5, 10)
    ba = draws(**RNN_DRAWS)["ba"]
    seed(1)
    xt, a_prev = randn(3, 10), randn(5, 10)
    p = draws(**RNN_BACKWARD_DRAWS)
    if stale:
        p["ba"] = ba
    _, _, cache = rnnext.rnn_cell_forward(xt, a_prev, p)
    g = rnnext.rnn_cell_backward(randn(5, 10), cache)
    got = [g["dxt"][1][2], g["da_prev"][2][3], g["dWax"][3][1], g["dWaa"][1][2]]
    assert got == pytest.approx(values, rel=1e-10)
    assert g["dba"][4] == printed(bias)


def test_rnn_backward_prints_the_published_values():
    seed(1)
    x, a0 = randn(3, 10, 4), randn(5, 10)
    _, _, caches = rnnext.rnn_forward(x, a0, draws(**RNN_BACKWARD_DRAWS))
    g = rnnext.rnn_backward(randn(5, 10, 4), caches)
    assert g["dx"][1][2] == printed(-2.07101689, -0.59255627, 0.02466855, 0.01483317)
    assert g["da0"][2][3] == pytest.approx(-0.3149423751266506, rel=1e-12)
    assert g["dWax"][3][1] == pytest.approx(11.264104496527771, rel=1e-12)
    assert g["dWaa"][1][2] == pytest.approx(2.303333126579893, rel=1e-12)
    assert g["dba"][4] == printed(-0.74747722)


def test_lstm_cell_backward_prints_the_published_values():
    seed(1)
    xt, a_prev, c_prev = randn(3, 10), randn(5, 10), randn(5, 10)
    _, _, _, cache = rnnext.lstm_cell_forward(xt, a_prev, c_prev, lstm_draws(3, 5, 2))
    g = rnnext.lstm_cell_backward(randn(5, 10), randn(5, 10), cache)
    assert g["dxt"][1][2] == pytest.approx(3.2305591151091875, rel=1e-12)
    assert g["da_prev"][2][3] == pytest.approx(-0.06396214197109236, rel=1e-12)
    assert g["dc_prev"][2][3] == pytest.approx(0.7975220387970015, rel=1e-12)
    assert g["dWf"][3][1] == pytest.approx(-0.1479548381644968, rel=1e-12)
    assert g["dWi"][1][2] == pytest.approx(1.0574980552259903, rel=1e-12)
    assert g["dWc"][3][1] == pytest.approx(2.304562163687667, rel=1e-12)
    assert g["dWo"][1][2] == pytest.approx(0.33131159528921084, rel=1e-12)
    biases = [g["db" + gate][4, 0] for gate in "fico"]
    assert biases == printed(0.18864637, -0.40142491, 0.25587763, 0.13893342)


def test_lstm_backward_goes_back_through_the_steps_of_da_only():
    seed(1)
    x, a0 = randn(3, 10, 7), randn(5, 10)
    p = lstm_draws(3, 5) | {"Wy": np.zeros((2, 5)), "by": np.zeros((2, 1))}
    _, _, _, caches = rnnext.lstm_forward(x, a0, p)
    g = rnnext.lstm_backward(randn(5, 10, 4), caches)
    assert g["dx"].shape == (3, 10, 4)
    assert g["dx"][1][2] == printed(0.00218254, 0.28205375, -0.48292508, -0.43281115)
    assert g["da0"][2][3] == pytest.approx(0.3127703102572602, rel=1e-12)
    assert g["dWf"][3][1] == pytest.approx(-0.08098023109383466, rel=1e-12)
    assert g["dWi"][1][2] == pytest.approx(0.4051243309298183, rel=1e-12)
    assert g["dWc"][3][1] == pytest.approx(-0.07937467355121496, rel=1e-12)
    assert g["dWo"][1][2] == pytest.approx(0.03894877576298695, rel=1e-12)
    biases = [g["db" + gate][4, 0] for gate in "fico"]
    assert biases == printed(-0.15745657, -0.50848333, -0.42510818, -0.17958196)


def test_graded_rnn_forward_of_seed_17():
    seed(17)
    x, a0 = randn(4, 8, 13), randn(7, 8)
    p = draws(Waa=(7, 7), Wax=(7, 4), Wya=(3, 7), ba=(7, 1), by=(3, 1))
    a, y_pred, _ = rnnext.rnn_forward(x, a0, p)
    want = [0.99999291, 0.99332189, 0.9921928, 0.99503445]
    assert a[5, 2, 2:6] == pytest.approx(want, abs=1e-7)
    assert y_pred[2, 1, 1:5] == pytest.approx(
        [0.19428, 0.14292, 0.24993, 0.00119], abs=1e-5
    )


def test_graded_lstm_cell_forward_of_seed_212():
    seed(212)
    x, a0, c0 = randn(4, 8), randn(7, 8), randn(7, 8)
    p = lstm_draws(4, 7, 3)
    a_next, c_next, y_pred, cache = rnnext.lstm_cell_forward(x, a0, c0, p)
    ft, it, cct, ot = cache[4:8]
    got = [gate[0, :2] for gate in (ft, it, cct, ot, c_next, a_next)]
    want = [
        [0.32969833, 0.0574555],
        [0.0036446, 0.9806943],
        [0.99903873, 0.57509956],
        [0.7477249, 0.71588751],
        [0.1352798, 0.39884899],
        [0.10053951, 0.27129536],
    ]
    assert np.array(got) == pytest.approx(np.array(want), abs=1e-7)
    assert y_pred[1] == pytest.approx(
        [0.417098, 0.449528, 0.223159, 0.278376, 0.68453, 0.419221, 0.564025, 0.538475],
        abs=5e-6,
    )


def test_graded_lstm_forward_of_seed_45():
    seed(45)
    x, a0 = randn(4, 13, 16), randn(3, 13)
    a, y, c, _ = rnnext.lstm_forward(x, a0, lstm_draws(4, 3, 2))
    assert a[2, 1, 4:6] == pytest.approx([-0.01606022, 0.0243569], abs=1e-7)
    assert c[2, 1, 4:6] == pytest.approx([-0.02753855, 0.05668358], abs=1e-7)
    assert y[1, 1, 4:6] == pytest.approx([0.70444592, 0.70648935], abs=1e-7)


def test_training_step_of_the_dinosaur_names():
    seed(1)
    a_prev = randn(100, 1)
    p = draws(Wax=(100, 27), Waa=(100, 100), Wya=(27, 100), ba=(100, 1), by=(27, 1))
    seen, wanted = [12, 3, 5, 11, 22, 3], [4, 14, 11, 22, 25, 26]
    x = np.eye(27)[:, None, seen]
    a, y_pred, caches = rnnext.rnn_forward(x, a_prev, p)
    loss = -np.log(y_pred[wanted, 0, range(6)]).sum()
    g = rnnext.rnn_backward(None, caches, dy=y_pred - np.eye(27)[:, None, wanted])
    for name in ("dWax", "dWaa", "dWya", "dba", "dby"):
        np.clip(g[name], -5, 5, out=g[name])
    assert loss == pytest.approx(126.50397572165389, rel=1e-12)
    assert g["dWaa"][1][2] == pytest.approx(0.19470931534713587, rel=1e-10)
    assert np.argmax(g["dWax"]) == 93
    assert g["dWya"][1][2] == pytest.approx(-0.007773876032002162, rel=1e-10)
    assert [g["dba"][4, 0], g["dby"][1, 0]] == printed(-0.06809825, 0.01538192)
    assert a[4, 0, -1] == pytest.approx(-1.0, abs=1e-8)


def test_rnn_cell_with_one_part_at_a_time():
    seed(10)
    xt, a_prev = randn(3, 4), randn(5, 4)
    zero = {k: np.zeros(shape) for k, shape in RNN_DRAWS.items()}
    for name, seen in (("ba", 1.0), ("Wax", xt), ("Waa", a_prev)):
        value = randn(*RNN_DRAWS[name])
        a_next, y, _ = rnnext.rnn_cell_forward(xt, a_prev, zero | {name: value})
        want = np.tanh(value @ seen if name != "ba" else value + np.zeros((5, 4)))
        assert_close(a_next, want)
        assert_close(y, np.full((2, 4), 0.5))


# ------------------------------------------------- the equations in plain NumPy


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_forward_agrees_with_the_equations(kind, sizes):
    case = draw(kind, sizes)
    outputs, caches = loop_forward(rnnext, case)
    want, want_caches = loop_forward(reference, case)
    assert_all_close(outputs, want)
    cells, want_cells = caches, want_caches
    if kind != "rnn-uwv":
        cells, want_cells = caches[0], want_caches[0]
    assert len(cells) == len(want_cells)
    for cell, want_cell in zip(cells, want_cells, strict=True):
        assert_caches_close(cell, want_cell, case.p)
    outputs, cache = cell_forward(rnnext, case)
    want, want_cache = cell_forward(reference, case)
    assert_all_close(outputs, want)
    assert_caches_close(cache, want_cache, case.p)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("da", "dy"), MODES)
def test_backward_agrees_with_the_equations(kind, sizes, da, dy):
    case = draw(kind, sizes)
    _, caches = loop_forward(rnnext, case)
    _, want_caches = loop_forward(reference, case)
    want = loop_backward(reference, case, want_caches, da, dy)
    assert_all_close(loop_backward(rnnext, case, caches, da, dy), want)
    _, cache = cell_forward(rnnext, case)
    _, want_cache = cell_forward(reference, case)
    want = cell_backward(reference, case, want_cache, da, dy)
    assert_all_close(cell_backward(rnnext, case, cache, da, dy), want)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_is_the_derivative(kind):
    """Complex steps of the reference's sum(da a) + sum(dy logits) + sum(dc c_T)."""
    case = draw(kind, (2, 3, 2, 2, 4))
    _, caches = loop_forward(rnnext, case)
    g = loop_backward(rnnext, case, caches, dy=True)

    def loss(case):
        outputs, _ = loop_forward(reference, case)
        total = np.sum(case.da * outputs["a"])
        total += np.sum(case.dy * reference.logits(outputs["a"], case.p))
        if kind == "lstm":
            total += np.sum(case.dc * outputs["c"][:, :, -1])
        return total

    def derivative(array):
        """The array is changed in place, so that `case` sees it."""
        result = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            before = array[index]
            array[index] = before + 1e-30j
            result[index] = loss(case).imag / 1e-30
            array[index] = before
        return result

    case = case.map(lambda array: array.astype(complex))
    wanted = {"d" + name: derivative(value) for name, value in case.p.items()}
    wanted["dx"] = derivative(case.x)
    if kind != "rnn-uwv":
        wanted["da0"] = derivative(case.a0)
    if kind == "lstm":
        wanted["dc0"] = derivative(case.c0)
    assert_all_close(g, wanted, norm=1e-11, each=1e-11)


def test_own_run_of_the_second_notation():
    seed(1)
    x, s0 = randn(2, 1, 7), randn(6, 1)
    p = draws(W=(6, 6), U=(6, 2), V=(2, 6), ba=(6, 1), by=(2, 1))
    s, y, caches = rnnext.rnn_forward(x, s0, p)
    want_s, want_y, want_caches = reference.rnn_forward(x, s0, p)
    ds = randn(6, 1, 7)
    gradients = rnnext.rnn_backward(ds, caches)
    assert list(gradients) == ["dU", "dW", "dba", "dx"]
    assert_close(s, want_s)
    assert_close(y, want_y)
    assert_all_close(gradients, reference.rnn_backward(ds, want_caches))
    assert len(caches) == 7
    cell = rnnext.rnn_cell_backward(ds[:, :, 6], caches[6])
    assert list(cell) == ["dtanh", "dU", "dW", "dba", "dx_t", "ds_prev"]
    # Numbers too, in case both sides change together.
    g = gradients
    got = [s[0, 0, 0], s[5, 0, 6], y[1, 0, 3], g["dU"][3, 1], g["dW"][1, 2]]
    assert got == printed(
        *(-0.995362915580954, -0.5561781997809829, 0.8885189013148503),
        *(0.32578968067538394, -0.21160510134566715),
    )
    assert g["dx"][1, 0] == printed(
        *(0.73948798, 0.08157338, 0.66886176, 0.11043227),
        *(-0.03977472, -0.4352718, 1.1836259),
    )


NAMES = {
    "rnn": ("dxt da_prev dWax dWaa dba", "dx da0 dWax dWaa dba", "dWya dby"),
    "rnn-uwv": ("dtanh dU dW dba dx_t ds_prev", "dU dW dba dx", "dV dby"),
    "lstm": (
        "dxt da_prev dc_prev dWf dbf dWi dbi dWc dbc dWo dbo",
        "dx da0 dc0 dWf dbf dWi dbi dWc dbc dWo dbo",
        "dWy dby",
    ),
    "gru": (
        "dxt da_prev dWu dbu dWr dbr dWc dbc",
        "dx da0 dWu dbu dWr dbr dWc dbc",
        "dWy dby",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_have_their_names_and_the_shapes_of_the_parameters(kind):
    case = draw(kind)
    cell, loop, output = (names.split() for names in NAMES[kind])
    _, caches = loop_forward(rnnext, case)
    _, cache = cell_forward(rnnext, case)
    for dy in (False, True):
        more = output if dy else []
        g = loop_backward(rnnext, case, caches, dy=dy)
        assert list(g) == loop + more
        assert list(cell_backward(rnnext, case, cache, dy=dy)) == cell + more
        for name in set(g) & {"d" + name for name in case.p}:
            assert g[name].shape == case.p[name[1:]].shape
            assert g[name].flags.writeable


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_steps_of_da_are_a_shorter_sequence(kind):
    case = draw(kind)
    _, caches = loop_forward(rnnext, case)
    short = draw(kind)
    short = short.map(lambda v: v[:, :, :2] if v.ndim == 3 else v)
    _, short_caches = loop_forward(rnnext, short)
    for da, dy in MODES:
        got = loop_backward(rnnext, short, caches, da, dy)
        want = loop_backward(rnnext, short, short_caches, da, dy)
        for name, value in want.items():
            np.testing.assert_array_equal(got[name], value)
        built = loop_backward(rnnext, short, hand_built(rnnext, case), da, dy)
        assert_all_close(built, want)


def test_update_gate_is_accurate_and_its_complement_too():
    """1 - u is what the core has: u must not suffer from it."""
    case = draw("gru", (4, 6, 2, 5, 1))
    for shift in (-30.0, -5.0, 0.0, 5.0, 30.0):
        p = case.p | {"bu": case.p["bu"] + shift}
        _, _, cache = rnnext.gru_cell_forward(case.x[:, :, 0], case.a0, p)
        _, _, want = reference.gru_cell_forward(case.x[:, :, 0], case.a0, p)
        np.testing.assert_allclose(cache[2], want[2], rtol=0, atol=1e-13)
        assert_close(cache[0], want[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_is_its_cells(kind):
    """The same bits from step to step as at once."""
    case = draw(kind)
    _, caches = loop_forward(rnnext, case)
    built = hand_built(rnnext, case)
    cells, built_cells = (caches, built) if kind == "rnn-uwv" else (caches[0], built[0])
    for cell, other in zip(cells, built_cells, strict=True):
        for one, two in zip(cell[:-1], other[:-1], strict=True):
            np.testing.assert_array_equal(one, two)


def test_lstm_starts_from_zero_memory():
    case = draw("lstm")
    got = rnnext.lstm_forward(case.x, case.a0, case.p)
    want = rnnext.lstm_forward(case.x, case.a0, case.p, np.zeros_like(case.a0))
    for one, two in zip(got[:3], want[:3], strict=True):
        np.testing.assert_array_equal(one, two)


def test_lstm_cell_takes_no_gradient_of_memory():
    case = draw("lstm")
    _, cache = cell_forward(rnnext, case)
    got = rnnext.lstm_cell_backward(case.da[:, :, 0], None, cache)
    want = rnnext.lstm_cell_backward(case.da[:, :, 0], np.zeros_like(case.dc), cache)
    assert_all_close(got, want)


# ----------------------------------------------------------- softmax, sigmoid


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4), (2, 1, 3, 2), (1, 4)])
def test_softmax_is_over_axis_0(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    assert_close(rnnext.softmax(x), reference.softmax(x))
    assert_close(rnnext.softmax(x[::-1]), reference.softmax(x)[::-1])


def test_softmax_has_each_columns_own_maximum():
    x = np.array([[1000.0, -1000.0], [999.0, -1001.0], [-1e300, -1e300]])
    top = 1 / (1 + np.exp(-1))
    assert_close(rnnext.softmax(x), [[top] * 2, [1 - top] * 2, [0, 0]])
    assert np.isnan(rnnext.softmax([[np.nan, 1.0], [0.0, 1.0]])).tolist() == [
        [True, False],
        [True, False],
    ]


def test_softmax_of_nothing():
    for shape in [(0,), (0, 3), (3, 0), (2, 0, 4)]:
        assert rnnext.softmax(np.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (0, 3)])
def test_sigmoid_of_any_shape(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    assert_close(rnnext.sigmoid(x), reference.sigmoid(x))


def test_sigmoid_of_scalars_lists_and_large_values():
    assert rnnext.sigmoid(0) == 0.5
    assert isinstance(rnnext.sigmoid(0.0), np.float64)
    assert rnnext.sigmoid([-800, 0, 800]).tolist() == [0.0, 0.5, 1.0]
    assert rnnext.sigmoid(np.float32(1)).dtype == np.float32
    assert rnnext.sigmoid(-100.0) == pytest.approx(np.exp(-100.0), rel=1e-14)
    assert np.isnan(rnnext.sigmoid(np.nan))
