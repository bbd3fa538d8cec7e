"""Personal fields of events, encrypted with one key per person: dropping the key erases the person from the log."""

import binascii
import os
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, text

_MARK = "enc:"
_NONCE = 12

Keys = Mapping[str, AESGCM]

# Both in one statement: each one costs more than what it does.
_READ_OR_MAKE = text("""
WITH known AS (SELECT person, key FROM personal_keys WHERE person = ANY(:persons)), made AS (
    INSERT INTO personal_keys (person, key)
    SELECT n.person, n.key FROM unnest(CAST(:persons AS text[]), CAST(:keys AS bytea[])) AS n (person, key)
    WHERE NOT EXISTS (SELECT FROM known WHERE known.person = n.person)
    ORDER BY n.person ON CONFLICT DO NOTHING RETURNING person, key
)
SELECT person, key FROM known UNION ALL SELECT person, key FROM made
""")
_READ = text("SELECT person, key FROM personal_keys WHERE person = ANY(:persons)")


def new_key() -> bytes:
    """Make a key."""
    return AESGCM.generate_key(128)


def read_keys(connection: Connection, persons: Iterable[str]) -> Keys:
    """Give the keys of those persons who still have one."""
    wanted = sorted(set(persons))
    if not wanted:
        return {}
    return {row.person: AESGCM(row.key) for row in connection.execute(_READ, {"persons": wanted})}


def make_keys(connection: Connection, persons: Iterable[str], known: Mapping[str, bytes]) -> Keys:
    """Give every person's key, made now for those who have none; those that are known are not looked for."""
    ciphers = {person: AESGCM(key) for person, key in known.items()}
    wanted = sorted(set(persons) - ciphers.keys())
    if not wanted:
        return ciphers
    made = [new_key() for _ in wanted]
    rows = connection.execute(_READ_OR_MAKE, {"persons": wanted, "keys": made})
    ciphers |= {row.person: AESGCM(row.key) for row in rows}
    if missing := set(wanted) - ciphers.keys():  # somebody else made theirs just now; a second look sees them
        ciphers |= read_keys(connection, missing)
    return ciphers


def drop_key(connection: Connection, person: str) -> None:
    """Erase a person from the log, for good."""
    connection.execute(text("DELETE FROM personal_keys WHERE person = :person"), {"person": person})


def encrypt(plain: str, key: AESGCM) -> str:
    """Encrypt one field."""
    nonce = os.urandom(_NONCE)
    return _MARK + binascii.b2a_base64(nonce + key.encrypt(nonce, plain.encode(), None), newline=False).decode()


def decrypt(value: object, key: AESGCM | None) -> object:
    """Decrypt one field: None without its key, and what was never encrypted as it is."""
    if not isinstance(value, str) or not value.startswith(_MARK):
        return value
    if key is None:
        return None
    sealed = binascii.a2b_base64(value[len(_MARK) :])
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], None).decode()
    except InvalidTag:
        return None
