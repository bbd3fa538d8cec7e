"""Proxies in front of the web, which know who calls, by https or not, and what name was asked for."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from domain.settings import Settings


def register(app: Flask, settings: Settings) -> None:
    """Believe as many proxies as the settings trust; what anybody else says in their name is passed over."""
    count = settings.trusted_proxies
    if count:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
