"""The command `rnnext inspect`: tables, gates, every kind of file, every mistake."""

import json
import re

import numpy as np
import onnx
import pytest
from cli_cases import as_json, classifier, printed, refused
from safetensors.numpy import save_file

import rnnext
import rnnext.onnx
from rnnext.app import inspect, modelfile
from rnnext.app.gates import EDGE, statistics

GATES = {"RNN": ["h"], "LSTM": ["i", "f", "g", "o"], "GRU": ["r", "z", "n"]}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_model_of_layers(capsys):
    model = classifier()
    rnnext.save("m.safetensors", model, metadata={"classes": ["a", "b"], "epochs": 3})
    text = printed(capsys, "inspect", "m.safetensors")
    assert text.startswith("m.safetensors: a model of rnnext\n")
    assert '\n  classes: ["a", "b"]\n  epochs: 3\n' in text
    tables = text.split("\n\nover random input, seed 0:\n")[0]
    rows = {line.split()[0]: line for line in tables.splitlines() if line}
    assert "LSTM(8, 16, num_layers=2, dropout=0.5, bidirectional=True)" in rows["rnn"]
    assert rows["rnn.weight_ih_l1"].split()[1:] == ["(64,", "32)", "float32", "2,048"]
    found = as_json(capsys, "inspect", "m.safetensors")
    assert [layer["name"] for layer in found["layers"]] == list(model.layers)
    shapes = {
        f"{layer['name']}.{name}": tuple(shape)
        for layer in found["layers"]
        for name, shape in layer["shapes"].items()
    }
    assert shapes == {name: a.shape for name, a in model.parameters.items()}
    numbers = sum(array.size for array in model.parameters.values())
    assert found["parameters"] == numbers
    assert found["bytes"] == 4 * numbers
    assert found["metadata"] == {"classes": ["a", "b"], "epochs": 3}


def test_flops_are_the_products(capsys):
    rnnext.save("m.npz", classifier())
    flops = {
        layer["name"]: layer["flops"]
        for layer in as_json(capsys, "inspect", "m.npz")["layers"]
    }
    first, second = 2 * 4 * 16 * (8 + 16), 2 * 4 * 16 * (32 + 16)
    rnn = 2 * (first + second)
    assert flops == {"words": 0, "rnn": rnn, "drop": 0, "pool": 0, "head": 2 * 32 * 4}
    rnnext.save("p.npz", rnnext.LSTM(5, 8, proj_size=3, peephole=False, rng=0))
    expected = 2 * (32 * 5 + 32 * 3 + 3 * 8)
    assert as_json(capsys, "inspect", "p.npz")["flops"] == expected


def gates_by_hand(layer, x):
    """From the arrays of the cache."""
    _, _, cache = layer.forward(x)
    for i, gates in enumerate(cache.gates):
        for g in range(gates.shape[2]):
            yield i, gates[:, :, g].astype(np.float64)


@pytest.mark.parametrize("kind", [rnnext.RNN, rnnext.LSTM, rnnext.GRU])
def test_gates_over_an_input(capsys, kind):
    layer = kind(3, 4, num_layers=2, bidirectional=True, rng=0)
    with layer.writable() as p:
        for array in p.values():
            array *= 6  # so that some gates are saturated
    rnnext.save("m.npz", layer)
    x = np.random.default_rng(1).standard_normal((9, 2, 3)).astype(np.float32)
    np.save("x.npy", x.astype(np.float64))
    found = as_json(capsys, "inspect", "m.npz", "--input", "x.npy")["gates"]
    names = GATES[kind.__name__]
    assert [gate["gate"] for gate in found] == names * 4
    ends = ["l0", "l0 reverse", "l1", "l1 reverse"]
    assert [gate["layer"] for gate in found[:: len(names)]] == ends
    shares = []
    for gate, (_, values) in zip(found, gates_by_hand(layer, x), strict=True):
        low = -1 if gate["gate"] in ("g", "n", "h") else 0
        edge = EDGE * (1 - low)
        share = ((values < low + edge) | (values > 1 - edge)).mean()
        shares.append(share)
        assert gate["mean"] == pytest.approx(values.mean())
        assert gate["deviation"] == pytest.approx(values.std())
        assert gate["saturated"] == pytest.approx(share)
    assert 0.1 < np.mean(shares) < 1


