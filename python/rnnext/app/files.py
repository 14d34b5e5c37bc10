"""The model file: a model of `rnnext.save`, with the vocabulary in its metadata."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

import rnnext
from rnnext import Linear, Sequential, files

from .data import Vocabulary
from .errors import AppError, missing
from .model import CELLS

ENDINGS = (".safetensors", ".npz")


def require_library(path: str) -> None:
    """Raise AppError, with what to install, where a file needs what is missing."""
    if path.endswith(".npz"):
        return
    try:
        import safetensors  # noqa: F401
    except ImportError as error:
        raise AppError(missing("safetensors", "the model file")) from error


def save_model(
    path: str,
    model: Sequential,
    vocabulary: Vocabulary,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file, all of it or nothing.

    Parameters
    ----------
    path : str
        Ends with one of `ENDINGS`.
    model : Sequential
        A character model.
    vocabulary : Vocabulary
    training : mapping, optional
        How it was made, for people to read; anything that JSON can hold.

    Raises
    ------
    AppError
        When safetensors is missing or the file cannot be written.
    """
    require_library(path)
    about = {"vocabulary": vocabulary.characters, "training": dict(training or {})}
    try:
        rnnext.save(path, model, metadata=about)
    except OSError as error:
        raise AppError(f"cannot write {path}: {error.strerror or error}") from error


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
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise AppError(f"cannot write {path}: {error.strerror or error}") from error


def check_writable(path: str) -> None:
    """Find out early whether a file can be written.

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
    # Permissions alone do not tell: a file system may be read-only, or of another kind.
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise AppError(
            f"cannot write {path}: {error.strerror or error} in {folder}"
        ) from error


def load_model(path: str) -> tuple[Sequential, Vocabulary, dict[str, Any]]:
    """Read a model file.

    Parameters
    ----------
    path : str

    Returns
    -------
    model : Sequential
    vocabulary : Vocabulary
    training : dict
        What `save_model` was given.

    Raises
    ------
    AppError
        When safetensors is missing or the file is not such a model.
    """
    try:
        model, about = rnnext.load(path, with_metadata=True)
    except ImportError as error:
        raise AppError(missing("safetensors", "the model file")) from error
    except OSError as error:
        raise AppError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise AppError(f"{error}; expected a file that `rnnext train` wrote") from error
    if not _predicts_characters(model):
        raise AppError(f"{path} is not a model of `rnnext train`: it is {model!r}")
    characters = about.get("vocabulary")
    if (
        not isinstance(characters, str)
        or len(characters) != model.layers["rnn"].input_size
        or "".join(sorted(set(characters))) != characters
    ):
        raise AppError(
            f"{path} is not a model of `rnnext train`: its vocabulary does not fit it"
        )
    if not all(np.isfinite(p).all() for p in model.parameters.values()):
        raise AppError(f"{path} holds weights that are not finite numbers")
    training = about.get("training")
    known = training if isinstance(training, dict) else {}
    return model, Vocabulary(characters), known


def _predicts_characters(model: object) -> bool:
    if not isinstance(model, Sequential):
        return False
    if list(model.layers) != ["rnn", "dropout", "head"]:
        return False
    rnn: Any = model.layers["rnn"]
    head = model.layers["head"]
    return (
        type(rnn) in CELLS.values()
        and isinstance(head, Linear)
        and not rnn.bidirectional
        and not rnn.batch_first
        and not rnn.reverse
        and head.out_features == rnn.input_size
    )
