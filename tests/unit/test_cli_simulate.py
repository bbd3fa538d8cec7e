"""`pizzeria simulate` against a shop that behaves, and one that does not."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import phonenumbers
import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from domain.settings import Settings
from tasks.cli import day, simulate, trial
from tasks.simulation import following, placing
from tasks.simulation.baskets import Baskets
from tasks.simulation.following import Seen
from tasks.simulation.report import delivered_per_second, percentiles

pytestmark = pytest.mark.unit

MENU = {
    "sizes": [{"id": "small"}, {"id": "large"}],
    "toppings": [{"id": "olives"}, {"id": "basil"}],
    "pizzas": [
        {"id": "margherita", "sold_out": False, "prices": {"small": "8.00", "large": "13.00"}},
        {"id": "diavola", "sold_out": True, "prices": {"small": "8.00"}},
    ],
}
PLACED_AT = datetime(2026, 1, 1, 20, tzinfo=UTC)


class FakeShop(ThreadingHTTPServer):
    """Takes orders, delivers each at the first look at it, and misbehaves as told."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counter)
        self.orders: dict[str, str] = {}
        self.bodies: dict[str, Any] = {}
        self.posts: Counter[str] = Counter()
        self.arrivals: list[float] = []
        self.misbehave: list[int] = []
        """Statuses to answer first; 0 takes the order and then cuts the line."""
        self.refuse = ""
        """What to say of every order, instead of taking it."""
        self.forget_keys = False
        self.lost: set[int] = set()
        self.never_done: set[int] = set()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, key: str, body: Any) -> str:
        if key not in self.orders or self.forget_keys:
            self.orders[key] = f"{len(self.posts):032x}{sum(self.posts.values()):04x}"
        self.bodies[key] = body
        return self.orders[key]


class _Counter(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeShop

    def do_GET(self) -> None:
        if self.path == "/api/menu":
            self.answer(200, MENU)
            return
        ids = list(self.server.orders.values())
        number = ids.index(self.path.rpartition("/")[2])
        if number in self.server.lost:
            self.answer(404, {})
            return
        delivered = None if number in self.server.never_done else (PLACED_AT + timedelta(seconds=2)).isoformat()
        self.answer(
            200,
            {
                "status": "delivered" if delivered else "cooking",
                "placed_at": PLACED_AT.isoformat().replace("+00:00", "Z"),
                "delivered_at": delivered,
            },
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        with self.server.lock:
            self.server.posts[key] += 1
            self.server.arrivals.append(time.monotonic())
            trouble = self.server.misbehave.pop() if self.server.misbehave else None
            taken = self.server.take(key, body) if trouble in {0, None} else None
        if trouble == 0:
            self.close_connection = True
            self.connection.close()
        elif trouble:
            self.answer(trouble, {})
        elif self.server.refuse:
            self.answer(422, {"errors": [{"field": "items", "problem": self.server.refuse}]})
        else:
            self.answer(201, {"id": taken, "status": "placed"})

    def answer(self, status: int, body: Any) -> None:
        written = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_: Any) -> None:
        pass

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the line is cut
            super().finish()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeShop]:
    monkeypatch.setattr(trial, "delivered_twice", lambda *_: None)
    with FakeShop() as shop:
        thread = threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield shop
        shop.shutdown()
        thread.join()


def run(shop: FakeShop, *words: str) -> Result:
    return CliRunner().invoke(simulate.command, ["--url", shop.url, *words])


