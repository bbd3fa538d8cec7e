"""Customers: corrected by hand, and written down before they order. What they ordered keeps what they said then."""

from typing import Annotated, Any

from pydantic import BeforeValidator
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from domain.customers import ID_PATTERN
from domain.entry import Ask, Entry, Name
from domain.fields import EMAIL_PROBLEM, PHONE_PROBLEM, Email, Phone, blank_is_none
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.register import ConflictError, Kept, Register

_NUMBER_TAKEN = "Another customer has this telephone number."


class Customer(Entry):
    """Who a customer is, known by the telephone number."""

    name: Name
    phone: Annotated[Phone, Ask("Telephone", PHONE_PROBLEM, "tel")]
    email: Annotated[
        Email | None, BeforeValidator(blank_is_none), Ask("E-mail", EMAIL_PROBLEM, "email", hint="May be empty.")
    ] = None


class Customers(Register):
    """The register of customers, the newest first. Nobody retires a customer."""

    name = "customers"
    one = "customer"
    about = "Who orders, known by the telephone number; the newest first."
    table = "customers"
    entry = Customer
    known_by = "phone"
    same = "t.phone = :value"
    order = "id DESC"
    most = 100
    removal = "Forget one who never ordered, has no points and no account"
    id_pattern = ID_PATTERN

    def read(self, connection: Connection, after: str = "") -> list[Kept]:
        """Read the newest, or those who came before one of them."""
        if not after:
            return super().read(connection)
        rest = f"WHERE t.id < :before ORDER BY {self.order} LIMIT :most"
        return self._read(connection, rest, before=self._key(after), most=self.most)

    def add(self, work: UnitOfWork, entry: Any, by: str) -> Kept:
        """Write down somebody who is yet to order."""
        try:
            return super().add(work, entry, by)
        except IntegrityError:  # who ordered this moment is a customer too, and waits for nobody
            raise ConflictError(_NUMBER_TAKEN, "phone") from None

    def change(self, work: UnitOfWork, entry_id: str, entry: Any, version: str, by: str) -> Kept:
        """Correct a customer."""
        try:
            return super().change(work, entry_id, entry, version, by)
        except IntegrityError:
            raise ConflictError(_NUMBER_TAKEN, "phone") from None

    def remove(self, work: UnitOfWork, entry_id: str, version: str | None, by: str) -> Kept:
        """Forget somebody of whom nothing speaks."""
        kept = self._lock(work, entry_id, version)
        try:
            gone = work.column(
                "DELETE FROM customers c WHERE id = :id AND NOT ordered"
                " AND NOT EXISTS (SELECT FROM loyalty_balances b WHERE b.customer_id = c.id)"
                " AND NOT EXISTS (SELECT FROM house_accounts a WHERE a.customer_id = c.id) RETURNING id",
                id=kept["id"],
            )
        except IntegrityError:
            gone = []
        if not gone:
            raise ConflictError("Whoever has ordered, or has points or an account, stays: correct the entry instead.")
        self._note(work, by, "removed", kept["id"])
        return kept

    def _new(self, work: UnitOfWork, entry: Any) -> dict[str, Any]:
        return {"id": uuid7().hex, "created_at": clock.now(), "ordered": False}


register = Customers()
