"""Where webhooks may be posted, whatever a name resolves to."""

import socket
from typing import Any

import pytest

from tasks.gateways.webhook import EndpointRefusedError, check, networks

pytestmark = pytest.mark.unit

NOWHERE = networks("")


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.9",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
    ],
)
def test_what_is_not_public_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolves_to(monkeypatch, address)
    with pytest.raises(EndpointRefusedError, match="not public"):
        check("https://hooks.example.com/", NOWHERE)


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "93.184.215.14", "10.0.0.1")
    with pytest.raises(EndpointRefusedError, match="not public"):
        check("https://hooks.example.com/", NOWHERE)


def test_a_public_address_is_given_to_connect_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "93.184.215.14")
    assert str(check("https://hooks.example.com/a?b=c", NOWHERE)) == "93.184.215.14"


def test_without_https_only_an_allowed_network_is_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "93.184.215.14")
    with pytest.raises(EndpointRefusedError, match="https"):
        check("http://hooks.example.com/", NOWHERE)
    resolves_to(monkeypatch, "10.0.0.1")
    assert str(check("http://hooks.example.com/", networks("10.0.0.0/8, ::1/128"))) == "10.0.0.1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "https://",
        "https://user:secret@hooks.example.com/",
        "https://:secret@hooks.example.com/",
        "https://@hooks.example.com/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\nHost: other",
        "file:///etc/passwd",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(EndpointRefusedError, match="whole address"):
        check(url, NOWHERE)


def test_a_name_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(EndpointRefusedError, match="has no address"):
        check("https://hooks.example.com/", NOWHERE)
