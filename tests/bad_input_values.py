"""Bad values in the place of good ones, for tests/test_bad_input.py.

layouts     the same numbers otherwise in memory: every call takes them
others      other dtypes, classes, shapes, numbers and kinds: a right result or an error
bad_values  all of them that there are for a value of some type
plain       what a bad value means: NumPy's own arrays, contiguous, aligned, native
"""

import array
import decimal
import fractions
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

HUGE = 1 << 40  # numbers that no machine holds


class HostileError(Exception):
    """Raised by hostile objects; whoever made them may get it back."""


class Hostile:
    """Raises whatever it is asked."""

    def _raise(self, *_, **__):
        raise HostileError

    __array__ = __index__ = __int__ = __float__ = __len__ = __iter__ = _raise
    __getitem__ = __bool__ = __call__ = keys = items = _raise


class LyingLength(list):
    """Says that it has two entries, and has none."""

    def __len__(self):
        return 2


class LyingArray:
    """Gives an array of another shape each time."""

    shape, dtype, ndim, size = (5, 2, 3), np.dtype(np.float32), 3, 30

    def __init__(self):
        self.asked = 0

    def __array__(self, dtype=None, copy=None):
        self.asked += 1
        return np.zeros((self.asked, 1, 2), np.float32)

    def __len__(self):
        return 1 << 62

    def __index__(self):
        return 1 << 62


class EmptyMapping(Mapping):
    """Has the keys that it is asked for, and nothing under them."""

    def __getitem__(self, key):
        raise KeyError(key)

    def __contains__(self, key):
        return True

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 3


class Subclass(np.ndarray):
    pass


class StrictSubclass(np.ndarray):
    """Takes part in nothing of NumPy's."""

    def __array_ufunc__(self, *_, **__):
        raise HostileError

    def __array_function__(self, *_, **__):
        raise HostileError


# ---------------------------------------------------------------- arrays: layouts
#
# Each takes an array and an integer to choose by.


def fortran(a, n):
    return np.asfortranarray(a)


def negative(a, n):
    step = (slice(None, None, -1),) * a.ndim
    return a[step].copy()[step]


def spaced(a, n):
    wide = np.repeat(a[..., None], 3, axis=-1)
    return wide[..., n % 3]


def swapped(a, n):
    return np.ascontiguousarray(a.T).T


def misaligned(a, n):
    memory = np.empty(a.nbytes + 1, np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a, n):
    view = a.copy()
    view.flags.writeable = False
    return view


LAYOUTS = [fortran, negative, spaced, swapped, misaligned, read_only]


def broadcast(a, n):
    """Every row of an axis is the first: a stride of zero."""
    axis = n % a.ndim
    first = a.take([0], axis)
    return np.broadcast_to(first, a.shape)


def overlapping(a, n):
    """Rows that begin one number after each other."""
    strides = [a.itemsize] * a.ndim
    memory = np.resize(a.reshape(-1), sum(a.shape) + 1)
    return np.lib.stride_tricks.as_strided(memory, a.shape, strides, writeable=False)


SHARED = [broadcast, overlapping]  # of arrays with numbers in them


# ---------------------------------------------------------------- arrays: the rest


def of_class(make):
    return lambda a, n: make(a)


def of_dtype(dtype):
    return lambda a, n: a.astype(dtype)


def of_numbers(*numbers):
    def change(a, n):
        changed = np.array(a)
        flat = changed.reshape(-1)
        flat[n % flat.size :: 1 + n % 3] = numbers[n % len(numbers)]
        return changed

    return change


def of_axes(*sizes):
    return lambda a, n: np.zeros(sizes, a.dtype)


def one_more(a, n):
    return np.concatenate([a, a.take([0], n % a.ndim)], n % a.ndim)


def one_less(a, n):
    return np.delete(a, 0, n % a.ndim)


def emptied(a, n):
    return a.take([], n % a.ndim)


def doubled(a, n):
    return np.stack([a, a])


def huge_axis(size):
    """Strides of zero: memory for one number."""

    def change(a, n):
        shape = list(a.shape)
        shape[n % a.ndim] = size
        first = a.reshape(-1)[:1].reshape((1,) * a.ndim)
        return np.broadcast_to(first, shape)

    return change


def huge_and_empty(a, n):
    shape = [1 << 59] * min(a.ndim, 1) + [0] * (a.ndim - 1)
    return np.empty(np.roll(shape, n), a.dtype) if a.ndim > 1 else a[:0]


_SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e-40, 3e38, -3e38)
_WHOLE = (-1, 0, 100, -(2**31), 2**31 - 1, -(2**63), 2**63 - 1)
ANY_ARRAY = [
    of_class(lambda a: a.view(Subclass)),
    of_class(lambda a: a.view(StrictSubclass)),
    of_class(lambda a: np.ma.masked_array(a, np.arange(a.size).reshape(a.shape) == 0)),
    of_class(lambda a: a.tolist()),
    of_class(lambda a: tuple(a)),
    of_class(lambda a: memoryview(np.ascontiguousarray(a))),
    of_class(lambda a: array.array("d", np.asarray(a, float).reshape(-1))),
    *map(of_dtype, (np.float16, np.float32, np.float64, np.longdouble, complex)),
    *map(of_dtype, (object, str, bytes, bool, np.int8, np.uint64, np.int64)),
    lambda a, n: a.astype(a.dtype.newbyteorder()),
    lambda a, n: a.astype(np.int64).astype("m8[s]"),
    lambda a, n: a.astype([("re", "f4"), ("im", "f4")]),
    lambda a, n: a[None],
    lambda a, n: a.reshape(a.shape + (1,) * (60 - a.ndim)),
    lambda a, n: a.reshape(-1),
    lambda a, n: a.reshape(-1)[:1].reshape(()) if a.size else a,
    lambda a, n: a.T.copy(),
    doubled,
    of_axes(),
    of_axes(0),
    of_axes(0, 0, 0),
]  # fmt: skip
WITH_AXES = [one_more, emptied, huge_and_empty]
WITH_NUMBERS = [
    one_less,
    *map(huge_axis, (HUGE, 1 << 33, 2**31 - 1, 2**31 + 1, 1 << 60)),
    lambda a, n: np.matrix(a.reshape(len(a), -1)) if a.ndim else a,
]

