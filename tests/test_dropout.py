"""Dropout of inputs and of h, and factors that a caller hands over.

That between layers, drawn, is in test_forward.py and test_backward.py.
"""

import copy
import itertools
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
    same_bits,
)
from hypothesis import given, settings
from hypothesis import strategies as st

RATES = {
    "between": {"dropout": 0.4},
    "input": {"input_dropout": 0.4},
    "recurrent": {"recurrent_dropout": 0.4},
}
ALL = {"dropout": 0.3, "input_dropout": 0.4, "recurrent_dropout": 0.5}
NETWORKS = {
    "one layer": {},
    "two layers": {"num_layers": 2},
    "reversed": {"num_layers": 2, "reverse": True},
    "both ways": {"num_layers": 3, "bidirectional": True},
    "product": {"num_layers": 2, "bidirectional": True, "merge": "mul"},
    "apart": {"bidirectional": True, "merge": None},
}


def problem_of(cell="lstm", dtype=np.float64, **options):
    return Problem(cell, 5, 9, 3, 7, dtype=dtype, **options)


def everything(problem, **options):
    outputs, gradients, _ = problem.train(**options)
    return outputs | gradients


def shapes_of(problem):
    """Of the factors, by kind."""
    layer, (T, N, I) = problem.layer, problem.x.shape
    D, L, H = 1 + layer.bidirectional, layer.num_layers, layer.hidden_size
    F = D * H if layer.merge == "concat" else H
    return {
        "between": [(T, N, F)] * (L - 1),
        "input": [(N, I)] * D + [(N, F)] * D * (L - 1),
        "recurrent": [(N, H)] * D * L,
    }


def factors_of(problem, kinds=("between", "input", "recurrent"), seed=0):
    """Any numbers are factors."""
    rng = np.random.default_rng(seed)
    return {
        kind: [rng.uniform(-1.5, 1.5, s).astype(problem.dtype) for s in shapes]
        for kind, shapes in shapes_of(problem).items()
        if kind in kinds
    }


# ---------------------------------------------------------------- the reference


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("kind", ["input", "recurrent"])
def test_drawn(isa, cell, dtype, network, kind):
    problem = problem_of(cell, dtype, **RATES[kind], **network)
    outputs, gradients, cache = problem.train(rng=1)
    assert list(cache.masks) == [kind]
    assert_close(outputs, problem.true_forward(cache.masks))
    assert_close(gradients, problem.true_gradients(cache.masks))


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_given(isa, cell, dtype, network):
    problem = problem_of(cell, dtype, **network)
    masks = factors_of(problem)
    outputs, gradients, _ = problem.train(dropout_masks=masks)
    assert_close(outputs, problem.true_forward(masks))
    assert_close(gradients, problem.true_gradients(masks))


@pytest.mark.parametrize("shape", [(33, 65, 13, 20), (3, 130, 2, 5), (70, 17, 40, 3)])
def test_many_units_and_sequences(isa, cell, shape):
    problem = Problem(cell, *shape, num_layers=2, bidirectional=True)
    masks = factors_of(problem)
    outputs, gradients, _ = problem.train(dropout_masks=masks)
    assert_close(outputs, problem.true_forward(masks))
    assert_close(gradients, problem.true_gradients(masks))


