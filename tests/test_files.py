"""Files of models come back to the bit; nothing forged or damaged does harm."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save as to_safetensors

import rnnext
from rnnext.files import KEY, _crc32

HARD = ["HardSigmoid", "HardSigmoid", "Tanh", ("Affine", 0.5, 0.1), "Softsign"]
MODELS = {
    "RNN": lambda: rnnext.RNN(3, 4, 2, "relu", False, True, 0.5, True, rng=0),
    "LSTM": lambda: rnnext.LSTM(
        3, 5, proj_size=2, activations=HARD, gate_clip=3.0, peephole=True,
        cell_clip=2.0, forget_bias=1.0, dtype=np.float64, rng=0,
    ),
    "coupled": lambda: rnnext.LSTM(3, 4, coupled=True, reverse=True, rng=0),
    "GRU": lambda: rnnext.GRU(
        3, 4, bidirectional=True, merge="mul", reset_after=False, input_dropout=0.1,
        recurrent_dropout=0.2, activations=[["Relu"] * 3, ["Elu"] * 3], rng=0,
    ),
    "two outputs": lambda: rnnext.GRU(3, 4, bidirectional=True, merge=None, rng=0),
    "RNNCell": lambda: rnnext.RNNCell(3, 4, bias=False, nonlinearity="relu", rng=0),
    "LSTMCell": lambda: rnnext.LSTMCell(3, 4, dtype=np.float64, rng=0),
    "GRUCell": lambda: rnnext.GRUCell(3, 4, reset_after=False, rng=0),
    "Linear": lambda: rnnext.Linear(3, 4, bias=False, rng=0),
    "Embedding": lambda: rnnext.Embedding(3, 4, rng=0),
    "Dropout": lambda: rnnext.Dropout(0.25, rng=0),
    "Pool": lambda: rnnext.Pool("max", batch_first=True),
    "Sequential": lambda: rnnext.Sequential(
        {
            "table": rnnext.Embedding(9, 3, rng=0),
            "body": rnnext.Sequential(rnnext.GRU(3, 4, rng=1), rnnext.Dropout(0.5)),
            "head": rnnext.Linear(4, 2, rng=2),
        }
    ),
}  # fmt: skip
ENDINGS = ("npz", "safetensors")


@pytest.mark.filterwarnings("ignore:dropout acts between layers")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", MODELS)
def test_comes_back_to_the_bit(tmp_path, name, ending):
    model, path = MODELS[name](), tmp_path / f"model.{ending}"
    metadata = {"classes": ["a", "é"], "rate": 0.1, "nested": {"none": None}}
    rnnext.save(path, model, metadata=metadata)
    again, found = rnnext.load(path, with_metadata=True)
    assert found == metadata
    assert repr(again) == repr(model)
    assert list(again.parameters) == list(model.parameters)
    for key, array in model.parameters.items():
        assert array.tobytes() == again.parameters[key].tobytes()
        assert array.dtype == again.parameters[key].dtype
    path.rename(tmp_path / "renamed")
    assert repr(rnnext.load(str(tmp_path / "renamed"))) == repr(model)


def test_what_comes_back_works(tmp_path):
    model, path = MODELS["Sequential"](), tmp_path / "model.npz"
    rnnext.save(path, model)
    again = rnnext.load(path)
    ids = np.random.default_rng(0).integers(0, 9, (5, 2))
    np.testing.assert_array_equal(again(ids)[0], model(ids)[0])
    first, second = (again.forward(ids)[0] for _ in range(2))
    assert (first != second).any()  # dropout draws
    y, _, cache = again.forward(ids)
    rnnext.Adam().step(again, again.backward(cache, y))


@pytest.mark.parametrize("ending", ENDINGS)
def test_same_model_same_bytes(tmp_path, ending):
    paths = [tmp_path / f"{i}.{ending}" for i in range(2)]
    for path in paths:
        rnnext.save(path, MODELS["GRU"]())
    assert paths[0].read_bytes() == paths[1].read_bytes()


def written(tmp_path, ending, name="Sequential"):
    path = tmp_path / f"model.{ending}"
    rnnext.save(path, MODELS[name](), metadata={"text": "x" * 20})
    return path, path.read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_truncated(tmp_path, ending):
    path, content = written(tmp_path, ending)
    for size in range(0, len(content), 61):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="not a file of"):
            rnnext.load(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_flipped_bits(tmp_path, ending):
    """An error, or what was written (where a bit means nothing)."""
    path, content = written(tmp_path, ending)
    whole, about = rnnext.load(path, with_metadata=True)
    rng, refused = np.random.default_rng(0), 0
    for place in rng.integers(0, len(content), 1000):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            found, metadata = rnnext.load(path, with_metadata=True)
        except ValueError:
            refused += 1
            continue
        assert (repr(found), metadata) == (repr(whole), about)
        for key, array in whole.parameters.items():
            assert array.tobytes() == found.parameters[key].tobytes()
    assert refused > 500


def forged(model=None, arrays=None, **about):
    """The bytes of a safetensors file that says so."""
    arrays = MODELS["Linear"]().state_dict() if arrays is None else arrays
    described = {"version": 1, "model": model, "metadata": {}} | about
    described.setdefault("crc32", _crc32(described, arrays))
    return to_safetensors(arrays, {KEY: json.dumps(described)})


def layer(kind, **arguments):
    return {"class": kind, "arguments": arguments}


RIGHT = layer("Linear", in_features=3, out_features=4, bias=False)
FORGED = {
    "another version": (forged(RIGHT, version=2), "version 2, this rnnext reads 1"),
    "no sum": (forged(RIGHT, crc32=None), "not what was written"),
    "no model": (forged(None), "names no class"),
    "no class": (forged(layer("os.system", command="true")), "unknown class"),
    "no arguments": (forged({"class": "GRU"}), "unknown class 'GRU'"),
    "generator": (forged(layer("Dropout", p=0.5, rng=1)), "unknown class"),
    "more": (forged(layer("Linear", **RIGHT["arguments"], x=1)), "'x'"),
    "other arrays": (forged(layer("GRU", input_size=1, hidden_size=1)), "not those of"),
    "large": (
        forged(layer("Linear", in_features=10**12, out_features=4)), "more numbers",
    ),
    "large in all": (
        forged(layer("Linear", in_features=12, out_features=12)), "more numbers",
    ),
    "deep": (
        forged(layer("GRU", input_size=1, hidden_size=1, num_layers=10**9)),
        "more numbers",
    ),
    "long": (
        forged({"class": "Sequential", "layers": [["a", RIGHT]] * 10**4}), "no list",
    ),
    "nested": (
        forged({"class": "Sequential", "layers": [["a", {"class": "Sequential"}]]}),
        "no list",
    ),
    "no pairs": (forged({"class": "Sequential", "layers": [1]}), "not a file"),
    "integers": (
        forged(RIGHT, {"weight": np.zeros((4, 3), np.int32)}), "weight is of I32",
    ),
    "dtype": (forged(RIGHT, {"weight": np.zeros((4, 3))}), "not of float32"),
    "metadata": (forged(RIGHT, metadata=[]), "incomplete"),
    "foreign": (to_safetensors({"weight": np.zeros(3)}), "of another program"),
    "text": (b"weights of mine", "not a file of rnnext.save"),
    "nothing": (b"", "not a file of rnnext.save"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_forged(tmp_path, name):
    content, message = FORGED[name]
    path = tmp_path / "forged.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        rnnext.load(path)
    assert str(path) in str(caught.value)


def npz(**members):
    """A zip file with these members' bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=True)
    return file.getvalue()


