"""Styles and scripts: served by WhiteNoise under the hash of their contents, so browsers may keep them for good."""

import hashlib
from pathlib import Path

from flask import Flask
from whitenoise import WhiteNoise

FOLDER = Path(__file__).parent / "static"


def register(app: Flask) -> None:
    """Serve the folder, and give templates ``static(name)``."""
    prefix = f"/static/{_hash()}/"
    noise = WhiteNoise(app.wsgi_app, max_age=31_536_000, immutable_file_test=lambda _path, _url: True)
    noise.add_files(str(FOLDER), prefix=prefix)
    app.wsgi_app = noise  # type: ignore[method-assign]
    app.jinja_env.globals["static"] = lambda name: prefix + name


def _hash() -> str:
    found = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:12]
