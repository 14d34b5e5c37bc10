"""Models that are read and run, layers that are written, and what does not fit."""

import io
import subprocess
import sys

import numpy as np
import onnx
import pytest
from conftest import make_layer, named_output, named_state, same_bits
from onnx import helper
from onnx_cases import given_to, info, model_of, recurrent_model

import rnnext.onnx
import rnnext.onnx.backend
from rnnext.onnx._model import OPERATORS

T, N, I, H = 5, 3, 2, 4


def weights(op, D=1, dtype=np.float32, **more):
    G = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    rng = np.random.default_rng(G)
    shapes = {"X": (T, N, I), "W": (D, G * H, I), "R": (D, G * H, H)}
    shapes |= {"B": (D, 2 * G * H)} | more
    return {k: rng.uniform(-1, 1, s).astype(dtype) for k, s in shapes.items()}


def run(model, inputs):
    loaded = rnnext.onnx.load(model)
    return loaded.run(given_to(loaded, inputs))


def saved(layer):
    rnnext.onnx.save(layer, file := io.BytesIO())
    return file.getvalue()


# ---------------------------------------------------------------- run


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_layout_1_is_layout_0_with_other_axes(op, direction):
    D = 1 + (direction == "bidirectional")
    state = {"initial_h": (D, N, H)} | (
        {"initial_c": (D, N, H)} if op == "LSTM" else {}
    )
    inputs = weights(op, D, **state)
    inputs["sequence_lens"] = np.array([3, 0, 5], np.int32)
    options = {"hidden_size": H, "direction": direction}
    expected = run(recurrent_model(op, inputs, **options), inputs)
    for name in ("X", *state):
        inputs[name] = inputs[name].swapaxes(0, 1)
    found = run(recurrent_model(op, inputs, layout=1, **options), inputs)
    assert (found["Y"] == expected["Y"].transpose(2, 0, 1, 3)).all()
    for name in list(found)[1:]:
        assert (found[name] == expected[name].swapaxes(0, 1)).all()


def test_a_model_shows_what_it_takes_and_gives():
    model = rnnext.onnx.load(recurrent_model("GRU", weights("GRU")))
    inputs, outputs = ([v.name for v in vs] for vs in (model.inputs, model.outputs))
    shown = f"inputs: {', '.join(inputs)}; outputs: {', '.join(outputs)}"
    assert repr(model) == f"Model({shown})"


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
def test_length_zero_gives_zeros(op):
    """As in ONNX Runtime; a layer gives the initial state."""
    inputs = weights(op, initial_h=(1, N, H))
    inputs["sequence_lens"] = np.array([0, 2, 0], np.int32)
    found = run(recurrent_model(op, inputs), inputs)
    assert not found["Y_h"][0, [0, 2]].any()
    assert found["Y_h"][0, 1].all()


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
def test_float64_is_computed_in_float64(op):
    inputs = weights(op, dtype=np.float64)
    found = run(recurrent_model(op, inputs), inputs)
    assert found["Y"].dtype == np.float64
    single = {k: array.astype(np.float32) for k, array in inputs.items()}
    rough = run(recurrent_model(op, single), single)
    difference = np.abs(found["Y"] - rough["Y"]).max()
    assert 0 < difference < 1e-6


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
def test_weights_may_be_inputs(op):
    inputs = weights(op)
    fixed = run(recurrent_model(op, inputs), inputs)
    given = run(recurrent_model(op, inputs, fixed=False), inputs)
    assert all((given[name] == fixed[name]).all() for name in fixed)


def test_initializers_that_are_inputs_can_be_replaced():
    """Models of IR version 3 name all of them."""
    inputs = weights("GRU")
    model = recurrent_model("GRU", inputs)
    model.graph.input.extend(info(name, inputs[name]) for name in ("W", "R", "B"))
    loaded = rnnext.onnx.load(model)
    assert [value.name for value in loaded.inputs] == ["X"]
    before = loaded.run({"X": inputs["X"]})
    other = loaded.run({"X": inputs["X"], "W": 2 * inputs["W"]})
    assert (before["Y"] != other["Y"]).any()
    assert (loaded.run({"X": inputs["X"]})["Y"] == before["Y"]).all()


