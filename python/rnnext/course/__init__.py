"""RNN, LSTM and GRU under the names and in the shapes of Andrew Ng's course.

Arrays are feature-first and time-last: x (n_x, m, T_x), a (n_a, m, T_x),
y (n_y, m, T_x), with m sequences at once. Parameters come in a dict:

======  =====================================  ======================================
cell    names                                  shapes
======  =====================================  ======================================
RNN     Wax Waa ba, Wya by                     (n_a, n_x) (n_a, n_a) (n_a, 1)
RNN     U W ba, V by                           the same
LSTM    Wf bf Wi bi Wc bc Wo bo, Wy by         (n_a, n_a + n_x) (n_a, 1), four times
GRU     Wu bu Wr br Wc bc, Wy by               (n_a, n_a + n_x) (n_a, 1), three times
======  =====================================  ======================================

and (n_y, n_a) (n_y, 1) for the output layer. Other names in the dict are left alone.

Integers, bools and lists become float64, and so does everything once one array is
float64; results are float32 if every array is. Arrays may have any strides and are
never written to; results lie in memory as it suits the core.

What is plain goes straight into one call of the core (cpp/bindings/course*); it gives
None for what has to be converted first or is wrong, and Python takes it from there.

_notation    the table of names and where each belongs in PyTorch's layout
_checks      arrays and messages
_caches      the tuples and what stands behind them
_forward     every forward
_backward    every backward
rnn, lstm, gru, _activations   the functions
"""

from ._activations import sigmoid, softmax
from .gru import gru_backward, gru_cell_backward, gru_cell_forward, gru_forward
from .lstm import lstm_backward, lstm_cell_backward, lstm_cell_forward, lstm_forward
from .rnn import rnn_backward, rnn_cell_backward, rnn_cell_forward, rnn_forward

__all__ = [
    "gru_backward",
    "gru_cell_backward",
    "gru_cell_forward",
    "gru_forward",
    "lstm_backward",
    "lstm_cell_backward",
    "lstm_cell_forward",
    "lstm_forward",
    "rnn_backward",
    "rnn_cell_backward",
    "rnn_cell_forward",
    "rnn_forward",
    "sigmoid",
    "softmax",
]
