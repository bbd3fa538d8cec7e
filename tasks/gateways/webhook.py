"""Webhooks: integration events as CloudEvents, posted to others' endpoints and signed.

CloudEvents 1.0 in structured mode (https://cloudevents.io), signed after Standard Webhooks
(https://www.standardwebhooks.com). Nothing is posted to an address that is not public, unless PIZZERIA_WEBHOOK_NETWORKS
allows it: a name is resolved once, every address of it is judged, and the connection goes to the very address that was.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from domain.kernel import clock
from domain.webhooks import Endpoint
from tasks.gateways.envelope import STRUCTURED

if TYPE_CHECKING:
    import httpx  # below where it is used: a worker that posts nothing starts sooner without

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANSWER_SECONDS = 4.0
"""From the first question for an endpoint's address to the first line of its answer, however it spends them."""
_NAMES = 100
"""Names that are looked up at the same time; a look-up may outlive its post by half a minute."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class EndpointRefusedError(Exception):
    """This is no address to post to; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What an endpoint said: whether it took the event, whether it wants no more, in words, and after how long."""

    took: bool
    is_gone: bool
    answer: str
    seconds: float


def networks(allowed: str) -> tuple[Network, ...]:
    """Read PIZZERIA_WEBHOOK_NETWORKS."""
    return tuple(ipaddress.ip_network(part.strip()) for part in allowed.split(",") if part.strip())


def check(url: str, allowed: Sequence[Network]) -> Address:
    """Give the address to which a URL may be posted. Raises EndpointRefusedError."""
    parts = _split(url)
    found = _resolve(parts)
    for address in found:
        if not _is_allowed(address, allowed) and not _is_public(address):
            raise EndpointRefusedError(f"{parts.hostname} is not public: PIZZERIA_WEBHOOK_NETWORKS can allow it.")
    if parts.scheme != "https" and not all(_is_allowed(address, allowed) for address in found):
        raise EndpointRefusedError("Use https: what is posted must not be read on its way.")
    return found[0]


def _split(url: str) -> SplitResult:
    problem = EndpointRefusedError("Write a whole address, such as https://example.com/hooks, without a login in it.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise problem from None
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or port == 0:
        raise problem
    return parts


def _resolve(parts: SplitResult) -> list[Address]:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise EndpointRefusedError(f"{parts.hostname} has no address.") from None
    return [_plain(ipaddress.ip_address(str(where[4][0]).partition("%")[0])) for where in found]


def _plain(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address only wraps."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        return wrapped or address
    return address


def _is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in allowed)


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast


def sign(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Give the headers by which an endpoint can tell that a message is ours, and when it was sent."""
    from standardwebhooks.webhooks import Webhook

    at = at.astimezone(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
    }


@cache
def _runner() -> asyncio.Runner:
    runner = asyncio.Runner()
    runner.get_loop().set_default_executor(ThreadPoolExecutor(_NAMES))
    return runner


@cache
def _client() -> "httpx.AsyncClient":
    import httpx

    return httpx.AsyncClient(
        timeout=None,  # noqa: S113 - httpx would begin to count anew with every byte; _post counts the whole
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),  # no name's connection serves another
        trust_env=False,
        follow_redirects=False,
    )


def post(endpoints: Sequence[Endpoint], message_id: str, body: bytes, allowed: Sequence[Network]) -> list[Posted]:
    """Post a message to endpoints, all at the same time; whatever comes of it is an answer, for each its own.

    Takes ANSWER_SECONDS at the most. Redirects are not followed, bodies not read.
    """
    return _runner().run(_post_to_all(endpoints, message_id, body, allowed))


async def _post_to_all(
    endpoints: Sequence[Endpoint], message_id: str, body: bytes, allowed: Sequence[Network]
) -> list[Posted]:
    return await asyncio.gather(*(_post(endpoint, message_id, body, allowed) for endpoint in endpoints))


async def _post(endpoint: Endpoint, message_id: str, body: bytes, allowed: Sequence[Network]) -> Posted:
    started = time.monotonic()
    status = 0
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            status = await _answer(endpoint, message_id, body, allowed)
        answer = str(status)
    except EndpointRefusedError as refused:
        answer = str(refused)
    except TimeoutError:
        answer = f"no answer within {ANSWER_SECONDS:g} s"
    except Exception as error:
        answer = f"no answer: {type(error).__name__}"
    return Posted(200 <= status < 300, status == HTTPStatus.GONE, answer, time.monotonic() - started)


async def _answer(endpoint: Endpoint, message_id: str, body: bytes, allowed: Sequence[Network]) -> int:
    parts = urlsplit(endpoint.url)
    address = await asyncio.to_thread(check, endpoint.url, allowed)  # the system's look-up has no deadline
    host = f"[{address}]" if address.version == 6 else str(address)
    pinned = parts._replace(netloc=host + (f":{parts.port}" if parts.port else "")).geturl()
    headers = {
        "Host": parts.netloc,
        "Content-Type": STRUCTURED,
        "User-Agent": "marios-pizzeria",
        **sign(endpoint.secret, message_id, clock.now(), body),
    }
    sni = {"sni_hostname": parts.hostname}
    async with _client().stream("POST", pinned, content=body, headers=headers, extensions=sni) as answer:
        return answer.status_code
