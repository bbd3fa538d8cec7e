"""How often one address may do what costs us something."""

import ipaddress

from flask import Flask, request
from flask_limiter import Limiter

from domain.settings import Settings, SettingsError

PLACING = "30 per minute"
LOGGING_IN = "10 per minute"
TELLING = "600 per minute"


_FORWARDED = ("Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto")


def caller() -> str:
    """Give the address that a request comes from: the one that the trusted proxies name, if there are any."""
    return request.remote_addr or "unknown"


def is_own_machine() -> bool:
    """Tell whether a request comes from this machine itself and by no proxy, as those of `pizzeria simulate` do."""
    try:
        return ipaddress.ip_address(caller()).is_loopback and not any(name in request.headers for name in _FORWARDED)
    except ValueError:
        return False


limiter = Limiter(caller, swallow_errors=True, in_memory_fallback_enabled=True, strategy="fixed-window")


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
