"""The course's notations and their place in PyTorch's layout.

Gate, Notation    one row of the table
Family            the notations that the functions of one cell know
RNN, LSTM, GRU    the table
find, read        the notation of a dict of parameters, its arrays and sizes
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from numpy.typing import ArrayLike

from .. import _core
from ._checks import Array, is_real, real, shape_error

Parameters = Mapping[str, ArrayLike]


class Gate(NamedTuple):
    """What the course calls one block of rows of PyTorch's weights.

    If `recurrent` and `input` are one name, that matrix has the columns [a_prev; x].
    `complement`: the course's gate is one minus PyTorch's. Since
    1 - sigmoid(v) = sigmoid(-v), its weights and bias change sign.
    """

    value: str | None  # in the cell cache; None if the state says it all
    recurrent: str
    input: str
    bias: str
    complement: bool = False


@dataclass(frozen=True, eq=False)
class Notation:
    """One way to name the parameters, caches and gradients of one cell.

    The two tables of gradients map the name in the result to the quantity: a
    parameter's name, "x", "h" and "c" (the state before), or "dtanh".
    """

    cell: str  # the core's name
    gates: tuple[Gate, ...]  # in PyTorch's order
    output: tuple[str, str]  # weight and bias of the output layer
    entries: tuple[str, ...]  # of a cell cache
    cell_gradients: Mapping[str, str]
    loop_gradients: Mapping[str, str]
    caches_with_x: bool = True  # caches is (list, x), not the list alone

    @property
    def family(self) -> str:
        """The first word of its functions: rnn, lstm or gru."""
        return self.cell.split("_")[0]

    @cached_property
    def core(self) -> _core.CourseNotation:
        """The same table in the core."""
        return _core.CourseNotation(
            self,
            self.cell,
            self.gates,
            *self.output,
            self.entries,
            self.cell_gradients,
            self.loop_gradients,
        )

    @cached_property
    def joint(self) -> bool:
        """Whether one matrix holds a gate's recurrent and input weights."""
        return self.gates[0].recurrent == self.gates[0].input

    @cached_property
    def shapes(self) -> Mapping[str, tuple[str, str]]:
        """The parameters' names and the letters of their sizes."""
        shapes = {}
        for gate in self.gates:
            if self.joint:
                shapes[gate.input] = ("n_a", "n_a + n_x")
            else:
                shapes[gate.input] = ("n_a", "n_x")
                shapes[gate.recurrent] = ("n_a", "n_a")
            shapes[gate.bias] = ("n_a", "")
        weight, bias = self.output
        return {**shapes, weight: ("n_y", "n_a"), bias: ("n_y", "")}


class Family:
    """The notations that the functions of one cell know."""

    def __init__(self, *notations: Notation) -> None:
        self.notations = notations
        self.name = notations[0].family
        self.entries = notations[0].entries  # the same in all
        self.core = tuple([notation.core for notation in notations])


_RNN_ENTRIES = ("a_next", "a_prev", "xt", "parameters")
RNN = Family(
    Notation(
        cell="rnn_tanh",
        gates=(Gate(None, "Waa", "Wax", "ba"),),
        output=("Wya", "by"),
        entries=_RNN_ENTRIES,
        cell_gradients={
            "dxt": "x",
            "da_prev": "h",
            "dWax": "Wax",
            "dWaa": "Waa",
            "dba": "ba",
        },
        loop_gradients={
            "dx": "x",
            "da0": "h",
            "dWax": "Wax",
            "dWaa": "Waa",
            "dba": "ba",
        },
    ),
    Notation(
        cell="rnn_tanh",
        gates=(Gate(None, "W", "U", "ba"),),
        output=("V", "by"),
        entries=_RNN_ENTRIES,
        cell_gradients={
            "dtanh": "dtanh",
            "dU": "U",
            "dW": "W",
            "dba": "ba",
            "dx_t": "x",
            "ds_prev": "h",
        },
        loop_gradients={"dU": "U", "dW": "W", "dba": "ba", "dx": "x"},
        caches_with_x=False,
    ),
)

