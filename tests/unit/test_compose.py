import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from domain.settings import PREFIX, Settings
from tasks.cli import COMMANDS, CannotRun, generate, main
from tasks.cli.worker import READY_FILE
from tasks.registry import registry
from tasks.workflow import QUEUES

pytestmark = pytest.mark.unit

ROOT = generate.ROOT
Services = dict[str, dict[str, Any]]

# What the Compose specification allows in a service, as far as we use it: a misspelt key must not go unseen.
SERVICE_KEYS = {
    *("build", "cap_drop", "command", "depends_on", "deploy", "environment", "healthcheck", "image", "init", "logging"),
    *(
        "networks",
        "ports",
        "profiles",
        "read_only",
        "restart",
        "secrets",
        "security_opt",
        "shm_size",
        "stop_grace_period",
        "tmpfs",
    ),
    *("user", "volumes"),
}
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "start_period", "start_interval"}
SERVERS = {"postgres", "redis"}
OURS = {"migrate", "web", "relay", "flower"}
WORKER = ["pizzeria", "worker"]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(document: dict[str, Any]) -> Services:
    found: Services = document["services"]
    return found


def queues() -> set[str]:
    return {*registry().handlers, *QUEUES}


def test_what_is_generated_is_up_to_date() -> None:
    result = CliRunner().invoke(main, ["generate", "--check"])
    assert result.exit_code == 0, result.output


def test_a_stale_file_is_found_and_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / generate.CONTRACTS, tmp_path / generate.CONTRACTS)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    checked = CliRunner().invoke(main, ["generate", "--check"])
    assert (checked.exit_code, checked.output) == (1, "docker-compose.yml is stale: run `make generate`.\n")
    assert CliRunner().invoke(main, ["generate"]).exit_code == 0
    assert CliRunner().invoke(main, ["generate", "--check"]).exit_code == 0
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    assert CliRunner().invoke(main, ["generate", "--check"]).exit_code == 1


def test_a_new_handler_file_makes_the_compose_file_stale_and_gets_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = registry().handlers["inventory"]
    monkeypatch.setitem(registry().handlers, "confetti", handler)
    assert generate.stale(ROOT) == ["docker-compose.yml"]
    made = yaml.safe_load(generate.generated()["docker-compose.yml"])["services"]
    assert made["confetti"]["command"] == ["pizzeria", "worker", "confetti"]


def test_a_handler_cannot_take_the_name_of_another_service() -> None:
    with pytest.raises(CannotRun, match=r"^postgres, web: another service"):
        generate.compose(generate.TEMPLATE.read_text(), ["postgres", "sms", "web"], [])


def test_outside_a_checkout_there_is_nothing_to_generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    result = CliRunner().invoke(main, ["generate"])
    assert result.exit_code == 2
    assert "checkout" in result.output


def test_every_queue_has_exactly_one_service_of_its_name(services: Services) -> None:
    assert set(services) == queues() | SERVERS | OURS
    worked = [service["command"][2:] for service in services.values() if service.get("command", [])[:2] == WORKER]
    assert sorted(worked) == sorted([queue] for queue in queues())


def test_every_command_of_ours_is_one_that_the_command_line_knows(services: Services) -> None:
    for name in services.keys() - SERVERS:
        program, command, *arguments = services[name]["command"]
        assert program == "pizzeria"
        assert command in COMMANDS
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0
        assert set(arguments) <= queues()


def test_every_variable_of_ours_is_a_setting(document: dict[str, Any], services: Services) -> None:
    fields = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known = fields | {f"{field}_FILE" for field in fields}
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(rf"{PREFIX}\w+", text)) <= known
    for name in services.keys() - SERVERS:
        own = {"PIZZERIA_FLOWER_HOST": "0.0.0.0"} if name == "flower" else {}
        assert services[name]["environment"] == document["x-environment"] | own
    assert READY_FILE in document["x-environment"]


def test_every_setting_can_be_given_unless_compose_decides_it(document: dict[str, Any]) -> None:
    environment = document["x-environment"]
    for name in Settings.model_fields.keys() - generate.FIXED:
        variable = f"{PREFIX}{name.upper()}"
        assert environment[variable] == f"${{{variable}:-}}"
    mine = [f"{PREFIX}{name}_FILE" for name in ("EVENTS_KAFKA_CA", "EVENTS_AMQP_URL", "EVENTS_SNS_KEY", "SMTP_URL")]
    assert [environment[variable] for variable in mine] == [f"${{{variable}:-}}" for variable in mine]


