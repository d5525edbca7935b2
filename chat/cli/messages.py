"""The commands about entries: send, listen, history."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Coroutine, Iterable
from contextlib import aclosing, suppress
from math import inf
from pathlib import Path
from typing import Any, Final

import click

from chat.cli.asking import Lines, entry_named
from chat.cli.completing import ENTRY, TALK
from chat.cli.giving import ToSend, check_input, give, naming_original, to_send
from chat.cli.limits import limited
from chat.cli.notices import Herald, configuration, outside
from chat.cli.output import (
    KEPT,
    block,
    exit_status,
    find,
    held_line,
    highlighted,
    label_among,
    note,
    one_line,
    talks,
    timestamp,
)
from chat.cli.session import TEXT, Call, Feed, command, coroutine, messenger, until_stopped
from chat.cli.terminal import STDIN
from chat.interface import (
    AlertsChanged,
    CannotCreate,
    Closed,
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntriesConflict,
    EntriesMarked,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryState,
    EntryView,
    Event,
    FileProgress,
    FileState,
    FileSupplied,
    FileView,
    HistoryMoving,
    IdentityChanged,
    Level,
    Messenger,
    Notice,
    NotPermitted,
    OutcomeUnknown,
    Outside,
    OwnLogChanged,
    PairingChanged,
    PairingStage,
    ParlourError,
    QuestionsChanged,
    QuestionView,
    Ready,
    SelfView,
    TerminalState,
    TerminalView,
    Unreachable,
    UsageError,
    length_text,
    notes_view,
    parse_query,
    pattern,
    size_text,
    timer_text,
)

DELETED = "deleted"
EXPIRED = "expired"
GONE: Final = frozenset({DELETED, EXPIRED})
MISSING = "missing"
ELSEWHERE: Final = "elsewhere"
CUT = "cut"
UNKNOWN = "unknown"
TIMER = "timer"
BOT = "bot"
_CONFLICTING: Final = "conflicts with another message"
_QUARANTINED: Final = "from a removed device, perhaps written after its removal"
_CLAIMED: Final = {
    "contact": "says that you wrote this",
    "device": "another device of yours says that you wrote this",
}
_EDITED: Final = "edited"
_UNSHOWN: Final = {
    MISSING: "not here yet",
    CUT: "removed a device",
    UNKNOWN: "written by a newer Parlour",
    "author": "deleted by its author",
    "mine": "deleted on all your devices",
    "here": "deleted here",
}

KNOWN_MAX = 1024
"""Entries of each conversation that a printer knows by id. Contacts fill it, and the oldest goes first."""

SHORT_ID = 8  # digits of an entry's id that a line to read shows
PAGE: Final = 200  # entries per request, so that a long history is never in memory as a whole
HELD: Final = 32
"""Newest entries of each conversation by which `listen` knows what another engine stored without it."""


FILE: Final = click.Path(path_type=Path, exists=True, allow_dash=True)
NEW_FOLDER: Final = click.Path(path_type=Path, file_okay=False, resolve_path=True)
FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True)


ARRIVED: Final = frozenset({EntryState.DELIVERED, EntryState.READ})


def entry_fields(entry: EntryView) -> dict[str, object]:
    """The fields of `history --json`."""
    return {
        "id": entry.id,
        "contact": entry.contact,
        "author": entry.author,
        "own": entry.own,
        "time": timestamp(entry.time),
        "kind": entry.kind,
        "text": entry.text,
        "reply": entry.reply,
        "state": entry.state.value,
        "conflicting": entry.conflicting,
        "quarantined": entry.quarantined,
        "claimed": entry.claimed,
        "edited": entry.edited,
        "deleted_by": entry.deleted_by,
        **({"file": file_fields(entry.file)} if entry.file is not None else {}),
        **({"kept_on": entry.kept_on} if entry.kind == ELSEWHERE else {}),
        **({"expires": timestamp(entry.expires)} if entry.expires is not None else {}),
        **({"timer": entry.seconds} if entry.kind == TIMER else {}),
        **({"bot": entry.bot, "commands": [one.name for one in entry.commands]} if entry.kind == BOT else {}),
    }


def entry_line(entry: EntryView, conversation: str = "", wanted: re.Pattern[str] | None = None) -> str:
    """An entry to read; further lines of its text are indented, and what is `wanted` is marked."""
    where = f"[{conversation}] " if conversation else ""
    marks = [_EDITED] if entry.edited else []
    marks += [entry.state.value] if entry.own else []
    marks += [_CONFLICTING] if entry.conflicting else []
    marks += [_QUARANTINED] if entry.quarantined else []
    marks += [_CLAIMED[entry.claimed]] if entry.claimed else []
    marks += [f"disappears {timestamp(entry.expires)}"] if entry.expires is not None else []
    state = f"  ({', '.join(marks)})" if marks else ""
    text = highlighted(block(entry.text, "    "), wanted)
    file = highlighted(file_text(entry.file), wanted) if entry.file else ""
    said = text if entry.kind == "text" else file or f"({_unshown(entry)})"
    return f"{timestamp(entry.time)}  {where}{one_line(entry.author)}: {said}{state}"


def file_fields(file: FileView) -> dict[str, object]:
    """What JSON says of a file. Only a file that is whole can be saved."""
    return {
        "name": file.name,
        "folder": file.folder,
        "media": file.media,
        "size": file.size,
        "state": file.state.value,
        "held": file.held,
        **({"last_known_on": file.kept_on} if file.kept_on else {}),
        **({"voice": file.seconds} if file.seconds else {}),
    }


_FILE_STATES: Final = {
    FileState.ASKS: "not taken: 'parlour save' takes it",
    FileState.TAKING: "is taken when it can be",
    FileState.DIRECT: "waits for a direct connection",
    FileState.PAUSED: "paused",
    FileState.WHOLE: "here",
    FileState.LET_GO: "not on this device: 'parlour save' takes it again",
    FileState.WITHHELD: "here, not given to others for now",
}


_FILE_NEWS: Final = {
    FileState.ASKS: "is not taken: 'parlour save' takes it",
    FileState.TAKING: "is taken",
    FileState.PAUSED: "is paused",
    FileState.WHOLE: "is here",
}


def file_text(file: FileView) -> str:
    """A file to read: its name, size, and where it stands."""
    held = f"{size_text(file.held)} of " if 0 < file.held < file.size else ""
    gone = file.state is FileState.LET_GO and file.kept_on
    state = _FILE_STATES[file.state] + (f"; last known on {one_line(file.kept_on)}" if gone else "")
    kind = f"voice message, {length_text(file.seconds)}" if file.seconds else "file"
    return f"[{kind}] {one_line(file.path)} ({held}{size_text(file.size)}, {state})"


def _unshown(entry: EntryView) -> str:
    if entry.kind == ELSEWHERE:
        return (
            f"not on this device: on {one_line(entry.kept_on)}" if entry.kept_on else "on no device of yours"
        )
    if entry.kind == BOT:
        names = ", ".join(f"/{one.name}" for one in entry.commands)
        return (f"is a bot with the commands {names}" if names else "is a bot") if entry.bot else "is no bot"
    if entry.kind != TIMER:
        return _UNSHOWN.get(entry.deleted_by or entry.kind, entry.kind)
    if not entry.seconds:
        return "switched the timer off: new messages stay"
    return f"set the timer: new messages disappear {timer_text(entry.seconds)} after they were read"


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
            self._contact(view)
        for entry in held:
            if not self.is_known(entry):
                self._entry(entry)
            elif entry.own and entry.state is not self._states[entry.contact][entry.id]:
                self._state(entry.contact, entry.id, entry.state)

    def is_known(self, entry: EntryView) -> bool:
        """Whether the entry was printed as it is, or is older than this run."""
        filled = entry.id in self._missing and entry.kind != MISSING
        return entry.id in self._states.get(entry.contact, ()) and not filled

    def _know_entry(self, entry: EntryView) -> None:
        self._missing.discard(entry.id)
        if entry.kind == MISSING:
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
        named, news = one_line(event.file.path), _FILE_NEWS[event.file.state]
        self._call.result(fields, f"{label}: {event.id[:SHORT_ID]} {named} {news}")

    def _know_file(self, entry_id: str, file: FileView) -> None:
        self._files[entry_id] = file.state
        if len(self._files) > KNOWN_MAX:
            del self._files[next(iter(self._files))]

    def _edited(self, entry: EntryView) -> None:
        label = self._label(entry.contact)
        fields = {"event": "edited", **entry_fields(entry), "conversation": label}
        self._call.result(fields, entry_line(entry, label) + self._named(entry))

    def _deleted(self, contact: str, entry_id: str, by: str, *, expired: bool) -> None:
        label = self._label(contact)
        fields = {"event": "expired" if expired else "deleted", "id": entry_id, "conversation": label}
        said = "has expired" if expired else f"was {_UNSHOWN[by]}"
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
        said = held_line(label) if view.held else f"Messages to {label} are sent again."
        fields = {"event": "held", "name": label, "person": view.person, "held": view.held}
        self._call.result(fields, said)

    def _peer(self, view: ContactView) -> None:
        label = self._label(view.person)
        fields = {"event": "peer", "name": label, "person": view.person, "present": view.present}
        self._call.result(fields, f"{label} is {'online' if view.present else 'offline'}")

    def _label(self, person: str) -> str:
        return label_among(self._contacts.values(), person)


SHUT_OUT: Final = (
    "No contact takes messages of this device: it was removed from your identity, or copied. Use another"
    " device of yours, or run 'parlour recovery use' and pair again with your contacts. The message waits."
)
MAYBE_SENT: Final = (OutcomeUnknown, Unreachable, NotPermitted)


@command("send")
@click.argument("name", type=TALK)
@click.argument("text", type=TEXT, nargs=-1)
@click.option("--file", "paths", type=FILE, multiple=True, metavar="PATH", help="Send this; repeatable.")
@click.option("--name", "named", type=TEXT, metavar="NAME", help="The name of the one file that is sent.")
@click.option("--original", is_flag=True, help="Send pictures with their metadata: place, time, camera.")
@click.option("--wait", type=click.FloatRange(0), default=5.0, metavar="SECONDS", show_default=True)
@click.option("--id", "send_id", type=TEXT, metavar="ID", help="Send nothing where ID was used before.")
@click.option("--reply-to", type=ENTRY, metavar="ID", help="Answer the message with this id.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="KIB", help="Send files at KIB a second until this ends."
)
@coroutine
async def send(
    call: Call,
    name: str,
    text: tuple[str, ...],
    paths: tuple[Path, ...],
    named: str | None,
    original: bool,
    wait: float,
    send_id: str | None,
    reply_to: str | None,
    limit: int | None,
) -> int | None:
    """Send TEXT, or files, or both to the contact NAME.

    If TEXT is -, the text comes from standard input. The NAME notes stands for yourself: your notes are on
    your devices only, whatever a contact is called.

    With --reply-to the text answers a message, whose ID 'parlour history NAME --json' shows; the first 6
    digits of a recent one are enough.

    A repeat with the same --id is harmless: a message is sent once per contact and ID. Without --id, Parlour
    draws one, and prints it where it does not know whether the message was stored.

    A file goes with --file PATH, which may stand several times. Each is a message of its own, after the text.
    The command waits while a device of the contact takes it; who wants it later takes it while Parlour is
    open here. With --id a repeat sends no file twice.

    A folder is sent as its files, at most 1,000, each a message of its own; saving makes the folder again.
    Hidden files go too. Symbolic links below it are left out. If PATH is -, the file comes from standard
    input, is sealed as it comes and never stored in plain, and --name names it:

    \b
      tar c photos | parlour send --file - --name photos.tar NAME

    What a PNG, JPEG, GIF or WebP picture says besides itself, such as its place, time, camera and comments,
    is left out; with --original it stays. Other kinds of files are sent as they are.

    Status 0: a device of the contact has the message, and all of each file. Status 75: it waits until the
    contact is online, or until you compare the contact's identity, which has changed, or the contact has not
    taken a file yet. A note is stored with status 0.
    """
    if not text and not paths:
        raise UsageError("There is nothing to send: write some text, or name a file with --file PATH.")
    if reply_to is not None and not text:
        raise UsageError("Only a text answers a message: give one.")
    check_input(call.lines, text, paths, named)
    drawn = send_id or secrets.token_hex(16)
    async with messenger(call) as opened, naming_original(drawn):
        label, contact = find(await talks(opened), name)
        files = await asyncio.to_thread(to_send, paths, named)
        devices = await opened.terminals()
        words = call.lines.rest().removesuffix("\n") if text == (STDIN,) else " ".join(text)
        if not text:
            async with limited(opened, limit) as lasts:
                wait = wait and wait + lasts
                return await send_files(call, opened, label, contact, files, wait, drawn, original=original)
        reply = (await entry_named(opened, label, contact, reply_to)).id if reply_to else ""
        async with aclosing(Feed(opened)) as events:
            try:
                entry = await opened.send(contact.person, words, reply, drawn)
            except MAYBE_SENT as failure:
                if isinstance(failure, NotPermitted) and _is_removed(devices):
                    raise  # nothing was sent, and no repeat sends it
                kind = next(one for one in MAYBE_SENT if isinstance(failure, one))
                raise kind(f"{failure} Add --id {drawn} to send it again, but not twice.") from failure
            state = await state_within(opened, events, entry, within(wait, contact, devices))
        fields = {"id": entry.id, "state": state.value, "conversation": label, "reply": entry.reply}
        call.result(fields, f"To {label}: {state.value}")
        waits = f"The message waits until {label} is online: leave Parlour open, or run 'parlour listen'."
        status = kept(state, devices, contact, held_line(label), waits)
        if not files:
            return status
        async with limited(opened, limit) as lasts:
            wait = wait and wait + lasts
            some = await send_files(call, opened, label, contact, files, wait, drawn, original=original)
        return some or status


async def send_files(
    call: Call,
    opened: Messenger,
    label: str,
    contact: ContactView,
    files: Iterable[ToSend],
    wait: float,
    send_id: str,
    *,
    original: bool = False,
) -> int | None:
    """Send files one after the other, each until it is taken; after one that is not, nothing waits."""
    status: int | None = None
    for file in files:
        async with aclosing(Feed(opened)) as events:
            one = f"{send_id[: 63 - len(file.mark)]}/{file.mark}"
            entry = await give(opened, call.lines, contact, file, one, original=original)
            devices = await opened.terminals()
            taken = await taken_within(events, entry, 0 if status else within(wait, contact, devices))
            now = await opened.entry(contact.person, entry.id) or entry
        fields = {"id": entry.id, "state": now.state.value, "conversation": label, "taken": taken}
        size = size_text(entry.file.size) if entry.file is not None else ""
        named = one_line(entry.file.path) if entry.file is not None else file.named
        said = "taken" if taken else now.state.value
        call.result(fields, f"To {label}: {named}, {size}: {said}")
        if not taken and not contact.notes and status is None:
            note(f"{label} takes {named} while Parlour is open here: leave it open, or run 'parlour listen'.")
            status = KEPT
    return status


async def taken_within(events: Feed, entry: EntryView, wait: float) -> bool:
    """Whether a terminal takes all of a file. Waits while it does, and so many seconds for its next part."""
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(wait):
                event = await events.next()
                while not (isinstance(event, FileSupplied) and event.id == entry.id):
                    if isinstance(event, Closed):
                        return False
                    event = await events.next()
                if event.done:
                    return True
    return False


def _is_removed(devices: Iterable[TerminalView]) -> bool:
    return any(view.this and view.state is TerminalState.REMOVED for view in devices)


def kept(
    state: EntryState, devices: Iterable[TerminalView], contact: ContactView, held: str, waits: str
) -> int | None:
    """The status for an entry in a state, and a note that says why it waits."""
    if state in ARRIVED or contact.notes:
        return None
    if not any(view.this and view.state is TerminalState.LIVE for view in devices):
        note(SHUT_OUT)
    elif contact.held:
        note(f"{held} Use 'parlour verify', or pair again by words.")
    else:
        note(waits)
    return KEPT


def within(wait: float, contact: ContactView, devices: Iterable[TerminalView]) -> float:
    """Seconds to wait for a state: a note of a person without another device has its last one at once."""
    others = any(one.state is TerminalState.LIVE and not one.this for one in devices)
    return wait if others or not contact.notes else 0


async def state_within(opened: Messenger, events: Feed, entry: EntryView, wait: float) -> EntryState:
    """The state of the entry when it has arrived, or when the time is over."""
    state = entry.state
    try:
        async with asyncio.timeout(wait):
            while state not in ARRIVED:
                event = await events.next()
                if isinstance(event, EntryChanged) and event.id == entry.id:
                    state = event.state
                elif isinstance(event, Ready):  # of another engine, and what the one before did is stored
                    held = await opened.entry(entry.contact, entry.id)
                    state = held.state if held is not None else state
                elif isinstance(event, Closed):
                    break
    except TimeoutError:
        return state
    except Exception as failure:  # noqa: BLE001 - the entry is committed: nothing may hide its id and state
        exit_status(failure, verbose=False)
    return state


@command("listen")
@click.option(
    "--save", "folder", type=NEW_FOLDER, metavar="FOLDER", help="Save each file that comes into it."
)
@click.option("--house", is_flag=True, help="Print no messages and no names, for a device that is always on.")
@click.option("--commands", is_flag=True, help="Take commands from standard input, one a line.")
@click.option(
    "--notify",
    type=click.Choice([level.value for level in Level]),
    help="Notify of messages: that one came, from whom, or with the text too.",
)
@coroutine
async def listen(call: Call, house: bool, commands: bool, folder: Path | None, notify: str | None) -> None:
    """Run without interface and print what happens.

    If another command stops the engine that this one uses, it continues with the next or starts its own.

    With --house this device receives messages and passes them on between your other devices and your
    contacts. It prints only what its owner must know about the device.

    With --save each file of a contact is written into FOLDER as soon as all of it is here. FOLDER is made,
    for you alone, where it is missing.

    With --commands each line of standard input is a command, and quit or the end of the input ends it:

    \b
      send NAME TEXT
      reply NAME ID TEXT    ID: of 'listen', at least 6 digits
      read NAME [ID]...     without an ID, all that came so far
      quit

    A NAME with spaces is in quotation marks. What is printed is only ever added to, in whole lines.

    With --notify you are notified of messages of contacts that are not muted, at most once in a burst, and of
    a text with @ and your name by itself. The program that the configuration names gets each as JSON on its
    standard input: notify = ["program", "argument"] in config.toml. Without one, the terminal or the desktop
    shows it. A notification is closed when you read the conversation on another device.
    """
    if house and folder is not None:
        raise UsageError("A house device saves no files: use --save without --house.")
    if house and commands:
        raise UsageError("A house device takes no commands: use --commands without --house.")
    if house and notify is not None:
        raise UsageError("A house device notifies of nothing: use --notify without --house.")
    way = outside() if notify is not None else None
    if notify is not None and way is None:
        raise UsageError(NO_WAY.format(path=configuration()))
    if folder is not None:
        await asyncio.to_thread(_make, folder)
    await until_stopped(
        _serve_as_house(call)
        if house
        else _listen(call, folder, commands, Level(notify or Level.NOTHING), way)
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        why = failure.strerror or "an error of the disk"
        raise CannotCreate(f"{folder} cannot be made ({why}): choose another folder.") from failure


NO_WAY: Final = (
    "Nothing here shows notifications: there is no desktop, and the terminal is not known to. Name a program"
    ' in {path}: notify = ["program"]'
)
ALONE: Final = (
    "You have no other device yet: run 'parlour terminal add' here and 'parlour terminal link' on the other."
)


HOUSE: Final = (Ready, Notice, AlertsChanged, QuestionsChanged, OwnLogChanged)
"""What a house device prints. It may receive a whole history, of which nothing is printed."""


async def _serve_as_house(call: Call) -> None:
    """What is printed may end in a system's journal, which others can read."""
    async with messenger(call, patience=inf) as opened, aclosing(Feed(opened, HOUSE)) as events:
        printer = Printer(call, await opened.me(), (), ())
        printer.begin()
        printer.asked(await opened.questions())
        if not any(not one.this and one.state is TerminalState.LIVE for one in await opened.terminals()):
            note(ALONE)
        while not isinstance(event := await events.next(), Closed):
            printer.print(event)
        note(f"The engine has stopped ({event.reason}).")