# ---------------------------------------------------------------- other kinds

KINDS = [
    None, True, 3, -1, 1.5, float("nan"), 2j, "x", "", b"x", [], (), {}, set(),
    [None], [[1.0], [2.0, 3.0]], {"x": 1}, {3: 4}, np.float32(1), np.array(None), ...,
    range(3), slice(None), np.ma.masked, NotImplemented, np.nan, "\ud800", "x\0y",
]  # fmt: skip
# Whatever comes of them is their own.
HOSTILE = (Hostile, LyingLength, LyingArray, EmptyMapping)
MADE_KINDS = [*HOSTILE, object]
INTEGERS = [
    0, -1, 1, 2, 2**15, 2**31 - 1, 2**31, 2**40, 2**48, 2**63 - 1, 2**63, 2**64, 2**200,
    -(2**63), -(2**200), True, 1.0, 2.5, np.int8(2), np.uint64(2**63), np.float64(2),
    np.array(2), np.array([2]), "2", b"2", 10**400, float("inf"),
]  # fmt: skip
FLOATS = [
    0.0, -0.0, -1.0, 0.5, 1.0, 5e-324, 1e308, float("inf"), float("-inf"), float("nan"),
    0, 1, 10**400, -(10**400), np.float16(0.5), np.longdouble("1e4000"), np.int8(1),
    np.array(0.5), np.array([0.5]), decimal.Decimal("0.5"), fractions.Fraction(1, 2),
    0.5 + 0j, "0.5", True,
]  # fmt: skip
STRINGS = ["", "x" * 10_000, "Tanh", "\ud800", "a\0b", "concat", "../x", b"tanh", "é"]
BOOLEANS = [True, False, 0, 1, np.True_, np.array(True), "True", 2**70]


def _without_one(value, n):
    keys = list(value)
    return {k: v for k, v in value.items() if k != keys[n % len(keys)]}


def _renamed(value, n):
    keys = list(value)
    return {(0 if k == keys[n % len(keys)] else k): v for k, v in value.items()}


MAPPINGS = [
    lambda v, n: dict(reversed(list(v.items()))),
    lambda v, n: MappingProxyType(v),
    lambda v, n: type("Dict", (dict,), {})(v),
    lambda v, n: list(v.items()),
    lambda v, n: v | {"other": 1},
    lambda v, n: v | {n: 1},
    lambda v, n: v | {"\ud800": np.zeros(1)},
]
FULL_MAPPINGS = [_without_one, _renamed]
SEQUENCES = [
    lambda v, n: list(v),
    lambda v, n: tuple(v),
    lambda v, n: [*v, None],
    lambda v, n: [*v, *v],
    lambda v, n: v[:-1],
    lambda v, n: v[::-1],
    lambda v, n: [v],
    lambda v, n: type("List", (list,), {})(v),
]


def layouts(value):
    """Functions of (value, n): the same numbers, which have to be taken."""
    if type(value) is not np.ndarray or value.dtype.kind not in "fiub":
        return []
    return LAYOUTS if value.ndim else [read_only, misaligned]


def others(value):
    """Functions of (value, n): what may be an error."""
    found = [lambda _, n, kind=kind: kind for kind in KINDS]
    found += [lambda _, n, made=made: made() for made in MADE_KINDS]
    if isinstance(value, np.ndarray):
        found += ANY_ARRAY
        found.append(of_numbers(*(_SPECIAL if value.dtype.kind == "f" else _WHOLE)))
        if value.ndim:
            found += WITH_AXES
        if value.ndim and value.size:
            found += WITH_NUMBERS + SHARED
    elif isinstance(value, bool):
        found += [lambda _, n: BOOLEANS[n % len(BOOLEANS)]] * len(BOOLEANS)
    elif isinstance(value, int):
        found += [lambda _, n: INTEGERS[n % len(INTEGERS)]] * len(INTEGERS)
    elif isinstance(value, float):
        found += [lambda _, n: FLOATS[n % len(FLOATS)]] * len(FLOATS)
    elif isinstance(value, str):
        found += [lambda _, n: STRINGS[n % len(STRINGS)]] * len(STRINGS)
    elif isinstance(value, Mapping):
        found += MAPPINGS + (FULL_MAPPINGS if value else [])
    elif type(value) in (list, tuple):
        found += SEQUENCES
    return found


def plain(value):
    """The same with arrays of NumPy's own class, contiguous, aligned, native."""
    if isinstance(value, np.ma.MaskedArray) or value is np.ma.masked:
        return value
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        if value.size * value.itemsize > 1 << 24:
            return value
        made = np.empty(value.shape, value.dtype.newbyteorder("="))
        made[...] = value.view(np.ndarray)
        return made
    if type(value) is dict:
        return {k: plain(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value
