"""The C++ extension: packed weights, whole-network calls, threads, instruction sets.

Everything here takes C-contiguous arrays of one dtype (float32 or float64) and
trusts nothing: shapes are checked again for memory safety (ValueError, TypeError).
Letters: T steps, N batch, I input size, H hidden size, G gates, L layers,
D directions (1 or 2). Lists over layers and directions: layer * D + direction.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .course._notation import Gate, Notation

Float = np.floating[Any]
Array = NDArray[Float]

# (x (T,N,I_l), h (T+1,N,H), c (T+1,N,H) or None, gates (T,N,S,H)) of one layer and
# direction. h, c and gates are in order of computation, x in order of time. S = G,
# but 0 for the RNN cells (h says it all) and 4 for "gru": r z n, then W_hn h + b_hn.
Saved = tuple[Array, Array, Array | None, Array]
# (dw_ih (G*H,I_l), dw_hh (G*H,H), db_ih (G*H,), db_hh (G*H,))
CellGradients = tuple[Array, Array, Array, Array]

__version__: str

@final
class Weights:
    """One layer's and direction's weights, packed for the kernels; never changes.

    cell: "rnn_tanh", "rnn_relu", "lstm", "gru" (reset after the recurrent product)
    or "gru_reset_before". Gate order and shapes are PyTorch's: w_ih (G*H, I),
    w_hh (G*H, H), biases (G*H,) or None. backward=False leaves out what only
    `backward` needs.
    """

    def __init__(
        self,
        cell: str,
        w_ih: Array,
        w_hh: Array,
        b_ih: Array | None,
        b_hh: Array | None,
        backward: bool,
    ) -> None: ...
    @property
    def cell(self) -> str: ...
    @property
    def input_size(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def has_backward(self) -> bool: ...

def forward(
    weights: Sequence[Weights],
    directions: int,
    x: Array,  # (T, N, I)
    h_0: Array | None,  # (L*D, N, H)
    c_0: Array | None,
    masks: Sequence[Array] | None,  # factors of outputs, L-1 arrays (T, N, D*H)
    training: bool,
) -> tuple[Array, Array, Array | None, list[Saved] | None]:
    """y (T,N,D*H), h_n (L*D,N,H), c_n or None, and what `backward` needs or None."""

def backward(
    weights: Sequence[Weights],
    directions: int,
    saved: Sequence[Saved],
    dy: Array | None,  # (T', N, D*H)
    dh_n: Array | None,  # (L*D, N, H)
    dc_n: Array | None,
    dc: Array | None,  # (L*D, T', N, H), gradient of every c_t in order of computation
    masks: Sequence[Array] | None,
    need_x: bool,
) -> tuple[Array | None, Array, Array | None, list[CellGradients]]:
    """dx (T',N,I) or None, dh_0, dc_0 or None, and the gradients of the parameters.

    With one direction the saved arrays may be cut to their first T' steps
    (x[:T'], h[:T'+1], ...): only those are back-propagated.
    """

@final
class Stepper:
    """The state of a one-direction network that is fed one step at a time."""

    def __init__(self, weights: Sequence[Weights], batch_size: int) -> None: ...
    def step(self, x: Array, out: Array) -> None:
        """x (N, I) to out (N, H), both C-contiguous; the state moves on."""
    def set_weights(self, weights: Sequence[Weights]) -> None: ...
    def get_state(self) -> tuple[Array, Array | None]:
        """Copies of h (L,N,H) and c (L,N,H) or None."""
    def set_state(self, h: Array | None, c: Array | None) -> None:
        """None is zero."""

# What is behind rnnext.course; feature-first arrays (n, m) and (n, m, T), any strides.
# Names and sizes are the course's.

@final
class CourseNotation:
    """One notation's table, looked up once."""

    def __init__(
        self,
        table: Notation,
        cell: str,
        gates: Sequence[Gate],  # in PyTorch's order
        w_y: str,
        b_y: str,
        entries: Sequence[str],
        cell_gradients: Mapping[str, str],
        loop_gradients: Mapping[str, str],
    ) -> None: ...

@final
class CourseModel:
    """The parameters of a dict, copied and packed; never changes."""

    def __init__(
        self, notation: CourseNotation, parameters: dict[str, Array]
    ) -> None: ...

@final
class CourseRun:
    """Consecutive steps of one model, with what `backward` needs of them."""

    def __init__(self, model: CourseModel, steps: int, batch_size: int) -> None:
        """Arrays yet to be filled."""
    def __len__(self) -> int:
        """The number of steps."""
    @property
    def table(self) -> Notation: ...
    @property
    def outputs(self) -> int: ...
    @property
    def arrays(self) -> Saved:
        """Views; writing to them changes the run."""
    def cache(self, t: int, parameters: object) -> tuple[Any, ...]:
        """What is in the cell cache of step t: views, and the parameters."""
    def backward(
        self,
        notations: tuple[CourseNotation, ...],  # of which the run's must be one
        start: int,  # the first step
        da: object,
        dc: object,
        dy: object,
        dh: Array | None,  # (m, n_a): the next step's, then the one for the step before
        cell: bool,
    ) -> dict[str, Array] | None:
        """The gradients under their names; None: wrong, or right after a conversion."""

def course_forward(
    notations: tuple[CourseNotation, ...],
    x: object,
    a0: object,
    c0: object,
    parameters: object,
    cell: bool,
) -> tuple[CourseRun, Array, Array, Array | None] | None:
    """The run, a, y, and c or None; None: wrong, or right after a conversion."""

def linear(x: Array, w: Array, b: Array | None) -> Array:
    """x (M, K) times w (O, K) transposed plus b (O,): (M, O)."""

def matmul_tn(a: Array, b: Array) -> Array:
    """a (K, M) transposed times b (K, O): (M, O), summed over K in a fixed order."""

def softmax(x: Array) -> Array:
    """Softmax over the last axis of x (M, O), each row with its own maximum."""

def exp(x: Array) -> Array: ...
def sigmoid(x: Array) -> Array: ...
def tanh(x: Array) -> Array: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def isa() -> str:
    """The instruction set in use."""

def available_isas() -> list[str]:
    """Those that this build has and this CPU can run, best first."""

def compiled_isas() -> list[str]: ...
def set_isa(name: str) -> None:
    """For tests; weights packed before are repacked by their owner, not here."""

def compiler() -> str: ...
def debug_build() -> bool: ...
