"""Files of models: the configuration and the parameters, never code.

A file is read as if a stranger had made it: no pickle, and no more memory than the
numbers that are in it.

    save    configuration -> JSON, parameters -> arrays, one file, all of it or nothing
    load    JSON -> the classes that it names, checked -> their parameters
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ._configured import Configured
from ._npz import reading_npz
from ._validation import Array, boolean, file_path, kind
from .cells import GRUCell, LSTMCell, RNNCell
from .layers import GRU, LSTM, RNN
from .training import Dropout, Embedding, Linear, Pool, Sequential

KEY = "rnnext"  # of the configuration, among a file's metadata
VERSION = 1
_MOST_LAYERS = 1000
_DTYPES = {"F32": np.dtype(np.float32), "F64": np.dtype(np.float64)}
_CLASSES: dict[str, Any] = {
    made.__name__: made
    for made in (
        RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell, Linear, Embedding, Dropout, Pool
    )
}  # fmt: skip


def save(
    path: str | os.PathLike[str],
    model: Any,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a layer or model to a file, all of it or nothing.

    Parameters
    ----------
    path : str or path
        Ends with ``.safetensors`` (the library of that name is needed,
        ``pip install "rnnext[files]"``) or ``.npz``.
    model : layer, cell or Sequential
        Its constructor's arguments and its parameters are kept.
    metadata : mapping of str to anything that JSON can hold, optional
        Comes back with `load`.

    Raises
    ------
    TypeError, ValueError
        If the model is none, the ending another, or JSON cannot hold the metadata.
    OSError
        If the file cannot be written.
    ImportError
        If safetensors is missing.

    Examples
    --------
    >>> import rnnext, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "gru.npz"
    >>> rnnext.save(path, rnnext.GRU(3, 4, rng=0), metadata={"trained": 10})
    >>> rnnext.load(path)
    GRU(3, 4)
    """
    ending = _ending(path)
    described = _description(model)
    if not isinstance(metadata, (Mapping, type(None))):
        raise TypeError(f"metadata: expected a mapping, got {kind(metadata)}")
    arrays = model.state_dict()
    about = {"version": VERSION, "model": described, "metadata": dict(metadata or {})}
    try:
        about["crc32"] = _crc32(about, arrays)
        text = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"metadata: JSON cannot hold it: {error}") from None
    if ending == ".npz":
        file = io.BytesIO()
        named: dict[str, Any] = {KEY: np.frombuffer(text.encode(), np.uint8)} | arrays
        np.savez(file, **named)
        content = file.getvalue()
    else:
        content = _safetensors("numpy").save(arrays, {KEY: text})
    write_atomically(path, content)


def load(path: str | os.PathLike[str], *, with_metadata: bool = False) -> Any:
    """Read a layer or model that `save` wrote.

    Parameters
    ----------
    path : str or path
        Of either kind, whatever its name.
    with_metadata : bool, default False
        Whether to return ``(model, metadata)``.

    Returns
    -------
    layer, cell or Sequential
        With parameters of the same bits.

    Raises
    ------
    ValueError
        If the file is damaged or not such a file; it is named with what is wrong.
    OSError
        If it cannot be read.
    ImportError
        If it is a safetensors file and that library is missing.

    Examples
    --------
    >>> import rnnext, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> model = rnnext.Sequential(rnnext.LSTM(3, 4, rng=0), rnnext.Linear(4, 2, rng=1))
    >>> rnnext.save(path, model, metadata={"classes": ["cat", "dog"]})
    >>> again, metadata = rnnext.load(path, with_metadata=True)
    >>> metadata["classes"], again
    (['cat', 'dog'], Sequential({'0': LSTM(3, 4), '1': Linear(4, 2)}))
    """
    path = file_path("path", path)
    with_metadata = boolean("with_metadata", with_metadata)
    with open(path, "rb") as file:
        start = file.read(2)
    if not start:
        raise ValueError(f"{path}: not a file of rnnext.save: it is empty")
    reading = _read_npz if start == b"PK" else _read_safetensors
    try:
        with reading(path) as (text, shapes, read):
            about = _about(text)
            model = _model(about["model"], shapes)
            own = {name: array.shape for name, array in model.parameters.items()}
            if own != {name: shape for name, (shape, _) in shapes.items()}:
                raise ValueError("its arrays are not those of its configuration")
            if any(dtype != model.dtype for _, dtype in shapes.values()):
                raise ValueError(f"its arrays are not of {model.dtype}")
            arrays = {name: read(name) for name in own}
            if about.pop("crc32", None) != _crc32(about, arrays):
                raise ValueError("what it holds is not what was written")
            model.load_state_dict(arrays)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path}: not a file of rnnext.save: {error}{_elsewhere(path)}"
        ) from None
    return (model, about["metadata"]) if with_metadata else model


