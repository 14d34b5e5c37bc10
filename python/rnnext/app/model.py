"""The character model: a recurrent layer, dropout, an output layer."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from rnnext import GRU, LSTM, RNN, Dropout, Linear, Sequential
from rnnext._validation import generator

CELLS: dict[str, Any] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
DTYPES = ("float32", "float64")


def character_model(
    characters: int,
    cell: str = "lstm",
    hidden_size: int = 256,
    layers: int = 1,
    dtype: DTypeLike = "float32",
    *,
    dropout: float = 0.0,
    rng: object = None,
) -> Sequential:
    """Make what predicts the next character from all before it.

    Parameters
    ----------
    characters : int
        V; the model takes ids (T, N) and gives logits (T, N, V).
    cell : str
        ``"lstm"``, ``"gru"`` or ``"rnn"``.
    hidden_size : int
        H.
    layers : int
        L.
    dtype : str
        ``"float32"`` or ``"float64"``.
    dropout : float
        Between layers and before the output layer, in training only.
    rng : None, int, numpy.random.Generator, ...
        Draws the initial weights and the dropout.

    Returns
    -------
    Sequential
        Of ``"rnn"``, ``"dropout"`` and ``"head"``.
    """
    source = generator("rng", rng)
    # A forget gate that starts open lets the gradient reach far back.
    options: dict[str, Any] = {"forget_bias": 1.0} if cell == "lstm" else {}
    rnn = CELLS[cell](
        characters,
        hidden_size,
        layers,
        dropout=dropout if layers > 1 else 0.0,
        dtype=dtype,
        rng=source,
        **options,
    )
    head = Linear(hidden_size, characters, dtype=dtype, rng=source)
    return Sequential(
        {"rnn": rnn, "dropout": Dropout(dropout, rng=source), "head": head}
    )
