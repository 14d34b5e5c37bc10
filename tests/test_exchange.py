"""Weights to and from other notations: the other's equations give the same numbers."""

import functools

import numpy as np
import pytest
from conftest import errors, make_layer, same_bits

import rnnext
from rnnext import exchange
from rnnext.exchange import reorder

I, H, T, N = 5, 4, 6, 3
CELLS = ["rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before"]
NOTATIONS = {
    "torch": ["rnn_tanh", "rnn_relu", "lstm", "gru"],
    "keras": CELLS,
    "flax": ["rnn_tanh", "rnn_relu", "lstm", "gru"],
    "haste": ["lstm", "gru"],
    "onednn": CELLS,
    "onnx": CELLS,
    "course": ["rnn_tanh", "lstm", "gru_reset_before"],
}
PAIRS = [(notation, cell) for notation, cells in NOTATIONS.items() for cell in cells]
REFUSED = [
    (notation, cell)
    for notation, cells in NOTATIONS.items()
    for cell in CELLS
    if cell not in cells
]
# Where the two biases stay apart; elsewhere they come back as one.
TWO_BIASES = [
    *(("torch", cell) for cell in NOTATIONS["torch"]),
    *(("onnx", cell) for cell in CELLS),
    ("keras", "gru"),
    ("haste", "gru"),
]


def own_options(cell):
    """What a layer of this cell has besides its weights."""
    if cell.startswith("rnn"):
        return {"nonlinearity": cell.removeprefix("rnn_")}
    return {"reset_after": cell == "gru"} if cell.startswith("gru") else {}


def there(notation, layer):
    return getattr(exchange, f"to_{notation}")(layer)


def back(notation, weights, **options):
    read = getattr(exchange, f"from_{notation}")
    stack = notation in ("torch", "onednn")
    return read(weights, **options) if stack else read(*weights, **options)


def leaves(weights):
    """Every array of nested lists, tuples and dicts."""
    if isinstance(weights, np.ndarray):
        return [weights]
    parts = weights.values() if isinstance(weights, dict) else weights
    return [array for part in parts for array in leaves(part)]


def randomly(layer, rng):
    """Every parameter drawn anew, so that none is zero and none like another."""
    layer.assign(
        **{
            name: rng.standard_normal(p.shape) / 2
            for name, p in layer.parameters.items()
        }
    )
    return layer


OPTIONS = [
    {},
    {"bidirectional": True},
    {"num_layers": 3},
    {"num_layers": 2, "bias": False},
    {"num_layers": 2, "bidirectional": True},
]
ROUND_TRIPS = [
    (notation, cell, options)
    for notation, cell in PAIRS
    for options in OPTIONS
    if notation != "onednn" or options != OPTIONS[-1]
]


@pytest.mark.parametrize(("notation", "cell", "options"), ROUND_TRIPS)
def test_there_and_back(notation, cell, options, dtype, rng):
    """The same function bit for bit, and the same weights when it goes there again."""
    inputs = H * (1 + options.get("bidirectional", False))
    layer = randomly(make_layer(cell, inputs, H, dtype=dtype, **options), rng)
    weights = there(notation, layer)
    other = back(notation, weights, **own_options(cell))
    assert type(other) is type(layer)
    assert other.dtype == layer.dtype
    x = rng.standard_normal((T, N, inputs)).astype(dtype)
    assert same_bits(layer(x)[0], other(x)[0])
    for found, expected in zip(
        leaves(there(notation, other)), leaves(weights), strict=True
    ):
        assert same_bits(found, expected)
    if (notation, cell) in TWO_BIASES and layer.bias == other.bias:
        assert list(other.parameters) == list(layer.parameters)
        for name, array in layer.parameters.items():
            assert same_bits(other.parameters[name], array), name


