"""The commands as a person or a script meets them: help, exit codes, and one clear sentence when something is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from tasks.cli import COMMANDS, main
from tasks.cli.gateway import MODES
from tests.acceptance.conftest import Said, Shop
from tests.conftest import until

pytestmark = pytest.mark.acceptance

NEED_A_DATABASE = (
    ["check"],
    ["events"],
    ["journey", "abcdef"],
    ["dead", "list"],
    ["migrate"],
    ["menu", "export"],
    ["gateway"],
    ["replay", "analytics"],
    ["customers", "list"],
    ["report"],
)
NEED_A_BROKER = (["relay"], ["worker"], ["flower"])
ADVICE = "run `pizzeria services` (or `make run`) first"


@pytest.fixture(scope="module")
def closed(new_shop: Callable[..., Shop]) -> Shop:
    """A pizzeria that nobody has started."""
    return new_shop()


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop]) -> Shop:
    """The servers and web alone."""
    shop = new_shop()
    shop.serve()
    return shop


def sentence(said: Said) -> str:
    """Give the one line with which a command refused to run."""
    assert (said.code, said.out) == (2, ""), said
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    return said.err.strip()


def with_setting(closed: Shop, name: str, value: str) -> Shop:
    return Shop(closed.home, {**closed.env, f"PIZZERIA_{name}": value}, http=closed.http)


def test_every_command_explains_itself(closed: Shop) -> None:
    listed = closed.ask("--help")
    assert listed.code == 0
    names = [name for name in COMMANDS if f"\n  {name} " in listed.out]
    assert {"up", "services", "migrate", "web", "relay", "worker", "flower", "simulate", "check", "routes"} <= {*names}
    for name in names:  # in this process: what starts one is the same for all
        said = CliRunner().invoke(main, [name, "--help"], catch_exceptions=False)
        assert (said.exit_code, said.stderr) == (0, "")
        assert said.stdout.startswith("Usage: "), said.stdout
        assert len(said.stdout.splitlines()) > 3, f"{name} says nothing about itself"


def test_the_help_names_every_gateway() -> None:
    assert COMMANDS["gateway"].endswith(f": {', '.join(MODES)}.")


@pytest.mark.parametrize("words", NEED_A_DATABASE, ids=lambda words: words[0])
def test_without_a_database_a_command_says_what_to_start(closed: Shop, words: list[str]) -> None:
    said = sentence(closed.ask(*words))
    assert said.startswith("No database is known:") and ADVICE in said and "PIZZERIA_DATABASE_URL" in said


@pytest.mark.parametrize("words", NEED_A_BROKER, ids=lambda words: words[0])
def test_without_a_broker_a_command_says_what_to_start(closed: Shop, words: list[str]) -> None:
    assert ADVICE in sentence(closed.ask(*words))


def test_without_a_shop_a_simulation_says_what_to_start(closed: Shop) -> None:
    said = sentence(closed.ask("simulate", "1"))
    assert closed.url in said and "`pizzeria up`" in said and "--url" in said


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("DATABASE_URL", "nonsense", "postgresql://"),
        ("DATABASE_URL", "mysql://me:secret@127.0.0.1/pizzeria", "postgresql://"),
        ("DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/pizzeria", "127.0.0.1:1"),
        ("BROKER_URL", "nonsense", "redis://"),
        ("BROKER_URL", "redis://:secret@127.0.0.1:1/0", "127.0.0.1:1"),
        ("RESULTS_URL", "nonsense", "redis://"),
        ("RESULTS_URL", "redis://:secret@127.0.0.1:1/0", "127.0.0.1:1"),
    ],
)
def test_a_broken_url_is_named_without_its_password(closed: Shop, name: str, value: str, example: str) -> None:
    said = sentence(with_setting(closed, name, value).ask("up"))
    assert f"PIZZERIA_{name}: " in said and example in said
    assert "secret" not in said


@pytest.mark.parametrize("words", [["web"], ["migrate"], ["relay"], ["worker"], ["flower"]], ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "postgresql://h:xx/y"), ("BROKER_URL", "redis://127.0.0.1:xx/0"), ("RESULTS_URL", "nonsense")],
)
def test_a_url_that_is_none_is_a_wrong_setting_whatever_is_run(
    closed: Shop, words: list[str], name: str, value: str
) -> None:
    said = sentence(with_setting(closed, name, value).ask(*words))
    assert said.startswith(f"Wrong setting: PIZZERIA_{name}: write ")


@pytest.mark.parametrize("words", [["check"], ["migrate"], ["events"]], ids=lambda words: words[0])
def test_a_database_that_does_not_answer_is_a_sentence_too(closed: Shop, words: list[str]) -> None:
    away = with_setting(closed, "DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/pizzeria")
    said = sentence(away.ask(*words))
    assert "database" in said and "PIZZERIA_DATABASE_URL" in said and "secret" not in said


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("BAKE_SECONDS", "soon", "number"),
        ("OVEN_CAPACITY", "0", "greater than or equal to 1"),
        ("PORT", "99999", "65535"),
        ("KITCHEN", "robots", "only auto can be chosen"),
        ("TIMEZONE", "Mars/Olympus", "Europe/Rome"),
        ("CURRENCY", "LIRE", "USD"),
        ("DATABASE_URL_FILE", "/nowhere/at/all", "cannot read /nowhere/at/all"),
        ("DATABASE_URL_FILE", sys.executable, "it is no text"),
        ("SMTP_URL", "smtp://mail.example:often", "host and port"),
        ("SMTP_URL", "smtp://:25", "host and port"),
        ("MAIL_FROM", "nonsense", "orders@marios.example"),
        ("MAIL_FROM", "a@b.example\nBcc: c@d.example", "orders@marios.example"),
        ("RETRY_SMS", "often", "times=3"),
        ("RETRY_SMS", "times=1.5", "whole number"),
        ("RETRY_SMS", "times=٣", "times=3"),
        ("RETRY_PIGEON", "times=3", "SMS"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_should_be(closed: Shop, name: str, value: str, wanted: str) -> None:
    said = sentence(with_setting(closed, name, value).ask("routes" if name.startswith("RETRY") else "check"))
    assert f"PIZZERIA_{name}" in said and wanted in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["bake"], "bake"),
        (["check", "--fast"], "--fast"),
        (["check", "--wait", "nan"], "--wait"),
        (["simulate"], "N"),
        (["simulate", "0"], "0"),
        (["simulate", "5", "--rate", "0"], "rate"),
        (["worker", "--concurrency", "0"], "concurrency"),
    ],
)
def test_words_that_make_no_sense_are_exit_code_2(closed: Shop, words: list[str], named: str) -> None:
    said = closed.ask(*words)
    assert (said.code, said.out) == (2, "")
    assert named in said.err and "Traceback" not in said.err


def test_routes_prints_json_alone_and_needs_no_server(closed: Shop) -> None:
    said = closed.ask("routes", "--json")
    routes = json.loads(said.out)
    assert (said.code, said.err) == (0, "")
    assert {"kitchen", "inventory", "sms", "email", "analytics"} <= {*routes["OrderPlaced"]["handlers"]}
    assert all(route["handlers"] == route["queues"] and route["version"] >= 1 for route in routes.values())


def test_an_unknown_queue_is_named_with_those_there_are(shop: Shop) -> None:
    said = sentence(shop.ask("worker", "carrier-pigeon"))
    assert "carrier-pigeon" in said and "kitchen" in said


def test_an_order_that_there_is_not_is_exit_code_1(shop: Shop) -> None:
    said = shop.ask("journey", "abcdef")
    assert (said.code, said.out) == (1, "")
    assert said.err.count("\n") == 1 and "Traceback" not in said.err


def test_an_unknown_gateway_or_mode_is_named_with_those_there_are(shop: Shop) -> None:
    assert "sms, email, oven" in sentence(shop.ask("gateway", "pigeon", "faulty"))
    assert "faulty:permanent" in sentence(shop.ask("gateway", "sms", "loud"))


def test_an_empty_shop_has_nothing_wrong_recorded_or_parked(shop: Shop) -> None:
    checked = shop.ask("check", "--json")
    assert (checked.code, json.loads(checked.out)["ok"]) == (0, True)
    assert json.loads(shop.ask("events", "--json").out) == []
    assert json.loads(shop.ask("dead", "list", "--json").out) == []


def test_an_order_is_shown_by_its_id_or_its_code(shop: Shop) -> None:
    order = shop.place()
    for words in (order, order[8:14]):
        journey = json.loads(shop.ask("journey", words, "--json").out)
        assert journey["order_id"] == order
        assert [event["type"] for event in journey["events"]] == ["OrderPlaced"]


def test_the_ecosystems_own_commands_work_too(shop: Shop) -> None:
    order = shop.place()
    shop.start("relay")
    env = {**os.environ, **shop.env, "PIZZERIA_HOME": str(shop.home)}
    routes = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "web", "routes"], env=env, capture_output=True, text=True, timeout=60
    )
    assert (routes.returncode, "/api/orders" in routes.stdout) == (0, True), routes.stderr
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-Q", "sms", "--concurrency", "1"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: [d.state for d in shop.deliveries("sms", order)] == ["done"], 30, "the text message")
        assert [d.state for d in shop.deliveries("kitchen", order)] == ["pending"]
    finally:
        worker.terminate()
        worker.wait(60)