def figures(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_it_prints_exactly_the_public_figures_alone_on_stdout(fake: FakeShop) -> None:
    result = run(fake, "40", "--json")
    found = figures(result)
    assert list(found) == [
        "orders",
        "delivered",
        "cancelled",
        "lost",
        "duplicated",
        "placed_per_second",
        "delivered_per_second",
        "placing_ms",
        "delivery_seconds",
    ]
    assert (found["orders"], found["delivered"], found["lost"], found["duplicated"]) == (40, 40, 0, 0)
    assert (found["delivered_per_second"], found["delivery_seconds"]) == (20.0, {"p50": 2.0, "p95": 2.0, "p99": 2.0})
    assert (result.exit_code, result.stderr) == (0, "")


def test_every_order_has_a_key_of_its_own_and_some_are_asked_for_twice_at_the_end(fake: FakeShop) -> None:
    run(fake, "120", "--json")
    assert len(fake.orders) == 120
    assert Counter(fake.posts.values()) == {1: 70, 2: 50}


def test_unanswered_refused_and_failing_requests_are_repeated_with_the_same_key(fake: FakeShop) -> None:
    fake.misbehave = [503, 500, 429, 0, 0, 502] * 3
    result = run(fake, "30", "--json")
    assert result.exit_code == 0, result.output
    assert (len(fake.orders), figures(result)["orders"], figures(result)["duplicated"]) == (30, 30, 0)


def test_a_second_order_for_a_key_is_found(fake: FakeShop) -> None:
    fake.forget_keys = True
    result = run(fake, "10", "--json", "--no-wait")
    assert result.exit_code == 1
    assert figures(result)["duplicated"] == 10


def test_a_second_delivery_is_counted_where_the_database_can_be_looked_into(
    fake: FakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "delivered_twice", lambda *_: 2)
    result = run(fake, "10", "--json")
    assert (result.exit_code, figures(result)["duplicated"]) == (1, 2)


def test_an_acknowledged_order_that_cannot_be_read_is_lost(fake: FakeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE", 0.5)
    fake.lost = {3}
    result = run(fake, "10", "--json")
    assert (result.exit_code, figures(result)["lost"], figures(result)["delivered"]) == (1, 1, 9)


def test_an_order_that_never_ends_is_lost_when_waiting_and_not_otherwise(
    fake: FakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PATIENCE", 0.5)
    fake.never_done = {0, 1}
    assert figures(run(fake, "10", "--json"))["lost"] == 2
    fake.orders.clear()
    result = run(fake, "10", "--json", "--no-wait")
    assert (result.exit_code, figures(result)["lost"]) == (0, 0)


def test_an_order_that_is_refused_is_said_and_fails_the_run(fake: FakeShop) -> None:
    fake.refuse = "No."
    result = run(fake, "3", "--json")
    assert (result.exit_code, figures(result)["orders"]) == (1, 0)
    assert "3 of 3 orders were not acknowledged; the first: refused with 422" in result.stderr


def test_what_took_no_time_because_nothing_was_placed_is_none(fake: FakeShop) -> None:
    fake.refuse = "Closed."
    said = run(fake, "3").stdout
    assert "None" not in said
    assert [line.split() for line in said.splitlines()][-2:] == [
        ["placing", "ms", "none"],
        ["delivery", "seconds", "none"],
    ]


def test_what_has_sold_out_meanwhile_is_said_and_fails_no_run(fake: FakeShop) -> None:
    fake.refuse = "Margherita is sold out."
    result = run(fake, "3", "--json")
    assert (result.exit_code, figures(result)["orders"], figures(result)["lost"]) == (0, 0, 0)
    assert "3 of 3 orders asked for what had sold out" in result.stderr


def test_baskets_leave_out_sizes_that_are_sold_out() -> None:
    half = {
        "id": "marinara",
        "sold_out": False,
        "prices": {"small": "8.00", "large": "9.00"},
        "sold_out_sizes": ["large"],
    }
    baskets = Baskets(MENU | {"pizzas": [half]}, 1)
    assert {line["size"] for _ in range(50) for line in baskets.next()["items"]} == {"small"}


@pytest.mark.alone
def test_a_shop_that_stops_answering_is_given_up_once_and_not_for_every_order(
    fake: FakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "PATIENCE", 0.3)
    fake.misbehave = [503] * 100_000
    started = time.monotonic()
    result = run(fake, "500", "--json")
    assert time.monotonic() - started < 5
    assert "500 of 500 orders were not acknowledged" in result.stderr


@pytest.mark.alone
def test_a_rate_spaces_arrivals_evenly(fake: FakeShop) -> None:
    run(fake, "20", "--rate", "40", "--json", "--no-wait")
    first_posts = fake.arrivals[:20]
    assert 0.4 < first_posts[-1] - first_posts[0] < 1.5


def test_where_nobody_answers_it_says_so_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_DOOR", 0.2)
    result = CliRunner().invoke(simulate.command, ["1", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 2
    assert result.stderr.startswith("http://127.0.0.1:1 does not answer")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", ["nonsense", "ftp://shop"])
def test_a_url_that_is_none_is_refused_in_a_sentence(url: str) -> None:
    result = CliRunner().invoke(simulate.command, ["1", "--url", url])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("9", "--day", "--rate", "5"), "--rate does not go with --day."),
        (("9", "--day", "--no-wait"), "--no-wait does not go with --day."),
        (("9", "--day", "--from", "2026-01-01"), "--from does not go with --day."),
        (("--day", "--history", "year.csv"), "--history does not go with --day."),
        (("9", "--day", "--speed", "max"), "A day has a clock"),
        (("9", "--speed", "60"), "--speed wants --history or --day."),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_a_sentence_and_nothing_is_ordered(
    fake: FakeShop, words: tuple[str, ...], problem: str
) -> None:
    result = run(fake, *words)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert result.stderr.startswith(problem)
    assert not fake.orders


@pytest.mark.parametrize(
    "words",
    [
        ("99999999999",),
        ("99999999999", "--day"),
        ("1000001",),
        ("0",),
        ("5", "--rate", "nan"),
        ("5", "--rate", "inf"),
        ("5", "--rate", "0"),
        ("--day", "--speed", "nan"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_and_nothing_is_ordered(fake: FakeShop, words: tuple[str, ...]) -> None:
    result = run(fake, *words)
    assert (result.exit_code, result.stdout, result.stderr.count("Error: Invalid value for")) == (2, "", 1)
    assert not fake.orders


def test_a_day_is_not_played_in_a_shop_with_another_database(fake: FakeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day, "placed_at", lambda _: None)
    result = run(fake, "9", "--day")
    assert (result.exit_code, result.stdout, len(fake.orders)) == (2, "", 1)
    assert f"{fake.url} takes orders for another database" in result.stderr


def test_a_day_has_600_orders_unless_told_otherwise(fake: FakeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def play(shop: object, number: int, *_: object, **__: object) -> bool:
        asked.append(number)
        return True

    monkeypatch.setattr(day, "play", play)
    assert run(fake, "--day").exit_code == 0
    assert run(fake, "9", "--day").exit_code == 0
    assert asked == [600, 9]


def test_a_day_wants_the_sandboxs_cards(fake: FakeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    stripe = Settings(payment="stripe", stripe_secret_key=SecretStr("sk"))
    monkeypatch.setattr(day, "settings", lambda: stripe)
    result = run(fake, "9", "--day")
    assert (result.exit_code, result.stdout, len(fake.orders)) == (2, "", 0)
    assert "PIZZERIA_PAYMENT=sandbox" in result.stderr


def test_a_log_gets_a_line_and_no_bar(fake: FakeShop) -> None:
    result = run(fake, "10")
    assert "Placed: 10 of 10" in result.stderr
    assert "Done: 10 of 10" in result.stderr
    assert "delivered" in result.stdout


def test_baskets_are_the_same_for_a_seed_and_only_of_what_can_be_ordered() -> None:
    one, same, other = (
        [baskets.next() for _ in range(200)] for baskets in (Baskets(MENU, 1), Baskets(MENU, 1), Baskets(MENU, 2))
    )
    assert one == same != other
    lines = [line for body in one for line in body["items"]]
    assert {line["pizza"] for line in lines} == {"margherita"}
    assert {line["size"] for line in lines} == {"small", "large"}
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(body["customer"]["phone"])) for body in one)
    deliveries = [body for body in one if body["fulfilment"] == "delivery"]
    assert 0.6 < len(deliveries) / len(one) < 0.9
    assert all("address" in body for body in deliveries)


def test_a_menu_without_anything_to_order_is_an_error() -> None:
    with pytest.raises(ValueError, match="Nothing on the menu"):
        Baskets({"pizzas": [], "toppings": []}, 0)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles([], 1) == {"p50": None, "p95": None, "p99": None}
    assert percentiles([7], 1) == {"p50": 7, "p95": 7, "p99": 7}
    assert percentiles(range(1, 201), 1) == {"p50": 100, "p95": 190, "p99": 198}


def test_the_delivery_rate_counts_from_the_first_placing_to_the_last_delivery_by_the_shops_clock() -> None:
    seen = [Seen("delivered", PLACED_AT + timedelta(seconds=n), PLACED_AT + timedelta(seconds=n + 5)) for n in range(6)]
    seen.append(Seen("cancelled", PLACED_AT, None))
    assert delivered_per_second(seen) == 0.6
    assert delivered_per_second([]) == 0.0
