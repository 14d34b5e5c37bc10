"""RNN, LSTM and GRU: the constructors of PyTorch's modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .. import layers
from ._computed import Computed


class RNN(Computed, nn.RNN):
    """Elman network: `torch.nn.RNN` [1]_, computed by `rnnext.RNN`.

    Parameters
    ----------
    input_size : int
        I, numbers in an input vector.
    hidden_size : int
        H, numbers in a hidden state.
    num_layers : int, default 1
        L; every layer after the first takes the output of the one below.
    nonlinearity : {"tanh", "relu"}, default "tanh"
        f of the equation in `rnnext.RNN`.
    bias : bool, default True
        Whether there are b_ih and b_hh.
    batch_first : bool, default False
        Whether sequences are (N, T, features) instead of (T, N, features).
    dropout : float, default 0
        Probability that an output of a layer but the last is dropped in training. Drawn
        by a generator that PyTorch's seeds: `torch.manual_seed` repeats it.
    bidirectional : bool, default False
        Whether a second direction (D = 2) runs from the end.
    device : torch.device, optional
        Of the parameters; they are computed with on the CPU alone.
    dtype : torch.float32 or torch.float64, optional
        Of the parameters. Default PyTorch's.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Notes
    -----
    Changes of the parameters are followed. Where no gradients are recorded, those that
    PyTorch does not count (through ``parameter.data`` or a NumPy view) are noticed at
    the next call of `train` or `eval`. To differentiate a gradient again is an error.

    References
    ----------
    .. [1] https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html

    Examples
    --------
    >>> import torch
    >>> from rnnext.torch import RNN
    >>> y, h_n = RNN(3, 4, nonlinearity="relu")(torch.zeros(5, 2, 3))
    >>> y.shape, h_n.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    _layer_class = layers.RNN

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
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            nonlinearity=nonlinearity,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
        )

    def _options(self) -> dict[str, Any]:
        return {"nonlinearity": self.nonlinearity}


class LSTM(Computed, nn.LSTM):
    """Long short-term memory: `torch.nn.LSTM` [1]_, computed by `rnnext.LSTM`.

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
        Probability that an output of a layer but the last is dropped in training. Drawn
        by a generator that PyTorch's seeds: `torch.manual_seed` repeats it.
    bidirectional : bool, default False
        Whether a second direction (D = 2) runs from the end.
    proj_size : int, default 0
        Size of the projection of h, if not 0.
    device : torch.device, optional
        Of the parameters; they are computed with on the CPU alone.
    dtype : torch.float32 or torch.float64, optional
        Of the parameters. Default PyTorch's.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Notes
    -----
    See `rnnext.torch.RNN`.

    References
    ----------
    .. [1] https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html

    Examples
    --------
    >>> import torch
    >>> from rnnext.torch import LSTM
    >>> lstm = LSTM(3, 4, num_layers=2, bidirectional=True)
    >>> y, (h_n, c_n) = lstm(torch.zeros(5, 2, 3))
    >>> y.sum().backward()
    >>> y.shape, lstm.weight_hh_l1_reverse.grad.shape
    (torch.Size([5, 2, 8]), torch.Size([16, 4]))
    """

    _layer_class = layers.LSTM

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
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            proj_size=proj_size,
            device=device,
            dtype=dtype,
        )

    def _options(self) -> dict[str, Any]:
        return {"proj_size": self.proj_size}


class GRU(Computed, nn.GRU):
    """Gated recurrent unit: `torch.nn.GRU` [1]_, computed by `rnnext.GRU`.

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
        Probability that an output of a layer but the last is dropped in training. Drawn
        by a generator that PyTorch's seeds: `torch.manual_seed` repeats it.
    bidirectional : bool, default False
        Whether a second direction (D = 2) runs from the end.
    device : torch.device, optional
        Of the parameters; they are computed with on the CPU alone.
    dtype : torch.float32 or torch.float64, optional
        Of the parameters. Default PyTorch's.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value.

    Notes
    -----
    See `rnnext.torch.RNN`.

    References
    ----------
    .. [1] https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html

    Examples
    --------
    >>> import torch
    >>> from rnnext.torch import GRU
    >>> gru = GRU(3, 4, batch_first=True)
    >>> y, h_n = gru(torch.zeros(2, 5, 3))
    >>> bool((y[:, -1] == h_n[0]).all())
    True
    """

    _layer_class = layers.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
        )
