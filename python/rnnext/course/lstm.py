"""The LSTM of the course."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ._backward import cell_backward, loop_backward
from ._caches import Cache, StepCaches, cell_cache
from ._checks import Array
from ._forward import forward
from ._notation import LSTM, Parameters


def lstm_cell_forward(
    xt: ArrayLike, a_prev: ArrayLike, c_prev: ArrayLike, parameters: Parameters
) -> tuple[Array, Array, Array, Cache]:
    """One step of the LSTM.

    With ``v = [a_prev; xt]``: gates ``ft = sigmoid(Wf v + bf)``,
    ``it = sigmoid(Wi v + bi)``, ``ot = sigmoid(Wo v + bo)``, candidate
    ``cct = tanh(Wc v + bc)``; then ``c_next = ft * c_prev + it * cct``,
    ``a_next = ot * tanh(c_next)`` and ``yt_pred = softmax(Wy a_next + by)``
    (Hochreiter and Schmidhuber, Long short-term memory, 1997; forget gate: Gers,
    Schmidhuber and Cummins, Learning to forget, 2000).

    Parameters
    ----------
    xt : array_like, shape (n_x, m)
        Input of the step.
    a_prev, c_prev : array_like, shape (n_a, m)
        State and memory before it.
    parameters : dict
        ``Wf Wi Wc Wo`` (n_a, n_a + n_x), ``bf bi bc bo`` (n_a, 1), ``Wy`` (n_y, n_a)
        and ``by`` (n_y, 1).

    Returns
    -------
    a_next, c_next : ndarray, shape (n_a, m)
        State and memory after the step; float32 if every array is float32, else
        float64.
    yt_pred : ndarray, shape (n_y, m)
        Prediction; each column adds up to 1.
    cache : tuple
        ``(a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters)`` for
        `lstm_cell_backward`.

    Raises
    ------
    TypeError
        If an array is not of real numbers or `parameters` is not a dict.
    ValueError
        If a name is missing or a shape does not fit; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import lstm_cell_forward
    >>> parameters = {"Wy": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> for gate in "fico":
    ...     parameters |= {"W" + gate: [[0.5, 1.0]], "b" + gate: [[0.0]]}
    >>> a, c, y, cache = lstm_cell_forward([[1.0]], [[0.0]], [[2.0]], parameters)
    >>> np.round(a, 6), np.round(c, 6), np.round(y[:, 0], 6), len(cache)
    (array([[0.705719]]), array([[2.018887]]), array([0.803993, 0.196007]), 10)
    """
    run, a_next, yt_pred, c_next = forward(
        LSTM, xt, a_prev, c_prev, parameters, cell=True
    )
    assert c_next is not None  # an LSTM has it
    return a_next, c_next, yt_pred, cell_cache(run, 0, parameters)


def lstm_forward(
    x: ArrayLike, a0: ArrayLike, parameters: Parameters, c0: ArrayLike | None = None
) -> tuple[Array, Array, Array, tuple[StepCaches, ArrayLike]]:
    """The LSTM over all steps of `x`.

    `lstm_cell_forward` from step to step, in one call.

    Parameters
    ----------
    x : array_like, shape (n_x, m, T_x)
        Input; T_x = 0 and m = 0 are allowed.
    a0 : array_like, shape (n_a, m)
        Initial state.
    parameters : dict
        As for `lstm_cell_forward`.
    c0 : array_like, shape (n_a, m), optional
        Initial memory. Default: zero.

    Returns
    -------
    a : ndarray, shape (n_a, m, T_x)
        State after every step; float32 if every array is float32, else float64.
    y : ndarray, shape (n_y, m, T_x)
        Predictions.
    c : ndarray, shape (n_a, m, T_x)
        Memory after every step.
    caches : tuple
        ``(list of T_x cell caches, x)``. An entry of the list is made when it is asked
        for. What is kept are copies, of the weights too: the gradient is that of
        what was computed, even if x or the parameters have changed in between.

    Raises
    ------
    TypeError, ValueError
        As `lstm_cell_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import lstm_forward
    >>> parameters = {"Wy": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> for gate in "fico":
    ...     parameters |= {"W" + gate: [[0.5, 1.0]], "b" + gate: [[0.0]]}
    >>> x, a0 = np.ones((1, 2, 3)), np.zeros((1, 2))
    >>> a, y, c, caches = lstm_forward(x, a0, parameters)
    >>> np.round(a[0, 0], 6), np.round(c[0, 0], 6)
    (array([0.369606, 0.602023, 0.713087]), array([0.55677 , 1.061206, 1.511637]))
    >>> y.shape, len(caches), len(caches[0])
    ((2, 2, 3), 2, 3)
    """
    run, a, y, c = forward(LSTM, x, a0, c0, parameters, cell=False)
    assert c is not None  # an LSTM has it
    return a, y, c, (StepCaches(run, parameters), x)


def lstm_cell_backward(
    da_next: ArrayLike | None,
    dc_next: ArrayLike | None,
    cache: Sequence[Any],
    dy: ArrayLike | None = None,
) -> dict[str, Array]:
    """The gradients of one step of the LSTM.

    With ``D = dc_next + da_next * ot * (1 - tanh(c_next)**2)``, the gradients before
    the activations are ``D * c_prev * ft * (1 - ft)`` of the forget gate,
    ``D * cct * it * (1 - it)`` of the update gate, ``D * it * (1 - cct**2)`` of the
    candidate and ``da_next * tanh(c_next) * ot * (1 - ot)`` of the output gate;
    ``dc_prev = D * ft``, and the weights follow as in `rnn_cell_backward`.

    Parameters
    ----------
    da_next : array_like, shape (n_a, m)
        Gradient of the loss with respect to `a_next`; None (no gradient) only with
        `dy`.
    dc_next : array_like, shape (n_a, m)
        Gradient with respect to `c_next`; None is zero.
    cache : tuple
        From `lstm_cell_forward`, or an entry of the caches of `lstm_forward`.
    dy : array_like, shape (n_y, m), optional
        Gradient with respect to the softmax's input (``yt_pred - one_hot`` for
        cross-entropy). It flows through the output layer too. Default: none.

    Returns
    -------
    dict
        ``dxt`` (n_x, m), ``da_prev`` and ``dc_prev`` (n_a, m),
        ``dWf dbf dWi dbi dWc dbc dWo dbo`` in the shapes of the parameters. With `dy`
        also ``dWy dby``.

    Raises
    ------
    TypeError
        If an array is not of real numbers or `cache` is not a tuple.
    ValueError
        If a shape does not fit, or `cache` has not ten entries.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import lstm_cell_backward, lstm_cell_forward
    >>> parameters = {"Wy": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> for gate in "fico":
    ...     parameters |= {"W" + gate: [[0.5, 1.0]], "b" + gate: [[0.0]]}
    >>> a, c, y, cache = lstm_cell_forward([[1.0]], [[0.0]], [[2.0]], parameters)
    >>> gradients = lstm_cell_backward([[1.0]], [[1.0]], cache)
    >>> round(float(gradients["dc_prev"][0, 0]), 6), gradients["dWf"].shape
    (0.767466, (1, 2))
    """
    return cell_backward(LSTM, da_next, cache, dc_next, dy)


def lstm_backward(
    da: ArrayLike | None,
    caches: Sequence[Any],
    dc_next: ArrayLike | None = None,
    dy: ArrayLike | None = None,
) -> dict[str, Array]:
    """The gradients of the LSTM over a whole sequence.

    `lstm_cell_backward` from the last step to the first: a step's `da_next` is its
    part of `da` plus the `da_prev` of the step after it, its `dc_next` is the
    `dc_prev` of the step after it.

    Parameters
    ----------
    da : array_like, shape (n_a, m, T)
        Gradient of the loss with respect to every state. T may be smaller than T_x:
        then the first T steps are gone back through. None only with `dy`.
    caches : tuple
        From `lstm_forward`, or built from cell caches: ``([cache, ...], x)``. The x in
        it is not read; parameters are taken from caches built by hand as they are
        now.
    dc_next : array_like, shape (n_a, m), optional
        Gradient with respect to the memory after the last of these steps. Default:
        zero.
    dy : array_like, shape (n_y, m, T), optional
        Gradient with respect to the softmax's input, as for `lstm_cell_backward`.

    Returns
    -------
    dict
        ``dx`` (n_x, m, T), ``da0`` and ``dc0`` (n_a, m),
        ``dWf dbf dWi dbi dWc dbc dWo dbo`` in the shapes of the parameters. With `dy`
        also ``dWy dby``.

    Raises
    ------
    TypeError
        If an array is not of real numbers or `caches` are not of this function.
    ValueError
        If a shape does not fit, or there are more steps than in the forward.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import lstm_backward, lstm_forward
    >>> parameters = {"Wy": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> for gate in "fico":
    ...     parameters |= {"W" + gate: [[0.5, 1.0]], "b" + gate: [[0.0]]}
    >>> x, a0 = np.ones((1, 2, 3)), np.zeros((1, 2))
    >>> a, y, c, caches = lstm_forward(x, a0, parameters)
    >>> gradients = lstm_backward(np.ones((1, 2, 3)), caches)
    >>> np.round(gradients["dx"][0, 0], 6), np.round(gradients["dc0"][0], 6)
    (array([0.564312, 0.36915 , 0.225676]), array([0.71473, 0.71473]))
    """
    return loop_backward(LSTM, da, caches, dc_next, dy)
