"""What the course's functions take and give: caches, dtypes, layouts, edges."""

import copy
import pickle

import course_reference as reference
import numpy as np
import pytest
from course_cases import (
    KINDS,
    assert_all_close,
    assert_caches_close,
    assert_close,
    cell_backward,
    cell_forward,
    draw,
    hand_built,
    loop_backward,
    loop_forward,
)

import rnnext

MODES = [(True, False), (True, True), (False, True)]  # da, dy
ENTRIES = {"rnn": 4, "rnn-uwv": 4, "lstm": 10, "gru": 7}


def steps_of(kind, caches):
    return caches if kind == "rnn-uwv" else caches[0]


def same(got, want):
    """The same bits."""
    assert list(got) == list(want)
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value)


# -------------------------------------------------------------------- caches


@pytest.mark.parametrize("kind", KINDS)
def test_caches_behave_as_the_courses(kind):
    case = draw(kind)
    _, caches = loop_forward(rnnext, case)
    steps = caches
    if kind != "rnn-uwv":
        assert isinstance(caches, tuple)
        assert len(caches) == 2
        steps, x = caches
        assert x is case.x
        assert caches[1] is case.x
    assert len(steps) == 4
    assert len([cache for cache in steps]) == 4  # noqa: C416 (iteration itself)
    assert_caches_close(steps[-1], steps[3], case.p)
    assert_caches_close(steps[1], list(steps)[1], case.p)
    for part in (slice(1, 3), slice(None, None, -1), slice(9, 12)):
        assert isinstance(steps[part], list)
        assert len(steps[part]) == len(range(4)[part])
    assert_caches_close(steps[::-1][0], steps[3], case.p)
    assert_caches_close(next(reversed(steps)), steps[3], case.p)
    first, *rest = steps
    assert len(rest) == 3
    for wrong in (4, -5):
        with pytest.raises(IndexError):
            steps[wrong]
    with pytest.raises(TypeError):
        steps["a"]
    assert "4 cell caches (a_next, " in repr(steps)

    assert isinstance(first, tuple)
    assert len(first) == ENTRIES[kind]
    *arrays, parameters = first
    assert parameters is case.p
    assert parameters is steps[3][-1]
    assert all(isinstance(array, np.ndarray) for array in arrays)
    assert first[0].shape == case.a0.shape


@pytest.mark.parametrize("kind", KINDS)
def test_state_goes_from_one_cell_cache_to_the_next(kind):
    case = draw(kind)
    outputs, caches = loop_forward(rnnext, case)
    previous = case.a0
    a_prev = 2 if kind == "lstm" else 1
    for t, cache in enumerate(steps_of(kind, caches)):
        np.testing.assert_array_equal(cache[a_prev], previous)
        np.testing.assert_array_equal(cache[-2], case.x[:, :, t])
        np.testing.assert_array_equal(cache[0], outputs["a"][:, :, t])
        previous = cache[0]


