"""Names and passwords of our staff, typed into a form or sent by a program."""

import structlog

from domain import staff
from domain.staff import Account
from web.counter import counter

_logger = structlog.get_logger(__name__)


def check(username: str | None, password: str | None) -> Account | None:
    """Give the account if the password is right. Whoever calls this has to be limited: see LOGGING_IN."""
    account = None
    if username and "\0" not in username and len(username) <= 100 and len(password or "") <= 1000:
        with counter().database.read() as connection:
            account = staff.log_in(connection, username, password or "")
    if account is None:
        _logger.warning("login_refused")
    return account
