import os
import signal
import socket
import stat
from pathlib import Path

import psycopg
import pytest
import redis

from tests.conftest import Pizzeria, free_port, until

pytestmark = pytest.mark.integration


def _select_one(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as session:
            return session.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _ping(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def test_the_database_is_postgresql_18_and_keeps_what_it_promised(database_url: str) -> None:
    with psycopg.connect(database_url) as session:
        row = session.execute(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),"
            " current_setting('fsync'), current_setting('synchronous_commit'), current_setting('listen_addresses')"
        ).fetchone()
    assert row == (18, "UTF8", "on", "on", "")


def test_what_an_error_quotes_is_not_in_the_databases_log(pizzeria: Pizzeria) -> None:
    pizzeria.start("services")
    with psycopg.connect(pizzeria.services()["database_url"], autocommit=True) as session:
        session.execute("CREATE TABLE customers (phone text PRIMARY KEY)")
        session.execute("INSERT INTO customers VALUES ('+12125550199')")
        with pytest.raises(psycopg.errors.UniqueViolation, match="5550199"):
            session.execute("INSERT INTO customers VALUES (%s)", ("+12125550199",))
    log = pizzeria.home / "log" / "postgres.log"
    until(lambda: "customers_pkey" in log.read_text(), what="the error in the log")
    assert "5550199" not in log.read_text()


def test_redis_wants_its_password_and_never_evicts(broker_url: str) -> None:
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        port = client.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_only_we_can_reach_what_is_in_home(pizzeria: Pizzeria) -> None:
    pizzeria.start("services")
    pizzeria.services()

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(pizzeria.home) == 0o700
    assert mode(pizzeria.home / "run") == 0o700
    assert mode(pizzeria.home / "services.json") == 0o600
    assert mode(pizzeria.home / "redis" / "redis.conf") == 0o600
    password = (pizzeria.home / "redis" / "password").read_text()
    assert not any(password in line for line in pizzeria.processes().values())


def test_a_server_that_is_killed_is_started_again_at_its_old_address(pizzeria: Pizzeria) -> None:
    pizzeria.start("services")
    urls = pizzeria.services()
    for words in ("bin/postgres", "redis-server"):
        os.kill(pizzeria.pids(words)[0], signal.SIGKILL)
    until(lambda: "postgres died" in pizzeria.output and "redis died" in pizzeria.output)
    until(lambda: _select_one(urls["database_url"]) and _ping(urls["broker_url"]), what="both servers")
    assert pizzeria.services() == urls


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_both_servers_and_nothing_is_left(pizzeria: Pizzeria, number: signal.Signals) -> None:
    process = pizzeria.start("services")
    pizzeria.services()
    process.send_signal(number)
    assert process.wait(30) == 0
    assert pizzeria.processes() == {}
    assert not (pizzeria.home / "services.json").exists()
    assert "database system is shut down" in (pizzeria.home / "log" / "postgres.log").read_text()


def test_after_a_kill_the_servers_end_too_and_the_next_start_finds_the_data(pizzeria: Pizzeria) -> None:
    process = pizzeria.start("services")
    urls = pizzeria.services()
    with psycopg.connect(urls["database_url"]) as session:
        session.execute("CREATE TABLE kept (it int)")
    process.kill()
    process.wait(5)
    until(lambda: pizzeria.processes() == {}, 20, "the end of the servers")
    pizzeria.start("services")
    until(lambda: pizzeria.output.count("The servers accept") == 2, 30, "the second start")
    assert pizzeria.services() == urls
    with psycopg.connect(urls["database_url"]) as session:
        session.execute("SELECT * FROM kept")


def test_what_a_dead_server_left_does_not_keep_the_next_from_starting(pizzeria: Pizzeria) -> None:
    process = pizzeria.start("services")
    pizzeria.services()
    leftover = (pizzeria.home / "postgres" / "postmaster.pid").read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    # The dead server's process id has become another process's, as it does after a reboot.
    lines = [str(os.getpid()), *leftover.splitlines()[1:]]
    (pizzeria.home / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    (pizzeria.home / "run" / ".s.PGSQL.5432.lock").write_text("\n".join(lines) + "\n")
    pizzeria.start("services")
    until(lambda: pizzeria.output.count("The servers accept") == 2, 30, "the second start")


def test_folders_whose_paths_are_too_long_for_a_socket_do_not_keep_it_from_starting(
    pizzeria: Pizzeria, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    pizzeria.home = deep / "home"
    pizzeria.env["TMPDIR"] = str(deep)
    pizzeria.start("services")
    assert _select_one(pizzeria.services()["database_url"])


def test_an_interrupted_first_start_is_begun_anew(pizzeria: Pizzeria) -> None:
    (pizzeria.home / "postgres.new" / "base").mkdir(parents=True)
    (pizzeria.home / "postgres.new" / "PG_VERSION").write_text("18\n")
    pizzeria.start("services")
    assert _select_one(pizzeria.services()["database_url"])


def test_a_second_start_on_the_same_home_is_refused(pizzeria: Pizzeria) -> None:
    pizzeria.start("services")
    pizzeria.services()
    code, said = pizzeria.run("services")
    assert code == 2
    assert "already running" in said
    assert said.count("\n") == 1


def test_a_port_that_was_taken_meanwhile_is_replaced(pizzeria: Pizzeria) -> None:
    (pizzeria.home / "redis").mkdir(parents=True)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        taken = str(squatter.getsockname()[1])
        (pizzeria.home / "redis" / "port").write_text(taken)
        pizzeria.start("services")
        assert taken not in pizzeria.services()["broker_url"]


def test_a_home_with_a_long_odd_name_works(tmp_path: Path) -> None:
    long = Pizzeria(tmp_path / ("pizza, pasta & più " + "x" * 90) / "home")
    long.home.parent.mkdir()
    try:
        long.start("services")
        urls = long.services()
        assert _select_one(urls["database_url"])
        assert _ping(urls["broker_url"])
    finally:
        long.end()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PIZZERIA_DATABASE_URL", "postgresql://mario:mozzarella@127.0.0.1:1/pizzeria"),
        ("PIZZERIA_DATABASE_URL", "mysql://mario:mozzarella@localhost/pizzeria"),
        ("PIZZERIA_DATABASE_URL", "mozzarella"),
        ("PIZZERIA_BROKER_URL", "redis://:mozzarella@127.0.0.1:1/0"),
        ("PIZZERIA_BROKER_URL", "redis://:mozzarella@127.0.0.1:port/0"),
        ("PIZZERIA_BROKER_URL", "carrier-pigeon://mozzarella@roof"),
    ],
)
def test_a_url_that_leads_nowhere_is_said_without_its_password(pizzeria: Pizzeria, variable: str, value: str) -> None:
    pizzeria.env[variable] = value
    code, said = pizzeria.run("services", seconds=30)
    assert code == 2
    assert variable in said
    assert "mozzarella" not in said
    assert said.count("\n") == 1


def test_a_configured_database_is_used_and_none_of_ours_is_started(pizzeria: Pizzeria, database_url: str) -> None:
    pizzeria.env["PIZZERIA_DATABASE_URL"] = database_url
    pizzeria.start("services")
    assert pizzeria.services()["database_url"] == database_url
    assert not (pizzeria.home / "postgres").exists()
    assert not pizzeria.pids("bin/postgres")


def test_with_both_configured_there_is_nothing_to_start(pizzeria: Pizzeria, database_url: str, broker_url: str) -> None:
    pizzeria.env |= {"PIZZERIA_DATABASE_URL": database_url, "PIZZERIA_BROKER_URL": broker_url}
    code, said = pizzeria.run("services")
    assert code == 2
    assert "Nothing to start" in said


def test_a_home_that_cannot_be_made_is_said_in_one_sentence(pizzeria: Pizzeria) -> None:
    pizzeria.home.write_text("a file is here already")
    code, said = pizzeria.run("services")
    assert code == 2
    assert str(pizzeria.home) in said
    assert said.count("\n") == 1


def test_a_wrong_setting_ends_any_command_with_one_sentence(pizzeria: Pizzeria) -> None:
    pizzeria.env["PIZZERIA_PORT"] = str(free_port()) + "x"
    code, said = pizzeria.run("services")
    assert code == 2
    assert said.startswith("Wrong setting: PIZZERIA_PORT")
    assert said.count("\n") == 1
