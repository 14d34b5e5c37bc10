"""Mistakes that few make: each is an error that says what was expected."""

import os
import subprocess
import sys

import numpy as np
import pytest

import rnnext
from rnnext import exchange
from rnnext.files import write_atomically

T, N, I, H = 3, 2, 4, 5
GRU = rnnext.GRU(I, H, rng=0)
X = np.ones((T, N, I), np.float32)
HUGE = np.full((T, N), 2**64 - 1, np.uint64)
ONE_NODE = {"W": np.ones((1, 3 * H, I)), "R": np.ones((1, 3 * H, H))}


class Path(os.PathLike):
    """A path of bytes."""

    def __fspath__(self):
        return b"model.npz"


def backward_of_an_lstm(dc):
    lstm = rnnext.LSTM(I, H, num_layers=2, rng=0)
    y, _, cache = lstm.forward(X)
    return lstm.backward(cache, dy=np.ones_like(y), dc=dc)


def without_a_parameter():
    with rnnext.GRU(I, H, rng=0).writable() as parameters:
        del parameters["weight_ih_l0"]


CASES = {
    "token ids beyond the integers": (lambda: GRU(HUGE), "x: expected token ids"),
    "a mask that is too long": (
        lambda: GRU(X, mask=np.ones((T + 1, N), np.bool_)),
        r"mask: expected shape \(T=3, N=2\), got \(4, 2\)",
    ),
    "dc of one layer for two": (
        lambda: backward_of_an_lstm([np.ones((T, N, H), np.float32)]),
        "dc: expected 2 arrays",
    ),
    "a projection below zero": (
        lambda: rnnext.LSTM(I, H, proj_size=-1),
        "proj_size: expected 0 or more, got -1",
    ),
    "a projection as wide as the cell": (
        lambda: rnnext.LSTM(I, H, proj_size=H),
        "proj_size: expected less than H=5, got 5",
    ),
    "a parameter taken away": (
        without_a_parameter,
        "parameters can be changed, not added or removed",
    ),
    "a node of three directions": (
        lambda: exchange.from_onnx(
            {k: np.repeat(v, 3, 0) for k, v in ONE_NODE.items()}
        ),
        "expected D = 1 or 2 first",
    ),
    "a path of bytes": (lambda: rnnext.load(Path()), "expected a str or path, got byt"),
    "a path with a zero": (lambda: rnnext.load("a\0b.npz"), "no file can be called"),
    "content that is text": (
        lambda: write_atomically("file", "text"),
        "content: expected bytes, got str",
    ),
    "ids of two streams for three": (
        lambda: GRU.stream(batch_size=3).step(np.zeros(2, np.int8)),
        r"x_t: expected shape \(N=3,\), got \(2,\)",
    ),
    "no layers of haste": (lambda: exchange.from_haste(), "at least one"),
    "no nodes of ONNX": (lambda: exchange.from_onnx(), "at least one"),
    "nodes of which one has biases": (
        lambda: exchange.from_onnx(
            ONE_NODE | {"B": np.ones((1, 6 * H))}, {**ONE_NODE, "W": ONE_NODE["R"]}
        ),
        "expected B, and P, in all of them or in none",
    ),
    "a pool in a stream": (
        lambda: rnnext.Sequential(GRU, rnnext.Pool("mean")).stream(),
        "needs the whole sequence",
    ),
}


@pytest.mark.parametrize(("call", "words"), CASES.values(), ids=CASES)
def test_mistakes_are_named(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such folder"):
        write_atomically(tmp_path / "nowhere" / "file", b"content")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OSError, match="not a regular file"):
        write_atomically(tmp_path, b"content")


def test_arrays_by_columns_in_a_file(tmp_path):
    path = tmp_path / "gru.npz"
    rnnext.save(path, GRU)
    with np.load(path) as file:
        arrays = {name: np.asfortranarray(file[name]) for name in file}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="is not in the order of rows"):
        rnnext.load(path)


def test_without_scikit_learn_the_message_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import rnnext.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "rnnext[sklearn]"' in done.stderr.splitlines()[-1]
