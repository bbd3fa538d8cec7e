"""The sandbox as a provider of messages: its recipients behave as they are called, and `check` compares its journal."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from domain.customers import Contact
from domain.messages import Message
from tasks.bus.retry import Permanent, Wait
from tasks.cli.check import command as check
from tasks.gateways import sandbox_messages as sandbox
from tasks.gateways.sandbox_messages import NoAnswerError
from tasks.registry import registry
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

FINE, REFUSE, BUSY, TIMEOUT, TIMEOUT_SENT = (f"+15005550{last}" for last in ("006", "001", "429", "408", "504"))


@pytest.fixture
def sandboxed(configure: Callable[..., None], shop: Shop) -> Shop:
    configure(sms="sandbox", smtp_url="sandbox", retry_sms="times=1,first=0,cap=0", retry_email="times=1,first=0,cap=0")
    return Shop(shop.url, registry())


def journal(shop: Shop, key: str = "e:sms") -> tuple[str, int]:
    (row,) = shop.rows("SELECT state, asked FROM sandbox.messages WHERE key = :key", key=key)
    return row.state, row.asked


def send(recipient: str, key: str = "e:sms") -> str:
    channel = key.partition(":")[2]
    return sandbox.send(Message(key, channel, "OrderReady", "o", "c", recipient, "Ready"), key)


@pytest.mark.parametrize(
    ("recipient", "key"), [(FINE, "e:sms"), ("+12125550101", "e:sms"), ("ada@example.com", "e:email")]
)
def test_a_message_is_sent_once_for_its_key_however_often_it_is_asked_for(shop: Shop, recipient: str, key: str) -> None:
    first = send(recipient, key)
    assert first.startswith("sandbox_") and send(recipient, key) == first
    assert journal(shop, key) == ("sent", 2)


@pytest.mark.parametrize("refused", [(REFUSE, "e:sms"), ("refuse@sandbox.example", "e:email")])
def test_who_is_to_be_refused_is_refused_for_good(shop: Shop, refused: tuple[str, str]) -> None:
    for _ in range(2):
        with pytest.raises(Permanent, match="400"):
            send(*refused)
    assert journal(shop, refused[1]) == ("refused", 2)


def test_who_is_busy_is_waited_for_and_sent_to_afterwards(shop: Shop) -> None:
    with pytest.raises(Wait) as wait:
        send(BUSY)
    assert wait.value.seconds == sandbox.RETRY_AFTER
    shop.execute("UPDATE sandbox.messages SET first_asked_at = first_asked_at - interval '1 minute'")
    assert send(BUSY).startswith("sandbox_")


def test_a_timeout_is_never_sent_and_one_that_was_sent_all_the_same_is_answered_at_the_second_try(shop: Shop) -> None:
    for recipient, key in ((TIMEOUT, "t:sms"), (TIMEOUT, "t:sms"), (TIMEOUT_SENT, "s:sms")):
        with pytest.raises(NoAnswerError):
            send(recipient, key)
    assert send(TIMEOUT_SENT, "s:sms").startswith("sandbox_")
    assert (journal(shop, "t:sms"), journal(shop, "s:sms")) == (("new", 2), ("sent", 2))


def examined() -> tuple[int, dict[str, dict[str, Any]]]:
    result = CliRunner().invoke(check, ["--wait", "0", "--json"])
    return result.exit_code, {line["title"]: line for line in json.loads(result.output)["invariants"]}


REPEATS = "Messages that the sandbox was asked for more than once, and sent once"


def test_check_holds_over_orders_of_every_kind_of_recipient_and_reports_repetitions(sandboxed: Shop) -> None:
    for number in (FINE, REFUSE, TIMEOUT, TIMEOUT_SENT):
        sandboxed.order(contact=Contact("Ada", number, "ada@example.com"))
    sandboxed.order(contact=Contact("Ada", FINE, "timeout-sent@sandbox.example"))
    sandboxed.drain()
    code, lines = examined()
    assert [title for title, line in lines.items() if line["violations"]] == []
    assert code == 0
    assert lines[REPEATS]["noted"] >= 2 and " times" in lines[REPEATS]["examples"][0]
    sent = {
        (row.recipient, row.state)
        for row in sandboxed.rows(
            "SELECT recipient, state FROM messages WHERE about = 'OrderDelivered' AND channel = 'sms'"
        )
    }
    assert sent == {(FINE, "sent"), (REFUSE, "failed"), (TIMEOUT, "failed"), (TIMEOUT_SENT, "sent")}
    columns = sandboxed.rows("SELECT row_to_json(m)::text AS all FROM sandbox.messages m")
    assert not any("+1500" in row.all or "@" in row.all for row in columns), "nothing personal"