@pytest.mark.parametrize(("notation", "cell"), PAIRS)
def test_weights_are_copies(notation, cell):
    layer = make_layer(cell, H, H)
    before = layer.state_dict()
    weights = leaves(there(notation, layer))
    other = back(notation, there(notation, layer), **own_options(cell))
    for array in weights:
        array[...] = 7.0
    for name, array in before.items():
        assert same_bits(layer.parameters[name], array)
    assert all((other.parameters[name] != 7).all() for name in before)


@pytest.mark.parametrize(("notation", "cell"), REFUSED)
def test_what_has_no_image(notation, cell):
    expected = {"rnn_relu": "nonlinearity|no RNN", "rnn_tanh": "no RNN"}
    with pytest.raises(ValueError, match=expected.get(cell, "reset_after")):
        there(notation, make_layer(cell, I, H))


SETTINGS = {
    "merge": {"bidirectional": True, "merge": "sum"},
    "reverse": {"reverse": True},
}
HAVE_SETTINGS = ["keras", "flax", "onednn", "onnx"]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("notation", NOTATIONS)
def test_settings_beside_the_weights(notation, setting, rng):
    """The caller's to set, and an error where the other has nothing like them."""
    options = SETTINGS[setting]
    layer = randomly(make_layer("lstm", H, H, **options), rng)
    if notation not in HAVE_SETTINGS:
        with pytest.raises(ValueError, match=f"layer: expected {setting}="):
            there(notation, layer)
        return
    other = back(notation, there(notation, layer), **{setting: options[setting]})
    x = rng.standard_normal((T, N, H))
    assert same_bits(layer(x)[0], other(x)[0])


@pytest.mark.parametrize("notation", ["keras", "flax", "onnx"])
def test_merged_directions_of_a_stack(notation, rng):
    """What the second layer takes depends on how the first is merged."""
    options = {"num_layers": 2, "bidirectional": True, "merge": "sum"}
    layer = randomly(make_layer("lstm", I, H, **options), rng)
    weights = there(notation, layer)
    other = back(notation, weights, merge="sum")
    x = rng.standard_normal((T, N, I))
    assert same_bits(layer(x)[0], other(x)[0])
    with pytest.raises(ValueError, match=r"\[1\].*: expected shape"):
        back(notation, weights)


# ------------------------------------------------- the equations of the others


def sequence(step, x, state):
    """y (T, N, H) of a step that gives the next state, h first."""
    outputs = []
    for x_t in x:
        state = step(x_t, state)
        outputs.append(state[0])
    return np.stack(outputs)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def keras_step(weights, cell, x, state):
    """keras/src/layers/rnn/{simple_rnn,lstm,gru}.py, implementation 2."""
    kernel, recurrent, bias = weights
    h = state[0]
    if cell.startswith("rnn"):
        a = x @ kernel + bias + h @ recurrent
        return (np.tanh(a) if cell == "rnn_tanh" else np.maximum(a, 0),)
    if cell == "lstm":
        a = np.split(x @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(a[1]) * state[1] + sigmoid(a[0]) * np.tanh(a[2])
        return sigmoid(a[3]) * np.tanh(c), c
    if cell == "gru":
        x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3, axis=1)
        h_z, h_r, h_h = np.split(h @ recurrent + bias[1], 3, axis=1)
        z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
        return (z * h + (1 - z) * np.tanh(x_h + r * h_h),)
    x_z, x_r, x_h = np.split(x @ kernel + bias, 3, axis=1)
    u_z, u_r, u_h = np.split(recurrent, 3, axis=1)
    z, r = sigmoid(x_z + h @ u_z), sigmoid(x_r + h @ u_r)
    return (z * h + (1 - z) * np.tanh(x_h + (r * h) @ u_h),)


