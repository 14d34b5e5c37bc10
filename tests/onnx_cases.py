"""Models of one node, and ONNX Runtime to run them."""

import numpy as np
import onnx
from onnx import helper

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
OUTPUTS = ("Y", "Y_h", "Y_c")


def info(name, array):
    array = np.asarray(array)
    code = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, code, array.shape)


def model_of(nodes, inputs, outputs, *, opset=14, initializers=()):
    """inputs: arrays by name, `initializers` those of them that are in the file."""
    given = [info(k, v) for k, v in inputs.items() if k not in initializers]
    made = [onnx.ValueInfoProto(name=name) for name in outputs]
    kept = [onnx.numpy_helper.from_array(inputs[k], k) for k in initializers]
    graph = helper.make_graph(nodes, "test", given, made, kept)
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def recurrent_model(op, inputs, *, opset=14, fixed=True, outputs=None, **attributes):
    """fixed: the weights are in the file. outputs: which, default all."""
    names = OUTPUTS[: 3 if op == "LSTM" else 2] if outputs is None else outputs
    slots = [name if name in inputs else "" for name in INPUTS]
    while not slots[-1]:
        slots.pop()
    node = helper.make_node(op, slots, names, name="it", **attributes)
    kept = [name for name in ("W", "R", "B", "P") if name in inputs and fixed]
    return model_of(
        [node], inputs, [n for n in names if n], opset=opset, initializers=kept
    )


def given_to(model, inputs):
    """Those of the arrays that the model does not have itself."""
    return {value.name: inputs[value.name] for value in model.inputs}


def numbers(text, *shape):
    return np.array(text.split(), np.float32).reshape(shape)
