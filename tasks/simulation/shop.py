"""A shop seen over HTTP: few connections, kept open, and no answer taken for granted."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

CONNECTIONS = 16
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class NoAnswer(Exception):
    """The shop has not answered for too long, or was told not to be asked again."""


class Shop:
    """The shop's HTTP interface. One may be used by many threads."""

    def __init__(self, url: str) -> None:
        """Prepare connections to a URL; none is opened yet."""
        self.url = url.rstrip("/")
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=60)
        # A proxy of the environment is not meant for the shop.
        self._client = httpx.Client(base_url=self.url, limits=limits, timeout=httpx.Timeout(30), trust_env=False)
        self.opened: datetime | None = None
        """When the menu was read, by the shop's clock."""
        self.stopping: Callable[[], bool] = lambda: False

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def menu(self, patience: float) -> Mapping[str, Any]:
        """Read the menu. Raises NoAnswer, or ValueError where something answers that is no pizzeria."""
        answer = self._insist("GET", "/api/menu", patience=patience)
        if answer.status_code != 200:
            raise ValueError(f"{self.url} answers {answer.status_code} to /api/menu: it is no pizzeria.")
        menu: Mapping[str, Any] = answer.json()
        if "Date" in answer.headers:
            self.opened = parsedate_to_datetime(answer.headers["Date"])
        return menu

    def place(self, body: Mapping[str, Any], key: str, patience: float) -> httpx.Response:
        """Place an order, with the same key however often it takes. Raises NoAnswer."""
        return self._insist("POST", "/api/orders", patience=patience, json=body, headers={"Idempotency-Key": key})

    def cancel(self, order_id: str, patience: float) -> httpx.Response:
        """Cancel an order; doing it twice changes nothing. Raises NoAnswer."""
        return self._insist("POST", f"/api/orders/{order_id}/cancel", patience=patience)

    def look(self, order_id: str) -> httpx.Response | None:
        """Read an order once; None where no answer comes, or one that says nothing about the order."""
        try:
            answer = self._client.get(f"/api/orders/{order_id}")
        except httpx.TransportError:
            return None
        return None if is_passing(answer) else answer

    def _insist(self, method: str, path: str, *, patience: float, **more: Any) -> httpx.Response:
        """Ask until there is an answer that will not change by asking again."""
        deadline = time.monotonic() + patience
        pause, said = _FIRST_PAUSE, "no connection"
        while True:
            try:
                answer = self._client.request(method, path, **more)
                if not is_passing(answer):
                    return answer
                said = str(answer.status_code)
                pause = max(pause, _retry_after(answer))
            except httpx.TransportError as error:
                said = type(error).__name__
            if time.monotonic() + pause > deadline or self.stopping():
                raise NoAnswer(f"{self.url} does not answer ({said}).")
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)


def is_passing(answer: httpx.Response) -> bool:
    """Tell whether another try may be answered otherwise: too many requests, or the shop's own trouble."""
    return answer.status_code == 429 or answer.status_code >= 500


def _retry_after(answer: httpx.Response) -> float:
    seconds = answer.headers.get("Retry-After", "")
    return min(_LONGEST_PAUSE, float(seconds)) if seconds.isdigit() else 0.0