def flax_step(params, cell, x, state):
    """flax/linen/recurrent.py."""
    h = state[0]

    def dense(name, value):
        return value @ params[name]["kernel"] + params[name].get("bias", 0)

    if cell.startswith("rnn"):
        a = dense("i", x) + dense("h", h)
        return (np.tanh(a) if cell == "rnn_tanh" else np.maximum(a, 0),)
    if cell == "gru":
        r = sigmoid(dense("ir", x) + dense("hr", h))
        z = sigmoid(dense("iz", x) + dense("hz", h))
        n = np.tanh(dense("in", x) + r * dense("hn", h))
        return ((1 - z) * n + z * h,)
    i, f, o = (sigmoid(dense("i" + g, x) + dense("h" + g, h)) for g in "ifo")
    c = f * state[1] + i * np.tanh(dense("ig", x) + dense("hg", h))
    return o * np.tanh(c), c


def haste_step(weights, cell, x, state):
    """haste's lib/{lstm,gru}_forward_gpu.cu.cc: i g f o and z r g."""
    h, kernel, recurrent = state[0], weights["kernel"], weights["recurrent_kernel"]
    if cell == "lstm":
        i, g, f, o = np.split(x @ kernel + h @ recurrent + weights["bias"], 4, axis=1)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    x_z, x_r, x_g = np.split(x @ kernel + weights["bias"], 3, axis=1)
    h_z, h_r, h_g = np.split(h @ recurrent + weights["recurrent_bias"], 3, axis=1)
    z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
    return (z * h + (1 - z) * np.tanh(x_g + r * h_g),)


def onednn_step(arrays, cell, x, state):
    """The RNN chapter of oneDNN's developer guide: ldigo, gates i f c o and u r o."""
    h, bias = state[0], arrays["bias"][0, 0]
    x_w = np.einsum("ni,igo->gno", x, arrays["weights_layer"][0, 0])
    u = arrays["weights_iter"][0, 0]
    h_u = np.einsum("ni,igo->gno", h, u)
    if cell.startswith("rnn"):
        a = x_w[0] + h_u[0] + bias[0]
        return (np.tanh(a) if cell == "rnn_tanh" else np.maximum(a, 0),)
    if cell == "lstm":
        a = x_w + h_u + bias[:, None]
        c = sigmoid(a[1]) * state[1] + sigmoid(a[0]) * np.tanh(a[2])
        return sigmoid(a[3]) * np.tanh(c), c
    z, r = (sigmoid(x_w[k] + h_u[k] + bias[k]) for k in (0, 1))
    if cell == "gru":
        new = np.tanh(x_w[2] + bias[2] + r * (h_u[2] + bias[3]))
    else:
        new = np.tanh(x_w[2] + bias[2] + (r * h) @ u[:, 2])
    return (z * h + (1 - z) * new,)


STEPS = {
    "keras": keras_step,
    "flax": flax_step,
    "haste": haste_step,
    "onednn": onednn_step,
}
COMPUTED = [(notation, cell) for notation, cell in PAIRS if notation in STEPS]


@pytest.mark.parametrize(("notation", "cell"), COMPUTED)
def test_their_equations_give_our_numbers(notation, cell, rng):
    layer = randomly(make_layer(cell, I, H), rng)
    weights = there(notation, layer)
    weights = weights if notation == "onednn" else weights[0]
    x, zero = rng.standard_normal((T, N, I)), np.zeros((N, H))
    step = functools.partial(STEPS[notation], weights, cell)
    norm, _ = errors(layer(x)[0], sequence(step, x, (zero, zero)))
    assert norm < 1e-13


@pytest.mark.parametrize("cell", NOTATIONS["course"])
def test_the_course_gives_our_numbers(cell, rng):
    layer = randomly(make_layer(cell, I, H), rng)
    (parameters,) = exchange.to_course(layer)
    family = cell.split("_")[0]
    weight = "Wya" if family == "rnn" else "Wy"
    forward = getattr(rnnext, f"{family}_forward")
    x = rng.standard_normal((T, N, I))
    output = {weight: np.ones((2, H)), "by": np.zeros((2, 1))}
    a = forward(x.T, np.zeros((H, N)), parameters | output)[0]
    norm, _ = errors(layer(x)[0], a.transpose(2, 1, 0))
    assert norm < 1e-13
    other = exchange.from_course(parameters | output)
    assert same_bits(other(x)[0], layer(x)[0])


