"""What a manager reads about some days: sales, pizzas, customers, preparation and cancelled orders."""

from zoneinfo import ZoneInfo

from flask import Response, abort, make_response, render_template, request
from flask_login import current_user

from domain import sales
from domain.kernel import clock
from domain.sales import DaysError, Report
from web.charts import bars
from web.confirmation import Confirmation
from web.counter import counter
from web.staff import blueprint


@blueprint.get("/figures")
def figures() -> Response:
    """Show the figures of the days asked for, or of this week."""
    if current_user.role != "manager":
        abort(403)
    zone = ZoneInfo(counter().settings.timezone)
    today = clock.now().astimezone(zone).date()
    asked = {name: request.args.get(name, "").strip() for name in ("from", "to")}
    try:
        days = sales.read_days(asked["from"], asked["to"], today)
    except DaysError as error:
        return make_response(_page(asked, problem=str(error)), 422)
    report = _report(days)
    return make_response(_page({"from": str(days.first), "to": str(days.last)}, report=report))


def _report(days: sales.Days) -> Report:
    settings = counter().settings
    with counter().database.view() as connection:
        return sales.report(connection, days, settings.timezone, settings.currency)


def _page(asked: dict[str, str], *, report: Report | None = None, problem: str = "") -> str:
    return render_template(
        "staff/figures.html",
        asked=asked,
        problem=problem,
        report=report,
        by_day=bars([day.sales for day in report.days]) if report else None,
        by_hour=bars([hour.sales for hour in report.hours]) if report else None,
        confirmation=Confirmation(),
    )
