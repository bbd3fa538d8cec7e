"""Security headers: the page runs our scripts and styles and nothing else."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from secure import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_POLICY = (
    ContentSecurityPolicy()
    .default_src("'none'")
    .script_src("'self'")
    .style_src("'self'")
    .img_src("'self'", "data:")
    .font_src("'self'")
    .connect_src("'self'")
    .manifest_src("'self'")
    .form_action("'self'")
    .base_uri("'none'")
    .frame_ancestors("'none'")
)

# Made once: the same for every answer.
_HEADERS = list(
    Secure(
        csp=_POLICY,
        coop=CrossOriginOpenerPolicy().same_origin(),
        corp=CrossOriginResourcePolicy().same_origin(),
        permissions=PermissionsPolicy().camera().microphone().geolocation(),
        # A tracking page's address is its key: it goes to nobody.
        referrer=ReferrerPolicy().same_origin(),
        xcto=XContentTypeOptions().nosniff(),
        xfo=XFrameOptions().deny(),
    ).headers.items()
)
_HTTPS = list(Secure(hsts=StrictTransportSecurity().max_age(31_536_000).include_subdomains()).headers.items())


def register(app: Flask) -> None:
    """Send the headers with every answer; what asks for https only under https.

    Below Flask: a Response takes a dozen headers one by one, and every request pays for it.
    """
    inner = app.wsgi_app

    def with_headers(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        more = _HEADERS + _HTTPS if environ["wsgi.url_scheme"] == "https" else _HEADERS

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            return start_response(status, headers + more, *error)

        return inner(environ, start)

    app.wsgi_app = with_headers  # type: ignore[method-assign]
