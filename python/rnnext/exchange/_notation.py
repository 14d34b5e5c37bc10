"""The table: in what order each notation has the gates, and what it can express.

Everything else about a notation (names, axes, how many biases) is in the module that
bears its name. Inside, everything is in rnnext's order, which is PyTorch's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation import integer, no_mask


class Notation(NamedTuple):
    """One row. Gates by PyTorch's letters: LSTM i f g o, GRU r z n."""

    name: str
    lstm: str
    gru: str
    resets: tuple[bool, ...]  # values of reset_after that its GRU can have
    peephole: str = ""  # order of the peepholes, if it has them
    projection: bool = False
    rnn: str = "h"  # empty: it has no Elman network
    lacks: tuple[str, ...] = ()  # options of a layer that it has in no form

    def order(self, family: str) -> str:
        """Of the gates of "rnn", "lstm" or "gru"."""
        return {"rnn": self.rnn, "lstm": self.lstm, "gru": self.gru}[family]


_CLIPS = ("gate_clip", "cell_clip", "coupled")
_FIXED = ("activations", *_CLIPS)
_PLAIN = ("merge", "reverse", *_FIXED)

RNNEXT = Notation("rnnext", "ifgo", "rzn", (True, False), "ifo", True)
PYTORCH = Notation("PyTorch", "ifgo", "rzn", (True,), projection=True, lacks=_PLAIN)
KERAS = Notation("Keras", "ifgo", "zrn", (True, False), lacks=_CLIPS)
FLAX = Notation("Flax", "ifgo", "rzn", (True,), lacks=_CLIPS)
HASTE = Notation("haste", "igfo", "zrn", (True,), rnn="", lacks=_PLAIN)
ONEDNN = Notation("oneDNN", "ifgo", "zrn", (True, False), "ifo", True, lacks=_FIXED)
ONNX = Notation("ONNX", "iofg", "zrn", (True, False), "iof", lacks=("cell_clip",))
COURSE = Notation(
    "the course", "ifgo", "rzn", (False,), lacks=("nonlinearity", *_PLAIN)
)


def reorder(array: NDArray[Any], source: str, target: str, axis: int = 0) -> Any:
    """The blocks of an axis, one for each letter, in another order.

    Parameters
    ----------
    array : ndarray
        Its axis is as many blocks of one size as `source` has letters.
    source, target : str
        The same letters, in the order in which the blocks are and are wanted.
    axis : int, default 0
        Which axis.

    Returns
    -------
    ndarray
        A new array of the same shape.

    Raises
    ------
    ValueError
        If the letters differ, or the axis cannot be cut into so many blocks.

    Examples
    --------
    The input weights of an LSTM from ONNX's order to PyTorch's:

    >>> import numpy as np
    >>> from rnnext.exchange import reorder
    >>> reorder(np.arange(8).reshape(8, 1), "iofg", "ifgo").ravel()
    array([0, 1, 4, 5, 6, 7, 2, 3])
    """
    for name, letters in (("source", source), ("target", target)):
        if not isinstance(letters, str):
            raise TypeError(f"{name}: expected a string, got {type(letters).__name__}")
    if not isinstance(array, np.ndarray):
        raise TypeError(f"array: expected an array, got {type(array).__name__}")
    no_mask("array", array)
    array = np.asarray(array)
    axis, axes = integer("axis", axis), array.ndim
    if not -axes <= axis < axes:
        raise ValueError(f"axis: expected one of {axes} axes of array, got {axis}")
    if (
        not source
        or sorted(source) != sorted(target)
        or len(set(source)) != len(source)
    ):
        raise ValueError(
            f"target: expected the letters of source={source!r} in another order, got "
            f"{target!r}"
        )
    blocks, size = len(source), array.shape[axis]
    if size % blocks:
        raise ValueError(
            f"array: expected axis {axis} to be {blocks} blocks ({source}), got {size}"
        )
    at = axis % array.ndim
    split = (*array.shape[:at], blocks, size // blocks, *array.shape[at + 1 :])
    taken = np.take(array.reshape(split), [source.index(g) for g in target], axis=at)
    return taken.reshape(array.shape)
