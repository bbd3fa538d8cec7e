"""Personal fields of events, encrypted with one key per person: dropping the key erases the person from the log."""

import base64
import os
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, text

_MARK = "enc:"
_NONCE = 12

Keys = Mapping[str, bytes]

_ADD = text("INSERT INTO personal_keys (subject, key) VALUES (:subject, :key) ON CONFLICT DO NOTHING")
_READ = text("SELECT subject, key FROM personal_keys WHERE subject = ANY(:subjects)")


def read_keys(connection: Connection, subjects: Iterable[str]) -> Keys:
    """Give the keys of those persons who still have one."""
    wanted = sorted(set(subjects))
    if not wanted:
        return {}
    return {row.subject: bytes(row.key) for row in connection.execute(_READ, {"subjects": wanted})}


def make_keys(connection: Connection, subjects: Iterable[str]) -> Keys:
    """Give every person's key, made now for those who have none."""
    wanted = sorted(set(subjects))
    keys = dict(read_keys(connection, wanted))
    missing = [{"subject": s, "key": AESGCM.generate_key(128)} for s in wanted if s not in keys]
    if missing:
        connection.execute(_ADD, missing)
        keys.update(read_keys(connection, [m["subject"] for m in missing]))
    return keys


def drop_key(connection: Connection, subject: str) -> None:
    """Erase a person from the log, for good."""
    connection.execute(text("DELETE FROM personal_keys WHERE subject = :subject"), {"subject": subject})


def encrypt(plain: str, key: bytes) -> str:
    """Encrypt one field."""
    nonce = os.urandom(_NONCE)
    return _MARK + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain.encode(), None)).decode()


def decrypt(value: object, key: bytes | None) -> object:
    """Decrypt one field: None without its key, and what was never encrypted as it is."""
    if not isinstance(value, str) or not value.startswith(_MARK):
        return value
    if key is None:
        return None
    sealed = base64.b64decode(value[len(_MARK) :])
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None).decode()
    except InvalidTag:
        return None
