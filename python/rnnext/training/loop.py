"""The loop of training, and what it writes down."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._validation import Array, boolean, generator, positive_integer
from .optimizers import Optimizer, clip_grad_norm
from .sequential import Sequential

Loss = Callable[..., tuple[float, Array]]


@dataclass
class History:
    """What happened in training.

    Attributes
    ----------
    loss, gradient_norm, learning_rate, seconds : list of float
        Of every step; seconds since the start.
    epochs : list of dict
        Of every epoch: ``loss`` (mean), and with validation ``validation_loss`` and the
        metrics.
    """

    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.loss)


def train(
    model: Sequential,
    batches: Iterable[Any] | Callable[[], Iterable[Any]],
    loss: Loss,
    optimizer: Optimizer,
    *,
    epochs: int = 1,
    validation: Iterable[Any] | None = None,
    metrics: Mapping[str, Callable[..., float]] | None = None,
    clip: float | None = None,
    carry_state: bool = False,
    progress: bool | None = None,
    rng: object = None,
    on_step: Callable[[History], object] | None = None,
    on_epoch: Callable[[History], object] | None = None,
) -> History:
    """Forward, loss, backward, step: for every batch of every epoch.

    Parameters
    ----------
    model : Sequential
    batches : iterable of (x, targets) or (x, targets, lengths), or callable
        Gone through once an epoch; a callable returns what to go through, and so can
        shuffle.
    loss : callable
        ``loss(y, targets) -> (value, dy)``, called with ``lengths=`` where the output
        still has steps: `softmax_cross_entropy`, `mse_loss`, or your own.
    optimizer : Optimizer
    epochs : int, default 1
    validation : iterable of batches, optional
        Evaluated after every epoch, without dropout.
    metrics : mapping of str to callable, optional
        ``metric(y, targets)`` (and ``lengths=`` likewise), a number; the mean over the
        batches of the validation goes into the history.
    clip : float, optional
        Greatest norm of the gradients.
    carry_state : bool, default False
        Whether a batch begins with the final state of the one before (truncated
        back-propagation through time); an epoch begins with zeros.
    progress : bool, optional
        A bar of tqdm; by default where tqdm is installed and a person is looking.
    rng : None, int or numpy.random.Generator, optional
        What dropout draws from; by default each layer's own generator.
    on_step, on_epoch : callable, optional
        Given the history after every step or epoch; true ends the training.

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        If the loss or the norm of a gradient is no longer finite: the parameters are
        those before that step.
    TypeError, ValueError
        If an argument is of the wrong kind or value.
    ImportError
        If `progress` is true and tqdm is missing.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((10, 32, 1), np.float32)
    >>> targets = np.cumsum(x, axis=0) / 3
    >>> layers = rnnext.GRU(1, 16, rng=1), rnnext.Linear(16, 1, rng=2)
    >>> history = rnnext.train(
    ...     rnnext.Sequential(*layers), [(x, targets)], rnnext.mse_loss,
    ...     rnnext.Adam(0.02), epochs=100, clip=1.0,
    ... )
    >>> history.steps, history.loss[-1] < 0.1 * history.loss[0]
    (100, True)
    """
    epochs = positive_integer("epochs", epochs)
    carry_state = boolean("carry_state", carry_state)
    if epochs > 1 and iter_is_spent(batches):
        raise ValueError(
            "batches: expected something to go through once an epoch, as a list, got "
            f"{type(batches).__name__}; a callable may return such"
        )
    source = None if rng is None else generator("rng", rng)
    history, start = History(), time.perf_counter()
    stopped = False
    with _bar(progress, epochs) as bar:
        for _ in range(epochs):
            first, state = history.steps, None
            for x, targets, lengths in _batches(batches):
                y, state_n, cache = model.forward(
                    x, state if carry_state else None, lengths=lengths, rng=source
                )
                state = state_n
                value, dy = _loss(loss, y, targets, lengths)
                gradients = model.backward(cache, dy, need_x=False)
                norm = clip_grad_norm(gradients, clip or math.inf)
                if not (math.isfinite(value) and math.isfinite(norm)):
                    raise FloatingPointError(
                        f"loss {value}, norm of the gradient {norm} at step "
                        f"{history.steps}: a smaller learning rate or `clip` may help"
                    )
                history.loss.append(value)
                history.gradient_norm.append(norm)
                history.learning_rate.append(optimizer.rate)
                optimizer.step(model, gradients)
                history.seconds.append(time.perf_counter() - start)
                if on_step is not None and on_step(history):
                    stopped = True
                    break
            if history.steps == first:
                raise ValueError("batches: expected at least one, got none")
            epoch = {"loss": math.fsum(history.loss[first:]) / (history.steps - first)}
            if validation is not None:
                epoch |= evaluate(model, validation, loss, metrics)
            history.epochs.append(epoch)
            bar.set_postfix(epoch)
            bar.update()
            if stopped or (on_epoch is not None and on_epoch(history)):
                break
    return history


def evaluate(
    model: Sequential,
    batches: Iterable[Any],
    loss: Loss,
    metrics: Mapping[str, Callable[..., float]] | None = None,
) -> dict[str, float]:
    """Means over batches, without dropout: ``validation_loss`` and the metrics."""
    names = {"validation_loss": lambda *a, **k: loss(*a, **k)[0]} | dict(metrics or {})
    found: dict[str, list[float]] = {name: [] for name in names}
    for x, targets, lengths in _batches(batches):
        y, _ = model(x, lengths=lengths)
        for name, measure in names.items():
            found[name].append(float(_loss(measure, y, targets, lengths)))
    if not found["validation_loss"]:
        raise ValueError("validation: expected at least one batch, got none")
    return {name: math.fsum(values) / len(values) for name, values in found.items()}


def truncated_bptt(x: Any, targets: Any, steps: int) -> Iterator[tuple[Any, Any]]:
    """Cut sequences along time, for `train` with ``carry_state=True``.

    Parameters
    ----------
    x, targets : ndarray of shape (T, N, ...)
    steps : int
        Of a piece; the last may have fewer.

    Yields
    ------
    x, targets : ndarray of shape (steps, N, ...)
        Views.

    Raises
    ------
    TypeError, ValueError
        If `steps` is not a positive integer, or the arrays differ in T.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> x = np.zeros((10, 2, 3))
    >>> [len(piece) for piece, _ in rnnext.truncated_bptt(x, x, 4)]
    [4, 4, 2]
    """
    size = positive_integer("steps", steps)
    if len(x) != len(targets):
        raise ValueError(f"targets: expected T={len(x)} steps, got {len(targets)}")
    return ((x[t : t + size], targets[t : t + size]) for t in range(0, len(x), size))


def iter_is_spent(batches: object) -> bool:
    """Whether one pass uses it up."""
    return isinstance(batches, Iterator)


def _batches(batches: Any) -> Iterator[tuple[Any, Any, Any]]:
    """With None for lengths that are not given."""
    for batch in batches() if callable(batches) else batches:
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise TypeError(
                "batches: expected (x, targets) or (x, targets, lengths), got "
                f"{type(batch).__name__}"
            )
        x, targets, *lengths = batch
        yield x, targets, lengths[0] if lengths else None


def _loss(loss: Callable[..., Any], y: Array, targets: Any, lengths: Any) -> Any:
    if lengths is None or y.ndim < 3:
        return loss(y, targets)
    return loss(y, targets, lengths=lengths)


class _NoBar:
    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_postfix(self, _: object) -> None:
        pass

    def update(self) -> None:
        pass


def _bar(progress: bool | None, epochs: int) -> Any:
    wanted = sys.stderr.isatty() if progress is None else boolean("progress", progress)
    if not wanted:
        return _NoBar()
    try:
        from tqdm import tqdm
    except ImportError:
        if progress is None:
            return _NoBar()
        raise ImportError(
            'progress: tqdm is missing; pip install "rnnext[app]" has it'
        ) from None
    return tqdm(total=epochs, unit="epoch")
