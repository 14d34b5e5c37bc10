"""Against ONNX Runtime itself: nodes of drawn attributes, and saved layers."""

import io
import itertools

import numpy as np
import pytest
from conftest import LAYERS, errors, make_layer, named_output, named_state
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx_cases import OUTPUTS, given_to, recurrent_model

import rnnext.onnx

runtime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-5  # its sigmoid and tanh are rational approximations
# Where it is otherwise than the text of the operators, which no case comes to:
# ThresholdedRelu of alpha is 0 there, and Softplus of 90 is infinity.
CELLS = {"RNN": (1, 1), "GRU": (3, 2), "LSTM": (4, 3)}  # gates, activations
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
        attributes["clip"] = draw(st.sampled_from([0.3, 1.1, 3.1]))
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
    # Relu and its kin can multiply what they add up: digits are lost in both.
    assume(all(np.abs(array).max(initial=0) < 20 for array in expected.values()))
    for name, array in found.items():
        assert array.shape == expected[name].shape
        scale = max(1, np.abs(array).max())
        assert np.abs(array - expected[name]).max() <= TOLERANCE * scale, name


def layers():
    """Cells, depths and options that change what is written."""
    merges = [
        {"bidirectional": True, "merge": m} for m in ("concat", "sum", "mul", "ave")
    ]
    ways = [{}, {"reverse": True}, *merges]
    for cell, L, way in itertools.product(LAYERS, (1, 2), ways):
        yield cell, {"num_layers": L, **way}
    for cell in LAYERS:
        yield cell, {"bias": False, "batch_first": True}
        yield cell, {"bidirectional": True, "merge": None, "batch_first": True}
        yield cell, {"gate_clip": 0.5}
    other = ["hardsigmoid", "hardsigmoid", "softsign", "hardsigmoid", ("elu", 0.5)]
    own = ["sigmoid", "sigmoid", ("scaledtanh", 0.9, 0.7), "sigmoid", "tanh"]
    yield "lstm", {"peephole": True, "coupled": True, "num_layers": 2}
    yield "lstm", {"activations": [other, own], "bidirectional": True, "peephole": True}
    yield "gru", {"activations": [("affine", 0.3, 0.1)] * 2 + ["softplus"]}
    yield "rnn_tanh", {"activations": [["relu"], ["leakyrelu"]], "bidirectional": True}


@pytest.mark.parametrize(("cell", "options"), list(layers()))
def test_saved_layers(cell, options):
    """For T and N that the file does not know."""
    layer = make_layer(cell, 3, 4, dtype=np.float32, **options)
    rnnext.onnx.save(layer, file := io.BytesIO())
    rng = np.random.default_rng(2)
    D = layer.num_layers * (1 + layer.bidirectional)
    for T, N in ((5, 2), (1, 3)):
        shape = (N, T, 3) if layer.batch_first else (T, N, 3)
        x = rng.standard_normal(shape).astype(np.float32)
        h, c = rng.standard_normal((2, D, N, 4)).astype(np.float32)
        state = (h, c) if cell == "lstm" else h
        y, final = layer(x, state)
        given_state = named_state(state, "h_0", "c_0")
        found = by_runtime(file.getvalue(), {"x": x} | given_state)
        expected = named_output(y) | named_state(final)
        assert list(found) == list(expected)
        for name, array in found.items():
            assert array.shape == expected[name].shape
            assert errors(array, expected[name])[1] < TOLERANCE, name
