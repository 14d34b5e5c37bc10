"""What trains networks: layers around the recurrent ones, losses, optimisers, a loop.

Everything has its forward and its backward, written out: there is no automatic
differentiation.
"""

from . import schedules
from .batches import truncated_bptt
from .checks import GradientReport, check_gradients
from .dropout import Dropout
from .embedding import Embedding
from .linear import Linear
from .loop import History, evaluate, train
from .losses import mse_loss, softmax_cross_entropy
from .optimizers import SGD, Adam, AdamW, clip_grad_norm
from .pool import Pool
from .sequential import Sequential

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Dropout",
    "Embedding",
    "GradientReport",
    "History",
    "Linear",
    "Pool",
    "Sequential",
    "check_gradients",
    "clip_grad_norm",
    "evaluate",
    "mse_loss",
    "schedules",
    "softmax_cross_entropy",
    "train",
    "truncated_bptt",
]
