"""Faults of the training kit that were found by trying it, and what came of them."""

import copy
import math
import pickle

import numpy as np
import pytest

import rnnext
from rnnext import Linear, Pool, Sequential, mse_loss, softmax_cross_entropy

X = np.random.default_rng(0).standard_normal((5, 4, 3), np.float32)
IDS = np.random.default_rng(1).integers(0, 6, (5, 4))
MASK = np.random.default_rng(2).random((5, 4)) < 0.6
MASK[:, 3] = False  # a sequence of no steps


def gru(I=3, H=6, **options):
    return rnnext.GRU(I, H, rng=0, **options)


def model(**options):
    return Sequential({"rnn": gru(**options), "head": Linear(6, 2, rng=1)})


def gradients_of(layer):
    return {k: np.ones_like(v) for k, v in layer.parameters.items()}


def same(one, other):
    return all((one[name] == other[name]).all() for name in one)


# ---------------------------------------------------------------- losses


def test_losses_of_sequences_with_the_batch_first():
    lengths = [5, 2, 0, 3]
    targets, values = IDS % 3, X + 1
    for loss, right in ((softmax_cross_entropy, targets), (mse_loss, values)):
        for mask in (None, MASK):
            value, d = loss(X, right, lengths=lengths, mask=mask)
            found, d_found = loss(
                X.swapaxes(0, 1).copy(),
                right.swapaxes(0, 1),
                lengths=lengths,
                mask=None if mask is None else mask.T,
                batch_first=True,
            )
            assert found == pytest.approx(value, rel=1e-6)
            np.testing.assert_allclose(d_found.swapaxes(0, 1), d, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weights", [None, [1, 0, 2.5]])
def test_weights_of_classes_and_smoothing_are_those_of_pytorch(weights, smoothing):
    torch = pytest.importorskip("torch")
    logits, targets = X.astype(float).reshape(-1, 3), (IDS % 3).reshape(-1)
    counts = np.arange(len(targets)) % 4 > 0
    theirs = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        theirs,
        torch.tensor(np.where(counts, targets, -100)),
        weight=None if weights is None else torch.tensor(weights, dtype=torch.float64),
        label_smoothing=smoothing,
    )
    expected.backward()
    loss, dlogits = softmax_cross_entropy(
        logits, targets, mask=counts, class_weights=weights, label_smoothing=smoothing
    )
    assert loss == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(dlogits, theirs.grad.numpy(), rtol=1e-12, atol=1e-16)


def test_rows_that_do_not_count_may_hold_anything():
    logits = np.zeros((2, 3))
    logits[0] = -np.inf
    loss, dlogits = softmax_cross_entropy(logits, IDS[0, :2] * 0, mask=[False, True])
    assert loss == pytest.approx(math.log(3))
    assert not dlogits[0].any()
    loss, dy = mse_loss(logits, logits, mask=[False, True])
    assert loss == 0
    assert not dy.any()


def test_weights_of_zero_leave_nothing():
    loss, dlogits = softmax_cross_entropy(X, IDS * 0, class_weights=[0, 1, 1])
    assert loss == 0
    assert not dlogits.any()


# ---------------------------------------------------------------- layers


def test_many_rows_lose_no_digits():
    rows = 2**20
    layer = Linear(1, 2, rng=0)
    _, cache = layer.forward(np.zeros((rows, 1), np.float32))
    dy = np.full((rows, 2), 0.1, np.float32)
    found = layer.backward(cache, dy).parameters["bias"]
    np.testing.assert_allclose(found, rows * float(dy[0, 0]), rtol=1e-6)
    table = rnnext.Embedding(3, 2, rng=0)
    _, cache = table.forward(np.arange(rows) % 2)
    found = table.backward(cache, dy).parameters["weight"]
    expected = np.array([[rows / 2], [rows / 2], [0]]) * float(dy[0, 0])
    np.testing.assert_allclose(found, expected + np.zeros((1, 2)), rtol=1e-6)


