"""The core behind the course's functions: what it takes as it is, and its safety."""

import subprocess
import sys
from collections import OrderedDict
from types import MappingProxyType

import numpy as np
import pytest
from course_cases import (
    KINDS,
    cell_backward,
    cell_forward,
    draw,
    loop_backward,
    loop_forward,
)

import rnnext
from rnnext import _core
from rnnext.course import _notation

FAMILIES = {"rnn": _notation.RNN, "lstm": _notation.LSTM, "gru": _notation.GRU}


def core_forward(case, cell=False, **changes):
    x = case.x[:, :, 0] if cell else case.x
    given = {"x": x, "a0": case.a0, "c0": case.c0, "parameters": case.p}
    if case.kind != "lstm":
        given["c0"] = None
    notations = FAMILIES[case.family].core
    return _core.course_forward(notations, **(given | changes), cell=cell)


def core_backward(case, run, start=0, cell=False, **changes):
    given = {"da": case.da, "dc": None, "dy": case.dy, "dh": None}
    if cell:
        given |= {"da": case.da[:, :, 0], "dy": case.dy[:, :, 0]}
    notations = FAMILIES[case.family].core
    return run.backward(notations, start, **(given | changes), cell=cell)


def same(got, want):
    assert list(got) == list(want)
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value)


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "backwards": lambda v: np.ascontiguousarray(v[..., ::-1])[..., ::-1],
    "every other": lambda v: np.repeat(v, 2, axis=0)[::2],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_plain_arrays_of_any_strides_are_taken_as_they_are(kind, layout, dtype):
    case = draw(kind).map(lambda v: LAYOUTS[layout](v.astype(dtype)))
    for cell in (False, True):
        run, a, y, c = core_forward(case, cell)
        assert {v.dtype.name for v in (a, y, *run.arrays[:2])} == {dtype}
        assert (c is None) == (kind != "lstm")
        assert core_backward(case, run, cell=cell) is not None


@pytest.mark.parametrize("name", ["x", "a0", "c0", "parameters"])
def test_what_has_to_be_converted_is_left_to_python(name):
    case = draw("lstm")
    low, whole = case.x.astype(np.float32), np.zeros((5, 10), np.int64)
    wrong = {
        "x": [case.x.tolist(), low, case.x[:2], case.x[0], None, case.x.astype(">f8")],
        "a0": [case.a0.tolist(), whole, case.a0.T, case.x, None],
        "c0": [case.c0.tolist(), whole, case.c0[:, :9], "c"],
        "parameters": [
            OrderedDict(case.p),
            list(case.p),
            case.p | {"bo": case.p["bo"].T},
            case.p | {"Wi": case.p["Wi"].astype(np.float32)},
            {k: v for k, v in case.p.items() if k != "Wf"},
            case.p | {"Wy": np.zeros((0, 5)), "by": np.zeros((0, 1))},
            None,
        ],
    }
    for value in wrong[name]:
        assert core_forward(case, **{name: value}) is None
    assert core_forward(case, cell=True, x=case.x[:, :, 0], c0=None) is None


def test_gradients_that_do_not_fit_are_left_to_python():
    case = draw("lstm")
    run = core_forward(case)[0]
    for changes in (
        {"da": None, "dy": None},
        {"da": case.da.astype(np.float32)},
        {"da": case.da[:, :, 0]},
        {"da": case.da[:, :, :3]},
        {"dy": case.dy[:, :9]},
        {"dc": case.dc.T},
        {"start": 1},
        {"start": -1},
        {"cell": True, "start": 4},
    ):
        assert core_backward(case, run, **changes) is None
    other = _notation.GRU.core
    assert run.backward(other, 0, case.da, None, None, None, False) is None


def test_the_carried_gradient_is_checked_and_moves_on():
    case = draw("gru")
    run = core_forward(case)[0]
    want = core_backward(case, run)["da0"]
    dh = np.zeros((10, 5))
    core_backward(case, run, dh=dh)
    np.testing.assert_array_equal(dh.T, want)
    locked = np.zeros((10, 5))
    locked.flags.writeable = False
    for wrong in (np.zeros((5, 10)), np.zeros((10, 5), np.float32), locked, [0.0]):
        with pytest.raises((TypeError, ValueError)):
            core_backward(case, run, dh=wrong)


