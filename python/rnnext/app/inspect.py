"""``rnnext inspect``: what is in a model file, and how its gates behave."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

import rnnext
from rnnext._recurrent import Recurrent
from rnnext._validation import Array
from rnnext.cells import Cell

from .arguments import natural
from .gates import Gate, statistics
from .modelfile import ModelFile, Part, check_readable, random_input, read, told
from .output import json_text, printable, table
from .progress import progress
from .state_dict import as_layer

NAME = "inspect"
HELP = "show what is in a model file: layers, shapes, cost, gates"
EXAMPLE = """rnnext inspect book-lstm.safetensors
rnnext inspect exported.onnx --input recordings.npy
rnnext inspect model.npz --json"""

STEPS, SEQUENCES = 64, 16  # of the random input
FORMATS = {
    "rnnext": "a model of rnnext",
    "torch": "a PyTorch state dict",
    "onnx": "an ONNX graph",
}
SHOWN = 200  # characters of a value of the metadata


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``rnnext inspect`` understands to `parser`."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=".safetensors or .npz of rnnext.save, a PyTorch state dict saved as "
        ".safetensors, or .onnx",
    )
    parser.add_argument(
        "--input",
        metavar="FILE.npy",
        help="numbers or token ids of the shape that the model takes, to run it on "
        f"(default: random, {STEPS} steps of {SEQUENCES} sequences)",
    )
    parser.add_argument(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="of the random input (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the layers, the parameters and the gates of a model.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit code, 0.

    Raises
    ------
    AppError
        When a file cannot be read, is no model, or the input does not fit.
    """
    rng = np.random.default_rng(arguments.seed)
    with progress(2, "step") as done:
        file = read(arguments.model)
        x = None if arguments.input is None else _input(arguments.input)
        done(None)
        with told(arguments.model if x is None else arguments.input):
            gates = list(_gates(file, x, rng))
        done(None)
    if arguments.json:
        print(json_text(_as_json(file, gates)))
    else:
        print("\n\n".join(_report(file, gates, arguments)))
    return 0


def _input(path: str) -> Array:
    check_readable(path)
    with told(path):
        try:
            found: Array = np.lib.format.open_memmap(path, mode="r")
        except ValueError as error:
            raise ValueError(
                f"expected an array, as numpy.save writes it: {error}"
            ) from error
    return found


# ---------------------------------------------------------------- gates


def _gates(
    file: ModelFile, x: Array | None, rng: np.random.Generator
) -> Iterator[Gate]:
    if file.format == "onnx":
        yield from _of_graph(file.model, x, rng)
    elif file.model is not None:
        given = _drawn(file, file.model, rng) if x is None else x
        yield from _run("", file.model, _fitting(given, file.model))
    else:  # parts that are known, not what they are together
        parts = [part for part in file.parts if part.model is not None]
        if x is not None and len(parts) > 1:
            raise ValueError(
                f"--input is of one layer, {file.path} holds "
                f"{', '.join(part.name for part in parts)}"
            )
        for part in parts:
            given = _drawn(file, part.model, rng) if x is None else x
            yield from _run(part.name, part.model, _fitting(given, part.model))


def _drawn(file: ModelFile, model: Any, rng: np.random.Generator) -> Array:
    ids = "vocabulary" in file.metadata  # of `rnnext train`
    x: Array = random_input(model, rng, STEPS, SEQUENCES, ids=ids)
    return x


def _fitting(x: Array, model: Any) -> Array:
    floats: Array = x if x.dtype.kind in "iu" else x.astype(model.dtype)
    return floats


def _run(name: str, model: Any, x: Array) -> list[Gate]:
    """Layer by layer, as in inference."""
    return list(_layers(name, model, [x]))


def _layers(name: str, model: Any, x: list[Any]) -> Iterator[Gate]:
    """x: the input, in whose place comes the output."""
    if isinstance(model, rnnext.Sequential):
        for inner, layer in model.layers.items():
            yield from _layers(f"{name}.{inner}" if name else inner, layer, x)
    elif isinstance(model, Recurrent):
        found, x[0] = statistics(name, model, x[0])
        yield from found
    elif isinstance(model, Cell):
        found, _ = statistics(name, as_layer(model), x[0][None])
        yield from found
    else:
        x[0] = model(x[0])


def _of_graph(model: Any, x: Array | None, rng: np.random.Generator) -> Iterator[Gate]:
    from rnnext.onnx._layer import drawn_inputs, recurrent_calls

    inputs = drawn_inputs(model, rng, STEPS, SEQUENCES, x)
    for node, layer, call in recurrent_calls(model, inputs):
        found, _ = statistics(node.label, layer, *call.arrays, **call.steps)
        yield from found


# ---------------------------------------------------------------- words


def _report(
    file: ModelFile, gates: list[Gate], arguments: argparse.Namespace
) -> Iterator[str]:
    total = _total(file.parts)
    lines = [f"{file.path}: {FORMATS[file.format]}"]
    lines += [
        f"  {printable(k)}: {_short(value)}" for k, value in file.metadata.items()
    ]
    lines += [f"note: {note}" for note in file.notes]
    yield "\n".join(lines)
    rows = [[part.name, part.kind, *_counts(part).values()] for part in file.parts]
    if len(rows) > 1:
        rows.append(["total", "", *total.values()])
    yield table(["name", "layer", "parameters", "bytes", "FLOP/step"], rows, left=2)
    yield table(
        ["parameter", "shape", "dtype", "numbers"],
        [
            [_joined(part.name, name), array.shape, array.dtype, array.size]
            for part in file.parts
            for name, array in part.parameters.items()
        ],
        left=3,
    )
    if gates:
        over = arguments.input or f"random input, seed {arguments.seed}"
        shown = [[g.layer, g.gate, *_parts_of(g)] for g in gates]
        head = ["gates", "", "mean", "deviation", "saturated"]
        yield f"over {over}:\n{table(head, shown, left=2)}"


def _counts(part: Part) -> dict[str, int | None]:
    arrays = part.parameters.values()
    return {
        "parameters": sum(array.size for array in arrays),
        "bytes": sum(array.nbytes for array in arrays),
        "flops": part.flops,
    }


def _total(parts: list[Part]) -> dict[str, int]:
    counts = [_counts(part) for part in parts]
    names = ("parameters", "bytes", "flops")
    return {name: sum(count[name] or 0 for count in counts) for name in names}


def _parts_of(gate: Gate) -> list[str]:
    saturated = "-" if gate.saturated is None else f"{gate.saturated:.1%}"
    return [f"{gate.mean:.3f}", f"{gate.deviation:.3f}", saturated]


def _joined(part: str, name: str) -> str:
    return f"{part}.{name}" if part else name


def _short(value: Any) -> str:
    text = printable(value if isinstance(value, str) else json.dumps(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _as_json(file: ModelFile, gates: list[Gate]) -> Mapping[str, Any]:
    return {
        "path": file.path,
        "format": file.format,
        "metadata": dict(file.metadata),
        "notes": file.notes,
        **_total(file.parts),
        "layers": [
            {"name": part.name, "layer": part.kind, **_counts(part)}
            | {
                "shapes": {k: list(a.shape) for k, a in part.parameters.items()},
                "dtype": str(next(iter(part.parameters.values())).dtype)
                if part.parameters
                else None,
            }
            for part in file.parts
        ],
        "gates": [asdict(gate) for gate in gates],
    }
