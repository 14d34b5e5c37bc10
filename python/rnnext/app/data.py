"""Text to arrays: reading, vocabulary, train/validation split, contiguous streams."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import AppError

if TYPE_CHECKING:
    from rnnext.distributed import Workers

Ids = NDArray[np.integer[Any]]

MIN_CHARACTERS = 100
MAX_VALIDATION = 100_000


def read_text(path: str | None) -> str:
    """Read a UTF-8 text, or the Python documentation that CPython carries.

    Parameters
    ----------
    path : str or None
        A file; None is the documentation.

    Returns
    -------
    str
        At least `MIN_CHARACTERS` long, line ends as newlines.

    Raises
    ------
    AppError
        When the file cannot be read or decoded, or is too short.
    """
    if path is None:
        return python_documentation()
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except OSError as error:
        raise AppError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise AppError(
            f"cannot read {path}: not UTF-8 text "
            f"(byte 0x{error.object[error.start]:02x}: {error.reason})"
        ) from error
    except ValueError as error:  # a NUL in the name
        raise AppError(f"cannot read {path!r}: {error}") from error
    if len(text) < MIN_CHARACTERS:
        what = "is empty" if not text else f"has only {len(text)} characters"
        raise AppError(f"{path} {what}: at least {MIN_CHARACTERS} are needed")
    return text


def python_documentation() -> str:
    """Join the help topics of `pydoc_data.topics`, ordered by name.

    A paragraph that several topics share is kept once: a validation text of
    paragraphs seen in training would measure memory.

    Returns
    -------
    str

    Raises
    ------
    AppError
        When this Python was installed without the topics.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise AppError(
            "this Python was installed without pydoc_data: name a text file"
        ) from error
    # A dict keeps the order of insertion and the first of equal keys.
    pages = (topics[name] for name in sorted(topics))
    paragraphs = (part.strip("\n") for page in pages for part in page.split("\n\n"))
    return "\n\n".join(dict.fromkeys(paragraphs))


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows; a character's id is its place.

    Attributes
    ----------
    characters : str
        In ascending order, each once.
    """

    characters: str

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """The characters of `text`."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Ids:
        """Turn characters into ids.

        Parameters
        ----------
        text : str

        Returns
        -------
        ndarray of intp, shape (len(text),)

        Raises
        ------
        AppError
            Naming the characters that the vocabulary lacks.
        """
        known, codes = _code_points(self.characters), _code_points(text)
        ids = np.searchsorted(known, codes)
        np.minimum(ids, len(known) - 1, out=ids)
        strange = known[ids] != codes
        if strange.any():
            names = ", ".join(repr(chr(c)) for c in np.unique(codes[strange])[:10])
            raise AppError(f"characters that the model has never seen: {names}")
        return ids

    def decode(self, ids: Ids) -> str:
        """Turn ids (any shape, in order) back into characters."""
        return "".join(self.characters[i] for i in ids.reshape(-1))


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def split(ids: Ids) -> tuple[Ids, Ids]:
    """Cut off the last tenth (at most `MAX_VALIDATION`) for validation.

    Parameters
    ----------
    ids : ndarray, shape (n,)

    Returns
    -------
    train, validation : ndarray
    """
    cut = len(ids) - min(len(ids) // 10, MAX_VALIDATION)
    return ids[:cut], ids[cut:]


class Streams:
    """A text as N contiguous streams side by side, each the text after the one before.

    Parameters
    ----------
    ids : ndarray, shape (n,)
        At least 2.
    batch_size : int
        N, at most n - 1; characters left over at the end are dropped.

    Attributes
    ----------
    inputs, targets : ndarray, shape (S, N)
        ``targets[t, i]`` follows ``inputs[t, i]`` in the text.
    """

    def __init__(self, ids: Ids, batch_size: int) -> None:
        steps = (len(ids) - 1) // batch_size
        n = steps * batch_size
        self.inputs = ids[:n].reshape(batch_size, steps).T
        self.targets = ids[1 : n + 1].reshape(batch_size, steps).T

    def shard(self, workers: Workers) -> Streams:
        """One rank's part of the streams; all of them where they are too few."""
        part = copy.copy(self)
        if self.inputs.shape[1] >= workers.size:
            part.inputs = workers.shard(self.inputs)
            part.targets = workers.shard(self.targets)
        return part

    def chunks(self, length: int) -> Iterator[tuple[Ids, Ids]]:
        """Cut into pieces of `length` steps, the last perhaps shorter.

        A state carried from piece to piece has seen each stream from its start.

        Yields
        ------
        inputs, targets : ndarray, shape (T, N)
        """
        for t in range(0, len(self.inputs), length):
            yield self.inputs[t : t + length], self.targets[t : t + length]

    def count(self, length: int) -> int:
        """How many pieces `chunks` makes."""
        return -(-len(self.inputs) // length)


def fitting_batch(n: int, batch_size: int, length: int) -> int:
    """The batch that a text of `n` characters allows.

    Parameters
    ----------
    n : int
    batch_size : int
        The one asked for.
    length : int
        Steps in a piece.

    Returns
    -------
    int
        At most `batch_size`, at least 1, and such that a stream has 8 pieces or more
        where it can: a carried state is worth little in shorter streams.
    """
    return max(1, min(batch_size, (n - 1) // (8 * length)))


def base_name(path: str | None) -> str:
    """The name by which files made from the text at `path` are called."""
    if path is None:
        return "python-docs"
    return os.path.splitext(os.path.basename(path))[0] or "text"
