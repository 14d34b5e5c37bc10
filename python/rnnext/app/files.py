"""The model file: safetensors, with configuration and vocabulary in its metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from .data import Vocabulary
from .errors import AppError, missing
from .model import CELLS, DTYPES, CharModel, ModelConfig

KEY = "rnnext"
FORMAT = "rnnext character model"
VERSION = 1


def require_safetensors() -> None:
    """Raise AppError, with what to install, when safetensors is missing."""
    try:
        import safetensors  # noqa: F401
    except ImportError as error:
        raise AppError(missing("safetensors", "the model file")) from error


def save_model(
    path: str,
    model: CharModel,
    vocabulary: Vocabulary,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file, all of it or nothing.

    Parameters
    ----------
    path : str
    model : CharModel
    vocabulary : Vocabulary
    training : mapping, optional
        How it was made, for people to read; anything that JSON can hold.

    Raises
    ------
    AppError
        When safetensors is missing or the file cannot be written.
    """
    require_safetensors()
    from safetensors.numpy import save

    about = {
        "format": FORMAT,
        "version": VERSION,
        "config": asdict(model.config),
        "vocabulary": vocabulary.characters,
        "training": dict(training or {}),
    }
    # One key: the library does not keep the order of several.
    metadata = {KEY: json.dumps(about)}
    write_atomically(path, save(model.state_dict(), metadata))


def write_atomically(path: str, content: bytes) -> None:
    """Write a file so that its name holds the old content or the new, never a part.

    Parameters
    ----------
    path : str
        A regular file, a link to one, or nothing yet.
    content : bytes

    Raises
    ------
    AppError
        When it cannot be written.
    """
    check_writable(path)
    target = os.path.realpath(path)
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise AppError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.remove(temporary)


def check_writable(path: str) -> None:
    """Find out early whether `write_atomically` can write a file.

    Parameters
    ----------
    path : str

    Raises
    ------
    AppError
        When it cannot.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise AppError(f"cannot write {path}: no folder {folder}")
    if os.path.lexists(target) and not os.path.isfile(target):
        raise AppError(f"cannot write {path}: not a regular file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AppError(f"cannot write {path}: no permission to write in {folder}")


def load_model(path: str) -> tuple[CharModel, Vocabulary, dict[str, Any]]:
    """Read a model file.

    Parameters
    ----------
    path : str

    Returns
    -------
    model : CharModel
    vocabulary : Vocabulary
    training : dict
        What `save_model` was given.

    Raises
    ------
    AppError
        When safetensors is missing or the file is not such a model.
    """
    require_safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb"):  # what the system says is clearer than the library
            pass
        with safe_open(path, framework="numpy") as file:
            config, vocabulary, training = _about(file.metadata() or {})
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            # A forged number of layers is not worth a dictionary of that size.
            expected = config.shapes() if config.layers < len(slices) else {}
            dtype = {"float32": "F32", "float64": "F64"}[config.dtype]
            if {k: tuple(s.get_shape()) for k, s in slices.items()} != expected or any(
                s.get_dtype() != dtype for s in slices.values()
            ):
                raise _Foreign("its tensors are not those of its configuration")
            parameters = {name: file.get_tensor(name) for name in expected}
    except OSError as error:
        raise AppError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, RecursionError, ValueError) as error:
        raise AppError(f"{path} is not a model of `rnnext train`: {error}") from error
    if not all(np.isfinite(p).all() for p in parameters.values()):
        raise AppError(f"{path} holds weights that are not finite numbers")
    model = CharModel(config, rng=0)
    model.load_state_dict(parameters)
    return model, vocabulary, training


class _Foreign(ValueError):
    """The file is something else; the text says what is wrong with it."""


def _about(
    metadata: Mapping[str, str],
) -> tuple[ModelConfig, Vocabulary, dict[str, Any]]:
    if KEY not in metadata:
        raise _Foreign("its metadata is of another program")
    about = json.loads(metadata[KEY])
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise _Foreign("its metadata is of another format")
    if about.get("version") != VERSION:
        raise _Foreign(f"version {about.get('version')!r}, this rnnext reads {VERSION}")
    config, characters = about.get("config"), about.get("vocabulary")
    names = {field.name: field.type for field in fields(ModelConfig)}
    if not isinstance(config, dict) or config.keys() != names.keys():
        raise _Foreign("its configuration is incomplete")
    sizes = [config[name] for name in ("vocabulary_size", "hidden_size", "layers")]
    if not all(type(size) is int and size > 0 for size in sizes):
        raise _Foreign("its configuration has a size that is not a positive integer")
    if config["cell"] not in tuple(CELLS) or config["dtype"] not in DTYPES:
        raise _Foreign("its configuration has an unknown cell or dtype")
    if (
        not isinstance(characters, str)
        or len(characters) != config["vocabulary_size"]
        or "".join(sorted(set(characters))) != characters
    ):
        raise _Foreign("its vocabulary does not fit its configuration")
    training = about.get("training")
    known = training if isinstance(training, dict) else {}
    return ModelConfig(**config), Vocabulary(characters), known
