"""How much may be computed of constants while a model is read.

A file of some hundred bytes can ask for any amount of memory: a constant of a shape,
one that is doubled again and again, the outer sum of two. What a run computes is the
caller's affair; reading takes memory in proportion to the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ._node import Node, Tensor

_SMALL = 1 << 24  # numbers, always allowed
_TIMES = 32  # the bytes of the file


class Budget:
    """Numbers that are left to compute.

    Parameters
    ----------
    size : int
        Of the file, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._left = _SMALL + _TIMES * size

    def spend(self, node: Node, inputs: Sequence[Tensor | None]) -> None:
        """ValueError if the outputs of a node would be more than is left."""
        numbers = _outputs(node, inputs)
        if numbers > self._left:
            raise node.fault(
                f"expected constants in proportion to the file, got {numbers} numbers "
                f"to compute, where {self._left} are left"
            )
        self._left -= numbers


def _outputs(node: Node, inputs: Sequence[Tensor | None]) -> int:
    """The most numbers that the outputs of a node can have."""
    given = [array for array in inputs if array is not None]
    total = sum(array.size for array in given)
    if not given:
        return 0
    first, last = given[0], given[-1]
    if node.op in ("ConstantOfShape", "Expand"):
        return max(total, math.prod(abs(int(n)) for n in last.reshape(-1)))
    if node.op == "Tile":
        times = math.prod(abs(int(n)) for n in last.reshape(-1))
        return max(total, first.size * times)
    if node.op == "Gather":
        return max(total, first.size * last.size)
    if node.op in ("MatMul", "Gemm", "RNN", "GRU", "LSTM"):
        return max(total, math.prod(sorted(array.size for array in given)[-2:]))
    try:
        return max(total, math.prod(np.broadcast_shapes(*(a.shape for a in given))))
    except ValueError:  # no operator of that kind, or one that will say so
        return total
