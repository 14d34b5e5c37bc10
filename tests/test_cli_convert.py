"""The command `rnnext convert`: every pair of formats, and every mistake."""

import os
import sys

import numpy as np
import pytest
from cli_cases import as_json, classifier, printed, refused, same_parameters
from safetensors.numpy import load_file, save_file

import rnnext
import rnnext.onnx
from rnnext.app import convert

LAYERS = [
    rnnext.RNN(3, 4, nonlinearity="relu", rng=0),
    rnnext.GRU(3, 4, 2, bias=False, batch_first=True, rng=0),
    rnnext.LSTM(3, 4, 2, bidirectional=True, rng=0),
    rnnext.LSTM(3, 4, dtype=np.float64, rng=0),
]
OWN = [".npz", ".safetensors"]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def saved(model, path="m.npz", **metadata):
    rnnext.save(path, model, metadata=metadata)
    return path


def torch_layer(kind, *sizes, **options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return getattr(torch.nn, kind)(*sizes, **options)


def save_tensors(module, path="m.safetensors"):
    from safetensors.torch import save_file as save

    save(module.state_dict(), path)
    return path


# Between rnnext's own files


@pytest.mark.parametrize("model", [*LAYERS, classifier(), rnnext.GRUCell(3, 4, rng=0)])
@pytest.mark.parametrize("ending", OWN)
def test_own_files(capsys, model, ending):
    (other,) = set(OWN) - {ending}
    saved(model, f"m{ending}", epochs=3, classes=["a"])
    found = as_json(capsys, "convert", f"m{ending}", f"n{other}")
    assert found["ok"]
    assert found["differences"] == {"rnnext": 0}
    again, metadata = rnnext.load(f"n{other}", with_metadata=True)
    assert repr(again) == repr(model) == found["model"]
    assert same_parameters(again, model)
    assert metadata == {"epochs": 3, "classes": ["a"]}


def test_what_it_says(capsys):
    saved(LAYERS[2])
    first, second, third = printed(
        capsys, "convert", "m.npz", "n.safetensors"
    ).splitlines()
    assert first == "m.npz: LSTM(3, 4, num_layers=2, bidirectional=True)"
    assert second == "on a random input rnnext has the same bits"
    size = os.path.getsize("n.safetensors")
    assert third == f"n.safetensors: written, {size:,} bytes"


# ONNX


@pytest.mark.parametrize("layer", LAYERS)
def test_to_onnx_and_back(capsys, layer):
    saved(layer, "m.npz", epochs=3)
    found = as_json(capsys, "convert", "m.npz", "m.onnx")
    assert found["differences"]["rnnext.onnx"] == 0
    assert found["notes"] == ["metadata is left out: epochs"]
    text = printed(capsys, "convert", "m.npz", "m.onnx", "--force")
    assert "note: metadata is left out: epochs\n" in text
    assert as_json(capsys, "convert", "m.onnx", "n.safetensors")["ok"]
    again = rnnext.load("n.safetensors")
    assert repr(again) == repr(layer)
    assert same_parameters(again, layer)


def test_onnx_runtime_has_run_it(capsys):
    pytest.importorskip("onnxruntime")
    saved(LAYERS[2])
    found = as_json(capsys, "convert", "m.npz", "m.onnx")["differences"]
    assert 0 < found["ONNX Runtime"] < 1e-5


# PyTorch


@pytest.mark.parametrize(
    ("kind", "sizes", "options", "flags"),
    [
        ("RNN", (3, 4), {}, ["--nonlinearity", "tanh"]),
        ("RNN", (3, 4), {"nonlinearity": "relu"}, ["--nonlinearity", "relu"]),
        ("GRU", (3, 4, 2), {"bidirectional": True}, []),
        ("LSTM", (3, 4), {"batch_first": True}, ["--batch-first"]),
        ("LSTM", (3, 4), {"proj_size": 2, "bias": False}, []),
    ],
)
def test_from_pytorch(capsys, kind, sizes, options, flags):
    torch = pytest.importorskip("torch")
    module = torch_layer(kind, *sizes, **options)
    save_tensors(module)
    found = as_json(capsys, "convert", "m.safetensors", "n.npz", *flags)
    assert found["format"] == "torch"
    assert found["differences"]["PyTorch"] < 1e-6
    layer = rnnext.load("n.npz")
    x = torch.randn(5, 2, 3)
    with torch.no_grad():
        expected = module(x)[0].numpy()
    assert np.abs(layer(x.numpy())[0] - expected).max() < 1e-6
    for name, tensor in module.state_dict().items():
        assert np.array_equal(layer.parameters[name], tensor.numpy())


@pytest.mark.parametrize("layer", LAYERS)
def test_to_pytorch(capsys, layer):
    pytest.importorskip("torch")
    from safetensors.torch import load_file as load_tensors

    saved(layer)
    found = as_json(capsys, "convert", "m.npz", "m.safetensors", "--to", "torch")
    assert found["differences"]["rnnext"] == 0
    assert found["differences"]["PyTorch"] < 1e-6
    options = {"bias": layer.bias, "bidirectional": layer.bidirectional}
    if isinstance(layer, rnnext.RNN):
        options["nonlinearity"] = layer.nonlinearity
    sizes = 3, 4, layer.num_layers
    module = torch_layer(type(layer).__name__, *sizes, **options)
    module.load_state_dict(load_tensors("m.safetensors"))  # names and shapes are right
    again = load_file("m.safetensors")
    assert all(np.array_equal(again[k], v) for k, v in layer.parameters.items())


def test_a_model_of_layers_to_pytorch(capsys):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_tensors

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(30, 8)
            self.rnn = torch.nn.LSTM(8, 16, 2, bidirectional=True)
            self.head = torch.nn.Linear(32, 4)

        def forward(self, ids):
            y, _ = self.rnn(self.words(ids))
            return self.head(torch.cat([y[-1, :, :16], y[0, :, 16:]], 1))

    model = classifier()
    saved(model)
    assert as_json(capsys, "convert", "m.npz", "m.safetensors", "--to", "torch")["ok"]
    net = Net()
    net.load_state_dict(load_tensors("m.safetensors"))
    ids = np.random.default_rng(0).integers(0, 30, (9, 2))
    with torch.no_grad():
        expected = net(torch.from_numpy(ids)).numpy()
    assert np.abs(model(ids)[0] - expected).max() < 1e-6


def test_a_cell_there_and_back(capsys):
    module = torch_layer("LSTMCell", 3, 4)
    save_tensors(module)
    assert as_json(capsys, "convert", "m.safetensors", "m.npz")["ok"]
    cell = rnnext.load("m.npz")
    assert repr(cell) == "LSTMCell(3, 4)"
    assert as_json(capsys, "convert", "m.npz", "n.safetensors", "--to", "torch")["ok"]
    again = load_file("n.safetensors")
    for name, tensor in module.state_dict().items():
        assert np.array_equal(again[name], tensor.numpy())


def test_one_of_several_layers(capsys):
    tensors = {
        f"{name}.{k}": v
        for name, layer in (("a", LAYERS[1]), ("b", LAYERS[2]))
        for k, v in layer.state_dict().items()
    }
    save_file(tensors, "m.safetensors")
    line = refused(capsys, "convert", "m.safetensors", "n.npz")
    assert "m.safetensors holds a, b, and not how they follow each other; " in line
    assert line.endswith("--prefix a. or --prefix b. takes one layer")
    assert printed(capsys, "convert", "m.safetensors", "n.npz", "--prefix", "b.")
    assert same_parameters(rnnext.load("n.npz"), LAYERS[2])


def test_a_layer_without_a_prefix_beside_others(capsys):
    more = {"fc.weight": np.ones((2, 8), np.float32)}
    save_file(LAYERS[2].state_dict() | more, "m.safetensors")
    line = refused(capsys, "convert", "m.safetensors", "n.npz")
    assert line.endswith('; --prefix "" takes one layer')
    more |= {f"a.{k}": v for k, v in LAYERS[1].state_dict().items()}
    save_file(LAYERS[2].state_dict() | more, "m.safetensors")
    assert printed(capsys, "convert", "m.safetensors", "n.npz", "--prefix", "")
    assert same_parameters(rnnext.load("n.npz"), LAYERS[2])


def test_what_has_no_prefix_is_named_all_the_same(capsys):
    save_file(LAYERS[2].state_dict() | {"extra": np.ones(2)}, "m.safetensors")
    line = refused(capsys, "convert", "m.safetensors", "n.npz")
    assert f"m.safetensors holds {LAYERS[2]!r}, extra, and not how they " in line


def test_to_pytorch_without_safetensors(capsys, monkeypatch):
    saved(LAYERS[2])
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    argv = ("convert", "m.npz", "n.safetensors", "--to", "torch")
    assert refused(capsys, *argv).endswith('pip install "rnnext[files]"')


def test_one_layer_of_a_model(capsys):
    model = classifier()
    saved(model)
    assert as_json(capsys, "convert", "m.npz", "n.onnx", "--prefix", "rnn.")["ok"]
    assert as_json(capsys, "convert", "n.onnx", "n.npz")["ok"]
    assert same_parameters(rnnext.load("n.npz"), model.layers["rnn"])


def test_without_pytorch_and_onnx_runtime(capsys, monkeypatch):
    from rnnext.app import verify

    monkeypatch.setattr(verify.importlib.util, "find_spec", lambda name: None)
    saved(LAYERS[2])
    found = as_json(capsys, "convert", "m.npz", "m.onnx")["differences"]
    assert found == {"rnnext.onnx": 0}
    found = as_json(capsys, "convert", "m.npz", "m.safetensors", "--to", "torch")
    assert found["differences"] == {"rnnext": 0}


# A conversion that is wrong


def off(model, path, metadata):
    """Write a model that differs from what it is made of."""
    with model.writable() as p:
        next(iter(p.values())).flat[0] += 1e-3
    rnnext.save(path, model, metadata=metadata)
    with model.writable() as p:
        next(iter(p.values())).flat[0] -= 1e-3


def test_a_model_that_differs_is_not_written(capsys, monkeypatch):
    monkeypatch.setitem(convert._WRITERS, ".safetensors", off)
    saved(LAYERS[2])
    text = printed(capsys, "convert", "m.npz", "n.safetensors", code=1)
    assert "FAILED: the models differ; n.safetensors is not written" in text
    found = as_json(capsys, "convert", "m.npz", "n.safetensors", code=1)
    assert found["ok"] is False
    assert os.listdir() == ["m.npz"]


def test_a_model_that_is_not_finite(capsys):
    layer = rnnext.GRU(3, 4, rng=0)
    with layer.writable() as p:
        p["bias_ih_l0"][0] = np.nan
    saved(layer)
    assert as_json(capsys, "convert", "m.npz", "n.safetensors")["ok"]
    found, again = load_file("n.safetensors"), layer.state_dict()
    assert all(np.array_equal(found[k], v, equal_nan=True) for k, v in again.items())


# Files are replaced whole, and only if asked to


def test_what_exists_stays(capsys):
    saved(LAYERS[0])
    saved(LAYERS[2], "n.safetensors")
    line = refused(capsys, "convert", "m.npz", "n.safetensors")
    assert line.endswith("n.safetensors exists: --force replaces it")
    assert same_parameters(rnnext.load("n.safetensors"), LAYERS[2])
    printed(capsys, "convert", "m.npz", "n.safetensors", "--force")
    assert same_parameters(rnnext.load("n.safetensors"), LAYERS[0])
    assert sorted(os.listdir()) == ["m.npz", "n.safetensors"]


def test_a_link_is_followed(capsys):
    saved(LAYERS[0])
    saved(LAYERS[2], "there.safetensors")
    os.symlink("there.safetensors", "n.safetensors")
    printed(capsys, "convert", "m.npz", "n.safetensors", "--force")
    assert os.path.islink("n.safetensors")
    assert same_parameters(rnnext.load("there.safetensors"), LAYERS[0])


def test_a_writer_that_fails_leaves_nothing(capsys, monkeypatch):
    def full(model, path, metadata):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(convert._WRITERS, ".npz", full)
    saved(LAYERS[0], "m.safetensors")
    line = refused(capsys, "convert", "m.safetensors", "n.npz")
    assert line.endswith("cannot write n.npz: No space left on device")
    assert os.listdir() == ["m.safetensors"]


# Mistakes


def own():
    saved(LAYERS[2])


def own_rnn():
    saved(LAYERS[0])


def stack():
    saved(classifier())


def projection():
    saved(rnnext.LSTM(3, 4, proj_size=2))


def reset_before():
    saved(rnnext.GRU(3, 4, reset_after=False))


def cell_reset_before():
    saved(rnnext.GRUCell(3, 4, reset_after=False))


def tensors():
    save_file(LAYERS[2].state_dict(), "m.safetensors")


def tensors_of_an_rnn():
    save_file(LAYERS[0].state_dict(), "m.safetensors")


def tensors_of_a_cell():
    save_file(rnnext.GRUCell(3, 4).state_dict(), "m.safetensors")


def tensors_and_more():
    more = {"fc.weight": np.ones((2, 8), np.float32)}
    parameters = {f"rnn.{k}": v for k, v in LAYERS[2].state_dict().items()}
    save_file(parameters | more, "m.safetensors")


def graph_and_more():
    import onnx

    rnnext.onnx.save(LAYERS[2], "m.onnx")
    model = onnx.load("m.onnx")
    model.graph.node.append(onnx.helper.make_node("Relu", ["y"], ["out"]))
    model.graph.output[0].name = "out"
    onnx.save(model, "m.onnx")


TARGET = "n.npz"
WRONG = [
    (own, ["m.npz", "n.pt"], "n.pt: expected a name that ends in .safetensors, .npz"),
    (own, ["m.npz", "folder"], "folder is a folder: expected the name of a file"),
    (own, ["m.npz", "none/n.npz"], "cannot write none/n.npz: no folder "),
    (own, ["m.npz", "n.onnx", "--to", "torch"], "--to torch: expected OUT to end in"),
    (own, ["m.npz", TARGET, "--prefix", "a."], '--prefix a.: m.npz has --prefix ""'),
    (
        stack,
        ["m.npz", TARGET, "--prefix", "rnm."],
        "m.npz has --prefix words. or --prefix rnn. or --prefix drop. or ",
    ),
    (own, ["m.npz", TARGET, "--batch-first"], "--batch-first: m.npz is no PyTorch "),
    (
        own_rnn,
        ["m.npz", TARGET, "--nonlinearity", "tanh"],
        "--nonlinearity: m.npz is no PyTorch state dict",
    ),
    (stack, ["m.npz", "n.onnx"], "expected one RNN, LSTM or GRU for ONNX, got Sequ"),
    (projection, ["m.npz", "n.onnx"], "m.npz: layer: ONNX has no projection"),
    (
        reset_before,
        ["m.npz", "n.safetensors", "--to", "torch"],
        "m.npz: layer: expected a GRU with reset_after=True",
    ),
    (
        cell_reset_before,
        ["m.npz", "n.safetensors", "--to", "torch"],
        "m.npz: expected reset_after=True, as PyTorch has no other",
    ),
    (
        tensors,
        ["m.safetensors", TARGET, "--prefix", "decoder."],
        "state dict with decoder.weight_ih_l0, got tensors bias_hh_l0, ",
    ),
    (
        tensors,
        ["m.safetensors", TARGET, "--nonlinearity", "tanh"],
        "--nonlinearity: m.safetensors holds LSTM(3, 4, num_layers=2, bidirectional=",
    ),
    (
        tensors_of_an_rnn,
        ["m.safetensors", TARGET],
        "holds an RNN, and not which nonlinearity it has: --nonlinearity tanh or ",
    ),
    (
        tensors_of_a_cell,
        ["m.safetensors", TARGET, "--batch-first"],
        "--batch-first: m.safetensors holds GRUCell(3, 4), which has no T",
    ),
    (
        tensors_and_more,
        ["m.safetensors", TARGET],
        "m.safetensors holds rnn, fc, and not how they follow each other; --prefix rn",
    ),
    (
        graph_and_more,
        ["m.onnx", TARGET],
        "m.onnx: model: expected nothing but one recurrent layer, got nodes ",
    ),
]


@pytest.mark.parametrize(("make", "argv", "expected"), WRONG)
def test_wrong(capsys, make, argv, expected):
    make()
    os.mkdir("folder")
    before = sorted(os.listdir())
    assert expected in refused(capsys, "convert", *argv)
    assert sorted(os.listdir()) == before
