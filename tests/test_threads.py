"""Threads of Python, of joblib and of PyTorch, on layers that change meanwhile."""

import copy
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import rnnext

T, N, I, H = 6, 5, 16, 96
SECONDS = float(os.environ.get("RNNEXT_SOAK_SECONDS", "1"))


@pytest.fixture(autouse=True)
def _switching_often():
    """Threads give way to each other after microseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(*works):
    """Repeat every function in a thread of its own; the first error, raised here."""
    end, errors = time.monotonic() + SECONDS, []
    start = threading.Barrier(len(works))

    def repeat(work):
        try:
            start.wait()
            turn = 0
            while time.monotonic() < end and not errors:
                work(turn)
                turn += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 120)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def weights(kind, seed):
    return kind(I, H, rng=seed).state_dict()


def is_one_of(state, sets):
    return any(all((state[k] == v).all() for k, v in one.items()) for one in sets)


@pytest.mark.parametrize("kind", [rnnext.RNN, rnnext.LSTM, rnnext.GRU])
def test_a_layer_that_changes_is_never_a_mixture(kind):
    """Results, copies and pickles are of the weights before a change or after it."""
    shared, sets = kind(I, H, rng=1), [weights(kind, seed) for seed in (1, 2)]
    x = draw(T, N, I)
    layers = [kind(I, H, rng=seed) for seed in (1, 2)]
    right = {layer(x)[0].tobytes() for layer in layers}
    firsts = {layer(x[:1])[0].tobytes() for layer in layers}

    def gradients(layer):
        y, _, cache = layer.forward(x)
        return y.tobytes() + layer.backward(cache, y).x.tobytes()

    trained = {gradients(layer) for layer in layers}

    def change(turn):
        shared.assign(**sets[turn % 2])

    def load(turn):
        shared.load_state_dict(sets[turn % 2])

    def call(turn):
        assert shared(x)[0].tobytes() in right

    def train(turn):
        assert gradients(shared) in trained

    def stream(turn):
        assert shared.stream(N).step(x[0]).tobytes() in firsts

    def threads(turn):
        rnnext.set_num_threads(1 + turn % 4)

    def keep(turn):
        assert is_one_of(shared.state_dict(), sets)

    def store(turn):
        stored = pickle.loads(pickle.dumps(shared))
        assert is_one_of(stored.parameters, sets)
        assert copy.deepcopy(shared)(x)[0].tobytes() in right

    before = rnnext.get_num_threads()
    try:
        together(change, load, call, train, stream, threads, keep, store)
    finally:
        rnnext.set_num_threads(before)
    fresh = kind(I, H)
    fresh.load_state_dict(shared.state_dict())
    assert (shared(x)[0] == fresh(x)[0]).all()


def test_writable_blocks_of_several_threads():
    """In between anything may be seen; afterwards it is what was written last."""
    layer, x = rnnext.GRU(I, H, rng=0), draw(T, N, I)
    turns = threading.Lock()

    def write(turn):
        with turns, layer.writable() as p:
            for array in p.values():
                array[:] = 0.01 * (turn % 7)
        layer(x)

    def call(turn):
        y, _, cache = layer.forward(x)
        assert np.isfinite(layer.backward(cache, y).x).all()

    def stream(turn):
        assert np.isfinite(layer.stream(N).step(x[0])).all()

    together(*[write] * 3, *[call] * 3, *[stream] * 2)
    fresh = rnnext.GRU(I, H)
    fresh.load_state_dict(layer.state_dict())
    assert (layer(x)[0] == fresh(x)[0]).all()
    assert layer._packed is not None  # all blocks are closed


def test_course_functions_and_dense_layers_in_threads():
    x, a0 = draw(I, N, T), draw(H, N)
    parameters = {"Wax": draw(H, I), "Waa": draw(H, H) / 9, "ba": draw(H, 1)}
    parameters |= {"Wya": draw(3, H), "by": draw(3, 1)}
    linear = rnnext.Linear(H, 40, rng=0)

    def course(_=None):
        a, y, caches = rnnext.rnn_forward(x, a0, parameters)
        return [a, y, *rnnext.rnn_backward(a, caches).values()]

    def dense(_=None):
        y, cache = linear.forward(a0.T)
        gradients = linear.backward(cache, y)
        return [rnnext.softmax(y), gradients.x, *gradients.parameters.values()]

    def checked(function):
        right = [array.tobytes() for array in function()]

        def work(turn):
            assert [array.tobytes() for array in function()] == right

        return work

    together(*[checked(course)] * 4, *[checked(dense)] * 4)


# ---------------------------------------------------------------- pools of others

PROGRAM = """
import sys
import numpy as np
import rnnext

layer = rnnext.LSTM(16, 32, rng=0)
x = np.random.default_rng(0).standard_normal((50, 64, 16)).astype(np.float32)
rnnext.set_num_threads(2)

def work(layer, x):
    y, state, cache = layer.forward(x)
    return layer.backward(cache, y, state).x

if __name__ == "__main__":
    expected = work(layer, x)
"""


def run(script, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM + script)
    argv = [sys.executable, "-W", "error", path]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib(backend, tmp_path):
    script = f"""
    from joblib import Parallel, delayed

    with Parallel(n_jobs=3, backend={backend!r}) as parallel:
        for _ in range(3):
            found = parallel(delayed(work)(layer, x) for _ in range(6))
            assert all((one == expected).all() for one in found)
            work(layer, x)
    print("done")
"""
    assert run(script, tmp_path) == "done"


def test_pools_within_pools(tmp_path):
    """Threads that start processes, which start threads."""
    script = """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as outer, ThreadPoolExecutor(4) as inner:
        remote = [outer.submit(work, layer, x) for _ in range(4)]
        near = [inner.submit(work, layer, x) for _ in range(8)]
        assert all((one.result() == expected).all() for one in near + remote)
    print("done")
"""
    assert run(script, tmp_path) == "done"


def test_threads_of_autograd(tmp_path):
    """Backward runs in PyTorch's own threads, beside its pool and ours."""
    pytest.importorskip("torch")
    script = """
    import threading
    import torch
    import rnnext.torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    module = rnnext.torch.LSTM(16, 32)
    inputs = torch.tensor(x)

    def gradient():
        leaf = inputs.clone().requires_grad_()
        y, _ = module(leaf)
        (y @ torch.ones(32, 8)).sum().backward()
        return leaf.grad

    right, faults = gradient(), []
    def repeat():
        for _ in range(5):
            if not torch.equal(gradient(), right):
                faults.append(1)
    threads = [threading.Thread(target=repeat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(faults)
"""
    assert run(script, tmp_path) == "[]"