def _elsewhere(path: str | os.PathLike[str]) -> str:
    """What to do with a file of PyTorch's own, to put after a message."""
    if Path(path).suffix not in (".pt", ".pth", ".bin", ".ckpt"):
        return ""
    return (
        "; safetensors.torch.save_file(model.state_dict(), ...) of PyTorch writes what "
        "`rnnext convert` takes"
    )


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that its name holds the old content or the new, never a part.

    Parameters
    ----------
    path : str or path
        A regular file, a link to one, or nothing yet.
    content : bytes

    Raises
    ------
    OSError
        If it cannot be written; then nothing is left behind.
    """
    path = file_path("path", path)
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise TypeError(f"content: expected bytes, got {type(content).__name__}")
    target = os.path.realpath(path)
    if os.path.lexists(target) and not os.path.isfile(target):
        raise OSError(f"{path}: not a regular file")
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "No such folder", folder)
    handle, temporary = tempfile.mkstemp(prefix=f".{name[:50]}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode_of(target))
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _mode_of(target: str) -> int:
    """The permissions of the file that is there, or of a new one."""
    with suppress(OSError):
        return os.stat(target).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _ending(path: str | os.PathLike[str]) -> str:
    ending = Path(file_path("path", path)).suffix
    if ending not in (".safetensors", ".npz"):
        raise ValueError(
            f"path: expected a name that ends with .safetensors or .npz, got {path}"
        )
    return ending


def _safetensors(part: str) -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            'safetensors is missing: pip install "rnnext[files]", or a name that ends '
            "with .npz"
        ) from None
    return getattr(safetensors, part)


# ---------------------------------------------------------------- configuration


def _description(model: Any) -> dict[str, Any]:
    if isinstance(model, Sequential):
        layers = [[name, _description(layer)] for name, layer in model.layers.items()]
        return {"class": "Sequential", "layers": layers}
    name = type(model).__name__
    if not isinstance(model, Configured) or _CLASSES.get(name) is not type(model):
        raise TypeError(f"model: expected a layer, a cell or a Sequential, got {name}")
    return {"class": name, "arguments": model._configuration()}


def _about(text: str) -> dict[str, Any]:
    about = json.loads(text)
    if not isinstance(about, dict) or not isinstance(about.get("metadata"), dict):
        raise ValueError("its configuration is incomplete")
    if about.get("version") != VERSION:
        raise ValueError(
            f"it has version {about.get('version')!r}, this rnnext reads {VERSION}"
        )
    return about


def _crc32(about: Mapping[str, Any], arrays: Mapping[str, Array]) -> int:
    """Of everything that is kept: safetensors has no sum of its own."""
    found = zlib.crc32(json.dumps(about, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        found = zlib.crc32(arrays[name].tobytes(), found)
    return found


_Shapes = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]


class _Bounded(np.random.Generator):
    """Gives zeros, as many as a file holds: forged sizes take no memory."""

    def __init__(self, numbers: int) -> None:
        super().__init__(np.random.PCG64(0))
        self._left = numbers

    def _take(self, size: Any) -> Array:
        self._left -= math.prod(size)
        if self._left < 0:
            raise ValueError("its configuration asks for more numbers than it holds")
        return np.zeros(size)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return self._take(size)

    def standard_normal(self, size: Any = None, *_: Any, **__: Any) -> Any:
        return np.zeros(size)


def _model(described: object, shapes: _Shapes) -> Any:
    """A layer or model as described, with parameters of zero."""
    numbers = sum(math.prod(shape) for shape, _ in shapes.values())
    return _made(described, _Bounded(numbers), numbers, len(shapes))


def _made(described: object, source: _Bounded, numbers: int, arrays: int) -> Any:
    if not isinstance(described, dict):
        raise ValueError("its configuration names no class")
    name = described.get("class")
    if name == "Sequential":
        layers = described.get("layers")
        if not isinstance(layers, list) or len(layers) > _MOST_LAYERS:
            raise ValueError("its configuration has no list of layers")
        return Sequential(
            {name: _made(each, source, numbers, arrays) for name, each in layers}
        )
    made, arguments = _CLASSES.get(str(name)), described.get("arguments")
    if made is None or not isinstance(arguments, dict) or "rng" in arguments:
        raise ValueError(f"its configuration has an unknown class {name!r}")
    if any(type(v) is int and v > numbers for v in arguments.values()) or (
        type(arguments.get("num_layers")) is int and arguments["num_layers"] > arrays
    ):
        raise ValueError("its configuration asks for more numbers than it holds")
    if made is Pool:
        return Pool(**arguments)
    layer = made(**arguments, rng=source)
    if hasattr(layer, "_rng"):  # of dropout
        layer._rng = np.random.default_rng()
    return layer


# ---------------------------------------------------------------- readers
#
# Each gives the configuration's text, the arrays' shapes and dtypes, and a function
# that reads one array.


@contextmanager
def _read_safetensors(path: str | os.PathLike[str]) -> Iterator[Any]:
    safe_open, failure = _safetensors("safe_open"), _safetensors("SafetensorError")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise ValueError(
                    "its metadata is of another program; rnnext.exchange.from_torch "
                    "and `rnnext convert` take a state dict of PyTorch"
                )
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {}
            for name, part in slices.items():
                if part.get_dtype() not in _DTYPES:
                    raise ValueError(f"{name} is of {part.get_dtype()}")
                shapes[name] = tuple(part.get_shape()), _DTYPES[part.get_dtype()]
            yield text, shapes, file.get_tensor
    except failure as error:
        raise ValueError(str(error)) from None


@contextmanager
def _read_npz(path: str | os.PathLike[str]) -> Iterator[Any]:
    dtypes: list[Any] = [*_DTYPES.values(), np.dtype(np.uint8)]
    with reading_npz(path, KEY, dtypes) as found:
        yield found
