"""Random inputs for the functions of the course, and one way to call all of them.

A kind is "rnn" (Wax Waa Wya ba by), "rnn-uwv" (U W V ba by), "lstm" or "gru". The
calls take the module whose functions they call: `rnnext` or `course_reference`.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

KINDS = ["rnn", "rnn-uwv", "lstm", "gru"]
# n_x, n_a, n_y, m, T: the documents' own, the smallest, and awkward ones
SIZES = [
    (3, 5, 2, 10, 4),
    (2, 6, 2, 1, 7),
    (1, 1, 1, 1, 1),
    (4, 7, 3, 8, 13),
    (33, 65, 17, 3, 5),
    (5, 16, 1, 1, 2),
    (140, 150, 131, 2, 3),
]


@dataclass(frozen=True)
class Case:
    kind: str
    x: Any
    a0: Any
    c0: Any
    p: dict[str, Any]
    da: Any
    dc: Any
    dy: Any

    @property
    def family(self):
        return self.kind.split("-")[0]

    def map(self, change):
        """The same case with every array changed."""
        arrays = ("x", "a0", "c0", "da", "dc", "dy")
        changed = {name: change(getattr(self, name)) for name in arrays}
        p = {name: change(value) for name, value in self.p.items()}
        return replace(self, p=p, **changed)


def gates(kind):
    return {"lstm": "fico", "gru": "urc"}.get(kind)


def draw(kind, sizes=SIZES[0], seed=0):
    n_x, n_a, n_y, m, steps = sizes
    rng = np.random.default_rng(seed)
    weights = {}
    if kind == "rnn":
        weights = {"Wax": (n_a, n_x), "Waa": (n_a, n_a), "Wya": (n_y, n_a)}
        weights |= {"ba": (n_a, 1)}
    elif kind == "rnn-uwv":
        weights = {"U": (n_a, n_x), "W": (n_a, n_a), "V": (n_y, n_a), "ba": (n_a, 1)}
    else:
        for gate in gates(kind):
            weights |= {"W" + gate: (n_a, n_a + n_x), "b" + gate: (n_a, 1)}
        weights["Wy"] = (n_y, n_a)
    weights["by"] = (n_y, 1)
    scale = 2.0 / np.sqrt(n_a + n_x)
    return Case(
        kind,
        x=rng.standard_normal((n_x, m, steps)),
        a0=rng.standard_normal((n_a, m)),
        c0=rng.standard_normal((n_a, m)),
        p={k: scale * rng.standard_normal(shape) for k, shape in weights.items()},
        da=rng.standard_normal((n_a, m, steps)),
        dc=rng.standard_normal((n_a, m)),
        dy=rng.standard_normal((n_y, m, steps)),
    )


def loop_forward(module, case):
    """The outputs by name, and the caches."""
    function = getattr(module, f"{case.family}_forward")
    if case.kind == "lstm":
        a, y, c, caches = function(case.x, case.a0, case.p, case.c0)
        return {"a": a, "y": y, "c": c}, caches
    a, y, caches = function(case.x, case.a0, case.p)
    return {"a": a, "y": y}, caches


def cell_forward(module, case, t=0):
    """One step from a0, c0 on the input of step t."""
    function = getattr(module, f"{case.family}_cell_forward")
    xt = case.x[:, :, t]
    if case.kind == "lstm":
        a, c, y, cache = function(xt, case.a0, case.c0, case.p)
        return {"a": a, "c": c, "y": y}, cache
    a, y, cache = function(xt, case.a0, case.p)
    return {"a": a, "y": y}, cache


def loop_backward(module, case, caches, da=True, dy=False, dc=True):
    function = getattr(module, f"{case.family}_backward")
    keywords = {"dc_next": case.dc} if case.kind == "lstm" and dc else {}
    if dy:
        keywords["dy"] = case.dy
    return function(case.da if da else None, caches, **keywords)


def cell_backward(module, case, cache, da=True, dy=False, t=0):
    function = getattr(module, f"{case.family}_cell_backward")
    keywords = {"dy": case.dy[:, :, t]} if dy else {}
    da_next = case.da[:, :, t] if da else None
    if case.kind == "lstm":
        return function(da_next, case.dc, cache, **keywords)
    return function(da_next, cache, **keywords)


def hand_built(module, case):
    """Caches made of cell calls."""
    cell = getattr(module, f"{case.family}_cell_forward")
    a, c, caches = case.a0, case.c0, []
    for t in range(case.x.shape[2]):
        if case.kind == "lstm":
            a, c, _, cache = cell(case.x[:, :, t], a, c, case.p)
        else:
            a, _, cache = cell(case.x[:, :, t], a, case.p)
        caches.append(cache)
    return caches if case.kind == "rnn-uwv" else (caches, case.x)


def assert_close(got, want, norm=1e-13, each=1e-12):
    """Relative norm, and each value against the array's largest magnitude."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    if want.size:
        off = np.abs(got - want)
        assert np.all(np.isfinite(off))
        assert off.max() <= each * np.abs(want).max()
        assert np.linalg.norm(off) <= norm * np.linalg.norm(want)


def assert_all_close(got, want, norm=1e-13, each=1e-12):
    """Two dicts of arrays: same names, close values."""
    assert set(got) == set(want)
    for name in want:
        assert_close(got[name], want[name], norm, each)


def assert_caches_close(got, want, p):
    """Two cell caches: same length, the same parameters object, close arrays."""
    assert isinstance(got, tuple)
    assert len(got) == len(want)
    assert got[-1] is p
    for one, other in zip(got[:-1], want[:-1], strict=True):
        assert_close(one, other)