def test_weights_may_be_computed_from_constants():
    """As exporters put them together; what goes in is then the sequence alone."""
    inputs = weights("LSTM")
    expected = run(recurrent_model("LSTM", inputs), inputs)
    model = recurrent_model("LSTM", inputs)
    W = onnx.numpy_helper.from_array(inputs["W"][0])
    axis = onnx.numpy_helper.from_array(np.array([0]))
    model.graph.node[0].input[1] = "W_made"
    for node in (
        helper.make_node("Unsqueeze", ["W_rows", "axis"], ["W_made"]),
        helper.make_node("Constant", [], ["axis"], value=axis),
        helper.make_node("Constant", [], ["W_rows"], value=W),
    ):
        model.graph.node.insert(0, node)
    found = run(model, inputs)
    assert (found["Y"] == expected["Y"]).all()


def test_operators_of_old_opsets():
    """What became inputs later are attributes; Softmax is over all axes from one on."""
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nodes = [
        helper.make_node("Unsqueeze", ["x"], ["a"], axes=[0]),
        helper.make_node("Squeeze", ["a"], ["b"], axes=[0]),
        helper.make_node("Slice", ["b"], ["c"], starts=[1], ends=[-1], axes=[2]),
        helper.make_node("Split", ["b"], ["d", "e"], axis=1, split=[1, 2]),
        helper.make_node("ReduceSum", ["b"], ["f"], axes=[1], keepdims=0),
        helper.make_node("Clip", ["b"], ["g"], min=3.0, max=7.0),
        helper.make_node("Softmax", ["b"], ["h"], axis=1),
    ]
    found = run(model_of(nodes, {"x": x}, list("bcefgh"), opset=9), {"x": x})
    e = np.exp(x - x.max((1, 2), keepdims=True))
    expected = {"b": x, "c": x[:, :, 1:-1], "e": x[:, 1:], "f": x.sum(1)}
    expected |= {"g": x.clip(3, 7), "h": e / e.sum((1, 2), keepdims=True)}
    assert list(found) == list(expected)
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-6, err_msg=name)


def test_outputs_are_arrays_of_their_own():
    x = np.ones((2, 3), np.float32)
    node = helper.make_node("Identity", ["x"], ["y"])
    model = rnnext.onnx.load(model_of([node], {"x": x}, ["y"]))
    model(x)[:] = 7
    assert (x == 1).all()


def test_from_path_and_bytes_and_proto(tmp_path):
    layer = rnnext.LSTM(I, H, rng=0)
    path = tmp_path / "lstm.onnx"
    rnnext.onnx.save(layer, path)
    data = path.read_bytes()
    assert data == saved(layer)
    arrays = (
        np.ones((T, N, I), "f4"),
        np.ones((1, N, H), "f4"),
        np.ones((1, N, H), "f4"),
    )
    y, (h_n, c_n) = layer(arrays[0], arrays[1:])
    for source in (path, str(path), data, onnx.load_model_from_string(data)):
        found = rnnext.onnx.load(source)(*arrays)
        for a, b in zip(found, (y, h_n, c_n), strict=True):
            assert (a == b).all()


def test_weights_beside_the_file(tmp_path):
    layer = rnnext.GRU(I, 40, rng=0)
    model = onnx.load_model_from_string(saved(layer))
    onnx.save_model(
        model, tmp_path / "gru.onnx", save_as_external_data=True, location="gru.data"
    )
    x, h_0 = np.ones((T, N, I), np.float32), np.zeros((1, N, 40), np.float32)
    y, _ = rnnext.onnx.load(tmp_path / "gru.onnx")(x, h_0)
    assert (y == layer(x)[0]).all()


# ---------------------------------------------------------------- save

MERGES = [{}, *({"bidirectional": True, "merge": m} for m in ("concat", "sum", None))]