def test_gates_without_bounds():
    relu = rnnext.RNN(3, 4, nonlinearity="relu", rng=0)
    x = np.random.default_rng(1).standard_normal((9, 2, 3)).astype(np.float32)
    (gate,), y = statistics("", relu, x)
    assert gate.saturated == pytest.approx((y == 0).mean())
    assert 0 < gate.saturated < 1
    (gate,), _ = statistics("", rnnext.RNN(3, 4, activations=["softplus"], rng=0), x)
    assert gate.saturated is None


def test_steps_past_the_end_do_not_count():
    layer = rnnext.GRU(3, 4, rng=0)
    x = np.random.default_rng(1).standard_normal((9, 2, 3)).astype(np.float32)
    short, _ = statistics("", layer, x[:4])
    padded, _ = statistics("", layer, x, lengths=np.array([4, 4]))
    assert short == padded


def test_the_random_input_has_a_seed(capsys):
    rnnext.save("m.npz", rnnext.GRU(3, 4, rng=0))
    one, again, other = (
        as_json(capsys, "inspect", "m.npz", "--seed", seed)["gates"]
        for seed in (1, 1, 2)
    )
    assert one == again != other


def test_dropout_has_no_part(capsys):
    rnnext.save("m.npz", classifier())
    one, again = (as_json(capsys, "inspect", "m.npz")["gates"] for _ in range(2))
    assert one == again


def test_a_cell(capsys):
    cell = rnnext.GRUCell(3, 4, rng=0, reset_after=False)
    rnnext.save("m.npz", cell)
    x = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    np.save("x.npy", x)
    found = as_json(capsys, "inspect", "m.npz", "--input", "x.npy")
    assert found["layers"][0]["layer"] == repr(cell)
    assert [gate["gate"] for gate in found["gates"]] == GATES["GRU"]
    layer = rnnext.GRU(3, 4, reset_after=False)
    layer.load_state_dict({f"{k}_l0": v for k, v in cell.parameters.items()})
    means = [values.mean() for _, values in gates_by_hand(layer, x[None])]
    assert [gate["mean"] for gate in found["gates"]] == pytest.approx(means)


def test_a_model_of_rnnext_train(capsys):
    """Its input is characters."""
    rnn = rnnext.GRU(5, 8, rng=0)
    model = rnnext.Sequential({"rnn": rnn, "head": rnnext.Linear(8, 5, rng=1)})
    rnnext.save("m.npz", model, metadata={"vocabulary": "\n abc"})
    text = printed(capsys, "inspect", "m.npz")
    assert "\n  vocabulary: \\n abc\n" in text
    ids = modelfile.random_input(
        model, np.random.default_rng(0), inspect.STEPS, inspect.SEQUENCES, ids=True
    )
    means = [values.mean() for _, values in gates_by_hand(rnn, ids)]
    found = as_json(capsys, "inspect", "m.npz")["gates"]
    assert [gate["mean"] for gate in found] == pytest.approx(means)


def test_long_metadata_is_cut(capsys):
    rnnext.save("m.npz", rnnext.GRU(3, 4), metadata={"text": "x" * 5000})
    assert max(map(len, printed(capsys, "inspect", "m.npz").splitlines())) < 250


def test_weights_that_are_not_finite(capsys):
    layer = rnnext.GRU(3, 4, rng=0)
    with layer.writable() as p:
        p["bias_ih_l0"][:] = np.nan
    rnnext.save("m.npz", layer)
    assert as_json(capsys, "inspect", "m.npz")["gates"][0]["mean"] is None
    assert " nan " in printed(capsys, "inspect", "m.npz")


# PyTorch's state dicts, as safetensors


