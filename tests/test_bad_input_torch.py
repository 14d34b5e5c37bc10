"""Bad input to the modules of rnnext.torch: as tests/test_bad_input.py, with tensors.

One bad value in the place of a good one: the bits of the plain tensor, or an error that
names the argument; and afterwards the module gives what it gave before.
"""

import re

import pytest
from bad_input_check import bounded_memory
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402

import rnnext.torch  # noqa: E402

EXAMPLES = 100  # of a kind of module, of so many cases each:
PER_EXAMPLE = 8
NAMES = {"input", "hx", "h_0", "c_0", "dtype"}
SPECIAL = (float("nan"), float("inf"), -float("inf"), 1e-42, -0.0, 3e38)

# ---------------------------------------------------------------- the same numbers


def spaced(a):
    return torch.stack([a, a], -1)[..., 0]


def turned(a):
    return a.mT.contiguous().mT if a.ndim > 1 else a


def offset(a):
    return torch.cat([a.new_zeros(1), a.flatten()])[1:].view(a.shape)


def of_inference(a):
    with torch.inference_mode():
        return a.clone()


LAYOUTS = (
    spaced, turned, offset, of_inference,
    lambda a: a.clone().requires_grad_(),
    lambda a: torch.nn.Parameter(a.clone(), requires_grad=False),
    lambda a: a.flip(0).flip(0),
)  # fmt: skip

# ---------------------------------------------------------------- what may be an error

WITHOUT_NUMBERS = (
    lambda a: None,
    lambda a: 3.0,
    lambda a: "tensor",
    lambda a: [a],
    lambda a: (a, a),
    lambda a: a.numpy(),
    lambda a: a.tolist(),
    lambda a: object(),
    lambda a: a.to("meta"),
    lambda a: a.to_sparse(),
    lambda a: a.double() if a.dtype == torch.float32 else a.float(),
    *(
        lambda a, d=d: a.to(d)
        for d in (torch.half, torch.bfloat16, torch.int64, torch.bool, torch.complex64)
    ),
    lambda a: a[..., :-1],
    lambda a: a[:0],
    lambda a: a[None],
    lambda a: a[..., None],
    lambda a: a.flatten(),
    lambda a: a.sum(),
    lambda a: torch.cat([a, a], -1),
    lambda a: torch.cat([a, a]),
    lambda a: a.new_zeros(1).expand(1 << 40, *a.shape[1:]),
    lambda a: a[..., :1].expand(*a.shape[:-1], 1 << 40),
)
NUMBERS = tuple(lambda a, v=v: torch.full_like(a, v) for v in SPECIAL)


def filled_in(a):
    b = a.clone()
    b.flatten()[: b.numel() // 2] = float("nan")
    return b


OTHERS = (*WITHOUT_NUMBERS, *NUMBERS, filled_in)


def problem(kind, sizes, seed, how):
    """A module and good arguments by name."""
    T, N, I, H = sizes
    torch.manual_seed(seed)
    options = (
        {}, {"num_layers": 2}, {"bidirectional": True}, {"batch_first": True},
        {"bias": False}, {"dtype": torch.float64},
    )[how % 6]  # fmt: skip
    if kind == "LSTM" and how % 5 == 1 and H > 1:
        options = options | {"proj_size": H - 1}
    module = getattr(rnnext.torch, kind)(I, H, **options).eval()
    dtype = options.get("dtype", torch.float32)
    order = (N, T) if module.batch_first else (T, N)
    found = {"input": torch.randn(*order, I, dtype=dtype)}
    count = module.num_layers * (1 + module.bidirectional)
    h_0 = torch.randn(count, N, module.proj_size or H, dtype=dtype)
    c_0 = torch.randn(count, N, H, dtype=dtype)
    if how % 7 > 2:
        found["hx"] = (h_0, c_0) if kind == "LSTM" else h_0
    if how % 11 > 8 and T and N and not module.batch_first:
        lengths = torch.randint(1, T + 1, (N,))
        found["input"] = pack_padded_sequence(
            found["input"], lengths, enforce_sorted=False
        )
    return module, found


def places(module, arguments):
    found = [("input",)]
    if "hx" in arguments:
        pair = isinstance(arguments["hx"], tuple)
        found += [("hx",), ("hx", 0), ("hx", 1)] if pair else [("hx",)]
    return found + [("parameter", name) for name, _ in module.named_parameters()]


def changed(module, arguments, place, change):
    """(the value that is there, the arguments with another in its place)."""
    first, *rest = place
    if first == "parameter":
        old = getattr(module, rest[0]).detach()
        new = change(old)
        if isinstance(new, torch.Tensor) and not isinstance(new, torch.nn.Parameter):
            new = torch.nn.Parameter(new, requires_grad=False)
        setattr(module, rest[0], new)
        return new, arguments
    old = arguments[first]
    if isinstance(old, PackedSequence):
        new = change(old.data)
        value = PackedSequence(new, *old[1:]) if isinstance(new, torch.Tensor) else new
    elif rest:
        new = change(old[rest[0]])
        value = tuple(new if i == rest[0] else part for i, part in enumerate(old))
    else:
        new = value = change(old) if isinstance(old, torch.Tensor) else change(old[0])
    return new, arguments | {first: value}


def bits(result):
    if isinstance(result, (tuple, list)):
        return [part for each in result for part in bits(each)]
    if result is None:
        return [None]
    return [tuple(result.shape), result.detach().contiguous().numpy().tobytes()]


def outcome(module, arguments):
    try:
        return bits(module(**arguments)), None
    except Exception as error:
        return None, error


def one_case(kind, sizes, seed, how, where, which):
    module, arguments = problem(kind, sizes, seed, how)
    right, error = outcome(module, arguments)
    assert error is None, f"the plain call fails: {error!r}"
    possible = places(module, arguments)
    place = possible[where % len(possible)]
    changes = (*LAYOUTS, *OTHERS)
    change = changes[which % len(changes)]
    weights = module.state_dict()
    try:
        bad, given = changed(module, arguments, place, change)
    except (TypeError, RuntimeError, ValueError, IndexError, NotImplementedError):
        return  # it cannot be made so, or PyTorch does not let it in
    got, error = outcome(module, given)
    label = f"{kind} {sizes} {seed} {how} {place} {which % len(changes)}"
    if error is not None:
        expected = (TypeError, ValueError, MemoryError)
        assert isinstance(error, expected), f"{label}: {error!r}"
        words = set(re.findall(r"\w+", str(error)))
        named = words & (NAMES | set(weights))
        assert named or isinstance(error, MemoryError), f"{label}: {error!r}"
        whole_pair = place == ("hx",) and kind == "LSTM"
        assert whole_pair or change not in LAYOUTS, f"{label}: {error!r}"
    elif isinstance(bad, torch.Tensor) and bad.numel() < 1 << 20:
        same = problem(kind, sizes, seed, how)
        _, plain = changed(*same, place, lambda _: bad.detach().clone().contiguous())
        assert bits(same[0](**plain)) == got, f"{label}: not the plain tensor's"
    for name, value in weights.items():
        setattr(module, name, torch.nn.Parameter(value))
    assert outcome(module, arguments)[0] == right, f"{label}: afterwards another result"


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_bad_tensors(kind):
    sizes = st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(1, 5)] * 2)
    number = st.integers(0, 10**6)
    picks = st.lists(
        st.tuples(number, number), min_size=PER_EXAMPLE, max_size=PER_EXAMPLE
    )

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(sizes, number, number, picks)
    def run(sizes, seed, how, picks):
        for where, which in picks:
            one_case(kind, sizes, seed, how, where, which)

    with bounded_memory():
        run()
