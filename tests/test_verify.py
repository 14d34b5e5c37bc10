"""A converted model beside its original: engines that cannot run it, or differ."""

import numpy as np
import pytest

import rnnext
import rnnext.onnx
from rnnext.app.verify import Case

MODELS = {
    "a layer": lambda: rnnext.LSTM(3, 4, rng=0),
    "a cell": lambda: rnnext.GRUCell(3, 4, rng=0),
    "a part": lambda: rnnext.Linear(3, 4, rng=0),
    "a chain": lambda: rnnext.Sequential(
        {"rnn": rnnext.GRU(3, 4, rng=0), "head": rnnext.Linear(4, 2, rng=0)}
    ),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_of_any_kind(make):
    case = Case(make())
    case.by_rnnext(make())
    assert case.ok
    assert case.differences == {"rnnext": 0.0}
    assert str(case) == "on a random input rnnext has the same bits"


def test_an_engine_that_cannot_run_it(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")

    def refuse(path):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    layer = rnnext.LSTM(3, 4, rng=0)
    rnnext.onnx.save(layer, path := str(tmp_path / "m.onnx"))
    case = Case(layer)
    case.by_onnx(path)
    assert case.notes == ["ONNX Runtime cannot run it: no such operator"]
    assert list(case.differences) == ["rnnext.onnx"]


def test_an_engine_whose_output_has_another_shape():
    case = Case(rnnext.Linear(3, 4, rng=0))
    with pytest.raises(ValueError, match=r"it gives an output of shape \(1,\), not"):
        case._compare("it", [np.zeros(1)])
