"""What is typed behind `pizzeria`: words that no command needs to look at, because none could do anything with them."""

import click
import pytest
from click.testing import CliRunner
from gunicorn.util import parse_address
from psycopg import errors
from sqlalchemy.exc import OperationalError

from domain.settings import Settings
from tasks.cli import CannotRun, main
from tasks.cli.programs import address
from tasks.cli.up import scaled
from tasks.cli.web import Server

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("word", ["\udcff", "caf\udce9", "", "  "])
@pytest.mark.parametrize(
    "words",
    [
        ("sources", "remove", "{}"),
        ("stock", "count", "{}", "5"),
        ("stock", "count", "basil", "{}"),
        ("menu", "86", "{}"),
        ("messages", "show", "{}"),
        ("webhooks", "remove", "{}"),
        ("events", "--type", "{}"),
        ("{}",),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence_by_every_command(words: tuple[str, ...], word: str) -> None:
    said = CliRunner().invoke(main, [each.format(word) for each in words])
    place = words.index("{}") + 1
    what = "is no text in UTF-8: type it anew" if word.strip() else "is empty: say what is meant, or leave it out"
    assert (said.exit_code, said.stdout, said.stderr) == (2, "", f"Argument {place} {what}.\n")


@pytest.mark.parametrize(
    ("host", "bound", "url"),
    [
        ("127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("0.0.0.0", "0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("::1", "[::1]:8000", "http://[::1]:8000"),
        ("::", "[::]:8000", "http://[::1]:8000"),
    ],
)
def test_a_host_may_be_an_ipv6_address(host: str, bound: str, url: str) -> None:
    assert Server(Settings(host=host)).cfg.address == [parse_address(bound)]
    assert address(host, 8000) == url


@pytest.mark.parametrize("number", ["", "-1", "many", "1000", "٣", "²", "1.5"])
def test_a_scale_is_a_number_in_plain_digits(number: str) -> None:
    assert scaled(["sms=3"]) == {"sms": 3}
    with pytest.raises(CannotRun, match=f"^--scale sms={number}: write a queue"):
        scaled([f"sms={number}"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.LockNotAvailable(), "Somebody else was changing the same"),
        (errors.DeadlockDetected(), "Somebody else was changing the same"),
        (errors.AdminShutdown(), "The database does not answer"),
        (errors.OperationalError(), "The database does not answer"),
    ],
)
def test_who_was_in_the_way_of_another_does_not_read_that_the_database_is_away(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def command() -> None:
        raise OperationalError("UPDATE …", {}, error)

    monkeypatch.setattr("tasks.cli.stock.command", command)
    result = CliRunner().invoke(main, ["stock"])
    assert (result.exit_code, result.stderr[: len(said)]) == (2, said)


@pytest.mark.parametrize("number", ["x", "1_0", "٣", "1.5", "9" * 5000])
@pytest.mark.parametrize(
    "words",
    [
        ("dead", "show", "{}", "sms"),
        ("messages", "list", "--limit", "{}"),
        ("drivers", "off", "{}"),
        ("customers", "transfer", "a", "b", "{}"),
        ("simulate", "5", "--seed", "{}"),
    ],
)
def test_a_whole_number_is_one_in_plain_digits(words: tuple[str, ...], number: str) -> None:
    said = CliRunner().invoke(main, [each.format(number) for each in words])
    assert (said.exit_code, said.stdout) == (2, "")
    assert said.stderr.splitlines()[-1].endswith(": say a whole number such as 20.")
