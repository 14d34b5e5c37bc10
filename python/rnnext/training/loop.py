"""The loop of training, and what it writes down."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .._names import names_arguments
from .._recurrent import Recurrent
from .._validation import Array, boolean, generator, kind, positive, positive_integer
from ._chain import check_carried
from ._progress import bar_of
from ._ranks import Alone, Together
from .batches import Batches, check_batches, each_batch
from .optimizers import Optimizer, clip_grad_norm
from .sequential import Sequential

if TYPE_CHECKING:
    from ..distributed import Workers

Loss: TypeAlias = Callable[..., tuple[float, Array]]
Model: TypeAlias = Sequential | Recurrent[Any]
Metrics: TypeAlias = Mapping[str, Callable[..., float]]


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


@names_arguments
def train(
    model: Model,
    batches: Batches,
    loss: Loss,
    optimizer: Optimizer,
    *,
    epochs: int = 1,
    validation: Batches | None = None,
    metrics: Metrics | None = None,
    clip: float | None = None,
    carry_state: bool = False,
    progress: bool | None = None,
    rng: object = None,
    on_step: Callable[[History], object] | None = None,
    on_epoch: Callable[[History], object] | None = None,
    workers: Workers | None = None,
) -> History:
    """Forward, loss, backward, step: for every batch of every epoch.

    Parameters
    ----------
    model : Sequential, RNN, LSTM or GRU
    batches : iterable of (x, targets[, lengths[, mask]]), or callable
        Gone through once an epoch; a callable returns what to go through, and so can
        shuffle. Lengths and mask go to the model, either may be None; targets are
        whatever the loss takes.
    loss : callable
        ``loss(y, targets) -> (value, dy)``, called with those of ``lengths=`` and
        ``mask=`` that a batch has where the output has steps (no `Pool`), and then with
        ``batch_first=True`` if the model is so: `softmax_cross_entropy`, `mse_loss`,
        or your own.
    optimizer : Optimizer
    epochs : int, default 1
    validation : like `batches`, optional
        Evaluated after every epoch, without dropout.
    metrics : mapping of str to callable, optional
        ``metric(y, targets)`` (with the same keywords), a number; the mean over the
        batches of the validation goes into the history.
    clip : float, optional
        Greatest norm of the gradients.
    carry_state : bool, default False
        Whether a batch begins with the final state of the one before (truncated
        back-propagation through time); an epoch and a validation begin with zeros.
    progress : bool, optional
        A bar of tqdm; by default where tqdm is installed and a person is looking.
    rng : None, int or numpy.random.Generator, optional
        What dropout draws from; by default each layer's own generator.
    on_step, on_epoch : callable, optional
        Given the history after every step or epoch; true ends the training.
    workers : rnnext.distributed.Workers, optional
        Trains one model on several ranks, from the parameters of rank 0: batches (and
        validation) are this rank's part of each (`Workers.shard`), as many as on every
        other rank; the gradients, and what the history has of losses and metrics, are
        those of the whole. The loss has to be a mean over sequences or their steps.

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
    _check_model(model)
    _check_callable("loss", loss)
    for name, call in (("on_step", on_step), ("on_epoch", on_epoch)):
        if call is not None:
            _check_callable(name, call)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected an optimiser, got {kind(optimizer)}")
    epochs = positive_integer("epochs", epochs)
    check_batches("batches", batches, epochs)
    if validation is not None:
        check_batches("validation", validation, epochs)
    elif metrics:
        raise ValueError("metrics: expected with validation, which is None")
    _check_metrics(metrics, ("loss", "validation_loss"))
    limit = math.inf if clip is None else positive("clip", clip)
    if carry_state := boolean("carry_state", carry_state):
        check_carried(model)
    source = None if rng is None else generator("rng", rng)
    history, start = History(), time.perf_counter()
    ranks = Alone() if workers is None else Together(workers)
    ranks.begin(model)
    stopped, shown = False, dict[str, float]()
    with bar_of(progress, batches, epochs) as bar:
        for _ in range(epochs):
            first, state = history.steps, None
            for x, targets, options in each_batch("batches", batches):
                cache: Any
                y, state_n, cache = model.forward(
                    x, state if carry_state else None, rng=source, **options
                )
                state = state_n
                # Whether the numbers are finite is checked, so NumPy need not warn.
                with np.errstate(over="ignore", invalid="ignore"):
                    value, dy = _loss_of(loss, model, y, targets, options)
                    gradients = model.backward(cache, dy, need_x=False)
                    told = _keywords(model, options)
                    value = ranks.of_all(value, gradients, y, told)
                    norm = clip_grad_norm(gradients, limit)
                    if not (math.isfinite(value) and math.isfinite(norm)):
                        raise FloatingPointError(
                            f"loss {value}, norm of the gradient {norm} at step "
                            f"{history.steps}: a smaller learning rate or `clip` may "
                            "help"
                        )
                    rate = optimizer.rate
                    optimizer.step(model, gradients)
                history.loss.append(value)
                history.gradient_norm.append(norm)
                history.learning_rate.append(rate)
                history.seconds.append(time.perf_counter() - start)
                bar.set_postfix(shown | {"loss": value}, refresh=False)
                bar.update()
                stopped = ranks.wants_end(on_step, history)
                if stopped:
                    break
            if not stopped:
                ranks.end_epoch()
            if history.steps == first:
                raise ValueError("batches: expected at least one, got none")
            epoch = {"loss": math.fsum(history.loss[first:]) / (history.steps - first)}
            if validation is not None:
                found = ranks.means(
                    _means("validation", model, validation, loss, metrics, carry_state)
                )
                shown = {"validation_loss": found.pop("loss")} | found
                epoch |= shown
                bar.set_postfix(epoch)
            history.epochs.append(epoch)
            if stopped or ranks.wants_end(on_epoch, history):
                break
    return history


