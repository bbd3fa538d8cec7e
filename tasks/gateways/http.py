"""How services outside are called over HTTP: one client for each process, of no proxy that the environment names."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx  # below where it is used: a worker that calls nobody starts sooner without

CONNECT_SECONDS, ANSWER_SECONDS = 3, 15


@cache
def client() -> "httpx.Client":
    """Give the client; it keeps its connections."""
    import httpx

    return httpx.Client(timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS), trust_env=False)
