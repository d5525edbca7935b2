"""Stored values that this version cannot read. They stay where they are, and nothing uses them.

A later version of Parlour wrote them, or a fault did. None of them keeps the profile shut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from protocol.errors import LocalMisuse, ProtocolError

CONTACT: Final = "contact "
"""How the name of a value begins without which a contact cannot be used."""

_UNREADABLE: Final = (ProtocolError, LocalMisuse, ValueError, TypeError, LookupError, OverflowError)

T = TypeVar("T")


class Aside:
    """Reads values. `names`: what could not be read, each by what it is and its key."""

    def __init__(self) -> None:
        self.names = set[str]()

    def read(self, name: str, decode: Callable[[], T]) -> T | None:
        """What `decode` returns, None where the value is set aside."""
        try:
            return decode()
        except _UNREADABLE:
            self.names.add(name)
            return None
