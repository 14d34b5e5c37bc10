"""The C++ extension: packed weights, whole-network calls, threads, instruction sets.

Everything here takes C-contiguous arrays of one dtype (float32 or float64) and
trusts nothing: shapes are checked again for memory safety (ValueError, TypeError).
Letters: T steps, N batch, I input size, H hidden size, G gates, L layers,
D directions (1 or 2), F features of an output. Lists over layers and directions:
layer * D + direction.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .course._notation import Gate, Notation

Float = np.floating[Any]
Array = NDArray[Float]

# (x (T,N,I_l), h (T+1,N,H), c (T+1,N,H) or None, gates (T,N,S,H)) of one layer and
# direction. h, c and gates are in order of computation, x in order of time; the first x
# has the axes of the input. S = G, but 0 for the RNN cells (h says it all) and 4 for
# "gru": r z n, then W_hn h + b_hn; with options G more, the slopes of the activations.
Saved = tuple[Array, Array, Array | None, Array]

# h, or where the cell has a c, a tuple (h, c), of which any part may be None.
StateInput = Array | tuple[Array | None, Array | None] | None
# Factors of dropout, any of which may be None: of outputs but the last, L-1 arrays
# (T,N,F); of inputs at every step, L*D arrays (N,I_l); of h at every step, where the
# recurrent products read it, L*D arrays (N,H).
Masks = (
    tuple[Sequence[Array] | None, Sequence[Array] | None, Sequence[Array] | None] | None
)
# y, of directions that stay apart a tuple of two, or of a cell None; the state; and
# what `backward` needs, or None.
NetworkResult = tuple[Any, Any, Any]
# Of one direction: (name, alpha, beta) for every gate and, where the cell has a c, its
# output, ONNX's names; gate_clip; cell_clip (infinity: none); coupled.
CellOptions = tuple[Sequence[tuple[str, float, float]], float, float, bool]
# dx or None; the gradient of the initial state; of every layer and direction dw_ih
# (G*H,I_l), dw_hh (G*H,H), db_ih (G*H,), db_hh (G*H,), with a projection dw_hr (P,H),
# with peepholes dw_ch (3,H).
NetworkGradients = tuple[Any, Any, list[Array]]

__version__: str

@final
class Stack:
    """The weights of a network, packed for the kernels; never changes.

    cell: "rnn_tanh", "rnn_relu", "lstm", "gru" (reset after the recurrent product)
    or "gru_reset_before". layers: (w_ih, w_hh, b_ih, b_hh) of every layer and
    direction, in PyTorch's gate order: w_ih (G*H, I), from the second layer on
    (G*H, F), w_hh (G*H, H), biases (G*H,) or None. A fifth, w_ch (3, H) or None, are
    the peepholes of an LSTM with options; a sixth, w_hr (P, H) or None, the projection
    of an LSTM: then w_hh is (G*H, P), and P stands for H in F and in all h.
    merge: what becomes of two directions, "concat" (F = D*H), "sum", "mul", "ave"
    (F = H) or None, which leaves them apart (F = H, one layer). reverse: the only
    direction runs from the end. options: of every direction; None where the cell is as
    its authors wrote it.
    """

    def __init__(
        self,
        cell: str,
        layers: Sequence[Sequence[Array | None]],
        directions: int,
        merge: str | None = "concat",
        reverse: bool = False,
        options: Sequence[CellOptions | None] | None = None,
    ) -> None: ...

@final
class Coverage:
    """Which steps of which sequences a call computes, where that is not all of them.

    A run is a stretch of a sequence that begins from the initial state. lengths (N,),
    mask (T, N): the step exists, reset (T, N): it begins a run. reverse: of every
    direction, whether it runs from the end. hold: outputs of steps that do not exist
    are those of the step before, else zero. With a coverage, saved h and c are
    (runs + rows, H) and gates (rows, S, H): the initial states of all runs, and then a
    row for every step that exists.
    """

    def __init__(
        self,
        T: int,
        N: int,
        lengths: NDArray[np.intp] | None,
        mask: NDArray[np.bool_] | None,
        reset: NDArray[np.bool_] | None,
        reverse: Sequence[bool],
        hold: bool,
    ) -> None: ...
    @property
    def steps(self) -> int:
        """T."""
    @property
    def batch_size(self) -> int:
        """N."""
    def rows(self, direction: int) -> NDArray[np.intp]:
        """(T, N): the row of a step, by time; -1 if it does not exist."""
    def starts(self, direction: int) -> NDArray[np.intp]:
        """(N,): a row of saved states that holds a sequence's initial one."""

