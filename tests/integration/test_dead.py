"""Dead letters: grouped, shown, tried again or discarded, and every decision audited."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tasks.bus import dead
from tasks.bus.dead import Chosen
from tasks.cli.dead import command

pytestmark = pytest.mark.integration


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words))


@pytest.fixture
def parked(shop: Any) -> Any:
    """A shop with one order, delivered, of whose messages none could be sent."""
    shop.execute("INSERT INTO switches VALUES ('sms', 'faulty:permanent')")
    shop.order()
    shop.drain()
    assert shop.value("SELECT count(*) FROM deliveries WHERE state = 'parked'") == 4
    return shop


def mend(shop: Any) -> None:
    from tasks.gateways import switch

    shop.execute("DELETE FROM switches")
    switch._read.clear()


def states(shop: Any) -> dict[str, int]:
    rows = shop.rows("SELECT state, count(*) AS number FROM deliveries WHERE handler = 'sms' GROUP BY 1")
    return {row.state: row.number for row in rows}


def test_nothing_parked_is_said_plainly(shop: Any) -> None:
    assert run("list").output == "Nothing is parked.\n"
    assert run("list", "--handler", "sms").output == "Nothing is parked for sms.\n"
    assert run("retry", "--all").output == "Nothing is parked of that kind.\n"
    assert json.loads(run("list", "--json").output) == []


def test_parked_deliveries_are_grouped_by_handler_and_last_error_line(parked: Any) -> None:
    (group,) = json.loads(run("list", "--json").output)
    assert (group["handler"], group["number"], len(group["positions"])) == ("sms", 4, 4)
    assert group["error"].startswith("tasks.bus.retry.Permanent: 400 from the SMS service")
    assert "\n" not in group["error"]
    assert "sms" in run("list").output


def test_one_is_shown_with_its_event_and_its_whole_error(parked: Any) -> None:
    position = str(parked.value("SELECT min(position) FROM deliveries WHERE state = 'parked'"))
    shown = run("show", position, "sms").output
    assert "OrderPlaced" in shown
    assert "Ada Lovelace" in shown
    assert "Traceback" in shown
    assert json.loads(run("show", position, "sms", "--json").output)["data"]["customer_name"] == "Ada Lovelace"


def test_one_that_is_not_parked_is_said_to_be_so_in_a_sentence(parked: Any) -> None:
    result = run("show", "1", "email")
    assert (result.exit_code, result.output) == (1, "Nothing is parked for email at position 1.\n")


def test_a_retried_delivery_is_due_at_once_alone_with_all_its_attempts_and_completes_once(parked: Any) -> None:
    mend(parked)
    assert run("retry", "--all").output == "4 deliveries will be delivered again.\n"
    rows = parked.rows("SELECT *, not_before <= now() AS due FROM deliveries WHERE state = 'pending'")
    assert {(r.due, r.alone, r.starts, r.attempts, r.sends, r.dispatched_at) for r in rows} == {
        (True, True, 0, 0, 0, None)
    }
    parked.drain()
    assert states(parked) == {"done": 4}
    assert parked.value("SELECT count(*) FROM messages WHERE channel = 'sms' AND state = 'sent'") == 4


def test_a_text_that_fails_again_after_a_retry_is_not_told_by_mail_twice(parked: Any) -> None:
    told = "SELECT count(*) FROM messages WHERE channel = 'email' AND about = 'OrderReady' AND state = 'sent'"
    assert parked.value(told) == 1
    run("retry", "--all")
    parked.drain()
    assert states(parked) == {"parked": 4}
    assert parked.value(told) == 1


def test_only_what_is_meant_is_retried(parked: Any) -> None:
    position = str(parked.value("SELECT min(position) FROM deliveries WHERE state = 'parked'"))
    assert run("retry", "--position", position).output == "1 delivery will be delivered again.\n"
    assert states(parked) == {"parked": 3, "pending": 1}
    assert run("retry", "--handler", "email").output == "Nothing is parked of that kind.\n"
    assert run("retry", "--error", "another line").output == "Nothing is parked of that kind.\n"
    (group,) = json.loads(run("list", "--json").output)
    assert run("retry", "--error", group["error"]).output == "3 deliveries will be delivered again.\n"


def test_without_a_choice_nothing_is_touched(parked: Any) -> None:
    result = run("retry")
    assert (result.exit_code, result.output) == (2, "Say which are meant: --handler, --position, --error, or --all.\n")
    assert states(parked) == {"parked": 4}


def test_discarding_needs_a_reason_and_is_for_good(parked: Any) -> None:
    assert run("discard", "--all").exit_code == 2
    assert run("discard", "--all", "--reason", " ").exit_code == 2
    assert run("discard", "--all", "--reason", "The number is wrong.").output == "4 deliveries discarded.\n"
    parked.drain()
    assert states(parked) == {"discarded": 4}


def test_every_decision_is_audited_and_the_audit_refuses_changes(parked: Any) -> None:
    positions = [
        row.position for row in parked.rows("SELECT position FROM deliveries WHERE state = 'parked' ORDER BY 1")
    ]
    dead.retry(parked.database, Chosen(position=positions[0]), "Mario")
    dead.discard(parked.database, Chosen(position=positions[1]), "Mario", "enough")
    rows = parked.rows("SELECT who, action, position, handler, reason, at FROM audit ORDER BY id")
    assert [tuple(row)[:5] for row in rows] == [
        ("Mario", "retry", positions[0], "sms", None),
        ("Mario", "discard", positions[1], "sms", "enough"),
    ]
    with pytest.raises(Exception, match="append-only"):
        parked.execute("DELETE FROM audit")


def test_many_are_done_in_several_transactions_each_telling_its_progress(parked: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(dead, "_BATCH", 3)
    steps: list[int] = []
    assert dead.retry(parked.database, Chosen(handler="sms"), "Mario", steps.append) == 4
    assert steps == [3, 1]