async def _save(call: Call, opened: Messenger, event: FileProgress, folder: Path) -> None:
    """Save a file that has come. A failure is said, and ends nothing."""
    try:
        path = await opened.save_file(event.contact, event.id, str(folder))
    except ParlourError as failure:
        note(f"{one_line(event.file.path)} was not saved: {failure}")
    else:
        call.result({"event": "saved", "id": event.id, "path": path}, f"Saved {one_line(path)}")


async def _listen(call: Call, folder: Path | None, commands: bool, level: Level, way: Outside | None) -> None:
    async with messenger(call, patience=inf) as opened, aclosing(Feed(opened)) as events:
        me = await opened.me()
        contacts = (*await opened.contacts(), notes_view(me))
        held = [entry for view in contacts for entry in await opened.history(view.person, HELD)]
        printer = Printer(call, me, contacts, held, ids=commands)
        printer.begin()
        printer.asked(await opened.questions())
        herald = Herald(level, way, me.name, call.turn) if way is not None else None
        if herald is not None:
            herald.know(contacts)
        works = [_print_all(call, opened, events, printer, folder, herald)]
        works += [Lines(call, opened).obey()] if commands else []
        try:
            await _until_one_ends(works)
        finally:
            if herald is not None:
                await herald.end()


async def _print_all(
    call: Call,
    opened: Messenger,
    events: Feed,
    printer: Printer,
    folder: Path | None,
    herald: Herald | None,
) -> None:
    while not isinstance(event := await events.next(), Closed):
        printer.print(event)
        if herald is not None:
            herald.heed(event)
        if folder is not None and isinstance(event, FileProgress) and event.file.state is FileState.WHOLE:
            await _save(call, opened, event, folder)
        if isinstance(event, Ready):
            with suppress(NotPermitted):  # locked meanwhile: `Closed` follows
                await _resume(opened, printer)
    if herald is not None and event.locked:
        herald.locked()
    note(f"The engine has stopped ({event.reason}): nothing more is printed.")


