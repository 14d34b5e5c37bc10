"""The training kit against PyTorch, in float64."""

import numpy as np
import pytest

import rnnext

torch = pytest.importorskip("torch")
nn, optim = torch.nn, torch.optim

PAIRS = {
    "SGD": (lambda: rnnext.SGD(0.1), lambda p: optim.SGD(p, 0.1)),
    "momentum": (
        lambda: rnnext.SGD(0.1, 0.9, weight_decay=0.1),
        lambda p: optim.SGD(p, 0.1, 0.9, weight_decay=0.1),
    ),
    "Nesterov": (
        lambda: rnnext.SGD(0.1, 0.9, nesterov=True),
        lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True),
    ),
    "Adam": (lambda: rnnext.Adam(0.01), lambda p: optim.Adam(p, 0.01)),
    "Adam, decay": (
        lambda: rnnext.Adam(0.01, (0.8, 0.95), 1e-6, 0.1),
        lambda p: optim.Adam(p, 0.01, (0.8, 0.95), 1e-6, 0.1),
    ),
    "AdamW": (lambda: rnnext.AdamW(0.01), lambda p: optim.AdamW(p, 0.01)),
}


def close(ours, theirs, tolerance=1e-12):
    theirs = theirs.detach().numpy()
    scale = abs(theirs).max(initial=1e-3)
    assert ours.shape == theirs.shape
    assert abs(ours - theirs).max(initial=0) <= tolerance * scale


@pytest.mark.parametrize("name", PAIRS)
def test_fifty_steps(name):
    """Of a network on a classification, with every part of the kit."""
    rng = np.random.default_rng(0)
    model = rnnext.Sequential(
        {
            "table": rnnext.Embedding(11, 3, dtype=np.float64, rng=0),
            "rnn": rnnext.LSTM(3, 4, bidirectional=True, dtype=np.float64, rng=1),
            "head": rnnext.Linear(8, 5, dtype=np.float64, rng=2),
        }
    )
    table, rnn, head = nn.Embedding(11, 3), nn.LSTM(3, 4, bidirectional=True), None
    head = nn.Linear(8, 5)
    twin = nn.ModuleDict({"table": table, "rnn": rnn, "head": head}).double()
    arrays = {k: torch.from_numpy(v) for k, v in model.state_dict().items()}
    twin.load_state_dict(arrays)
    ours, theirs = (make() if i == 0 else make(twin.parameters())
                    for i, make in enumerate(PAIRS[name]))  # fmt: skip
    for _ in range(50):
        ids, targets = rng.integers(0, 11, (7, 3)), rng.integers(0, 5, (7, 3))
        logits, _, cache = model.forward(ids)
        loss, dlogits = rnnext.softmax_cross_entropy(logits, targets)
        gradients = model.backward(cache, dlogits)
        norm = rnnext.clip_grad_norm(gradients, 0.5)
        ours.step(model, gradients)

        theirs.zero_grad()
        found = head(rnn(table(torch.from_numpy(ids)))[0])
        loss_t = nn.functional.cross_entropy(
            found.reshape(-1, 5), torch.from_numpy(targets).reshape(-1)
        )
        loss_t.backward()
        norm_t = nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        theirs.step()
        assert loss == pytest.approx(float(loss_t.detach()), rel=1e-10)
        assert norm == pytest.approx(float(norm_t), rel=1e-9)
    # PyTorch divides the norm by itself plus 1e-6 when it clips.
    for key, parameter in twin.state_dict().items():
        close(model.parameters[key], parameter, 1e-4)


@pytest.mark.parametrize("name", PAIRS)
def test_fifty_steps_of_one_layer(name):
    layer = rnnext.Linear(6, 3, dtype=np.float64, rng=0)
    twin = nn.Linear(6, 3).double()
    twin.load_state_dict(
        {k: torch.from_numpy(v) for k, v in layer.state_dict().items()}
    )
    ours, theirs = PAIRS[name][0](), PAIRS[name][1](twin.parameters())
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, targets = rng.standard_normal((4, 6)), rng.standard_normal((4, 3))
        y, cache = layer.forward(x)
        loss, dy = rnnext.mse_loss(y, targets)
        ours.step(layer, layer.backward(cache, dy))
        theirs.zero_grad()
        loss_t = nn.functional.mse_loss(
            twin(torch.from_numpy(x)), torch.from_numpy(targets)
        )
        loss_t.backward()
        theirs.step()
        assert loss == pytest.approx(float(loss_t.detach()), rel=1e-11)
    for key, parameter in twin.state_dict().items():
        close(layer.parameters[key], parameter)


def test_start_is_of_their_distribution():
    """Of the same bounds, that is."""
    w = rnnext.Linear(50, 400, rng=0).parameters["weight"]
    theirs = nn.Linear(50, 400).weight.detach().numpy()
    assert abs(w).max() <= 50**-0.5
    assert w.std() == pytest.approx(theirs.std(), rel=0.03)
