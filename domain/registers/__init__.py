"""The registers that there are. Adding one is adding a file with a ``register``."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from domain.register import Register


@cache
def registers() -> Mapping[str, Register]:
    """Find every register below this package, by name."""
    found: dict[str, Register] = {}
    for module in sorted(iter_modules(__path__), key=lambda module: module.name):
        register: Register = import_module(f"{__name__}.{module.name}").register
        found[register.name] = register
    return found
