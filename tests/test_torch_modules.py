"""rnnext.torch: modules that PyTorch takes for its own, with our numbers."""

import copy
import io
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils import parametrizations  # noqa: E402
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import rnnext  # noqa: E402
import rnnext.torch  # noqa: E402

T, N, I, H = 6, 3, 5, 4
KINDS = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


@pytest.fixture(params=KINDS)
def cell(request):
    return request.param


def make(cell, *sizes, module=rnnext.torch, dtype=torch.float64, **options):
    name, own = KINDS[cell]
    return getattr(module, name)(*(sizes or (I, H)), dtype=dtype, **own, **options)


def pair(cell, *sizes, **options):
    """Ours and PyTorch's, drawn from one seed."""
    made = []
    for module in (rnnext.torch, torch.nn):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            made.append(make(cell, *sizes, module=module, **options))
    return made


def draw(*shape, dtype=torch.float64, grad=True):
    return torch.randn(*shape, dtype=dtype).requires_grad_(grad)


def draw_state(cell, *shape, **options):
    if cell == "lstm":
        return draw(*shape, **options), draw(*shape, **options)
    return draw(*shape, **options)


def flat(value):
    """The tensors of an argument or a state."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [] if value is None else list(value)


def tensors(result):
    """Of output and state."""
    y, state = result
    return [getattr(y, "data", y) if isinstance(y, tuple) else y, *flat(state)]


def packed(x):
    """A list of sequences packed, a tensor as it is."""
    return pack_sequence(x, enforce_sorted=False) if isinstance(x, list) else x


def results(module, x, state):
    """Outputs, and gradients of a loss in which all of them are."""
    inputs = [*flat(x), *flat(state), *module.parameters()]
    inputs = [t for t in inputs if t.requires_grad]
    outputs = tensors(module(packed(x), state))
    loss = sum(
        (y * torch.arange(1.0, y.numel() + 1).cos().view_as(y)).sum() for y in outputs
    )
    return outputs, torch.autograd.grad(loss, inputs)


def assert_equal(found, expected):
    """Within 1e-12 of the largest magnitude."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            assert (a - b).abs().max() <= 1e-12 * max(1, b.abs().max())


def same(a, b):
    return torch.equal(a, b)


# ---------------------------------------------------------------- PyTorch's numbers


SHAPES = [(1, 1, 1, 1), (2, 3, 5, 4), (6, 2, 3, 17), (5, 9, 20, 8), (9, 4, 4, 3)]
LAYOUTS = ["unbatched", "time first", "batch first", "packed", "packed unsorted"]


def draw_input(layout, T, N, I):
    """The sequences of a layout: one tensor, or a list of them to be packed."""
    if layout.startswith("packed"):
        lengths = [1 + (7 * n) % T for n in range(N)]
        if layout == "packed":
            lengths.sort(reverse=True)
        return [draw(length, I) for length in lengths]
    batch = () if layout == "unbatched" else (N,)
    return draw(*((N, T) if layout == "batch first" else (T, *batch)), I)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_numbers_of_pytorch(cell, layout, shape, num_layers):
    """Forward and all gradients; eight combinations in each of 300 tests."""
    T, N, I, H = shape
    batch = () if layout == "unbatched" else (N,)
    for bias, bidirectional, state in itertools.product((True, False), repeat=3):
        options = {
            "num_layers": num_layers,
            "bias": bias,
            "bidirectional": bidirectional,
            "batch_first": layout == "batch first",
        }
        ours, theirs = pair(cell, I, H, **options)
        x = draw_input(layout, T, N, I)
        count = num_layers * (1 + bidirectional)
        hx = draw_state(cell, count, *batch, H) if state else None
        found, expected = results(ours, x, hx), results(theirs, x, hx)
        assert_equal(found[0], expected[0])
        assert_equal(found[1], expected[1])
        with torch.no_grad():
            assert all(map(same, tensors(ours(packed(x), hx)), found[0]))


def test_packed_sequences_keep_their_order(cell):
    for enforce, lengths in ((True, [6, 4, 4, 1]), (False, [2, 6, 1, 3])):
        x = pack_sequence([draw(n, I) for n in lengths], enforce_sorted=enforce)
        y, _ = make(cell)(x)
        assert type(y) is type(x)
        for mine, given in zip(y[1:], x[1:], strict=True):
            assert (mine is None and given is None) or same(mine, given)
        padded, found = pad_packed_sequence(y, batch_first=True)
        assert found.tolist() == lengths
        assert padded.shape == (4, 6, H)


