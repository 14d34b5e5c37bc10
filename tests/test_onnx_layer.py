"""ONNX models that are one recurrent layer, read as that layer."""

import io
import itertools
import warnings

import numpy as np
import onnx
import pytest
from cli_cases import same_parameters
from onnx import TensorProto, helper, numpy_helper

import rnnext
import rnnext.onnx
from rnnext.onnx import load_layer

STACKS = list(
    itertools.product(
        (rnnext.RNN, rnnext.GRU, rnnext.LSTM),
        (1, 2),
        (False, True),
        (False, True),
        (np.float32, np.float64),
    )
)
ALONE = [
    (rnnext.LSTM, {"bidirectional": True, "merge": "sum"}),
    (rnnext.LSTM, {"bidirectional": True, "merge": "mul"}),
    (rnnext.LSTM, {"bidirectional": True, "merge": "ave"}),
    (rnnext.LSTM, {"bidirectional": True, "merge": None}),
    (rnnext.LSTM, {"peephole": True, "coupled": True}),
    (rnnext.LSTM, {"gate_clip": 1.5, "bias": False}),
    (rnnext.GRU, {"reset_after": False, "reverse": True}),
    (rnnext.GRU, {"activations": [("hardsigmoid", 0.25, 0.5)] * 2 + ["softsign"]}),
    (rnnext.RNN, {"nonlinearity": "relu"}),
    (rnnext.RNN, {"num_layers": 2, "activations": [("leakyrelu", 0.25)]}),
]


def written(layer):
    file = io.BytesIO()
    rnnext.onnx.save(layer, file)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "layers", "both", "batch_first", "dtype"), STACKS)
def test_saved_and_read(kind, layers, both, batch_first, dtype):
    layer = kind(
        3,
        4,
        num_layers=layers,
        bidirectional=both,
        batch_first=batch_first,
        dtype=dtype,
        rng=0,
    )
    found = load_layer(written(layer))
    assert repr(found) == repr(layer)
    assert same_parameters(found, layer)


@pytest.mark.parametrize(("kind", "options"), ALONE)
def test_options_of_a_cell(kind, options):
    layer = kind(3, 4, rng=0, **options)
    found = load_layer(written(layer))
    assert repr(found) == repr(layer)
    assert same_parameters(found, layer)


def bare(op, G, *, inputs=(), outputs=("Y", "Y_h"), nodes=(), **attributes):
    """A graph of one node, and what comes after it."""
    rng = np.random.default_rng(0)
    D = 2 if attributes.get("direction") == "bidirectional" else 1
    weights = {"W": (D, G * 4, 3), "R": (D, G * 4, 4), "B": (D, 2 * G * 4)}
    arrays = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    node = helper.make_node(
        op,
        ["X", "W", "R", "B", *inputs],
        ["Y", "Y_h"],
        "the_node",
        hidden_size=4,
        **attributes,
    )
    float_, int_ = TensorProto.FLOAT, TensorProto.INT32
    given = [helper.make_tensor_value_info("X", float_, ["first", "second", 3])]
    given += [helper.make_tensor_value_info(n, int_, ["second"]) for n in inputs if n]
    axes = {"Y": 4, "Y_h": 3, "out": 4 if "Y" not in outputs else 3}
    made = [
        helper.make_tensor_value_info(name, float_, [None] * axes[name])
        for name in outputs
    ]
    graph = helper.make_graph([node, *nodes], "g", given, made, arrays)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7
    )


@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "G"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_a_bare_node(op, G, direction, layout):
    model = bare(op, G, direction=direction, layout=layout)
    layer = load_layer(model)
    assert layer.batch_first == bool(layout)
    assert layer.reverse == (direction == "reverse")
    x = np.random.default_rng(1).standard_normal((5, 2, 3)).astype(np.float32)
    y, final = layer(x)
    Y, Y_h = rnnext.onnx.load(model)(x)
    h_n = final[0] if op == "LSTM" else final
    assert np.array_equal(Y_h.swapaxes(0, 1) if layout else Y_h, h_n)
    rows = Y if layout else Y.swapaxes(1, 2)
    assert np.array_equal(rows.reshape(y.shape), y)


def test_lengths_are_an_input():
    assert repr(load_layer(bare("GRU", 3, inputs=["lengths"]))) == (
        "GRU(3, 4, reset_after=False)"
    )


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_exported_by_pytorch(kind, batch_first):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(
        3, 4, 2, bidirectional=True, batch_first=batch_first
    )
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        torch.onnx.export(module.eval(), torch.randn(6, 2, 3), file, dynamo=False)
    layer = load_layer(file.getvalue())
    assert (layer.num_layers, layer.bidirectional) == (2, True)
    assert layer.batch_first == batch_first
    for name, tensor in module.state_dict().items():
        assert np.array_equal(layer.parameters[name], tensor.numpy())


def relu(name):
    return helper.make_node("Relu", [name], ["out"])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            lambda: bare("GRU", 3, nodes=[relu("Y")], outputs=["out"]),
            r"got nodes GRU, Relu, whose outputs \(out\) are not those of GRU\(3, 4,",
        ),
        (
            lambda: bare("LSTM", 4, nodes=[relu("Y_h")], outputs=["Y", "out"]),
            r"got nodes LSTM, Relu, whose outputs \(Y, out\) are not those of LSTM",
        ),
    ],
)
def test_a_graph_that_is_more(model, expected):
    with pytest.raises(ValueError, match=expected):
        load_layer(model())


def test_a_graph_that_is_something_else():
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph([relu("x")], "g", [value], [out])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7
    )
    with pytest.raises(ValueError, match="got nodes Relu"):
        load_layer(model)


def test_weights_that_are_inputs():
    model = bare("GRU", 3)
    weight = helper.make_tensor_value_info("W", TensorProto.FLOAT, [1, 12, 3])
    model.graph.input.append(weight)
    kept = [tensor for tensor in model.graph.initializer if tensor.name != "W"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    with pytest.raises(ValueError, match="with constant weights, got nodes GRU"):
        load_layer(model)


def test_inputs_that_no_layer_has():
    model = bare("GRU", 3, inputs=["lengths"])
    more = helper.make_tensor_value_info("more", TensorProto.INT32, ["second"])
    model.graph.input.append(more)
    with pytest.raises(ValueError, match=r"expected inputs x, h_0 .* got X float32, "):
        load_layer(model)
    onnx.checker.check_model(model)


def test_two_layers_of_different_options():
    first = rnnext.RNN(3, 4, rng=0)
    second = rnnext.RNN(4, 4, nonlinearity="relu", rng=0)
    a, b = (onnx.load_model_from_string(written(layer)) for layer in (first, second))
    both = onnx.compose.merge_models(
        onnx.compose.add_prefix(a, "a_"),
        onnx.compose.add_prefix(b, "b_"),
        io_map=[("a_y", "b_x")],
    )
    both.ir_version = a.ir_version
    for node in both.graph.node:
        if node.op_type == "RNN":
            node.input[5] = ""  # begins with zeros
    del both.graph.input[1:]
    with pytest.raises(ValueError, match=r"those of RNN\(3, 4\), RNN\(4, 4, non"):
        load_layer(both)
