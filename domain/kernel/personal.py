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

_ADD = text("INSERT INTO personal_keys (person, key) VALUES (:person, :key) ON CONFLICT DO NOTHING")
_READ = text("SELECT person, key FROM personal_keys WHERE person = ANY(:persons)")


def read_keys(connection: Connection, persons: Iterable[str]) -> Keys:
    """Give the keys of those persons who still have one."""
    wanted = sorted(set(persons))
    if not wanted:
        return {}
    return {row.person: AESGCM(row.key) for row in connection.execute(_READ, {"persons": wanted})}


def make_keys(connection: Connection, persons: Iterable[str]) -> Keys:
    """Give every person's key, made now for those who have none."""
    wanted = sorted(set(persons))
    keys = dict(read_keys(connection, wanted))
    missing = [person for person in wanted if person not in keys]
    if missing:
        connection.execute(_ADD, [{"person": person, "key": AESGCM.generate_key(128)} for person in missing])
        keys.update(read_keys(connection, missing))
    return keys


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