@pytest.mark.parametrize("shape", [(0, N, I), (T, 0, I)], ids=["no steps", "no rows"])
def test_nothing_to_do(cell, shape):
    """PyTorch refuses a sequence without steps: here the state comes back as it was."""
    module = make(cell, bidirectional=True)
    x, hx = draw(*shape), draw_state(cell, 2, shape[1], H)
    y, *after = tensors(module(x, hx))
    assert y.shape == (*shape[:2], 2 * H)
    if shape[0] == 0:
        assert all(map(same, after, flat(hx)))
    sum(t.sum() for t in (y, *after)).backward()
    assert all((p.grad == 0).all() for p in (x, *module.parameters()))
    assert all((part.grad == 1).all() for part in flat(hx))


def test_numbers_of_the_layer(cell):
    """The same bits as the layer of NumPy arrays, in float32 too."""
    name, own = KINDS[cell]
    module = make(cell, dtype=torch.float32, num_layers=2)
    layer = getattr(rnnext, name)(I, H, 2, **own)
    layer.load_state_dict({k: v.numpy() for k, v in module.state_dict().items()})
    x = draw(T, N, I, dtype=torch.float32)
    y, _ = module(x)
    expected, _, cache = layer.forward(x.detach().numpy())
    assert y.detach().numpy().tobytes() == expected.tobytes()
    y.sum().backward()
    gradients = layer.backward(cache, np.ones_like(expected))
    assert x.grad.numpy().tobytes() == gradients.x.tobytes()
    for name, parameter in module.named_parameters():
        assert parameter.grad.numpy().tobytes() == gradients.parameters[name].tobytes()


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_gradcheck(cell, options):
    module = make(cell, **options)
    count = module.num_layers * (1 + module.bidirectional)
    names, parameters = zip(*module.named_parameters(), strict=True)

    def function(x, *rest):
        state, given = rest[: 1 + (cell == "lstm")], rest[-len(names) :]
        hx = tuple(state) if cell == "lstm" else state[0]
        weights = dict(zip(names, given, strict=True))
        return tuple(tensors(torch.func.functional_call(module, weights, (x, hx))))

    state = flat(draw_state(cell, count, 2, H))
    assert torch.autograd.gradcheck(function, (draw(3, 2, I), *state, *parameters))


# ---------------------------------------------------------------- a module of PyTorch


def test_same_parameters(cell):
    ours, theirs = pair(cell, num_layers=2, bidirectional=True)
    assert isinstance(ours, type(theirs))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(map(same, ours.parameters(), theirs.parameters()))
    assert repr(ours) == repr(theirs)
    theirs.reset_parameters()
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    x = draw(T, N, I)
    assert_equal(tensors(ours(x)), tensors(theirs(x)))


def test_positional_arguments(cell):
    name, own = KINDS[cell]
    arguments = [I, H, 2, *own.values(), False, True, 0.0, True]
    if name == "RNN" and not own:
        arguments.insert(3, "tanh")
    ours, theirs = (getattr(m, name)(*arguments) for m in (rnnext.torch, torch.nn))
    assert repr(ours) == repr(theirs)


def test_training_goes_as_in_pytorch(cell):
    ours, theirs = pair(cell)
    x, target = draw(T, N, I, grad=False), draw(T, N, H, grad=False)
    losses = []
    for module in (ours, theirs):
        optimiser = torch.optim.Adam(module.parameters(), lr=0.05)
        for _ in range(10):
            optimiser.zero_grad()
            loss = ((module(x)[0] - target) ** 2).mean()
            loss.backward()
            optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert losses[0] < ((theirs(x)[0] * 0 - target) ** 2).mean().item()


@pytest.mark.parametrize("frozen", ["x", "state", "weights", "all but x", "one"])
def test_gradients_of_some(cell, frozen):
    ours, theirs = pair(cell, num_layers=2)
    for module in (ours, theirs):
        if frozen in ("weights", "all but x"):
            module.requires_grad_(False)
        if frozen == "one":
            module.weight_hh_l0.requires_grad_(False)
    x = draw(T, N, I, grad=frozen != "x")
    hx = draw_state(cell, 2, N, H, grad=frozen not in ("state", "all but x"))
    found, expected = results(ours, x, hx), results(theirs, x, hx)
    assert_equal(found[1], expected[1])


def test_some_outputs_without_gradient(cell):
    ours, theirs = pair(cell)
    x = draw(T, N, I)
    for pick in range(3 if cell == "lstm" else 2):
        found = torch.autograd.grad(tensors(ours(x))[pick].sum(), x)
        expected = torch.autograd.grad(tensors(theirs(x))[pick].sum(), x)
        assert_equal(found, expected)


def test_dtype_can_change(cell):
    module = make(cell, dtype=torch.float32)
    x = draw(T, N, I, grad=False)
    single = module(x.float())[0]
    double = module.double()(x)[0]
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert (single - double).abs().max() < 1e-5
    assert same(module.to(torch.float32)(x.float())[0], single)