# What users hand over may be anything, with any strides. None comes back, and nothing
# has happened, where a dtype or a shape is wrong or an array not of NumPy's own type.
# x, y and states are (T,N,features) and (L*D,N,H), or unbatched (T,features) and
# (L*D,H); of a cell (N,features) and (N,H), or (features,) and (H,).

def forward(
    weights: Stack,
    x: object,
    state: object,
    training: bool,  # the input is copied
    masks: Masks = None,
    coverage: Coverage | None = None,
) -> NetworkResult | None: ...
def backward(
    weights: Stack,
    saved: Sequence[Saved],
    dy: object,  # (T', N, F), or a tuple of two
    dstate: object,
    dc: object,  # (L*D, T', N, H), gradient of every c_t in order of computation
    batched: bool,
    need_x: bool,
    masks: Masks = None,
    coverage: Coverage | None = None,
) -> NetworkGradients | None:
    """dc has the rows of the saved gates. With one direction from the start and no
    coverage the saved arrays may be cut to their first T' steps (x[:T'], h[:T'+1],
    ...): only those are back-propagated.
    """

def forward_cell(
    weights: Stack, x: object, state: object, training: bool
) -> NetworkResult | None: ...
def backward_cell(
    weights: Stack, saved: Sequence[Saved], dstate: object, batched: bool
) -> NetworkGradients | None: ...

@final
class Stepper:
    """The state of a one-direction network that is fed one step at a time."""

    def __init__(self, weights: Stack, batch_size: int) -> None: ...
    def get_state(self) -> Any:
        """A copy, of arrays (L, N, H)."""

    def set_state(self, state: object) -> None:
        """None is zero."""

def step(stepper: Stepper, weights: Stack, x: object, out: object) -> Array | None:
    """x (N, I) to out (N, H), C-contiguous, or to a new array; the state moves on.

    None also where the weights are of another kind than those it began with.
    """

def writable_views(arrays: dict[str, Array]) -> dict[str, Array]:
    """Views of read-only arrays that may be written to.

    Views of these refer to them and not to the arrays: references tell whether there
    are any.
    """

def close_views(views: dict[str, Array], given: dict[str, Array]) -> tuple[str, ...]:
    """Make them read-only, and name those that are referred to from elsewhere.

    `given` is another mapping that may hold them.
    """

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
def measure_peak(dtype: str, threads: int) -> float:
    """FLOP/s of multiply-adds in registers, `threads` threads together."""

def measure_read(bytes: int, threads: int) -> float:
    """Bytes/s of `threads` threads together, each reading `bytes` of its own."""

def measure_barrier(threads: int) -> float:
    """Seconds that `threads` threads take to meet."""

def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def assume_quick_threads(assume: bool) -> None:
    """For tests: threads are thought to be awake, and to meet in next to no time."""

def isa() -> str:
    """The instruction set in use."""

def available_isas() -> list[str]:
    """Those that this build has and this CPU can run, best first."""

def compiled_isas() -> list[str]: ...
def plans(
    weights: Stack, T: int, N: int, backward: bool
) -> list[tuple[int, str, int, int]]:
    """For tests: threads, "rows" or "units", slab, chunk; of every layer, direction."""

def side_by_side(weights: Stack, T: int, N: int) -> int:
    """For tests: threads that would take layers or directions side by side, or 1."""

def set_isa(name: str) -> None:
    """For tests; weights packed before are repacked by their owner, not here."""

def compiler() -> str: ...
def debug_build() -> bool: ...