@pytest.mark.parametrize("options", [*MERGES, {"num_layers": 2, "bidirectional": True}])
def test_saved_layers_give_the_same_bits(cell, dtype, options):
    layer = make_layer(cell, I, H, dtype=dtype, **options)
    rng = np.random.default_rng(1)
    D = layer.num_layers * (1 + layer.bidirectional)
    x = rng.standard_normal((T, N, I)).astype(dtype)
    h, c = rng.standard_normal((2, D, N, H)).astype(dtype)
    state = (h, c) if cell == "lstm" else h
    y, final = layer(x, state)
    expected = named_output(y) | named_state(final)
    model = rnnext.onnx.load(saved(layer))
    found = model.run({"x": x} | named_state(state, "h_0", "c_0"))
    assert list(found) == list(expected)
    for name, array in found.items():
        assert same_bits(array, expected[name]), name


@pytest.mark.parametrize("N_", [0, 1])
@pytest.mark.parametrize("T_", [0, 2])
def test_saved_layers_take_any_sizes(N_, T_):
    model = rnnext.onnx.load(saved(rnnext.GRU(I, H, num_layers=2, batch_first=True)))
    x, h_0 = np.ones((N_, T_, I), np.float32), np.ones((2, N_, H), np.float32)
    y, h_n = model(x, h_0)
    assert y.shape == (N_, T_, H)
    assert h_n.shape == (2, N_, H)


def test_save_refuses_what_onnx_does_not_have():
    with pytest.raises(ValueError, match="cell_clip"):
        saved(rnnext.LSTM(I, H, cell_clip=1.0))
    mixed = ["sigmoid", "tanh", "tanh", "sigmoid", "tanh"]
    with pytest.raises(ValueError, match="one activation for all gates"):
        saved(rnnext.LSTM(I, H, activations=mixed))
    with pytest.raises(TypeError, match="layer: expected an RNN, LSTM or GRU"):
        saved(rnnext.LSTMCell(I, H))


# ---------------------------------------------------------------- errors


def lstm(**attributes):
    inputs = weights("LSTM")
    return recurrent_model("LSTM", inputs, **attributes)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"direction": "sideways"}, "direction: expected forward"),
        ({"hidden_size": 5}, r"R: expected shape \(D=1, 4\*H, H=5\)"),
        ({"direction": "bidirectional"}, r"R: expected shape \(D=2"),
        ({"activations": ["Tanh"]}, "activations: expected 3 for each of 1"),
        ({"activations": ["Tanh", "Sin", "Tanh"]}, "expected one of .*got 'sin'"),
        ({"activation_alpha": [0.5]}, r"activation_alpha: .*\[0.5\] more"),
        ({"activations": ["Affine", "Tanh", "Tanh"]}, "alpha of Affine"),
        ({"clip": -1.0}, "gate_clip: expected a number above 0"),
        ({"input_forget": 2}, "input_forget: expected 0 or 1, got 2"),
        ({"layout": 2}, "layout: expected 0 or 1, got 2"),
        ({"output_sequence": 1}, "attribute output_sequence is unknown"),
    ],
)
def test_attributes_that_do_not_fit_name_the_node(attributes, message):
    model = lstm()
    node = model.graph.node[0]
    node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
    with pytest.raises(ValueError, match=rf"^node 'it' \(LSTM\): .*{message}"):
        rnnext.onnx.load(model)


def test_unknown_operators_name_the_node():
    x = {"x": np.ones(3, np.float32)}
    node = helper.make_node("Sin", ["x"], ["y"], name="wave")
    with pytest.raises(ValueError, match=r"node 'wave' \(Sin\): operator Sin is unk"):
        rnnext.onnx.load(model_of([node], x, ["y"]))
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], x, ["y"])
    model.graph.node[0].domain = "com.example"
    with pytest.raises(ValueError, match=r"node 'y' .*Relu of com.example is unknown"):
        rnnext.onnx.load(model)


def test_constants_that_are_no_numbers_name_the_node():
    text = helper.make_node("Constant", [], ["x"], value_string="text", name="it")
    shape = helper.make_node("Shape", ["x"], ["y"])
    with pytest.raises(ValueError, match=r"node 'it' .*value_string: expected num"):
        rnnext.onnx.load(model_of([text, shape], {}, ["y"]))


def test_errors_while_running_name_the_node():
    inputs = {"x": np.ones((2, 3), np.float32), "i": np.array([1, 2])}
    node = helper.make_node("Gather", ["x", "i"], ["y"], name="rows")
    with pytest.raises(ValueError, match=r"node 'rows' \(Gather\): indices: .*got 2"):
        run(model_of([node], inputs, ["y"]), inputs)


