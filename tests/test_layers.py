"""Layers and cells as objects: construction, parameters, caches, streams, copies."""

import contextlib
import copy
import inspect
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import reference
from conftest import (
    Problem,
    assert_close,
    assert_same_bits,
    make_layer,
    named_gradients,
    named_state,
    same_bits,
)

import rnnext

GATES = {name: cell.gates for name, cell in reference.CELLS.items()}
CELL_KINDS = {
    "rnn_tanh": (rnnext.RNNCell, {}),
    "rnn_relu": (rnnext.RNNCell, {"nonlinearity": "relu"}),
    "lstm": (rnnext.LSTMCell, {}),
    "gru": (rnnext.GRUCell, {}),
    "gru_reset_before": (rnnext.GRUCell, {"reset_after": False}),
}


def make_cell(cell, *sizes, **options):
    kind, own = CELL_KINDS[cell]
    return kind(*sizes, **({"dtype": np.float64, "rng": 0} | own | options))


def network(cell="lstm", **options):
    return Problem(cell, 3, 5, 2, 4, **({"num_layers": 2} | options))


# ---------------------------------------------------------------- construction


def test_positional_order_of_arguments():
    common = ["bias", "batch_first", "dropout", "bidirectional"]
    sizes = ["input_size", "hidden_size"]
    expected = {
        rnnext.RNN: [*sizes, "num_layers", "nonlinearity", *common],
        rnnext.LSTM: [*sizes, "num_layers", *common, "proj_size"],
        rnnext.GRU: [*sizes, "num_layers", *common],
        rnnext.RNNCell: [*sizes, "bias", "nonlinearity"],
        rnnext.LSTMCell: [*sizes, "bias"],
        rnnext.GRUCell: [*sizes, "bias"],
    }
    for kind, names in expected.items():
        parameters = inspect.signature(kind).parameters.values()
        positional = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        assert positional == names


REPRS = [
    "RNN(3, 4, nonlinearity='relu')",
    "LSTM(3, 4)",
    "LSTM(3, 4, num_layers=2)",
    "LSTM(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5)",
    "GRU(3, 4, bidirectional=True, dtype=float64)",
    "GRU(3, 4, reset_after=False)",
    "RNNCell(3, 4)",
    "LSTMCell(3, 4, dtype=float64)",
    "GRUCell(3, 4, bias=False)",
]


@pytest.mark.parametrize("text", REPRS)
def test_repr_is_how_it_is_made(text):
    assert repr(eval(text, vars(rnnext) | {"float64": np.float64})) == text


def test_arguments_by_position():
    layer = rnnext.LSTM(3, 4, 2, False, True, 0.5, True)
    words = (
        "num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True"
    )
    assert repr(layer) == f"LSTM(3, 4, {words})"


def test_default_dtype_is_float32():
    for kind in (rnnext.RNN, rnnext.LSTM, rnnext.GRU, rnnext.LSTMCell):
        layer = kind(3, 4)
        assert layer.dtype == np.float32
        assert {a.dtype for a in layer.parameters.values()} == {layer.dtype}


@pytest.mark.parametrize("make", [make_layer, make_cell])
def test_same_generator_same_parameters(cell, make):
    one = make(cell, 3, 4, rng=7).state_dict()
    for rng in (7, np.random.default_rng(7)):
        assert_same_bits(make(cell, 3, 4, rng=rng).state_dict(), one)
    for seeds in ((7, 8), (None, None)):
        weights = [first_weight(make(cell, 3, 4, rng=seed)) for seed in seeds]
        assert not same_bits(*weights)


def first_weight(layer):
    return next(iter(layer.parameters.values()))


def test_generators_go_on():
    """Two layers of one generator differ."""
    rng = np.random.default_rng(0)
    assert not same_bits(*(first_weight(rnnext.GRU(3, 4, rng=rng)) for _ in range(2)))