def test_secrets_are_files_and_no_password_is_written_down(document: dict[str, Any], services: Services) -> None:
    declared = document["secrets"]
    assert declared == {name: {"file": f"./secrets/{name}"} for name in declared}
    wanted = {secret for service in services.values() for secret in service.get("secrets", [])}
    assert wanted == set(declared)
    for service in services.values():
        for variable, value in service["environment"].items() if "environment" in service else ():
            if variable.endswith("_FILE") and variable != READY_FILE and value != f"${{{variable}:-}}":
                assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_every_process_of_ours_may_read_the_secrets_that_are_put_beside(services: Services) -> None:
    for name in services.keys() - SERVERS:
        assert services[name]["volumes"] == ["./secrets/more:/run/more:ro"], name


def test_make_secrets_makes_every_secret_for_its_owner_alone(document: dict[str, Any], tmp_path: Path) -> None:
    make = ["make", f"--makefile={ROOT / 'Makefile'}", f"--directory={tmp_path}", "secrets"]
    assert subprocess.run(make, capture_output=True).returncode == 0
    folder = tmp_path / "secrets"
    assert {path.name for path in folder.iterdir()} == {*document["secrets"], "more", ".gitignore"}
    assert stat.S_IMODE((folder / "more").stat().st_mode) == 0o755, "the user in the containers reads what is put there"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    password = (folder / "redis_password").read_text()
    assert len(password) == 48
    assert (folder / "broker_url").read_text() == f"redis://:{password}@redis:6379/0"
    assert subprocess.run(make, capture_output=True).returncode == 2, "it must not replace passwords in use"
    assert (folder / "redis_password").read_text() == password


def test_only_shop_and_flower_are_published_and_only_to_this_machine(services: Services) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {
        "web": ["127.0.0.1:${PIZZERIA_PORT:-8000}:8000"],
        "flower": ["127.0.0.1:${PIZZERIA_FLOWER_PORT:-5555}:5555"],
    }


def test_servers_are_on_the_inner_network_only_and_only_those_who_need_it_have_a_way_out(
    document: dict[str, Any], services: Services
) -> None:
    assert document["networks"]["inner"] == {"internal": True}
    out = {name for name, service in services.items() if service["networks"] != ["inner"]}
    assert out == {"web", "flower"} | {name for name, handler in registry().handlers.items() if handler.outside}
    assert not out & SERVERS


def test_what_only_some_settings_use_starts_with_its_profile_alone(services: Services) -> None:
    optional = {name for name, handler in registry().handlers.items() if handler.set_up}
    assert {name: service["profiles"] for name, service in services.items() if "profiles" in service} == {
        name: [name] for name in optional
    }
    assert optional == {"exchange", "kafka", "sns", "stream"}


def test_every_container_is_confined(services: Services) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name
        assert service["stop_grace_period"] in {"30s", "60s"}, name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["user"] == name if name in SERVERS else "user" not in service, name
        assert not {"container_name", "privileged", "network_mode"} & service.keys(), name


def test_the_image_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    assert lines.index("USER 10001") > max(n for n, line in enumerate(lines) if line.startswith("RUN "))


def test_everything_that_stays_up_is_restarted_and_looked_after(services: Services) -> None:
    for name, service in services.items():
        if name == "migrate":
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"].keys() == HEALTHCHECK_KEYS, name


def test_nothing_of_ours_starts_before_the_database_is_migrated(services: Services) -> None:
    migrated = {"condition": "service_completed_successfully"}
    for name in services.keys() - SERVERS - {"migrate"}:
        assert services[name]["depends_on"]["migrate"] == migrated, name
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert "redis" not in services["web"]["depends_on"]


def test_no_key_is_misspelt(document: dict[str, Any], services: Services) -> None:
    top = {"name", "services", "networks", "volumes", "secrets"}
    assert {key for key in document if not key.startswith("x-")} == top
    for name, service in services.items():
        assert service.keys() <= SERVICE_KEYS, name
        assert service.keys() & {"image", "build"}, name


def test_what_a_container_asks_of_itself_is_valid_python(services: Services) -> None:
    asked = [
        test[3] for s in services.values() if (test := s.get("healthcheck", {}).get("test", []))[1:2] == ["python"]
    ]
    assert len(asked) == 3
    for program in asked:
        compile(program, "healthcheck", "exec")
