"""The audit: who did what by hand that no event tells. Lines are added and never changed."""

from domain.kernel.unit_of_work import UnitOfWork


def note(work: UnitOfWork, who: str, action: str, about: str) -> None:
    """Write down that somebody did something to what ``about`` names by its id; nothing personal in it."""
    work.run(
        "INSERT INTO audit (who, action, reason) VALUES (:who, :action, :about)", who=who, action=action, about=about
    )
