"""The GRU of the course: reset before the recurrent product."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ._backward import cell_backward, loop_backward
from ._caches import Cache, StepCaches, cell_cache
from ._checks import Array
from ._forward import forward
from ._notation import GRU, Parameters


def gru_cell_forward(
    xt: ArrayLike, a_prev: ArrayLike, parameters: Parameters
) -> tuple[Array, Array, Cache]:
    """One step of the GRU.

    With ``v = [a_prev; xt]``: gates ``ut = sigmoid(Wu v + bu)`` and
    ``rt = sigmoid(Wr v + br)``, candidate ``cct = tanh(Wc [rt * a_prev; xt] + bc)``;
    then ``a_next = ut * cct + (1 - ut) * a_prev`` and
    ``yt_pred = softmax(Wy a_next + by)`` (Chung, Gulcehre, Cho and Bengio, Empirical
    evaluation of gated recurrent neural networks, 2014). PyTorch's GRU differs twice:
    it resets after the recurrent product, and its z is 1 - ut.

    Parameters
    ----------
    xt : array_like, shape (n_x, m)
        Input of the step.
    a_prev : array_like, shape (n_a, m)
        State before it.
    parameters : dict
        ``Wu Wr Wc`` (n_a, n_a + n_x), ``bu br bc`` (n_a, 1), ``Wy`` (n_y, n_a) and
        ``by`` (n_y, 1).

    Returns
    -------
    a_next : ndarray, shape (n_a, m)
        State after the step; float32 if every array is float32, else float64.
    yt_pred : ndarray, shape (n_y, m)
        Prediction; each column adds up to 1.
    cache : tuple
        ``(a_next, a_prev, ut, rt, cct, xt, parameters)`` for `gru_cell_backward`.

    Raises
    ------
    TypeError
        If an array is not of real numbers or `parameters` is not a dict.
    ValueError
        If a name is missing or a shape does not fit; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import gru_cell_forward
    >>> parameters = {"Wy": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> for gate in "urc":
    ...     parameters |= {"W" + gate: [[0.5, 1.0]], "b" + gate: [[0.0]]}
    >>> a_next, yt_pred, cache = gru_cell_forward([[1.0]], [[2.0]], parameters)
    >>> np.round(a_next, 6), np.round(yt_pred[:, 0], 6), len(cache)
    (array([[1.079182]]), array([0.896448, 0.103552]), 7)
    """
    run, a_next, yt_pred, _ = forward(GRU, xt, a_prev, None, parameters, cell=True)
    return a_next, yt_pred, cell_cache(run, 0, parameters)


def gru_forward(
    x: ArrayLike, a0: ArrayLike, parameters: Parameters
) -> tuple[Array, Array, tuple[StepCaches, ArrayLike]]:
    """The GRU over all steps of `x`.

    `gru_cell_forward` from step to step, in one call.

    Parameters
    ----------
    x : array_like, shape (n_x, m, T_x)
        Input; T_x = 0 and m = 0 are allowed.
    a0 : array_like, shape (n_a, m)
        Initial state.
    parameters : dict
        As for `gru_cell_forward`.

    Returns
    -------
    a : ndarray, shape (n_a, m, T_x)
        State after every step; float32 if every array is float32, else float64.
    y_pred : ndarray, shape (n_y, m, T_x)
        Predictions.
    caches : tuple
        ``(list of T_x cell caches, x)``. An entry of the list is made when it is asked
        for. What is kept are copies, of the weights too: the gradient is that of
        what was computed, even if x or the parameters have changed in between.

    Raises
    ------
    TypeError, ValueError
        As `gru_cell_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import gru_forward
    >>> parameters = {"Wy": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> for gate in "urc":
    ...     parameters |= {"W" + gate: [[0.5, 1.0]], "b" + gate: [[0.0]]}
    >>> x, a0 = np.ones((1, 2, 3)), np.zeros((1, 2))
    >>> a, y_pred, caches = gru_forward(x, a0, parameters)
    >>> np.round(a[0, 0], 6), y_pred.shape, len(caches), len(caches[0])
    (array([0.55677 , 0.777514, 0.847192]), (2, 2, 3), 2, 3)
    """
    run, a, y_pred, _ = forward(GRU, x, a0, None, parameters, cell=False)
    return a, y_pred, (StepCaches(run, parameters), x)


def gru_cell_backward(
    da_next: ArrayLike | None, cache: Sequence[Any], dy: ArrayLike | None = None
) -> dict[str, Array]:
    """The gradients of one step of the GRU.

    The gradients before the activations are
    ``du = da_next * (cct - a_prev) * ut * (1 - ut)``,
    ``dc = da_next * ut * (1 - cct**2)`` and, with ``s = Wc[:, :n_a].T dc``,
    ``dr = s * a_prev * rt * (1 - rt)``; ``da_prev`` is ``da_next * (1 - ut) + s * rt``
    plus what flows back through Wu and Wr.

    Parameters
    ----------
    da_next : array_like, shape (n_a, m)
        Gradient of the loss with respect to `a_next`; None (no gradient) only with
        `dy`.
    cache : tuple
        From `gru_cell_forward`, or an entry of the caches of `gru_forward`.
    dy : array_like, shape (n_y, m), optional
        Gradient with respect to the softmax's input (``yt_pred - one_hot`` for
        cross-entropy). It flows through the output layer too. Default: none.

    Returns
    -------
    dict
        ``dxt`` (n_x, m), ``da_prev`` (n_a, m), ``dWu dbu dWr dbr dWc dbc`` in the
        shapes of the parameters. With `dy` also ``dWy dby``.

    Raises
    ------
    TypeError
        If an array is not of real numbers or `cache` is not a tuple.
    ValueError
        If a shape does not fit, or `cache` has not seven entries.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import gru_cell_backward, gru_cell_forward
    >>> parameters = {"Wy": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> for gate in "urc":
    ...     parameters |= {"W" + gate: [[0.5, 1.0]], "b" + gate: [[0.0]]}
    >>> a_next, yt_pred, cache = gru_cell_forward([[1.0]], [[2.0]], parameters)
    >>> gradients = gru_cell_backward([[1.0]], cache)
    >>> round(float(gradients["da_prev"][0, 0]), 6), gradients["dWu"].shape
    (0.102877, (1, 2))
    """
    return cell_backward(GRU, da_next, cache, None, dy)


def gru_backward(
    da: ArrayLike | None, caches: Sequence[Any], dy: ArrayLike | None = None
) -> dict[str, Array]:
    """The gradients of the GRU over a whole sequence.

    `gru_cell_backward` from the last step to the first: a step's `da_next` is its
    part of `da` plus the `da_prev` of the step after it.

    Parameters
    ----------
    da : array_like, shape (n_a, m, T)
        Gradient of the loss with respect to every state. T may be smaller than T_x:
        then the first T steps are gone back through. None only with `dy`.
    caches : tuple
        From `gru_forward`, or built from cell caches: ``([cache, ...], x)``. The x in
        it is not read; parameters are taken from caches built by hand as they are
        now.
    dy : array_like, shape (n_y, m, T), optional
        Gradient with respect to the softmax's input, as for `gru_cell_backward`.

    Returns
    -------
    dict
        ``dx`` (n_x, m, T), ``da0`` (n_a, m), ``dWu dbu dWr dbr dWc dbc`` in the shapes
        of the parameters. With `dy` also ``dWy dby``.

    Raises
    ------
    TypeError
        If an array is not of real numbers or `caches` are not of this function.
    ValueError
        If a shape does not fit, or there are more steps than in the forward.

    Examples
    --------
    >>> import numpy as np
    >>> from rnnext import gru_backward, gru_forward
    >>> parameters = {"Wy": [[1.0], [-1.0]], "by": [[0.0], [0.0]]}
    >>> for gate in "urc":
    ...     parameters |= {"W" + gate: [[0.5, 1.0]], "b" + gate: [[0.0]]}
    >>> x, a0 = np.ones((1, 2, 3)), np.zeros((1, 2))
    >>> a, y_pred, caches = gru_forward(x, a0, parameters)
    >>> gradients = gru_backward(np.ones((1, 2, 3)), caches)
    >>> np.round(gradients["dx"][0, 0], 6), np.round(gradients["dWr"], 6)
    (array([0.65646 , 0.376046, 0.228578]), array([[0.035346, 0.05353 ]]))
    """
    return loop_backward(GRU, da, caches, None, dy)