_LSTM_GRADIENTS = {
    "d" + name: name for name in ("Wf", "bf", "Wi", "bi", "Wc", "bc", "Wo", "bo")
}
LSTM = Family(
    Notation(
        cell="lstm",
        gates=(
            Gate("it", "Wi", "Wi", "bi"),
            Gate("ft", "Wf", "Wf", "bf"),
            Gate("cct", "Wc", "Wc", "bc"),
            Gate("ot", "Wo", "Wo", "bo"),
        ),
        output=("Wy", "by"),
        entries=(
            *("a_next", "c_next", "a_prev", "c_prev"),
            *("ft", "it", "cct", "ot", "xt", "parameters"),
        ),
        cell_gradients={"dxt": "x", "da_prev": "h", "dc_prev": "c", **_LSTM_GRADIENTS},
        loop_gradients={"dx": "x", "da0": "h", "dc0": "c", **_LSTM_GRADIENTS},
    ),
)

_GRU_GRADIENTS = {"d" + name: name for name in ("Wu", "bu", "Wr", "br", "Wc", "bc")}
GRU = Family(
    Notation(
        cell="gru_reset_before",
        gates=(
            Gate("rt", "Wr", "Wr", "br"),
            Gate("ut", "Wu", "Wu", "bu", complement=True),
            Gate("cct", "Wc", "Wc", "bc"),
        ),
        output=("Wy", "by"),
        entries=("a_next", "a_prev", "ut", "rt", "cct", "xt", "parameters"),
        cell_gradients={"dxt": "x", "da_prev": "h", **_GRU_GRADIENTS},
        loop_gradients={"dx": "x", "da0": "h", **_GRU_GRADIENTS},
    ),
)


class Sizes(NamedTuple):
    """The letters of a cell."""

    n_a: int
    n_x: int
    n_y: int


def find(family: Family, parameters: Parameters) -> Notation:
    """The notation whose names are all there; ValueError naming the missing ones."""
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters: expected a dict, got {type(parameters).__name__}")
    for notation in family.notations:
        if parameters.keys() >= notation.shapes.keys():
            return notation
    missing = [
        ([name for name in notation.shapes if name not in parameters], notation)
        for notation in family.notations
    ]
    missing.sort(key=lambda pair: len(pair[0]))
    choices = (
        f"{', '.join(map(repr, names))} of the notation {' '.join(notation.shapes)}"
        for names, notation in missing
    )
    raise ValueError("parameters: missing " + ", or ".join(choices))


def read(notation: Notation, parameters: Parameters) -> tuple[dict[str, Array], Sizes]:
    """The parameters as arrays whose shapes fit each other, and their letters."""
    arrays = {}
    for name in notation.shapes:
        value = parameters[name]
        if not is_real(value):
            value = real(f"parameters[{name!r}]", value)
        arrays[name] = value
    sizes = _sizes(notation, tuple([array.shape for array in arrays.values()]))
    if sizes is None:
        raise _misfit(notation, arrays)
    return arrays, sizes


@lru_cache(maxsize=256)
def _sizes(notation: Notation, shapes: tuple[tuple[int, ...], ...]) -> Sizes | None:
    """The letters if the parameters' shapes fit each other, else None."""
    sizes = _vote(notation, shapes)
    for letters, shape in zip(notation.shapes.values(), shapes, strict=True):
        if shape != tuple(sizes.get(letter, 1) for letter in letters):
            return None
    n_x = sizes["n_a + n_x"] - sizes["n_a"] if notation.joint else sizes["n_x"]
    fitting = Sizes(sizes["n_a"], n_x, sizes["n_y"])
    return fitting if min(fitting) >= 1 else None


def _vote(notation: Notation, shapes: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    """Each letter's most frequent size: one wrong array does not outvote the rest."""
    votes: dict[str, Counter[int]] = {}
    for letters, shape in zip(notation.shapes.values(), shapes, strict=True):
        if len(shape) == 2:
            for letter, size in zip(letters, shape, strict=True):
                votes.setdefault(letter, Counter())[size] += 1
    sizes = {letter: vote.most_common(1)[0][0] for letter, vote in votes.items()}
    return {**sizes, "": 1}


def _misfit(notation: Notation, arrays: Mapping[str, Array]) -> ValueError:
    """The error of the first array that does not fit the others."""
    sizes = _vote(notation, tuple(array.shape for array in arrays.values()))
    for name, letters in notation.shapes.items():
        expected = [(letter, sizes.get(letter)) for letter in letters]
        if arrays[name].shape != tuple(size for _, size in expected):
            return shape_error(f"parameters[{name!r}]", arrays[name], expected)
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    return ValueError(
        f"parameters: expected n_a, n_x and n_y of at least 1, got {shapes}"
    )
