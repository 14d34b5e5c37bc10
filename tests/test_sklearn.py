"""The estimators under scikit-learn's own checks, and on sequences."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import rnnext
from rnnext.sklearn import RNNClassifier, RNNRegressor


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = rnnext.get_num_threads()
    rnnext.set_num_threads(1)
    yield
    rnnext.set_num_threads(before)


@pytest.mark.filterwarnings("ignore")  # the checks are warned of what they do
@parametrize_with_checks([RNNClassifier(), RNNRegressor()])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def sequences(count, seed=0, features=2):
    """Noise; a bump of width three somewhere, in those that are true."""
    rng = np.random.default_rng(seed)
    X, y = [], rng.random(count) < 0.5
    for bump in y:
        x = 0.3 * rng.standard_normal((rng.integers(6, 20), features))
        at = rng.integers(0, len(x) - 3)
        x[at : at + 3, 0] += 2 * bump
        X.append(x)
    return X, y


QUICK = {"hidden_size": 12, "max_epochs": 30, "random_state": 0}


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("pool", ["last", "mean", "max"])
def test_ragged_lists(cell, pool):
    X, y = sequences(160)
    model = RNNClassifier(cell, pool=pool, bidirectional=True, **QUICK)
    assert model.fit(X[:120], y[:120]).score(X[120:], y[120:]) >= 0.9
    assert model.n_features_in_ == 2
    p = model.predict_proba(X[120:])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(p.argmax(axis=1), model.predict(X[120:]))
    one = np.concatenate([model.predict_proba(X[i : i + 1]) for i in range(120, 160)])
    np.testing.assert_array_equal(one, p)


def test_regression_of_several_values():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((n, 2)) for n in rng.integers(3, 9, 300)]
    y = np.array([[x[:, 0].sum(), 100 * x[-1, 1]] for x in X])
    model = RNNRegressor(hidden_size=24, max_epochs=60, random_state=0)
    assert model.fit(X[:250], y[:250]).score(X[250:], y[250:]) > 0.9
    assert model.predict(X[250:]).shape == (50, 2)


def test_arrays_are_lists_of_equal_lengths():
    X = np.random.default_rng(0).standard_normal((40, 7, 3))
    y = X[:, -1, 0] > 0
    of_array = RNNClassifier(**QUICK).fit(X, y)
    of_list = RNNClassifier(**QUICK).fit(list(X), y)
    boxed = np.empty(40, object)
    boxed[:] = list(X)
    for other in (of_list.predict_proba(X), of_array.predict_proba(boxed)):
        np.testing.assert_array_equal(of_array.predict_proba(X), other)


def test_columns_of_a_table():
    X = np.random.default_rng(0).standard_normal((60, 5))
    y = X.sum(axis=1)
    steps = RNNRegressor(**QUICK).fit(X, y)
    features = RNNRegressor(columns="features", **QUICK).fit(X, y)
    assert steps.network_.layers["rnn"].input_size == 1
    assert features.network_.layers["rnn"].input_size == 5
    np.testing.assert_array_equal(steps.predict(X), steps.predict(X[:, :, None]))


def test_labels_of_any_kind():
    X, y = sequences(60)
    names = np.where(y, "yes", "no")
    model = RNNClassifier(**QUICK).fit(X, names.tolist())
    assert model.classes_.tolist() == ["no", "yes"]
    assert set(model.predict(X)) <= {"no", "yes"}
    three = RNNClassifier(**QUICK).fit(X, np.arange(60) % 3)
    assert three.decision_function(X).shape == (60, 3)
    single = RNNClassifier(**QUICK).fit(X, ["a"] * 60)
    assert set(single.predict(X)) == {"a"}


def test_random_state_gives_the_same_bits_whatever_the_threads():
    X, y = sequences(60)
    found = []
    for threads, seed in ((1, 0), (2, 0), (1, 1)):
        rnnext.set_num_threads(threads)
        model = RNNClassifier(**QUICK | {"random_state": seed}, dropout=0.3)
        found.append(model.fit(X, y).predict_proba(X))
    rnnext.set_num_threads(1)
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_early_stopping_keeps_the_best():
    X, y = sequences(200)
    model = RNNClassifier(
        hidden_size=12, early_stopping=True, patience=3, max_epochs=80, random_state=0
    ).fit(X, y)
    losses = [epoch["validation_loss"] for epoch in model.history_.epochs]
    assert model.best_loss_ == min(losses)
    assert model.n_iter_ == len(losses) < 80
    assert len(model.loss_curve_) == model.n_iter_


def test_warm_start_goes_on():
    X, y = sequences(60)
    cold = RNNClassifier(hidden_size=8, max_epochs=3, random_state=0)
    warm = clone(cold).set_params(warm_start=True)
    first = [m.fit(X, y).loss_curve_[0] for m in (cold, warm)]
    second = [m.fit(X, y).loss_curve_[0] for m in (cold, warm)]
    assert first[0] == first[1] == second[0]
    assert second[1] < first[1]


def test_pipelines_searches_and_pickles():
    table, y = np.random.default_rng(0).standard_normal((80, 6)), np.arange(80) % 2
    table[:, 3] += 2 * y
    chain = make_pipeline(StandardScaler(), RNNClassifier(**QUICK))
    assert chain.fit(table, y).score(table, y) > 0.7
    again = pickle.loads(pickle.dumps(chain))
    np.testing.assert_array_equal(again.predict(table), chain.predict(table))
    X, y = sequences(90)
    halves = FunctionTransformer(lambda X: [x[:, :1] for x in X])
    search = GridSearchCV(
        make_pipeline(halves, RNNClassifier(**QUICK)),
        {"rnnclassifier__cell": ["gru", "rnn"]},
        cv=2,
    ).fit(X, y)
    assert search.best_score_ > 0.8
    assert cross_val_score(RNNClassifier(**QUICK), X, y, cv=3).mean() > 0.8


def test_the_network_may_be_saved(tmp_path):
    X, y = sequences(30)
    model = RNNClassifier(**QUICK).fit(X, y)
    rnnext.save(tmp_path / "net.npz", model.network_)
    again = rnnext.load(tmp_path / "net.npz")
    x = np.ones((5, 1, 2), np.float32)
    np.testing.assert_array_equal(again(x)[0], model.network_(x)[0])


X, Y = sequences(12)
WRONG = {
    "cell": ({"cell": "cnn"}, X, Y, "cell: expected"),
    "hidden_size": ({"hidden_size": 0}, X, Y, "hidden_size: expected"),
    "pool": ({"pool": "first"}, X, Y, "^pool: expected"),
    "columns": ({"columns": "rows"}, X, Y, "columns: expected"),
    "learning_rate": ({"learning_rate": -1}, X, Y, "rate: expected .*, got -1"),
    "validation_fraction": ({"validation_fraction": 1.0}, X, Y, "validation_fraction"),
    "features": ({}, [*X, np.ones((3, 5))], [*Y, True], r"\(T, I=2\), got \(3, 5\) in"),
    "no steps": ({}, [*X, np.ones((0, 2))], [*Y, True], "at least one step"),
    "NaN": ({}, [*X, np.full((3, 2), np.nan)], [*Y, True], "NaN or inf in place 12"),
    "lengths": ({}, X, Y[:-1], "inconsistent numbers of samples"),
    "no labels": ({}, X, None, "requires y to be passed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    parameters, given, labels, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        RNNClassifier(**parameters).fit(given, labels)


def test_an_unknown_parameter_names_the_known():
    with pytest.raises(
        TypeError, match="RNNClassifier: unknown argument 'hiden_size'; "
    ):
        RNNClassifier(hiden_size=3)


def test_before_and_after_fit():
    with pytest.raises(NotFittedError):
        RNNRegressor().predict(X)
    model = RNNClassifier(**QUICK).fit(X, Y)
    with pytest.raises(ValueError, match="I=2"):
        model.predict([np.ones((3, 1))])


def test_as_it_is_without_standardizing():
    model = RNNClassifier(standardize=False, **QUICK | {"max_epochs": 1}).fit(X, Y)
    assert not model.mean_.any()
    assert (model.scale_ == 1).all()


def test_sequences_after_a_table_have_no_names_of_columns():
    model = RNNClassifier(**QUICK | {"max_epochs": 1})
    model.feature_names_in_ = np.array(["a", "b"])
    assert not hasattr(model.fit(X, Y), "feature_names_in_")
