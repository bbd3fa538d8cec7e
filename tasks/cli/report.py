"""`pizzeria report`: sales, pizzas, customers, preparation and cancelled orders of some days."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

import click
import msgspec
from babel.numbers import format_currency
from rich.console import Console
from rich.table import Table

from domain import sales
from domain.kernel import clock
from domain.sales import DaysError, Pizza, Report, Sums
from domain.settings import settings
from tasks.cli import CannotRun


@click.command()
@click.option(
    "--from", "first", metavar="DATE", help="The first day, as 2026-11-01; a week before the last by default."
)
@click.option("--to", "last", metavar="DATE", help="The last day, which is included; today by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(first: str | None, last: str | None, as_json: bool) -> None:
    """Report on the sales of some days.

    A sale is an order that the customer got. It counts at the time it was placed, by the shop's clock
    (PIZZERIA_TIMEZONE), with what was paid, tax included; the revenue of pizzas is before tax. The figures are as new
    as what the handler analytics has done.

    \b
    The JSON is an object of:
      from, to, timezone, currency
      placed        orders placed, whatever became of them
      under_way     of these, the ones that have not ended
      cancelled     orders, value, reasons: [reason, orders, value]
      totals        orders, pizzas, sales
      average       sales by order
      days          [day, orders, pizzas, sales], all of them
      hours         [hour (0 to 23), orders, pizzas, sales], first to last sale
      pizzas        [pizza, name, quantity, revenue, rank_by_revenue,
                    sizes: [size, quantity, revenue]], the most sold first
      customers     new, returning: orders, pizzas, sales
      preparation   made, median_seconds, p95_seconds, and how many of
                    `promised` orders came `late`, late_rate (0 to 1)
    Money is a string with two decimals; what is unknown is null.
    """  # noqa: D301 - \b is click's
    from tasks.database import database

    shop = settings()
    try:
        days = sales.read_days(first, last, clock.now().astimezone(ZoneInfo(shop.timezone)).date())
    except DaysError as error:
        raise CannotRun(str(error)) from None
    with database().view() as connection:
        found = sales.report(connection, days, shop.timezone, shop.currency)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif not found.placed:
        click.echo(f"No orders were placed from {found.first} to {found.last}.")
    else:
        Printed(found).show()


class Printed:
    """A report on the terminal, table by table."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._console = Console(highlight=False)

    def show(self) -> None:
        """Print it."""
        report, said = self._report, self._console.print
        said(f"[bold]{report.first} to {report.last}[/], {report.timezone}", soft_wrap=True)
        said(
            f"{_orders(report.totals.orders)} sold, {report.totals.pizzas} pizzas,"
            f" {self._money(report.totals.sales)}, {self._money(report.average)} an order;"
            f" {report.placed} placed, {report.under_way} under way, {report.cancelled.orders} cancelled.",
            soft_wrap=True,
        )
        sums = ("Orders", "Pizzas", "Sales")
        self._table(("Day", *sums), ((f"{day.day:%Y-%m-%d %a}", *self._sums(day)) for day in report.days))
        self._table(("Hour", *sums), ((f"{hour.hour:02}:00", *self._sums(hour)) for hour in report.hours))
        pizzas = [row for pizza in report.pizzas for row in self._pizza(pizza)]
        self._table(("Pizza", "Sold", "Revenue", "By revenue"), pizzas)
        customers = (("new", report.customers.new), ("returning", report.customers.returning))
        self._table(("Customers", *sums), ((name, *self._sums(kind)) for name, kind in customers))
        self._preparation()
        reasons = [(r.reason, str(r.orders), self._money(r.value)) for r in report.cancelled.reasons]
        self._table(("Cancelled because", "Orders", "Value"), reasons)

    def _money(self, amount: Decimal) -> str:
        return format_currency(amount, self._report.currency, locale="en_US")

    def _sums(self, sums: Sums) -> tuple[str, str, str]:
        return str(sums.orders), str(sums.pizzas), self._money(sums.sales)

    def _pizza(self, pizza: Pizza) -> Iterable[Sequence[str]]:
        yield pizza.name, str(pizza.quantity), self._money(pizza.revenue), f"#{pizza.rank_by_revenue}"
        for size in pizza.sizes:
            yield f"  {size.size}", str(size.quantity), self._money(size.revenue), ""

    def _preparation(self) -> None:
        found = self._report.preparation
        rows = [("median", _minutes(found.median_seconds)), ("95 % within", _minutes(found.p95_seconds))]
        late = "–" if found.late_rate is None else f"{found.late} of {found.promised} ({found.late_rate:.1%})"
        self._table((f"Preparation of {_orders(found.made)}", ""), [*rows, ("later than promised", late)])

    def _table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        shown = list(rows)
        if not shown:
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for number, title in enumerate(titles):
            table.add_column(title, justify="right" if number else "left", no_wrap=bool(number))
        for row in shown:
            table.add_row(*(_plain(cell) for cell in row))
        self._console.print()
        self._console.print(table)


def _plain(said: str) -> str:
    """Take what people typed as it is: no markup, nothing that moves the cursor."""
    from rich.markup import escape

    return escape("".join(char if char.isprintable() else " " for char in said))


def _orders(number: int) -> str:
    return f"{number} order" if number == 1 else f"{number} orders"


def _minutes(seconds: int | None) -> str:
    return "–" if seconds is None else f"{seconds // 60} min {seconds % 60:02} s"
