"""Who works here and may log in."""

from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Connection, text

_hasher = PasswordHasher()
_NOBODY = (  # a hash of no password, that takes as long to compare; hashing one here would cost every start as much
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}${'A' * 22}${'A' * 43}"
)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who works here; ``role`` is manager, cook or driver."""

    username: str
    role: str

    @property
    def who(self) -> str:
        """The name by which the audit and events know them."""
        return f"staff:{self.username}"


def find(connection: Connection, username: str) -> Account | None:
    """Read an account."""
    row = connection.execute(
        text("SELECT username, role FROM staff WHERE username = :name"), {"name": username}
    ).one_or_none()
    return Account(*row) if row else None


def log_in(connection: Connection, username: str, password: str) -> Account | None:
    """Give the account if the password is right; takes as long for a name that nobody has."""
    row = connection.execute(
        text("SELECT username, role, password_hash FROM staff WHERE username = :name"), {"name": username}
    ).one_or_none()
    right = _matches(row.password_hash if row else _NOBODY, password)
    return Account(row.username, row.role) if row and right else None


def set_password(connection: Connection, username: str, password: str, role: str) -> None:
    """Make an account, or change its password if this is another one."""
    known = connection.execute(
        text("SELECT password_hash FROM staff WHERE username = :name"), {"name": username}
    ).scalar()
    if known and _matches(known, password):
        return
    connection.execute(
        text(
            "INSERT INTO staff (username, password_hash, role) VALUES (:name, :hash, :role)"
            " ON CONFLICT (username) DO UPDATE SET password_hash = excluded.password_hash"
        ),
        {"name": username, "hash": _hasher.hash(password), "role": role},
    )


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except VerificationError:
        return False
