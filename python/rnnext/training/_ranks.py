"""What the loop of training asks of other ranks, if there are any."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._cache import Gradients
from .._validation import Array
from .losses import counting

if TYPE_CHECKING:
    from ..distributed import Workers


class Alone:
    """One process, which has the whole of every batch."""

    def begin(self, model: Any) -> None:
        """Before the first step."""

    def of_all(
        self, value: float, gradients: Gradients[Any], y: Array, options: dict[str, Any]
    ) -> float:
        """The loss of the whole batch; the gradients become those of the whole."""
        return value

    def end_epoch(self) -> None:
        """No batch is left."""

    def means(self, measured: dict[str, float]) -> dict[str, float]:
        """Of all ranks."""
        return measured

    def wants_end(
        self, callback: Callable[[Any], object] | None, history: object
    ) -> bool:
        """Whether it says so, on any of the ranks."""
        return callback is not None and bool(callback(history))


class Together(Alone):
    """One rank of several, which has a part of every batch."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def begin(self, model: Any) -> None:
        self._workers.broadcast(model)

    def of_all(
        self, value: float, gradients: Gradients[Any], y: Array, options: dict[str, Any]
    ) -> float:
        weight = math.prod(y.shape[:-1])  # what the mean of the loss is over
        if options:
            weight = int(counting(y.shape[:-1], **options).sum())
        _, total, loss = self._meet([1.0, weight, weight * value], self._workers.size)
        self._workers.average(gradients, weight)
        return loss / total if total else 0.0

    def end_epoch(self) -> None:
        self._meet([0.0, 0.0, 0.0], 0)

    def _meet(self, mine: list[float], expected: int) -> list[float]:
        """Sums over the ranks, of which `expected` have a batch."""
        sums: list[float] = self._workers.sum(mine).tolist()
        if sums[0] != expected:
            raise ValueError(
                "batches: expected as many on every rank, this epoch one has fewer"
            )
        return sums

    def means(self, measured: dict[str, float]) -> dict[str, float]:
        sums = self._workers.sum(list(measured.values())) / self._workers.size
        return dict(zip(measured, sums.tolist(), strict=True))

    def wants_end(
        self, callback: Callable[[Any], object] | None, history: object
    ) -> bool:
        if callback is None:
            return False
        return bool(self._workers.sum(bool(callback(history))))
