"""What customers are told: by a real mail server, and when the SMS service fails."""

import json
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tests.acceptance.conftest import Shop
from tests.conftest import free_port, until

pytestmark = pytest.mark.acceptance

TRIES = 2


class Mailbox:
    """Takes every mail that a mail server hands it."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - the server's name
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert [mail["To"]] == envelope.rcpt_tos
        self.mails.append(mail)
        return "250 Taken"

    def about(self, subject: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["Subject"] == subject]

    def wait_for(self, subject: str) -> EmailMessage:
        until(lambda: self.about(subject), 30, f"the mail {subject!r}")
        (mail,) = self.about(subject)
        return mail


@pytest.fixture(scope="module")
def mail_server() -> Iterator[Controller]:
    server = Controller(Mailbox(), hostname="127.0.0.1", port=free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mailbox(mail_server: Controller) -> Mailbox:
    box: Mailbox = mail_server.handler
    return box


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop], mail_server: Controller) -> Shop:
    url = f"smtp://127.0.0.1:{mail_server.port}"
    # One driver, who can be sent home, and pickups that take a while: no order overtakes its messages by chance.
    shop = new_shop(smtp_url=url, retry_sms=f"times={TRIES - 1},first=0.2,cap=0.2", drivers=1, drive_seconds=3)
    shop.open()
    return shop


def code(order_id: str) -> str:
    return order_id[8:14].upper()


def message(shop: Shop, order_id: str, channel: str, about: str) -> list[Any]:
    return shop.rows(
        "SELECT * FROM messages WHERE order_id = %s AND channel = %s AND about = %s", order_id, channel, about
    )


def test_the_confirmation_is_mailed_with_lines_total_and_time_and_a_name_stays_text(
    shop: Shop, mailbox: Mailbox
) -> None:
    name = "<b>Ada</b> & {{ 7 * 7 }}"
    shop.ask("gateway", "oven", "out")  # so that the order does not overtake its confirmation on a slow machine
    order = shop.place(
        customer={"name": name, "phone": "+12125550101", "email": "ada@example.com"},
        items=[
            {"pizza": "diavola", "size": "large", "quantity": 2, "toppings": ["extra-cheese"], "note": "<i>hot</i>"}
        ],
    )
    try:
        mail = mailbox.wait_for(f"Order {code(order)} confirmed")
    finally:
        assert shop.ask("gateway", "oven", "reset").code == 0
    body = mail.get_content()
    assert (mail.get_content_type(), mail.is_multipart()) == ("text/plain", False)
    assert (mail["To"], mail["From"]) == ("ada@example.com", "Mario's Pizzeria <orders@marios.example>")
    assert body.startswith(f"Hello {name},")
    assert "2 x Diavola, large, with extra cheese  $" in body
    assert "hot" not in body, "a note is no part of the event"
    total = shop.value("SELECT total FROM orders WHERE id = %s", order)
    ready_at = shop.value("SELECT estimated_delivery_time FROM orders WHERE id = %s", order)
    assert f"Total: ${total}" in body
    assert f"Estimated time: {ready_at:%H:%M}" in body
    shop.wait_until_delivered([order])


def test_the_ready_message_comes_only_when_the_order_is_ready_and_says_how_to_get_it(shop: Shop) -> None:
    assert shop.ask("drivers", "off", "1").code == 0
    pickup, delivery = shop.place(fulfilment="pickup"), shop.place()
    until(lambda: all(message(shop, order, "sms", "OrderReady") for order in (pickup, delivery)), 30, "the texts")
    assert shop.ask("drivers", "back", "1").code == 0
    shop.wait_until_delivered([pickup, delivery])
    (at_the_counter,), (at_the_door,) = (message(shop, order, "sms", "OrderReady") for order in (pickup, delivery))
    ready_at = shop.value("SELECT ready_at FROM orders WHERE id = %s", pickup)
    assert at_the_counter.created_at >= ready_at
    assert "within 10 minutes" in at_the_counter.body
    assert "leaves for your door soon" in at_the_door.body
    assert (at_the_counter.state, at_the_door.state) == ("sent", "sent")


def test_an_sms_service_that_fails_delays_no_order_and_the_ready_notice_goes_out_by_mail(
    shop: Shop, mailbox: Mailbox
) -> None:
    assert shop.ask("gateway", "sms", "faulty").code == 0
    try:
        order = shop.place(fulfilment="pickup")
        shop.wait_until_delivered([order])
        mail = mailbox.wait_for(f"Order {code(order)} is ready")
        assert "within 10 minutes" in mail.get_content()
        until(lambda: [d.state for d in shop.deliveries("sms", order, "OrderDelivered")] == ["parked"], 30, "parking")
    finally:
        assert shop.ask("gateway", "sms", "reset").code == 0
    (ready,) = message(shop, order, "sms", "OrderReady")
    assert ready.state in {"failed", "aborted"}, "as the retry came before the order was fetched, or after it"
    (parked,) = shop.deliveries("sms", order, "OrderDelivered")
    assert parked.attempts == TRIES
    assert "503 from the SMS service" in parked.error
    (text,) = message(shop, order, "sms", "OrderDelivered")
    assert (text.state, text.attempts) == ("failed", TRIES)
    assert "503" in text.answer
    assert attempts_logged(shop, order) == list(range(1, TRIES + 1))


def attempts_logged(shop: Shop, order_id: str) -> list[int]:
    """Give the number of each failed attempt to send the last text that has its own line in the log."""
    lines = (shop.home / "log" / "worker-sms.log").read_text().splitlines()
    found = [json.loads(line) for line in lines if "handler_failed" in line and order_id in line]
    assert all(line["level"] == "error" and "traceback" not in line for line in found)
    return [line["attempt"] for line in found if line["event_type"] == "OrderDelivered"]


def test_what_was_parked_is_listed_and_sent_once_when_it_is_retried(shop: Shop) -> None:
    shop.ask("gateway", "sms", "faulty")
    try:
        order = shop.place()
        shop.wait_until_delivered([order])
        until(lambda: [d.state for d in shop.deliveries("sms", order, "OrderDelivered")] == ["parked"], 30, "parking")
    finally:
        shop.ask("gateway", "sms", "reset")
    groups = json.loads(shop.ask("dead", "list", "--json").out)
    assert {group["handler"] for group in groups} == {"sms"}
    (parked,) = shop.deliveries("sms", order, "OrderDelivered")
    said = shop.ask("dead", "retry", "--position", str(parked.position))
    assert (said.code, said.out) == (0, "1 delivery will be delivered again.\n")
    until(lambda: [d.state for d in shop.deliveries("sms", order, "OrderDelivered")] == ["done"], 30, "the delivery")
    (text,) = message(shop, order, "sms", "OrderDelivered")
    assert text.state == "sent"


def test_once_the_service_is_back_new_messages_go_out_and_the_invariants_hold(shop: Shop) -> None:
    order = shop.place()
    shop.wait_until_delivered([order])
    until(lambda: [text.state for text in message(shop, order, "sms", "OrderDelivered")] == ["sent"], 30, "the text")
    shop.check()
