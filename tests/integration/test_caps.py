"""Caps on text messages: never exceeded by workers side by side, and nothing that exceeds them is lost in silence."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from domain import caps
from domain.customers import Contact
from domain.kernel import clock
from domain.settings import Settings
from tasks.bus.dead import Chosen, retry
from tasks.bus.retry import Wait
from tasks.gateways import outcome, sms, switch
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

ADA, GRACE = Contact("Ada", "+15550100001", "ada@example.com"), Contact("Grace", "+15550100002")


@pytest.fixture
def capped(request: pytest.FixtureRequest, configure: Callable[..., None]) -> Shop:
    configure(**request.param)
    shop: Shop = request.getfixturevalue("shop")
    return shop


def texts(shop: Shop) -> dict[str, tuple[str, str]]:
    return {row.about: (row.state, row.answer) for row in shop.rows("SELECT * FROM messages WHERE channel = 'sms'")}


def sent(shop: Shop) -> int:
    return int(shop.value("SELECT count(*) FROM messages WHERE channel = 'sms' AND state = 'sent'"))


@pytest.mark.parametrize("capped", [{"sms_per_number": 1}], indirect=True)
def test_what_exceeds_a_numbers_cap_is_aborted_with_the_reason_and_the_ready_notice_is_mailed_once(
    capped: Shop,
) -> None:
    capped.order(contact=ADA)
    capped.order(contact=GRACE)
    capped.drain()
    assert sent(capped) == 2, "one to each"
    refused = ("aborted", "over the cap of 1 text to one number within an hour")
    assert {texts(capped)[about] for about in ("OrderReady", "OrderOutForDelivery", "OrderDelivered")} == {refused}
    mails = capped.rows("SELECT recipient, state FROM messages WHERE channel = 'email' AND about = 'OrderReady'")
    assert mails == [(ADA.email, "sent")]
    assert {row.state for row in capped.deliveries("sms")} == {"done"}


@pytest.mark.parametrize("capped", [{"sms_per_hour": 5}], indirect=True)
def test_there_are_so_many_texts_in_all_within_any_hour(capped: Shop) -> None:
    capped.order(contact=ADA)
    capped.order(contact=GRACE)
    capped.drain()
    assert sent(capped) == 5
    clock.move(timedelta(minutes=59))
    capped.order()
    capped.drain()
    assert sent(capped) == 5
    clock.move(timedelta(minutes=1, seconds=1))
    capped.order()
    capped.drain()
    assert sent(capped) == 9


@pytest.mark.parametrize("capped", [{"sms_per_number": 4, "retry_sms": "times=2,first=0,cap=0"}], indirect=True)
def test_a_retry_keeps_its_slot(capped: Shop) -> None:
    capped.execute("INSERT INTO switches VALUES ('sms', 'faulty')")
    capped.order()
    capped.drain()
    assert texts(capped)["OrderDelivered"][0] == "failed"
    capped.execute("DELETE FROM switches")
    switch._read.clear()
    retry(capped.database, Chosen(None, None, None), "Ada", lambda _: None)
    capped.drain()
    assert texts(capped)["OrderDelivered"] == ("sent", "console")
    assert capped.value("SELECT count(*) FROM sms_slots") == 4


@pytest.mark.parametrize("capped", [{"sms_per_number": 3}], indirect=True)
def test_what_was_overtaken_before_it_could_be_tried_gives_its_slot_back(
    capped: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sms, "send", busy)
        capped.order()
        capped.drain()
    monkeypatch.setattr(outcome, "FRESH", timedelta())
    for _ in range(2):
        capped.execute("UPDATE deliveries SET not_before = now() WHERE state = 'pending'")
        capped.drain()
    found = texts(capped)
    assert found["OrderPlaced"] == found["OrderOutForDelivery"] == ("aborted", "overtaken by delivered")
    assert found["OrderReady"] == ("sent", "console")
    assert capped.value("SELECT count(*) FROM sms_slots") == sent(capped)


def busy(*_: object) -> str:
    raise Wait(3600)


ONE = Settings(sms_per_hour=1)


def refused(shop: Shop, key: str, settings: Settings = ONE, to: str = ADA.phone) -> bool:
    with shop.database.engine.begin() as connection:
        return bool(caps.beyond(connection, [caps.Wish(key, to)], settings))


@pytest.mark.parametrize("settings", [ONE, Settings(sms_per_number=1)])
def test_the_slot_of_a_retry_is_as_new_as_its_last_try(shop: Shop, settings: Settings) -> None:
    assert not refused(shop, "a", settings)
    clock.move(timedelta(minutes=59))
    assert not refused(shop, "a", settings), "a retry has its slot"
    clock.move(timedelta(minutes=2))
    assert refused(shop, "b", settings), "two texts within three minutes"
    clock.move(timedelta(minutes=59))
    assert not refused(shop, "b", settings)


def test_of_a_number_a_digest_is_kept_and_that_is_forgotten_where_nobody_sends_any_more(shop: Shop) -> None:
    assert not refused(shop, "a")
    row = shop.value("SELECT row_to_json(s)::text FROM sms_slots s")
    assert "5550100001" not in row and "5550100001" in ADA.phone
    for minutes, left in ((59, 1), (1, 0)):
        clock.move(timedelta(minutes=minutes))
        with shop.database.engine.begin() as connection:
            caps.forget(connection)
        assert shop.value("SELECT count(*) FROM sms_slots") == left


@pytest.mark.parametrize("settings", [{"sms_per_number": 7}, {"sms_per_hour": 7}])
def test_workers_side_by_side_never_take_more_than_there_is(shop: Shop, settings: dict[str, Any]) -> None:
    def work(worker: int) -> list[str]:
        wishes = [caps.Wish(f"{worker}.{number}", ADA.phone) for number in range(5)]
        with shop.database.engine.begin() as connection:
            return list(caps.beyond(connection, wishes, Settings(**settings)))

    with ThreadPoolExecutor(8) as pool:
        refused = Counter(key for keys in pool.map(work, range(8)) for key in keys)
    assert len(refused) == 40 - 7
    assert shop.value("SELECT count(*) FROM sms_slots") == 7


def test_without_caps_nothing_is_asked_or_kept(shop: Shop) -> None:
    shop.order()
    shop.drain()
    assert sent(shop) == 4
    assert shop.rows("SELECT 1 FROM sms_slots") == []
