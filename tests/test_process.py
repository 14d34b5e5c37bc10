"""What a process does: environment, Ctrl-C, fork, exit, threads, memory."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import rnnext
from rnnext import _core

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX processes")

TIMEOUT = 30  # seconds, for processes that need a few at most
FORK_IS_FINE = "ignore:This process:DeprecationWarning"  # says Python 3.12 of threads
HEADER = """
import os, signal, sys, threading, time
import numpy as np
import rnnext

def draw(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)
"""


def start(script, **environment):
    """Run a script in a process of its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RNNEXT_")}
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            FORK_IS_FINE,
            "-c",
            HEADER + textwrap.dedent(script),
        ],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def run(script, **environment):
    """What the script prints; it ends well and writes nothing to stderr."""
    done = start(script, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


# ---------------------------------------------------------------- environment


@pytest.mark.parametrize("name", _core.available_isas())
def test_instruction_set_from_environment(name):
    script = """
    layer = rnnext.LSTM(3, 4, rng=0)
    assert np.isfinite(layer(draw(5, 2, 3))[0]).all()
    print(rnnext.config()["isa"])
    """
    assert run(script, RNNEXT_ISA=name) == name


def test_empty_environment():
    script = "print(rnnext.config()['isa'], rnnext.get_num_threads())"
    found = run(script, RNNEXT_ISA="", RNNEXT_NUM_THREADS="")
    assert found == run(script)
    assert found.split()[0] == _core.available_isas()[0]


@pytest.mark.parametrize("name", ["avx1024", "AVX2", " baseline", "0"])
def test_unknown_instruction_set(name):
    done = start("", RNNEXT_ISA=name)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: RNNEXT_ISA: expected one of ")
    assert f"'{name}'" in last
    assert all(choice in last for choice in _core.available_isas())


@pytest.mark.parametrize("text", ["1", "3", " 2 ", "1024"])
def test_threads_from_environment(text):
    script = """
    layer = rnnext.GRU(8, 16, rng=0)
    layer(draw(20, 64, 8))
    print(rnnext.get_num_threads(), rnnext.config()["threads"])
    """
    assert run(script, RNNEXT_NUM_THREADS=text) == f"{int(text)} {int(text)}"


@pytest.mark.parametrize("text", ["0", "-1", "1025", "two", "1.5", "2,", "9" * 30])
def test_wrong_threads_from_environment(text):
    done = start("", RNNEXT_NUM_THREADS=text)
    assert done.returncode == 1
    expected = f"ImportError: RNNEXT_NUM_THREADS: expected 1 to 1024, got {text!r}"
    assert done.stderr.splitlines()[-1] == expected


def test_threads_are_at_most_the_affinity():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity here")
    script = """
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    print(rnnext.get_num_threads())
    """
    assert run(script) == "1"


def test_no_stray_output():
    script = """
    for kind in (rnnext.RNN, rnnext.LSTM, rnnext.GRU):
        layer = kind(8, 16, 2, bidirectional=True, rng=0)
        y, state, cache = layer.forward(draw(20, 64, 8))
        layer.backward(cache, y)
        try:
            layer(draw(1, 1, 1))
        except ValueError:
            pass
    """
    assert run(script) == ""


# ---------------------------------------------------------------- Ctrl-C

# Each defines a layer and a call that takes long, or is repeated until it does.
LONG = {
    "forward": "layer = rnnext.LSTM(256, 256, rng=0); x = draw(6000, 32, 256)\n"
    "call = lambda: layer(x)",
    "training": "layer = rnnext.LSTM(64, 64, rng=0); x = draw(2000, 64, 64)\n"
    "call = lambda: layer.forward(x)",
    "backward": "layer = rnnext.GRU(64, 64, rng=0); x = draw(2000, 64, 64)\n"
    "cache = layer.forward(x)[2]\n"
    "call = lambda: layer.backward(cache)",
    "one step": "layer = rnnext.LSTM(512, 512, rng=0); x = draw(1, 50000, 512)\n"
    "call = lambda: layer(x)",
    "one step of a stream": "layer = rnnext.LSTM(512, 512, rng=0)\n"
    "x = draw(50000, 512); stream = layer.stream(50000)\n"
    "call = lambda: stream.step(x)",
    "one step of a cell": "layer = rnnext.GRUCell(512, 512, rng=0)\n"
    "x = draw(50000, 512)\n"
    "call = lambda: layer(x)",
    "many small rows": "layer = rnnext.LSTM(1, 1, rng=0)\n"
    "x = np.ones((8, 3_000_000, 1), np.float32)\n"
    "call = lambda: layer(x)",
    "output of the course": "shapes = {'Wax': (64, 64), 'Waa': (64, 64)}\n"
    "shapes |= {'ba': (64, 1)}\n"
    "shapes |= {'Wya': (4000, 64), 'by': (4000, 1)}\n"
    "parameters = {name: draw(*shape) for name, shape in shapes.items()}\n"
    "layer = rnnext.RNN(64, 64, rng=0); x, a0 = draw(64, 500, 64), draw(64, 500)\n"
    "call = lambda: rnnext.rnn_forward(x, a0, parameters)",
    "softmax of the course": "layer = rnnext.RNN(1, 1, rng=0)\n"
    "x = np.ones((120000, 1500), np.float32).T\n"
    "call = lambda: rnnext.softmax(x)",
}
INTERRUPT = """
small = draw(2, layer.input_size)
again = lambda: np.asarray(layer(small)[0])
before = again()
read, write = os.pipe()
# From outside: a thread could not send the signal while the call holds the GIL.
sender = os.fork()
if sender == 0:
    time.sleep(0.5)
    os.write(write, repr(time.perf_counter()).encode())
    os.kill(os.getppid(), signal.SIGINT)
    os._exit(0)
try:
    while True:
        call()
except KeyboardInterrupt:
    late = time.perf_counter() - float(os.read(read, 100))
os.waitpid(sender, 0)
assert (again() == before).all()
print(late)
"""


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("call", LONG)
def test_interrupt(call, threads):
    """Within 0.2 s; half a second is left to a busy machine."""
    late = []
    for _ in range(3):
        late.append(float(run(LONG[call] + INTERRUPT, RNNEXT_NUM_THREADS=threads)))
        if late[-1] < 0.5:
            return
    pytest.fail(f"seconds from the signal to its exception: {late}")


@pytest.mark.parametrize("name", _core.available_isas()[-1:])
def test_interrupt_of_the_slowest_kernels(name):
    script = """
layer = rnnext.LSTM(256, 256, dtype=np.float64, rng=0)
x = draw(30, 1000, 256, dtype=np.float64)
draw_float32 = draw
draw = lambda *shape: draw_float32(*shape, dtype=np.float64)
call = lambda: layer(x)
"""
    settings = {"RNNEXT_ISA": name, "RNNEXT_NUM_THREADS": "1"}
    assert min(float(run(script + INTERRUPT, **settings)) for _ in range(2)) < 0.5


def test_interrupts_of_more_threads_than_processors():
    """Threads that are late at a meeting do not miss it because of the signal."""
    script = """
    rnnext.set_num_threads(8)
    layer = rnnext.RNN(16, 32, rng=0)
    x = draw(200, 1024, 16)
    before = layer(x[:2])[0]
    for _ in range(8):
        def interrupt():
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            while True:
                layer(x)
        except KeyboardInterrupt:
            pass
        thread.join()
        assert (layer(x[:2])[0] == before).all()
    print("alive")
    """
    assert run(script) == "alive"


def test_other_signals_are_handled_during_a_call():
    script = """
    layer = rnnext.LSTM(64, 64, rng=0)
    x = draw(1000, 64, 64)
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    expected = layer(x)[0]
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    for _ in range(3):
        assert (layer(x)[0] == expected).all()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(len(seen) > 0)
    """
    assert run(script) == "True"


def test_signals_are_handled_in_a_child_of_another_thread():
    """The thread that forks is the child's main thread."""
    script = """
    layer = rnnext.LSTM(128, 128, rng=0)
    x = draw(2000, 64, 128)
    status = []
    def work():
        pid = os.fork()
        if pid == 0:
            seen = []
            signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            layer(x)
            os._exit(0 if len(seen) > 2 else 1)  # unheard, they are one
        status.append(os.waitpid(pid, 0)[1])
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    print(status)
    """
    assert run(script) == "[0]"


# ---------------------------------------------------------------- fork, spawn, exit

AFTER_USE = """
rnnext.set_num_threads(2)
layer = rnnext.LSTM(32, 64, rng=0)
x = draw(20, 64, 32)
expected = layer(x)[0]

def works(_=None):
    y, state, cache = layer.forward(x)
    layer.backward(cache, y)
    return bool((y == expected).all())
"""


def test_fork():
    script = """
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if works() else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert works()
    """
    run(AFTER_USE + textwrap.dedent(script))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method, tmp_path):
    script = f"""
if __name__ == "__main__":
    import multiprocessing
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        assert pool.map(works, range(4)) == [True] * 4
    assert works()
"""
    path = tmp_path / "script.py"
    path.write_text(HEADER + AFTER_USE + script)
    done = subprocess.run(
        [sys.executable, path], capture_output=True, timeout=TIMEOUT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_fork_during_a_call_of_another_thread():
    script = """
    long = draw(500, 64, 32)
    thread = threading.Thread(target=lambda: [layer(long) for _ in range(10)])
    thread.start()
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if works() else 1)
        assert os.waitpid(pid, 0)[1] == 0
    thread.join()
    """
    run(AFTER_USE + textwrap.dedent(script))


EXITS = {
    "forward": "layer(long)",
    "backward": "layer.backward(cache)",
    "stream": "stream.step(many)",
    "pack": "layer.assign(bias_ih_l0=bias); layer(x[:1])",
    "linear": "linear(many)",
    "course": "rnnext.softmax(many.T)",
    "train": "rnnext.train(layer, [(long, y)], rnnext.mse_loss, sgd, progress=False)",
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", EXITS.values(), ids=EXITS)
def test_exit_during_a_call_of_a_daemon_thread(call, threads):
    script = f"""
    rnnext.set_num_threads({threads})
    long, many = draw(200, 64, 32), draw(2000, 32)
    cache, stream = layer.forward(long)[2], layer.stream(2000)
    bias, linear = layer.state_dict()["bias_ih_l0"], rnnext.Linear(32, 32, rng=0)
    y, sgd = layer(long)[0], rnnext.SGD(0.0)
    def work():
        while True:
            {call}
    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.4)
    print("bye")
    """
    done = start(AFTER_USE + textwrap.dedent(script))
    assert (done.returncode, done.stdout, done.stderr) == (0, "bye\n", "")


# ---------------------------------------------------------------- threads


@pytest.mark.parametrize("kind", [rnnext.RNN, rnnext.LSTM, rnnext.GRU])
def test_threads_share_a_layer_that_changes(kind, threads):
    """Every result is that of one set of weights, never of a mixture."""
    x = np.random.default_rng(0).standard_normal((12, 40, 8)).astype(np.float32)
    layers = [kind(8, 24, 2, rng=seed) for seed in (1, 2)]
    sets = [layer.state_dict() for layer in layers]

    def numbers(layer):
        y, _, cache = layer.forward(x)
        return y.tobytes(), layer.backward(cache, y).x.tobytes()

    right = {numbers(layer) for layer in layers}
    outputs = {y for y, _ in right}
    firsts = {layer(x[:1])[0].tobytes() for layer in layers}
    shared = kind(8, 24, 2, rng=1)
    start_together = threading.Barrier(8)

    def work(i):
        start_together.wait()
        for turn in range(25):
            if i == 0:
                shared.assign(**sets[turn % 2])
            elif i == 1:
                shared.load_state_dict(sets[turn % 2])
            elif i == 2:
                threads(1 + turn % 4)
            elif i < 5:
                stream = shared.stream(40)
                assert stream.step(x[0]).tobytes() in firsts
            elif i < 7:
                assert numbers(shared) in right
            else:
                assert shared(x)[0].tobytes() in outputs

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_threads_share_a_stream_that_changes():
    """Which step comes first is open; that the weights live is not."""
    script = """
    layer = rnnext.LSTM(32, 64, rng=0)
    stream, x = layer.stream(512), draw(512, 32)
    sets = [layer.state_dict(), rnnext.LSTM(32, 64, rng=1).state_dict()]
    def work(i):
        for turn in range(60):
            if i == 0:
                layer.assign(**sets[turn % 2])
            stream.step(x)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stream.reset()
    assert (stream.step(x) == layer(x[None])[0][0]).all()
    """
    run(script)


CALLS = {
    "forward": "layer(x)",
    "backward": "layer.backward(cache)",
    "stream": "stream.step(many)",
    "softmax": "rnnext.softmax(large)",
    "sigmoid": "rnnext.sigmoid(large)",
}


@pytest.mark.parametrize("name", CALLS)
def test_other_threads_run_during_a_call(name):
    script = f"""
    layer = rnnext.LSTM(128, 128, rng=0)
    x, many = draw(2000, 32, 128), draw(20000, 128)
    cache, stream = layer.forward(x)[2], layer.stream(20000)
    large = np.ones((1000, 100000 if {name!r}.startswith("s") else 1), np.float32)
    ticks, done = [], threading.Event()
    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.002)
    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(0.05)
    start = time.perf_counter()
    {CALLS[name]}
    end = time.perf_counter()
    done.set()
    thread.join()
    times = [start, *(t for t in ticks if start < t < end), end]
    print(end - start, max(np.diff(times)))
    """
    for _ in range(3):
        length, longest_gap = map(float, run(script).split())
        assert length > 0.05
        if longest_gap < length / 2:
            return
    pytest.fail(f"others wait for {longest_gap:.2f} of {length:.2f} s")


# ---------------------------------------------------------------- memory


def test_memory_does_not_grow():
    script = """
    rnnext.set_num_threads(2)
    layer = rnnext.LSTM(4, 8, rng=0)
    x = draw(3, 2, 4)
    stream = layer.stream(2)
    page = os.sysconf("SC_PAGE_SIZE")

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * page

    def round(count):
        for i in range(count):
            layer(x)
            y, state, cache = layer.forward(x, state=None)
            layer.backward(cache, y, state)
            stream.step(x[0])
            with layer.writable() as p:
                p["bias_ih_l0"][0] = i
            try:
                layer(x, x)
            except TypeError:
                pass
            try:
                stream.step(x)
            except ValueError:
                pass

    round(1000)
    before = resident()
    round(5000)
    print(resident() - before)
    """
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc here")
    assert int(run(script)) < 4 << 20


def test_out_of_memory():
    script = """
    import resource
    rnnext.set_num_threads(2)
    layers = [k(64, 256, rng=0) for k in (rnnext.RNN, rnnext.LSTM, rnnext.GRU)]
    x = draw(3, 8, 64)
    long = np.zeros((2000, 1024, 64), np.float32)
    expected = [layer(x)[0] for layer in layers]
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limit = used + (100 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    for layer, right in zip(layers, expected):
        stream = layer.stream(8)
        for call in (
            lambda: layer(long),
            lambda: layer.forward(long),
            lambda: layer.stream(10**6),
            lambda: rnnext.LSTM(64, 10**4),
        ):
            try:
                call()
            except MemoryError:
                pass
            else:
                raise SystemExit("no error")
            assert (layer(x)[0] == right).all()
        assert (np.stack([stream.step(x_t) for x_t in x]) == right).all()
        y, state, cache = layer.forward(x)
        layer.backward(cache, y)
    print("alive")
    """
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc here")
    assert run(script) == "alive"


def test_signal_that_came_before_the_call():
    """Its exception is raised as in any Python code, and no result is lost."""
    script = """
    layer = rnnext.GRU(8, 16, rng=0)
    x = draw(20, 64, 8)
    expected = layer(x)[0]
    for _ in range(20):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            layer(x)
        except KeyboardInterrupt:
            pass
        assert (layer(x)[0] == expected).all()
    """
    run(script)
