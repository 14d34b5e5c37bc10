"""RNNClassifier and RNNRegressor: a recurrent network, a pool, an output layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_y,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

import rnnext
from rnnext._names import NamedArguments
from rnnext._validation import (
    Array,
    boolean,
    choice,
    finite,
    float_dtype,
    positive_integer,
    probability,
)

from ._sequences import batch_of, read_sequences

_CELLS: dict[str, Any] = {"rnn": rnnext.RNN, "gru": rnnext.GRU, "lstm": rnnext.LSTM}


class _SequenceEstimator(NamedArguments, BaseEstimator):
    """What both share: everything but the targets and the loss."""

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 32,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        pool: str = "last",
        dropout: float = 0.0,
        columns: str = "steps",
        standardize: bool = True,
        learning_rate: float = 0.01,
        weight_decay: float = 0.0,
        clip: float = 1.0,
        batch_size: int = 32,
        max_epochs: int = 100,
        tol: float = 1e-4,
        patience: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        dtype: str = "float32",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pool = pool
        self.dropout = dropout
        self.columns = columns
        self.standardize = standardize
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clip = clip
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.tol = tol
        self.patience = patience
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        choice("cell", self.cell, tuple(_CELLS))
        choice("columns", self.columns, ("steps", "features"))
        choice("pool", self.pool, ("last", "mean", "max"))
        for name in (
            "hidden_size",
            "num_layers",
            "batch_size",
            "max_epochs",
            "patience",
        ):
            positive_integer(name, getattr(self, name))
        for name in ("learning_rate", "weight_decay", "tol"):
            if finite(name, value := getattr(self, name)) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {value}")
        for name in ("bidirectional", "standardize", "early_stopping", "warm_start"):
            boolean(name, getattr(self, name))
        probability("dropout", self.dropout)
        if not 0 < probability("validation_fraction", self.validation_fraction) < 1:
            raise ValueError("validation_fraction: expected a number between 0 and 1")
        float_dtype(self.dtype)

    def _sequences(self, X: Any, reset: bool) -> list[Array]:
        return read_sequences(self, X, reset, self.columns == "steps")

    def _network(self, features: int, outputs: int, seed: int) -> rnnext.Sequential:
        rng = np.random.default_rng(seed)
        width = self.hidden_size * (2 if self.bidirectional else 1)
        rnn = _CELLS[self.cell](
            features,
            self.hidden_size,
            self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout if self.num_layers > 1 else 0.0,
            dtype=self.dtype,
            rng=rng,
        )
        return rnnext.Sequential(
            {
                "rnn": rnn,
                "pool": rnnext.Pool(self.pool, bidirectional=self.bidirectional),
                "dropout": rnnext.Dropout(self.dropout, rng=rng),
                "head": rnnext.Linear(width, outputs, dtype=self.dtype, rng=rng),
            }
        )

    def _fit(
        self,
        sequences: list[Array],
        targets: Array | NDArray[Any],
        outputs: int,
        loss: Any,
        stratify: Any,
    ) -> None:
        random = check_random_state(self.random_state)
        features = sequences[0].shape[1]
        again = self.warm_start and hasattr(self, "network_")
        if not again:
            steps = np.concatenate(sequences)
            self.mean_, self.scale_ = _moments(steps, self.standardize)
            seed = int(random.randint(2**31))
            self.network_ = self._network(features, outputs, seed)
        shuffle = np.random.default_rng(int(random.randint(2**31)))

        chosen = np.arange(len(sequences))
        validation = None
        if self.early_stopping:
            chosen, held_out = train_test_split(
                chosen,
                test_size=self.validation_fraction,
                random_state=random,
                stratify=stratify,
            )
            validation = list(self._batches(sequences, targets, held_out))

        best, since = math.inf, 0
        kept: dict[str, Array] | None = None

        def improves(history: rnnext.History) -> bool:
            """Whether to stop: no gain for `patience` epochs."""
            nonlocal best, since, kept
            name = "validation_loss" if self.early_stopping else "loss"
            now = history.epochs[-1][name]
            since = 0 if now < best - self.tol else since + 1
            if now < best:
                best = now
                kept = self.network_.state_dict() if self.early_stopping else None
            return since >= self.patience

        self.history_ = rnnext.train(
            self.network_,
            lambda: self._batches(sequences, targets, shuffle.permutation(chosen)),
            loss,
            rnnext.AdamW(self.learning_rate, weight_decay=self.weight_decay),
            epochs=self.max_epochs,
            validation=validation,
            clip=self.clip,
            progress=bool(self.verbose),
            rng=shuffle,
            on_epoch=improves,
        )
        if kept is not None:
            self.network_.load_state_dict(kept)
        self.n_iter_ = len(self.history_.epochs)
        self.loss_curve_ = [epoch["loss"] for epoch in self.history_.epochs]
        self.best_loss_ = best

    def _batches(
        self, sequences: Sequence[Array], targets: Any, order: NDArray[Any]
    ) -> Iterator[tuple[Array, Any, Any]]:
        for i in range(0, len(order), self.batch_size):
            places = order[i : i + self.batch_size]
            chosen = [sequences[k] for k in places]
            x, lengths = batch_of(chosen, self.mean_, self.scale_, self.dtype)
            yield x, targets[places], lengths

    def _outputs(self, X: Any) -> Array:
        """(samples, outputs); the bits of a sample do not depend on the others."""
        check_is_fitted(self)
        sequences = self._sequences(X, reset=False)
        found = []
        for i in range(0, len(sequences), 256):
            part = sequences[i : i + 256]
            x, lengths = batch_of(part, self.mean_, self.scale_, self.dtype)
            found.append(self.network_(x, lengths=lengths)[0])
        outputs: Array = np.concatenate(found).astype(np.float64)
        return outputs


def _moments(rows: Array, wanted: bool) -> tuple[Array, Array]:
    """Mean and standard deviation of columns; 0 and 1 if they are not wanted."""
    if not wanted:
        return np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    scale = rows.std(axis=0)
    # A constant column, but for its rounding, is left as it is.
    scale[scale <= 1e-12 * abs(rows).max(axis=0, initial=0)] = 1.0
    return rows.mean(axis=0), scale


_PARAMETERS = """
    Parameters
    ----------
    cell : {"gru", "lstm", "rnn"}, default "gru"
        Kind of the recurrent layers.
    hidden_size : int, default 32
        H, units of a layer and direction.
    num_layers : int, default 1
        Recurrent layers.
    bidirectional : bool, default False
        Whether sequences are read from both ends.
    pool : {"last", "mean", "max"}, default "last"
        What of all steps goes to the output layer.
    dropout : float, default 0
        Probability of a zero between layers and before the output layer, in training.
    columns : {"steps", "features"}, default "steps"
        What the columns of a table (samples, columns) are: the steps of a sequence of
        one feature, or the features of a sequence of one step.
    standardize : bool, default True
        Whether features get mean 0 and standard deviation 1, as learnt in `fit`.
    learning_rate : float, default 0.01
        Of Adam.
    weight_decay : float, default 0
        Of AdamW.
    clip : float, default 1
        Greatest norm of the gradient.
    batch_size : int, default 32
        Sequences of a step.
    max_epochs : int, default 100
        Most passes over the training set.
    tol : float, default 1e-4
        Least gain of the loss that counts as one.
    patience : int, default 10
        Epochs without a gain after which training ends.
    early_stopping : bool, default False
        Whether the gain is that on a part of the training set held out, whose best
        parameters are kept.
    validation_fraction : float, default 0.1
        That part.
    warm_start : bool, default False
        Whether `fit` goes on with the parameters that are there.
    dtype : {"float32", "float64"}, default "float32"
        Of parameters and computation.
    random_state : None, int or RandomState, optional
        Of the initial parameters, the order of the samples, dropout and the part held
        out: an int gives the same bits again, whatever the number of threads.
    verbose : bool, default False
        Whether to show a progress bar (needs tqdm).