def test_a_state_dict(capsys):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(30, 8)
            self.encoder = torch.nn.LSTM(8, 16, 2, bidirectional=True)
            self.step = torch.nn.GRUCell(3, 4)
            self.head = torch.nn.Linear(32, 4)

    net = Net()
    save_tensors(net.state_dict(), "net.safetensors", {"author": "me"})
    found = as_json(capsys, "inspect", "net.safetensors")
    assert found["format"] == "torch"
    assert found["metadata"] == {"author": "me"}
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert {name: layer["layer"] for name, layer in layers.items()} == {
        "encoder": "LSTM(8, 16, num_layers=2, bidirectional=True)",
        "step": "GRUCell(3, 4)",
        "words": "tensors",
        "head": "Linear(32, 4)",
    }
    for name, tensor in net.state_dict().items():
        layer, _, parameter = name.partition(".")
        assert tuple(layers[layer]["shapes"][parameter]) == tuple(tensor.shape)
    assert layers["words"]["flops"] is None
    assert {gate["layer"].split()[0] for gate in found["gates"]} == {"encoder", "step"}
    text = printed(capsys, "inspect", "net.safetensors")
    assert re.search(r"^words +tensors +240 +960 +-$", text, re.M)
    assert text.startswith("net.safetensors: a PyTorch state dict\n  author: me\n")


@pytest.mark.parametrize(("kind", "code"), [("float16", "F16"), ("bfloat16", "BF16")])
def test_a_state_dict_of_halves(capsys, kind, code):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    gru = torch.nn.GRU(3, 4).to(getattr(torch, kind))
    save_tensors(gru.state_dict(), "m.safetensors")
    file = modelfile.read("m.safetensors")
    assert file.notes == [f"{code} read as float32"]
    for name, tensor in gru.state_dict().items():
        array = file.parts[0].parameters[name]
        assert array.dtype == np.float32
        assert np.array_equal(array, tensor.float().numpy())


def test_an_rnn_of_a_state_dict_has_a_note(capsys):
    save_file(dict(rnnext.RNN(3, 4).parameters), "m.safetensors")
    assert f"note: {modelfile.RNN_NOTE}\n" in printed(
        capsys, "inspect", "m.safetensors"
    )


# ONNX


def test_a_graph(capsys):
    layer = rnnext.LSTM(3, 4, num_layers=2, batch_first=True, rng=0)
    rnnext.onnx.save(layer, "m.onnx")
    x = np.random.default_rng(1).standard_normal((2, 9, 3)).astype(np.float32)
    np.save("x.npy", x)
    found = as_json(capsys, "inspect", "m.onnx", "--input", "x.npy")
    assert [part["name"] for part in found["layers"]] == ["lstm_l0", "lstm_l1"]
    assert found["metadata"]["producer"] == "rnnext"
    assert len(found["gates"]) == 8
    assert found["gates"][0]["layer"] == "lstm_l0 l0"


def test_a_graph_with_an_output_layer(capsys):
    layer = rnnext.GRU(3, 4, rng=0)
    rnnext.onnx.save(layer, "gru.onnx")
    model = onnx.load("gru.onnx")
    head = np.ones((4, 2), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(head, "head"))
    model.graph.node.append(
        onnx.helper.make_node("MatMul", ["y", "head"], ["logits"], "output")
    )
    model.metadata_props.add(key="author", value="me")
    onnx.save(model, "m.onnx")
    found = as_json(capsys, "inspect", "m.onnx")
    parts = {part["name"]: part for part in found["layers"]}
    assert parts["output"]["layer"] == "MatMul"
    assert parts["output"]["flops"] == 16
    assert parts["gru_l0"]["layer"] == "GRU(3, 4)"
    assert found["metadata"]["author"] == "me"


