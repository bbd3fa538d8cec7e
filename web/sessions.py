"""The session cookie: signed, out of scripts' and other sites' reach, and https only where there is https."""

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface


class _Sessions(SecureCookieSessionInterface):
    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def register(app: Flask) -> None:
    """Set the cookie so."""
    app.config.update(
        SESSION_COOKIE_NAME="pizzeria",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: an order form may be open over dinner
        WTF_CSRF_SSL_STRICT=False,
    )
    app.session_interface = _Sessions()
