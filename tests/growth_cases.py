"""Calls and mistakes, repeated: what they leave in the process's memory.

`python growth_cases.py COUNT [NAME]...` prints by how many bytes resident memory has
grown over COUNT calls of every case, after half as many before.
"""

import copy
import os
import pickle
import sys

import numpy as np

import rnnext
from rnnext import _core, course

I, H, N, T = 3, 4, 2, 3
PAGE = os.sysconf("SC_PAGE_SIZE")


def draw(*shape, dtype=np.float32):
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


lstm, gru = rnnext.LSTM(I, H, rng=0), rnnext.GRU(I, H, rng=0)
rnn = rnnext.RNN(I, H, bidirectional=True, merge="sum", rng=0)
dropping = rnnext.LSTM(I, H, 2, dropout=0.5, recurrent_dropout=0.5, rng=0)
cell, linear = rnnext.LSTMCell(I, H, rng=0), rnnext.Linear(H, I, rng=0)
x, ids = draw(T, N, I), np.array([[0, 1], [2, 0], [1, 1]])
y, state, cache = lstm.forward(x)
of_rnn = rnn.forward(x)[2]
stream, out = lstm.stream(N), np.empty((N, H), np.float32)
weights, h = lstm.state_dict(), draw(N, H)
of_linear = linear.forward(y)[1]
wrong = {"weight_ih_l0": weights["weight_hh_l0"].ravel()}
notation = {"Wax": draw(H, I), "Waa": draw(H, H), "Wya": draw(2, H)}
notation |= {"ba": draw(H, 1), "by": draw(2, 1)}
a0, steps = draw(H, N), draw(I, N, T)
gates = {f"W{g}": draw(H, H + I) for g in "fico"} | {"Wy": draw(2, H)}
gates |= {f"b{g}": draw(H, 1) for g in "fico"} | {"by": draw(2, 1)}
caches = course.lstm_forward(steps, a0, gates)[-1]
MASK = np.array([[True, False], [True, True], [False, True]])


def change():
    with lstm.writable() as p:
        p["bias_ih_l0"][0] = 1
    lstm(x)


def change_and_keep():
    with gru.writable() as p:
        kept = p["bias_ih_l0"]
    gru(x)
    return kept


def start_stream():
    started = gru.stream(N)
    started.step(x[0])
    started.reset()
    return started.state


ENTRIES = {
    "construct": lambda: rnnext.GRU(I, H, rng=0),
    "call": lambda: lstm(x),
    "state": lambda: lstm(x, state),
    "forward": lambda: gru.forward(x),
    "backward": lambda: lstm.backward(cache, y, state),
    "backward of all": lambda: rnn.backward(of_rnn, y),
    "cache": lambda: (cache.h, cache.c, cache.gates, repr(cache)),
    "lengths": lambda: rnn.forward(x, lengths=[1, 3]),
    "mask": lambda: gru(x, mask=MASK, reset=MASK, pad="hold"),
    "tokens": lambda: lstm.forward(ids),
    "dropout": lambda: dropping.forward(x),
    "strided": lambda: gru(x[::-1, :, ::-1]),
    "batch first": lambda: rnnext.RNN(I, H, batch_first=True, rng=0)(x),
    "cell": lambda: cell.backward(cell.forward(x[0])[1], (h, h)),
    "stream": start_stream,
    "step": lambda: stream.step(x[0], out),
    "writable": change,
    "kept view": change_and_keep,
    "assign": lambda: (lstm.assign(**weights), lstm(x)),
    "state_dict": lambda: lstm.load_state_dict(lstm.state_dict()),
    "pickle": lambda: pickle.loads(pickle.dumps(gru)),
    "copy": lambda: copy.deepcopy(gru),
    "linear": lambda: linear.backward(of_linear, draw(T, N, I)),
    "softmax": lambda: rnnext.softmax(y[0]),
    "sigmoid": lambda: rnnext.sigmoid(y),
    "dense": lambda: _core.matmul_tn(h, h),
    "course forward": lambda: course.rnn_forward(steps, a0, notation),
    "course backward": lambda: course.lstm_backward(draw(H, N, T), caches),
    "course caches": lambda: list(course.lstm_forward(steps, a0, gates)[-1][0]),
    "course cell": lambda: course.rnn_cell_forward(steps[..., 0], a0, notation),
    "threads": lambda: rnnext.set_num_threads(2),
    "config": rnnext.config,
}
MISTAKES = {
    "no array": lambda: lstm([[1.0]]),
    "dtype": lambda: lstm(x.astype(np.float64)),
    "shape": lambda: lstm(x[:, :, :2]),
    "wrong state": lambda: lstm(x, (h[None, :1], h[None])),
    "state kind": lambda: gru(x, (h, h)),
    "token": lambda: lstm(ids + 7),
    "wrong lengths": lambda: lstm(x, lengths=[1, 9]),
    "lengths kind": lambda: lstm(x, lengths=[0.5, 1]),
    "mask shape": lambda: lstm(x, mask=MASK[1:]),
    "pad": lambda: lstm(x, pad="no"),
    "masks": lambda: dropping.forward(x, dropout_masks=[h]),
    "another's cache": lambda: gru.backward(cache, y),
    "no cache": lambda: gru.backward(3),
    "dy": lambda: lstm.backward(cache, y[1:]),
    "dc": lambda: lstm.backward(cache, dc=y[1:]),
    "step of a sequence": lambda: stream.step(x),
    "step of a dtype": lambda: stream.step(x[0].astype(np.float64)),
    "out": lambda: stream.step(x[0], out[:, ::2]),
    "out kind": lambda: stream.step(x[0], 3),
    "no stream": lambda: rnn.stream(),
    "stream's state": lambda: setattr(stream, "state", h),
    "assign a shape": lambda: lstm.assign(**wrong),
    "assign a name": lambda: lstm.assign(weight=h),
    "missing names": lambda: lstm.load_state_dict({}),
    "sizes": lambda: rnnext.LSTM(0, 3),
    "options": lambda: rnnext.LSTM(I, H, activations=["no"] * 5),
    "too large": lambda: rnnext.LSTM(2**40, 2**40),
    "cell's input": lambda: cell(x),
    "course parameters": lambda: course.rnn_forward(steps, a0, gates),
    "course shapes": lambda: course.rnn_forward(steps, a0[1:], notation),
    "course caches of others": lambda: course.rnn_backward(draw(H, N, T), 3),
    "linear's input": lambda: linear(x),
    "softmax of a string": lambda: rnnext.softmax("no"),
    "threads' number": lambda: rnnext.set_num_threads(0),
    "core's arrays": lambda: _core.linear(x, x, x),
    "core's stack": lambda: _core.Stack("no", [], 1),
}
CASES = ENTRIES | MISTAKES


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def repeat(name, count):
    call = CASES[name]
    if name in ENTRIES:
        for _ in range(count):
            call()
        return
    for _ in range(count):
        try:
            call()
        except (TypeError, ValueError, MemoryError, AttributeError):
            continue
        raise SystemExit(f"{name}: no error")


def growth(name, count):
    repeat(name, count // 2)
    before = resident()
    repeat(name, count)
    return resident() - before


if __name__ == "__main__":
    for name in CASES:
        repeat(name, 20)
    for name in sys.argv[2:] or CASES:
        print(f"{name}: {growth(name, int(sys.argv[1]))}", flush=True)
