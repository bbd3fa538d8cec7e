"""`pizzeria up` as a person meets it: real processes, real signals."""

import base64
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.conftest import Pizzeria, free_port, until

pytestmark = pytest.mark.acceptance

# How a pizzeria opens and closes does not depend on how many workers it has, and each takes a second to start.
FEW = [
    word
    for queue in ("accounts", "analytics", "delivery", "email", "inventory", "loyalty", "ordering", "oven", "pass")
    for word in ("--scale", f"{queue}=0")
]


def _status(url: str, login: str = "") -> int:
    request = urllib.request.Request(url)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def _open(pizzeria: Pizzeria, *words: str) -> "subprocess.Popen[str]":
    """Start `pizzeria up` and wait until it says that it is open; an early end fails at once."""
    said = pizzeria.output.count("Ctrl-C ends it")
    process = pizzeria.start("up", *FEW, *words)
    until(lambda: pizzeria.output.count("Ctrl-C ends it") > said or process.poll() is not None, 180, "opening")
    assert process.poll() is None, pizzeria.output
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process(pizzeria: Pizzeria, number: signal.Signals) -> None:
    process = _open(pizzeria)
    process.send_signal(number)
    assert process.wait(60) == 0
    assert pizzeria.processes() == {}
    assert "database system is shut down" in (pizzeria.home / "log" / "postgres.log").read_text()


def test_ctrl_c_while_it_is_opening_ends_every_process_too(pizzeria: Pizzeria) -> None:
    process = pizzeria.start("up")
    until(lambda: "accept" in pizzeria.output, 60, "the servers")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert pizzeria.processes() == {}


def test_a_kill_leaves_nothing_and_a_start_right_after_it_finds_its_ports_free(pizzeria: Pizzeria) -> None:
    up = _open(pizzeria)
    before = set(pizzeria.processes())
    up.kill()
    _open(pizzeria)
    until(lambda: not before & set(pizzeria.processes()), 30, "the end of everything that ran before")


def test_a_second_pizzeria_in_the_same_home_is_refused(pizzeria: Pizzeria) -> None:
    pizzeria.start("services")
    pizzeria.services()
    code, said = pizzeria.run("up")
    assert (code, said.count("\n")) == (2, 1)
    assert "already running" in said


@pytest.mark.parametrize(
    ("command", "variable"), [("up", "PIZZERIA_PORT"), ("up", "PIZZERIA_FLOWER_PORT"), ("web", "PIZZERIA_PORT")]
)
def test_a_taken_port_is_named_with_the_variable_that_changes_it(
    pizzeria: Pizzeria, command: str, variable: str
) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        pizzeria.env[variable] = str(port)
        code, said = pizzeria.run(command)
    assert (code, said) == (2, f"Port {port} is taken: set {variable} to another one.\n")
    assert pizzeria.processes() == {}


def test_one_port_for_both_is_refused(pizzeria: Pizzeria) -> None:
    pizzeria.env["PIZZERIA_FLOWER_PORT"] = pizzeria.env["PIZZERIA_PORT"]
    code, said = pizzeria.run("up")
    assert code == 2
    assert "give them different ports" in said


@pytest.mark.parametrize("command", ["up", "web"])
@pytest.mark.parametrize("host", ["a" * 70, "xn--..bad", "nowhere.example"])
def test_a_host_that_is_none_is_named(pizzeria: Pizzeria, command: str, host: str) -> None:
    pizzeria.env["PIZZERIA_HOST"] = host
    code, said = pizzeria.run(command)
    assert (code, said.count("\n")) == (2, 1), said
    assert f"PIZZERIA_HOST: {host} is no address of this machine." in said


@pytest.mark.parametrize("scale", ["sms", "sms=many", "sms=-1", "=3", "sms=1000", "carrier-pigeon=1", "flower=2"])
def test_a_scale_that_makes_no_sense_ends_it(pizzeria: Pizzeria, scale: str) -> None:
    code, said = pizzeria.run("up", "--scale", scale)
    assert code == 2
    assert scale.partition("=")[0] in said
    assert pizzeria.processes() == {}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pizzeria]:
    """A pizzeria that is open, with two workers for one queue and none for another."""
    ports = {"PIZZERIA_PORT": str(free_port()), "PIZZERIA_FLOWER_PORT": str(free_port())}
    it = Pizzeria(tmp_path_factory.mktemp("opened") / "home", ports)
    try:
        _open(it, "--scale", "sms=2")
        yield it
    finally:
        it.end()


def test_it_says_where_everything_is_and_each_process_is_what_it_says(opened: Pizzeria) -> None:
    shop = f"http://127.0.0.1:{opened.env['PIZZERIA_PORT']}"
    flower = f"http://127.0.0.1:{opened.env['PIZZERIA_FLOWER_PORT']}"
    password = (opened.home / "flower_password").read_text()
    assert shop in opened.output
    assert flower in opened.output
    assert password in opened.output
    assert _status(f"{shop}/healthz") == _status(f"{shop}/readyz") == 200
    assert _status(flower) == 401
    assert _status(flower, f"staff:{password}") == 200
    for words in ("pizzeria web", "pizzeria relay", "pizzeria worker kitchen", "pizzeria flower"):
        assert opened.pids(words), words
    assert (opened.home / "log" / "worker-sms-2.log").exists()
    assert not (opened.home / "log" / "worker-email.log").exists()
    assert not (opened.home / "log" / "worker-kafka.log").exists(), "nobody works for a target that is not set"
    assert not any(password in line for line in opened.processes().values())


def test_whatever_is_killed_is_back_and_works(opened: Pizzeria) -> None:
    shops = ("pizzeria web", "pizzeria relay", "pizzeria worker kitchen", "pizzeria flower")
    opened.kill(*shops, "bin/postgres", "redis-server")
    shop = f"http://127.0.0.1:{opened.env['PIZZERIA_PORT']}"
    until(lambda: _status(f"{shop}/readyz") == 200, 60, "readiness")


def test_two_pizzerias_run_side_by_side(opened: Pizzeria, pizzeria: Pizzeria) -> None:
    _open(pizzeria, "--scale", "flower=0")
    for one in (opened, pizzeria):
        assert _status(f"http://127.0.0.1:{one.env['PIZZERIA_PORT']}/readyz") == 200
    assert pizzeria.services() != opened.services()
    assert not pizzeria.pids("pizzeria flower")
    assert "Flower" not in pizzeria.output
