"""RNN, LSTM and GRU as modules of PyTorch: its interface, the numbers of rnnext.

``from rnnext.torch import LSTM`` in place of ``from torch.nn import LSTM``: the same
arguments, parameters and initial values (for one seed), a `state_dict` that goes both
ways, and autograd. They are subclasses of PyTorch's own, for the CPU, in float32 or
float64; they need the extra ``torch``.

_modules    the three modules and their constructors
_computed   their call: what it takes, whether gradients are wanted
_binding    tensors and arrays that share memory; a module's layer of rnnext
_autograd   a layer's forward and backward as one function of autograd
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        'rnnext.torch needs PyTorch: pip install "rnnext[torch]"'
    ) from error

from ._modules import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN"]
