"""Weights to and from other notations, exactly; only NumPy is needed.

``from_x(...)`` makes a layer of the weights of x, ``to_x(layer)`` gives them back.
What a notation cannot say exactly is a ValueError that tells why.

=============  ====================================  =======  =====  =============
notation       weights of                            LSTM     GRU    biases
=============  ====================================  =======  =====  =============
`from_torch`   a stack: state_dict                   i f g o  r z n  two
`from_keras`   layers: lists of get_weights()        i f g o  z r n  one; GRU two*
`from_flax`    layers: parameters of the cells       i f g o  r z n  one; GRU b_hn
`from_haste`   layers: kernel, recurrent_kernel ...  i g f o  z r n  one; GRU two
`from_onednn`  a stack: weights_layer ...            i f g o  z r n  one; GRU b_hn*
`from_onnx`    layers: W R B P of the nodes          i o f g  z r n  two
`from_course`  layers: the course's dictionaries     by name         one
=============  ====================================  =======  =====  =============

b_hn: the bias of n in the recurrent product stands beside the one of all gates.
*: one with ``reset_after=False``.

Peepholes: rnnext and oneDNN i f o, ONNX i o f. Functions that take layers take as many
as the stack has; functions that give them give a list. What is no weight (activations,
dropout, which axis is the batch) is an option of the layer, and the caller's to set.

_notation   the table of orders, and what each notation can express
_weights    layers as lists of weights in one of these orders, and back
_reading    foreign arrays, lists and mappings, checked
pytorch, keras, flax, haste, onednn, onnx, course   names, axes and biases of each
"""

from ._notation import reorder
from .course import from_course, to_course
from .flax import from_flax, to_flax
from .haste import from_haste, to_haste
from .keras import from_keras, to_keras
from .onednn import from_onednn, to_onednn
from .onnx import from_onnx, to_onnx
from .pytorch import from_torch, to_torch

__all__ = [
    "from_course",
    "from_flax",
    "from_haste",
    "from_keras",
    "from_onednn",
    "from_onnx",
    "from_torch",
    "reorder",
    "to_course",
    "to_flax",
    "to_haste",
    "to_keras",
    "to_onednn",
    "to_onnx",
    "to_torch",
]
