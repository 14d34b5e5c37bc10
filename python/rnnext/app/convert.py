"""``rnnext convert``: a model from one format of files to another."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from typing import Any

import rnnext
from rnnext._recurrent import Recurrent
from rnnext._validation import Array
from rnnext.cells import Cell
from rnnext.exchange import to_torch

from .errors import AppError
from .files import check_writable
from .modelfile import RNN_NOTE, ModelFile, Part, ending, read, told
from .output import json_text
from .progress import progress
from .tensors import library, tensors_of
from .verify import Case

NAME = "convert"
HELP = "convert a model: rnnext's files, PyTorch's state dicts, ONNX"
EXAMPLE = """rnnext convert exported.onnx model.safetensors
rnnext convert state_dict.safetensors model.npz --prefix encoder.lstm.
rnnext convert model.npz state_dict.safetensors --to torch
rnnext convert model.safetensors model.onnx"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``rnnext convert`` understands to `parser`."""
    parser.add_argument(
        "source",
        metavar="IN",
        help=".safetensors or .npz of rnnext.save, a PyTorch state dict saved as "
        ".safetensors, or an .onnx that is one recurrent layer",
    )
    parser.add_argument(
        "target", metavar="OUT", help=".safetensors, .npz or .onnx; the ending decides"
    )
    parser.add_argument(
        "--to",
        choices=("rnnext", "torch"),
        default="rnnext",
        help="what a .safetensors becomes: a file for rnnext.load, or a PyTorch state "
        "dict (default: %(default)s)",
    )
    parser.add_argument(
        "--prefix",
        metavar="TEXT",
        help="take the layer whose parameters' names begin so, as encoder.lstm.",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.add_argument_group("what a PyTorch state dict does not tell")
    options.add_argument(
        "--nonlinearity", choices=("tanh", "relu"), help="of an RNN, which needs it"
    )
    options.add_argument(
        "--batch-first",
        action="store_true",
        help="x is (N, T, I) instead of (T, N, I)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, write beside the target, run both, then put it in place.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit code: 0, or 1 if the two models differ; then nothing is written.

    Raises
    ------
    AppError
        When a file or an option is wrong, or the target's format has no such model.
    """
    target = arguments.target
    kind = ending(target)
    if arguments.to == "torch" and kind != ".safetensors":
        raise AppError(f"--to torch: expected OUT to end in .safetensors, got {target}")
    if os.path.lexists(target) and not arguments.force:
        raise AppError(f"{target} exists: --force replaces it")
    check_writable(target)
    with progress(2, "step") as done:
        file, model = _model(arguments)
        done(None)
        case = _converted(file, model, target, arguments.to)
        done(None)
    _tell(arguments, file, case, model)
    return 0 if case.ok else 1


def _converted(file: ModelFile, model: Any, target: str, to: str) -> Case:
    """Write the target if it is what its source is."""
    form = "torch" if to == "torch" else ending(target)
    place = os.path.realpath(target)
    try:
        with tempfile.TemporaryDirectory(
            prefix=".rnnext-", dir=os.path.dirname(place)
        ) as folder:
            made = os.path.join(folder, os.path.basename(target))
            with told(file.path):
                _WRITERS[form](model, made, file.metadata)
                case = _verified(file, model, form, made)
            if case.ok:
                os.replace(made, place)
    except OSError as error:
        raise AppError(f"cannot write {target}: {error.strerror or error}") from error
    return case


def _verified(file: ModelFile, model: Any, form: str, made: str) -> Case:
    """The model beside the file that was made of it, and beside its source."""
    case = Case(model)
    if form == ".onnx":
        case.by_onnx(made)
    elif form == "torch":
        case.by_parameters(tensors_of(made)[0])
    else:
        case.by_rnnext(rnnext.load(made))
    if "torch" in (form, file.format):
        case.by_pytorch()
    return case


def _tell(
    arguments: argparse.Namespace, file: ModelFile, case: Case, model: Any
) -> None:
    notes = [note for note in file.notes if note != RNN_NOTE] + case.notes
    lost = arguments.to == "torch" or arguments.target.endswith(".onnx")
    if lost and file.format == "rnnext" and file.metadata:
        notes.append(f"metadata is left out: {', '.join(file.metadata)}")
    if arguments.json:
        found = {
            "source": arguments.source,
            "target": arguments.target,
            "format": file.format,
            "model": repr(model),
            "parameters": sum(array.size for array in model.parameters.values()),
            "differences": case.differences,
            "ok": case.ok,
            "notes": notes,
        }
        print(json_text(found))
        return
    print(f"{arguments.source}: {model!r}")
    for note in notes:
        print(f"note: {note}")
    print(case)
    if case.ok:
        size = os.path.getsize(arguments.target)
        print(f"{arguments.target}: written, {size:,} bytes")
    else:
        print(f"FAILED: the models differ; {arguments.target} is not written")


# ---------------------------------------------------------------- reading


def _model(arguments: argparse.Namespace) -> tuple[ModelFile, Any]:
    path = arguments.source
    given = {"nonlinearity": arguments.nonlinearity or "tanh"}
    if arguments.batch_first:
        given["batch_first"] = True
    file = read(path, arguments.prefix or "", **given)
    if file.format == "torch":
        return file, _of_state_dict(file, arguments)
    for option in ("nonlinearity", "batch_first"):
        if getattr(arguments, option):
            raise AppError(
                f"--{option.replace('_', '-')}: {path} is no PyTorch state dict, and "
                "says that itself"
            )
    if arguments.prefix is not None:
        return file, _at(file, arguments.prefix)
    if file.format != "onnx":
        return file, file.model
    from rnnext.onnx import load_layer

    with told(path):
        return file, load_layer(path)


def _of_state_dict(file: ModelFile, arguments: argparse.Namespace) -> Any:
    """The one layer that is in it, or is asked for."""
    if arguments.prefix is None and len(file.parts) > 1:
        raise AppError(
            f"{file.path} holds {', '.join(map(_called, file.parts))}, and not "
            f"how they follow each other; {_prefixes(file)} takes one layer"
        )
    prefix = arguments.prefix
    model = _at(file, file.parts[0].name if prefix is None else prefix)
    if arguments.batch_first and isinstance(model, Cell):
        raise AppError(f"--batch-first: {file.path} holds {model!r}, which has no T")
    if arguments.nonlinearity and not hasattr(model, "nonlinearity"):
        raise AppError(f"--nonlinearity: {file.path} holds {model!r}, which has none")
    if hasattr(model, "nonlinearity") and arguments.nonlinearity is None:
        raise AppError(
            f"{file.path} holds an RNN, and not which nonlinearity it has: "
            "--nonlinearity tanh or --nonlinearity relu"
        )
    return model


def _at(file: ModelFile, prefix: str) -> Any:
    """The layer whose parameters begin with a prefix."""
    name = prefix.rstrip(".")
    for part in file.parts:
        if part.name == name and part.model is not None:
            return part.model
    raise AppError(f"--prefix {prefix}: {file.path} has {_prefixes(file)}")


def _called(part: Part) -> str:
    """A part by its name; one at the top has none, but its class or its tensors."""
    return part.name or (repr(part.model) if part.model else ", ".join(part.parameters))


def _prefixes(file: ModelFile) -> str:
    """What can be asked for."""
    names = [part.name for part in file.parts if part.model is not None]
    dotted = [f"{name}." if name else '""' for name in names]
    return " or ".join(f"--prefix {name}" for name in dotted)


# ---------------------------------------------------------------- writing


def _write_own(model: Any, path: str, metadata: Mapping[str, Any]) -> None:
    rnnext.save(path, model, metadata=metadata)


def _write_onnx(model: Any, path: str, metadata: Mapping[str, Any]) -> None:
    import rnnext.onnx

    if not isinstance(model, Recurrent):
        raise ValueError(
            f"expected one RNN, LSTM or GRU for ONNX, got {type(model).__name__}; "
            "--prefix takes one layer"
        )
    rnnext.onnx.save(model, path)  # type: ignore[arg-type]


def _write_torch(model: Any, path: str, metadata: Mapping[str, Any]) -> None:
    with library():
        from safetensors.numpy import save_file

        save_file(_torch_names(model), path, {"format": "pt"})


def _torch_names(model: Any, prefix: str = "") -> dict[str, Array]:
    """As PyTorch's modules of the same names have them."""
    if isinstance(model, rnnext.Sequential):
        return {
            name: array
            for inner, layer in model.layers.items()
            for name, array in _torch_names(layer, f"{prefix}{inner}.").items()
        }
    if isinstance(model, Recurrent):
        return to_torch(model, prefix)  # type: ignore[arg-type]
    if not getattr(model, "reset_after", True):
        raise ValueError(
            "expected reset_after=True, as PyTorch has no other, got False"
        )
    return {f"{prefix}{name}": array for name, array in model.state_dict().items()}


_WRITERS = {
    ".safetensors": _write_own,
    ".npz": _write_own,
    ".onnx": _write_onnx,
    "torch": _write_torch,
}