def test_the_second_notation_of_the_course(rng):
    u, w = rng.standard_normal((H, I)), rng.standard_normal((H, H))
    ba = rng.standard_normal((H, 1))
    rest = {"V": np.ones((2, H)), "by": np.ones((2, 1))}
    layer = exchange.from_course({"U": u, "W": w, "ba": ba} | rest)
    same = exchange.from_course({"Wax": u, "Waa": w, "ba": ba})
    x = rng.standard_normal((T, N, I))
    assert same_bits(layer(x)[0], same(x)[0])
    assert same_bits(layer.parameters["weight_ih_l0"], u)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"bias": False}])
@pytest.mark.parametrize("cell", CELLS)
def test_onnx_runtime_gives_our_numbers(cell, options, rng):
    onnxruntime = pytest.importorskip("onnxruntime")
    layer = randomly(make_layer(cell, I, H, dtype=np.float32, **options), rng)
    (inputs,) = exchange.to_onnx(layer)
    x = rng.standard_normal((T, N, I)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx_model(cell, inputs))
    (found,) = session.run(["Y"], {"X": x})
    assert errors(found.swapaxes(1, 2).reshape(T, N, -1), layer(x)[0])[1] < 1e-5


def onnx_model(cell, inputs):
    """One recurrent node, its weights as initializers."""
    import onnx

    kind, D = cell.split("_")[0].upper(), len(inputs["W"])
    attributes = {"hidden_size": H, "direction": ("forward", "bidirectional")[D - 1]}
    if kind == "RNN":
        attributes["activations"] = [cell.removeprefix("rnn_").capitalize()] * D
    if kind == "GRU":
        attributes["linear_before_reset"] = int(cell == "gru")
    given = ["X", "W", "R", "B" if "B" in inputs else ""]
    if "P" in inputs:  # after sequence_lens and the initial states
        given += ["", "", "", "P"]
    node = onnx.helper.make_node(kind, given, ["Y"], **attributes)
    number = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "one_node",
        [onnx.helper.make_tensor_value_info("X", number, [T, N, I])],
        [onnx.helper.make_tensor_value_info("Y", number, [T, D, N, H])],
        [onnx.numpy_helper.from_array(array, name) for name, array in inputs.items()],
    )
    opset = onnx.helper.make_operatorsetid("", 14)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return model.SerializeToString()


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("cell", NOTATIONS["torch"])
def test_pytorch_gives_our_numbers(cell, options, rng):
    torch = pytest.importorskip("torch")
    name = cell.split("_")[0].upper()
    own = own_options(cell) if name == "RNN" else {}
    theirs = getattr(torch.nn, name)(I, H, **options, **own, dtype=torch.float64)
    layer = exchange.from_torch(theirs.state_dict(), **own)
    x = rng.standard_normal((T, N, I))
    expected = theirs(torch.from_numpy(x))[0].detach().numpy()
    assert errors(layer(x)[0], expected)[1] < 1e-12
    tensors = {k: torch.from_numpy(a) for k, a in exchange.to_torch(layer).items()}
    theirs.load_state_dict(tensors)


def test_whole_numbers_are_float64():
    layer = exchange.from_course(
        {"Wax": [[1, 2]], "Waa": [[3]], "ba": [[4]]}, batch_first=True
    )
    assert layer.dtype == np.float64
    assert layer.batch_first
    names = ("Wu", "bu", "Wr", "br", "Wc", "bc")
    shapes = [(1, 2) if name[0] == "W" else (1, 1) for name in names]
    unsigned = {n: np.full(s, 3, np.uint8) for n, s in zip(names, shapes, strict=True)}
    layer = exchange.from_course(unsigned)
    assert layer.parameters["weight_ih_l0"].ravel().tolist() == [3, -3, 3]


