"""Directions merged or left apart, and one direction from the end."""

import pickle
import re

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
    same_bits,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnext
from rnnext import _core

MERGES = ["concat", "sum", "mul", "ave", None]
# What is wanted of a layer, and in how many layers.
NETWORKS = {
    **{
        f"{merge} {layers}": {
            "bidirectional": True,
            "merge": merge,
            "num_layers": layers,
        }
        for merge in MERGES[1:]
        for layers in (1, 2, 3)
        if merge is not None or layers == 1
    },
    "reverse 1": {"reverse": True},
    "reverse 2": {"reverse": True, "num_layers": 2},
}


@pytest.fixture(params=NETWORKS)
def options(request):
    return NETWORKS[request.param]


def problem_of(cell, dtype=np.float64, **options):
    return Problem(cell, 5, 9, 3, 7, dtype=dtype, **options)


def everything(problem):
    outputs, gradients, _ = problem.train()
    return outputs | gradients


# ---------------------------------------------------------------- the reference


def test_against_the_reference(isa, cell, dtype, options):
    problem = problem_of(cell, dtype, **options)
    assert_close(problem.infer(), problem.true_forward())
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())


def test_many_units_and_sequences(isa, cell, options):
    problem = Problem(cell, 33, 65, 13, 20, dtype=np.float32, **options)
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())


def test_without_gradients_of_outputs_or_of_x(cell, options):
    problem = problem_of(cell, **options)
    *_, cache = problem.layer.forward(problem.x, problem.state)
    state = problem.dstate if problem.has_c else (problem.dstate, None)
    found = problem.layer.backward(cache, None, problem.dstate)
    assert_close(named_gradients(found), problem.true_backward(None, *state, None))
    whole = problem.layer.backward(cache, problem.dy, problem.dstate)
    found = problem.layer.backward(cache, problem.dy, problem.dstate, need_x=False)
    assert found.x is None
    assert_same_bits(found.parameters, whole.parameters)


@pytest.mark.parametrize("part", [0, 1], ids=["forward", "backward"])
def test_either_gradient_of_outputs_apart(isa, cell, dtype, part):
    problem = problem_of(cell, dtype, bidirectional=True, merge=None)
    *_, cache = problem.layer.forward(problem.x, problem.state)
    parts = [None, None]
    parts[part] = problem.dy[part]
    for dy in (tuple(parts), parts):
        found = problem.layer.backward(cache, dy)
        expected = problem.true_backward(tuple(parts), None, None, None)
        assert_close(named_gradients(found), expected)


# ---------------------------------------------------------------- same bits


def threads_and_companies(problem):
    """The outputs and gradients of its sequences, other than the parameters'."""
    found = everything(problem)
    return {k: v for k, v in found.items() if k not in problem.layer.parameters}


def test_company_and_threads_change_no_bit(isa, cell, dtype, options, threads):
    problem = Problem(cell, 20, 33, 6, 10, dtype=dtype, **options)
    threads(1)
    expected, together = everything(problem), threads_and_companies(problem)
    assert_same_bits(problem.infer(), {k: expected[k] for k in problem.infer()})
    for index in (slice(0, 1), slice(4, 6)):
        part = {k: array[..., index, :] for k, array in together.items()}
        assert_same_bits(threads_and_companies(problem.rows(index)), part)
    threads(3)
    assert_same_bits(everything(problem), expected)


def test_batch_first_and_unbatched(cell, options):
    problem = problem_of(cell, **options)
    expected = threads_and_companies(problem)
    batch_first = problem_of(cell, batch_first=True, **options)

    def swapped(array):
        return np.ascontiguousarray(array.swapaxes(0, 1))

    batch_first.x = swapped(problem.x)
    is_apart = isinstance(problem.dy, tuple)
    dy = problem.dy if is_apart else (problem.dy,)
    dy = tuple(map(swapped, dy))
    batch_first.dy = dy if is_apart else dy[0]
    found = threads_and_companies(batch_first)
    for key in found:
        if key[0] in "xy":
            found[key] = found[key].swapaxes(0, 1)
    assert_same_bits(found, expected)

    alone = threads_and_companies(problem.rows(1))
    assert_same_bits(alone, {k: v[..., 1, :] for k, v in expected.items()})


