"""The `pizzeria` command. A subcommand is a module beside this one; it is imported when it is called, not before."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

COMMANDS = {
    "up": "Run the whole pizzeria; Ctrl-C ends it.",
    "services": "Run the embedded PostgreSQL and Redis alone.",
    "migrate": "Bring the database up to date and seed an empty one.",
    "web": "Run the web server.",
    "relay": "Run the relay: outbox to deliveries, deliveries to messages.",
    "worker": "Run a worker for the queues named, or for all.",
    "flower": "Run Flower, read-only and behind a password.",
    "simulate": "Place orders over HTTP and wait for their delivery.",
    "menu": "Import the menu from a CSV file, or export it as one.",
    "stock": "Show the store; count, waste and receive ingredients.",
    "drivers": "Show the drivers; send one home, or welcome one back.",
    "check": "Try the invariants over the whole database.",
    "routes": "Show which event goes to which handler.",
    "events": "Show recorded events.",
    "journey": "Show what happened to an order.",
    "report": "Report on the sales of some days.",
    "replay": "Make a handler's read model anew from the log, or compare it.",
    "customers": "Find customers; their points and house accounts.",
    "messages": "List, show, send again or abort what customers and suppliers are told.",
    "dead": "List, show, retry or discard parked deliveries.",
    "gateway": "Show or switch the mode of a gateway: sms, email, oven, payment.",
    "webhooks": "List, add, enable or remove the endpoints that integration events are posted to.",
    "sources": "List, add or remove the systems that may tell us something.",
    "describe": "Print the JSON Schema of every event, or check that it keeps to its contract.",
    "generate": "Write docker-compose.yml and the events' contracts, or check that they are up to date.",
}


class CannotRun(click.ClickException):
    """A command cannot do its work; the message is one sentence that says what to do about it. Exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print the sentence alone."""
        click.echo(self.message, file=file or sys.stderr)


class _Commands(click.Group):
    """Finds `pizzeria NAME` as `command` in the module `tasks.cli.NAME`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for place, word in enumerate(args, 1):
            if not word.strip():
                raise CannotRun(f"Argument {place} is empty: say what is meant, or leave it out.")
            try:
                word.encode()
            except UnicodeEncodeError:
                raise CannotRun(f"Argument {place} is no text in UTF-8: type it anew.") from None
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if find_spec(f"{__name__}.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            sentence = _sentence(error)
            if sentence is None:
                raise
            raise CannotRun(sentence) from error


def _sentence(error: Exception) -> str | None:
    """Say in a sentence what is wrong where a person can mend it; None for a fault of ours."""
    from domain.settings import SettingsError

    if isinstance(error, SettingsError):
        return str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}. Free it, or set PIZZERIA_HOME to a folder that can be written."
    # Named, not imported: a command that never met these libraries must not pay for them here.
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    if kinds & {"sqlalchemy.DBAPIError"}:
        from domain.kernel.unit_of_work import is_conflict

        if is_conflict(error):
            return "Somebody else was changing the same at this moment, so nothing was changed: try it once more."
    if kinds & {"psycopg.OperationalError", "sqlalchemy.OperationalError"}:
        return "The database does not answer: start `pizzeria services`, or set PIZZERIA_DATABASE_URL."
    if kinds & {"sqlalchemy.ProgrammingError"} and getattr(getattr(error, "orig", None), "sqlstate", "") == "42P01":
        return "The database is not set up: run `pizzeria migrate` first."
    if "tasks.QueueMadeOtherwiseError" in kinds:
        return str(error)
    if kinds & {"redis.ConnectionError", "redis.TimeoutError", "kombu.OperationalError"}:
        return "The broker does not answer: start `pizzeria services`, or set PIZZERIA_BROKER_URL."
    return None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="marios-pizzeria", prog_name="pizzeria")
def main() -> None:
    """Mario's Pizzeria: orders over the web, domain events on Celery.

    Exit codes: 0 fine, 1 found something wrong, 2 could not run.
    """
