"""Every forward of the course: the core's call, and what makes arguments fit for it.

A cell is a loop of one step.
"""

from numpy.typing import ArrayLike

from .. import _core
from ._checks import Array, common_dtype, real, shape_error
from ._notation import Family, Parameters, find, read


def forward(
    family: Family,
    x: ArrayLike,
    a0: ArrayLike,
    c0: ArrayLike | None,
    parameters: Parameters,
    *,
    cell: bool,
) -> tuple[_core.CourseRun, Array, Array, Array | None]:
    """The loop over x (n_x, m, T_x), or the cell's one step if x is (n_x, m).

    c0=None is zero. The result is the run, a, y, and c or None, none of which shares
    memory with another or with an argument.
    """
    made = _core.course_forward(family.core, x, a0, c0, parameters, cell)
    if made is None:  # wrong, or right after a conversion
        fit = _converted(family, x, a0, c0, parameters, cell)
        made = _core.course_forward(family.core, *fit, cell)
        assert made is not None
    return made


def _converted(
    family: Family,
    x: ArrayLike,
    a0: ArrayLike,
    c0: ArrayLike | None,
    parameters: Parameters,
    cell: bool,
) -> tuple[Array, Array, Array | None, dict[str, Array]]:
    """The arguments as arrays of one dtype, or an error that names the wrong one."""
    notation = find(family, parameters)
    arrays, (n_a, n_x, _) = read(notation, parameters)
    inputs = _inputs("xt" if cell else "x", x, n_x, cell)
    m = inputs.shape[1]
    a = _state("a_prev" if cell else "a0", a0, n_a, m)
    states = [a]
    if c0 is not None or (cell and "c_prev" in family.entries):
        states.append(_state("c_prev" if cell else "c0", c0, n_a, m))
    dtype = common_dtype([inputs, *states, *arrays.values()])

    def convert(array: Array) -> Array:
        return array.astype(dtype, copy=False)

    return (
        convert(inputs),
        convert(a),
        convert(states[1]) if len(states) > 1 else None,
        {name: convert(array) for name, array in arrays.items()},
    )


def _inputs(name: str, x: ArrayLike, n_x: int, cell: bool) -> Array:
    array = real(name, x)
    letters = ("n_x", "m") if cell else ("n_x", "m", "T_x")
    if array.ndim != len(letters) or len(array) != n_x:
        sizes = (n_x, None, None)
        raise shape_error(name, array, zip(letters, sizes, strict=False))
    return array


def _state(name: str, state: ArrayLike | None, n_a: int, m: int) -> Array:
    array = real(name, state)
    if array.shape != (n_a, m):
        raise shape_error(name, array, [("n_a", n_a), ("m", m)])
    return array
