"""For those who run the pizzeria: whether this process lives, and whether it can do its work."""

from collections.abc import Callable

import psycopg
import redis
from flask import Blueprint, Response, jsonify
from kombu import Connection
from kombu.exceptions import OperationalError

from domain.settings import Settings, SettingsError
from web.counter import counter

PATIENCE = 2
"""Seconds that a part has to answer."""

blueprint = Blueprint("operations", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that this process lives; nothing about what it needs."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> Response:
    """Say whether everything that this process needs answers, and what does not."""
    shop = counter().settings
    parts: dict[str, Callable[[Settings], None]] = {"database": _ask_database}
    if shop.bus == "celery":
        parts |= {"broker": _ask_redis} if shop.results_url in (None, shop.broker_url) else _APART
    found = {name: _state(ask, shop) for name, ask in parts.items()}
    answer = jsonify({"ready": all(state == "ok" for state in found.values()), "parts": found})
    answer.status_code = 200 if answer.get_json()["ready"] else 503
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _state(ask: Callable[[Settings], None], shop: Settings) -> str:
    try:
        ask(shop)
    except psycopg.errors.UndefinedTable:
        return "not migrated: run `pizzeria migrate`"
    except (psycopg.Error, redis.RedisError, OperationalError, SettingsError):
        return "does not answer"
    return "ok"


def _ask_database(shop: Settings) -> None:
    # On a connection of its own: a pool that is busy, or whose connections are stale, says nothing about the server.
    with psycopg.connect(shop.database(), connect_timeout=PATIENCE, options="-c statement_timeout=2s") as session:
        session.execute("SELECT FROM orders LIMIT 1")


def _ask_broker(shop: Settings) -> None:
    with Connection(shop.broker(), connect_timeout=PATIENCE) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)
        except (*connection.connection_errors, *connection.channel_errors) as error:  # a virtual host that is gone, too
            raise OperationalError(type(error).__name__) from error


def _ask_redis(shop: Settings) -> None:
    with redis.Redis.from_url(
        shop.results(), socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None
    ) as client:
        client.ping()


_APART: dict[str, Callable[[Settings], None]] = {"broker": _ask_broker, "results": _ask_redis}
"""What to ask where the broker is not the Redis that keeps results and carries hints."""
