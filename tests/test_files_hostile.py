"""Files that someone damaged or forged: a clear error, little memory, no code.

tests/test_files.py has more of `rnnext.load`; here are all formats side by side.
"""

import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import rnnext
import rnnext.onnx
from rnnext.app import modelfile
from rnnext.app.checkpoint import KEY as CHECKPOINT_KEY
from rnnext.app.checkpoint import Checkpoint
from rnnext.app.cli import main
from rnnext.app.errors import AppError
from rnnext.files import KEY

MODEL, GRU = rnnext.Linear(2, 1, rng=1), rnnext.GRU(1, 1, rng=0)


def checkpoint():
    trainer = {"progress": 0.5, "step": 3, "seconds": 1.0}
    arrays = {"trainer.w": np.ones(3), "trainer.ids": np.arange(4)}
    return Checkpoint({"text": "abc", "rate": 0.1}, {"trainer": trainer}, arrays)


# name -> (how to write, how to read, how the commands read it)
FORMATS = {
    "model.npz": (lambda path: rnnext.save(path, MODEL), rnnext.load),
    "model.safetensors": (lambda path: rnnext.save(path, MODEL), rnnext.load),
    "c.checkpoint.npz": (lambda path: checkpoint().write(str(path)), Checkpoint.read),
    "model.onnx": (
        lambda path: rnnext.onnx.save(GRU, path), rnnext.onnx.load,
    ),
    "state.safetensors": (
        lambda path: _state_dict(path), lambda path: modelfile.read(str(path)),
    ),
}  # fmt: skip


def _state_dict(path):
    from safetensors.numpy import save_file

    save_file({f"rnn.{k}": v for k, v in GRU.state_dict().items()}, path)


def written(tmp_path, name):
    path = tmp_path / name
    FORMATS[name][0](path)
    return path, FORMATS[name][1], path.read_bytes()


def refused(read, path):
    """Whether reading fails, as it may: the message names the file."""
    try:
        read(str(path))
    except (ValueError, OSError, AppError) as error:
        message = str(error)
    else:
        return False
    assert str(path) in message
    return True


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_at_every_byte(tmp_path, name):
    path, read, content = written(tmp_path, name)
    assert not refused(read, path)
    for size in range(len(content)):
        path.write_bytes(content[:size])
        # What is left of a protocol buffer can be one.
        assert refused(read, path) or name == "model.onnx", size


@pytest.mark.parametrize("name", FORMATS)
def test_every_byte_damaged(tmp_path, name):
    path, read, content = written(tmp_path, name)
    rng = np.random.default_rng(0)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        refused(read, path)


# ---------------------------------------------------------------- forged


def npy(array, version=(1, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=True)
    return file.getvalue()


def text(content):
    return npy(np.frombuffer(json.dumps(content).encode(), np.uint8))


def nested(depth):
    raw = b'{"version": 1, "metadata": {}, "model": ' + b"[" * depth + b"]" * depth
    return npy(np.frombuffer(raw + b"}", np.uint8))


def header(shape, dtype="<f4", version=b"\x01\x00"):
    """A member of NumPy's format without numbers."""
    said = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(said)) + said.encode()


