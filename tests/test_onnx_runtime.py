"""Against ONNX Runtime itself: nodes of drawn attributes, and layers that are saved."""

import io
import itertools

import numpy as np
import pytest
from conftest import LAYERS, make_layer, named_output, named_state
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_cases import OUTPUTS, given_to, recurrent_model

import rnnext.onnx

runtime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-5  # its sigmoid and tanh are rational approximations
CELLS = {"RNN": (1, 1), "GRU": (3, 2), "LSTM": (4, 3)}  # gates, activations
# ONNX Runtime's Softplus overflows, and its Affine and ScaledTanh have own defaults.
ACTIVATIONS = [
    "Relu",
    "Tanh",
    "Sigmoid",
    "Affine",
    "LeakyRelu",
    "ThresholdedRelu",
    "ScaledTanh",
    "HardSigmoid",
    "Elu",
    "Softsign",
    "Softplus",
]
ALPHA = {"Affine", "Elu", "HardSigmoid", "LeakyRelu", "ScaledTanh", "ThresholdedRelu"}
BETA = {"Affine", "HardSigmoid", "ScaledTanh"}


def by_runtime(model, inputs):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(model, options)
    names = [value.name for value in session.get_inputs()]
    found = session.run(None, {name: inputs[name] for name in names})
    outputs = [value.name for value in session.get_outputs()]
    return dict(zip(outputs, found, strict=True))


@st.composite
def nodes(draw):
    """op, attributes, inputs and outputs of a node that ONNX Runtime takes."""
    op = draw(st.sampled_from(list(CELLS)))
    G, count = CELLS[op]
    attributes = {
        "direction": draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    }
    D = 1 + (attributes["direction"] == "bidirectional")
    T, N, I, H = (draw(st.integers(1, n)) for n in (5, 4, 3, 5))
    attributes["hidden_size"] = H
    if draw(st.booleans()):
        chosen = [draw(st.sampled_from(ACTIVATIONS)) for _ in range(count * D)]
        attributes["activations"] = chosen
        for name, takers in (("activation_alpha", ALPHA), ("activation_beta", BETA)):
            values = [
                draw(st.sampled_from([0.25, 0.5, 0.75])) for n in chosen if n in takers
            ]
            if values:
                attributes[name] = values
    if draw(st.booleans()):
        attributes["clip"] = draw(st.sampled_from([0.25, 1.0, 3.0]))
    if op == "GRU":
        attributes["linear_before_reset"] = draw(st.integers(0, 1))
    if op == "LSTM":
        attributes["input_forget"] = draw(st.integers(0, 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = {"X": (T, N, I), "W": (D, G * H, I), "R": (D, G * H, H)}
    optional = {"B": (D, 2 * G * H), "initial_h": (D, N, H)}
    if op == "LSTM":
        optional |= {"initial_c": (D, N, H), "P": (D, 3 * H)}
    shapes |= {name: s for name, s in optional.items() if draw(st.booleans())}
    inputs = {k: rng.uniform(-1, 1, s).astype(np.float32) for k, s in shapes.items()}
    if draw(st.booleans()):
        least = 1 if op == "RNN" else 0  # ONNX Runtime's RNN refuses 0
        lengths = [draw(st.integers(least, T)) for _ in range(N)]
        inputs["sequence_lens"] = np.array(lengths, np.int32)
    names = OUTPUTS[: 3 if op == "LSTM" else 2]
    wanted = [name if draw(st.booleans()) else "" for name in names]
    return op, attributes, inputs, wanted if any(wanted) else list(names)


@settings(max_examples=400, deadline=None)
@given(nodes(), st.sampled_from([7, 12, 14, 21, 22]), st.booleans())
def test_nodes(case, opset, fixed):
    op, attributes, inputs, outputs = case
    model = recurrent_model(
        op, inputs, opset=opset, fixed=fixed, outputs=outputs, **attributes
    )
    expected = by_runtime(model.SerializeToString(), inputs)
    mine = rnnext.onnx.load(model)
    found = mine.run(given_to(mine, inputs))
    assert list(found) == list(expected) == [name for name in outputs if name]
    for name, array in found.items():
        assert array.shape == expected[name].shape
        scale = max(1, np.abs(array).max())
        assert np.abs(array - expected[name]).max() <= TOLERANCE * scale, name