@pytest.mark.parametrize(
    "change", [OrderedDict, MappingProxyType], ids=["ordered", "proxy"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_parameters_may_be_any_mapping(kind, change):
    case = draw(kind)
    other = draw(kind)
    object.__setattr__(other, "p", change(case.p))
    got, caches = loop_forward(rnnext, other)
    want, want_caches = loop_forward(rnnext, case)
    same(got, want)
    same(
        loop_backward(rnnext, other, caches, dy=True),
        loop_backward(rnnext, case, want_caches, dy=True),
    )
    _, cache = cell_forward(rnnext, other)
    assert cache[-1] is other.p


@pytest.mark.parametrize("kind", KINDS)
def test_strides_of_axes_of_one_are_of_no_account(kind):
    """A field of a record of 12 bytes: NumPy calls one element aligned."""

    def field(v):
        record = np.zeros(v.shape, [("value", "f8"), ("more", "i4")])
        record["value"] = v
        return record["value"]

    case = draw(kind, (1, 1, 1, 1, 1))
    other = case.map(field)
    assert other.x.strides == (12, 12, 12)
    got, caches = loop_forward(rnnext, other)
    want, want_caches = loop_forward(rnnext, case)
    same(got, want)
    same(
        loop_backward(rnnext, other, caches, dy=True),
        loop_backward(rnnext, case, want_caches, dy=True),
    )
    _, cache = cell_forward(rnnext, other)
    _, want_cache = cell_forward(rnnext, case)
    same(
        cell_backward(rnnext, other, cache, dy=True),
        cell_backward(rnnext, case, want_cache, dy=True),
    )


def test_a_run_knows_its_bounds():
    case = draw("lstm")
    run = core_forward(case)[0]
    assert len(run) == 4
    assert run.outputs == 2
    assert [v.shape for v in run.arrays] == [
        *((4, 10, 3), (5, 10, 5), (5, 10, 5)),
        (4, 10, 4, 5),
    ]
    for t in (-1, 4, 2**40):
        with pytest.raises(IndexError):
            run.cache(t, case.p)
    model = _core.CourseModel(_notation.LSTM.core[0], case.p)
    for steps, batch_size in ((-1, 1), (1, -1), (2**60, 2**60)):
        with pytest.raises(MemoryError):
            _core.CourseRun(model, steps, batch_size)
    for wrong in ({}, case.p | {"Wf": np.zeros((5, 9))}, case.p | {"by": [[0.0]] * 2}):
        with pytest.raises(ValueError, match="parameters: expected"):
            _core.CourseModel(_notation.LSTM.core[0], wrong)


def test_views_outlive_the_run():
    case = draw("lstm")
    run = core_forward(case)[0]
    views = [*run.arrays, *run.cache(1, case.p)[:-1]]
    copies = [view.copy() for view in views]
    del run
    for _ in range(3):
        core_forward(case.map(lambda v: v + 1))
    for view, copy in zip(views, copies, strict=True):
        np.testing.assert_array_equal(view, copy)


def test_nothing_can_be_made_out_of_nothing():
    """Objects that no constructor has seen; in a process of its own."""
    script = """
import numpy as np
from rnnext import _core
notation, model, run = (
    kind.__new__(kind)
    for kind in (_core.CourseNotation, _core.CourseModel, _core.CourseRun)
)
x = np.zeros((1, 1))
for call in (
    lambda: _core.course_forward((notation,), x, x, None, {}, True),
    lambda: _core.CourseModel(notation, {}),
    lambda: _core.CourseRun(model, 1, 1),
    lambda: run.table,
    lambda: run.arrays,
    lambda: len(run),
    lambda: run.cache(0, {}),
    lambda: run.backward((notation,), 0, x, None, None, None, True),
):
    try:
        result = call()
    except (TypeError, ValueError):
        continue
    if result is not None:
        raise SystemExit("no error")
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


def test_types_are_final():
    for kind in (_core.CourseNotation, _core.CourseModel, _core.CourseRun):
        with pytest.raises(TypeError):
            type("Derived", (kind,), {})
