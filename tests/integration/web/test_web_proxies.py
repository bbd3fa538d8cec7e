"""What a proxy in front of the web says of its callers: believed as far as the settings trust it."""

from collections.abc import Callable, Mapping

import pytest

from tests.integration.web.conftest import Site
from tests.integration.web.test_web_api import ORDER

pytestmark = pytest.mark.integration

PROXY = {"REMOTE_ADDR": "10.0.0.2"}
HERE = {"REMOTE_ADDR": "127.0.0.1"}
ADA, BOB = "203.0.113.9", "203.0.113.10"
TLS = {"X-Forwarded-For": ADA, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "marios.example"}

MakeSite = Callable[..., Site]


def order_nothing(site: Site, peer: Mapping[str, str], **headers: str) -> int:
    """Ask for an order of nothing, which counts too."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return site.client.post("/api/orders", json={}, environ_base=dict(peer), headers=names).status_code


def use_up(site: Site, peer: Mapping[str, str], **headers: str) -> None:
    assert [order_nothing(site, peer, **headers) for _ in range(31)] == [422] * 30 + [429]


def limited(make_site: MakeSite, trusted_proxies: int) -> Site:
    return make_site(rate_limits="on", bus="memory", trusted_proxies=trusted_proxies)


def test_behind_a_trusted_proxy_each_caller_has_a_limit_of_its_own(make_site: MakeSite) -> None:
    site = limited(make_site, 1)
    use_up(site, PROXY, X_Forwarded_For=ADA)
    assert order_nothing(site, PROXY, X_Forwarded_For=BOB) == 422


def test_a_caller_behind_a_trusted_proxy_cannot_pass_for_another(make_site: MakeSite) -> None:
    site = limited(make_site, 1)
    use_up(site, PROXY, X_Forwarded_For=f"{BOB}, {ADA}")
    assert order_nothing(site, PROXY, X_Forwarded_For=f"127.0.0.1, {ADA}") == 429
    assert order_nothing(site, PROXY, X_Forwarded_For=BOB) == 422


def test_of_two_trusted_proxies_the_outer_one_names_the_caller(make_site: MakeSite) -> None:
    site = limited(make_site, 2)
    use_up(site, PROXY, X_Forwarded_For=f"{ADA}, 10.0.0.1")
    assert order_nothing(site, PROXY, X_Forwarded_For=f"{BOB}, 10.0.0.1") == 422


@pytest.mark.parametrize("peer", [PROXY, HERE])
def test_nobody_is_believed_unless_trusted(make_site: MakeSite, peer: Mapping[str, str]) -> None:
    site = limited(make_site, 0)
    use_up(site, peer, X_Forwarded_For=ADA)
    assert order_nothing(site, peer, X_Forwarded_For=BOB) == 429


@pytest.mark.parametrize("trusted_proxies", [0, 1])
def test_this_machine_is_not_limited_unless_a_proxy_says_so(make_site: MakeSite, trusted_proxies: int) -> None:
    site = limited(make_site, trusted_proxies)
    assert {order_nothing(site, HERE) for _ in range(31)} == {422}
    use_up(site, HERE, X_Forwarded_For="127.0.0.1")


@pytest.mark.parametrize(
    "header", ["Forwarded", "Via", "X_Real_IP", "X_Forwarded_For", "X_Forwarded_Host", "X_Forwarded_Proto"]
)
def test_whatever_a_proxy_says_on_this_machine_its_callers_are_limited(make_site: MakeSite, header: str) -> None:
    use_up(limited(make_site, 0), HERE, **{header: "marios.example"})


def test_behind_a_trusted_proxy_with_tls_everything_is_https(make_site: MakeSite) -> None:
    site = make_site(trusted_proxies=1)
    page = site.client.get("/", environ_base=PROXY, headers=TLS)
    assert "Secure" in page.headers["Set-Cookie"]
    assert "Strict-Transport-Security" in page.headers
    placed = site.client.post("/api/orders", json=ORDER, environ_base=PROXY, headers=TLS).get_json()
    assert placed["tracking_url"] == f"https://marios.example/orders/{placed['id']}"


def test_whoever_is_not_trusted_changes_neither_scheme_nor_host(site: Site) -> None:
    page = site.client.get("/", environ_base=PROXY, headers=TLS)
    assert "Secure" not in page.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in page.headers
    placed = site.client.post("/api/orders", json=ORDER, environ_base=PROXY, headers=TLS).get_json()
    assert placed["tracking_url"].startswith("http://localhost/")


def test_the_tracking_link_names_the_shops_own_address_whatever_host_a_request_claims(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(public_url="https://pizza.example")
    answer = site.client.post("/api/orders", json=ORDER, headers={"Host": "evil.example"})
    assert answer.json is not None
    assert answer.json["tracking_url"] == f"https://pizza.example/orders/{answer.json['id']}"
