"""Large outputs lie in pages that outputs before have left, and own them (NEP 49)."""

import gc
import threading

import numpy as np
import pytest
from numpy._core.multiarray import get_handler_name

import rnnext

MB = 2**20


def rows(megabytes, dtype=np.float32):
    """An output of so many megabytes, of one step."""
    layer = rnnext.RNN(1, 64, dtype=dtype, rng=0)
    count = int(megabytes * MB) // (64 * layer.dtype.itemsize)
    return layer(np.ones((1, count, 1), dtype))[0]


@pytest.mark.parametrize(
    ("megabytes", "name"),
    [
        (0.5, "default_allocator"),
        (1, "rnnext"),
        (3, "rnnext"),
        (16, "rnnext"),
        (17, "default_allocator"),
    ],
)
def test_who_owns_an_output(megabytes, name):
    y = rows(megabytes)
    assert y.nbytes == megabytes * MB
    assert y.flags.owndata
    assert y.flags.writeable
    assert get_handler_name(y) == name
    assert get_handler_name() == "default_allocator"  # of the caller's own arrays
    assert get_handler_name(np.empty(MB)) == "default_allocator"


def test_it_may_be_resized_copied_and_closed():
    y = rows(2)
    expected = y.copy()
    assert get_handler_name(expected) == "default_allocator"
    y.flags.writeable = False
    y.flags.writeable = True
    shape = y.shape
    y.resize((3, *shape[1:]), refcheck=False)
    assert (y[0] == expected).all()
    assert not y[1:].any()
    y.resize((1, 10, 64), refcheck=False)
    assert (y == expected[:, :10]).all()
    with pytest.raises(MemoryError):
        y.resize((2**60, 1), refcheck=False)
    assert (y == expected[:, :10]).all()
    assert get_handler_name(y) == "rnnext"


def test_pages_are_those_of_the_call_before():
    resource = pytest.importorskip("resource")
    layer = rnnext.LSTM(256, 256, dtype=np.float64, rng=0)
    x = np.ones((1, 1, 256))

    def step():
        with layer.writable():
            pass
        _, _, cache = layer.forward(x)
        layer.backward(cache, x)  # 4 MB of gradients: 1,024 pages

    for _ in range(5):
        step()
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 20 * 100


def test_of_several_threads():
    """Each has the array that it asked for: what one has left serves all others."""
    wrong = []

    def work(seed):
        layer = rnnext.GRU(3, 64, rng=seed)
        x = np.full((8, 600, 3), seed, np.float32)
        expected = layer(x)[0].copy()
        wrong.extend(k for k in range(30) if not (layer(x)[0] == expected).all())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
