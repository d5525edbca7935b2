"""What `listen` prints of events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from chat.cli.entries import UNSHOWN, entry_fields, entry_line, file_fields, file_text
from chat.cli.output import contained, held_line, label_among, note, one_line, timestamp
from chat.cli.session import Call
from chat.interface import (
    AlertsChanged,
    BotCommand,
    ContactChanged,
    ContactRemoved,
    ContactView,
    DeletedBy,
    EntriesConflict,
    EntriesMarked,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryKind,
    EntryState,
    EntryView,
    Event,
    FileProgress,
    FileState,
    FileView,
    HistoryMoving,
    IdentityChanged,
    Notice,
    OwnLogChanged,
    PairingChanged,
    PairingStage,
    QuestionsChanged,
    QuestionView,
    Ready,
    SelfView,
)

T = TypeVar("T")

KNOWN_MAX = 1024
"""Entries of each conversation that a printer knows by id. Contacts fill it, and the oldest goes first."""
SHORT_ID = 8  # digits of an entry's id that a line to read shows


class Printer:
    """Prints the events that `listen` reports."""

    def __init__(
        self,
        call: Call,
        me: SelfView,
        contacts: Iterable[ContactView],
        held: Iterable[EntryView],
        *,
        ids: bool = False,
    ) -> None:
        """`held`: the newest entries of each conversation, which are not printed. `ids`: show how they begin,
        to a person too."""
        self._call = call
        self._ids = ids
        self._addresses = me.addresses
        self._contacts = {view.person: view for view in contacts}
        self._states: dict[str, dict[str, EntryState]] = {}
        self._asked: tuple[QuestionView, ...] = ()
        self._tenth: int | None = None
        self._files: dict[str, FileState] = {}  # by entry; contacts fill it, and the oldest goes first
        self._missing: set[str] = set()  # entries that were printed without their text
        for entry in held:
            self._know_entry(entry)

    def begin(self) -> None:
        """Print the addresses and the contacts that are present."""
        self._ready(self._addresses)
        for view in self._contacts.values():
            if view.present:
                self._peer(view)
            if view.held:
                self._held(view)

    def resume(self, contacts: Iterable[ContactView], held: Iterable[EntryView]) -> None:
        """Print what changed between the end of an engine and the first event of the next one."""
        for view in contacts:
            self._contain(view, self._contact)
        for entry in held:
            self._contain(entry, self._missed)

    def _missed(self, entry: EntryView) -> None:
        if not self.is_known(entry):
            self._entry(entry)
        elif entry.own and entry.state is not self._states[entry.contact][entry.id]:
            self._state(entry.contact, entry.id, entry.state)

    def is_known(self, entry: EntryView) -> bool:
        """Whether the entry was printed as it is, or is older than this run."""
        filled = entry.id in self._missing and entry.kind is not EntryKind.MISSING
        return entry.id in self._states.get(entry.contact, ()) and not filled

    def _know_entry(self, entry: EntryView) -> None:
        self._missing.discard(entry.id)
        if entry.kind is EntryKind.MISSING:
            self._missing.add(entry.id)
        self._know(entry.contact, entry.id, entry.state)

    def _know(self, contact: str, entry_id: str, state: EntryState) -> None:
        known = self._states.setdefault(contact, {})
        known[entry_id] = state
        if len(known) > KNOWN_MAX:
            oldest = next(iter(known))
            del known[oldest]
            self._missing.discard(oldest)

    def print(self, event: Event) -> None:
        """Print an event. One that cannot be printed is named on standard error, and ends nothing."""
        self._contain(event, self._print)

    def _contain(self, what: T, work: Callable[[T], None]) -> None:
        contained(what, work, lambda: self._call.verbose)

    def _print(self, event: Event) -> None:
        match event:
            case Ready(addresses) if addresses != self._addresses:
                self._ready(addresses)
            case EntryAdded(entry) | EntryFilled(entry) if not self.is_known(entry):
                self._entry(entry)
            case EntriesConflict(contact, terminal, ids):
                self._conflict(contact, terminal, ids)
            case EntriesMarked(contact):
                label = self._label(contact)
                said = f"{label}: other messages than before are marked as from a removed device"
                self._call.result({"event": "marks", "conversation": label}, said)
            case EntryEdited(entry):
                self._edited(entry)
            case FileProgress():
                self._file(event)
            case EntryDeleted(contact, entry_id, deleted_by, expired):
                self._deleted(contact, entry_id, deleted_by, expired=expired)
            case EntryChanged(contact, entry_id, state):
                self._state(contact, entry_id, state)
            case ContactChanged(view):
                self._contact(view)
            case ContactRemoved(person, _):
                self._contacts.pop(person, None)
                self._missing -= self._states.pop(person, {}).keys()
            case IdentityChanged(person, _, cause):
                label = self._label(person)
                fields = {"event": "identity", "name": label, "person": person, "cause": cause}
                self._call.result(fields, f"{label}: {one_line(cause)}")
            case QuestionsChanged(questions):
                self.asked(questions)
            case OwnLogChanged(kind, operation, cause):
                fields = {"event": "own_identity", "kind": kind, "operation": operation, "cause": cause}
                self._call.result(fields, one_line(cause))
            case HistoryMoving():
                self._moving(event)
            case Notice(text):
                note(text)
            case AlertsChanged(alerts):
                for alert in alerts:
                    fields = {"event": "alert", "kind": alert.kind, "text": alert.text}
                    self._call.result(fields, one_line(alert.text))
            case PairingChanged(pairing) if pairing.stage is PairingStage.WORDS and pairing.incoming:
                note(f"{pairing.peer} wants to pair: run 'parlour pair' here, then ask them to try again.")
            case PairingChanged(pairing) if pairing.stage is PairingStage.JOINER:
                note(
                    f"{pairing.peer} used your invitation and waits for a yes: 'parlour invite' asks for it."
                    " If that has ended, run it again and give them the new invitation."
                )

    def asked(self, questions: tuple[QuestionView, ...]) -> None:
        """Print the open questions about the own identity, where they are others than before."""
        if questions == self._asked:
            return
        self._asked = questions
        operations = [one.operation for one in questions]
        fields = {"event": "questions", "operations": operations}
        asked = "Your identity has changed, and not by this device. Was that you? See 'parlour verify --own'."
        self._call.result(
            fields, asked if operations else "You have confirmed every change of your identity."
        )

    def _moving(self, event: HistoryMoving) -> None:
        """A person reads a line for each tenth of a move of history, a program all."""
        tenth = 10 * event.held // max(event.total, 1) if event.moves else -1
        if tenth == self._tenth and not self._call.json:
            return
        self._tenth = tenth
        said = f"History from {one_line(event.source)}: {event.held:,} of {event.total:,}"
        if not event.moves and event.held < event.total:
            said += ", and the rest with the next link"
        numbers = {"held": event.held, "total": event.total, "moves": event.moves}
        self._call.result({"event": "history", "source": event.source, **numbers}, said)

    def _ready(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses
        fields = {"event": "ready", "addresses": list(addresses)}
        self._call.result(fields, f"Listening on {', '.join(addresses)}")

    def _state(self, contact: str, entry_id: str, state: EntryState) -> None:
        self._know(contact, entry_id, state)
        label = self._label(contact)
        fields = {"event": "state", "id": entry_id, "conversation": label, "state": state.value}
        self._call.result(fields, f"{entry_id[:SHORT_ID]} is {state.value}")

    def _conflict(self, contact: str, terminal: str, ids: tuple[str, ...]) -> None:
        label = self._label(contact)
        fields = {"event": "conflict", "conversation": label, "terminal": terminal, "ids": list(ids)}
        named = ", ".join(entry_id[:SHORT_ID] for entry_id in ids)
        said = f"{label}: messages of device {terminal[:SHORT_ID]} conflict with each other: {named}"
        self._call.result(fields, said)

    def _entry(self, entry: EntryView) -> None:
        self._know_entry(entry)
        if entry.file is not None:
            self._know_file(entry.id, entry.file)
        label = self._label(entry.contact)
        fields = {"event": "entry", **entry_fields(entry), "conversation": label}
        self._call.result(fields, entry_line(entry, label) + self._named(entry))

    def _named(self, entry: EntryView) -> str:
        answers = f" answers {entry.reply[:SHORT_ID]}" if entry.reply else ""
        return f"  #{entry.id[:SHORT_ID]}{answers}" if self._ids else ""

    def _file(self, event: FileProgress) -> None:
        """A person reads when something else is done with a file than was said, a program all."""
        before = self._files.get(event.id)
        if before is event.file.state and not self._call.json:
            return
        self._know_file(event.id, event.file)
        label = self._label(event.contact)
        fields = {"event": "file", "id": event.id, "conversation": label, **file_fields(event.file)}
        self._call.result(fields, f"{label}: {event.id[:SHORT_ID]} {file_text(event.file)}")

    def _know_file(self, entry_id: str, file: FileView) -> None:
        self._files[entry_id] = file.state
        if len(self._files) > KNOWN_MAX:
            del self._files[next(iter(self._files))]

    def _edited(self, entry: EntryView) -> None:
        label = self._label(entry.contact)
        fields = {"event": "edited", **entry_fields(entry), "conversation": label}
        self._call.result(fields, entry_line(entry, label) + self._named(entry))

    def _deleted(self, contact: str, entry_id: str, by: DeletedBy, *, expired: bool) -> None:
        label = self._label(contact)
        fields = {"event": "expired" if expired else "deleted", "id": entry_id, "conversation": label}
        said = "has expired" if expired else f"was {UNSHOWN[by]}"
        self._call.result(
            fields | ({} if expired else {"deleted_by": by}), f"{label}: {entry_id[:SHORT_ID]} {said}"
        )

    def _contact(self, view: ContactView) -> None:
        before = self._contacts.get(view.person)
        self._contacts[view.person] = view
        if view.present != (before is not None and before.present):
            self._peer(view)
        if view.held != (before is not None and before.held):
            self._held(view)

    def _held(self, view: ContactView) -> None:
        label = self._label(view.person)
        said = held_line(label, view) if view.held else f"Messages to {label} are sent again."
        fields = {"event": "held", "name": label, "person": view.person, "held": view.held}
        fields["unvouched"] = view.unvouched
        self._call.result(fields, said)

    def _peer(self, view: ContactView) -> None:
        label = self._label(view.person)
        fields = {"event": "peer", "name": label, "person": view.person, "present": view.present}
        self._call.result(fields, f"{label} is {'online' if view.present else 'offline'}")

    def _label(self, person: str) -> str:
        return label_among(self._contacts.values(), person)


def print_contact(
    call: Call, label: str, view: ContactView, everybody: Sequence[ContactView], last: EntryView | None
) -> None:
    """Print a contact as `contacts` lists it. `everybody`: the contacts; `last`: the newest entry with it."""
    words = ["verified" if view.verified else "not verified", "online" if view.present else "offline"]
    words += ["through a relay"] if view.relayed else []
    words += ["bot"] if view.bot else []
    words += ["pinned"] if view.pinned else []
    words += ["muted"] if view.muted else []
    words += ["blocked"] if view.blocked else []
    why = "only a removed device paired" if view.unvouched else "identity changed"
    words += [f"{why}: nothing is sent"] if view.held else []
    words += [f"last connected {timestamp(view.seen)}"] if view.seen and not view.present else []
    words += [f"calls itself {one_line(view.called)}"] if view.called not in ("", view.name) else []
    others = [label_among(everybody, person) for person in view.same_key]
    words += [f"the same device key as {other}" for other in others]
    fields = {
        "name": label,
        "person": view.person,
        "called": view.called,
        "verified": view.verified,
        "present": view.present,
        "seen": timestamp(view.seen) if view.seen is not None else None,
        "held": view.held,
        "unvouched": view.unvouched,
        "same_key": others,
        "pinned": view.pinned,
        "muted": view.muted,
        "bot": view.bot,
        "commands": command_fields(view.commands),
        "unread": view.unread,
        "last": None if last is None else _last_fields(last),
    }
    if view.past:
        fields["past"] = True
        call.result(fields, f"was {label}  (from a backup: pair again)")
        return
    call.result(fields, f"{label}  ({', '.join(words)})")


def command_fields(commands: Iterable[BotCommand]) -> list[dict[str, str]]:
    """The commands of a bot, as JSON has them."""
    return [{"name": one.name, "description": one.description} for one in commands]


def _last_fields(entry: EntryView) -> dict[str, object]:
    """The last entry of a conversation, as `contacts --json` has it."""
    return {
        "id": entry.id,
        "time": timestamp(entry.time),
        "own": entry.own,
        "kind": entry.kind,
        "text": entry.text,
        "reply": entry.reply,
    }