def test_an_embedding_of_no_ids():
    table = rnnext.Embedding(3, 2, rng=0)
    y, cache = table.forward(np.zeros((0, 4), int))
    assert not table.backward(cache, y).parameters["weight"].any()


def test_an_id_for_nothing():
    table = rnnext.Embedding(6, 3, padding_idx=2, rng=0)
    assert repr(table) == "Embedding(6, 3, padding_idx=2)"
    y, cache = table.forward(IDS)
    assert not y[IDS == 2].any()
    found = table.backward(cache, np.ones_like(y)).parameters["weight"]
    assert not found[2].any()
    assert found[1, 0] == (IDS == 1).sum()
    plain = rnnext.Embedding(6, 3, rng=0).parameters["weight"]
    np.testing.assert_array_equal(table.parameters["weight"][3:], plain[3:])


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("how", ["last", "mean", "max"])
def test_pools_of_steps_with_holes(how, batch_first):
    def ordered(array):
        return array.swapaxes(0, 1) if batch_first else array

    lengths = np.array([5, 3, 4, 5])
    exists = MASK & (np.arange(5)[:, None] < lengths)
    pool = Pool(how, bidirectional=True, batch_first=batch_first)
    y = X[..., :2]
    z, cache = pool.forward(ordered(y), lengths=lengths, mask=ordered(MASK))
    dy = ordered(pool.backward(cache, np.ones_like(z)).x)
    assert not dy[~exists].any()
    for n in range(4):
        steps = y[exists[:, n], n]
        if len(steps) == 0:
            assert not z[n].any()
            continue
        expected = {
            "last": [steps[-1, 0], steps[0, 1]],
            "mean": steps.mean(axis=0),
            "max": steps.max(axis=0),
        }[how]
        np.testing.assert_allclose(z[n], expected, rtol=1e-6)
        np.testing.assert_allclose(dy[:, n].sum(axis=0), 1, rtol=1e-6)


# ---------------------------------------------------------------- chains


def test_masks_go_through_chains():
    inner = Sequential(gru(dtype=float))
    chain = Sequential(inner, Pool("mean"), Linear(6, 2, dtype=float, rng=1))
    x = X.astype(float)
    y, h_n = gru(dtype=float)(x, mask=MASK)
    expected = chain.layers["2"](Pool("mean")(y, mask=MASK))
    found, state = chain(x, mask=MASK)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(state[0][0], h_n)
    np.testing.assert_array_equal(chain.forward(x, mask=MASK)[0], expected)
    report = rnnext.check_gradients(chain, x, lengths=[5, 4, 3, 2], mask=MASK)
    assert report.ok, report


def test_streams_of_chains_have_states():
    inner = Sequential(rnnext.LSTM(6, 4, rng=2))
    chain = Sequential(gru(), rnnext.Dropout(0.5), inner, Linear(4, 2, rng=1))
    whole, end = chain(X)
    _, middle = chain(X[:2])
    stream = chain.stream(4, middle)
    assert stream.batch_size == 4
    for _ in range(2):
        for t in range(2, 5):
            np.testing.assert_array_equal(stream.step(X[t]), whole[t])
        np.testing.assert_array_equal(stream.state[2][0][1], end[2][0][1])
        stream.reset()
    stream.state = None
    np.testing.assert_array_equal(stream.step(X[0]), whole[0])
    before = stream.state
    with pytest.raises(ValueError, match="h_0"):
        stream.state = (end[0], None, ((np.zeros((1, 4, 5), np.float32),) * 2,), None)
    np.testing.assert_array_equal(stream.state[0], before[0])


