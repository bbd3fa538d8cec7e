"""Where an error came from, as it may stand in a log: a log holds nothing that people typed."""

import traceback


def origin(error: BaseException) -> str:
    """Give the last six steps that led to an error, but neither its text nor values: a database's quote what it got."""
    return "".join(traceback.format_tb(error.__traceback__)[-6:])