def test_a_graph_without_parameters(capsys):
    from onnx import TensorProto, helper

    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "xy"
    )
    node = helper.make_node("Tanh", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y])
    opsets = [helper.make_opsetid("", 14)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=7), "m.onnx")
    found = as_json(capsys, "inspect", "m.onnx")
    assert (found["parameters"], found["layers"], found["gates"]) == (0, [], [])
    assert "nodes: Tanh" in printed(capsys, "inspect", "m.onnx")


def test_gates_of_a_graph_are_those_of_its_inputs(capsys):
    """With zeros for the initial state both files compute the same."""
    from onnx import TensorProto, helper

    layer = rnnext.GRU(3, 4, rng=0)
    weights = {}
    rnnext.onnx.save(layer, "saved.onnx")
    for tensor in onnx.load("saved.onnx").graph.initializer:
        weights[tensor.name] = tensor
    names = [next(n for n in weights if n.startswith(letter)) for letter in "WRB"]
    node = helper.make_node(
        "GRU", ["X", *names], ["Y"], "rnn", hidden_size=4, linear_before_reset=1
    )
    value = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", "N", 3])
    out = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None] * 4)
    graph = helper.make_graph(
        [node], "g", [value], [out], [weights[name] for name in names]
    )
    opsets = [helper.make_opsetid("", 14)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=7), "m.onnx")
    rnnext.save("m.npz", layer)
    x = np.random.default_rng(1).standard_normal((9, 2, 3)).astype(np.float32)
    np.save("x.npy", x)
    graphs, layers = (
        as_json(capsys, "inspect", name, "--input", "x.npy")["gates"]
        for name in ("m.onnx", "m.npz")
    )
    assert [g["mean"] for g in graphs] == [g["mean"] for g in layers]


def test_names_cannot_move_the_cursor(capsys):
    weights = {f"\x1b[2J.{k}": v for k, v in rnnext.GRU(3, 4).state_dict().items()}
    save_file(weights, "m.safetensors", {"a\nb": "c\rd"})
    text = printed(capsys, "inspect", "m.safetensors")
    assert "  a\\nb: c\\rd\n" in text
    assert "\\x1b[2J  GRU(3, 4)" in text
    assert "\x1b" not in text
    line = refused(capsys, "inspect", "none\x1b\x0c.npz")
    assert line.endswith("cannot read none\\x1b\\x0c.npz: No such file or directory")


# Mistakes


def damaged(name):
    """A file cut short."""
    rnnext.save("good.npz", rnnext.GRU(3, 4))
    rnnext.save("good.safetensors", rnnext.GRU(3, 4))
    rnnext.onnx.save(rnnext.GRU(3, 4), "good.onnx")
    ending = name.split(".")[-1]
    with open(f"good.{ending}", "rb") as good, open(name, "wb") as file:
        file.write(good.read()[:-100])


def without_its_data(name):
    rnnext.onnx.save(rnnext.GRU(3, 4), name)
    model = onnx.load(name)
    onnx.save(
        model, name, save_as_external_data=True, location="gone", size_threshold=0
    )
    with open("gone", "wb"):
        pass


def junk(name):
    with open(name, "wb") as file:
        file.write(b"junk" * 100)


def empty(name):
    with open(name, "wb"):
        pass


def other_archive(name):
    np.savez(name, a=np.ones(3))


def other_tensors(name):
    save_file({"fc.weight": np.ones((2, 3), np.float32)}, name)


def incomplete(name):
    parameters = dict(rnnext.LSTM(3, 4).parameters)
    del parameters["bias_hh_l0"]
    save_file(parameters, name)


def wrong_rows(name):
    weights = {"weight_ih_l0": np.ones((12, 3)), "weight_hh_l0": np.ones((12, 5))}
    save_file(weights, name)


def of_integers(name):
    parameters = rnnext.LSTM(3, 4).parameters
    save_file({k: v.astype(np.int32) for k, v in parameters.items()}, name)


def unknown_operator(name):
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    node = helper.make_node("Sin", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [value], [out])
    onnx.save(helper.make_model(graph), name)


