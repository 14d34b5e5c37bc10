"""What the extension is given in its tests, rightly and wrongly."""

import numpy as np
import pytest
from conftest import CELLS, LAYERS

from rnnext import _core

T, N, I, H = 5, 2, 3, 4
GATES = {cell: LAYERS[cell][0]._gates for cell in CELLS}
WRONG = (TypeError, ValueError)
DTYPES = (np.float32, np.float64)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def arrays(cell="lstm", inputs=I, hidden=H, dtype=np.float32):
    rows = GATES[cell] * hidden
    shapes = ((rows, inputs), (rows, hidden), (rows,), (rows,))
    return [zeros(*shape, dtype=dtype) for shape in shapes]


def stack(cell="lstm", *sizes, layers=1, directions=1, **options):
    """Layers whose arrays are those of `arrays`."""
    all_arrays = [arrays(cell, *sizes, **options)] * directions
    hidden = all_arrays[0][1].shape[1]
    options["hidden"] = hidden
    above = arrays(cell, **options | {"inputs": directions * hidden})
    all_arrays += [above] * directions * (layers - 1)
    return _core.Stack(cell, all_arrays, directions)


def read_only(array):
    array.flags.writeable = False
    return array


def misaligned(shape, dtype=np.float32):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.zeros(size + 1, np.uint8)[1:].view(dtype).reshape(shape)


class Subclass(np.ndarray):
    pass


def wrong_kinds(*shape, optional=False):
    """Everything that is not a float32 array of this shape, of NumPy's own type."""
    right = zeros(*shape)
    yield from (right.astype(t) for t in (np.float64, np.float16, int, complex, object))
    yield right.astype(right.dtype.newbyteorder())
    yield from (5, "array", right.tolist(), object())
    yield from (right[None], right.reshape(-1)[:-1], zeros(*shape[:-1], shape[-1] + 1))
    yield zeros(*(0 for _ in shape))
    if not optional:
        yield None


def subclasses(*shape):
    right = zeros(*shape)
    yield from (right.view(Subclass), np.ma.masked_array(right))


def odd_strides(array):
    """The same numbers, not as C has them in memory."""
    doubled = np.repeat(array, 2, axis=-1)
    yield doubled[..., ::2]
    yield array[..., ::-1].copy()[..., ::-1]
    yield np.asfortranarray(array)
    moved = misaligned(array.shape, array.dtype)
    moved[...] = array
    yield moved


def wrong_arrays(*shape, optional=False):
    """Everything that is not a float32 array of this shape, C-contiguous."""
    yield from wrong_kinds(*shape, optional=optional)
    yield from (zeros(*shape[:-1], 2 * shape[-1])[..., ::2], zeros(*shape)[..., ::-1])
    yield misaligned(shape)


def describe(value):
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}, strides {value.strides}"
    return repr(value)


def assert_all_wrong(call, values):
    for value in values:
        try:
            call(value)
        except WRONG:
            continue
        pytest.fail(f"no error for {describe(value)}")