def test_copies_and_pickles(cell):
    module = make(cell, num_layers=2)
    x = draw(T, N, I, grad=False)
    y = module(x)[0]
    saved = io.BytesIO()
    torch.save(module, saved)
    saved.seek(0)
    others = [
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        torch.load(saved, weights_only=False),
    ]
    for other in others:
        assert same(other(x)[0], y)
        with torch.no_grad():
            other.weight_ih_l0.zero_()
        assert not same(other(x)[0], y)
    assert same(module(x)[0], y)


# ---------------------------------------------------------------- parameters


def test_parameters_are_the_memory(cell, monkeypatch):
    """Nothing is copied; packed once for every change."""
    module, x = make(cell), draw(T, N, I)
    packs = []
    layer_class = getattr(rnnext, KINDS[cell][0])
    pack = layer_class._pack
    monkeypatch.setattr(layer_class, "_pack", lambda it: packs.append(it) or pack(it))
    for _ in range(3):
        module(x)[0].sum().backward()
    assert len(packs) == 1
    arrays = module._binding.layer.parameters
    for name, parameter in module.named_parameters():
        assert arrays[name].ctypes.data == parameter.data_ptr()
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    for _ in range(3):
        module(x)
        with torch.no_grad():
            module(x)
    assert len(packs) == 2


def changes():
    def in_place(module):
        with torch.no_grad():
            module.weight_hh_l0.mul_(2)

    def replaced(module):
        module.weight_hh_l0 = torch.nn.Parameter(2 * module.weight_hh_l0)

    def data_replaced(module):
        module.weight_hh_l0.data = 2 * module.weight_hh_l0.data

    def data_written(module):
        module.weight_hh_l0.data.mul_(2)
        module.eval()

    def data_written_in_training(module):
        module.weight_hh_l0.data.mul_(2)

    def array_written(module):
        module.weight_hh_l0.detach().numpy()[...] *= 2

    def state_loaded(module):
        state = module.state_dict()
        state["weight_hh_l0"] = 2 * state["weight_hh_l0"]
        module.load_state_dict(state)

    def parametrised(module):
        parametrizations.weight_norm(module, "weight_hh_l0")
        with torch.no_grad():
            module.parametrizations.weight_hh_l0.original0.mul_(2)

    def transposed(module):
        with torch.no_grad():
            twice = (2 * module.weight_hh_l0).T.contiguous()
        module.weight_hh_l0 = torch.nn.Parameter(twice.T)

    return [
        in_place,
        replaced,
        data_replaced,
        data_written,
        data_written_in_training,
        array_written,
        state_loaded,
        parametrised,
        transposed,
    ]


@pytest.mark.parametrize("change", changes(), ids=lambda c: c.__name__)
def test_changes_are_followed(cell, change):
    ours, theirs = pair(cell)
    x = draw(T, N, I)
    before = ours(x)[0]
    change(ours)
    change(theirs)
    found, expected = results(ours, x, None), results(theirs, x, None)
    assert not same(found[0][0], before)
    assert_equal(found[0], expected[0])
    assert_equal(found[1], expected[1])


def test_backward_is_of_the_weights_of_its_forward(cell):
    module, x = make(cell), draw(T, N, I)
    expected = torch.autograd.grad(module(x)[0].sum(), x)[0]
    y = module(x)[0]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert same(torch.autograd.grad(y.sum(), x)[0], expected)


def test_inference_tensors(cell):
    with torch.inference_mode():
        module = make(cell)
        x = torch.randn(T, N, I, dtype=torch.float64)
        before = module(x)[0]
        module.weight_ih_l0.zero_()
        assert not same(module(x)[0], before)


# ---------------------------------------------------------------- autograd


def test_no_second_derivative(cell):
    module, x = make(cell), draw(T, N, I)
    y = module(x)[0]
    (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert same(gradient, torch.autograd.grad(module(x)[0].sum(), x)[0])
    with pytest.raises(NotImplementedError, match="cannot be differentiated again"):
        (y.sum() + gradient.square().sum()).backward()


def test_saved_arrays_are_freed_as_pytorch_frees_its_own(cell):
    module, x = make(cell), draw(T, N, I)
    loss = module(x)[0].sum()
    loss.backward(retain_graph=True)
    first = x.grad.clone()
    loss.backward()
    assert same(x.grad, 2 * first)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_checkpoints_and_hooks(cell):
    module, x = make(cell, num_layers=2, dropout=0.3), draw(T, N, I)
    torch.manual_seed(1)
    expected = torch.autograd.grad(module(x)[0].sum(), x)[0]
    for reentrant in (True, False):
        torch.manual_seed(1)
        y, *_ = checkpoint(module, x, use_reentrant=reentrant)
        y.sum().backward()
        assert same(x.grad, expected)
        x.grad = None
    seen = []
    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: seen.append(t.shape) or t.clone(), lambda t: t
    ):
        y = module(x)[0]
    assert (T + 1, N, H) in seen
    assert same(torch.autograd.grad(y.sum(), x)[0], expected)


