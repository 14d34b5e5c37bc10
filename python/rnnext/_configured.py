"""The constructor's arguments of an object: what repr shows and files keep."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ._names import NamedArguments


class Configured(NamedArguments):
    """Made again by its class from `_configuration`, but for what it draws."""

    # Arguments that repr shows without their names, and the others with their defaults;
    # attributes of these names hold what was given.
    _sizes: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, object]] = {}

    def _configuration(self) -> dict[str, Any]:
        """The arguments that are needed, as JSON can hold them."""
        found = {name: getattr(self, name) for name in self._sizes}
        for name, default in self._defaults.items():
            value = getattr(self, name)
            if value != default:
                found[name] = value
        dtype = getattr(self, "dtype", None)
        if dtype is not None and dtype != np.float32:
            found["dtype"] = str(dtype)
        return found

    def __repr__(self) -> str:
        words = [
            str(value)
            if name in self._sizes
            else f"{name}={value if name == 'dtype' else repr(value)}"
            for name, value in self._configuration().items()
        ]
        return f"{type(self).__name__}({', '.join(words)})"