def test_other_byte_order_and_strides():
    layer = make_layer("lstm", I, H, dtype=np.float32)
    (weights,) = exchange.to_keras(layer)
    other = exchange.from_keras([w.astype(">f4")[::-1][::-1] for w in weights])
    assert other.dtype == np.float32
    assert same_bits(other.parameters["weight_ih_l0"], layer.parameters["weight_ih_l0"])


def test_reorder():
    w = np.arange(24).reshape(2, 12)
    swapped = reorder(w, "rzn", "zrn", axis=1)
    assert (swapped[:, :4] == w[:, 4:8]).all()
    assert (reorder(swapped, "zrn", "rzn", axis=-1) == w).all()
    with pytest.raises(ValueError, match="the letters of source='rzn'"):
        reorder(w, "rzn", "zru")
    with pytest.raises(ValueError, match=r"axis 0 to be 3 blocks \(rzn\), got 2"):
        reorder(w, "rzn", "zrn")


# ------------------------------------------------- options of the cells


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}])
@pytest.mark.parametrize("notation", ["onednn", "onnx"])
def test_peepholes_there_and_back(notation, options, dtype, rng):
    layer = make_layer("lstm", H, H, peephole=True, dtype=dtype, **options)
    layer = randomly(layer, rng)
    other = back(notation, there(notation, layer))
    assert other.peephole
    for name, array in layer.parameters.items():
        if name.startswith("weight"):
            assert same_bits(other.parameters[name], array), name
    x = rng.standard_normal((T, N, H)).astype(dtype)
    assert same_bits(layer(x)[0], other(x)[0])


@pytest.mark.parametrize("notation", ["torch", "keras", "flax", "haste", "course"])
def test_peepholes_have_no_image(notation):
    with pytest.raises(ValueError, match="has no peephole in its LSTM"):
        there(notation, make_layer("lstm", I, H, peephole=True))


def test_order_of_peepholes(rng):
    """rnnext and oneDNN i f o, ONNX i o f."""
    layer = randomly(make_layer("lstm", I, H, peephole=True), rng)
    p = layer.parameters["weight_ch_l0"]
    (inputs,) = exchange.to_onnx(layer)
    assert same_bits(inputs["P"], p[[0, 2, 1]].reshape(1, -1))
    assert same_bits(exchange.to_onednn(layer)["weights_peephole"][0, 0], p)


def test_peepholes_of_onnx_runtime(rng):
    onnxruntime = pytest.importorskip("onnxruntime")
    layer = make_layer("lstm", I, H, peephole=True, dtype=np.float32)
    layer = randomly(layer, rng)
    (inputs,) = exchange.to_onnx(layer)
    x = rng.standard_normal((T, N, I)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx_model("lstm", inputs))
    (found,) = session.run(["Y"], {"X": x})
    assert errors(found[:, 0], layer(x)[0])[1] < 1e-5


@pytest.mark.parametrize(
    ("option", "value", "refusing"),
    [
        ("activations", ["relu"] * 5, ["torch", "haste", "onednn", "course"]),
        ("gate_clip", 1.0, ["torch", "keras", "flax", "haste", "onednn", "course"]),
        ("coupled", True, ["torch", "keras", "flax", "haste", "onednn", "course"]),
        ("cell_clip", 1.0, list(NOTATIONS)),
    ],
)
def test_options_that_others_lack(option, value, refusing):
    layer = make_layer("lstm", H, H, **{option: value})
    for notation in NOTATIONS:
        if notation in refusing:
            with pytest.raises(ValueError, match=f"layer: expected {option}="):
                there(notation, layer)
        else:
            other = back(notation, there(notation, layer), **{option: value})
            x = np.ones((T, N, H))
            assert same_bits(layer(x)[0], other(x)[0])