"""

_ATTRIBUTES = """
    n_iter_ : int
        Epochs done.
    loss_curve_ : list of float
        Mean loss of every epoch.
    best_loss_ : float
        The least of them, with `early_stopping` on the part held out.
    history_ : rnnext.History
    network_ : rnnext.Sequential
        For `rnnext.save`.
    mean_, scale_ : ndarray of shape (I,)
        Subtracted from the features, which are then divided by the other.
    n_features_in_ : int
        I, or the columns of a table.
"""


class RNNClassifier(ClassifierMixin, _SequenceEstimator):
    __doc__ = f"""A recurrent network that gives a label to a sequence.

    X is an array (samples, T, I), a list of arrays (T_i, I) of any lengths, or a table
    (samples, columns); y holds any labels.
{_PARAMETERS}
    Attributes
    ----------
    classes_ : ndarray
        The labels.
{_ATTRIBUTES.strip(chr(10))}

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext.sklearn import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((n, 1)) + n % 2 for n in rng.integers(3, 9, 100)]
    >>> y = ["odd" if len(x) % 2 else "even" for x in X]
    >>> model = RNNClassifier(hidden_size=16, random_state=0).fit(X[:80], y[:80])
    >>> float(model.score(X[80:], y[80:])) > 0.8
    True
    """

    def fit(self, X: Any, y: Any) -> RNNClassifier:
        """Train.

        Parameters
        ----------
        X : array (samples, T, I), list of arrays (T_i, I), or table
        y : array-like of shape (samples,)
            Labels.

        Returns
        -------
        RNNClassifier
            Itself.

        Raises
        ------
        ValueError, TypeError
            If X, y or a parameter is of the wrong kind, shape or value.
        """
        self._check_parameters()
        sequences = self._sequences(X, reset=True)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_consistent_length(sequences, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        outputs = max(len(self.classes_), 2)
        loss = rnnext.softmax_cross_entropy
        self._fit(sequences, labels.astype(np.intp), outputs, loss, y)
        return self

    def decision_function(self, X: Any) -> Array:
        """The logits, before softmax.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (samples, classes), or (samples,) of two classes
            Of two classes, the second's less the first's.
        """
        logits = self._outputs(X)[:, : len(self.classes_)]
        if len(self.classes_) == 2:
            difference: Array = logits[:, 1] - logits[:, 0]
            return difference
        return logits

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (samples, classes)
        """
        logits = self._outputs(X)[:, : len(self.classes_)]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Array = p / p.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest labels.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (samples,)
        """
        likeliest = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[likeliest]
        return labels


class RNNRegressor(RegressorMixin, _SequenceEstimator):
    __doc__ = f"""A recurrent network that gives a number, or several, to a sequence.

    X is an array (samples, T, I), a list of arrays (T_i, I) of any lengths, or a table
    (samples, columns); y is (samples,) or (samples, outputs). The targets are
    standardised within.
{_PARAMETERS}
    Attributes
    ----------
{_ATTRIBUTES.strip(chr(10))}

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext.sklearn import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((n, 1)) for n in rng.integers(3, 9, 200)]
    >>> y = [float(x.sum()) for x in X]
    >>> model = RNNRegressor(hidden_size=16, random_state=0).fit(X[:150], y[:150])
    >>> model.score(X[150:], y[150:]) > 0.9
    True
    """

    def fit(self, X: Any, y: Any) -> RNNRegressor:
        """Train.

        Parameters
        ----------
        X : array (samples, T, I), list of arrays (T_i, I), or table
        y : array-like of shape (samples,) or (samples, outputs)

        Returns
        -------
        RNNRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError
            If X, y or a parameter is of the wrong kind, shape or value.
        """
        self._check_parameters()
        sequences = self._sequences(X, reset=True)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        values = _check_y(y, multi_output=True, y_numeric=True, estimator=self)
        check_consistent_length(sequences, values)
        self._is_flat = values.ndim == 1
        values = np.asarray(values, np.float64).reshape(len(sequences), -1)
        if not (self.warm_start and hasattr(self, "network_")):
            self._y_mean, self._y_scale = _moments(values, wanted=True)
        targets = ((values - self._y_mean) / self._y_scale).astype(self.dtype)
        self._fit(sequences, targets, values.shape[1], rnnext.mse_loss, None)
        return self

    def predict(self, X: Any) -> Array:
        """The values.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (samples,) or (samples, outputs)
        """
        outputs: Array = self._outputs(X) * self._y_scale + self._y_mean
        return outputs[:, 0] if self._is_flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