@pytest.mark.parametrize(("da", "dy"), MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_cache_of_a_loop_goes_into_the_cells_backward(kind, da, dy):
    case = draw(kind)
    _, caches = loop_forward(rnnext, case)
    _, want_caches = loop_forward(reference, case)
    for t, cache in enumerate(steps_of(kind, caches)):
        want_cache = steps_of(kind, want_caches)[t]
        want = cell_backward(reference, case, want_cache, da, dy, t)
        assert_all_close(cell_backward(rnnext, case, cache, da, dy, t), want)
        plain = tuple(cache)
        assert_all_close(cell_backward(rnnext, case, plain, da, dy, t), want)


@pytest.mark.parametrize(("da", "dy"), MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_caches_built_by_hand_go_into_the_loops_backward(kind, da, dy):
    case = draw(kind)
    _, caches = loop_forward(rnnext, case)
    want = loop_backward(rnnext, case, caches, da, dy)
    steps = steps_of(kind, caches)
    for cells in (
        steps_of(kind, hand_built(rnnext, case)),
        steps_of(kind, hand_built(reference, case)),
        list(steps),
        tuple(tuple(cache) for cache in steps),
        [list(cache) for cache in steps],
    ):
        for built in [(cells, case.x)] + [cells] * (kind == "rnn-uwv"):
            assert_all_close(loop_backward(rnnext, case, built, da, dy), want)


@pytest.mark.parametrize("kind", KINDS)
def test_caches_built_of_unconnected_steps(kind):
    """The values in the caches count, also where a state was set between steps."""
    case = draw(kind, (3, 5, 2, 4, 5))
    cells = steps_of(kind, hand_built(reference, case))
    for t in (1, 3):
        step = draw(kind, (3, 5, 2, 4, 1), seed=t)
        cells[t] = (*cell_forward(reference, step)[1][:-1], case.p)
    built = cells if kind == "rnn-uwv" else (cells, case.x)
    for da, dy in MODES:
        want = loop_backward(reference, case, built, da, dy)
        assert_all_close(loop_backward(rnnext, case, built, da, dy), want)


@pytest.mark.parametrize("kind", KINDS)
def test_caches_built_with_parameters_of_their_own(kind):
    case = draw(kind)
    cells = steps_of(kind, hand_built(reference, case))
    other = {name: value + 0.25 for name, value in case.p.items()}
    cells[2] = (*cells[2][:-1], other)
    cells[3] = (*cells[3][:-1], dict(case.p))
    built = cells if kind == "rnn-uwv" else (cells, case.x)
    for da, dy in MODES:
        want = loop_backward(reference, case, built, da, dy)
        assert_all_close(loop_backward(rnnext, case, built, da, dy), want)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gates_are_taken_from_the_cache(kind):
    case = draw(kind)
    _, cache = cell_forward(rnnext, case)
    gates = slice(4, 8) if kind == "lstm" else slice(2, 5)
    changed = list(cache)
    changed[gates] = [0.9 * gate for gate in cache[gates]]
    want = cell_backward(reference, case, tuple(changed))
    assert_all_close(cell_backward(rnnext, case, tuple(changed)), want)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_into_a_cache_is_seen_or_refused(kind):
    case = draw(kind)
    _, caches = loop_forward(rnnext, case)
    cache = steps_of(kind, caches)[3]
    for array in cache[:-1]:
        if array.flags.writeable:
            array *= 0.5
    assert sum(not array.flags.writeable for array in cache[:-1]) == (kind == "gru")
    want = cell_backward(reference, case, tuple(cache), t=3)
    assert_all_close(cell_backward(rnnext, case, cache, t=3), want)
    built = list(steps_of(kind, caches))
    built = built if kind == "rnn-uwv" else (built, case.x)
    want = loop_backward(reference, case, built)
    assert_all_close(loop_backward(rnnext, case, caches), want)


@pytest.mark.parametrize("kind", KINDS)
def test_results_do_not_share_memory_with_the_caches(kind):
    case = draw(kind)
    outputs, caches = loop_forward(rnnext, case)
    want = loop_backward(rnnext, case, caches, dy=True)
    cell_outputs, cache = cell_forward(rnnext, case)
    want_cell = cell_backward(rnnext, case, cache, dy=True)
    for array in (*outputs.values(), *cell_outputs.values()):
        assert array.flags.writeable
        array[...] = np.nan
    same(loop_backward(rnnext, case, caches, dy=True), want)
    same(cell_backward(rnnext, case, cache, dy=True), want_cell)
    for array in loop_backward(rnnext, case, caches, dy=True).values():
        array[...] = np.nan
    same(loop_backward(rnnext, case, caches, dy=True), want)


@pytest.mark.parametrize("x_layout", ["course", "time-major"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_of_what_was_computed(kind, x_layout):
    """Changing x, states or parameters after the forward changes nothing."""
    case = draw(kind)
    if x_layout == "time-major":
        case = case.map(lambda v: np.ascontiguousarray(v.T).T)
    _, caches = loop_forward(rnnext, case)
    _, cache = cell_forward(rnnext, case)
    want = loop_backward(rnnext, case, caches, dy=True)
    want_cell = cell_backward(rnnext, case, cache, dy=True)
    for array in (case.x, case.a0, case.c0, *case.p.values()):
        array += 1.0
    same(loop_backward(rnnext, case, caches, dy=True), want)
    same(cell_backward(rnnext, case, cache, dy=True), want_cell)


@pytest.mark.parametrize("change", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("kind", KINDS)
def test_caches_can_be_copied_and_pickled(kind, change):
    case = draw(kind)
    _, caches = loop_forward(rnnext, case)
    want = loop_backward(rnnext, case, caches)
    changed = change(caches)
    if change is pickle.dumps:
        changed = pickle.loads(changed)
    assert_all_close(loop_backward(rnnext, case, changed), want)
    _, cache = cell_forward(rnnext, case)
    want = cell_backward(rnnext, case, cache)
    changed = change(cache)
    if change is pickle.dumps:
        changed = pickle.loads(changed)
    assert_all_close(cell_backward(rnnext, case, changed), want)


# -------------------------------------------------------------------- dtypes


def dtypes(*groups):
    return {v.dtype for group in groups for v in group if isinstance(v, np.ndarray)}


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind):
    case = draw(kind)
    low = case.map(lambda v: v.astype(np.float32))
    outputs, caches = loop_forward(rnnext, low)
    cells, cache = cell_forward(rnnext, low)
    g = loop_backward(rnnext, low, caches, dy=True)
    g_cell = cell_backward(rnnext, low, cache, dy=True)
    built = loop_backward(rnnext, low, hand_built(rnnext, low), dy=True)
    results = [d.values() for d in (outputs, cells, g, g_cell, built)]
    assert dtypes(*results, cache) == {np.dtype(np.float32)}
    want, want_caches = loop_forward(reference, case)
    assert_all_close(outputs, want, norm=1e-5, each=1e-5)
    want = loop_backward(reference, case, want_caches, dy=True)
    assert_all_close(g, want, norm=1e-5, each=1e-5)
    assert_all_close(built, want, norm=1e-5, each=1e-5)
    assert rnnext.softmax(low.x).dtype == rnnext.sigmoid(low.x).dtype == np.float32


@pytest.mark.parametrize("which", ["x", "a0", "first parameter", "by"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_float64_makes_all_float64(kind, which):
    case = draw(kind).map(lambda v: v.astype(np.float32))
    high = case.map(lambda v: v.astype(np.float64))
    if which in ("x", "a0"):
        mixed = draw(kind).map(lambda v: v.astype(np.float32))
        object.__setattr__(mixed, which, getattr(high, which))
    else:
        name = next(iter(case.p)) if which == "first parameter" else which
        mixed = case
        mixed.p[name] = high.p[name]
    got, _ = loop_forward(rnnext, mixed)
    want, _ = loop_forward(rnnext, high)
    same(got, want)


@pytest.mark.parametrize("kind", KINDS)
def test_float64_gradients_of_a_float32_forward(kind):
    """As NumPy: float64, of the float32 values."""
    low = draw(kind).map(lambda v: v.astype(np.float32))
    _, caches = loop_forward(rnnext, low)
    _, cache = cell_forward(rnnext, low)
    case = draw(kind)
    built = list(steps_of(kind, caches))
    built = built if kind == "rnn-uwv" else (built, low.x)
    high = low.map(lambda v: v.astype(np.float64))
    exact = [
        (*(v.astype(np.float64) for v in c[:-1]), high.p)
        for c in (*steps_of(kind, caches), cache)
    ]
    for dy in (False, True):
        got = loop_backward(rnnext, case, caches, dy=dy)
        assert dtypes(got.values()) == {np.dtype(np.float64)}
        same(got, loop_backward(rnnext, case, built, dy=dy))
        want = exact[:-1] if kind == "rnn-uwv" else (exact[:-1], None)
        assert_all_close(got, loop_backward(reference, case, want, dy=dy))
        got = cell_backward(rnnext, case, cache, dy=dy)
        assert_all_close(got, cell_backward(reference, case, exact[-1], dy=dy))


@pytest.mark.parametrize("kind", KINDS)
def test_float32_gradients_of_a_float64_forward(kind):
    case = draw(kind)
    low = draw(kind).map(lambda v: v.astype(np.float32))
    _, caches = loop_forward(rnnext, case)
    got = loop_backward(rnnext, low, caches, dy=True)
    exact = low.map(lambda v: v.astype(np.float64))
    same(got, loop_backward(rnnext, exact, caches, dy=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda v: np.round(3 * v).astype(int),
        lambda v: np.round(3 * v).astype(np.int8),
        lambda v: v > 0,
        lambda v: np.round(v, 1).tolist(),
        lambda v: np.round(2 * v).astype(int).tolist(),
        lambda v: v.astype(">f8"),
    ],
    ids=["int64", "int8", "bool", "floats", "ints", "big-endian"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_integers_bools_and_lists_become_float64(kind, change):
    other = draw(kind).map(change)
    case = other.map(lambda v: np.array(v, dtype=np.float64))
    got, caches = loop_forward(rnnext, other)
    want, want_caches = loop_forward(rnnext, case)
    same(got, want)
    got = loop_backward(rnnext, other, caches, dy=True)
    same(got, loop_backward(rnnext, case, want_caches, dy=True))


def test_float16_counts_as_float32():
    case = draw("lstm").map(lambda v: v.astype(np.float16))
    got, _ = loop_forward(rnnext, case)
    want, _ = loop_forward(rnnext, case.map(lambda v: v.astype(np.float32)))
    same(got, want)
    assert rnnext.sigmoid(np.float16(0)).dtype == np.float32


# ----------------------------------------------------------- layouts, purity


def spread(v):
    """The same values with gaps between them."""
    wide = np.full([2 * n + 1 for n in v.shape], np.nan)
    view = wide[tuple(slice(1, None, 2) for _ in v.shape)]
    view[...] = v
    return view


def unaligned(v):
    memory = np.empty(v.nbytes + 1, np.uint8)
    view = np.frombuffer(memory.data, v.dtype, v.size, offset=1).reshape(v.shape)
    view[...] = v
    return view


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "gaps": spread,
    "backwards": lambda v: np.ascontiguousarray(v[..., ::-1])[..., ::-1],
    "upside down": lambda v: v[::-1].copy()[::-1],
    "unaligned": unaligned,
    "matrix": lambda v: np.asmatrix(v) if v.ndim == 2 else v,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sizes", [(3, 5, 2, 10, 4), (1, 1, 1, 1, 1), (2, 3, 4, 1, 1)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_any_strides_give_the_same_bits(kind, sizes, layout):
    case = draw(kind, sizes)
    other = case.map(LAYOUTS[layout])
    got, caches = loop_forward(rnnext, other)
    want, want_caches = loop_forward(rnnext, case)
    same(got, want)
    got, want = (
        loop_backward(rnnext, *pair, dy=True)
        for pair in ((other, caches), (case, want_caches))
    )
    same(got, want)
    got, cache = cell_forward(rnnext, other)
    want, want_cache = cell_forward(rnnext, case)
    same(got, want)
    same(
        cell_backward(rnnext, other, cache, dy=True),
        cell_backward(rnnext, case, want_cache, dy=True),
    )
    for function in (rnnext.softmax, rnnext.sigmoid):
        np.testing.assert_array_equal(function(other.x), function(case.x))


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_may_be_read_only_and_stay_as_they_are(kind):
    case = draw(kind)
    before = copy.deepcopy(case)

    def lock(v):
        v.flags.writeable = False
        return v

    case = case.map(lock)
    _, caches = loop_forward(rnnext, case)
    _, cache = cell_forward(rnnext, case)
    loop_backward(rnnext, case, caches, dy=True)
    loop_backward(rnnext, case, hand_built(reference, case), dy=True)
    cell_backward(rnnext, case, cache, dy=True)
    rnnext.softmax(case.x)
    rnnext.sigmoid(case.x)
    for name in ("x", "a0", "c0", "da", "dc", "dy"):
        np.testing.assert_array_equal(getattr(case, name), getattr(before, name))
    same(case.p, before.p)


def test_other_names_in_the_parameters_are_left_alone():
    case = draw("rnn")
    want, _ = loop_forward(rnnext, case)
    case.p["learning_rate"] = "0.01"
    got, caches = loop_forward(rnnext, case)
    same(got, want)
    assert caches[0][0][-1]["learning_rate"] == "0.01"


# --------------------------------------------------------------------- edges


@pytest.mark.parametrize("kind", KINDS)
def test_no_steps(kind):
    case = draw(kind, (3, 5, 2, 4, 0))
    outputs, caches = loop_forward(rnnext, case)
    assert outputs["a"].shape == (5, 4, 0)
    assert outputs["y"].shape == (2, 4, 0)
    assert len(steps_of(kind, caches)) == 0
    assert list(steps_of(kind, caches)) == []
    full, full_caches = loop_forward(rnnext, draw(kind, (3, 5, 2, 4, 3)))
    assert full["a"].shape == (5, 4, 3)
    built = list(steps_of(kind, full_caches))
    built = built if kind == "rnn-uwv" else (built, None)
    low = draw(kind, (3, 5, 2, 4, 0)).map(lambda v: v.astype(np.float32))
    _, low_caches = loop_forward(rnnext, low)
    assert loop_backward(rnnext, case, low_caches)["dx"].shape == (3, 4, 0)
    for some in (caches, full_caches, built):
        g = loop_backward(rnnext, case, some, dy=True)
        assert g["dx"].shape == (3, 4, 0)
        for name, value in case.p.items():
            np.testing.assert_array_equal(g["d" + name], np.zeros_like(value))
        if kind != "rnn-uwv":
            np.testing.assert_array_equal(g["da0"], np.zeros((5, 4)))
        if kind == "lstm":
            np.testing.assert_array_equal(g["dc0"], case.dc)


@pytest.mark.parametrize("kind", KINDS)
def test_no_sequences(kind):
    case = draw(kind, (3, 5, 2, 0, 4))
    outputs, caches = loop_forward(rnnext, case)
    assert outputs["a"].shape == (5, 0, 4)
    assert outputs["y"].shape == (2, 0, 4)
    for some in (caches, hand_built(rnnext, case)):
        g = loop_backward(rnnext, case, some, dy=True)
        assert g["dx"].shape == (3, 0, 4)
        for name, value in case.p.items():
            np.testing.assert_array_equal(g["d" + name], np.zeros_like(value))
    _, cache = cell_forward(rnnext, case)
    assert len(cell_backward(rnnext, case, cache)) > 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_infinity_flow_through(kind, value):
    """In their own sequence only; parameter gradients aside."""
    case = draw(kind)
    clean, clean_caches = loop_forward(rnnext, case)
    clean_dx = loop_backward(rnnext, case, clean_caches)["dx"]
    case.x[1, 3, 1] = value
    outputs, caches = loop_forward(rnnext, case)
    others = [m for m in range(10) if m != 3]
    for name, array in outputs.items():
        np.testing.assert_array_equal(array[:, others], clean[name][:, others])
        np.testing.assert_array_equal(array[:, 3, 0], clean[name][:, 3, 0])
    if np.isnan(value):
        assert np.isnan(outputs["a"][:, 3, 1:]).all()
        assert np.isnan(outputs["y"][:, 3, 1:]).all()
    with np.errstate(all="ignore"):
        for some in (caches, hand_built(rnnext, case)):
            dx = loop_backward(rnnext, case, some)["dx"]
            assert_close(dx[:, others], clean_dx[:, others])
            if np.isnan(value):
                assert np.isnan(dx[:, 3]).any()


def test_long_saturated_sequences_stay_finite():
    case = draw("lstm", (2, 3, 2, 2, 400)).map(lambda v: 50 * v)
    outputs, caches = loop_forward(rnnext, case)
    want, _ = loop_forward(reference, case)
    assert_all_close(outputs, want)
    g = loop_backward(rnnext, case, caches)
    assert all(np.isfinite(value).all() for value in g.values())
