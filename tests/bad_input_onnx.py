"""Calls of rnnext.onnx that are right, for tests/test_bad_input.py."""

import io

import onnx
from bad_input_layers import LAYERS, entry, made

import rnnext.onnx
import rnnext.onnx.backend as backend


def written(case):
    layer = made(case, case.pick(*LAYERS))
    rnnext.onnx.save(layer, file := io.BytesIO())
    return layer, file.getvalue()


def inputs(case, layer):
    states = ("h_0", "c_0") if isinstance(layer, rnnext.LSTM) else ("h_0",)
    found = {"x": case.draw(case.T, case.N, case.I)}
    return found | {name: case.draw(1, case.N, case.H) for name in states}


@entry("onnx.save", share=0.2)
def save(case, _):
    def write(layer, path):
        rnnext.onnx.save(layer, path)
        with open(path, "rb") as file:
            return file.read()

    path = str(case.folder / "saved.onnx")
    return write, {"layer": made(case, case.pick(*LAYERS)), "path": path}


@entry("onnx.load", "onnx.Model", share=0.3)
def load(case, _):
    path = case.folder / "read.onnx"
    content = written(case)[1]
    path.write_bytes(content)
    model = case.pick(str(path), content, onnx.load_model_from_string(content))
    return rnnext.onnx.load, {"model": model}


@entry("onnx.load_layer", share=0.2)
def load_layer(case, _):
    return rnnext.onnx.load_layer, {"model": written(case)[1]}


@entry("onnx.Model.__call__", share=0.5)
def model_call(case, _):
    layer, content = written(case)
    model = rnnext.onnx.load(content)
    return (lambda x, h_0, **c: model(x, h_0, *c.values())), inputs(case, layer)


@entry("onnx.Model.run", share=0.5)
def model_run(case, _):
    layer, content = written(case)
    return rnnext.onnx.load(content).run, {"inputs": inputs(case, layer)}


@entry("onnx.backend.Prepared.run", share=0.3)
def prepared_run(case, _):
    layer, content = written(case)
    prepared = backend.prepare(onnx.load_model_from_string(content))
    given = inputs(case, layer)
    return prepared.run, {"inputs": case.pick(given, list(given.values()))}


@entry(
    "onnx.backend.Prepared",
    *(f"onnx.backend.{start}prepare" for start in ("", "Backend.")),
    *(f"onnx.backend.{start}is_compatible" for start in ("", "Backend.")),
    share=0.2,
)
def prepare(case, _):
    function = case.pick(backend.prepare, backend.is_compatible)
    model = onnx.load_model_from_string(written(case)[1])

    def run(**arguments):
        found = function(**arguments)
        return found if isinstance(found, bool) else None

    return run, {"model": model, "device": "CPU"}


@entry(*(f"onnx.backend.{start}run_model" for start in ("", "Backend.")), share=0.2)
def run_model(case, _):
    layer, content = written(case)
    arguments = {"model": onnx.load_model_from_string(content), "device": "CPU"}
    return backend.run_model, arguments | {"inputs": inputs(case, layer)}


@entry(*(f"onnx.backend.{start}run_node" for start in ("", "Backend.")), share=0.3)
def run_node(case, _):
    node = onnx.helper.make_node(case.pick("Add", "Mul", "Max"), ["a", "b"], ["c"])
    given = [case.draw(case.T, case.I), case.draw(case.T, case.I)]
    return backend.run_node, {"node": node, "inputs": given, "device": "CPU"}


@entry(
    "onnx.backend.Backend",
    *(f"onnx.backend.{start}supports_device" for start in ("", "Backend.")),
    share=0.1,
)
def supports_device(case, _):
    return backend.Backend.supports_device, {"device": "CPU"}