def zipped(*members, compression=zipfile.ZIP_STORED):
    """(name, content) in this order, the same name more than once, too."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, content in members:
            with contextlib.suppress(UserWarning):
                made.writestr(name, content)
    return file.getvalue()


class Bomb:
    def __reduce__(self):
        return os.abort, ()


def npz(key, about, bomb=1 << 27):
    """Forged npz files of either kind."""
    right = (f"{key}.npy", text(about))
    many = "(" + "1, " * 200 + ")"
    found = {
        "pickle": zipped(right, ("w.npy", npy(np.array([Bomb()], object)))),
        "pickled text": zipped((f"{key}.npy", npy(np.array([Bomb()], object)))),
        "bomb": zipped(
            right, ("w.npy", header(f"({bomb},)", "|u1") + bytes(bomb)),
            compression=zipfile.ZIP_DEFLATED,
        ),
        "promise": zipped(right, ("w.npy", header("(1099511627776,)"))),
        "promise of nothing": zipped(right, ("w.npy", header("(0, 1099511627776)"))),
        "negative": zipped(right, ("w.npy", header("(-1,)"))),
        "not a size": zipped(right, ("w.npy", header("(float('nan'),)"))),
        "many axes": zipped(right, ("w.npy", header(many) + bytes(4))),
        "code": zipped(right, ("w.npy", header("(__import__('os').abort(),)"))),
        "long header": zipped(right, ("w.npy", header("(" + "1, " * 10**4 + ")"))),
        "format": zipped(right, ("w.npy", header("(1,)", version=b"\x07\x00"))),
        "structured": zipped(right, ("w.npy", npy(np.zeros(2, "f4,f4")))),
        "strings": zipped(right, ("w.npy", npy(np.array(["a" * 99])))),
        "swapped": zipped(right, ("w.npy", npy(np.zeros(2, ">f4")))),
        "above": zipped(right, ("../../w.npy", npy(np.zeros(2)))),
        "absolute": zipped(right, ("/tmp/w.npy", npy(np.zeros(2)))),
        "no array": zipped(right, ("w", b"text")),
        "deep": zipped((f"{key}.npy", nested(100_000))),
        "no text": zipped((f"{key}.npy", npy(np.zeros(3)))),
        "not UTF-8": zipped((f"{key}.npy", npy(np.full(3, 255, np.uint8)))),
        "empty": zipped(),
    }  # fmt: skip
    for value in (None, [], 3, "x", {}, float("nan"), {"version": 1}, 10**400):
        found[f"about {str(value)[:12]}"] = zipped((f"{key}.npy", text(value)))
    for part in about:
        for value in (None, [], 3.5, "x", {"a": 1}):
            other = about | {part: value}
            found[f"{part} {value}"] = zipped((f"{key}.npy", text(other)))
    return found


def safetensors(said, data=b"", size=None):
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    return struct.pack("<Q", len(content) if size is None else size) + content + data


def tensor(**other):
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | other


SAFETENSORS = {
    "header too long": safetensors({}, size=2**63),
    "header longer than the file": safetensors({}, size=99 << 20),
    "deep": safetensors(b"[" * 100_000 + b"]" * 100_000),
    "deep in the metadata": safetensors(
        {"__metadata__": {KEY: "[" * 100_000 + "]" * 100_000}}
    ),
    "overlap": safetensors({"a": tensor(), "b": tensor()}, bytes(4)),
    "hole": safetensors({"a": tensor(data_offsets=[4, 8])}, bytes(8)),
    "large": safetensors({"a": tensor(shape=[2**62, 4])}, bytes(4)),
    "promise of nothing": safetensors(
        {"weight_ih_l0": tensor(shape=[0, 2**40], data_offsets=[0, 0])}
    ),
    "negative": safetensors({"a": tensor(shape=[-1])}, bytes(4)),
    "NaN": safetensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}'),
    "unknown": safetensors({"a": tensor(dtype="F9")}, bytes(4)),
    "float8": safetensors(
        {"weight_ih_l0": tensor(dtype="F8_E4M3", shape=[4])}, bytes(4)
    ),
    "twice": safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4),
    ),
    "metadata": safetensors({"__metadata__": {KEY: 3}}),
}  # fmt: skip


# ---------------------------------------------------------------- ONNX


def graph(*nodes, constants=(), opset=14):
    """A model with the output y, and no input."""
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a"])
    made = helper.make_graph(
        nodes, "g", [], [output],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in constants],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(made, opset_imports=opsets, ir_version=7)


def node(kind, inputs, output="y", **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def doubling(times):
    start = ("x0", np.zeros(1000, np.float32))
    nodes = [node("Concat", f"x{i} x{i}", f"x{i + 1}", axis=0) for i in range(times)]
    return graph(*nodes, node("Identity", f"x{times}"), constants=[start])


def external(location, length=None):
    """A model whose weight is in another file."""
    tensor = TensorProto(name="w", data_type=1, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    if length:
        tensor.external_data.add(key="length", value=str(length))
    model = graph(node("Identity", "w"))
    model.graph.initializer.append(tensor)
    return model


COLUMN = np.zeros((1 << 16, 1), np.float32)
ONNX = {
    "a large constant": graph(
        node("ConstantOfShape", "s"), constants=[("s", np.array([1 << 33]))]
    ),
    "a large tile": graph(
        node("Tile", "x n"),
        constants=[("x", np.zeros(1, np.float32)), ("n", np.array([1 << 33]))],
    ),
    "doubled": doubling(34),
    "an outer sum": graph(
        node("Add", "x z"), constants=[("x", COLUMN), ("z", COLUMN.T)]
    ),
    "an outer product": graph(
        node("MatMul", "x z"), constants=[("x", COLUMN), ("z", COLUMN.T)]
    ),
    "gathered": graph(
        node("Gather", "x i", axis=0),
        constants=[("x", COLUMN.T), ("i", np.zeros(1 << 17, np.int64))],
    ),
    "a power": graph(
        node("Pow", "x z"),
        constants=[("x", np.array([2], np.int64)), ("z", np.array([-1], np.int64))],
    ),
    "above": external("../secret"),
    "absolute": external("/etc/passwd"),
    "gone": external("not-there"),
    "the link": external("link"),
    "a long part": external("short", 1 << 40),
}  # fmt: skip


@pytest.fixture(scope="module")
def forged(tmp_path_factory):
    """The paths of all forged files by what reads them."""
    folder = tmp_path_factory.mktemp("outer") / "inner"
    folder.mkdir()
    (folder.parent / "secret").write_bytes(bytes(16))
    (folder / "short").write_bytes(bytes(16))
    (folder / "link").symlink_to(folder.parent / "secret")
    found = {"load": [], "checkpoint": [], "onnx": []}

    def add(reader, name, content, ending):
        path = folder / f"{reader} {name}{ending}".replace("/", "-")
        path.write_bytes(content)
        found[reader].append(str(path))

    about = {"version": 1, "model": {"class": "Pool"}, "metadata": {}, "crc32": 1}
    for name, content in npz(KEY, about).items():
        add("load", name, content, ".npz")
    for name, content in SAFETENSORS.items():
        add("load", name, content, ".safetensors")
    trainer = {"step": 1, "progress": 0.5, "seconds": 1.0}
    about = {"version": 1, "parts": {"trainer": trainer}, "run": {}}
    for name, content in npz(CHECKPOINT_KEY, about).items():
        add("checkpoint", name, content, ".npz")
    for name, model in ONNX.items():
        add("onnx", name, model.SerializeToString(), ".onnx")
    return found


SCRIPT = """
import resource, sys
import rnnext, rnnext.onnx
from rnnext.app.checkpoint import Checkpoint
from rnnext.app.modelfile import read
from rnnext.app.errors import AppError
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (128 << 20),) * 2)
harmless = %r
reader, *paths = sys.argv[1:]
functions = {"load": [rnnext.load, read], "onnx": [rnnext.onnx.load, read],
             "checkpoint": [Checkpoint.read]}[reader]
for path in paths:
    for function in functions:
        try:
            function(path)
            if reader != "checkpoint" or not path.endswith(harmless):
                print(path, "is read")
        except (ValueError, OSError, AppError) as error:
            if path not in str(error):
                print(path, "is not named:", repr(error)[:200])
        except BaseException as error:
            print(path, "raises", repr(error)[:200])
"""


# In a checkpoint names are only names, no numbers take no memory, and any run is one.
HARMLESS = ("promise of nothing.npz", "above.npz", "absolute.npz", "run {'a': 1}.npz")


@pytest.mark.parametrize("reader", ["load", "checkpoint", "onnx"])
def test_forged_files_are_refused(forged, reader):
    script = SCRIPT % (HARMLESS,)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, reader, *forged[reader]],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]


def test_commands_refuse_them(forged, capsys, tmp_path):
    """With one line, and the status of a wrong input."""
    paths = forged["load"][::5] + forged["onnx"][::3]
    for path in paths:
        for argv in (["inspect", path], ["convert", path, str(tmp_path / "o.npz")]):
            assert main(argv) != 0, argv
            shown = capsys.readouterr()
            assert os.path.basename(path) in shown.err
            assert "Traceback" not in shown.err
    assert os.listdir(tmp_path) == []
