"""The public functions and methods of the package, found in the package itself.

Without rnnext.torch: its arguments are tensors, which PyTorch checks first
(test_torch_modules.py).
"""

import importlib
import inspect
from types import ModuleType

import rnnext

MODULES = (
    "training", "training.schedules", "exchange", "course", "files", "distributed",
    "onnx", "onnx.backend", "plot", "sklearn",
)  # fmt: skip


def _here(thing):
    return getattr(thing, "__module__", "").startswith("rnnext")


def _methods(kind):
    """Of a class: its constructor, calls, methods, and properties that can be set."""
    if callable(kind.__init__) and not kind.__name__.startswith("_"):
        yield "", kind
    for name in dir(kind):
        thing = inspect.getattr_static(kind, name)
        function = getattr(thing, "__func__", thing)
        if isinstance(function, property):
            if function.fset and _here(function.fset):
                yield f".{name}", function
        elif (
            (not name.startswith("_") or name == "__call__")
            and inspect.isfunction(inspect.unwrap(function))
            and _here(inspect.unwrap(function))
        ):
            yield f".{name}", function


def public():
    """Name -> what is called; a thing with two names once, by its shortest."""
    found = {}
    for name in ("", *MODULES):
        try:
            module = importlib.import_module(f"rnnext.{name}".rstrip("."))
        except ImportError:  # of an extra that is not installed
            continue
        names = getattr(module, "__all__", None) or [
            name for name, thing in vars(module).items()
            if name[0] != "_" and _here(thing) and thing.__module__ == module.__name__
        ]  # fmt: skip
        for each in names:
            thing = getattr(module, each)
            label = f"{name}.{each}".lstrip(".")
            if isinstance(thing, ModuleType) or not callable(thing):
                continue
            if not inspect.isclass(thing):
                found.setdefault(thing, label)
                continue
            for method, _ in _methods(thing):
                found.setdefault((thing, method), label + method)
    return {label: thing for thing, label in found.items()}


if __name__ == "__main__":
    print(rnnext.__version__, *public(), sep="\n")
