"""The property of tests/test_bad_input.py: no call does harm.

One case is one call with one bad value in the place of a good one. It gives what the
plain array gives, to the bit, or an error that names an argument; nothing that came in
is written to; and after an error the object gives what it would have given before.
"""

import re
import resource
import sys
import warnings
from contextlib import contextmanager, suppress

import bad_input_rest  # noqa: F401  fills ENTRIES
import numpy as np
from bad_input_layers import ENTRIES, Case
from bad_input_values import HOSTILE, HostileError, layouts, others, plain
from hypothesis import strategies as st

PER_EXAMPLE = 12  # cases
# What stands for an argument in messages, besides its name.
WORDS = {
    "state": "h_0 c_0 h c state",
    "new_state": "h_0 c_0 state",
    "dstate": "dh_n dc_n dh dc",
    "dy": "dy_forward dy_backward",
    "gradients": "gradients model",
    "x": "x_t ids",
    "cache": "caches parameters",
    "caches": "cache parameters",
    "arguments": "parameters",
    "arrays": "weights_layer weights_iter bias weights input_size hidden_size",
    "weight": "assign weight_ih weight_ih_l0 parameters",
    "state_dict": "load_state_dict weights input_size hidden_size",
    "layers": "stream nodes weights input_size hidden_size reset_after",
    "layer": "model",
    "batches": "x targets y lengths mask dy loss",
    "validation": "x targets y lengths mask loss",
    "x_t": "x ids",
    "inputs": "x h_0 c_0 a b c node initial_h input",
    "h_0": "initial_h",
    "c_0": "initial_c",
}
_TWO_GIB = 2 << 30


def examples():
    """Arguments of `check`."""
    sizes = st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(1, 5)] * 2)
    number = st.integers(0, 10**6)
    picks = st.lists(
        st.tuples(number, number), min_size=PER_EXAMPLE, max_size=PER_EXAMPLE
    )
    dtypes = st.sampled_from([np.float32, np.float64])
    return st.tuples(sizes, dtypes, number, picks)


@contextmanager
def bounded_memory():
    """A call that asks for what no machine has gets MemoryError here, too."""
    if not sys.platform.startswith("linux"):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + _TWO_GIB, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def leaves(arguments):
    """The places of all values in nested arguments, inner ones too."""
    for key, value in (
        arguments.items() if isinstance(arguments, dict) else enumerate(arguments)
    ):
        yield (key,)
        if type(value) in (dict, list, tuple) and len(value):
            for rest in leaves(value):
                yield key, *rest


def at(arguments, place):
    for key in place:
        arguments = arguments[key]
    return arguments


def put(arguments, place, value):
    """A copy with another value in a place."""
    key, *rest = place
    value = put(arguments[key], rest, value) if rest else value
    if isinstance(arguments, dict):
        return arguments | {key: value}
    made = [value if i == key else old for i, old in enumerate(arguments)]
    return type(arguments)(made)


def flat(result):
    """What a result holds, in order, of values that can be compared."""
    if isinstance(result, np.ndarray):
        if result.dtype.hasobject:
            return [result.shape, repr(result)]
        # What comes back as it came in may be in another byte order.
        native = result.dtype.newbyteorder("=")
        return [native.str, result.shape, result.astype(native).tobytes()]
    if isinstance(result, dict):
        return [part for item in result.items() for part in flat(item)]
    if isinstance(result, (list, tuple)) or type(result).__name__ == "StepCaches":
        return [part for item in result for part in flat(item)]
    if isinstance(result, np.generic):
        return flat(np.asarray(result))
    if type(result).__name__ == "Gradients":
        return flat((result.x, result.state, result.parameters))
    if hasattr(result, "gates"):
        return flat((result.h, result.c, result.gates))
    if hasattr(result, "state_dict"):
        return [re.sub(r" at 0x\w+", "", repr(result)), *flat(result.state_dict())]
    return [re.sub(r" at 0x\w+", "", repr(result))]


def images(value):
    """The bytes of all arrays in arguments that are of a size to look at."""
    if isinstance(value, np.ndarray):
        whole = value.view(np.ndarray)
        small = whole.nbytes < 1 << 20 and not whole.dtype.hasobject
        return [whole.tobytes()] if small else []
    if type(value) is dict:
        value = value.values()
    elif type(value) not in (list, tuple):
        return []
    return [image for part in value for image in images(part)]