WRONG = [
    ("none.npz", None, "cannot read none.npz: No such file or directory"),
    (".", None, "cannot read .: Is a directory"),
    ("m.pth", junk, ".pth; save the state dict with safetensors.torch.save_file"),
    ("m.h5", junk, ".h5; rnnext.exchange.from_keras takes the weights"),
    ("m", junk, "m: expected a name that ends in .safetensors, .npz, .onnx, got no "),
    ("m.npz", empty, "m.npz is empty"),
    ("m.npz", junk, "m.npz: not a file of rnnext.save: "),
    ("m.npz", damaged, "m.npz: not a file of rnnext.save: "),
    ("m.npz", other_archive, "m.npz: not a file of rnnext.save: it has no config"),
    ("m.safetensors", junk, "m.safetensors: not a safetensors file: "),
    ("m.safetensors", damaged, "m.safetensors: not a safetensors file: "),
    ("m.safetensors", other_tensors, "state dict with weight_ih_l0, got tensors fc.w"),
    ("m.safetensors", incomplete, "m.safetensors: state_dict: bias_hh_l0 is missing"),
    ("m.safetensors", wrong_rows, "m.safetensors: weight_hh_l0: expected H=5 and G*H"),
    ("m.safetensors", of_integers, "expected float32 or float64, got int32"),
    ("m.onnx", junk, "m.onnx: expected an ONNX model, got "),
    ("m.onnx", damaged, "m.onnx: expected an ONNX model, got "),
    ("m.onnx", without_its_data, "m.onnx: "),
    ("m.onnx", unknown_operator, "m.onnx: node 'y' (Sin): operator Sin is unknown"),
]


@pytest.mark.parametrize(("name", "make", "expected"), WRONG)
@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_wrong_files(capsys, command, name, make, expected):
    if make:
        make(name)
    target = ["out.npz"] if command == "convert" else []
    assert expected in refused(capsys, command, name, *target)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.ones((5, 2, 9)), "x.npy: x: expected shape (T, N, I=3), or (T, I=3) "),
        (np.full((5, 2), 7), "x.npy: x: expected token ids from 0 to I-1=2, got 7"),
        (np.array(["a"]), "x.npy: "),
        (np.array([{}]), "x.npy: expected an array, as numpy.save writes it: "),
        (None, "cannot read x.npy: No such file or directory"),
    ],
)
def test_wrong_inputs(capsys, x, expected):
    rnnext.save("m.npz", rnnext.GRU(3, 4, rng=0))
    if x is not None:
        np.save("x.npy", x)
    assert expected in refused(capsys, "inspect", "m.npz", "--input", "x.npy")


def test_an_input_that_is_no_array(capsys):
    rnnext.save("m.npz", rnnext.GRU(3, 4, rng=0))
    junk("x.npy")
    line = refused(capsys, "inspect", "m.npz", "--input", "x.npy")
    assert "x.npy: expected an array, as numpy.save writes it: " in line


def test_an_input_for_several_layers(capsys):
    tensors = {
        f"{name}.{k}": v
        for name in ("a", "b")
        for k, v in rnnext.GRU(3, 4).state_dict().items()
    }
    save_file(tensors, "m.safetensors")
    np.save("x.npy", np.ones((5, 2, 3)))
    line = refused(capsys, "inspect", "m.safetensors", "--input", "x.npy")
    assert "--input is of one layer, m.safetensors holds a, b" in line


@pytest.mark.parametrize(
    ("ending", "package", "extra"),
    [("onnx", "onnx", "onnx"), ("safetensors", "safetensors", "files")],
)
def test_a_missing_extra(capsys, ending, package, extra):
    import subprocess
    import sys

    junk(f"m.{ending}")
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from rnnext.app.cli import main\n"
        f"sys.exit(main(['inspect', 'm.{ending}']))"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert line.endswith(f'pip install "rnnext[{extra}]"')


def test_json_is_json(capsys):
    rnnext.save("m.npz", rnnext.GRU(3, 4, rng=0))
    json.loads(printed(capsys, "inspect", "m.npz", "--json"))
