"""RNN, LSTM and GRU the way PyTorch users think of them.

Positional arguments, parameter names, shapes, order and initial distribution are
PyTorch's: every parameter from U(-1/sqrt(H), 1/sqrt(H)).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from ._recurrent import Recurrent
from ._validation import (
    Array,
    boolean,
    choice,
    finite,
    integer,
    positive_integer,
)

Activations: TypeAlias = Sequence[Any]  # names or tuples, or two sequences of them


class RNN(Recurrent[Array]):
    """Elman network: ``h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)`` [1]_.

    Parameters
    ----------
    input_size : int
        I, numbers in an input vector.
    hidden_size : int
        H, numbers in a hidden state.
    num_layers : int, default 1
        L; every layer after the first takes the output of the one below.
    nonlinearity : {"tanh", "relu"}, default "tanh"
        f.
    bias : bool, default True
        Whether there are b_ih and b_hh.
    batch_first : bool, default False
        Whether sequences are (N, T, features) instead of (T, N, features).
    dropout : float, default 0
        Probability that an output of a layer but the last is dropped in training.
    bidirectional : bool, default False
        Whether a second direction (D = 2) runs from the end.
    merge : {"concat", "sum", "mul", "ave"} or None, keyword, default "concat"
        What becomes of the outputs of two directions: both, or their sum, product or
        mean, which the next layer takes as well; None leaves them a tuple of two, in a
        single layer. Keras's `merge_mode`.
    reverse : bool, keyword, default False
        Whether the only direction runs from the end; `y` keeps the order of `x`, as
        with ONNX's ``direction="reverse"`` (Keras's `go_backwards` turns it round).
    input_dropout : float, keyword, default 0
        Probability that in training a feature of the input of a layer and direction is
        dropped, in one sequence at all its steps [2]_. Keras's `dropout`.
    recurrent_dropout : float, keyword, default 0
        Likewise of a unit of h_{t-1} where W_hh multiplies it. Keras's
        `recurrent_dropout`.
    activations : list, keyword, optional
        Another f, in a list of one: a name or ``(name, alpha, beta)``; for two
        directions there may be two lists. The names are ONNX's [3]_, in any case: Relu,
        Tanh, Sigmoid, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu,
        Softsign, Softplus, with its default alpha and beta; Affine and ScaledTanh have
        none.
    gate_clip : float, keyword, optional
        Bounds what goes into these activations to ±gate_clip: ``clip`` of ONNX [3]_.
    dtype : {float32, float64}, keyword, default float32
        Of parameters, inputs and outputs.
    rng : None, int or numpy.random.Generator, keyword, optional
        Of the initial parameters, and then of dropout.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    References
    ----------
    .. [1] Elman, "Finding structure in time", Cognitive Science 14(2), 1990.
    .. [2] Gal & Ghahramani, "A theoretically grounded application of dropout in
       recurrent neural networks", NeurIPS 2016.
    .. [3] The operators RNN, GRU and LSTM of ONNX, https://onnx.ai/onnx/operators.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> rnn = rnnext.RNN(3, 4, num_layers=2, rng=0)
    >>> y, h_n = rnn(np.zeros((5, 2, 3), np.float32))
    >>> y.shape, h_n.shape
    ((5, 2, 4), (2, 2, 4))
    >>> rnnext.RNN(3, 4, activations=[("LeakyRelu", 0.1)], rng=0)(y[..., :3])[0].shape
    (5, 2, 4)
    """

    _gates = 1
    _defaults = {"nonlinearity": "tanh"} | Recurrent._defaults

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        merge: str | None = "concat",
        reverse: bool = False,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        activations: Activations | None = None,
        gate_clip: float | None = None,
        dtype: DTypeLike = np.float32,
        rng: object = None,
    ) -> None:
        self.nonlinearity = checked_nonlinearity(nonlinearity)
        if activations is not None and nonlinearity != "tanh":
            raise ValueError("nonlinearity: expected only one of it and activations")
        super().__init__(
            f"rnn_{nonlinearity}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            dtype,
            rng,
            merge=merge,
            reverse=reverse,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            options={"activations": activations, "gate_clip": gate_clip},
        )


class LSTM(Recurrent[tuple[Array, Array]]):
    """Long short-term memory [1]_ [2]_.

    ``i, f, o = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``, ``g = tanh(...)``,
    ``c_t = f c_{t-1} + i g``, ``h_t = o tanh(c_t)``; gates in the order i, f, g, o. The
    state is a tuple ``(h, c)``.

    Parameters
    ----------
    input_size : int
        I, numbers in an input vector.
    hidden_size : int
        H, numbers in a hidden state.
    num_layers : int, default 1
        L; every layer after the first takes the output of the one below.
    bias : bool, default True
        Whether there are b_ih and b_hh.
    batch_first : bool, default False
        Whether sequences are (N, T, features) instead of (T, N, features).
    dropout : float, default 0
        Probability that an output of a layer but the last is dropped in training.
    bidirectional : bool, default False
        Whether a second direction (D = 2) runs from the end.
    proj_size : int, default 0
        P. Unless 0, h is projected after every step, ``h_t = W_hr (o tanh(c_t))`` [7]_:
        a parameter ``weight_hr_l0`` (P, H), and h, y and the columns of ``weight_hh``
        are of P, which is less than H.
    merge : {"concat", "sum", "mul", "ave"} or None, keyword, default "concat"
        What becomes of the outputs of two directions: both, or their sum, product or
        mean, which the next layer takes as well; None leaves them a tuple of two, in a
        single layer. Keras's `merge_mode`.
    reverse : bool, keyword, default False
        Whether the only direction runs from the end; `y` keeps the order of `x`, as
        with ONNX's ``direction="reverse"`` (Keras's `go_backwards` turns it round).
    input_dropout : float, keyword, default 0
        Probability that in training a feature of the input of a layer and direction is
        dropped, in one sequence at all its steps [3]_. Keras's `dropout`.
    recurrent_dropout : float, keyword, default 0
        Likewise of a unit of h_{t-1} where W_hh multiplies it, for all gates the same
        as in [3]_. Keras's `recurrent_dropout` draws for each gate.
    activations : list, keyword, optional
        What stands in place of sigmoid and tanh, in a list of five: for i, f, g, o, and
        for c_t on its way to h_t. Each is a name or ``(name, alpha, beta)``; for two
        directions there may be two lists. The names are ONNX's [4]_, in any case: Relu,
        Tanh, Sigmoid, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu,
        Softsign, Softplus, with its default alpha and beta; Affine and ScaledTanh have
        none.
    gate_clip : float, keyword, optional
        Bounds what goes into the activations of i, f, g, o to ±gate_clip: ``clip`` of
        ONNX [4]_. As in ONNX Runtime it comes after the peephole term, and c_t is not
        bounded on its way to h_t.
    peephole : bool, keyword, default False
        Whether gates see the cell state [5]_: a parameter ``weight_ch_l0`` (3, H), rows
        p_i, p_f, p_o. What goes into the activations of i and f has p_i c_{t-1} and
        p_f c_{t-1} added, that of o has p_o c_t, as in ONNX and oneDNN.
    coupled : bool, keyword, default False
        Whether f = 1 - i: ONNX's ``input_forget``. The weights, bias, peephole and
        activation of f then have no effect, and zero gradients.
    cell_clip : float, keyword, optional
        Bounds c_t to ±cell_clip, as cuDNN's ``cudnnRNNSetClip`` does.
    forget_bias : float, keyword, default 0
        Added to the initial value of ``bias_ih`` of f; 1 is usual [6]_.
    dtype : {float32, float64}, keyword, default float32
        Of parameters, inputs and outputs.
    rng : None, int or numpy.random.Generator, keyword, optional
        Of the initial parameters, and then of dropout.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    References
    ----------
    .. [1] Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8),
       1997.
    .. [2] Gers, Schmidhuber & Cummins, "Learning to forget", Neural Computation 12(10),
       2000.
    .. [3] Gal & Ghahramani, "A theoretically grounded application of dropout in
       recurrent neural networks", NeurIPS 2016.
    .. [4] The operators RNN, GRU and LSTM of ONNX, https://onnx.ai/onnx/operators.
    .. [5] Gers & Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.
    .. [6] Jozefowicz, Zaremba & Sutskever, "An empirical exploration of recurrent
       network architectures", ICML 2015.
    .. [7] Sak, Senior & Beaufays, "Long short-term memory recurrent neural network
       architectures for large scale acoustic modeling", Interspeech 2014.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> lstm = rnnext.LSTM(3, 4, rng=0)
    >>> x = np.ones((5, 2, 3), np.float32)
    >>> y, (h_n, c_n), cache = lstm.forward(x)
    >>> grads = lstm.backward(cache, np.ones_like(y))
    >>> grads.x.shape, grads.parameters["weight_ih_l0"].shape
    ((5, 2, 3), (16, 3))

    With peepholes, and ONNX's HardSigmoid for the gates:

    >>> hard = ["HardSigmoid", "HardSigmoid", "Tanh", "HardSigmoid", "Tanh"]
    >>> lstm = rnnext.LSTM(3, 4, peephole=True, activations=hard, rng=0)
    >>> list(lstm.parameters)[-1], lstm(x)[0].shape
    ('weight_ch_l0', (5, 2, 4))
    """

    _gates = 4
    _has_c = True
    _defaults = Recurrent._defaults | {
        "proj_size": 0,
        "peephole": False,
        "coupled": False,
        "cell_clip": None,
        "forget_bias": 0.0,
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        merge: str | None = "concat",
        reverse: bool = False,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        activations: Activations | None = None,
        gate_clip: float | None = None,
        peephole: bool = False,
        coupled: bool = False,
        cell_clip: float | None = None,
        forget_bias: float = 0.0,
        dtype: DTypeLike = np.float32,
        rng: object = None,
    ) -> None:
        self.proj_size = integer("proj_size", proj_size)
        if self.proj_size < 0:
            raise ValueError(f"proj_size: expected 0 or more, got {proj_size}")
        if self.proj_size >= positive_integer("hidden_size", hidden_size):
            raise ValueError(
                f"proj_size: expected less than H={hidden_size}, got {proj_size}"
            )
        self.peephole = boolean("peephole", peephole)
        self.coupled = boolean("coupled", coupled)
        self.forget_bias = finite("forget_bias", forget_bias)
        if self.forget_bias and (self.coupled or not boolean("bias", bias)):
            raise ValueError("forget_bias: expected 0 with coupled or bias=False")
        super().__init__(
            "lstm",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            dtype,
            rng,
            merge=merge,
            reverse=reverse,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            options={
                "activations": activations,
                "gate_clip": gate_clip,
                "peephole": self.peephole,
                "coupled": self.coupled,
                "cell_clip": cell_clip,
            },
        )
        self.cell_clip = self._options.cell_clip
        if self.forget_bias:
            rows = slice(self.hidden_size, 2 * self.hidden_size)
            biases = {k: v for k, v in self.state_dict().items() if "bias_ih" in k}
            for b_ih in biases.values():
                b_ih[rows] += self.forget_bias
            self.assign(**biases)


class GRU(Recurrent[Array]):
    """Gated recurrent unit [1]_.

    ``r, z = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``,
    ``n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))``,
    ``h_t = (1 - z) n + z h_{t-1}``; gates in the order r, z, n. That is the form of
    PyTorch and cuDNN; with ``reset_after=False`` it is the paper's, the course's and
    ONNX's default: ``n = tanh(W_in x_t + b_in + W_hn (r h_{t-1}) + b_hn)``.

    Parameters
    ----------
    input_size : int
        I, numbers in an input vector.
    hidden_size : int
        H, numbers in a hidden state.
    num_layers : int, default 1
        L; every layer after the first takes the output of the one below.
    bias : bool, default True
        Whether there are b_ih and b_hh.
    batch_first : bool, default False
        Whether sequences are (N, T, features) instead of (T, N, features).
    dropout : float, default 0
        Probability that an output of a layer but the last is dropped in training.
    bidirectional : bool, default False
        Whether a second direction (D = 2) runs from the end.
    reset_after : bool, keyword, default True
        Whether r multiplies the recurrent product or the state that goes into it.
    merge : {"concat", "sum", "mul", "ave"} or None, keyword, default "concat"
        What becomes of the outputs of two directions: both, or their sum, product or
        mean, which the next layer takes as well; None leaves them a tuple of two, in a
        single layer. Keras's `merge_mode`.
    reverse : bool, keyword, default False
        Whether the only direction runs from the end; `y` keeps the order of `x`, as
        with ONNX's ``direction="reverse"`` (Keras's `go_backwards` turns it round).
    input_dropout : float, keyword, default 0
        Probability that in training a feature of the input of a layer and direction is
        dropped, in one sequence at all its steps [2]_. Keras's `dropout`.
    recurrent_dropout : float, keyword, default 0
        Likewise of a unit of h_{t-1} where W_hh multiplies it (in ``z h_{t-1}`` h is
        whole), for all gates the same as in [2]_. Keras's `recurrent_dropout` draws
        for each gate.
    activations : list, keyword, optional
        What stands in place of sigmoid and tanh, in a list of three: for r, z, n. Each
        is a name or ``(name, alpha, beta)``; for two directions there may be two lists.
        The names are ONNX's [3]_, in any case: Relu, Tanh, Sigmoid, Affine, LeakyRelu,
        ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, Softsign, Softplus, with its
        default alpha and beta; Affine and ScaledTanh have none.
    gate_clip : float, keyword, optional
        Bounds what goes into these activations to ±gate_clip: ``clip`` of ONNX [3]_.
    dtype : {float32, float64}, keyword, default float32
        Of parameters, inputs and outputs.
    rng : None, int or numpy.random.Generator, keyword, optional
        Of the initial parameters, and then of dropout.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    References
    ----------
    .. [1] Cho et al., "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation", EMNLP 2014.
    .. [2] Gal & Ghahramani, "A theoretically grounded application of dropout in
       recurrent neural networks", NeurIPS 2016.
    .. [3] The operators RNN, GRU and LSTM of ONNX, https://onnx.ai/onnx/operators.

    Examples
    --------
    >>> import numpy as np, rnnext
    >>> gru = rnnext.GRU(3, 4, bidirectional=True, rng=0)
    >>> y, h_n = gru(np.zeros((5, 2, 3), np.float32))
    >>> y.shape, h_n.shape
    ((5, 2, 8), (2, 2, 4))
    >>> rnnext.GRU(3, 4, activations=["Sigmoid", "Sigmoid", "Softsign"], gate_clip=3)
    GRU(3, 4, activations=['Sigmoid', 'Sigmoid', 'Softsign'], gate_clip=3.0)
    """

    _gates = 3
    _defaults = Recurrent._defaults | {"reset_after": True}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        merge: str | None = "concat",
        reverse: bool = False,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        activations: Activations | None = None,
        gate_clip: float | None = None,
        dtype: DTypeLike = np.float32,
        rng: object = None,
    ) -> None:
        self.reset_after = boolean("reset_after", reset_after)
        super().__init__(
            "gru" if self.reset_after else "gru_reset_before",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            dtype,
            rng,
            merge=merge,
            reverse=reverse,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            options={"activations": activations, "gate_clip": gate_clip},
        )


def checked_nonlinearity(value: object) -> str:
    checked: str = choice("nonlinearity", value, ("tanh", "relu"))
    return checked
