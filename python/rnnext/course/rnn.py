"""The plain recurrent network of the course, in both of its notations."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ._backward import cell_backward, loop_backward
from ._caches import Cache, StepCaches, cell_cache
from ._checks import Array
from ._forward import forward
from ._notation import RNN, Parameters


def rnn_cell_forward(
    xt: ArrayLike, a_prev: ArrayLike, parameters: Parameters
) -> tuple[Array, Array, Cache]:
    """One step of the plain recurrent network.

    ``a_next = tanh(Wax xt + Waa a_prev + ba)``, ``yt_pred = softmax(Wya a_next + by)``
    (Elman, Finding structure in time, 1990).

    Parameters
    ----------
    xt : array_like, shape (n_x, m)
        Input of the step.
    a_prev : array_like, shape (n_a, m)
        State before it.
    parameters : dict
        ``Wax`` (n_a, n_x), ``Waa`` (n_a, n_a), ``ba`` (n_a, 1), ``Wya`` (n_y, n_a) and
        ``by`` (n_y, 1), or the same under the names ``U W ba V by``.

    Returns
    -------
    a_next : ndarray, shape (n_a, m)
        State after the step; float32 if every array is float32, else float64.
    yt_pred : ndarray, shape (n_y, m)
        Prediction; each column adds up to 1.
    cache : tuple
        ``(a_next, a_prev, xt, parameters)`` for `rnn_cell_backward`.

    Raises
    ------
    TypeError
        If an array is not of real numbers or `parameters` is not a dict.
    ValueError
        If a name is missing or a shape does not fit; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import rnn_cell_forward
    >>> parameters = {"Wax": [[1.0]], "Waa": [[0.5]], "ba": [[0.0]],
    ...               "Wya": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> a_next, yt_pred, cache = rnn_cell_forward([[1.0]], [[2.0]], parameters)
    >>> np.round(a_next, 6), np.round(yt_pred[:, 0], 6), len(cache)
    (array([[0.964028]]), array([0.873034, 0.126966]), 4)
    """
    run, a_next, yt_pred, _ = forward(RNN, xt, a_prev, None, parameters, cell=True)
    return a_next, yt_pred, cell_cache(run, 0, parameters)


def rnn_forward(
    x: ArrayLike, a0: ArrayLike, parameters: Parameters
) -> tuple[Array, Array, tuple[StepCaches, ArrayLike] | StepCaches]:
    """The plain recurrent network over all steps of `x`.

    `rnn_cell_forward` from step to step, in one call.

    Parameters
    ----------
    x : array_like, shape (n_x, m, T_x)
        Input; T_x = 0 and m = 0 are allowed.
    a0 : array_like, shape (n_a, m)
        Initial state.
    parameters : dict
        As for `rnn_cell_forward`.

    Returns
    -------
    a : ndarray, shape (n_a, m, T_x)
        State after every step; float32 if every array is float32, else float64.
    y_pred : ndarray, shape (n_y, m, T_x)
        Predictions.
    caches : tuple or sequence
        ``(list of T_x cell caches, x)``; with the names ``U W ba V by`` the list of
        cell caches alone. An entry of the list is made when it is asked
        for. What is kept are copies, of the weights too: the gradient is that of
        what was computed, even if x or the parameters have changed in between.

    Raises
    ------
    TypeError, ValueError
        As `rnn_cell_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import rnn_forward
    >>> parameters = {"Wax": [[1.0]], "Waa": [[0.5]], "ba": [[0.0]],
    ...               "Wya": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> x, a0 = np.ones((1, 2, 3)), np.zeros((1, 2))
    >>> a, y_pred, caches = rnn_forward(x, a0, parameters)
    >>> np.round(a[0, 0], 6), y_pred.shape, len(caches), len(caches[0])
    (array([0.761594, 0.88113 , 0.893811]), (2, 2, 3), 2, 3)
    """
    run, a, y_pred, _ = forward(RNN, x, a0, None, parameters, cell=False)
    steps = StepCaches(run, parameters)
    return a, y_pred, (steps, x) if run.table.caches_with_x else steps


def rnn_cell_backward(
    da_next: ArrayLike | None, cache: Sequence[Any], dy: ArrayLike | None = None
) -> dict[str, Array]:
    """The gradients of one step of the plain recurrent network.

    With ``dz = (1 - a_next**2) * da_next``: ``dxt = Wax.T dz``, ``da_prev = Waa.T dz``,
    ``dWax = dz xt.T``, ``dWaa = dz a_prev.T`` and ``dba`` the sum of dz over m.

    Parameters
    ----------
    da_next : array_like, shape (n_a, m)
        Gradient of the loss with respect to `a_next`; None (no gradient) only with
        `dy`.
    cache : tuple
        From `rnn_cell_forward`, or an entry of the caches of `rnn_forward`.
    dy : array_like, shape (n_y, m), optional
        Gradient with respect to the softmax's input (``yt_pred - one_hot`` for
        cross-entropy). It flows through the output layer too. Default: none.

    Returns
    -------
    dict
        ``dxt`` (n_x, m), ``da_prev`` (n_a, m), ``dWax dWaa dba`` in the shapes of the
        parameters; for the names ``U W ba V by``: ``dtanh`` (n_a, m, the dz above),
        ``dU dW dba``, ``dx_t``, ``ds_prev``. With `dy` also ``dWya dby`` (``dV dby``).

    Raises
    ------
    TypeError
        If an array is not of real numbers or `cache` is not a tuple.
    ValueError
        If a shape does not fit, or `cache` has not four entries.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import rnn_cell_backward, rnn_cell_forward
    >>> parameters = {"Wax": [[1.0]], "Waa": [[0.5]], "ba": [[0.0]],
    ...               "Wya": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> a_next, yt_pred, cache = rnn_cell_forward([[1.0]], [[2.0]], parameters)
    >>> gradients = rnn_cell_backward([[1.0]], cache)
    >>> round(float(gradients["dxt"][0, 0]), 6), list(gradients)
    (0.070651, ['dxt', 'da_prev', 'dWax', 'dWaa', 'dba'])
    """
    return cell_backward(RNN, da_next, cache, None, dy)


def rnn_backward(
    da: ArrayLike | None, caches: Sequence[Any], dy: ArrayLike | None = None
) -> dict[str, Array]:
    """The gradients of the plain recurrent network over a whole sequence.

    `rnn_cell_backward` from the last step to the first: a step's `da_next` is its
    part of `da` plus the `da_prev` of the step after it.

    Parameters
    ----------
    da : array_like, shape (n_a, m, T)
        Gradient of the loss with respect to every state. T may be smaller than T_x:
        then the first T steps are gone back through. None only with `dy`.
    caches : tuple or sequence
        From `rnn_forward`, or built from cell caches: ``([cache, ...], x)``, or
        ``[cache, ...]`` with the names ``U W ba V by``. The x in it is not read;
        parameters are taken from caches built by hand as they are now.
    dy : array_like, shape (n_y, m, T), optional
        Gradient with respect to the softmax's input, as for `rnn_cell_backward`.

    Returns
    -------
    dict
        ``dx`` (n_x, m, T), ``da0`` (n_a, m), ``dWax dWaa dba`` in the shapes of the
        parameters; for the names ``U W ba V by``: ``dU dW dba dx``. With `dy` also
        ``dWya dby`` (``dV dby``).

    Raises
    ------
    TypeError
        If an array is not of real numbers or `caches` are not of this function.
    ValueError
        If a shape does not fit, or there are more steps than in the forward.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import rnn_backward, rnn_forward
    >>> parameters = {"Wax": [[1.0]], "Waa": [[0.5]], "ba": [[0.0]],
    ...               "Wya": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> x, a0 = np.ones((1, 2, 3)), np.zeros((1, 2))
    >>> a, y_pred, caches = rnn_forward(x, a0, parameters)
    >>> gradients = rnn_backward(np.ones((1, 2, 3)), caches)
    >>> np.round(gradients["dx"][0, 0], 6), np.round(gradients["dWaa"], 6)
    (array([0.471651, 0.246095, 0.201101]), array([[0.729241]]))
    """
    return loop_backward(RNN, da, caches, None, dy)
