"""What one would write with Celery by hand: the bare insert, its commit, and five `.delay()` for whoever is to know."""

from typing import Any

from flask import Flask, request

from bench.http.bare import insert
from bench.peers import celery

app = Flask(__name__)


@app.post("/api/orders")
def place() -> tuple[dict[str, Any], int]:
    """Take an order."""
    order = insert(request.get_json())
    celery.tell(order)
    return {"id": order["id"]}, 201
