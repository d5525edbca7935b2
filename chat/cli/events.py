"""Entries and events as lines: JSON fields to the letter, or text to read.

Rules: JSON holds what a peer wrote, escaped; text holds it filtered; both name a contact by its label.
"""

from __future__ import annotations

from collections.abc import Iterable

from chat.cli.output import block, note, one_line, timestamp
from chat.cli.people import label_among
from chat.cli.session import Call
from chat.interface import (
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntryAdded,
    EntryChanged,
    EntryState,
    EntryView,
    Event,
    IdentityChanged,
    Notice,
    PairingChanged,
    PairingStage,
    Ready,
    SelfView,
)

INDENT = "    "
TEXT = "text"
"""The kind of an entry that has words."""

KNOWN_MAX = 1024
"""Entries of each conversation that a printer knows by id. Contacts fill it, and the oldest goes first."""

SHORT_ID = 8
"""Digits of an entry's id that a line to read shows."""


def entry_fields(entry: EntryView) -> dict[str, object]:
    """The fields of `history --json`."""
    return {
        "id": entry.id,
        "author": entry.author,
        "time": timestamp(entry.time),
        "kind": entry.kind,
        "text": entry.text,
        "state": entry.state.value,
    }


def entry_line(entry: EntryView, conversation: str = "") -> str:
    """An entry to read; further lines of its text are indented."""
    where = f"[{conversation}] " if conversation else ""
    state = f"  ({entry.state.value})" if entry.own else ""
    said = block(entry.text, INDENT) if entry.kind == TEXT else f"({entry.kind})"
    return f"{timestamp(entry.time)}  {where}{one_line(entry.author)}: {said}{state}"


class Printer:
    """Prints the events that `listen` is for; the rest of what happens is not its business."""

    def __init__(
        self, call: Call, me: SelfView, contacts: Iterable[ContactView], held: Iterable[EntryView]
    ) -> None:
        """`held`: the newest entries of each conversation, which are not printed."""
        self._call = call
        self._addresses = me.addresses
        self._contacts = {view.person: view for view in contacts}
        self._states: dict[str, dict[str, EntryState]] = {}
        for entry in held:
            self._know(entry.contact, entry.id, entry.state)

    def begin(self) -> None:
        """What is so already: the addresses, and who is there."""
        self._ready(self._addresses)
        for view in self._contacts.values():
            if view.present:
                self._peer(view)

    def resume(self, contacts: Iterable[ContactView], held: Iterable[EntryView]) -> None:
        """What changed between the end of an engine and the next one's first event."""
        for view in contacts:
            self._contact(view)
        for entry in held:
            if not self.is_known(entry):
                self._entry(entry)
            elif entry.own and entry.state is not self._states[entry.contact][entry.id]:
                self._state(entry.contact, entry.id, entry.state)

    def is_known(self, entry: EntryView) -> bool:
        """Whether it was printed, or stood there before."""
        return entry.id in self._states.get(entry.contact, ())

    def _know(self, contact: str, entry_id: str, state: EntryState) -> None:
        known = self._states.setdefault(contact, {})
        known[entry_id] = state
        if len(known) > KNOWN_MAX:
            del known[next(iter(known))]

    def print(self, event: Event) -> None:
        match event:
            case Ready(addresses) if addresses != self._addresses:
                self._ready(addresses)
            case EntryAdded(entry) if not self.is_known(entry):
                self._entry(entry)
            case EntryChanged(contact, entry_id, state):
                self._state(contact, entry_id, state)
            case ContactChanged(view):
                self._contact(view)
            case ContactRemoved(person, _):
                self._contacts.pop(person, None)
                self._states.pop(person, None)
            case IdentityChanged(person, _, cause):
                label = self._label(person)
                fields = {"event": "identity", "name": label, "cause": cause}
                self._call.result(fields, f"{label}: {one_line(cause)}")
            case Notice(text):
                note(text)
            case PairingChanged(pairing) if pairing.stage is PairingStage.WORDS and pairing.incoming:
                note(f"{pairing.peer} wants to pair: run 'parlour pair' here, then let them try again.")

    def _ready(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses
        fields = {"event": "ready", "addresses": list(addresses)}
        self._call.result(fields, f"Listening on {', '.join(addresses)}")

    def _state(self, contact: str, entry_id: str, state: EntryState) -> None:
        self._know(contact, entry_id, state)
        fields = {"event": "state", "id": entry_id, "state": state.value}
        self._call.result(fields, f"{entry_id[:SHORT_ID]} is {state.value}")

    def _entry(self, entry: EntryView) -> None:
        self._know(entry.contact, entry.id, entry.state)
        label = self._label(entry.contact)
        fields = {"event": "entry", **entry_fields(entry), "conversation": label}
        self._call.result(fields, entry_line(entry, label))

    def _contact(self, view: ContactView) -> None:
        before = self._contacts.get(view.person)
        self._contacts[view.person] = view
        if view.present != (before is not None and before.present):
            self._peer(view)

    def _peer(self, view: ContactView) -> None:
        label = self._label(view.person)
        fields = {"event": "peer", "name": label, "present": view.present}
        self._call.result(fields, f"{label} is {'here' if view.present else 'away'}")

    def _label(self, person: str) -> str:
        return label_among(self._contacts.values(), person)
