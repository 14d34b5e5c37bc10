"""Models that PyTorch exports."""

import io
import warnings

import numpy as np
import pytest

import rnnext.onnx

torch = pytest.importorskip("torch")


class Classifier(torch.nn.Module):
    def __init__(self, kind):
        super().__init__()
        layer = getattr(torch.nn, kind)
        self.rnn = layer(3, 8, 2, batch_first=True, bidirectional=True)
        self.linear = torch.nn.Linear(16, 5)

    def forward(self, x):
        y, _ = self.rnn(x)
        return torch.log_softmax(self.linear(y[:, -1]), -1), y.mean(1)


def exported(module, x, opset):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        torch.onnx.export(
            module,
            x,
            file,
            opset_version=opset,
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "N", 1: "T"}},
        )
    return file.getvalue()


@pytest.mark.parametrize("opset", [9, 13, 17])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_exported(kind, opset):
    """For other N and T than those of the export."""
    torch.manual_seed(0)
    module = Classifier(kind).eval()
    model = rnnext.onnx.load(exported(module, torch.randn(2, 6, 3), opset))
    x = torch.randn(4, 9, 3)
    with torch.no_grad():
        expected = [array.numpy() for array in module(x)]
    for found, array in zip(model(x.numpy()), expected, strict=True):
        assert found.shape == array.shape
        assert np.abs(found - array).max() < 1e-6
