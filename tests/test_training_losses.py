"""Losses and schedules by hand; gradients by differences."""

import math

import numpy as np
import pytest

import rnnext
from rnnext import mse_loss, schedules, softmax_cross_entropy


def draw(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def test_cross_entropy_by_hand():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    loss, dlogits = softmax_cross_entropy(logits, np.array([0, 1]))
    assert loss == pytest.approx((math.log(2) + math.log(10)) / 2)
    expected = [[-0.25, 0.125, 0.125], [0.05, -0.45, 0.4]]
    np.testing.assert_allclose(dlogits, expected, rtol=1e-12)


def test_cross_entropy_of_far_logits():
    far = np.array([[0.0, 1e4]], np.float32)
    loss, dlogits = softmax_cross_entropy(far, np.array([0]))
    assert loss == 1e4
    assert dlogits.dtype == np.float32
    np.testing.assert_array_equal(dlogits, [[-1, 1]])


LENGTHS = np.array([4, 0, 2])
MASK = np.random.default_rng(3).random((4, 3)) < 0.5
COUNTING = {
    "all": {},
    "lengths": {"lengths": LENGTHS},
    "mask": {"mask": MASK},
    "both": {"lengths": LENGTHS, "mask": MASK},
    "none": {"mask": np.zeros((4, 3), bool)},
}


def counted(lengths=None, mask=None):
    rows = np.ones((4, 3), bool)
    if lengths is not None:
        rows &= np.arange(4)[:, None] < lengths
    return rows if mask is None else rows & mask


@pytest.mark.parametrize("name", COUNTING)
def test_only_what_counts_counts(name):
    options, rows = COUNTING[name], counted(**COUNTING[name])
    logits, targets = draw(4, 3, 5), np.random.default_rng(1).integers(0, 5, (4, 3))
    targets[~rows] = -100
    loss, dlogits = softmax_cross_entropy(logits, targets, **options)
    assert not dlogits[~rows].any()
    if not rows.any():
        assert loss == 0
        return
    expected, d_rows = softmax_cross_entropy(logits[rows], targets[rows])
    assert loss == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(dlogits[rows], d_rows, rtol=1e-14)
    values = draw(4, 3, 5) + 1
    loss, dy = mse_loss(logits, values, **options)
    assert loss == pytest.approx(np.square(logits - values)[rows].mean(), rel=1e-14)
    expected = 2 * (logits - values)[rows] / logits[rows].size
    np.testing.assert_allclose(dy[rows], expected, rtol=1e-13)
    assert not dy[~rows].any()


@pytest.mark.parametrize("name", COUNTING)
@pytest.mark.parametrize("loss", [softmax_cross_entropy, mse_loss])
def test_gradients(name, loss):
    y = draw(4, 3, 2)
    targets = draw(4, 3, 2) + 1
    if loss is softmax_cross_entropy:
        targets = (targets[..., 0] > 1).astype(int)
    _, dy = loss(y, targets, **COUNTING[name])
    for i in range(y.size):
        moved = []
        for size in (1e-5, -1e-5):
            other = y.copy()
            other.flat[i] += size
            moved.append(loss(other, targets, **COUNTING[name])[0])
        slope = (moved[0] - moved[1]) / 2e-5
        assert dy.flat[i] == pytest.approx(slope, rel=1e-6, abs=1e-10)


def test_values_that_do_not_count_may_be_anything():
    y, targets = draw(4, 3, 5), draw(4, 3, 5)
    targets[3, 2] = np.nan
    loss, dy = mse_loss(y, targets, lengths=[4, 4, 3])
    assert math.isfinite(loss)
    assert np.isfinite(dy).all()


Y, IDS = np.ones((4, 3, 5), np.float32), np.zeros((4, 3), int)
WRONG = {
    "logits": (lambda: softmax_cross_entropy([1.0], IDS), TypeError, "logits: "),
    "logits, dtype": (lambda: softmax_cross_entropy(IDS, IDS), TypeError, "logits: "),
    "no classes": (
        lambda: softmax_cross_entropy(Y[..., :0], IDS), ValueError, r"\(\.\.\., C\)",
    ),
    "targets, kind": (lambda: softmax_cross_entropy(Y, Y[..., 0]), TypeError, "int"),
    "targets, shape": (lambda: softmax_cross_entropy(Y, IDS[0]), ValueError, "targets"),
    "targets, value": (
        lambda: softmax_cross_entropy(Y, IDS + 5), ValueError, "0 to C-1=4, got 5",
    ),
    "lengths": (
        lambda: softmax_cross_entropy(Y[0], IDS[0], lengths=[1]), ValueError, "lengths",
    ),
    "lengths, value": (
        lambda: softmax_cross_entropy(Y, IDS, lengths=[5, 0, 0]), ValueError, "T=4",
    ),
    "mask": (lambda: mse_loss(Y, Y, mask=IDS), TypeError, "mask: expected booleans"),
    "mask, shape": (
        lambda: mse_loss(Y, Y, mask=IDS[0] > 0), ValueError, "mask: expected shape",
    ),
    "mse, shape": (lambda: mse_loss(Y, Y[0]), ValueError, "targets: expected shape"),
    "mse, dtype": (lambda: mse_loss(Y, Y.astype(float)), TypeError, "targets: "),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()


def test_schedules_by_hand():
    assert [schedules.constant(0.5)(t) for t in (0, 9)] == [0.5, 0.5]
    steps = schedules.step_decay(1.0, 3, 0.5)
    assert [steps(t) for t in (0, 2, 3, 6)] == [1, 1, 0.5, 0.25]
    assert schedules.exponential_decay(2.0, 0.5)(3) == 0.25
    cosine = schedules.cosine_decay(1.0, 10, 0.1)
    assert cosine(0) == 1
    assert cosine(5) == pytest.approx(0.55)
    assert cosine(10) == cosine(99) == pytest.approx(0.1)
    warm = schedules.warmup(4, schedules.exponential_decay(1.0, 0.5))
    assert [warm(t) for t in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 0.5]
    assert schedules.warmup(2, 3.0)(5) == 3.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.constant(math.nan),
        lambda: schedules.step_decay(1.0, 0),
        lambda: schedules.cosine_decay(1.0, -1),
        lambda: schedules.warmup(0, 1.0),
    ],
    ids=["constant", "step_decay", "cosine_decay", "warmup"],
)
def test_wrong_schedules(make):
    with pytest.raises(ValueError, match="expected"):
        make()


def test_the_norm_does_not_depend_on_the_layout():
    for seed in range(20):
        w = np.random.default_rng(seed).standard_normal((5, 7))
        norms = {
            rnnext.clip_grad_norm({"w": a}, 1e9) for a in (w, np.asfortranarray(w))
        }
        assert len(norms) == 1


def test_clipping_by_hand():
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]], np.float32)}
    assert rnnext.clip_grad_norm(gradients, 5.0) == 5.0
    np.testing.assert_array_equal(gradients["a"], [3, 0])
    assert rnnext.clip_grad_norm(gradients, 2.5) == 5.0
    np.testing.assert_allclose(gradients["a"], [1.5, 0])
    np.testing.assert_allclose(gradients["b"], [[2]])
    assert rnnext.clip_grad_norm({"a": np.array([1e300, 1e300])}, 1.0) == math.inf
    assert math.isnan(rnnext.clip_grad_norm({"a": np.array([math.nan])}, 1.0))
    for wrong in (0, -1, math.nan):
        with pytest.raises(ValueError, match="max_norm"):
            rnnext.clip_grad_norm(gradients, wrong)