def evaluate(
    model: Model,
    batches: Batches,
    loss: Loss,
    metrics: Metrics | None = None,
    *,
    carry_state: bool = False,
) -> dict[str, float]:
    """Means over batches of the loss and of metrics, without dropout.

    Parameters
    ----------
    model, batches, loss, metrics, carry_state
        As of `train`; the batches are gone through once.

    Returns
    -------
    dict of str to float
        ``loss`` and the metrics.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> model = rnnext.Sequential(rnnext.GRU(1, 4, rng=0), rnnext.Linear(4, 1, rng=1))
    >>> x = np.ones((5, 2, 1), np.float32)
    >>> worst = lambda y, targets: abs(y - targets).max()
    >>> sorted(rnnext.evaluate(model, [(x, x)], rnnext.mse_loss, {"worst": worst}))
    ['loss', 'worst']
    """
    _check_model(model)
    _check_callable("loss", loss)
    check_batches("batches", batches, 1)
    _check_metrics(metrics, ("loss",))
    if carry_state := boolean("carry_state", carry_state):
        check_carried(model)
    return _means("batches", model, batches, loss, metrics, carry_state)


def _means(
    name: str,
    model: Any,
    batches: Batches,
    loss: Loss,
    metrics: Metrics | None,
    carry_state: bool,
) -> dict[str, float]:
    found: dict[str, list[float]] = {each: [] for each in ("loss", *(metrics or ()))}
    state = None
    for x, targets, options in each_batch(name, batches):
        y, state_n = model(x, state if carry_state else None, **options)
        state = state_n
        value, _ = _loss_of(loss, model, y, targets, options)
        found["loss"].append(value)
        for each, measure in (metrics or {}).items():
            keywords = _keywords(model, options)
            found[each].append(float(measure(y, targets, **keywords)))
    if not found["loss"]:
        raise ValueError(f"{name}: expected at least one, got none")
    return {each: math.fsum(values) / len(values) for each, values in found.items()}


def _check_model(model: object) -> None:
    if not isinstance(model, (Sequential, Recurrent)):
        raise TypeError(
            "model: expected a Sequential, RNN, LSTM or GRU, got "
            f"{kind(model)}; Sequential(layer) makes a model of any layer"
        )


def _check_callable(name: str, value: object) -> None:
    if not callable(value):
        raise TypeError(f"{name}: expected a callable, got {kind(value)}")


def _check_metrics(metrics: object, taken: tuple[str, ...]) -> None:
    if metrics is None:
        return
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"metrics: expected a mapping of names to callables, got {kind(metrics)}"
        )
    for name, measure in metrics.items():
        if name in taken:
            raise ValueError(f"metrics: expected another name than {name!r}")
        _check_callable(f"metrics: {name}", measure)


def _keywords(model: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What losses and metrics are told of a batch."""
    if not options or not getattr(model, "_gives_steps", True):
        return {}
    return options | ({"batch_first": True} if model.batch_first else {})


def _loss_of(
    loss: Callable[..., Any], model: Any, y: Any, targets: Any, options: dict[str, Any]
) -> tuple[float, Any]:
    found = loss(y, targets, **_keywords(model, options))
    if isinstance(found, tuple) and len(found) == 2:
        return float(found[0]), found[1]
    raise TypeError(f"loss: expected to return (value, dy), got {kind(found)}")
