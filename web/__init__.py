"""What people see: the shop, the staff's pages and the JSON API. Saves and shows orders; never reaches a handler."""

from flask import Flask

from domain.settings import Settings
from domain.settings import settings as settings_of_process
from web import api, correlation, errors, headers, limits, operations
from web.addresses import OrderId
from web.counter import Counter

MAX_BODY = 64 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """Make the web application. Raises SettingsError when a setting is wrong; connects to nothing yet."""
    shop = settings or settings_of_process()
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SECRET_KEY=shop.secret("secret_key"),
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.converters["order_id"] = OrderId
    app.extensions["counter"] = Counter(shop)
    correlation.register(app)
    headers.register(app)
    errors.register(app)
    limits.register(app, shop)
    app.register_blueprint(operations.blueprint)
    app.register_blueprint(api.blueprint)
    return app
