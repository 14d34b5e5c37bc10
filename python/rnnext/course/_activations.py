"""softmax and sigmoid over arrays of any layout."""

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ._checks import Array, real


def softmax(x: ArrayLike) -> Array:
    """Softmax over axis 0.

    Each column has its own maximum subtracted, so that neither large nor widely
    different columns overflow or vanish.

    Parameters
    ----------
    x : array_like, shape (n, ...)
        Real numbers, any dtype and strides, at least one dimension.

    Returns
    -------
    ndarray, shape of `x`
        ``exp(x) / sum(exp(x), axis=0)``; float32 for float32, else float64.

    Raises
    ------
    TypeError
        If `x` is not an array of real numbers.
    ValueError
        If `x` is a scalar.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import softmax
    >>> softmax(np.array([[0.0, 1000.0], [0.0, 0.0]]))
    array([[0.5, 1. ],
           [0.5, 0. ]])
    """
    array = real("x", x)
    if array.ndim == 0:
        raise ValueError("x: expected shape (n, ...), got ()")
    if array.size == 0:
        return np.empty(array.shape, array.dtype)
    rows = np.ascontiguousarray(array.T)  # axis 0 becomes the last one
    return _core.softmax(rows.reshape(-1, len(array))).reshape(rows.shape).T


def sigmoid(x: ArrayLike) -> Array:
    """Logistic function, elementwise.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers, any dtype and strides; scalars too.

    Returns
    -------
    ndarray or scalar, shape of `x`
        ``1 / (1 + exp(-x))``, at most 2 units in the last place off and without
        overflow; float32 for float32, else float64.

    Raises
    ------
    TypeError
        If `x` is not an array of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import sigmoid
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    array = real("x", x)
    value: Array = _core.sigmoid(np.ascontiguousarray(array)).reshape(array.shape)
    return value if array.ndim else value[()]
