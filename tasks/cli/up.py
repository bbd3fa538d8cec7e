"""`pizzeria up`: the whole pizzeria, under one supervisor."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from domain.settings import Settings, settings
from tasks.cli import CannotRun, ports
from tasks.cli.migrate import ENDED
from tasks.cli.programs import address, copied, pizzeria, readiness, workers
from tasks.cli.services import check_reachable, last_line, only_one, start_servers
from tasks.cli.supervisor import Program, Supervisor
from tasks.cli.worker import check_queues, warm_up

READY_SECONDS = 180
FLOWER = "flower"
"""The name by which ``--scale`` leaves Flower out."""


def scaled(options: Sequence[str]) -> dict[str, int]:
    """Read ``sms=3`` and the like. Raises CannotRun for anything else."""
    scale = {}
    for option in options:
        queue, _, number = option.partition("=")
        if not queue or not (number.isascii() and number.isdecimal()) or int(number) > 100:
            raise CannotRun(f"--scale {option}: write a queue and how many workers it gets, as in sms=3 (at most 100).")
        scale[queue] = int(number)
    if scale.get(FLOWER, 0) > 1:
        raise CannotRun(f"--scale {FLOWER}={scale[FLOWER]}: there is one Flower, or none with {FLOWER}=0.")
    return scale


def _has_flower(shop: Settings, scale: Mapping[str, int]) -> bool:
    return shop.bus == "celery" and scale.get(FLOWER, 1) > 0


def check_ports(shop: Settings, *, flower: bool) -> None:
    """Raise CannotRun if we cannot listen on a port of ours."""
    places = {"PIZZERIA": (shop.host, shop.port)}
    if flower:
        places["PIZZERIA_FLOWER"] = (shop.flower_host, shop.flower_port)
    if len({port for _, port in places.values()}) < len(places):
        raise CannotRun(f"PIZZERIA_PORT and PIZZERIA_FLOWER_PORT are both {shop.port}: give them different ports.")
    for names, (host, port) in places.items():
        ports.check(names, host, port)


def _programs(shop: Settings, home: Path, scale: dict[str, int]) -> list[Program]:
    """Give what runs beside the servers. Raises CannotRun if ``scale`` names an unknown queue."""
    programs = [pizzeria(home, "web", "web")]
    if shop.bus == "celery":
        from tasks.celery import queues  # not before the servers run: the app asks where its broker is
        from tasks.registry import registry

        check_queues([name for name in scale if name != FLOWER], queues())
        warm_up()
        programs.append(copied(home, "relay", "relay"))
        idle = dict.fromkeys(set(registry().handlers) - set(registry().in_use), 0)
        programs += workers(home, queues(), idle | scale)
    if _has_flower(shop, scale):
        programs.append(pizzeria(home, "flower", "flower"))
    return programs


def _migrate(home: Path, supervisor: Supervisor) -> list[str]:
    """Migrate, and give what a person should know of it. Raises CannotRun."""
    migrate = copied(home, "migrate", "migrate")
    old = migrate.log.read_text(errors="replace") if migrate.log.exists() else ""
    if supervisor.run_once(migrate):
        raise CannotRun(f"The database could not be migrated: {last_line(migrate.log)}")
    said = migrate.log.read_text(errors="replace").removeprefix(old)
    return [line for line in said.splitlines() if line.startswith(ENDED)]


def _wait_until_ready(checks: dict[str, Callable[[], bool]], supervisor: Supervisor, logs: Path) -> None:
    waiting = dict(checks)

    def all_ready() -> bool:
        for name in [name for name, ready in waiting.items() if ready()]:
            del waiting[name]
        return not waiting or any(supervisor.restarts(name) > 4 for name in waiting)

    # No spinner, which would be a second thread: what dies meanwhile begins as a copy of this process, which has one.
    supervisor.wait(all_ready, READY_SECONDS)
    if waiting:
        name = next(iter(waiting))
        raise CannotRun(f"{', '.join(waiting)} did not come up: {last_line(logs / f'{name}.log')}")


def _welcome(shop: Settings, console: Console, *, flower: bool) -> None:
    lines = [
        ("Shop", address(shop.host, shop.port), ""),
        ("Staff", f"{address(shop.host, shop.port)}/staff", f"user staff, password {shop.secret('staff_password')}"),
    ]
    if flower:
        password = shop.secret("flower_password")
        lines.append(("Flower", address(shop.flower_host, shop.flower_port), f"user staff, password {password}"))
    console.print("\n[bold]Mario's Pizzeria is open.[/bold]")
    for name, url, login in lines:
        console.print(f"  {name:7} {url}  {login}", markup=False, highlight=False, soft_wrap=True)
    console.print("Ctrl-C ends it.", highlight=False)


@click.command()
@click.option(
    "--scale",
    "options",
    multiple=True,
    metavar="QUEUE=N",
    help="Start N workers for a queue; 0 for none, of Flower too.",
)
def command(options: tuple[str, ...]) -> None:
    """Run the whole pizzeria: database, broker, web, relay, a worker for each queue, and Flower.

    What dies is started again; Ctrl-C ends every process. Logs are in HOME/log, one for each process.
    """
    shop = settings()
    scale = scaled(options)
    console = Console(highlight=False)
    say = partial(console.print, markup=False, soft_wrap=True)
    with only_one(shop) as (home, lock):
        check_ports(shop, flower=_has_flower(shop, scale))
        shop = shop.model_copy(update={"home": home})
        check_reachable(shop)
        with Supervisor(say) as supervisor:
            _open(shop, home, lock, scale, supervisor, console)
            supervisor.watch()


def _open(
    shop: Settings, home: Path, lock: int, scale: dict[str, int], supervisor: Supervisor, console: Console
) -> None:
    with console.status("Starting PostgreSQL and Redis…"):
        start_servers(shop, home, lock, supervisor)
    console.print("Database and broker accept.")
    programs = _programs(shop, home, scale)
    console.print("Migrating the database…")
    for sentence in _migrate(home, supervisor):
        console.print(sentence, soft_wrap=True)
    console.print("The database is up to date.")
    console.print(f"Starting {len(programs)} processes; their logs are in {home / 'log'}.", soft_wrap=True)
    supervisor.start(programs)
    _wait_until_ready(readiness(shop, home, programs), supervisor, home / "log")
    _welcome(shop, console, flower=_has_flower(shop, scale))
