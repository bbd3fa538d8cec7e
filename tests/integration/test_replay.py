"""Replay: a read model made anew from the log while new events come in, and orders folded from their events."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from domain import history
from domain.events import OrderPlaced, OrderReady, catalogue
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus import replay
from tasks.bus.registry import Handler, Subscription
from tasks.bus.retry import Permanent
from tasks.cli.replay import command
from tests.conftest import until
from tests.integration.conftest import Shop
from tests.integration.probe import QUICK, Probe

pytestmark = pytest.mark.integration

FIGURES = ("order_metrics", "order_outcomes", "preparation_metrics", "sales_lines")


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words), catch_exceptions=False)


def figures(shop: Shop) -> dict[str, list[Any]]:
    return {table: shop.rows(f"SELECT * FROM {table} ORDER BY order_id") for table in FIGURES}


def sent_and_recorded(shop: Shop) -> tuple[int, int, int, int]:
    tables = ("events", "outbox", "deliveries", "messages")
    counted = [int(shop.value(f"SELECT count(*) FROM {table}")) for table in tables]
    return counted[0], counted[1], counted[2], counted[3]


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """A shop with delivered and cancelled orders and one that has just come in."""
    orders = [shop.order() for _ in range(3)]
    shop.drain()
    orders.append(shop.order())
    shop.execute("UPDATE ingredients SET quantity = 10 WHERE id = 'salami'")
    shop.drain()
    assert [shop.status(order) for order in orders] == ["delivered"] * 3 + ["cancelled"]
    shop.execute("UPDATE ingredients SET quantity = 10_000 WHERE id = 'salami'")
    shop.order()
    return shop


def test_a_read_model_that_was_spoilt_is_mended_row_by_row_and_nothing_is_sent(busy: Shop) -> None:
    right, before = figures(busy), sent_and_recorded(busy)
    busy.execute("DELETE FROM order_outcomes WHERE outcome = 'cancelled'")
    busy.execute("UPDATE order_metrics SET order_value = order_value + 1")
    busy.execute("INSERT INTO preparation_metrics VALUES ('ghost', 1, 1, now())")
    said = run("analytics")
    assert said.exit_code == 0
    assert "order_metrics: 4 rows mended (0 missing, 4 wrong, 0 without an event)" in said.output
    assert "order_outcomes: 1 rows mended (1 missing, 0 wrong, 0 without an event)" in said.output
    assert "preparation_metrics: 1 rows mended (0 missing, 0 wrong, 1 without an event): ghost" in said.output
    assert figures(busy) == right
    assert sent_and_recorded(busy) == before


def test_an_empty_read_model_is_rebuilt_to_identical_figures_twice_alike(busy: Shop) -> None:
    right = figures(busy)
    for _ in range(2):
        for table in FIGURES:
            busy.execute(f"DELETE FROM {table}")
        assert run("analytics").exit_code == 0
        assert figures(busy) == right


def test_a_dry_run_finds_what_differs_and_changes_nothing(busy: Shop) -> None:
    assert run("analytics", "--dry-run").exit_code == 0
    busy.execute("DELETE FROM order_outcomes")
    spoilt = figures(busy)
    said = run("analytics", "--dry-run")
    assert said.exit_code == 1
    assert "order_outcomes: 4 rows differ (4 missing" in said.output
    assert figures(busy) == spoilt


def test_since_a_date_only_the_rows_of_later_events_are_mended(busy: Shop) -> None:
    right = figures(busy)
    busy.execute("UPDATE order_metrics SET order_value = 0")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert "0 events" in run("analytics", "--since", f"{tomorrow:%Y-%m-%d}").output
    assert {row.order_value for row in figures(busy)["order_metrics"]} == {0}
    (since, first) = busy.rows(
        "SELECT recorded_at, data->>'order_id' AS id FROM events WHERE type = 'OrderPlaced' ORDER BY position OFFSET 1"
    )[0]
    done = replay.replay(busy.database, catalogue, busy.registry.handlers["analytics"], since=since)
    assert done.differences == 3
    wrong = [row.order_id for row in figures(busy)["order_metrics"] if row.order_value == 0]
    assert len(wrong) == 1 and first not in wrong
    assert run("analytics", "--since", "2020-01-01").exit_code == 0
    assert figures(busy) == right


def test_what_is_on_its_way_or_parked_is_left_to_its_delivery(busy: Shop) -> None:
    assert busy.value("SELECT count(*) FROM outbox") == 1
    assert run("analytics").exit_code == 0
    assert len(figures(busy)["order_metrics"]) == 4
    busy.fan_out()
    assert run("analytics").exit_code == 0
    assert len(figures(busy)["order_metrics"]) == 4
    busy.execute(
        "UPDATE deliveries SET state = 'parked', error = 'x' WHERE state = 'pending' AND handler = 'analytics'"
    )
    assert run("analytics").exit_code == 0
    assert len(figures(busy)["order_metrics"]) == 4


def test_a_handler_that_is_new_gets_the_events_from_before_its_time(busy: Shop) -> None:
    right = figures(busy)
    busy.execute("DELETE FROM deliveries WHERE handler = 'analytics'")
    for table in FIGURES:
        busy.execute(f"DELETE FROM {table}")
    assert run("analytics").exit_code == 0
    assert figures(busy) == right


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sms"], "sms calls somebody outside: to replay it would be to call again."),
        (["kitchen"], "kitchen does more than fill tables from events: to replay it would be to act again."),
        (["pigeons"], "No handler is called pigeons; what can be replayed is analytics."),
        (["orders"], "Orders are folded whole and only compared"),
        (["orders", "--dry-run", "--since", "2026-01-01"], "Orders are folded whole and only compared"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_replayed_is_refused_in_one_sentence(shop: Shop, words: list[str], sentence: str) -> None:
    said = run(*words)
    assert (said.exit_code, said.output.count("\n")) == (2, 1)
    assert said.output.startswith(sentence)


def tally(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
    """Count: what is done twice or never shows at once."""
    work.run(
        "INSERT INTO tally VALUES ('orders', :n) ON CONFLICT (what) DO UPDATE SET n = tally.n + excluded.n",
        n=len(placed),
    )


def filling(probe: Probe, function: Callable[..., None], table: str = "tally") -> Handler:
    probe.shop.execute("CREATE TABLE tally (what text PRIMARY KEY, n int NOT NULL)")
    subscribed = probe.subscribe(function)
    subscription = Subscription("OrderPlaced", function, False, QUICK, fills=(table,))
    handler = Handler(subscribed.name, False, {"OrderPlaced": subscription})
    probe.registry.handlers[handler.name] = handler
    return handler


@pytest.fixture
def traffic(probe: Probe) -> Iterator[Callable[[], None]]:
    """Orders that come in and are handled by two workers, until the test ends them."""
    ending = threading.Event()
    failures: list[BaseException] = []

    def work(place: bool) -> None:
        try:
            while not ending.is_set():
                if place:
                    for _ in range(3):
                        probe.shop.order()
                probe.drain()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[place]) for place in (True, True, False)]

    def end() -> None:
        ending.set()
        for thread in threads:
            thread.join(30)
        assert not failures

    filling(probe, tally)
    for thread in threads:
        thread.start()
    yield end
    end()


def test_replays_beside_new_events_count_each_of_them_once(probe: Probe, traffic: Callable[[], None]) -> None:
    handler = probe.registry.handlers["probe"]
    until(lambda: probe.shop.value("SELECT count(*) FROM tally"), 30, "the first order")
    before = 0
    for _ in range(12):
        probe.shop.execute("UPDATE tally SET n = n + 7")  # so that there is something to mend each time
        done = replay.replay(probe.shop.database, catalogue, handler)
        assert done.events >= before
        before = done.events
        told, handled = probe.shop.rows(
            "SELECT (SELECT n FROM tally), (SELECT count(*) FROM deliveries WHERE state = 'done')"
        )[0]
        assert told == handled
    traffic()
    probe.drain()
    orders = probe.shop.value("SELECT count(*) FROM orders")
    assert orders > before > 0
    assert probe.shop.value("SELECT n FROM tally") == orders
    assert replay.replay(probe.shop.database, catalogue, handler, dry_run=True).differences == 0


def test_what_was_left_out_and_is_handled_before_the_end_is_counted(probe: Probe) -> None:
    handler = filling(probe, tally)
    probe.shop.order()
    probe.drain()
    probe.shop.order()  # on its way as the replay begins, and too old to be looked for among the new
    probe.shop.execute(
        "DO $$ BEGIN SET LOCAL session_replication_role = replica;"
        " UPDATE events SET recorded_at = recorded_at - interval '5 minutes'; END $$"
    )
    done = replay.replay(probe.shop.database, catalogue, handler, progress=lambda _: probe.drain())
    assert (done.events, done.differences, probe.shop.value("SELECT n FROM tally")) == (2, 0, 2)


def test_a_row_that_is_written_all_the_time_is_mended_all_the_same(probe: Probe) -> None:
    handler = filling(probe, tally)
    for _ in range(20):
        probe.shop.order()
    probe.drain()
    probe.shop.execute("UPDATE tally SET n = 0")
    overwritten, ending = set[int](), threading.Event()
    spoil = text("WITH old AS (SELECT n FROM tally FOR UPDATE) UPDATE tally SET n = 0 FROM old RETURNING old.n")

    def hammer() -> None:
        while not ending.is_set():
            with probe.shop.database.engine.begin() as connection:
                overwritten.add(connection.execute(spoil).scalar_one())

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        for _ in range(5):
            replay.replay(probe.shop.database, catalogue, handler)
        until(lambda: 20 in overwritten, what="the right value")
    finally:
        ending.set()
        thread.join(30)


def records(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
    work.record(placed[0])


def postpones(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
    work.postpone(placed[0], datetime.now(UTC))


def writes_elsewhere(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
    work.run("INSERT INTO effects VALUES ('o', 'written')")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (records, "It records OrderPlaced"),
        (postpones, "It postpones OrderPlaced"),
        (writes_elsewhere, "probe writes to more than tally"),
    ],
)
def test_a_handler_that_does_more_than_it_says_is_stopped_and_nothing_is_kept(
    probe: Probe, function: Callable[..., None], sentence: str
) -> None:
    handler = filling(probe, function)
    probe.shop.order()
    probe.shop.execute("DELETE FROM outbox")  # long handled
    with pytest.raises(replay.ReplayError, match=sentence):
        replay.replay(probe.shop.database, catalogue, handler)
    assert probe.effects() == []
    assert probe.shop.value("SELECT count(*) FROM events") == 1


def test_an_event_that_cannot_be_read_stops_the_replay_before_it_changes_anything(probe: Probe) -> None:
    handler = filling(probe, tally)
    probe.shop.execute(
        "INSERT INTO events (id, type, version, stream, sequence, data, correlation_id)"
        " VALUES (gen_random_uuid(), 'OrderPlaced', 9, 'order-x', 1, '{}', 'c')"
    )
    with pytest.raises(replay.ReplayError, match="OrderPlaced version 9 is unknown to this code"):
        replay.replay(probe.shop.database, catalogue, handler)


def test_a_replay_leaves_no_temporary_table_to_those_who_come_after_it(busy: Shop) -> None:
    run("analytics")
    sql = "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"
    until(lambda: busy.value(sql) == 0, 10, "the end of the temporary tables")


def test_a_handler_has_a_read_model_only_if_filling_tables_is_all_it_does() -> None:
    def function(_: Any, __: Any) -> None:
        raise Permanent

    fills = Subscription("OrderPlaced", function, False, QUICK, fills=("tally",))
    acts = Subscription("OrderReady", function, False, QUICK)
    both = Subscription("OrderReady", function, False, QUICK, fills=("tally", "sums"))
    assert Handler("it", False, {"OrderPlaced": fills}).read_model == ("tally",)
    assert Handler("it", False, {"OrderPlaced": fills, "OrderReady": both}).read_model == ("sums", "tally")
    assert Handler("it", False, {"OrderPlaced": fills, OrderReady.__name__: acts}).read_model == ()


def test_every_order_folded_from_its_events_is_as_the_live_table_has_it(busy: Shop) -> None:
    busy.drain()
    said = run("orders", "--dry-run")
    assert (said.exit_code, said.output) == (0, "5 orders folded, 0 differ from the live table.\n")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE orders SET status = 'cooking' WHERE id = :id", "status is 'cooking' and its events say 'delivered'"),
        ("UPDATE orders SET total = total + 1 WHERE id = :id", "total is Decimal"),
        ("UPDATE orders SET ready_at = ready_at + interval '1 microsecond' WHERE id = :id", "ready_at is"),
        ("UPDATE orders SET phone = '+15550199999' WHERE id = :id", "phone is not what its events say"),
    ],
    ids=["status", "total", "ready_at", "phone"],
)
def test_an_order_that_is_not_as_its_events_say_is_found(busy: Shop, change: str, told: str) -> None:
    order_id = busy.value("SELECT min(id) FROM orders WHERE status = 'delivered'")
    busy.execute(change, id=order_id)
    said = run("orders", "--dry-run")
    assert said.exit_code == 1
    assert said.output.startswith(f"{order_id}: {told}")
    assert "1555" not in said.output
    assert said.output.endswith("5 orders folded, 1 differ from the live table.\n")


def test_a_stream_without_its_order_and_an_order_without_its_events_are_found(busy: Shop) -> None:
    order_id = busy.value("SELECT min(id) FROM orders WHERE status = 'delivered'")
    busy.execute("UPDATE orders SET id = 'nobody' WHERE id = :id", id=order_id)
    said = run("orders", "--dry-run")
    assert said.exit_code == 1
    assert "nobody: there are no events" in said.output
    assert f"order-{order_id} has events, and there is no such order" in said.output


def test_an_erased_customers_order_differs_in_nothing_else(busy: Shop) -> None:
    busy.execute("DELETE FROM personal_keys")
    with busy.database.view() as connection:
        assert [sentence for page in history.compare(connection) for sentence in page.differences] == []
