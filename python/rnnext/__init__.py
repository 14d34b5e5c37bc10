"""RNN, LSTM and GRU for the CPU: hand-written C++ forward and backward over NumPy.

Three doors into one engine: the functions of the course (`rnn_forward` ...), layers as
PyTorch users know them (`LSTM` ...), and streams that take one step at a time.
"""

import sys as _sys

from ._cache import Cache, Gradients
from ._config import config, get_num_threads, set_num_threads, show_config
from ._core import __version__
from ._stream import Stream
from .cells import GRUCell, LSTMCell, RNNCell
from .course import (
    gru_backward,
    gru_cell_backward,
    gru_cell_forward,
    gru_forward,
    lstm_backward,
    lstm_cell_backward,
    lstm_cell_forward,
    lstm_forward,
    rnn_backward,
    rnn_cell_backward,
    rnn_cell_forward,
    rnn_forward,
    sigmoid,
    softmax,
)
from .files import load, save
from .layers import GRU, LSTM, RNN
from .training import (
    SGD,
    Adam,
    AdamW,
    Dropout,
    Embedding,
    GradientReport,
    History,
    Linear,
    Pool,
    Sequential,
    check_gradients,
    clip_grad_norm,
    evaluate,
    mse_loss,
    schedules,
    softmax_cross_entropy,
    train,
    truncated_bptt,
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adam",
    "AdamW",
    "Cache",
    "Dropout",
    "Embedding",
    "GRUCell",
    "GradientReport",
    "Gradients",
    "History",
    "LSTMCell",
    "Linear",
    "Pool",
    "RNNCell",
    "Sequential",
    "Stream",
    "__version__",
    "check_gradients",
    "clip_grad_norm",
    "config",
    "evaluate",
    "get_num_threads",
    "gru_backward",
    "gru_cell_backward",
    "gru_cell_forward",
    "gru_forward",
    "load",
    "lstm_backward",
    "lstm_cell_backward",
    "lstm_cell_forward",
    "lstm_forward",
    "mse_loss",
    "rnn_backward",
    "rnn_cell_backward",
    "rnn_cell_forward",
    "rnn_forward",
    "save",
    "schedules",
    "set_num_threads",
    "show_config",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "train",
    "truncated_bptt",
]

# Modules that `import rnnext` leaves out, with the packages that they need.
_MODULES = ("distributed", "exchange", "onnx", "plot", "sklearn", "torch")


def __getattr__(name: str) -> object:
    if name in _MODULES:
        message = f"rnnext.{name} is a module of its own: import rnnext.{name}"
    else:
        message = f"module 'rnnext' has no attribute {name!r}"
    # With these two, Python itself adds the nearest name.
    raise AttributeError(message, name=name, obj=_sys.modules[__name__])