STEPS = {
    "lengths": {"lengths": [7, 0, 3]},
    "held": {"lengths": [2, 7, 5], "pad": "hold"},
    "resets": {
        "mask": np.random.default_rng(1).random((7, 3)) < 0.7,
        "reset": np.random.default_rng(2).random((7, 3)) < 0.3,
    },
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_where_not_every_step_exists(isa, cell, network, steps):
    problem = problem_of(cell, **network)
    masks = factors_of(problem)
    outputs, gradients, _ = problem.train(dropout_masks=masks, **steps)
    assert_close(outputs, problem.true_forward(masks, **steps))
    assert_close(gradients, problem.true_gradients(masks, **steps))


def test_token_ids(isa, cell, dtype):
    """The same bits as one-hot rows, also where steps that do not exist have others."""
    problem = problem_of(cell, dtype, num_layers=2, bidirectional=True)
    masks, lengths = factors_of(problem), [7, 0, 3]
    ids = np.random.default_rng(1).integers(0, 5, (7, 3))
    problem.x = (ids[..., None] == np.arange(5)).astype(dtype)
    expected = everything(problem, dropout_masks=masks, lengths=lengths)
    del expected["x"]
    ids[np.arange(7)[:, None] >= lengths] = -9
    problem.x = ids
    found = everything(problem, dropout_masks=masks, lengths=lengths)
    assert_same_bits(found, expected)


@pytest.mark.parametrize("sizes", [(3, 0), (0, 4), (0, 0)], ids=str)
def test_nothing_to_drop(cell, sizes):
    problem = Problem(cell, 5, 9, *sizes, num_layers=2, bidirectional=True, **ALL)
    outputs, gradients, cache = problem.train()
    assert len(outputs["y"]) == sizes[1]
    assert {m.shape for m in cache.masks["recurrent"]} == {(sizes[0], 9)}
    assert not any(gradients[name].any() for name in problem.layer.parameters)
    again = everything(problem, dropout_masks=cache.masks)
    assert_same_bits(again, outputs | gradients)


def test_without_the_gradient_of_x(cell):
    problem = problem_of(cell, num_layers=2, bidirectional=True)
    masks = factors_of(problem)
    _, expected, cache = problem.train(dropout_masks=masks)
    del expected["x"]
    found = problem.layer.backward(
        cache, problem.dy, problem.dstate, dc=problem.dc, need_x=False
    )
    assert_same_bits(named_gradients(found), expected)


def test_dropping_everything(cell):
    """What is dropped might as well not be there."""
    problem = problem_of(cell, input_dropout=1.0, recurrent_dropout=1.0)
    problem.state = None
    outputs, gradients, _ = problem.train()
    assert not gradients["x"].any()
    assert not gradients["weight_ih_l0"].any()
    assert not gradients["weight_hh_l0"].any()
    bare = copy.copy(problem)
    bare.layer = make_layer(cell, 5, 9)
    zero = {k: np.zeros_like(v) for k, v in bare.layer.parameters.items()}
    biases = {k: v for k, v in problem.layer.parameters.items() if "bias" in k}
    bare.layer.load_state_dict(zero | biases)
    assert_close(outputs, {k: np.float64(v) for k, v in bare.infer().items()})


# ---------------------------------------------------------------- same bits


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_masks_of_the_cache_repeat_its_call(isa, cell, dtype, network):
    problem = problem_of(cell, dtype, **network, **ALL | {"dropout": 0.0})
    if problem.layer.num_layers > 1:
        problem.layer.dropout = ALL["dropout"]
    outputs, gradients, cache = problem.train(rng=3)
    assert len(cache.masks) == 2 + (problem.layer.num_layers > 1)
    expected = outputs | gradients
    assert_same_bits(everything(problem, dropout_masks=cache.masks), expected)
    plain = problem_of(cell, dtype, **network)
    assert_same_bits(everything(plain, dropout_masks=cache.masks), expected)
    assert_same_bits(everything(problem, rng=3), expected)


def test_masks_between_layers_are_a_list():
    problem = problem_of(num_layers=3, dropout=0.5)
    outputs, gradients, cache = problem.train(rng=3)
    expected = outputs | gradients
    assert [mask.shape for mask in cache.masks] == [(7, 3, 9)] * 2
    for masks in (cache.masks, tuple(cache.masks), {"between": cache.masks}):
        *_, again = problem.train(dropout_masks=masks)
        assert isinstance(again.masks, list)
        assert_same_bits(everything(problem, dropout_masks=masks), expected)
    nothing = problem.train(dropout_masks={"between": None, "input": None})[2]
    assert nothing.masks is None


sizes = st.tuples(*[st.integers(1, 70)] * 2, st.integers(1, 9), st.integers(0, 9))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    cell=st.sampled_from(CELLS),
    sizes=sizes,
    dtype=st.sampled_from([np.float32, np.float64]),
    network=st.sampled_from(list(NETWORKS.values())),
    kinds=st.sets(st.sampled_from(list(RATES))),
    data=st.data(),
)
def test_any_masks(cell, sizes, dtype, network, kinds, data):
    problem = Problem(cell, *sizes, dtype=dtype, **network)
    outputs, gradients, _ = problem.train()

    # Factors of one: no bit of an output, nor, but for those of h, of a gradient.
    ones = {
        kind: [np.ones_like(mask) for mask in masks]
        for kind, masks in factors_of(problem, kinds).items()
    }
    found, d_found, _ = problem.train(dropout_masks=ones)
    assert_same_bits(found, outputs)
    if "recurrent" in kinds:
        assert_close(d_found, {k: np.float64(v) for k, v in gradients.items()})
    else:
        assert_same_bits(d_found, gradients)

    # Any factors: sequences keep their bits in other company.
    masks = factors_of(problem, kinds)
    outputs, gradients, _ = problem.train(dropout_masks=masks)
    first = data.draw(st.integers(0, sizes[2] - 1))
    some = slice(first, data.draw(st.integers(first + 1, sizes[2])))
    fewer = {k: [mask[..., some, :] for mask in v] for k, v in masks.items()}
    found, d_found, _ = problem.rows(some).train(dropout_masks=fewer)
    assert_same_bits(found, {k: v[..., some, :] for k, v in outputs.items()})
    own = [k for k in gradients if k not in problem.layer.parameters]
    assert_same_bits(
        {k: d_found[k] for k in own}, {k: gradients[k][..., some, :] for k in own}
    )