async def _until_one_ends(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all works until one has ended, which ends the others. Raises what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _resume(opened: Messenger, printer: Printer) -> None:
    """Print what happened between two engines, of which this command had no events."""
    contacts = await talks(opened)
    missed: list[EntryView] = []
    for view in contacts:
        entries = page = await opened.history(view.person, HELD)
        while page and not any(map(printer.is_known, page)):
            page = await opened.history(view.person, HELD, page[0].id)
            entries = page + entries
        missed += entries
    printer.resume(contacts, missed)
    printer.asked(await opened.questions())


@command("history")
@click.argument("name", type=TALK, required=False)
@click.option("--search", type=TEXT, metavar="WORDS", help="Only messages that match, see above.")
@click.option("--limit", type=click.IntRange(1), default=100, metavar="N", show_default=True)
@coroutine
async def history(call: Call, name: str | None, search: str | None, limit: int) -> None:
    """Print the newest entries with NAME, oldest first.

    Without NAME, --search covers all conversations. It finds messages with all the WORDS: whole words in any
    order, case aside. Chinese, Japanese and Korean text is found by any part of it. A file is found by its
    name and those of its folders.

    \b
      meet*                the beginning of a word
      "good morning"       a phrase, with its quotation marks
      from:NAME  from:me   who wrote it
      in:NAME              the conversation; in:notes your notes
      before:DATE          before that day, month or year began
      after:DATE           after it ended

    A DATE is 2026, 2026-11 or 2026-11-25. A NAME with spaces is in quotation marks, as in from:"Ada L".
    """
    if name is None and search is None:
        raise UsageError("Name a contact, or search all conversations with --search WORDS.")
    async with messenger(call, offline=True) as opened:
        contacts = await talks(opened)
        person = find(contacts, name)[1].person if name is not None else None
        entries: tuple[EntryView, ...] = ()
        wanted = pattern(parse_query(search or "").terms)
        if search is not None:
            entries = await opened.search(search, person, limit)
            if elsewhere := (await opened.retention()).elsewhere:
                note(f"Not on this device, and not searched: {elsewhere}. 'parlour terminal keep' says more.")
        elif person is not None:
            while len(entries) < limit:
                before = entries[0].id if entries else None
                page = await opened.history(person, min(PAGE, limit - len(entries)), before)
                if not page:
                    break
                entries = page + entries
        for entry in entries:
            conversation = label_among(contacts, entry.contact) if person is None else ""
            call.result(entry_fields(entry), entry_line(entry, conversation, wanted))
        if not entries:
            call.nothing(
                "No message was found." if search is not None else f"There are no messages with {name} yet."
            )
