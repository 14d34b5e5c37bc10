"""Every forward of the course: check, convert, run the core, apply the output layer.

A cell is a loop of one step.
"""

from typing import NamedTuple

from numpy.typing import ArrayLike

from .. import _core
from ._caches import Run, pack
from ._checks import Array, common_dtype, real, shape_error, time_major
from ._notation import Family, Parameters, find, read, to_core


class Forward(NamedTuple):
    """What the core made of a whole sequence."""

    run: Run
    h: Array  # (T, m, n_a), not shared with the run
    y: Array  # (T, m, n_y)


def forward(
    family: Family,
    x: ArrayLike,
    a0: ArrayLike,
    c0: ArrayLike | None,
    parameters: Parameters,
    *,
    cell: bool,
) -> Forward:
    """The loop over x (n_x, m, T_x), or the cell's one step if x is (n_x, m).

    c0=None is zero.
    """
    notation = find(family, parameters)
    arrays, (n_a, n_x, n_y) = read(notation, parameters)
    inputs = _inputs("xt" if cell else "x", x, n_x, cell)
    m = inputs.shape[1]
    states = [_state("a_prev" if cell else "a0", a0, n_a, m)]
    if c0 is not None:
        states.append(_state("c_prev" if cell else "c0", c0, n_a, m))

    dtype = common_dtype([inputs, *states, *arrays.values()])
    core = to_core(notation, arrays, dtype)
    weights = pack(notation, core)
    # Always a copy: the run keeps it, the caller may change x.
    x_core = inputs.T.astype(dtype, order="C")
    h_0 = time_major(states[0], dtype)[None]
    c_0 = None if c0 is None else time_major(states[1], dtype)[None]
    state = (h_0, c_0) if notation.cell == "lstm" else h_0
    found = _core.forward(weights, x_core, state, None, False, True)
    assert found is not None
    h, _, saved = found
    steps = len(h)
    y = _core.softmax(_core.linear(h.reshape(steps * m, n_a), core.w_y, core.b_y))
    run = Run(notation, parameters, weights, core.w_y, saved[0])
    return Forward(run, h, y.reshape(steps, m, n_y))


def _inputs(name: str, x: ArrayLike, n_x: int, cell: bool) -> Array:
    """x with a time axis, of one step if it is a cell's."""
    array = real(name, x)
    letters = ("n_x", "m") if cell else ("n_x", "m", "T_x")
    if array.ndim != len(letters) or len(array) != n_x:
        sizes = (n_x, None, None)
        raise shape_error(name, array, zip(letters, sizes, strict=False))
    return array[:, :, None] if cell else array


def _state(name: str, state: ArrayLike, n_a: int, m: int) -> Array:
    array = real(name, state)
    if array.shape != (n_a, m):
        raise shape_error(name, array, [("n_a", n_a), ("m", m)])
    return array
