"""What people see: the shop, the staff's pages and the JSON API. Saves and shows orders; never reaches a handler."""

from typing import Any

import msgspec
from flask import Flask
from flask.json.provider import DefaultJSONProvider

from domain.settings import Settings
from domain.settings import settings as settings_of_process
from web import (
    addresses,
    api,
    correlation,
    display,
    errors,
    headers,
    limits,
    one_process,
    operations,
    proxies,
    sessions,
    shop,
    staff,
    static_files,
)
from web.api.body import MAX_BODY
from web.counter import Counter
from web.staff import login


class _Json(DefaultJSONProvider):
    """Writes JSON by msgspec: an object's names in the order in which they were given, and no spaces."""

    sort_keys = False

    def dumps(self, obj: Any, **options: Any) -> str:
        try:
            return msgspec.json.encode(obj).decode()
        except UnicodeEncodeError:  # half a character, in the name of a field that there is not
            return super().dumps(obj, **options)


def create_app(settings: Settings | None = None) -> Flask:
    """Make the web application. Raises SettingsError when a setting is wrong.

    Connects to nothing yet, except with BUS=memory: then it begins to deliver events, from the database, in a thread.
    """
    pizzeria = settings or settings_of_process()
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SECRET_KEY=pizzeria.secret("secret_key"), MAX_CONTENT_LENGTH=MAX_BODY + 1, MAX_FORM_MEMORY_SIZE=MAX_BODY + 1
    )
    app.json = _Json(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    counter = app.extensions["counter"] = Counter(pizzeria)
    if pizzeria.bus == "memory":
        app.extensions["relay"] = one_process.serve(counter)
    for part in (addresses, correlation, headers, errors, static_files, sessions, login):
        part.register(app)
    proxies.register(app, pizzeria)
    limits.register(app, pizzeria)
    display.register(app, pizzeria)
    for area in (operations, api, shop, staff):
        app.register_blueprint(area.blueprint)
    return app
