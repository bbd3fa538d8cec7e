"""The session cookie: signed, out of scripts' and other sites' reach, and https only where there is https."""

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface


class _Sessions(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Open it for a page. A program has none: its answer neither sets a cookie nor varies by one."""
        if request.path.startswith("/api/"):
            return self.make_null_session(app)
        return super().open_session(app, request)

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
