"""Whole scripts print the same with `from rnnext import *` as with plain NumPy.

The scripts draw what the two documents draw, in their order, and print what they
print; the plain NumPy version of the functions is `course_reference`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rnnext
import rnnext.course

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?\bnan\b|[-+]?\binf\b")

COURSE = '''
np.random.seed(1)
xt = np.random.randn(3, 10)
a_prev = np.random.randn(5, 10)
Waa, Wax, Wya = (np.random.randn(*s) for s in ((5, 5), (5, 3), (2, 5)))
ba, by = np.random.randn(5, 1), np.random.randn(2, 1)
parameters = {"Waa": Waa, "Wax": Wax, "Wya": Wya, "ba": ba, "by": by}
a_next, yt_pred, cache = rnn_cell_forward(xt, a_prev, parameters)
print("a_next[4] = ", a_next[4], a_next.shape)
print("yt_pred[1] =", yt_pred[1], yt_pred.shape)

np.random.seed(1)
x = np.random.randn(3, 10, 4)
a0 = np.random.randn(5, 10)
Waa, Wax, Wya = (np.random.randn(*s) for s in ((5, 5), (5, 3), (2, 5)))
ba, by = np.random.randn(5, 1), np.random.randn(2, 1)
parameters = {"Waa": Waa, "Wax": Wax, "Wya": Wya, "ba": ba, "by": by}
a, y_pred, caches = rnn_forward(x, a0, parameters)
print("a[4][1] = ", a[4][1], a.shape)
print("y_pred[1][3] =", y_pred[1][3], y_pred.shape)
print("caches[1][1][3] =", caches[1][1][3], "len(caches) = ", len(caches))
stale = ba


def gates():
    """Drawn in the order f, i, o, c, then the output layer."""
    drawn = {}
    for gate in "fioc":
        drawn["W" + gate] = np.random.randn(5, 5 + 3)
        drawn["b" + gate] = np.random.randn(5, 1)
    drawn["Wy"], drawn["by"] = np.random.randn(2, 5), np.random.randn(2, 1)
    return drawn


np.random.seed(1)
xt = np.random.randn(3, 10)
a_prev, c_prev = np.random.randn(5, 10), np.random.randn(5, 10)
a_next, c_next, yt, cache = lstm_cell_forward(xt, a_prev, c_prev, gates())
print("a_next[4] = ", a_next[4], c_next.shape)
print("c_next[2] = ", c_next[2], c_next.shape)
print("yt[1] =", yt[1], yt.shape)
print("cache[1][3] =", cache[1][3], "len(cache) = ", len(cache))

np.random.seed(1)
x = np.random.randn(3, 10, 7)
a0 = np.random.randn(5, 10)
a, y, c, caches = lstm_forward(x, a0, gates())
print("a[4][3][6] = ", a[4][3][6], a.shape)
print("y[1][4][3] =", y[1][4][3], y.shape)
print("caches[1][1][1] =", caches[1][1][1], "len(caches) = ", len(caches))
print("c[1][2][1]", c[1][2][1])

np.random.seed(1)
xt = np.random.randn(3, 10)
a_prev = np.random.randn(5, 10)
Wax, Waa, Wya = (np.random.randn(*s) for s in ((5, 3), (5, 5), (2, 5)))
b, by = np.random.randn(5, 1), np.random.randn(2, 1)
parameters = {"Wax": Wax, "Waa": Waa, "Wya": Wya, "ba": stale, "by": by}
a_next, yt, cache = rnn_cell_forward(xt, a_prev, parameters)
gradients = rnn_cell_backward(np.random.randn(5, 10), cache)
print("dxt[1][2] =", gradients["dxt"][1][2], gradients["dxt"].shape)
print("da_prev[2][3] =", gradients["da_prev"][2][3], gradients["da_prev"].shape)
print("dWax[3][1] =", gradients["dWax"][3][1], gradients["dWax"].shape)
print("dWaa[1][2] =", gradients["dWaa"][1][2], gradients["dWaa"].shape)
print("dba[4] =", gradients["dba"][4], gradients["dba"].shape)

np.random.seed(1)
x = np.random.randn(3, 10, 4)
a0 = np.random.randn(5, 10)
Wax, Waa, Wya = (np.random.randn(*s) for s in ((5, 3), (5, 5), (2, 5)))
ba, by = np.random.randn(5, 1), np.random.randn(2, 1)
parameters = {"Wax": Wax, "Waa": Waa, "Wya": Wya, "ba": ba, "by": by}
a, y, caches = rnn_forward(x, a0, parameters)
gradients = rnn_backward(np.random.randn(5, 10, 4), caches)
print("dx[1][2] =", gradients["dx"][1][2], gradients["dx"].shape)
print("da0[2][3] =", gradients["da0"][2][3], gradients["da0"].shape)
print("dWax[3][1] =", gradients["dWax"][3][1], gradients["dWax"].shape)
print("dWaa[1][2] =", gradients["dWaa"][1][2], gradients["dWaa"].shape)
print("dba[4] =", gradients["dba"][4], gradients["dba"].shape)
'''

SECOND_NOTATION = """
np.random.seed(1)
n, m, T = 6, 2, 7
x = np.random.randn(m, 1, T)
s0 = np.random.randn(n, 1)
W, U, V = np.random.randn(n, n), np.random.randn(n, m), np.random.randn(m, n)
ba, by = np.random.randn(n, 1), np.random.randn(m, 1)
param = {"U": U, "W": W, "V": V, "ba": ba, "by": by}
s, y, caches = rnn_forward(x, s0, param)
ds = np.random.randn(n, 1, T)
gradients = rnn_backward(ds, caches)
print({name: gradients[name] for name in sorted(gradients)})
print("s==", s)
print("s.shape==", s.shape)
print("y==", y)
print("y.shape==", y.shape)
s_next, s_prev, x_t, kept = caches[2]
print(len(caches), kept is param, s_next, s_prev, x_t)
"""

# What a reader of the documents writes next: loops of their own over the cells.
OWN_LOOPS = """
np.random.seed(3)
x = np.random.randn(3, 4, 6)
a = a0 = np.zeros((5, 4))
p = {"Wu": 0, "Wr": 0, "Wc": 0}
p = {name: np.random.randn(5, 8) for name in p}
p.update({"b" + gate: np.zeros((5, 1)) for gate in "urc"})
p.update({"Wy": np.random.randn(2, 5), "by": np.zeros((2, 1))})
target = np.random.randint(2, size=(4, 6))
one_hot = np.eye(2)[target].transpose(2, 0, 1)
for epoch in range(30):
    a, y, caches = gru_forward(x, a0, p)
    loss = -np.sum(one_hot * np.log(y))
    gradients = gru_backward(None, caches, dy=y - one_hot)
    for name in p:
        np.clip(gradients["d" + name], -5, 5, out=gradients["d" + name])
        p[name] -= 0.02 * gradients["d" + name]
    if epoch % 5 == 0:
        print("loss", loss)

