"""`python -m tests.planted [NAME…]`: plants bugs, and demands that each is caught by its test."""

import sys

import click

from tests.planted import trial
from tests.planted.bugs import DOCUMENT, Bug, bugs, document


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Plant each bug of the table (or those NAMES) in a copy of the tree; exit code 1 if one survives its test."""
    known = bugs()
    unknown = set(names) - {bug.name for bug in known}
    if unknown:
        raise click.UsageError(f"No bug is called {', '.join(sorted(unknown))}.")
    chosen = [bug for bug in known if not names or bug.name in names]
    click.echo("Without a bug …")
    if wrong := trial.passes(sorted({bug.test for bug in chosen})):
        raise click.ClickException(f"The tests must pass without a bug first.\n{wrong}")
    survivors = [bug for bug in chosen if not _is_caught(bug)]
    if not names and not survivors:
        DOCUMENT.write_text(document(known))
    click.echo(f"{len(chosen) - len(survivors)} of {len(chosen)} caught.")
    sys.exit(1 if survivors else 0)


def _is_caught(bug: Bug) -> bool:
    wrong = trial.catches(bug)
    click.echo(f"{'SURVIVES' if wrong else 'caught':<9} {bug.name:<24} {bug.test.rpartition('::')[2]}")
    if wrong:
        click.echo(wrong)
    return not wrong


if __name__ == "__main__":
    main()
