"""The audit: who did what by hand that no event tells. Lines are added and never changed."""

from domain.kernel.unit_of_work import UnitOfWork


def note(
    work: UnitOfWork, who: str, action: str, about: str, *, position: int | None = None, handler: str | None = None
) -> None:
    """Write down that somebody did something to what ``about`` names by its id; nothing personal in it.

    ``position`` and ``handler`` are those of a delivery, if it was about one.
    """
    work.run(
        "INSERT INTO audit (who, action, position, handler, reason)"
        " VALUES (:who, :action, :position, :handler, :about)",
        who=who,
        action=action,
        position=position,
        handler=handler,
        about=about,
    )
