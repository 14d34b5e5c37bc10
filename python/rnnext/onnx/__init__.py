"""ONNX: recurrent models of others run here, layers of ours are saved for others.

`load` reads a model, `load_layer` one that is nothing but a recurrent layer, `save`
writes a layer, and `rnnext.onnx.backend` is what ONNX's own tests ask for. They need
the extra ``onnx``.

_model        a graph: read, checked, run node by node
_value        what goes in and comes out
_constants    how much may be computed while a model is read
_node         one node: its operator, attributes and names
_recurrent    the operators RNN, GRU and LSTM, by the layers
_arithmetic   the operators around them that compute
_arrangement  the operators around them that only move numbers
_save         a layer as a graph
_layer        a graph as a layer
backend       the interface of `onnx.backend.base`
"""

try:
    import onnx as _onnx  # noqa: F401
except ImportError as error:
    raise ImportError('rnnext.onnx needs onnx: pip install "rnnext[onnx]"') from error

from ._layer import load_layer
from ._model import Model, load
from ._save import save
from ._value import Value

__all__ = ["Model", "Value", "load", "load_layer", "save"]