def outcome(function, arguments):
    """(result, None), or (None, the error)."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return flat(function(**arguments)), None
    except Exception as error:
        return None, error


def named(error, arguments, place, bad):
    """Whether a message names one of the arguments, or what is in one."""
    words = {word for name in arguments for word in WORDS.get(name, "").split()}
    words |= set(arguments)
    inner = [key for key in place if isinstance(key, str)]
    inner += [bad] if isinstance(bad, str) and bad else []
    text = str(error)
    return bool(words & set(re.findall(r"\w+", text))) or any(k in text for k in inner)


def allowed(entry, error, arguments, place, bad):
    """Whether an error is what a bad value may lead to."""
    if isinstance(error, (HostileError, MemoryError)) or type(bad) in HOSTILE:
        return True
    if "array is too big" in str(error):  # how NumPy says MemoryError beyond 2**63
        return True
    if isinstance(error, OSError):
        return "path" in arguments or "model" in arguments
    kinds = (TypeError, ValueError, FloatingPointError)
    return isinstance(error, kinds) and (
        entry.foreign or named(error, arguments, place, bad)
    )


def check(name, sizes, dtype, seed, picks, folder, before=lambda text: None):
    """Cases of one entry; how many there were. `before` is told of each."""
    entry = ENTRIES[name]

    def fresh():
        case = Case(*sizes, dtype, np.random.default_rng(seed), folder)
        return entry.make(case)

    function, arguments = fresh()
    right, error = outcome(function, arguments)
    assert error is None, f"{name}: the plain call fails: {error!r}"
    places = list(leaves(arguments))
    for where, how in picks:
        place = places[where % len(places)]
        value = at(arguments, place)
        same = layouts(value)
        changes = [*same, *others(value)]
        change = changes[how % len(changes)]
        label = f"{name} {sizes} {np.dtype(dtype)} {seed} {(where, how)} {place}"
        before(label)
        one_case(label, entry, fresh, right, place, change, how, change in same)
    return len(picks)


def one_case(label, entry, fresh, right, place, change, how, must_work):
    function, arguments = fresh()
    value = at(arguments, place)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            bad = change(value, how // 7)
    except (TypeError, ValueError, IndexError, ArithmeticError, HostileError):
        return  # this value cannot be made bad so
    # x in caches is not looked at; scikit-learn has its own opinion of masks.
    must_look = place[0] != "caches" and not entry.foreign
    if not entry.huge and getattr(bad, "size", 0) > 1 << 20:
        return
    given = put(arguments, place, bad)
    label += f" {getattr(change, '__name__', change)}: {kind_of(bad)}"
    first = place[0]
    held = {k: v for k, v in given.items() if k not in entry.writes}
    image, means = images(held), plain(bad)
    result, error = outcome(function, given)
    assert image == images(held), f"{label}: an argument was written to"
    if (
        isinstance(bad, np.ma.MaskedArray)
        and isinstance(value, np.ndarray)
        and must_look
    ):
        assert error or not bad.mask.any(), f"{label}: the mask is ignored"
    if error is not None:
        assert allowed(entry, error, arguments, place, bad), f"{label}: {error!r}"
        assert not must_work or first in entry.strict, f"{label}: {error!r}"
        if entry.goes_on:
            return
        again, error = outcome(function, arguments)
        assert error is None, f"{label}: afterwards {error!r}"
        assert again == right, f"{label}: afterwards another result"
        return
    function, arguments = fresh()
    if means is bad and not must_work:
        return  # it is what it is
    with suppress(ValueError):
        expected, error = outcome(function, put(arguments, place, means))
        assert error is None, f"{label}: but the plain value: {error!r}"
        assert result == expected, f"{label}: another result than the plain value's"


def kind_of(value):
    if isinstance(value, np.ndarray):
        return f"{type(value).__name__} {value.dtype} {value.shape} {value.strides}"
    with suppress(Exception):
        return f"{type(value).__name__} {repr(value)[:60]}"
    return type(value).__name__
