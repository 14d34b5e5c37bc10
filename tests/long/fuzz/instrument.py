"""Coverage of what is already imported, an editable install too."""

import inspect
import sys

import atheris


def instrument(*prefixes):
    """All functions and methods of the modules whose names begin so."""
    for name, module in list(sys.modules.items()):
        if module is None or not name.startswith(prefixes):
            continue
        for thing in list(vars(module).values()):
            inner = vars(thing).values() if inspect.isclass(thing) else [thing]
            for found in inner:
                function = getattr(found, "__func__", found)
                function = getattr(function, "fget", function)
                own = getattr(function, "__module__", "") == name
                if own and inspect.isfunction(function):
                    atheris.instrument_func(function)
