"""Calls of everything but layers that are right, for tests/test_bad_input.py."""

import importlib
import itertools
from functools import partial

import numpy as np
from bad_input_layers import (
    CELLS,
    LAYERS,
    OTHERS,
    WITH_PARAMETERS,
    any_model,
    entry,
    made,
    model,
    steps_of,
)

import rnnext
from rnnext import exchange

# ---------------------------------------------------------------- training

OPTIMIZERS = ("SGD", "Adam", "AdamW")


@entry(*OPTIMIZERS)
def optimizer(case, kind):
    arguments = {"learning_rate": 0.1, "weight_decay": 0.01}
    more = {"SGD": {"momentum": 0.9, "nesterov": True}}
    adam = {"betas": (0.9, 0.99), "eps": 1e-8}
    return getattr(rnnext, kind), arguments | more.get(kind, adam)


@entry(*(f"{kind}.step" for kind in OPTIMIZERS), share=2)
def optimizer_step(case, kind):
    layer = any_model(case, case.pick(*LAYERS, "Linear", "Sequential"))
    optimizer = getattr(rnnext, kind)(case.pick(0.1, rnnext.schedules.constant(0.1)))

    def step(model, gradients):
        optimizer.step(model, gradients)
        return layer.state_dict(), optimizer.state_dict()

    given = {k: case.draw(*v.shape) for k, v in layer.parameters.items()}
    return step, {"model": layer, "gradients": given}


@entry(*(f"{kind}.load_state_dict" for kind in OPTIMIZERS))
def optimizer_state(case, kind):
    layer = made(case, "Linear")
    options = {"momentum": 0.9} if kind == "SGD" else {}
    used, fresh = (getattr(rnnext, kind)(0.1, **options) for _ in range(2))
    used.step(layer, {k: case.draw(*v.shape) for k, v in layer.parameters.items()})

    def load(state_dict):
        fresh.load_state_dict(state_dict)
        return fresh.state_dict()

    return load, {"state_dict": used.state_dict() | {"steps": np.array(1)}}


@entry("clip_grad_norm", writes=("gradients",), strict=("gradients",))
def clip_grad_norm(case, _):
    def clip(gradients, max_norm):
        return rnnext.clip_grad_norm(gradients, max_norm), gradients

    given = {"a": case.draw(case.H, case.I), "b": case.draw(case.H)}
    return clip, {"gradients": given, "max_norm": 0.5}


@entry("softmax_cross_entropy", share=3)
def softmax_cross_entropy(case, _):
    C = case.I
    arguments = {"logits": case.draw(case.T, case.N, C)}
    arguments |= {"targets": case.ids(case.T, case.N), "batch_first": False}
    steps = {k: v for k, v in steps_of(case).items() if k in ("lengths", "mask")}
    more = {"class_weights": abs(case.draw(C)), "label_smoothing": 0.1}
    return rnnext.softmax_cross_entropy, arguments | steps | case.pick({}, more)


@entry("mse_loss", share=3)
def mse_loss(case, _):
    arguments = {k: case.draw(case.T, case.N, case.I) for k in ("y", "targets")}
    steps = {k: v for k, v in steps_of(case).items() if k in ("lengths", "mask")}
    return rnnext.mse_loss, arguments | steps | {"batch_first": False}


@entry("truncated_bptt", share=2)
def truncated_bptt(case, _):
    arguments = {"x": case.draw(case.T, case.N, case.I)}
    arguments |= {"targets": case.ids(case.T, case.N), "steps": 2}
    if case.pick(True, False):
        arguments["lengths"] = case.rng.integers(0, case.T + 1, case.N)

    def pieces(**arguments):
        return list(itertools.islice(rnnext.truncated_bptt(**arguments), 50))

    return pieces, arguments | {"batch_first": False}


def batches(case):
    return [
        (case.draw(3, 2, case.I), case.draw(3, 2, 2), np.array([3, 1]))
        for _ in range(2)
    ]


