"""Models of ONNX that are wrong in rare ways: the message names the node and why."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402
from onnx_cases import model_of, recurrent_model  # noqa: E402

from rnnext import onnx as rnnext_onnx  # noqa: E402
from rnnext.onnx import backend  # noqa: E402
from rnnext.onnx._node import Operator, read_node  # noqa: E402
from rnnext.onnx._value import value_of  # noqa: E402

X = np.ones((2, 6), np.float32)


def load(op, inputs=("X",), outputs=("Y",), opset=18, given=None, **attributes):
    """A model of one node, its outputs said to be of floats."""
    node = helper.make_node(op, list(inputs), list(outputs), name="it", **attributes)
    kept = [onnx.numpy_helper.from_array(v, k) for k, v in (given or {}).items()]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "test",
        [tensor("X", TensorProto.FLOAT, X.shape)] if "X" in inputs else [],
        [tensor(name, TensorProto.FLOAT, [None, None]) for name in outputs],
        kept,
    )
    imports = [helper.make_opsetid("", opset)]
    return rnnext_onnx.load(
        helper.make_model(graph, opset_imports=imports, ir_version=8)
    )


def run(op, **options):
    return load(op, **options).run({"X": X})


def sequence_input():
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    info = helper.make_value_info("X", helper.make_sequence_type_proto(kind))
    node = helper.make_node("Identity", ["X"], ["Y"])
    out = helper.make_value_info("Y", helper.make_sequence_type_proto(kind))
    graph = helper.make_graph([node], "test", [info], [out])
    imports = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def odd_input():
    model = model_of([helper.make_node("Identity", ["X"], ["Y"])], {"X": X}, ["Y"])
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    return model


def value_of_code(code):
    tensor = onnx.TypeProto.Tensor(elem_type=code)
    return value_of(
        "input", onnx.ValueInfoProto(name="X", type=onnx.TypeProto(tensor_type=tensor))
    )


def lstm(x, **attributes):
    """Of one unit."""
    given = {"X": x} | dict.fromkeys("WR", np.ones((1, 4, 1), np.float32))
    model = recurrent_model("LSTM", given, hidden_size=1, **attributes)
    for output in model.graph.output:  # of a wrong x nobody infers it
        shape = [None] * 3
        floats = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, shape)
        output.CopyFrom(floats)
    return rnnext_onnx.load(model).run({"X": x})


def sparse_model():
    model = model_of([helper.make_node("Identity", ["X"], ["Y"])], {"X": X}, ["Y"])
    values = helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("", TensorProto.INT64, [1], [1])
    sparse = helper.make_sparse_tensor(values, places, [4])
    model.graph.sparse_initializer.append(sparse)
    return model


def gru_of_inputs(**attributes):
    given = {"X": (2, 1, 3), "W": (1, 12, 3), "R": (1, 12, 4)}
    inputs = {name: np.ones(shape, np.float32) for name, shape in given.items()}
    node = helper.make_node("GRU", list(given), ["Y"], hidden_size=4, **attributes)
    return model_of([node], inputs, ["Y"])


CASES = {
    "a sparse initializer": (
        lambda: rnnext_onnx.load(sparse_model()),
        "model: expected no sparse initializers",
    ),
    "options that no layer takes, of weights to come": (
        lambda: rnnext_onnx.load(gru_of_inputs(clip=-1.0)),
        r"\(GRU\): gate_clip: expected a number above 0, got -1",
    ),
    "dropout in training": (
        lambda: run(
            "Dropout",
            inputs=("X", "r", "t"),
            given={"r": np.array(0.5, np.float32), "t": np.array(True)},
        ),
        "training_mode: expected false",
    ),
    "a slice of no step": (
        lambda: run(
            "Slice",
            inputs=("X", "s", "e", "a", "n"),
            given=dict(zip("sean", np.array([[0], [1], [0], [0]]), strict=True)),
        ),
        "steps: expected no zero",
    ),
    "unequal parts": (
        lambda: run("Split", outputs=("A", "B", "C", "D"), opset=13, axis=1),
        "in 4 equal parts, got 6",
    ),
    "parts of another sum": (
        lambda: run(
            "Split",
            inputs=("X", "s"),
            outputs=("A", "B"),
            given={"s": np.array([1, 2])},
            axis=1,
        ),
        "sizes with the sum 6",
    ),
    "a constant of two values": (
        lambda: load("Constant", inputs=(), value_int=1, value_float=2.0),
        "one attribute",
    ),
    "a cast to text": (
        lambda: load("Cast", to=TensorProto.STRING),
        "attribute to",
    ),
    "a constant of text": (
        lambda: load(
            "Constant",
            inputs=(),
            value=helper.make_tensor("t", TensorProto.STRING, [1], [b"text"]),
        ),
        "attribute value",
    ),
    "a sequence of tensors": (
        lambda: rnnext_onnx.load(sequence_input()),
        "expected a tensor, got sequence_type",
    ),
    "an input of text": (lambda: rnnext_onnx.load(odd_input()), "input X: "),
    "an operator before its opset": (
        lambda: load("GreaterOrEqual", inputs=("X", "X"), opset=11),
        "there is no GreaterOrEqual in opset 11",
    ),
    "an operator after all that is known": (
        lambda: read_node(
            helper.make_node("Relu", ["X"], ["Y"], name="it"),
            14,
            {"Relu": Operator(lambda: None, 6)},
        ),
        "its version of opset 14 is unknown; the newest that is known is of opset 6",
    ),
    "constants that do not fit": (
        lambda: load(
            "Add",
            inputs=("a", "b"),
            given={"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)},
        ),
        "it",
    ),
    "a kind of number of tomorrow": (lambda: value_of_code(77), "input X: "),
    "a layer's input of two axes": (
        lambda: lstm(np.ones((2, 1), np.float32)),
        r"X: expected 3 axes, got shape \(2, 1\)",
    ),
    "a layer's input of other numbers": (
        lambda: lstm(np.ones((2, 3, 1))),
        "X: expected float32, as W is, got float64",
    ),
    "a layer that cannot be": (lambda: lstm(X[..., None], clip=-1.0), "it.*clip"),
    "an option of the backend": (
        lambda: backend.prepare(
            model_of([helper.make_node("Relu", ["X"], ["Y"])], {"X": X}, ["Y"]),
            "CPU",
            fast=True,
        ),
        "expected none, got fast",
    ),
    "numbers that ONNX has not": (
        lambda: backend.run_node(
            helper.make_node("Relu", ["X"], ["Y"]), [np.ones(2, np.longdouble)]
        ),
        "ONNX has no",
    ),
}


@pytest.mark.parametrize(("call", "words"), CASES.values(), ids=CASES)
def test_mistakes_are_named(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_a_value_of_no_known_shape():
    assert value_of_code(TensorProto.DOUBLE).shape is None


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax_of_nothing(op):
    node = helper.make_node(op, ["X"], ["Y"])
    empty = np.ones((0, 3), np.float32)
    model = rnnext_onnx.load(model_of([node], {"X": empty}, ["Y"]))
    (y,) = model.run({"X": empty}).values()
    assert y.shape == (0, 3)


def test_one_array_and_arrays_by_name_alike():
    node = helper.make_node("Relu", ["X"], ["Y"])
    prepared = backend.prepare(model_of([node], {"X": X}, ["Y"]))
    for inputs in (X, [X], {"X": X}):
        assert np.array_equal(prepared.run(inputs)[0], X)


def gru(**options):
    given = {
        "X": np.ones((2, 1, 3)),
        "W": np.ones((1, 12, 3)),
        "R": np.ones((1, 12, 4)),
    }
    given = {name: array.astype(np.float32) for name, array in given.items()}
    return rnnext_onnx.load(recurrent_model("GRU", given, hidden_size=4, **options))


def test_options_that_no_layer_takes():
    with pytest.raises(ValueError, match="clip"):
        gru(clip=-1.0)


def test_a_slice_that_begins_before_the_first_going_down():
    bounds = dict(zip("sean", np.array([[-9], [-20], [1], [-1]]), strict=True))
    (y,) = run("Slice", inputs=("X", "s", "e", "a", "n"), given=bounds).values()
    assert y.shape == (2, 0)


def test_the_largest_of_no_integers_is_the_least():
    node = helper.make_node("ReduceMax", ["X"], ["Y"], keepdims=0)
    empty = np.ones((0, 3), np.int32)
    (y,) = (
        rnnext_onnx.load(model_of([node], {"X": empty}, ["Y"]))
        .run({"X": empty})
        .values()
    )
    assert y == np.iinfo(np.int32).min
