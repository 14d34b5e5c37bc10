"""Estimators of scikit-learn for sequences of any length.

`RNNClassifier` for a label and `RNNRegressor` for values of a whole sequence; they work
in pipelines, searches and cross-validation. Needs ``pip install "rnnext[sklearn]"``.
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        'rnnext.sklearn needs scikit-learn: pip install "rnnext[sklearn]"'
    ) from error

from ._estimators import RNNClassifier, RNNRegressor

__all__ = ["RNNClassifier", "RNNRegressor"]