def test_npz_with_a_pickle(tmp_path):
    path = tmp_path / "pickle.npz"

    class Bomb:
        def __reduce__(self):
            return os.abort, ()

    bomb = np.array([Bomb()], object)
    text = np.frombuffer(json.dumps({"version": 1}).encode(), np.uint8)
    for content in (
        npz(**{KEY: npy(bomb)}),
        npz(**{KEY: npy(text), "weight": npy(bomb)}),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a file of"):
            rnnext.load(path)


def test_npz_of_others(tmp_path):
    path = tmp_path / "others.npz"
    np.savez(path, weight=np.zeros(3))
    with pytest.raises(ValueError, match="no configuration"):
        rnnext.load(path)
    np.savez_compressed(path, weight=np.zeros(3))
    with pytest.raises(ValueError, match="not as save makes it"):
        rnnext.load(path)


def test_bombs_take_no_memory(tmp_path):
    """Members that unpack to gigabytes, and headers that promise terabytes."""
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("weight.npy", bytes(1 << 28))
    promise = tmp_path / "promise.npz"
    header = npy(np.zeros((4, 3), np.float32))
    promise.write_bytes(
        npz(weight=header.replace(b"(4, 3)", b"(4" + b"0" * 9 + b",3)"))
    )
    sizes = layer("GRU", input_size=20_000, hidden_size=20_000)
    large = tmp_path / "large.safetensors"
    large.write_bytes(forged(sizes, {"weight": np.zeros(20_000, np.float32)}))
    script = f"""
import resource, rnnext
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in {[str(bomb), str(promise), str(large)]!r}:
    try:
        rnnext.load(path)
    except ValueError:
        continue
    raise SystemExit(path)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    unit = 1024 if sys.platform == "linux" else 1
    assert int(done.stdout) * unit < 64 << 20


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path, content = written(tmp_path, "npz")

    def fail(*_):
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(OSError, match="No space left"):
                rnnext.save(path, MODELS["Linear"]())
        assert path.read_bytes() == content
        assert os.listdir(tmp_path) == ["model.npz"]


def test_links_and_permissions_stay(tmp_path):
    path, _ = written(tmp_path, "npz")
    path.chmod(0o640)
    link = tmp_path / "link.npz"
    link.symlink_to(path)
    rnnext.save(link, MODELS["Linear"]())
    assert link.is_symlink()
    assert repr(rnnext.load(path)) == repr(MODELS["Linear"]())
    assert path.stat().st_mode & 0o777 == 0o640


WRONG = {
    "ending": (lambda p: rnnext.save(p / "m.pt", rnnext.Pool()), ValueError, "path: "),
    "model": (lambda p: rnnext.save(p / "m.npz", 3), TypeError, "model: expected"),
    "class": (
        lambda p: rnnext.save(p / "m.npz", type("Mine", (rnnext.GRU,), {})(3, 4)),
        TypeError, "got Mine",
    ),
    "metadata": (
        lambda p: rnnext.save(p / "m.npz", rnnext.Pool(), metadata={"a": object()}),
        TypeError, "metadata: JSON cannot hold it",
    ),
    "not a number": (
        lambda p: rnnext.save(p / "m.npz", rnnext.Pool(), metadata={"a": np.nan}),
        TypeError, "metadata: JSON cannot hold it",
    ),
    "folder": (
        lambda p: rnnext.save(p / "no" / "m.npz", rnnext.Pool()),
        FileNotFoundError, r"No such folder: '.*/no'$",
    ),
    "missing": (lambda p: rnnext.load(p / "m.npz"), FileNotFoundError, "m.npz"),
    "a folder": (lambda p: rnnext.load(p), IsADirectoryError, "directory"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(tmp_path, name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call(tmp_path)
    assert os.listdir(tmp_path) == []


def test_files_of_pytorch_and_empty_ones_say_what_to_do(tmp_path):
    (tmp_path / "m.pt").write_bytes(b"PK\3\4 pickle")
    with pytest.raises(ValueError, match=r"torch\.save_file.*rnnext convert"):
        rnnext.load(tmp_path / "m.pt")
    content = to_safetensors(rnnext.GRU(3, 4).state_dict(), {"format": "pt"})
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"another program; rnnext\.exchange\.from_t"):
        rnnext.load(tmp_path / "m.safetensors")
    (tmp_path / "m.npz").touch()
    with pytest.raises(ValueError, match=r"it is empty$"):
        rnnext.load(tmp_path / "m.npz")


def test_without_safetensors(tmp_path, monkeypatch):
    path, _ = written(tmp_path, "safetensors")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (lambda: rnnext.load(path), lambda: rnnext.save(path, rnnext.Pool())):
        with pytest.raises(ImportError, match=r"rnnext\[files\]"):
            call()
