"""Ctrl-C in every call that may take long: at once, and everything works afterwards."""

import pytest
from test_process import pytestmark, run  # noqa: F401

SETUP = """
layer = rnnext.LSTM(64, 64, 2, bidirectional=True, rng=0)
dropping = rnnext.GRU(64, 64, 2, dropout=0.5, recurrent_dropout=0.5, rng=0)
deep, long = rnnext.LSTM(32, 32, 3, rng=0), draw(50000, 1, 32)
model, linear = rnnext.RNN(32, 32, rng=0), rnnext.Linear(256, 256, rng=0)
x, wide = draw(1000, 64, 64), draw(40000, 256)
ids = np.arange(64000).reshape(1000, 64) % 64
small, short = draw(50, 16, 32), draw(3, 2, 64)
lengths = np.arange(64) * 15
cache = layer.forward(x, lengths=lengths)[2]
of_linear = linear.forward(wide)[1]
gates = {f"W{g}": draw(64, 128) / 9 for g in "fico"} | {"Wy": draw(8, 64)}
gates |= {f"b{g}": draw(64, 1) for g in "fico"} | {"by": draw(8, 1)}
steps, a0 = draw(64, 64, 400), draw(64, 64)
caches = rnnext.lstm_forward(steps, a0, gates)[-1]
by_hand = list(caches[0])[:100], steps[..., :100]
da = draw(64, 64, 400)
flat = np.ones(3_000_000, np.float32)
"""
CALLS = """
optimizer = rnnext.Adam(1e-3)
calls = {
    "lengths": lambda: layer.forward(x, lengths=lengths),
    "mask": lambda: dropping(x, mask=np.arange(64000).reshape(1000, 64) % 3 > 0),
    "dropout": lambda: dropping.forward(x),
    "side by side": lambda: deep(long),
    "backward": lambda: layer.backward(cache),
    "tokens": lambda: layer(ids),
    "strided": lambda: layer(x[::-1, ::-1]),
    "linear": lambda: linear(wide),
    "backward of linear": lambda: linear.backward(of_linear, wide),
    "course": lambda: rnnext.lstm_forward(steps, a0, gates),
    "backward of the course": lambda: rnnext.lstm_backward(da, caches),
    "caches by hand": lambda: rnnext.lstm_backward(da[..., :100], by_hand),
    "sigmoid": lambda: rnnext.sigmoid(flat),
    "construct": lambda: rnnext.LSTM(64, 64, rng=0)(x[:50]),
    "train": lambda: rnnext.train(
        model, [(small, small)] * 50, rnnext.mse_loss, optimizer, progress=False
    ),
}
"""
LOOP = """
def bits():
    y, state, cache = layer.forward(short)
    return [a.tobytes() for a in (y, *state, layer.backward(cache, y).x)]

def interrupted(call):
    \"\"\"Seconds from the signal to its exception.\"\"\"
    read, write = os.pipe()
    sender = os.fork()
    if sender == 0:
        time.sleep(0.15)
        os.write(write, repr(time.perf_counter()).encode())
        os.kill(os.getppid(), signal.SIGINT)
        os._exit(0)
    try:
        while True:
            call()
    except KeyboardInterrupt:
        late = time.perf_counter() - float(os.read(read, 100))
    os.waitpid(sender, 0)
    os.close(read), os.close(write)
    return late

before = bits()
for name, call in calls.items():
    late = min(interrupted(call) for _ in range(2))
    assert bits() == before, name
    print(f"{name}: {late:.3f}")
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_every_long_call(threads):
    """Within 0.2 s; half a second is left to a busy machine."""
    printed = run(SETUP + CALLS + LOOP, RNNEXT_NUM_THREADS=threads)
    late = dict(line.rsplit(": ", 1) for line in printed.splitlines())
    assert len(late) == 15
    assert not {name: s for name, s in late.items() if float(s) > 0.5}