def test_operators_that_the_opset_does_not_have():
    inputs = {"c": np.array([True]), "x": np.ones(1, np.float32)}
    model = model_of([helper.make_node("Where", ["c", "x", "x"], ["y"])], inputs, ["y"])
    model.opset_import[0].version = 7
    with pytest.raises(ValueError, match=r"node 'y' .*there is no Where in opset 7"):
        rnnext.onnx.load(model)


def test_old_opsets_are_refused():
    model = lstm()
    model.opset_import[0].version = 6
    with pytest.raises(ValueError, match="expected opset 7 or newer, got 6"):
        rnnext.onnx.load(model)


def test_what_is_no_model():
    with pytest.raises(ValueError, match="model: expected an ONNX model"):
        rnnext.onnx.load(b"nothing of the kind")
    with pytest.raises(TypeError, match="model: expected a path, bytes"):
        rnnext.onnx.load(3)
    with pytest.raises(FileNotFoundError):
        rnnext.onnx.load("not/there.onnx")
    model = lstm()
    model.graph.node[0].input[1] = "elsewhere"
    with pytest.raises(ValueError, match="elsewhere"):
        rnnext.onnx.load(model)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.ones((T, N, I))}, TypeError, "X: expected float32, got float64"),
        ({"X": np.ones((T, N, 3), "f4")}, ValueError, r"X: expected shape \(5, 3, 2\)"),
        ({"Z": np.ones(1)}, ValueError, "Z is unknown"),
        ({"X": None}, ValueError, "X is missing"),
        (
            {"sequence_lens": np.array([1, 6, 1], np.int32)},
            ValueError,
            r"node 'it' \(LSTM\): lengths: expected 0 to T=5, got 6 for sequence 1",
        ),
    ],
)
def test_inputs_that_do_not_fit(change, error, message):
    inputs = weights("LSTM") | {"sequence_lens": np.array([1, 2, 3], np.int32)}
    model = rnnext.onnx.load(recurrent_model("LSTM", inputs))
    changed = {
        k: v for k, v in (given_to(model, inputs) | change).items() if v is not None
    }
    with pytest.raises(error, match=message):
        model.run(changed)
    assert model.run(given_to(model, inputs))


def test_number_of_inputs():
    model = rnnext.onnx.load(lstm())
    with pytest.raises(TypeError, match=r"expected 1 inputs \(X\), got 0"):
        model()


def test_element_types_that_numpy_does_not_have():
    model = lstm()
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16
    with pytest.raises(ValueError, match=r"input X: .* element type BFLOAT16"):
        rnnext.onnx.load(model)


# ---------------------------------------------------------------- around


def test_every_operator_is_in_the_documentation():
    text = rnnext.onnx.load.__doc__.split("by NumPy:")[1].split(". Dropout")[0]
    listed = {name.strip() for name in text.replace("\n", " ").split(",")}
    assert listed == set(OPERATORS) - {"RNN", "GRU", "LSTM"}


def test_backend_runs_single_nodes():
    node = helper.make_node("Add", ["a", "b"], ["c"])
    a = np.ones((2, 3), np.float32)
    (c,) = rnnext.onnx.backend.run_node(node, [a, a])
    assert (c == 2).all()
    assert rnnext.onnx.backend.supports_device("CPU")
    assert not rnnext.onnx.backend.supports_device("CUDA:0")


def test_backend_knows_what_it_can_run():
    x = {"x": np.ones(3, np.float32)}
    sine = model_of([helper.make_node("Sin", ["x"], ["y"])], x, ["y"])
    assert not rnnext.onnx.backend.is_compatible(sine)
    assert rnnext.onnx.backend.is_compatible(lstm())
    assert not rnnext.onnx.backend.is_compatible(lstm(), "CUDA")


def test_without_onnx_the_extra_is_named():
    script = (
        "import sys; sys.modules['onnx'] = None\n"
        "import rnnext\n"
        "try: import rnnext.onnx\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert 'pip install "rnnext[onnx]"' in done.stdout
