"""The web's server as the settings have it."""

import pytest

from domain.settings import Settings
from tasks.cli import CannotRun, ports, web
from tasks.cli.embedded import free_port
from tasks.cli.web import Server

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("bus", "processes"), [("celery", 3), ("memory", 1)])
def test_a_shop_in_one_process_has_one_whatever_was_asked_for(bus: str, processes: int) -> None:
    assert Server(Settings.model_validate({"bus": bus, "web_workers": 3})).cfg.workers == processes


def test_each_process_listens_by_itself_unless_a_socket_is_handed_to_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    assert Server(Settings()).cfg.reuse_port
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert not Server(Settings()).cfg.reuse_port


def test_while_the_web_runs_its_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    ran = []

    def run(_: Server) -> None:
        with pytest.raises(CannotRun, match=f"Port {port} is taken"):
            ports.check("PIZZERIA", "127.0.0.1", port)
        ran.append(port)

    monkeypatch.setattr(Server, "run", run)
    monkeypatch.setattr(web, "settings", lambda: Settings.model_validate({"host": "127.0.0.1", "port": port}))
    monkeypatch.setattr(web.logs, "configure", lambda _: None)
    web.command.callback()  # type: ignore[misc]
    assert ran == [port]
