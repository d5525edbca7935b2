"""The profile header as a person meets it: what a passphrase is, and what to say when it does not fit.

Rules: the format and its checks are protocol/profile_header.py's alone; here a passphrase is judged before
any work, and what fails becomes an error of storage with one line that says what to do.
"""

from __future__ import annotations

from chat.interface import UsageError
from chat.phrases import phrase
from chat.storage.errors import TooLittleMemory, WrongPassphrase
from protocol import profile_header
from protocol.errors import AuthenticationFailed, LocalMisuse
from protocol.primitives import Random
from protocol.profile_header import (
    CHEAPEST,
    HEADER_BYTES_MAX,
    MAGIC,
    MODERATE,
    VERSION,
    Cost,
    DatabaseKey,
    Header,
    NewerHeader,
    parse,
)

__all__ = [
    "CHEAPEST",
    "HEADER_BYTES_MAX",
    "MAGIC",
    "MODERATE",
    "VERSION",
    "Cost",
    "DatabaseKey",
    "Header",
    "NewerHeader",
    "parse",
    "unwrap",
    "wrap",
]


def wrap(key: DatabaseKey, passphrase: str, cost: Cost, port: int, random: Random) -> Header:
    """Wrap `key` under a passphrase and a fresh salt. Raises UsageError (no passphrase), TooLittleMemory."""
    _require_passphrase(passphrase)
    try:
        return profile_header.wrap(key, passphrase, cost, port, random)
    except LocalMisuse:
        raise TooLittleMemory from None


def unwrap(header: Header, passphrase: str) -> DatabaseKey:
    """The database key. Raises WrongPassphrase, UsageError, TooLittleMemory."""
    _require_passphrase(passphrase)
    try:
        return profile_header.unwrap(header, passphrase)
    except AuthenticationFailed:
        raise WrongPassphrase from None
    except LocalMisuse:
        raise TooLittleMemory from None


def _require_passphrase(passphrase: str) -> None:
    if not passphrase:
        raise UsageError(phrase("The passphrase is empty: choose one of several words."))
    try:
        passphrase.encode()
    except UnicodeEncodeError:
        raise UsageError(phrase("The passphrase holds something that is not text: type it anew.")) from None
