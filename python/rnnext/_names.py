"""Answers to names that do not exist: what there is, and the nearest of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def nearest(word: str, known: Iterable[str]) -> str:
    """What else may have been meant, to put after a message; nothing if unclear.

    Examples
    --------
    >>> nearest("trian", ["train", "sample"])
    '; did you mean train?'
    >>> nearest("frob", ["train", "sample"])
    ''
    """
    import difflib  # an import of rnnext goes without

    names = {name.lstrip("-"): name for name in known}
    found = difflib.get_close_matches(word.lstrip("-"), names, n=1)
    return f"; did you mean {names[found[0]]}?" if found else ""


class NamedArguments:
    """Constructors that name their arguments when they are given an unknown one.

    Examples
    --------
    >>> import rnnext
    >>> rnnext.Linear(3, 4, biases=False)
    Traceback (most recent call last):
    TypeError: Linear: unknown argument 'biases'; did you mean bias? (arguments: \
in_features, out_features, bias, dtype, rng)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]


def names_arguments(function: F) -> F:
    """The function, which names its arguments when it is given an unknown one."""
    known = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        _check(function.__name__, kwargs, known)
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]


def _check(owner: str, given: Iterable[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise TypeError(
                f"{owner}: unknown argument {name!r}{nearest(name, known)} "
                f"(arguments: {', '.join(known)})"
            )


def _checked(init: F) -> F:
    parameters = list(inspect.signature(init).parameters.values())[1:]
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return init
    known = [each.name for each in parameters]

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        _check(type(self).__name__, kwargs, known)
        init(self, *args, **kwargs)

    return checked  # type: ignore[return-value]


class NamedParameters:
    """Objects whose parameters, `_arrays` by name, are no attributes, and say so.

    Examples
    --------
    >>> import rnnext
    >>> rnnext.Linear(3, 4).weight = 0
    Traceback (most recent call last):
    AttributeError: weight is a parameter: parameters['weight'] reads it, \
assign(weight=...) changes it
    """

    # No __getattr__: with one, every attribute is found more slowly.
    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(self).get("_arrays", ()):
            raise AttributeError(
                f"{name} is a parameter: parameters[{name!r}] reads it, "
                f"assign({name}=...) changes it"
            )
        super().__setattr__(name, value)
