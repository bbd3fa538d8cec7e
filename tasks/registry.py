"""The pizzeria's handlers, found once for each process."""

from functools import cache

from domain.settings import settings
from tasks.bus.registry import Registry


@cache
def registry() -> Registry:
    """Find every handler below tasks.handlers, its retry numbers changed by PIZZERIA_RETRY_<HANDLER> where set.

    Raises SettingsError where such a variable is wrong, or no handler's.
    """
    found = Registry.discover("tasks.handlers", settings().retry_of)
    settings().refuse_unknown_retries(found.handlers)
    return found