cells, da_prev, total = [], np.zeros((5, 4)), 0.0
a = a0
for t in range(6):
    a, yt, cache = gru_cell_forward(x[:, :, t], a, p)
    cells.append(cache)
for a_next, a_before, ut, rt, cct, xt, parameters in reversed(cells):
    total += np.sum(ut * rt * cct) + len(parameters)
for t in reversed(range(6)):
    gradients = gru_cell_backward(np.ones((5, 4)) + da_prev, cells[t])
    da_prev = gradients["da_prev"]
print(total, da_prev, gru_backward(np.ones((5, 4, 6)), (cells, x))["da0"])
print(softmax(np.array([1.0, 2.0, 3.0])), sigmoid(0.5), sigmoid(x)[0, 0])
"""

SCRIPTS = {
    "course": COURSE,
    "second notation": SECOND_NOTATION,
    "own loops": OWN_LOOPS,
}


def output(script, module, folder):
    path = folder / "script.py"
    path.write_text(f"import numpy as np\nfrom {module} import *\n{script}", "utf-8")
    search = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def parsed(text):
    """The numbers, and the text between them without regard to white space."""
    return [float(n) for n in NUMBER.findall(text)], NUMBER.sub("#", text).split()


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_print_the_same(name, tmp_path):
    ours = output(SCRIPTS[name], "rnnext", tmp_path)
    numbers, text = parsed(ours)
    want_numbers, want_text = parsed(
        output(SCRIPTS[name], "course_reference", tmp_path)
    )
    assert "".join(text) == "".join(want_text)
    assert numbers == pytest.approx(want_numbers, rel=1e-7, abs=1e-7)
    assert len(numbers) > 50


def test_the_courses_script_prints_the_published_values(tmp_path):
    numbers, _ = parsed(output(COURSE, "rnnext", tmp_path))
    for value in (
        *(0.59584544, 0.9888161, -0.99999375, 0.79560373, -1.1425182),
        *(-0.66408471, 0.63267805, 0.79913913, -0.16263996),
        *(0.172117767533, 0.95087346185, 0.82797464, -0.855544916718),
        # the bias of the test before is in use here
        *(-0.460564103059, 0.0842968653807, 0.393081873922, -0.28483955787),
        *(0.80517166, -2.07101689, -0.3149423751266506, 11.264104496527771),
        *(2.303333126579893, -0.74747722),
    ):
        assert any(number == pytest.approx(value, abs=1e-8) for number in numbers), (
            value
        )


def test_a_star_import_brings_the_functions_and_nothing_in_the_way():
    names = set(rnnext.course.__all__)
    assert names <= set(rnnext.__all__)
    assert len(names) == 14
    brought = {}
    exec("from rnnext import *", brought)
    for name in names:
        assert brought[name] is getattr(rnnext, name)
        assert brought[name].__doc__
    assert not {"np", "x", "a0", "parameters"} & set(brought)