def test_initial_parameters_are_uniform(cell, dtype):
    bound = 50**-0.5
    layer = make_layer(cell, 60, 50, num_layers=2, dtype=dtype)
    for name, array in layer.parameters.items():
        u = array.astype(np.float64) / bound
        assert np.abs(u).max() <= 1 + 1e-7, name
        assert abs(u.mean()) < 5 * np.sqrt(1 / 3 / u.size), name
        assert abs((u**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / u.size), name


WRONG = [
    ({"input_size": 0}, ValueError, "input_size"),
    ({"hidden_size": 2.5}, TypeError, "hidden_size"),
    ({"num_layers": -1}, ValueError, "num_layers"),
    ({"bias": "yes"}, TypeError, "bias"),
    ({"dropout": 1.5}, ValueError, "dropout"),
    ({"dropout": "much"}, TypeError, "dropout"),
    ({"dtype": np.float16}, TypeError, "dtype"),
    ({"dtype": np.int64}, TypeError, "dtype"),
    ({"rng": "seed"}, TypeError, "rng"),
]


@pytest.mark.parametrize(("options", "error", "words"), WRONG)
@pytest.mark.parametrize("kind", [rnnext.RNN, rnnext.LSTM, rnnext.GRU])
def test_wrong_constructor_arguments(kind, options, error, words):
    with pytest.raises(error, match=words):
        kind(**({"input_size": 3, "hidden_size": 4} | options))


def test_wrong_nonlinearity():
    with pytest.raises(ValueError, match=r"nonlinearity.*'tanh' or 'relu'.*'sin'"):
        rnnext.RNN(3, 4, 1, "sin")


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
def test_names_shapes_and_order(cell, bias, bidirectional):
    layer = make_layer(cell, 3, 5, num_layers=2, bias=bias, bidirectional=bidirectional)
    rows, expected = GATES[cell] * 5, []
    for suffix in reference.suffixes(2, bidirectional):
        columns = 3 if "l0" in suffix else 5 * (1 + bidirectional)
        expected.append(("weight_ih" + suffix, (rows, columns)))
        expected.append(("weight_hh" + suffix, (rows, 5)))
        if bias:
            expected.append(("bias_ih" + suffix, (rows,)))
            expected.append(("bias_hh" + suffix, (rows,)))
    for mapping in (layer.parameters, layer.state_dict()):
        assert [(name, array.shape) for name, array in mapping.items()] == expected


def test_parameters_are_read_only(cell):
    for layer in (make_layer(cell, 3, 5), make_cell(cell, 3, 5)):
        weight = first_weight(layer)
        with pytest.raises(ValueError, match="read-only"):
            weight[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            weight.flags.writeable = True
        with pytest.raises(TypeError):
            layer.parameters["weight_ih_l0"] = weight


def test_state_dict_copies():
    layer = make_layer("gru", 3, 5)
    before = layer.state_dict()
    for array in layer.state_dict().values():
        array[...] = 0
    assert_same_bits(dict(layer.parameters), before)


def twice(problem):
    """Parameters that are twice those of the problem."""
    return {name: 2 * array for name, array in problem.layer.parameters.items()}


def fresh(problem, parameters):
    """The same problem with a new layer of these parameters."""
    other = copy.copy(problem)
    other.layer = copy.deepcopy(problem.layer)
    other.layer.load_state_dict(parameters)
    return other


def change_in_place(layer, parameters):
    with layer.writable() as p:
        for name, array in parameters.items():
            p[name][...] = array


def change_by_rebinding(layer, parameters):
    with layer.writable() as p:
        for name in parameters:
            p[name] *= 2


CHANGES = {
    "writable": change_in_place,
    "augmented": change_by_rebinding,
    "assign": lambda layer, parameters: layer.assign(**parameters),
    "load_state_dict": lambda layer, parameters: layer.load_state_dict(parameters),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_is_stale_after_a_change(isa, cell, change):
    problem = network(cell)
    stream = problem.layer.stream(2, problem.state)
    problem.infer()
    problem.train()
    stream.step(problem.x[0])
    stream.reset()
    expected = fresh(problem, twice(problem))
    change(problem.layer, twice(problem))
    assert_same_bits(dict(problem.layer.parameters), expected.layer.state_dict())
    assert_same_bits(problem.infer(), expected.infer())
    for found, right in zip(problem.train()[:2], expected.train()[:2], strict=True):
        assert_same_bits(found, right)
    y = np.stack([stream.step(x) for x in problem.x])
    assert same_bits(y, expected.infer()["y"])


def test_a_stream_takes_new_weights_at_its_next_step(cell):
    problem = network(cell)
    stream = problem.layer.stream(2)
    first = stream.step(problem.x[0])
    other = fresh(problem, twice(problem)).layer
    _, state = problem.layer(problem.x[:1])
    assert same_bits(first, problem.layer(problem.x[:1])[0][0])
    problem.layer.assign(**other.parameters)
    assert same_bits(stream.step(problem.x[1]), other(problem.x[1:2], state)[0][0])


def test_changes_count_inside_the_block(cell):
    problem = network(cell)
    problem.infer()
    with problem.layer.writable() as p:
        for array in p.values():
            array *= 2
        expected = fresh(problem, problem.layer.state_dict())
        assert_same_bits(problem.infer(), expected.infer())
        for array in p.values():
            array *= 2
        assert not same_bits(problem.infer()["y"], expected.infer()["y"])


VIEWS = {
    "itself": lambda array: array,
    "slice": lambda array: array[1:],
    "element": lambda array: array[:1, :1],
    "transposed": lambda array: array.T,
    "reshaped": lambda array: array.reshape(-1),
    "view": lambda array: array.view(),
    "view_of_a_view": lambda array: array[1:].T[1:],
    "other_type": lambda array: array.view(np.uint8),
    "buffer": lambda array: np.asarray(memoryview(array)),
    "as_strided": lambda array: np.lib.stride_tricks.as_strided(array),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_kept_after_the_block_change_nothing_silently(view):
    problem = network("lstm")
    with problem.layer.writable() as p:
        kept = view(p["weight_ih_l0"])
    before, outputs = problem.layer.state_dict(), problem.infer()
    with contextlib.suppress(ValueError):  # read-only: said, not silent
        kept[...] = 0
    assert_same_bits(dict(problem.layer.parameters), before)
    assert_same_bits(problem.infer(), outputs)
    fresh_outputs = fresh(problem, before).infer()
    assert_same_bits(outputs, fresh_outputs)


def test_views_of_parameters_follow_changes():
    layer = make_layer("gru", 3, 5)
    view = layer.parameters["bias_ih_l0"]
    layer.assign(bias_ih_l0=np.ones(15))
    assert (layer.parameters["bias_ih_l0"] == 1).all()
    assert (view == 1).all()


def test_an_error_in_the_block_leaves_a_good_layer():
    problem = network("gru")
    problem.infer()
    with pytest.raises(KeyError):
        change_in_place(problem.layer, twice(problem) | {"weight_l9": 0})
    expected = fresh(problem, problem.layer.state_dict())
    assert_same_bits(problem.infer(), expected.infer())
    with pytest.raises(ValueError, match="read-only"):
        problem.layer.parameters["weight_ih_l0"][0] = 0


def test_blocks_within_blocks():
    problem = network("gru")
    with problem.layer.writable() as outer:
        with problem.layer.writable() as inner:
            inner["weight_ih_l0"] *= 2
        outer["weight_hh_l0"] *= 2
    expected = fresh(problem, problem.layer.state_dict())
    assert_same_bits(problem.infer(), expected.infer())


def test_loading_converts(dtype):
    layer = make_layer("lstm", 3, 5, dtype=dtype)
    other = np.float64 if dtype == np.float32 else np.float32
    source = make_layer("lstm", 3, 5, rng=1, dtype=other).state_dict()
    layer.load_state_dict(source)
    expected = {name: array.astype(dtype) for name, array in source.items()}
    assert_same_bits(dict(layer.parameters), expected)
    layer.assign(bias_ih_l0=list(range(20)), weight_hh_l0=np.ones((5, 20), int).T)
    assert (layer.parameters["bias_ih_l0"] == np.arange(20)).all()
    assert (layer.parameters["weight_hh_l0"] == 1).all()


def test_errors_of_loading_name_everything_and_change_nothing():
    layer = make_layer("gru", 3, 5)
    before = layer.state_dict()
    wrong = layer.state_dict()
    del wrong["weight_ih_l0"], wrong["bias_hh_l0"]
    wrong |= {"weight_xx_l0": np.ones(3), "bias_ih_l0": np.ones(14)}
    wrong["weight_hh_l0"] = np.zeros((15, 5))
    with pytest.raises(ValueError) as error:
        layer.load_state_dict(wrong)
    for words in ("weight_ih_l0", "bias_hh_l0", "weight_xx_l0", "bias_ih_l0"):
        assert words in str(error.value)
    for words in ("(15,)", "(14,)"):
        assert words in str(error.value)
    assert_same_bits(dict(layer.parameters), before)

    with pytest.raises(ValueError) as error:
        layer.assign(bias_hh_l0=np.ones(15), weight_l9=np.ones(2), bias_l9=np.ones(1))
    assert "weight_l9" in str(error.value)
    assert "bias_l9" in str(error.value)
    with pytest.raises(TypeError, match="bias_ih_l0"):
        layer.assign(bias_ih_l0=np.ones(15, complex))
    with pytest.raises(TypeError, match="state_dict"):
        layer.load_state_dict([1, 2])
    assert_same_bits(dict(layer.parameters), before)


# ---------------------------------------------------------------- cache


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
def test_cache_shows_states_and_gates(isa, cell, dtype, bidirectional):
    options = {"dtype": dtype, "bidirectional": bidirectional, "dropout": 0.5}
    problem = network(cell, **options)
    *_, cache = problem.layer.forward(problem.x, problem.state, rng=0)
    traces = problem.true_trace(cache.masks).traces
    for i, trace in enumerate(traces):
        assert cache.h[i].shape == (5, 2, 5)
        assert cache.gates[i].shape == (4, 2, GATES[cell], 5)
        assert_close(
            {"h": cache.h[i], "gates": cache.gates[i]},
            {"h": trace.h, "gates": trace.gates},
        )
        if problem.has_c:
            assert_close({"c": cache.c[i]}, {"c": trace.c})
    assert len(cache.h) == len(cache.gates) == len(traces)
    assert cache.c is None or len(cache.c) == len(traces)
    assert (cache.c is None) == (not problem.has_c)


def test_cache_cannot_be_changed(cell):
    problem = network(cell)
    *_, cache = problem.train()
    for array in (cache.h[0], cache.gates[0], *(cache.c or [])[:1]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_cache_of_another_layer_is_refused():
    cache = network("lstm").train()[2]
    for layer in (make_layer("lstm", 3, 5), make_layer("gru", 3, 5, num_layers=2)):
        with pytest.raises(ValueError, match="cache"):
            layer.backward(cache)
    with pytest.raises(TypeError, match="cache"):
        make_layer("lstm", 3, 5).backward(None)


# ---------------------------------------------------------------- wrong arrays


def test_messages_name_argument_expectation_and_gift():
    layer = make_layer("lstm", 3, 16, num_layers=2)
    x = np.zeros((5, 4, 3))
    wrong, right = np.zeros((2, 4, 15)), np.zeros((2, 4, 16))
    message = r"^h_0: expected shape \(2, N=4, H=16\), got \(2, 4, 15\)$"
    with pytest.raises(ValueError, match=message):
        layer(x, (wrong, right))
    with pytest.raises(ValueError, match=message.replace("h_0", "c_0")):
        layer.forward(x, (right, wrong))
    with pytest.raises(ValueError, match=r"^x: .*I=3.* got \(5, 4, 2\)"):
        layer(x[..., :2])
    with pytest.raises(ValueError, match=r"^x: .* got \(3,\)"):
        layer(x[0, 0])
    for kind in (np.float32, np.complex128, object, np.int64):
        with pytest.raises(TypeError, match=r"^x: expected dtype float64"):
            layer(x.astype(kind))
    with pytest.raises(TypeError, match=r"^x: .* got list"):
        layer(x.tolist())
    with pytest.raises(TypeError, match="state"):
        layer(x, right)
    with pytest.raises(TypeError, match=r"c_0: expected dtype float64, got float32"):
        layer(x, (right, right.astype(np.float32)))
    y, _, cache = layer.forward(x, (right, right))
    with pytest.raises(ValueError, match=r"^dy: .*T=5, N=4, D\*H=16.*\(4, 4, 16\)"):
        layer.backward(cache, y[:4])
    with pytest.raises(ValueError, match=r"^dc_n: .*\(2, 4, 15\)"):
        layer.backward(cache, y, (right, wrong))
    with pytest.raises(ValueError, match="dc"):
        layer.backward(cache, dc=np.zeros((2, 4, 4, 16)))
    gru = make_layer("gru", 3, 16)
    *_, cache = gru.forward(x)
    with pytest.raises(TypeError, match="dc"):
        gru.backward(cache, dc=y)
    assert layer(x, (right, right))[0].shape == (5, 4, 16)


def test_no_state_of_pairs_where_there_is_no_c():
    layer = make_layer("gru", 3, 5)
    h = np.zeros((1, 2, 5))
    with pytest.raises(TypeError, match="state"):
        layer(np.zeros((4, 2, 3)), (h, h))


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("N", [1, 4, 11])
def test_cells(isa, cell, dtype, N, bias):
    """One step of a cell is a layer over one step, and its names are without _l0."""
    problem = Problem(cell, 7, 9, N, 1, dtype=dtype, bias=bias)
    one = make_cell(cell, 7, 9, dtype=dtype, bias=bias)
    names = {name: name.removesuffix("_l0") for name in problem.layer.parameters}
    assert [(k, a.shape) for k, a in one.parameters.items()] == [
        (names[k], a.shape) for k, a in problem.layer.parameters.items()
    ]
    one.load_state_dict({names[k]: a for k, a in problem.layer.parameters.items()})

    problem.dy[...] = 0
    if problem.has_c:
        problem.dc[...] = 0
    outputs, gradients, _ = problem.train()
    step = problem.mapped(lambda array: array[0])
    after, cache = one.forward(step.x, step.state)
    expected = {k: outputs[k][0] for k in named_state(after)}
    assert_same_bits(named_state(after), expected)
    assert_same_bits(named_state(one(step.x, step.state)), expected)
    found = named_gradients(one.backward(cache, step.dstate))
    for key in ("x", *named_state(after, "h_0", "c_0")):
        gradients[key] = gradients[key][0]
    expected = {names.get(key, key): array for key, array in gradients.items()}
    assert_same_bits(found, expected)
    assert_close(
        {k: found[names[k]] for k in names},
        {k: problem.true_gradients()[k] for k in names},
    )


def test_cells_without_state_and_unbatched(cell, dtype):
    one = make_cell(cell, 3, 5, dtype=dtype)
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(dtype)
    zero = np.zeros((4, 5), dtype)
    state = (zero, zero) if cell == "lstm" else zero
    expected = named_state(one(x, state))
    assert_same_bits(named_state(one(x)), expected)
    alone = named_state(one(x[2]))
    assert_same_bits(alone, {k: array[2] for k, array in expected.items()})
    after, cache = one.forward(x[2])
    gradients = one.backward(cache, after)
    assert gradients.x.shape == (3,)
    for part in named_state(gradients.state).values():
        assert part.shape == (5,)


def test_either_part_of_the_gradient_of_an_lstm_cell():
    one = make_cell("lstm", 3, 5)
    x, dh, dc = np.ones((2, 3)), np.ones((2, 5)), np.full((2, 5), 2.0)
    _, cache = one.forward(x)
    for given, full in (((dh, None), (dh, 0 * dc)), ((None, dc), (0 * dh, dc))):
        found = named_gradients(one.backward(cache, given))
        assert_same_bits(found, named_gradients(one.backward(cache, full)))


def test_nothing_is_stale_in_a_cell(cell):
    one, x = make_cell(cell, 3, 5), np.ones((2, 3))
    one(x)
    with one.writable() as p:
        p["weight_ih"][...] = 0.5
    other = make_cell(cell, 3, 5, rng=1)
    other.load_state_dict(one.state_dict())
    assert_same_bits(named_state(one(x)), named_state(other(x)))
    assert_same_bits(named_state(copy.deepcopy(one)(x)), named_state(one(x)))


# ---------------------------------------------------------------- streams


def test_state_of_a_stream(cell):
    problem = network(cell)
    layer, x = problem.layer, problem.x
    stream = layer.stream(2, problem.state)
    assert stream.batch_size == 2
    assert_same_bits(named_state(stream.state), named_state(problem.state))
    first = stream.step(x[0])
    kept = stream.state
    second = stream.step(x[1])
    stream.state = kept
    assert same_bits(stream.step(x[1]), second)
    for part in named_state(kept).values():
        part[...] = 0  # a copy
    assert_same_bits(
        named_state(stream.state), named_state(layer(x[:2], problem.state)[1])
    )
    for part in named_state(problem.state).values():
        part[...] = 9  # was copied
    stream.reset()
    assert same_bits(stream.step(x[0]), first)


def test_stream_from_zero(cell):
    problem = network(cell)
    stream = problem.layer.stream(2)
    first = stream.step(problem.x[0])
    assert same_bits(first, problem.layer(problem.x[:1])[0][0])
    assert not same_bits(stream.step(problem.x[0]), first)
    stream.reset()
    assert not any(part.any() for part in named_state(stream.state).values())
    assert same_bits(stream.step(problem.x[0]), first)


def test_output_array_of_a_stream(cell, dtype):
    problem = network(cell, dtype=dtype)
    stream = problem.layer.stream(2)
    out = np.full((2, 5), np.nan, dtype)
    assert stream.step(problem.x[0], out=out) is out
    assert same_bits(out, problem.layer(problem.x[:1])[0][0])
    state = named_state(stream.state)
    for wrong in (np.empty((2, 4), dtype), np.empty((2, 10), dtype)[:, ::2]):
        with pytest.raises(ValueError, match="out"):
            stream.step(problem.x[0], out=wrong)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out"):
        stream.step(problem.x[0], out=out)
    with pytest.raises(TypeError, match="out"):
        stream.step(problem.x[0], out=np.empty((2, 5), np.int32))
    with pytest.raises(ValueError, match=r"x_t: expected shape \(N=2, I=3\)"):
        stream.step(problem.x[0, :1])
    with pytest.raises(TypeError, match="x_t"):
        stream.step(problem.x[0].astype(np.int64))
    assert_same_bits(named_state(stream.state), state)


def test_a_stream_may_feed_on_itself():
    layer = make_layer("gru", 5, 5)
    one, other = layer.stream(3), layer.stream(3)
    loop = np.ones((3, 5))
    y = loop.copy()
    for _ in range(4):
        one.step(loop, out=loop)
        y = other.step(y)
    assert same_bits(loop, y)


def test_no_stream_in_both_directions():
    with pytest.raises(ValueError, match="bidirectional"):
        make_layer("lstm", 3, 5, bidirectional=True).stream()


# ---------------------------------------------------------------- copies


COPIES = {
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_copies_of_layers(cell, dtype, duplicate, used):
    problem = network(cell, dtype=dtype, bidirectional=True, dropout=0.5)
    if used:
        problem.train()
    other = copy.copy(problem)
    other.layer = duplicate(problem.layer)
    assert repr(other.layer) == repr(problem.layer)
    assert_same_bits(other.infer(), problem.infer())
    for found, expected in zip(other.train()[:2], problem.train()[:2], strict=True):
        assert_same_bits(found, expected)  # the masks of dropout are the same, too
    before = problem.infer()
    change_in_place(other.layer, twice(problem))
    assert_same_bits(problem.infer(), before)
    assert_same_bits(dict(other.layer.parameters), twice(problem))


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copies_of_cells(cell, duplicate):
    one, x = make_cell(cell, 3, 5), np.ones((2, 3))
    one(x)
    other = duplicate(one)
    assert_same_bits(dict(other.parameters), one.state_dict())
    assert_same_bits(named_state(other(x)), named_state(one(x)))


# ---------------------------------------------------------------- the package


def test_number_of_threads(threads):
    threads(3)
    assert rnnext.get_num_threads() == 3
    assert rnnext.config()["threads"] == 3
    for wrong, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="n: "):
            rnnext.set_num_threads(wrong)
    assert rnnext.get_num_threads() == 3


def test_config(isa, capsys):
    found = rnnext.config()
    assert found["version"] == rnnext.__version__
    assert found["isa"] == isa
    assert isa in found["available_isas"]
    assert set(found["available_isas"]) <= set(found["compiled_isas"])
    rnnext.show_config()
    printed = capsys.readouterr().out
    assert all(name in printed for name in found)
    assert isa in printed


def run_python(program, **environment):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RNNEXT_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


IMPORTS = """
import sys
import numpy, numpy.random  # which numpy itself loads when it is first asked for
before = set(sys.modules)
import rnnext
own = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(own - set(sys.stdlib_module_names) - {"rnnext", "numpy"}))
"""


def test_import_needs_nothing_but_numpy():
    done = run_python(IMPORTS)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_environment_variables():
    show = "import rnnext; c = rnnext.config(); print(c['threads'], c['isa'])"
    isa = rnnext.config()["available_isas"][-1]
    done = run_python(show, RNNEXT_NUM_THREADS="3", RNNEXT_ISA=isa)
    assert done.stdout.split() == ["3", isa], done.stderr
    for wrong in ({"RNNEXT_NUM_THREADS": "many"}, {"RNNEXT_ISA": "quantum"}):
        done = run_python(show, **wrong)
        assert done.returncode != 0
        assert next(iter(wrong)) in done.stderr


def test_nested_writable_blocks_lose_nothing():
    layer = rnnext.GRU(3, 4, rng=0)
    with layer.writable() as outer:
        with layer.writable() as inner:
            kept = inner["bias_ih_l0"][:2]
            inner["bias_ih_l0"][:] = 1
        outer["bias_ih_l0"][3:] = 2
    kept[:] = 9
    assert layer.parameters["bias_ih_l0"].tolist() == [1] * 3 + [2] * 9


def test_a_block_that_could_not_begin_leaves_the_layer_closed(monkeypatch):
    layer = rnnext.GRU(3, 4, rng=0)

    def refuse(views):
        raise MemoryError

    monkeypatch.setattr("rnnext._parameters._InPlace", refuse)
    with pytest.raises(MemoryError), layer.writable():
        pass
    layer(np.zeros((2, 1, 3), np.float32))
    assert layer._packed is not None  # else it is packed in every call


def test_a_block_is_entered_once():
    block = rnnext.GRU(3, 4).writable()
    with block, pytest.raises(RuntimeError, match="one block for each call"), block:
        pass