def test_threads(isa, cell, dtype, threads):
    options = {"num_layers": 2, "bidirectional": True}
    for shape in ((33, 65, 2, 20), (20, 33, 40, 6)):
        problem = Problem(cell, *shape, dtype=dtype, **options)
        masks = factors_of(problem)
        threads(1)
        expected = everything(problem, dropout_masks=masks)
        for n in (2, 3):
            threads(n)
            assert_same_bits(everything(problem, dropout_masks=masks), expected)


def test_chunks_with_the_state_carried(isa, cell, dtype):
    problem = problem_of(cell, dtype)
    masks = factors_of(problem, ("input", "recurrent"))
    whole, _, cache = problem.layer.forward(
        problem.x, problem.state, dropout_masks=masks
    )
    expected = problem.layer.backward(cache, problem.dy, problem.dstate)
    parts, caches, state = [], [], problem.state
    for x in (problem.x[:3], problem.x[3:]):
        y, state, cache = problem.layer.forward(x, state, dropout_masks=masks)
        parts.append(y)
        caches.append(cache)
    assert same_bits(np.concatenate(parts), whole)
    late = problem.layer.backward(caches[1], problem.dy[3:], problem.dstate)
    early = problem.layer.backward(caches[0], problem.dy[:3], late.state)
    assert same_bits(np.concatenate([early.x, late.x]), expected.x)
    states = {"found": early.state, "expected": expected.state}
    if problem.has_c:
        states = {k: np.stack(v) for k, v in states.items()}
    assert same_bits(states["found"], states["expected"])


def test_batch_first_and_unbatched(cell):
    """Masks have T first, and one sequence where there is no batch."""
    problem = problem_of(cell, num_layers=2)
    masks = factors_of(problem)
    y, _, cache = problem.layer.forward(problem.x, problem.state, dropout_masks=masks)
    grads = problem.layer.backward(cache, problem.dy)
    other = problem_of(cell, num_layers=2, batch_first=True)
    y_n, _, cache = other.layer.forward(
        problem.x.swapaxes(0, 1), problem.state, dropout_masks=masks
    )
    assert same_bits(y_n.swapaxes(0, 1), y)
    dx = other.layer.backward(cache, problem.dy.swapaxes(0, 1)).x
    assert same_bits(dx.swapaxes(0, 1), grads.x)

    alone = problem.rows(1)
    masks = {k: [m[..., 1:2, :] for m in v] for k, v in masks.items()}
    y_1, _, cache = alone.layer.forward(alone.x, alone.state, dropout_masks=masks)
    assert same_bits(y_1, y[:, 1])
    assert same_bits(alone.layer.backward(cache, alone.dy).x, grads.x[:, 1])
    assert [m.shape for m in cache.masks["input"]] == [(1, 5), (1, 9)]


# ---------------------------------------------------------------- drawing


def test_inference_never_drops(cell):
    dropping, plain = (
        problem_of(cell, num_layers=2, **ALL),
        problem_of(cell, num_layers=2),
    )
    assert_same_bits(dropping.infer(), plain.infer())
    dropping.layer.load_state_dict(plain.layer.parameters)
    stream = dropping.layer.stream(batch_size=3, state=dropping.state)
    steps = np.stack([stream.step(x) for x in dropping.x])
    assert same_bits(steps, plain.infer()["y"])


def test_statistics():
    layer = make_layer(*("rnn_tanh", 120, 100), bidirectional=True, num_layers=2, **ALL)
    *_, cache = layer.forward(np.zeros((3, 150, 120)), rng=6)
    between, inputs, recurrent = (cache.masks[kind] for kind in RATES)
    assert [m.shape for m in inputs] == [(150, 120)] * 2 + [(150, 200)] * 2
    assert [m.shape for m in recurrent] == [(150, 100)] * 4
    for masks, p in zip((between, inputs, recurrent), ALL.values(), strict=True):
        for mask in masks:
            np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - p)], rtol=1e-15)
            deviation = np.sqrt(p * (1 - p) / mask.size)
            assert abs((mask == 0).mean() - p) < 5 * deviation
        for one, other in itertools.pairwise(masks):
            assert one.shape != other.shape or (one != other).any()


