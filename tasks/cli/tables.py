"""Tables that hold what is typed again."""

from rich.console import Console
from rich.table import Table

_AS_WIDE_AS_IT_IS = 10_000


def print_whole(table: Table) -> None:
    """Print a table of which nothing is cut: half an id or key names nothing. A narrow terminal breaks its lines."""
    Console(width=_AS_WIDE_AS_IT_IS, soft_wrap=True).print(table, markup=False)
