"""Notifications of `listen`, and the program that this person configured for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import monotonic
from typing import Final

from chat.cli.output import label_among, raw
from chat.interface import (
    CONFIG,
    SAYS_SOMETHING,
    Bursts,
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntryAdded,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryView,
    Event,
    Level,
    Outside,
    Turn,
    Words,
    mentions,
    notified,
    osc_of,
    program_in,
    way_outside,
)

_FILE: Final = "sent a file"


def configuration() -> Path:
    """The file with the configuration of this program, which may be missing."""
    import platformdirs

    return platformdirs.user_config_path("parlour", appauthor=False) / CONFIG


def outside_of_terminal() -> Outside | None:
    """What shows the notifications of an interface: None where the terminal does. Raises UsageError."""
    program = program_in(configuration())
    if not program and osc_of(os.environ) is not None:
        return None
    return way_outside(os.environ, program)


def outside() -> Outside | None:
    """What shows the notifications of a command. Raises UsageError."""
    write = raw if sys.stderr.isatty() else None
    return way_outside(os.environ, program_in(configuration()), write)


class Herald:
    """Notifies of what `listen` hears while no interface does, and closes what was read or deleted elsewhere.

    `turn`: whose it is, None where nobody else can have it.
    """

    def __init__(self, level: Level, outside: Outside, own_name: str, turn: Turn | None) -> None:
        self._turn = turn
        self._level = level
        self._outside = outside
        self._own_name = own_name
        self._bursts = Bursts(monotonic)
        self._contacts: dict[str, ContactView] = {}

    def know(self, contacts: tuple[ContactView, ...]) -> None:
        self._contacts = {view.person: view for view in contacts}

    def heed(self, event: Event) -> None:
        match event:
            case EntryAdded(entry) | EntryFilled(entry):
                self._notify(entry)
            case EntryDeleted(person, entry_id):
                self._outside.close(person, entry_id)
            case EntryEdited(entry):  # its author may have taken something out of it
                self._outside.close(entry.contact, entry.id)
            case ContactChanged(view):
                self._contacts[view.person] = view
                if not view.unread or view.blocked:
                    self._outside.close(view.person)
            case ContactRemoved(person, _):
                self._contacts.pop(person, None)
                self._outside.close(person)

    def locked(self) -> None:
        """Nothing of a profile is left on the screen once it is locked."""
        self._outside.close_all()

    async def end(self) -> None:
        await self._outside.end()

    def _notify(self, entry: EntryView) -> None:
        view = self._contacts.get(entry.contact)
        if view is None or view.muted or view.blocked:
            return
        if entry.own or entry.claimed or entry.kind not in SAYS_SOMETHING:
            return
        mention = mentions(entry.text, self._own_name)
        if not self._bursts.due(mention=mention):
            return
        if self._turn is not None and self._turn.is_taken():
            return
        name = label_among(self._contacts.values(), entry.contact)
        text = entry.text if entry.file is None else _FILE
        one = notified(self._level, Words(), entry.contact, entry.id, name, text, mention=mention)
        self._outside.show(one)