def test_masks_come_from_the_generator_of_the_layer():
    one, two = (problem_of(num_layers=2, seed=4, **ALL) for _ in range(2))
    other = copy.deepcopy(one)
    first = [everything(one), everything(one)]
    assert_same_bits(everything(two), first[0])
    assert_same_bits(everything(two), first[1])
    assert_same_bits(everything(other), first[0])
    assert not same_bits(first[0]["y"], first[1]["y"])


def test_given_masks_draw_nothing():
    one, two = (problem_of(num_layers=2, seed=4, **ALL) for _ in range(2))
    given = everything(one, dropout_masks=factors_of(one, ("input",)))
    assert_same_bits(everything(one), everything(two))
    plain = problem_of(num_layers=2, seed=4)
    assert_same_bits(
        given, everything(plain, dropout_masks=factors_of(one, ("input",)))
    )


def test_masks_are_copied_and_read_only():
    problem = problem_of(num_layers=2)
    masks = factors_of(problem)
    expected = everything(problem, dropout_masks=masks)
    outputs, _, cache = problem.train(dropout_masks=masks)
    for arrays in masks.values():
        for array in arrays:
            array[...] = np.nan
    found = problem.layer.backward(cache, problem.dy, problem.dstate, dc=problem.dc)
    assert_same_bits(outputs | named_gradients(found), expected)
    for arrays in cache.masks.values():
        with pytest.raises(ValueError, match="read-only"):
            arrays[0][...] = 0


@pytest.mark.parametrize("order", ["F", "strided"])
def test_masks_of_any_strides(order):
    problem = problem_of(num_layers=2, bidirectional=True)
    masks = factors_of(problem)
    odd = {
        kind: [
            np.asfortranarray(m) if order == "F" else np.repeat(m, 2, axis=-1)[..., ::2]
            for m in arrays
        ]
        for kind, arrays in masks.items()
    }
    expected = everything(problem, dropout_masks=masks)
    assert_same_bits(everything(problem, dropout_masks=odd), expected)


def test_representation():
    layer = make_layer("gru", 3, 4, num_layers=2, **ALL)
    for words in ("input_dropout=0.4", "recurrent_dropout=0.5"):
        assert words in repr(layer)
    assert "dropout" not in repr(make_layer("gru", 3, 4))


# ---------------------------------------------------------------- errors


def test_wrong_masks():
    problem = problem_of(num_layers=2, bidirectional=True)
    right = factors_of(problem)
    array = right["between"][0]
    wrong = {
        "dropout_masks: expected a list of arrays, got ndarray": array,
        "dropout_masks: expected a list of arrays, got float": 0.5,
        "dropout_masks: expected 1 arrays, got 2": [array, array],
        "dropout_masks[0]: expected an array of dtype float64, got list...": [[1.0]],
        "dropout_masks[0]: expected shape (T=7, N=3, D*H=18), got (3, 7, 18)": [
            array.swapaxes(0, 1)
        ],
        "dropout_masks[0]: expected dtype float64, got float32...": [array.astype("f")],
        "dropout_masks: expected the kinds 'between', 'input', 'recurrent', got 'x'": {
            "x": [array]
        },
        "dropout_masks['input']: expected 4 arrays, got 1": {"input": [array]},
        "dropout_masks['input']: expected a list of arrays, got ndarray": {
            "input": right["input"][0]
        },
        "dropout_masks['input'][2]: expected shape (N=3, I=18), got (3, 5)": {
            "input": right["input"][:2] * 2
        },
        "dropout_masks['recurrent'][3]: expected shape (N=3, H=9), got (2, 9)": {
            "recurrent": [*right["recurrent"][:3], right["recurrent"][3][:2]]
        },
    }
    for message, masks in wrong.items():
        words = ".*".join(re.escape(part) for part in message.split("..."))
        with pytest.raises((TypeError, ValueError), match=f"^{words}$"):
            problem.layer.forward(problem.x, dropout_masks=masks)
    one = problem_of(merge="sum", bidirectional=True, num_layers=2)
    with pytest.raises(ValueError, match=r"\(T=7, N=3, H=9\), got \(7, 3, 18\)$"):
        one.layer.forward(one.x, dropout_masks=[array])


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan, True, "0", None], ids=repr)
@pytest.mark.parametrize("name", ["input_dropout", "recurrent_dropout"])
def test_wrong_probability(name, value):
    message = rf"^{name}: expected a number.*, got "
    with pytest.raises((TypeError, ValueError), match=message):
        make_layer("lstm", 3, 4, **{name: value})