@entry("train", share=0.5, goes_on=True)
def train(case, _):
    chain = model(case)

    def run(model, **arguments):
        history = rnnext.train(model, **arguments)
        return history.loss, history.gradient_norm, chain.state_dict()

    arguments = {"model": chain, "batches": batches(case), "loss": rnnext.mse_loss}
    arguments |= {"optimizer": rnnext.Adam(0.1), "epochs": 1, "clip": 1.0, "rng": 3}
    arguments["on_epoch"] = lambda history: len(history.epochs) > 1
    more = {"validation": batches(case), "metrics": {"a": lambda y, t, **_: 1.0}}
    more |= {"carry_state": False, "progress": False}
    return run, arguments | more


@entry("evaluate", share=0.5)
def evaluate(case, _):
    arguments = {"model": model(case), "batches": batches(case)}
    arguments |= {"loss": rnnext.mse_loss, "carry_state": False}
    return rnnext.evaluate, arguments | {"metrics": {"a": lambda y, t, **_: 1.0}}


@entry("check_gradients", share=0.2)
def check_gradients(case, _):
    def check(**arguments):
        report = rnnext.check_gradients(**arguments)
        return report.errors, report.ok

    layer = made(case, case.pick(*LAYERS), 2, 2)
    x = case.rng.standard_normal((3, 2, 2)).astype(case.dtype)
    return check, {"layer": layer, "x": x, "lengths": np.array([3, 1]), "rng": 1}


SCHEDULES = {
    "constant": {"rate": 0.1},
    "step_decay": {"rate": 0.1, "every": 3, "factor": 0.5},
    "exponential_decay": {"rate": 0.1, "factor": 0.5},
    "cosine_decay": {"rate": 0.1, "steps": 7, "final": 0.01},
    "warmup": {"steps": 5, "then": 0.1},
}
for _name, _arguments in SCHEDULES.items():

    def _schedule(case, _, name=_name, arguments=_arguments):
        def rates(**arguments):
            rate = getattr(rnnext.schedules, name)(**arguments)
            return [rate(step) for step in range(9)]

        return rates, arguments

    entry(f"training.schedules.{_name}")(_schedule)


@entry("set_num_threads")
def set_num_threads(case, _):
    before = rnnext.get_num_threads()

    def set_them(n):
        try:
            rnnext.set_num_threads(n)
            return rnnext.get_num_threads()
        finally:
            rnnext.set_num_threads(before)

    return set_them, {"n": 2}


# ---------------------------------------------------------------- course


def course_parameters(case, family):
    """In one of its notations."""
    H, I, O = case.H, case.I, 2
    shapes = {"Wya": (O, H), "by": (O, 1)}
    if family == "rnn":
        shapes |= {"Wax": (H, I), "Waa": (H, H), "ba": (H, 1)}
        names = {"Wax": "U", "Waa": "W", "Wya": "V"} if case.pick(True, False) else {}
        shapes = {names.get(k, k): shape for k, shape in shapes.items()}
    else:
        shapes["Wy"] = shapes.pop("Wya")
        for gate in "fico" if family == "lstm" else "urc":
            shapes |= {f"W{gate}": (H, H + I), f"b{gate}": (H, 1)}
    return {k: case.draw(*shape) for k, shape in shapes.items()}


def course_call(case, family, cell):
    x = case.draw(case.I, case.N, *(() if cell else (case.T,)))
    arguments = {"xt" if cell else "x": x}
    arguments["a_prev" if cell else "a0"] = case.draw(case.H, case.N)
    if family == "lstm" and (cell or case.pick(True, False)):
        arguments["c_prev" if cell else "c0"] = case.draw(case.H, case.N)
    return arguments | {"parameters": course_parameters(case, family)}


for _family, _cell in itertools.product(("rnn", "lstm", "gru"), (False, True)):
    _start = f"{_family}_cell" if _cell else _family

    def _forward(case, name, family=_family, cell=_cell):
        return getattr(rnnext, name), course_call(case, family, cell)

    def _backward(case, name, family=_family, cell=_cell):
        *outputs, y, cache = getattr(rnnext, name.replace("back", "for"))(
            **course_call(case, family, cell)
        )
        if family == "lstm" and not cell:
            outputs, y = outputs[:1], outputs[1]
        if not cell and case.T and case.pick(True, False):  # as if made by hand
            pair = isinstance(cache, tuple)
            cache = (list(cache[0]), cache[1]) if pair else list(cache)
        d = case.draw(*outputs[0].shape)
        arguments = {"da_next" if cell else "da": d}
        arguments["cache" if cell else "caches"] = cache
        if family == "lstm":
            arguments["dc_next"] = case.draw(case.H, case.N)
        return getattr(rnnext, name), arguments | {"dy": case.draw(*y.shape)}

    entry(f"{_start}_forward", share=2)(_forward)
    entry(f"{_start}_backward", share=2)(_backward)


