"""The interface of `onnx.backend.base`, through which ONNX's own tests run.

``onnx.backend.test.BackendTest(rnnext.onnx.backend, __name__)``; or in one line
``rnnext.onnx.backend.run_model(model, inputs)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.backend import base

from .._validation import kind, real_array
from ._model import Model, load
from ._node import Tensor


class Prepared(base.BackendRep):
    """A model that is ready to run.

    Parameters
    ----------
    model : Model

    Examples
    --------
    >>> import io, numpy as np, onnx, rnnext.onnx
    >>> from rnnext.onnx.backend import prepare
    >>> rnnext.onnx.save(rnnext.RNN(3, 4, rng=0), file := io.BytesIO())
    >>> prepared = prepare(onnx.load_model_from_string(file.getvalue()))
    >>> y, h_n = prepared.run([np.ones((5, 2, 3), "f4"), np.zeros((1, 2, 4), "f4")])
    >>> y.shape
    (5, 2, 4)
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def run(
        self, inputs: Sequence[Tensor] | Mapping[str, Tensor] | Tensor, **kwargs: Any
    ) -> tuple[Tensor, ...]:
        """Run the model.

        Parameters
        ----------
        inputs : sequence of ndarray, mapping of str to ndarray, or ndarray
            In order, by name, or the only one.
        **kwargs
            None are known.

        Returns
        -------
        tuple of ndarray
            The outputs in order.

        Raises
        ------
        TypeError, ValueError
            As `Model.run`.
        """
        _no_options(kwargs)
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        if isinstance(inputs, Mapping):
            return tuple(self.model.run(inputs).values())
        if not isinstance(inputs, (list, tuple)):
            raise TypeError(
                f"inputs: expected a sequence of arrays, got {kind(inputs)}"
            )
        found = self.model(*inputs)
        return found if isinstance(found, tuple) else (found,)


class Backend(base.Backend):
    """Runs ONNX models by rnnext, on the CPU.

    Examples
    --------
    >>> import numpy as np, onnx
    >>> from rnnext.onnx.backend import Backend
    >>> node = onnx.helper.make_node("Add", ["a", "b"], ["c"])
    >>> Backend.run_node(node, [np.float32([1, 2]), np.float32([3, 4])])
    (array([4., 6.], dtype=float32),)
    >>> Backend.supports_device("CUDA")
    False
    """

    @classmethod
    def is_compatible(
        cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any
    ) -> bool:
        """Whether a model can be loaded.

        Parameters
        ----------
        model : onnx.ModelProto
        device : str, default "CPU"
        **kwargs
            None are known.

        Returns
        -------
        bool
        """
        _no_options(kwargs)
        if not cls.supports_device(device):
            return False
        try:
            load(model)
        except (TypeError, ValueError, NotImplementedError):
            return False
        return True

    @classmethod
    def prepare(
        cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any
    ) -> Prepared:
        """Load a model.

        Parameters
        ----------
        model : onnx.ModelProto
        device : str, default "CPU"
        **kwargs
            None are known.

        Returns
        -------
        Prepared

        Raises
        ------
        ValueError
            As `load`, and for another device.
        """
        _no_options(kwargs)
        if not cls.supports_device(device):
            raise ValueError(f"device: expected CPU, got {device}")
        return Prepared(load(model))

    @classmethod
    def run_model(
        cls,
        model: onnx.ModelProto,
        inputs: Any,
        device: str = "CPU",
        **kwargs: Any,
    ) -> tuple[Tensor, ...]:
        """Load a model and run it once.

        Parameters
        ----------
        model : onnx.ModelProto
        inputs
            As for `Prepared.run`.
        device : str, default "CPU"
        **kwargs
            None are known.

        Returns
        -------
        tuple of ndarray

        Raises
        ------
        TypeError, ValueError
            As `load` and `Model.run`.
        """
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, ...]:
        """Run one node, of the newest opset or of `opset_version`.

        Parameters
        ----------
        node : onnx.NodeProto
        inputs : sequence of ndarray
            Those that the node names, in order.
        device : str, default "CPU"
        outputs_info : optional
            Not needed.
        **kwargs
            `opset_version` : int.

        Returns
        -------
        tuple of ndarray
            Those that the node names, in order.

        Raises
        ------
        TypeError, ValueError
            As `load` and `Model.run`.
        """
        opset = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        if not isinstance(node, onnx.NodeProto):
            raise TypeError(f"node: expected an onnx.NodeProto, got {kind(node)}")
        named = [name for name in node.input if name]
        if not isinstance(inputs, (list, tuple)) or len(inputs) != len(named):
            raise TypeError(
                f"inputs: expected {len(named)} arrays in order, got {kind(inputs)}"
            )
        make = onnx.helper.make_tensor_value_info
        arrays = [
            real_array(f"inputs: {name}", array)
            for name, array in zip(named, inputs, strict=True)
        ]
        arrays = [a.astype(a.dtype.newbyteorder("="), copy=False) for a in arrays]
        for name, array in zip(named, arrays, strict=True):
            if array.dtype.itemsize > 8:
                raise TypeError(f"inputs: {name}: ONNX has no {array.dtype}")
        given = [
            make(name, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in zip(named, arrays, strict=True)
        ]
        made = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = onnx.helper.make_graph([node], "node", given, made)
        imports = [onnx.helper.make_opsetid("", opset)]
        model = onnx.helper.make_model(graph, opset_imports=imports)
        model = onnx.shape_inference.infer_shapes(model)  # the types of outputs
        return cls.run_model(model, arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether models run there.

        Parameters
        ----------
        device : str

        Returns
        -------
        bool
            True for the CPU.
        """
        if not isinstance(device, str):
            raise TypeError(f"device: expected a string, got {kind(device)}")
        return device.split(":")[0] == "CPU"


def _no_options(options: Mapping[str, Any]) -> None:
    if options:
        raise TypeError(f"options: expected none, got {', '.join(options)}")


is_compatible = Backend.is_compatible
prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
