"""Files that wait until others have come, those of each contact in their order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count


class Waiting:
    """Entries (ids) whose files wait, each with its contact, None for the notes.

    Contacts fill it, with as many as this person takes: no call costs more for each that waits.
    """

    def __init__(self) -> None:
        self._contacts = dict[bytes, bytes | None]()
        self._turns = dict[bytes | None, dict[bytes, int]]()  # first come, first served, as the number says
        self._next = count()

    def __contains__(self, entry: bytes) -> bool:
        return entry in self._contacts

    def __len__(self) -> int:
        return len(self._contacts)

    def add(self, entry: bytes, contact: bytes | None) -> None:
        """A file waits behind all others."""
        self.remove(entry)
        self._contacts[entry] = contact
        self._turns.setdefault(contact, {})[entry] = next(self._next)

    def remove(self, entry: bytes) -> None:
        """It waits no longer, if it did."""
        if entry in self._contacts:
            turns = self._turns[contact := self._contacts.pop(entry)]
            del turns[entry]
            if not turns:
                del self._turns[contact]

    def first(self, may: Callable[[bytes | None], bool]) -> bytes | None:
        """The one that has waited longest of those whose contact `may` have one come."""
        first = [next(iter(turns.items())) for contact, turns in self._turns.items() if may(contact)]
        return min(first, key=lambda one: one[1])[0] if first else None

    def of(self, may: Callable[[bytes | None], bool]) -> int:
        """How many wait whose contact `may` have one come."""
        return sum(len(turns) for contact, turns in self._turns.items() if may(contact))