@entry("sigmoid", "softmax")
def activation(case, kind):
    return getattr(rnnext, kind), {"x": case.draw(case.I, case.N)}


# ---------------------------------------------------------------- exchange

NOTATIONS = ("course", "flax", "haste", "keras", "onednn", "onnx", "torch")


def exchanged(case, notation):
    """A layer that the notation can say."""
    kind = case.pick("LSTM", "GRU")
    options = {"reset_after": False} if notation == "course" and kind == "GRU" else {}
    return made(case, kind, **options)


def kind_of(shape, H):
    return {3: "GRU", 4: "LSTM"}[shape[1] // H]


for _notation in NOTATIONS:

    def _to(case, _, notation=_notation):
        return getattr(exchange, f"to_{notation}"), {"layer": exchanged(case, notation)}

    def _from(case, _, notation=_notation):
        convert = getattr(exchange, f"from_{notation}")
        found = getattr(exchange, f"to_{notation}")(exchanged(case, notation))
        if notation in ("torch", "onednn"):
            name = "state_dict" if notation == "torch" else "arrays"
            return convert, {name: found, "batch_first": True}
        options = {"batch_first": True}
        if notation == "onnx" and kind_of(found[0]["W"].shape, case.H) == "GRU":
            options["reset_after"] = True
        return (lambda layers, **options: convert(layers, **options)), {
            "layers": found[0]
        } | options

    entry(f"exchange.to_{_notation}", share=0.5)(_to)
    entry(f"exchange.from_{_notation}", share=2)(_from)


@entry("exchange.reorder")
def reorder(case, _):
    arguments = {"array": case.draw(4 * case.H, case.I)}
    return exchange.reorder, arguments | {"source": "ifgo", "target": "iofg", "axis": 0}


# ---------------------------------------------------------------- files


@entry("save", share=0.5)
def save(case, _):
    path = case.folder / f"saved.{case.pick('npz', 'safetensors')}"

    def write(path, model, metadata):
        rnnext.save(path, model, metadata=metadata)
        return rnnext.load(path, with_metadata=True)

    layer = any_model(case, case.pick(*WITH_PARAMETERS))
    return write, {"path": str(path), "model": layer, "metadata": {"a": 1, "b": "c"}}


@entry("load", share=0.5)
def load(case, _):
    path = case.folder / f"read.{case.pick('npz', 'safetensors')}"
    rnnext.save(path, any_model(case, case.pick(*LAYERS, *CELLS, *OTHERS)))
    return rnnext.load, {"path": str(path), "with_metadata": True}


@entry("files.write_atomically", share=0.5)
def write_atomically(case, _):
    def write(path, content):
        rnnext.files.write_atomically(path, content)
        with open(path, "rb") as file:
            return file.read()

    return write, {"path": str(case.folder / "written"), "content": b"content"}


# ---------------------------------------------------------------- what extras bring


def extra(name):
    """The module, or None where it is not installed."""
    try:
        return importlib.import_module(f"rnnext.{name}")
    except ImportError:
        return None


if onnx := extra("onnx"):
    import bad_input_onnx  # noqa: F401
if sklearn := extra("sklearn"):

    def _sequences(case):
        return case.draw(6, 3, case.I)

    def _estimator(case, name):
        options = {"hidden_size": 2, "max_epochs": 1, "random_state": 0}
        return getattr(sklearn, name)(**options)

    def _targets(case, name):
        labels = np.array([0, 1] * 3)
        return labels if name == "RNNClassifier" else labels.astype(case.dtype)

    def _constructor(case, _, name):
        """Arguments are looked at by fit, as scikit-learn asks."""
        kind, x = getattr(sklearn, name), _sequences(case)

        def fit(**options):
            found = kind(max_epochs=1, **options).fit(x, _targets(case, name))
            return found.predict(x)

        options = {"cell": "lstm", "hidden_size": 2, "num_layers": 1, "pool": "mean"}
        options |= {"bidirectional": True, "dropout": 0.1, "columns": "steps"}
        options |= {"standardize": True, "learning_rate": 0.1, "weight_decay": 0.1}
        options |= {"clip": 1.0, "batch_size": 4, "tol": 1e-4}
        options |= {"patience": 2, "early_stopping": False, "validation_fraction": 0.3}
        return fit, options | {
            "warm_start": False,
            "dtype": "float64",
            "random_state": 0,
        }

    def _fit(case, _, name):
        def fit(X, y):
            return _estimator(case, name).fit(X, y).predict(_sequences(case))

        x = _sequences(case)
        return fit, {"X": case.pick(x, list(x)), "y": _targets(case, name)}

    def _predict(case, _, name, method):
        x = _sequences(case)
        fitted = _estimator(case, name).fit(x, _targets(case, name))
        return getattr(fitted, method), {"X": case.pick(x, list(x))}

    for _name in sklearn.__all__:
        entry(f"sklearn.{_name}", share=0.15, huge=False, foreign=True)(
            partial(_constructor, name=_name)
        )
        entry(f"sklearn.{_name}.fit", share=0.15, huge=False, foreign=True)(
            partial(_fit, name=_name)
        )
        for _method in ("predict", "predict_proba", "decision_function"):
            if hasattr(getattr(sklearn, _name), _method):
                entry(
                    f"sklearn.{_name}.{_method}", share=0.2, huge=False, foreign=True
                )(partial(_predict, name=_name, method=_method))

if plot := extra("plot"):

    def _drawn(function, **arguments):
        axes = function(**arguments)
        return [line.get_xydata() for line in np.ravel(axes)[0].get_lines()]

    @entry("plot.loss_curves", share=0.05)
    def loss_curves(case, _):
        history = rnnext.train(
            made(case, "RNN", case.I, 2),
            batches(case),
            rnnext.mse_loss,
            rnnext.SGD(0.1),
        )
        arguments = {"history": history, "smooth": 2, "log": True}
        return partial(_drawn, plot.loss_curves), arguments

    @entry("plot.gate_activations", share=0.05)
    def gate_activations(case, _):
        cache = made(case, "LSTM").forward(case.draw(4, 2, case.I))[-1]
        arguments = {"cache": cache, "gate": "f", "layer": 0, "sequence": 1}
        return partial(_drawn, plot.gate_activations), arguments | {"units": [0]}

    @entry("plot.gradient_norms", share=0.05)
    def gradient_norms(case, _):
        arguments = {"source": {"a": [1.0, 2.0], "b": [2.0, 3.0]}, "log": False}
        return partial(_drawn, plot.gradient_norms), arguments


if distributed := extra("distributed"):
    _WORKERS = distributed.Workers()

    @entry("distributed.Workers", share=0.2)
    def workers(case, _):
        arguments = {"comm": _WORKERS.comm, "ordered": True, "last_words": "x"}
        return (lambda **a: distributed.Workers(**a).rank), arguments

    @entry("distributed.Workers.average", writes=("gradients",), strict=("gradients",))
    def average(case, _):
        def run(gradients, weight):
            _WORKERS.average(gradients, weight=weight)
            return gradients

        return run, {"gradients": {"a": case.draw(case.H, case.I)}, "weight": 2}

    @entry("distributed.Workers.broadcast", share=0.5)
    def broadcast(case, _):
        layer = made(case, "GRU")

        def run(model):
            _WORKERS.broadcast(model)
            return layer.state_dict()

        return run, {"model": layer}

    @entry("distributed.Workers.shard")
    def shard(case, _):
        arguments = {"array": case.draw(case.T, case.N + 1, case.I), "axis": 1}
        return _WORKERS.shard, arguments

    @entry("distributed.Workers.sum")
    def total(case, _):
        return _WORKERS.sum, {"values": [1.0, 2.0]}