def test_inputs_may_change_after_forward(cell):
    module, x = make(cell), draw(T, N, I, grad=False)
    module(x)[0].sum().backward()
    expected = module.weight_ih_l0.grad.clone()
    module.zero_grad()
    y = module(x)[0]
    x.zero_()
    y.sum().backward()
    assert same(module.weight_ih_l0.grad, expected)


# ---------------------------------------------------------------- dropout


def test_dropout(cell):
    module, x = make(cell, num_layers=2, dropout=0.5), draw(T, N, I)
    plain = make(cell, num_layers=2)
    plain.load_state_dict(module.state_dict())
    torch.manual_seed(7)
    first, second = module(x)[0], module(x)[0]
    assert not same(first, second)
    torch.manual_seed(7)
    with torch.no_grad():
        assert same(module(x)[0], first)
    module.eval()
    found, expected = results(module, x, None), results(plain, x, None)
    assert all(map(same, found[0] + list(found[1]), expected[0] + list(expected[1])))
    module.train()
    assert not same(module(x)[0], expected[0][0])
    module.dropout = 0.0
    assert same(module(x)[0], expected[0][0])


def test_dropout_of_everything(cell):
    """As PyTorch's: what goes into the second layer is zero."""
    ours, theirs = pair(cell, num_layers=2, dropout=1.0)
    x = draw(T, N, I)
    assert_equal(tensors(ours(x)), tensors(theirs(x)))


# ---------------------------------------------------------------- what is wrong


def test_wrong_inputs(cell):
    module = make(cell, dtype=torch.float32)
    x = torch.zeros(T, N, I)
    wrong = [
        (x.double(), TypeError, r"input: expected torch.float32.*write input.to"),
        (x.to("meta"), ValueError, "input: expected a tensor on the CPU, got one on m"),
        (x.numpy(), TypeError, "input: expected a tensor, got ndarray"),
        (x.to_sparse(), TypeError, "input: expected a dense tensor"),
        (x[0, 0], ValueError, r"input: expected shape \(T, N, I=5\).*got \(5,\)"),
        (x[..., 1:], ValueError, r"I=5\).*got \(6, 3, 4\)"),
        (pack_sequence([x[:, 0, 1:]]), ValueError, r"input: expected shape \(6, I=5\)"),
        (pack_sequence([x[:, 0].double()]), TypeError, "input: expected torch.float32"),
    ]
    for value, error, message in wrong:
        with pytest.raises(error, match=message):
            module(value)
    assert module(x)[0].shape == (T, N, H)


def test_wrong_states():
    x, h = torch.zeros(T, N, I), torch.zeros(1, N, H)
    gru, lstm = make("gru", dtype=torch.float32), make("lstm", dtype=torch.float32)
    with pytest.raises(ValueError, match=r"hx: expected shape \(1, N=3, H=4\), got"):
        gru(x, h[0])
    with pytest.raises(ValueError, match=r"hx: expected shape \(1, H=4\), got"):
        gru(x[:, 0], h)
    with pytest.raises(TypeError, match=r"hx: expected a tuple \(h_0, c_0\), got T"):
        lstm(x, h)
    with pytest.raises(ValueError, match=r"c_0: expected shape \(1, N=3, H=4\), got"):
        lstm(x, (h, h[:, 1:]))
    with pytest.raises(TypeError, match="h_0: expected a tensor, got NoneType"):
        lstm(x, (None, h))


def test_wrong_parameters(cell):
    module = make(cell)
    x = draw(T, N, I)
    with pytest.raises(TypeError, match=r"weight_ih_l0: expected torch.float32 or"):
        module.half()(x.half())
    module.double().bias_hh_l0.data = torch.zeros_like(module.bias_hh_l0).float()
    with pytest.raises(TypeError, match=r"bias_hh_l0: expected torch.float64"):
        module(x)
    with pytest.raises(ValueError, match="weight_ih_l0: expected a tensor on the CPU"):
        module.to("meta")(x)


# ---------------------------------------------------------------- the extra


def run(script):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_without_pytorch():
    script = (
        "import sys; sys.modules['torch'] = None; import rnnext, rnnext.exchange\n"
        "try: import rnnext.torch\n"
        "except ImportError as error: print(error)"
    )
    assert run(script).strip() == (
        'rnnext.torch needs PyTorch: pip install "rnnext[torch]"'
    )


def test_rnnext_does_not_import_pytorch():
    script = "import sys, rnnext, rnnext.exchange; print('torch' in sys.modules)"
    assert run(script).strip() == "False"