UNFIT = {
    "features": (
        lambda: Sequential({"rnn": gru(), "head": Linear(7, 2)}),
        r"head: expected a layer that takes the 6 features of rnn, got Linear\(7, 2\)",
    ),
    "features, in another": (
        lambda: Sequential(gru(), rnnext.Dropout(0.5), Sequential(Linear(7, 2))),
        r"2\.0: expected a layer that takes the 6 features of 1",
    ),
    "no steps left": (
        lambda: Sequential(gru(), Pool(), gru(6)), "2 needs steps, and after 1",
    ),
    "two pools": (lambda: Sequential(Pool(), Pool()), "1 needs steps"),
    "both orders": (
        lambda: Sequential(gru(), gru(6, batch_first=True)), "batch_first alike",
    ),
    "the order of a pool": (
        lambda: Sequential(gru(batch_first=True), Pool()), "batch_first alike",
    ),
    "one direction of two": (
        lambda: Sequential({"rnn": gru(bidirectional=True), "pool": Pool()}),
        r"pool: expected Pool\('last', bidirectional=True\) as rnn is so",
    ),
    "two directions of one": (
        lambda: Sequential(gru(), Sequential(Pool(bidirectional=True))),
        r"1\.0: expected Pool\('last', bidirectional=False\) as 0",
    ),
    "the wrong end": (
        lambda: Sequential(gru(reverse=True), rnnext.Dropout(0.5), Pool()),
        "2: the last step is not the end of what 0",
    ),
    "no end": (
        lambda: Sequential(gru(bidirectional=True, merge="sum"), Pool()),
        "1: the last step is not the end",
    ),
    "ids too late": (
        lambda: Sequential(gru(), rnnext.Embedding(6, 3)), "1 takes ids",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_fit_is_refused_when_it_is_made(name):
    call, message = UNFIT[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_one_layer_has_one_place():
    layer, drop = Linear(3, 3), rnnext.Dropout(0.5)
    with pytest.raises(ValueError, match="1 is the same layer as 0"):
        Sequential(layer, layer)
    with pytest.raises(ValueError, match=r"1\.0 is the same layer as 0"):
        Sequential(layer, Sequential(layer))
    Sequential(drop, layer, drop)


def test_what_a_pool_cannot_know_is_left_to_the_user():
    mixed = gru(bidirectional=True), Linear(12, 6)
    for pool in (Pool(), Pool(bidirectional=True)):
        Sequential(*mixed, pool)
    Sequential(mixed[0], Pool("mean"))


@pytest.mark.parametrize("value", [np.ones(2, complex), ["a", "b"], [[1], [2, 3]]])
def test_loading_changes_all_or_nothing(value):
    chain = model()
    before = chain.state_dict()
    arrays = {name: array + 1 for name, array in before.items()}
    for load in (chain.load_state_dict, chain.assign):
        with pytest.raises(TypeError, match=r"head\.bias: expected"):
            load(arrays | {"head.bias": value})
        assert same(chain.state_dict(), before)


def test_assigning_names_what_is_wrong():
    with pytest.raises(ValueError, match="assign: neck is unknown"):
        model().assign({"neck": np.ones(2)})
    with pytest.raises(TypeError, match="assign: expected a mapping"):
        model().assign(3)
    with model().writable() as p, pytest.raises(KeyError, match="neck"):
        p["neck.bias"]


# ---------------------------------------------------------------- optimisers


@pytest.mark.parametrize("rate", [math.nan, math.inf, -1.0, None])
def test_rates_of_schedules_are_checked(rate):
    layer = Linear(3, 2, rng=0)
    before = layer.state_dict()
    with pytest.raises((TypeError, ValueError), match="learning_rate of step 0"):
        rnnext.SGD(lambda step: rate).step(layer, gradients_of(layer))
    assert same(layer.state_dict(), before)


def test_a_wrong_gradient_moves_nothing():
    layer = Linear(3, 2, rng=0)
    before, gradients = layer.state_dict(), gradients_of(layer)
    for optimizer in (rnnext.SGD(0.1, momentum=0.9), rnnext.Adam()):
        with pytest.raises(TypeError, match="gradients: bias: expected real"):
            optimizer.step(layer, gradients | {"bias": np.ones(2, complex)})
        assert same(layer.state_dict(), before)
        assert optimizer.steps == 0
        assert list(optimizer.state_dict()) == ["steps"]


def test_an_optimiser_has_one_model():
    one, other = Linear(3, 2, rng=0), Linear(1, 2, rng=0)
    adam = rnnext.Adam()
    adam.step(one, gradients_of(one))
    before = other.state_dict()
    with pytest.raises(ValueError, match=r"weight is of shape .* own"):
        adam.step(other, gradients_of(other))
    assert same(other.state_dict(), before)
    assert adam.steps == 1


def test_averages_take_the_dtype_of_the_model():
    layer = Linear(3, 2, dtype=float, rng=0)
    adam = rnnext.Adam()
    kept = {
        f"{kind}.{name}": np.ones(array.shape, int)
        for name, array in layer.parameters.items()
        for kind in ("mean", "square")
    }
    adam.load_state_dict({"steps": 3} | kept)
    adam.step(layer, gradients_of(layer))
    assert {a.dtype for a in adam.state_dict().values()} == {np.dtype(float)}


@pytest.mark.parametrize("steps", [-1, math.nan, 0.5, [1, 2]])
def test_wrong_states_of_optimisers(steps):
    adam = rnnext.Adam()
    with pytest.raises(ValueError, match="a number of steps"):
        adam.load_state_dict({"steps": steps})
    with pytest.raises(TypeError, match="state_dict: expected a mapping"):
        adam.load_state_dict([steps])
    assert adam.steps == 0


def test_optimisers_with_schedules_go_through_pickle():
    s = rnnext.schedules
    for rate in (s.constant(0.1), s.step_decay(0.1, 5), s.exponential_decay(0.1, 0.9),
                 s.warmup(3, s.cosine_decay(0.1, 9))):  # fmt: skip
        adam = rnnext.Adam(rate)
        for copied in (copy.deepcopy(adam), pickle.loads(pickle.dumps(adam))):
            assert [copied.learning_rate(t) for t in range(20)] == [
                rate(t) for t in range(20)
            ]
    assert "rate=0.1, every=5" in repr(rnnext.SGD(s.step_decay(0.1, 5)))


def test_clipping_scales_all_or_nothing():
    first, second = np.full(3, 9.0), np.full(3, 9.0)
    second.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        rnnext.clip_grad_norm({"a": first, "b": second}, 1.0)
    assert (first == 9).all()
    with pytest.raises(TypeError, match="b: expected an array of float32 or float64"):
        rnnext.clip_grad_norm({"a": first, "b": np.array([9, 9])}, 1.0)
    assert (first == 9).all()


# ---------------------------------------------------------------- the loop


def batches():
    return [(X, np.zeros((5, 4, 2), np.float32))]


def run(given=None, **options):
    loss, optimizer = options.pop("loss", mse_loss), options.pop("optimizer", None)
    return rnnext.train(
        options.pop("model", None) or model(),
        batches() if given is None else given,
        loss,
        rnnext.SGD(0.1) if optimizer is None else optimizer,
        **options,
    )


WRONG = {
    "no model": ({"model": Linear(3, 2)}, TypeError, r"model: .* Sequential\(layer\)"),
    "no optimiser": ({"optimizer": 0.1}, TypeError, "optimizer: expected"),
    "a clip of 0": ({"clip": 0}, ValueError, "clip: expected a number above 0"),
    "metrics of nothing": ({"metrics": {"a": max}}, ValueError, "with validation"),
    "a metric's name": (
        {"metrics": {"loss": max}, "validation": batches()}, ValueError, "another name",
    ),
    "validation once": (
        {"validation": iter(batches()), "epochs": 2}, ValueError, "once an epoch",
    ),
    "a loss without gradient": (
        {"loss": lambda y, targets: 1.0}, TypeError, r"loss: .*dy\), got float",
    ),
    "a loss's name": ({"loss": "mse"}, TypeError, "loss: expected a callable, got str"),
    "on_step": ({"on_step": 3}, TypeError, "on_step: expected a callable, got int"),
    "a metric": (
        {"metrics": {"a": 3}, "validation": batches()}, TypeError, "metrics: a: ",
    ),
    "states of two directions": (
        {"model": gru(bidirectional=True), "carry_state": True}, ValueError,
        "carry_state: expected layers that run forward",
    ),
    "no batches": ({"given": 3}, TypeError, "batches: expected batches to go through"),
    "lengths of one sequence": (
        {"given": [(X[:, 0], batches()[0][1][:, 0], [3])]}, ValueError, "lengths: ",
    ),
    "five things": ({"given": [(1, 2, 3, 4, 5)]}, TypeError, "got tuple of 5"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_of_train(name):
    given, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        run(**given)


@pytest.mark.parametrize("loss", [mse_loss, softmax_cross_entropy])
def test_divergence_is_told_once(loss):
    targets = np.zeros((5, 4, 2), np.float32)
    given = [
        (X * np.float32(1e15), IDS % 2 if loss is softmax_cross_entropy else targets)
    ]
    with pytest.raises(FloatingPointError, match="smaller learning rate"):
        run(given, loss=loss, model=Sequential(Linear(3, 2, rng=0)), epochs=100,
            optimizer=rnnext.SGD(1e20))  # fmt: skip


@pytest.mark.parametrize("options", [
    {"lengths": np.array([5, 2, 0, 3])},
    {"mask": MASK},
    {"lengths": np.array([5, 2, 0, 3]), "mask": MASK},
])  # fmt: skip
def test_orders_train_alike(options):
    """Lengths and masks reach model and loss, whatever comes first."""
    found = []
    for batch_first in (False, True):

        def ordered(array, swap=batch_first):
            return array.swapaxes(0, 1).copy() if swap and array is not None else array

        batch = (ordered(X), ordered(batches()[0][1]), options.get("lengths"),
                 ordered(options.get("mask")))  # fmt: skip
        chain = model(batch_first=batch_first)
        history = run([batch], model=chain, epochs=3, validation=[batch])
        found.append([*history.loss, history.epochs[-1]["validation_loss"]])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    y, _ = model()(X, **options)
    assert found[0][0] == mse_loss(y, batches()[0][1], **options)[0]


def test_losses_behind_a_pool_see_sequences():
    chain = Sequential(gru(), Pool(), Linear(6, 2, rng=1))
    batch = X, IDS[0] % 2, [5, 2, 1, 3]
    history = run([batch], model=chain, loss=softmax_cross_entropy, epochs=5)
    assert history.loss[-1] < history.loss[0]


def test_states_are_carried_in_validation():
    pieces = list(rnnext.truncated_bptt(X, batches()[0][1], 2))
    chain = model()
    history = run(pieces, model=chain, carry_state=True, validation=pieces)
    expected, state = [], None
    for x, targets in pieces:
        y, state = chain(x, state)
        expected.append(mse_loss(y, targets)[0])
    assert history.epochs[0]["validation_loss"] == pytest.approx(np.mean(expected))
    found = rnnext.evaluate(chain, pieces, mse_loss, carry_state=True)
    assert found == {"loss": pytest.approx(np.mean(expected))}


@pytest.mark.parametrize("batch_first", [False, True])
def test_pieces_know_their_lengths(batch_first):
    chain, lengths = model(batch_first=batch_first), [5, 2, 0, 3]
    x = X.swapaxes(0, 1) if batch_first else X
    whole, end = chain(x, lengths=lengths)
    state, ys = None, []
    for piece, targets, counts in rnnext.truncated_bptt(
        x, x, 2, lengths=lengths, batch_first=batch_first
    ):
        np.testing.assert_array_equal(piece, targets)
        y, state = chain(piece, state, lengths=counts)
        ys.append(y)
    np.testing.assert_array_equal(np.concatenate(ys, axis=int(batch_first)), whole)
    np.testing.assert_array_equal(state[0], end[0])


def test_a_recurrent_layer_is_a_model():
    history = run([(X, np.zeros((5, 4, 6), np.float32))], model=gru(), epochs=5)
    assert history.loss[-1] < history.loss[0]


def test_the_bar_moves_with_every_step(capsys):
    run(batches() * 3, epochs=2, progress=True, validation=batches())
    shown = capsys.readouterr().err
    assert "6/6" in shown
    assert "validation_loss=" in shown
    run(lambda: iter(batches()), progress=True)
    assert "1step" in capsys.readouterr().err


def test_batches_may_be_what_has_items_and_a_length():
    class Items:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return (batches() * 2)[i]

    assert run(Items(), epochs=2).steps == 4


# ---------------------------------------------------------------- the check


def test_the_check_takes_two_outputs():
    layer = rnnext.LSTM(3, 4, bidirectional=True, merge=None, rng=0)
    report = rnnext.check_gradients(layer, X)
    assert report.ok, report


@pytest.mark.parametrize("factor", [10, 30, 100])
def test_the_check_allows_for_rounding(factor):
    """Saturated gates have gradients that differences cannot resolve."""
    layer = rnnext.GRU(3, 4, 2, rng=0)
    layer.assign(**{k: v * factor for k, v in layer.state_dict().items()})
    report = rnnext.check_gradients(layer, np.full((5, 4, 3), 3.0))
    assert report.ok, report


def test_the_check_takes_any_strides():
    x, h_0 = np.ones((4, 5, 3)).swapaxes(0, 1), np.ones((6, 4, 1)).T
    report = rnnext.check_gradients(gru(), x, h_0)
    assert report.ok, report


def test_the_worst_is_what_is_no_number():
    report = rnnext.GradientReport({"a": 1.0, "b": math.nan, "c": 2.0}, {}, 1e-5)
    assert report.worst == "b"
    assert not report.ok


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"step": 0}, ValueError, "step: expected"),
        ({"tolerance": -1}, ValueError, "tolerance: expected"),
        ({"state": X}, TypeError, "state: Linear has none"),
        ({"lengths": [1]}, TypeError, "lengths: Linear takes none"),
    ],
)
def test_wrong_calls_of_the_check(options, error, message):
    with pytest.raises(error, match=message):
        rnnext.check_gradients(Linear(3, 2), X, **options)


@pytest.mark.parametrize(
    "call",
    [
        lambda ids: rnnext.Embedding(6, 2)(ids),
        lambda ids: softmax_cross_entropy(np.zeros((5, 4, 6)), ids),
    ],
    ids=["ids", "targets"],
)
def test_masked_arrays_are_refused(call):
    with pytest.raises(TypeError, match="a plain array"):
        call(np.ma.array(IDS, mask=MASK))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mse_loss(np.zeros(()), np.zeros(())), ValueError, "y: expected shape"),
        (lambda: rnnext.SGD(0.1).step(3, {}), TypeError, "model: expected"),
        (lambda: rnnext.Adam(betas=0.9), TypeError, "betas: expected a tuple of two"),
        (lambda: rnnext.Adam(betas=(0.9,)), TypeError, "betas: .* got tuple of 1"),
        (lambda: rnnext.clip_grad_norm([1], 1.0), TypeError, "gradients: expected"),
        (
            lambda: rnnext.Embedding(3, 2, padding_idx=3),
            ValueError,
            "padding_idx: expected 0 to V-1=2, got 3",
        ),
        (
            lambda: softmax_cross_entropy(X, IDS * 0, class_weights=[1, 2]),
            ValueError,
            r"class_weights: expected shape \(C=3,\), got \(2,\)",
        ),
        (
            lambda: softmax_cross_entropy(X, IDS * 0, class_weights=[1, 2, -3]),
            ValueError,
            "class_weights: expected finite",
        ),
        (
            lambda: softmax_cross_entropy(X, IDS * 0, label_smoothing=2),
            ValueError,
            "label_smoothing",
        ),
        (
            lambda: rnnext.truncated_bptt(X[:, 0, 0], X[:, 0, 0], 2, lengths=[5]),
            ValueError,
            "lengths: expected with x",
        ),
        (lambda: rnnext.truncated_bptt(3, X, 2), ValueError, "x: expected shape"),
    ],
)
def test_messages_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
