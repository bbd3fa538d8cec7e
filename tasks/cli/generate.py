"""`pizzeria generate`: writes what follows from handlers, settings and events, so that nobody keeps it by hand."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import click
from pydantic import SecretStr

from domain import integration
from domain.events import catalogue
from domain.kernel import contract
from domain.settings import PREFIX, Settings
from tasks.cli import CannotRun

ROOT = Path(__file__).parents[2]
TEMPLATE = Path(__file__).with_name("docker-compose.in.yml")
COMPOSE = "docker-compose.yml"
CONTRACTS = "domain/contracts"

HEADER = f"# Written by `make generate` from the handlers and from tasks/cli/{TEMPLATE.name}: change those.\n\n"

# What compose itself decides: where things are, and what is secret.
FIXED = frozenset(
    {"home", "host", "port", "flower_host", "flower_port", "database_url", "broker_url", "results_url", "bus"}
    | {"staff_password", "flower_password", "secret_key"}
)
FILES = frozenset(
    {
        name
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    | {"events_kafka_ca"}
)
"""The settings that are better given as files: what is in the environment is there for `docker inspect` to show."""
_MARK = "#: {}\n"
_SERVICE = re.compile(r"^  ([\w-]+):", re.MULTILINE)


def compose(template: str, queues: Sequence[str], outside: Iterable[str], optional: Iterable[str] = ()) -> str:
    """Write docker-compose.yml from its template: a service for each queue, and each setting that may be changed.

    ``outside`` are the queues whose handlers call the outside world; ``optional`` those that some settings use, whose
    service starts if its profile is named. Raises CannotRun if a queue bears the name of another service.
    """
    taken = set(_SERVICE.findall(template.partition("\nservices:")[2].partition("\nnetworks:")[0]))
    if clash := sorted(taken & set(queues)):
        raise CannotRun(f"{', '.join(clash)}: another service of docker-compose.yml has this name; rename the handler.")
    names = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields if name not in FIXED]
    names += [f"{PREFIX}{name.upper()}_FILE" for name in Settings.model_fields if name in FILES - FIXED]
    settings = "".join(f"  {name}: ${{{name}:-}}\n" for name in names)
    services = "\n".join(
        _worker(queue, calls_out=queue in set(outside), optional=queue in set(optional)) for queue in queues
    )
    filled = template.replace(f"  {_MARK.format('settings')}", settings)
    return HEADER + filled.replace(f"  {_MARK.format('queues')}", services)


def _worker(queue: str, *, calls_out: bool, optional: bool) -> str:
    lines = [f"  {queue}:", "    <<: *worker", f"    command: [pizzeria, worker, {queue}]"]
    if calls_out:
        lines.append("    networks: [inner, outer]")
    if optional:
        lines.append(f"    profiles: [{queue}]")
    return "\n".join(lines) + "\n"


def generated() -> dict[str, str]:
    """Give every generated file by its path below the project's folder."""
    from tasks.registry import registry
    from tasks.workflow import QUEUES  # not tasks.celery's: that one asks where the broker is

    handlers = registry().handlers
    queues = sorted({*handlers, *QUEUES})
    outside = {name for name, handler in handlers.items() if handler.outside}
    optional = {name for name, handler in handlers.items() if handler.set_up}
    return {COMPOSE: compose(TEMPLATE.read_text(), queues, outside, optional), **contracts()}


def contracts() -> dict[str, str]:
    """Give the contract of every event's present version, and of what leaves the house, by its path in the project."""
    return {
        f"{CONTRACTS}/{contract.file_name(name, kind.version)}": contract.document(kind)
        for name, kind in sorted(catalogue.types.items())
    } | {
        f"{CONTRACTS}/integration/{how.name}.v{how.version}.json": json.dumps(integration.schema(how), indent=2) + "\n"
        for how in integration.TRANSLATIONS.values()
    }


def broken_contracts(root: Path) -> list[str]:
    """Say what in the present events breaks a contract in a checkout."""
    return contract.problems(catalogue, contract.read(root / CONTRACTS))


def stale(root: Path) -> list[str]:
    """Name the generated files that say something else than they would if they were written now."""
    found = {name: root / name for name in generated()}
    return [name for name, text in generated().items() if not found[name].exists() or found[name].read_text() != text]


def require_checkout() -> None:
    """Raise CannotRun where these are not the sources."""
    if not TEMPLATE.exists() or not (ROOT / "pyproject.toml").exists():
        raise CannotRun("The generated files are not here: run this in a checkout of the sources.")


def refuse_broken_contracts() -> None:
    """Say what breaks a contract, if anything does, and end with exit code 1."""
    if sentences := broken_contracts(ROOT):
        click.echo("\n".join(sentences), err=True)
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file is stale.")
def command(check: bool) -> None:
    """Write docker-compose.yml and the events' contracts anew. For a checkout of the sources.

    A contract that the present events break is not written over: exit code 1.
    """
    require_checkout()
    names = stale(ROOT)
    if check:
        for name in names:
            click.echo(f"{name} is stale: run `make generate`.")
        raise SystemExit(1 if names else 0)
    refuse_broken_contracts()
    for name in names:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(generated()[name])
    click.echo(f"Written: {', '.join(names)}." if names else "Everything generated is up to date.")