def outputs_apart(problem):
    """Of a layer with the weights of the problem's."""
    layer = make_layer(
        *(problem.cell, problem.x.shape[2], problem.layer.hidden_size),
        dtype=problem.dtype,
        bidirectional=True,
        merge=None,
    )
    layer.load_state_dict(problem.layer.parameters)
    return layer(problem.x, problem.state)[0]


sizes = st.tuples(*[st.integers(1, 40)] * 2, st.integers(0, 9), st.integers(0, 9))
anything = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@anything
@given(
    cell=st.sampled_from(CELLS),
    sizes=sizes,
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_merges_are_those_of_numpy(cell, sizes, dtype, seed):
    for merge in MERGES[:-1]:
        options = {"bidirectional": True, "merge": merge, "dtype": dtype}
        problem = Problem(cell, *sizes, seed=seed, **options)
        a, b = outputs_apart(problem)
        expected = {
            "concat": np.concatenate([a, b], axis=2),
            "sum": a + b,
            "mul": a * b,
            "ave": (a + b) / 2,
        }
        assert same_bits(problem.infer()["y"], expected[merge])


@anything
@given(
    cell=st.sampled_from(CELLS),
    sizes=sizes,
    dtype=st.sampled_from([np.float32, np.float64]),
    layers=st.integers(1, 3),
)
def test_reverse_is_the_flip_in_time(cell, sizes, dtype, layers):
    options = {"dtype": dtype, "num_layers": layers}
    problem = Problem(cell, *sizes, reverse=True, **options)
    flipped = Problem(cell, *sizes, **options)
    flipped.x, flipped.dy = problem.x[::-1], problem.dy[::-1]
    found, expected = everything(problem), everything(flipped)
    names = list(problem.layer.parameters)
    for key in ("x", "y"):
        expected[key] = expected[key][::-1]
    assert_close(
        {k: found[k] for k in names}, {k: np.float64(expected[k]) for k in names}
    )
    for k in names:
        del found[k], expected[k]
    assert_same_bits(found, expected)


def test_a_reversed_layer_is_the_second_direction(cell, dtype):
    apart = make_layer(cell, 5, 9, bidirectional=True, merge=None, dtype=dtype)
    alone = make_layer(cell, 5, 9, reverse=True, dtype=dtype)
    names = list(alone.parameters)
    alone.load_state_dict({k: apart.parameters[f"{k}_reverse"] for k in names})
    x = np.random.default_rng(0).standard_normal((7, 3, 5)).astype(dtype)
    (_, second), _ = apart(x)
    assert same_bits(alone(x)[0], second)


@pytest.mark.parametrize("sizes", [(3, 0), (0, 4), (0, 0)], ids=str)
def test_nothing_to_merge(cell, options, sizes):
    problem = Problem(cell, 5, 9, *sizes, **options)
    outputs, gradients, _ = problem.train()
    assert {len(y) for k, y in outputs.items() if k[0] == "y"} == {sizes[1]}
    h_0 = problem.state[0] if problem.has_c else problem.state
    if sizes[1] == 0:
        assert same_bits(outputs["h_n"], h_0)
    for name in problem.layer.parameters:
        assert not gradients[name].any()


# ---------------------------------------------------------------- the layer


def test_parameters_have_the_sizes_of_the_merged(cell):
    for merge, columns in (("concat", 18), ("sum", 9), ("mul", 9), ("ave", 9)):
        layer = make_layer(cell, 5, 9, num_layers=2, bidirectional=True, merge=merge)
        for name in ("weight_ih_l1", "weight_ih_l1_reverse"):
            assert layer.parameters[name].shape[1] == columns
    reverse = make_layer(cell, 5, 9, num_layers=2, reverse=True)
    assert list(reverse.parameters) == list(
        make_layer(cell, 5, 9, num_layers=2).parameters
    )


def test_copies_and_representation(cell, options):
    problem = problem_of(cell, **options)
    copy = pickle.loads(pickle.dumps(problem.layer))
    assert repr(copy) == repr(problem.layer)
    for name in options.keys() & {"merge", "reverse"}:
        assert f"{name}={options[name]!r}" in repr(copy)
    y, _ = copy(problem.x, problem.state)
    expected = {k: v for k, v in problem.infer().items() if k[0] == "y"}
    assert_same_bits(named_output(y), expected)


def test_caches_belong_to_one_kind_of_layer():
    sizes = {"num_layers": 1, "bidirectional": True}
    caches = {
        merge: problem_of("lstm", merge=merge, **sizes).train()[2] for merge in MERGES
    }
    for merge, cache in caches.items():
        for other in MERGES:
            if other == merge:
                continue
            layer = make_layer("lstm", 5, 9, merge=other, **sizes)
            with pytest.raises(ValueError, match=rf"^cache: .*merge={merge}"):
                layer.backward(cache)
    back = problem_of("gru", reverse=True).train()[2]
    with pytest.raises(ValueError, match=r"^cache: .*reverse=True"):
        make_layer("gru", 5, 9).backward(back)


# ---------------------------------------------------------------- errors

BOTH = {"bidirectional": True}
WRONG = {
    "merge unknown": (
        BOTH | {"merge": "max"},
        "merge: expected 'concat', ... got 'max'",
    ),
    "merge of another type": (
        BOTH | {"merge": 1},
        "merge: expected a string or None...",
    ),
    "merge of a list": (BOTH | {"merge": ["sum"]}, "merge: ..., got list"),
    "merge of one direction": (
        {"merge": "sum"},
        "merge: ...bidirectional=True, got...",
    ),
    "none of one direction": (
        {"merge": None},
        "merge: ...bidirectional=True, got None",
    ),
    "none of layers": (
        BOTH | {"merge": None, "num_layers": 2},
        "merge: expected None only with num_layers=1, ... got num_layers=2",
    ),
    "reverse of both": (
        BOTH | {"reverse": True},
        "reverse: expected False, ..., got True",
    ),
    "reverse of another type": (
        {"reverse": 1},
        "reverse: expected True or False, got int",
    ),
}


def matches(message, error):
    words = ".*".join(re.escape(part) for part in message.split("..."))
    return re.search(f"^{words}$", str(error.value)) is not None


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("kind", [rnnext.RNN, rnnext.LSTM, rnnext.GRU])
def test_wrong_options(kind, options, message):
    with pytest.raises((TypeError, ValueError)) as error:
        kind(3, 4, **options)
    assert matches(message, error), error.value


def test_no_stream_from_the_end():
    message = r"^stream: a layer with reverse=True begins with the last step"
    with pytest.raises(ValueError, match=message):
        rnnext.LSTM(3, 4, reverse=True).stream()


def test_wrong_gradients_of_outputs():
    problem = problem_of("gru", bidirectional=True, merge=None)
    *_, cache = problem.layer.forward(problem.x)
    a, b = problem.dy
    wrong = {
        "dy: expected a tuple (dy_forward, dy_backward), got ndarray": a,
        "dy: ..., got tuple of 1": (a,),
        "dy: ..., got tuple of 3": (a, b, a),
        "dy_forward: expected shape (T=7, N=3, H=9), got (6, 3, 9)": (a[:6], b),
        "dy_backward: expected dtype float64, got float32...": (a, b.astype("f")),
        "dy_backward: expected an array of dtype float64, got list...": (a, [1.0]),
    }
    for message, dy in wrong.items():
        with pytest.raises((TypeError, ValueError)) as error:
            problem.layer.backward(cache, dy)
        assert matches(message, error), error.value
    merged = problem_of("gru", bidirectional=True, merge="sum")
    *_, cache = merged.layer.forward(merged.x)
    for dy in ((a, b), np.concatenate([a, b], axis=2)):
        with pytest.raises((TypeError, ValueError), match=r"^dy: expected "):
            merged.layer.backward(cache, dy)


def test_the_core_refuses_what_does_not_fit():
    def stack(D, layers, *options, inputs=4):
        shapes = [(16, 3)] * D + [(16, inputs)] * D * (layers - 1)
        arrays = [(np.zeros(s), np.zeros((16, 4)), None, None) for s in shapes]
        return _core.Stack("lstm", arrays, D, *options)

    for D, layers, options in (
        (1, 1, ("sum", False)),
        (1, 1, (None, False)),
        (2, 1, ("max", False)),
        (2, 1, ("", False)),
        (2, 2, (None, False)),
        (2, 1, ("concat", True)),
        (2, 2, ("concat", False)),  # from the second layer on, 8 inputs
    ):
        with pytest.raises(ValueError):
            stack(D, layers, *options)
    with pytest.raises(ValueError):
        stack(2, 2, "sum", False, inputs=8)
    with pytest.raises((TypeError, RuntimeError)):
        stack(2, 1, 5, False)
    with pytest.raises(ValueError, match="from the start"):
        _core.Stepper(stack(1, 1, "concat", True), 1)
    assert stack(2, 2, "sum", False) is not None


# ---------------------------------------------------------------- numbers of Keras

# From its lstm_test, gru_test, simple_rnn_test and bidirectional_test: last outputs of
# layers with constant weights, by cell: the shape of x = 0, 1, 2 ..., the units, y.
GO_BACKWARDS = {
    "lstm": ((3, 6, 4), 3, [0.35622165, 0.74789524, 0.8872726]),
    "gru": ((3, 6, 4), 3, [0.24406259, 0.611516, 0.3928808]),
    "rnn_tanh": ((2, 3, 4), 4, [0.11144729, 0.5528889]),
}


def of_keras(layer):
    """kernel 0.01, recurrent kernel 0.02, bias 0.03 and 1 of the LSTM's forget gate."""
    values = {"weight_ih": 0.01, "weight_hh": 0.02, "bias_ih": 0.03, "bias_hh": 0.0}
    if isinstance(layer, rnnext.GRU):
        values["bias_hh"] = 0.03
    with layer.writable() as p:
        for name, array in p.items():
            array[...] = values[name[: name.index("_l")]]
            if name.startswith("bias_ih") and isinstance(layer, rnnext.LSTM):
                array[len(array) // 4 : len(array) // 2] = 1
    return layer


def counted(*shape):
    return np.arange(np.prod(shape), dtype=np.float64).reshape(shape)


@pytest.mark.parametrize("cell", GO_BACKWARDS)
def test_go_backwards_of_keras(isa, cell):
    shape, units, expected = GO_BACKWARDS[cell]
    options = {"batch_first": True, "reverse": True}
    layer = of_keras(make_layer(cell, shape[2], units, **options))
    y, state = layer(counted(*shape))
    h_n = state[0] if isinstance(state, tuple) else state
    assert same_bits(np.ascontiguousarray(y[:, 0]), h_n[0])
    np.testing.assert_allclose(h_n[0], np.array(expected)[:, None] + 0 * h_n[0], 1e-6)


def test_bidirectional_of_keras(isa):
    options = {"batch_first": True, "bidirectional": True, "merge": None}
    layer = of_keras(make_layer("rnn_tanh", 4, 2, **options))
    (forward, backward), _ = layer(counted(2, 3, 4))
    ends = {"forward": forward[:, -1], "backward": backward[:, 0]}
    expected = {
        "forward": [[0.39687276] * 2, [0.7237238] * 2],
        "backward": [[0.10004295] * 2, [0.53391594] * 2],
    }
    for name, end in ends.items():
        np.testing.assert_allclose(end, expected[name], 1e-6)
