"""How often one address may do what costs us something."""

import ipaddress
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

from flask import Flask, Response, request
from flask_limiter import Limiter

from domain.settings import Settings, SettingsError

PLACING = "30 per minute"
LOGGING_IN = "10 per minute"
TELLING = "600 per minute"

P = ParamSpec("P")

_FORWARDED = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_REAL_IP",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
)


def caller() -> str:
    """Give the address that a request comes from: the one that the trusted proxies name, if there are any."""
    return request.remote_addr or "unknown"


def is_own_machine() -> bool:
    """Tell whether a request comes from this machine itself and by no proxy, as those of `pizzeria simulate` do."""
    return _is_loopback(caller()) and not any(name in request.environ for name in _FORWARDED)


@lru_cache
def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


limiter = Limiter(caller, swallow_errors=True, in_memory_fallback_enabled=True, strategy="fixed-window")


def limit(
    rate: str, unless: Callable[[], bool] = is_own_machine
) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
    """Limit how often one address may ask for a view; a decorator.

    ``unless`` is asked before the limiter, which takes a tenth of an order's reading and answering to find out.
    """

    def guard(view: Callable[P, Response]) -> Callable[P, Response]:
        limited: Callable[P, Response] = limiter.limit(rate)(view)

        @wraps(view)
        def guarded(*parts: P.args, **values: P.kwargs) -> Response:
            return (view if unless() else limited)(*parts, **values)

        return guarded

    return guard


def register(app: Flask, settings: Settings) -> None:
    """Count in Redis, for all processes together, or in this process while Redis is away."""
    app.config["RATELIMIT_ENABLED"] = settings.rate_limits == "on"
    app.config["RATELIMIT_STORAGE_URI"] = _storage(settings)
    if app.config["RATELIMIT_STORAGE_URI"] != "memory://":
        app.config["RATELIMIT_STORAGE_OPTIONS"] = {"socket_timeout": 1, "socket_connect_timeout": 1}
    limiter.init_app(app)


def _storage(settings: Settings) -> str:
    if settings.rate_limits == "off" or settings.bus == "memory":
        return "memory://"
    try:
        return settings.results()
    except SettingsError:
        return "memory://"
