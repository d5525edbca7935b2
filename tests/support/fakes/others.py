"""The people around a fake `Messenger`, played by the test without randomness or a clock."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from hashlib import sha256
from inspect import iscoroutinefunction, signature
from itertools import count
from typing import Any, TypeVar

from msgspec.structs import replace

from chat.errors import Phrase, phrase
from chat.interface import (
    NOTES_NAME,
    AddedView,
    AlertKind,
    AlertsChanged,
    AlertView,
    BotCommand,
    BotView,
    Cleaned,
    Cleaning,
    Closed,
    ContactChanged,
    ContactView,
    DeletedBy,
    DetailsView,
    DiagnosisView,
    EngineEnded,
    EntriesConflict,
    EntriesKept,
    EntriesMarked,
    EntriesMoved,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryKind,
    EntryReturned,
    EntryState,
    EntryView,
    Event,
    HistoryMoving,
    IdentityChanged,
    InvitationUsed,
    LinkingChanged,
    LinkingStage,
    LinkingView,
    Messenger,
    NearbyChanged,
    NearbyView,
    NotesPinned,
    Notice,
    NotPermitted,
    OwnLogChanged,
    PairingChanged,
    PairingStage,
    PairingView,
    ParlourError,
    Query,
    QuestionsChanged,
    QuestionView,
    ReceiptView,
    RelayChanged,
    RelayStanding,
    RelayView,
    RetentionView,
    SelfView,
    SettingsView,
    TerminalState,
    TerminalView,
    Unconfirmed,
    UsageError,
    VerificationView,
    VersionView,
    VisibilityChanged,
    notes_view,
)
from chat.looks import label, look, looks_same, telling
from chat.service.alerts import view as alert_view
from chat.service.keyring import ASKS
from chat.storage.alerts import AlertRow
from chat.storage.entries import spaced
from protocol.relay.rendezvous import parse_relay

INVITATION = "parlour:fake-invitation-"
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
_CLOSED = phrase(
    "{program} {does} on {interface}: {rule}",
    program="iptables",
    does=phrase("keeps TCP port {port} closed to others", port=4747),
    interface="eth0",
    rule="policy of INPUT: drop",
)
_OPENS = Phrase("iptables -I INPUT -p tcp --dport 4747 -j ACCEPT")
DIAGNOSIS: tuple[DiagnosisView, ...] = (
    DiagnosisView(phrase("network"), True, Phrase("eth0: 192.168.1.20")),
    DiagnosisView(phrase("firewall"), False, _CLOSED, _OPENS),
)
OWN_PERSON = "own"
UNSAID = ("reply", "after", "typing", "voice", "client", "turn")
"""Parameters that are recorded only where a client gives them."""
DRAWN = "send_id"
"""A parameter for which clients draw a value."""

T = TypeVar("T")
WORDS = ("harbour", "violin", "pepper", "marble", "orchard")
DIGITS = ("104", "240", "007", "141", "192")
_HEADER_BYTES = 300
_RECEIPTS = (EntryState.DELIVERED, EntryState.READ)


def identity(label: str) -> str:
    """A stable id of 64 hex digits."""
    return sha256(label.encode("utf-8", "surrogatepass")).hexdigest()


def matches(query: Query, entry: EntryView, named: Callable[[str], set[str]]) -> bool:
    """Whether an entry is what a query asks for, as the engine's index has it. `named`: who a name means."""
    held = f" {_plain(entry.file.path if entry.file is not None else entry.text)} "
    words = all(f" {_plain(one.text)}{'' if one.prefix else ' '}" in held for one in query.terms)
    after = query.since is None or entry.time >= query.since
    before = query.until is None or entry.time < query.until
    author = OWN_PERSON if entry.own else entry.contact
    by = not query.authors or any(author in named(name) for name in query.authors)
    where = not query.conversations or any(entry.contact in named(name) for name in query.conversations)
    return entry.kind in ("text", "file") and query != Query() and words and after and before and by and where


def _plain(text: str) -> str:
    bare = "".join(char for char in unicodedata.normalize("NFD", spaced(text)) if char.isprintable())
    return " ".join(re.findall(r"\w+", re.sub("[\u0300-\u036f]", "", bare)))


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    arguments: tuple[object, ...]


class Subscription:
    """One client's stream of events, open from the moment it is asked for."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._ended = False

    def put(self, event: Event) -> None:
        self._queue.put_nowait(event)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        if self._ended:
            raise StopAsyncIteration
        event = await self._queue.get()
        self._ended = isinstance(event, Closed)
        return event


@dataclass(slots=True)
class Conversation:
    entries: list[EntryView] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    rivals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    uncovered: set[str] = field(default_factory=set)
    never_read: set[str] = field(default_factory=set)  # deleted before
    changes: dict[str, EntryView] = field(default_factory=dict)  # edits and deletes
    versions: dict[str, list[VersionView]] = field(default_factory=dict)

    def index(self, entry: str) -> int:
        ids = [held.id for held in self.entries]
        if entry not in ids:
            raise UsageError(phrase("There is no such entry in this conversation."))
        return ids.index(entry)

    def ranked(self) -> Iterator[tuple[datetime, EntryView]]:
        """Each entry with its rank (SPEC §11.3): its time, but after the one before."""
        place = datetime.min.replace(tzinfo=UTC)
        for entry in self.entries:
            place = max(entry.time, place + timedelta(milliseconds=1))
            yield place, entry


def recorded(kind: type[T]) -> type[T]:
    """Make every call of the interface pass through `_enter`, with its arguments in order."""

    def enters(name: str, method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        @wraps(method)
        async def call(self: Others, *arguments: object, **named: object) -> object:
            given = signature(method).bind(self, *arguments, **named)
            given.apply_defaults()
            _, *taken = given.arguments.items()
            said = [(key, value) for key, value in taken if key != DRAWN and (value or key not in UNSAID)]
            if send_id := given.arguments.get(DRAWN):
                self.send_ids.append(send_id)
            self._enter(name, *(value for _, value in said))
            return await method(*given.args, **given.kwargs)

        return call

    for name, method in vars(Messenger).items():
        if iscoroutinefunction(method) and name != "close":
            setattr(kind, name, enters(name, getattr(kind, name)))
    return kind


def alert(kind: AlertKind) -> AlertView:
    """An alert as an engine words it."""
    found = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
    return alert_view(AlertRow(kind, int(found.timestamp() * 1_000), 7))


class Others:
    """Contacts, strangers and entries, moved by the test. With `prompt`, the others answer at once."""

    def __init__(self, name: str = "Ann", *, prompt: bool = True, visible: bool = False) -> None:
        self.prompt = prompt
        self.calls: list[Call] = []
        self.backups: list[str] = []
        self.failures: dict[str, ParlourError] = {}
        self.send_ids: list[str] = []  # of every call of `send`
        self._sent_with: dict[tuple[str, str, str], EntryView] = {}
        self.other_terminals: tuple[TerminalView, ...] = ()
        self.senior_terminals: tuple[TerminalView, ...] = ()
        self.device_name = ""  # this device has one where another one added it
        self.words_replaced = False
        self.added: tuple[AddedView, ...] = ()
        self.paired_by_others: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self.device_nearby = True
        self.linking = LinkingView("", LinkingStage.FAILED)
        self.diagnosis = DIAGNOSIS
        self.invitation_head = INVITATION
        self.invitation_tail = ""  # makes an invitation as long as a real one
        self.invited = ""  # the newest invitation
        self.inviter = "Inviter"  # whom one meets by an invitation that one was given
        self.closed, self.locked = False, True
        self.uncleaned = False  # something deleted is still in the file
        ids = identity(f"person {name}"), identity(f"terminal {name}")
        self._me = SelfView(*ids, name, 4747, ("192.168.1.20:4747", "[fe80::1c2d]:4747"), visible)
        self._contacts: dict[str, ContactView] = {}
        self._called: dict[str, set[str]] = {}
        self._bot = BotView(False)
        self._declared: dict[str, tuple[BotCommand, ...] | None] = {}
        self._nearby: dict[str, NearbyView] = {}
        self._conversations: dict[str, Conversation] = {}
        self._pairings: dict[str, PairingView] = {}
        self._invitation_of: dict[str, str] = {}
        self._settings = SettingsView(read_receipts=True, typing=True)
        self._retention = RetentionView(0)
        self._old = set[str]()
        self._let_go = dict[str, EntryView]()
        self._preferences: dict[str, str] = {}
        self._relays: dict[str, RelayView] = {}
        self._questions: tuple[QuestionView, ...] = ()
        self._alerts: tuple[AlertView, ...] = ()
        self.verifications: dict[str, VerificationView] = {}
        self.passphrase = "correct horse"
        self._subscriptions: list[Subscription] = []
        self._numbers = count(1)
        self._arrived: dict[str, tuple[int, datetime]] = {}
        self._now = START

    def emit(self, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription.put(event)

    def add_contact(self, name: str, **marks: Any) -> ContactView:
        """A contact who was paired, with fields of its view as marks; announced."""
        person = identity(f"person {name} {next(self._numbers)}")
        view = ContactView(person, name, name, False, False, False, False, 0)
        self._contacts[person] = replace(view, **marks)
        self._conversations[person] = Conversation()
        self._label_again(person)
        self.emit(ContactChanged(self._contacts[person]))
        return self._contacts[person]

    def change_contact(self, person: str, **marks: Any) -> ContactView:
        """A contact comes, goes or types: fields of its view change. What waits for it is delivered."""
        view = replace(self._contacts[person], **marks)
        self._set_contact(view)
        if marks.get("present") and self.prompt:
            self._deliver(person)
        return view

    def pin_notes(self, *, on: bool = True) -> None:
        """This person pins its notes, here or on another device."""
        if self._me.notes_pinned != on:
            self._me = replace(self._me, notes_pinned=on)
            self.emit(NotesPinned(on))

    def receive(
        self,
        person: str,
        text: str,
        *,
        before: str | None = None,
        time: datetime | None = None,
        reply: str = "",
    ) -> EntryView | None:
        """An entry of a contact arrives, at the end or before a held entry; None from who is blocked."""
        contact = self._contacts[person]
        if contact.blocked:
            return None
        entry = self._entry(contact, text, own=False, time=time, reply=reply)
        conversation = self._conversations[person]
        at = conversation.index(before) if before else len(conversation.entries)
        conversation.entries.insert(at, entry)
        conversation.unread.add(entry.id)
        self.emit(EntryAdded(entry))
        self._count_unread(person)
        return entry

    def receive_alone(self, person: str, kind: EntryKind = EntryKind.MISSING) -> EntryView:
        """A contact's entry arrives without its content, or of a kind that a newer Parlour wrote."""
        entry = replace(self._entry(self._contacts[person], "", own=False, time=None), kind=kind)
        self._conversations[person].entries.append(entry)
        self.emit(EntryAdded(entry))
        return entry

    def edit_as_them(self, person: str, entry: str, text: str) -> EntryView:
        """A contact edits an entry."""
        conversation = self._conversations[person]
        at = conversation.index(entry)
        held = conversation.entries[at]
        change = self._entry(self._contacts[person], text, own=False, time=None)
        first = VersionView(entry, held.time, held.text)
        conversation.versions.setdefault(entry, [first]).append(VersionView(change.id, change.time, text))
        conversation.entries[at] = replace(held, text=text, edited=True, change=change.id)
        self.emit(EntryEdited(conversation.entries[at]))
        return conversation.entries[at]

    def delete_as_them(self, person: str, entry: str) -> EntryView:
        """A contact deletes an entry for everyone."""
        conversation = self._conversations[person]
        at = conversation.index(entry)
        gone = replace(conversation.entries[at], kind=EntryKind.DELETED, text="", reply="", edited=False)
        conversation.entries[at] = replace(
            gone, deleted_by=DeletedBy.AUTHOR, change=identity(f"delete of {entry}")
        )
        conversation.versions.pop(entry, None)
        self.emit(EntryDeleted(person, entry, deleted_by=DeletedBy.AUTHOR))
        self.uncleaned = True
        return conversation.entries[at]

    def move(self, person: str, entry: str) -> None:
        """What an entry follows came late, after the others: it moves there, to the end."""
        conversation = self._conversations[person]
        conversation.entries.append(conversation.entries.pop(conversation.index(entry)))
        self.emit(EntriesMoved(person))

    def cut(self, person: str) -> EntryView:
        """A contact removed a device, and says so in the conversation."""
        entry = replace(self._entry(self._contacts[person], "", own=False, time=None), kind=EntryKind.CUT)
        self._conversations[person].entries.append(entry)
        self.emit(EntryAdded(entry))
        return entry

    def time(self, person: str, seconds: int, *, own: bool = False) -> EntryView:
        """The contact, or this person, sets the timer of the conversation."""
        contact = self._contacts[person]
        entry = self._entry(contact, "", own=own, time=None)
        entry = replace(entry, kind=EntryKind.TIMER, seconds=seconds, expires=None)
        self._conversations[person].entries.append(entry)
        self._set_contact(replace(contact, timer=seconds))
        self.emit(EntryAdded(entry))
        return entry

    def declare(
        self, person: str, commands: tuple[BotCommand, ...] | None, *, own: bool = False
    ) -> EntryView:
        """The contact, or this person, declares to be a bot with these commands; None: to be none."""
        contact, bot, offered = self._contacts[person], commands is not None, commands or ()
        entry = self._entry(contact, "", own=own, time=None)
        entry = replace(entry, kind=EntryKind.BOT, bot=bot, commands=offered, expires=None)
        self._conversations[person].entries.append(entry)
        if not own:
            self._set_contact(replace(contact, bot=bot, commands=offered))
        self.emit(EntryAdded(entry))
        return entry

    def end(self, entry: EntryView) -> EntryView:
        """The timer of an entry ends."""
        conversation = self._conversations[entry.contact]
        over = replace(entry, kind=EntryKind.EXPIRED, text="", reply="", expires=None, edited=False)
        conversation.entries[conversation.index(entry.id)] = over
        conversation.unread.discard(entry.id)
        self.emit(EntryDeleted(entry.contact, entry.id, expired=True))
        self._count_unread(entry.contact)
        return over

    def complete(self, entry: EntryView, text: str) -> EntryView:
        """The content of an entry that was missing arrives."""
        conversation = self._conversations[entry.contact]
        whole = replace(entry, kind=EntryKind.TEXT, text=text)
        conversation.entries[conversation.index(entry.id)] = whole
        conversation.unread.add(entry.id)
        self.emit(EntryFilled(whole))
        self._count_unread(entry.contact)
        return whole

    def grow_old(self) -> None:
        """What is held now is too old for every choice but to keep all."""
        self._old = {entry.id for talk in self._conversations.values() for entry in talk.entries}

    def _names(self) -> dict[str, str]:
        return {one.terminal: one.name for one in self.other_terminals}

    def keep_days(self, days: int, keeper: str) -> RetentionView:
        """Let go of what is old and was read, where there is a keeper, or have it come back."""
        for person, talk in self._conversations.items():
            gone = [one for one in talk.entries if one.kind == "text" and one.id in self._old - talk.unread]
            for entry in gone if days and keeper else ():
                self._let_go[entry.id] = entry
                talk.entries[talk.index(entry.id)] = replace(
                    entry, kind=EntryKind.ELSEWHERE, text="", kept_on=self._names().get(keeper, "")
                )
                self.emit(EntriesKept(person))
            back = [one for one in talk.entries if one.id in self._let_go]
            for entry in () if days and keeper else back:
                talk.entries[talk.index(entry.id)] = returned = self._let_go.pop(entry.id)
                self.emit(EntryReturned(returned))
        self._retention = RetentionView(days, keeper, len(self._let_go))
        return self._retention

    def conflict(self, person: str, first: EntryView | None = None) -> tuple[str, ...]:
        """Two entries of a contact claim one place, of which the `first` may be held; returns their ids."""
        conversation = self._conversations[person]
        both = first or self.receive(person, "one"), self.receive(person, "the other")
        ids = tuple(entry.id for entry in reversed(both) if entry is not None)
        for name in ids:
            at = conversation.index(name)
            conversation.entries[at] = replace(conversation.entries[at], conflicting=True)
            conversation.rivals[name] = tuple(one for one in ids if one != name)
        self.emit(EntriesConflict(person, identity(f"terminal of {person}"), ids))
        return ids

    def pass_on(self, person: str, text: str) -> EntryView:
        """An entry of a contact arrives from another terminal of this person."""
        entry = self.receive(person, text)
        assert entry is not None
        self._conversations[person].uncovered.add(entry.id)
        return entry

    def claim(self, person: str, text: str, by: str = "contact", before: datetime | None = None) -> EntryView:
        """A contact, or another device, passes an entry that it says this person wrote."""
        entry = self._entry(self._contacts[person], text, own=False, time=None)
        entry = replace(entry, claimed=by, before=before)
        if by == "device":
            entry = replace(entry, author=self._me.name)
        self._conversations[person].entries.append(entry)
        self.emit(EntryAdded(entry))
        return entry

    def quarantine(self, person: str, text: str) -> EntryView:
        """An entry of a contact's removed terminal arrives."""
        contact, conversation = self._contacts[person], self._conversations[person]
        entry = replace(self._entry(contact, text, own=False, time=None), quarantined=True)
        conversation.entries.append(entry)
        conversation.unread.add(entry.id)
        self.emit(EntryAdded(entry))
        self._count_unread(person)
        return entry

    def leave_out(self, person: str) -> None:
        """A cut comes that leaves out all that a contact has written."""
        conversation = self._conversations[person]
        conversation.entries[:] = [
            replace(entry, quarantined=not entry.own) for entry in conversation.entries
        ]
        self.emit(EntriesMarked(person))

    def say_as_me(self, person: str, text: str, state: EntryState) -> EntryView:
        """An entry of this person from before, in a state; announced."""
        entry = replace(self._entry(self._contacts[person], text, own=True, time=None), state=state)
        self._conversations[person].entries.append(entry)
        self.emit(EntryAdded(entry))
        return entry

    def fill(self, person: str, texts: list[str], *, unread: int = 0, author: str = "") -> None:
        """Entries from before this client looked: received, not announced, read but for the last `unread`.

        `author`: what the contact was called at that time.
        """
        contact = self._contacts[person]
        contact = replace(contact, name=author or contact.name)
        conversation = self._conversations[person]
        conversation.entries.extend(self._entry(contact, text, own=False, time=None) for text in texts)
        if unread:
            conversation.unread.update(entry.id for entry in conversation.entries[-unread:])
            self._count_unread(person)

    def read(self, person: str) -> None:
        self._conversations[person].unread.clear()
        self._count_unread(person)

    def unread(self, person: str) -> frozenset[str]:
        return frozenset(self._conversations[person].unread)

    def set_state(self, person: str, entry: str, state: EntryState) -> None:
        conversation = self._conversations[person]
        if change := conversation.changes.get(entry):
            conversation.changes[entry] = replace(change, state=state)
        else:
            at = conversation.index(entry)
            conversation.entries[at] = replace(conversation.entries[at], state=state)
        self.emit(EntryChanged(person, entry, state))

    def see_stranger(self, name: str) -> NearbyView:
        view = NearbyView(f"instance-{next(self._numbers)}", name, **self._namesakes(name))
        self._nearby[view.instance] = view
        self.emit(NearbyChanged(tuple(self._nearby.values())))
        return view

    def lose_stranger(self, name: str) -> None:
        """Nobody of this name is visible any more."""
        self._nearby = {one: view for one, view in self._nearby.items() if view.name != name}
        self.emit(NearbyChanged(tuple(self._nearby.values())))

    def number(self, contact: str, branch: str = "") -> str:
        """The safety number with a contact, or that of another branch."""
        both = branch.join(sorted((self._me.person, contact)))
        digits = str(int(identity(both), 16))[:60].zfill(60)
        return " ".join(digits[at : at + 5] for at in range(0, 60, 5))

    def compared_with(self, contact: str) -> VerificationView:
        """What a contact's dialog shows."""
        if contact not in self._contacts:
            raise UsageError(phrase("There is no such contact."))
        if self._questions:
            raise Unconfirmed(ASKS)
        return self.verifications.get(contact) or VerificationView((self.number(contact),), None, False, ())

    def ask(self, *questions: QuestionView) -> None:
        """The own log has these changes that nobody has confirmed; announced."""
        self._questions = questions
        self.emit(QuestionsChanged(questions))

    def alarm(self, *alerts: AlertView) -> None:
        """This happened to the files of the profile; announced."""
        self._alerts = alerts
        self.emit(AlertsChanged(alerts))

    def stranger_begins(self, name: str) -> PairingView:
        """Somebody nearby begins to pair with this person; the words are known at once."""
        view = self._begin(name, incoming=True)
        return self.move_pairing(view.id, PairingStage.WORDS, words=WORDS)

    def name_relay(self, address: str, *, invited: bool = False) -> RelayView:
        """A relay is named, by hand or by an invitation; announced."""
        relay = parse_relay(address)
        view = RelayView(address, relay.host, relay.port, RelayStanding.UNKNOWN, invited)
        self._relays[address] = view
        self.emit(RelayChanged(view))
        return view

    def stand_relay(self, address: str, standing: RelayStanding) -> None:
        self._relays[address] = replace(self._relays[address], standing=standing)
        self.emit(RelayChanged(self._relays[address]))

    def use_invitation(self, text: str, name: str) -> PairingView:
        """Somebody uses an invitation; this person is asked whether it is the right one."""
        view = self._begin(name, incoming=True)
        view = self._pairings[view.id] = replace(view, invitation=text)
        self._invitation_of[view.id] = text
        return self.move_pairing(view.id, PairingStage.JOINER)

    @property
    def _linking_over(self) -> bool:
        return self.linking.stage in (LinkingStage.DONE, LinkingStage.FAILED)

    def device_begins(self, name: str) -> LinkingView:
        """A new device finds this one, which adds; the words are known at once."""
        return self.move_linking(LinkingStage.WORDS, name=name)

    def move_linking(self, stage: LinkingStage, *, name: str = "", problem: str = "") -> LinkingView:
        """The adding of a device comes to another stage; at DONE there is a device more."""
        view = self.linking
        if stage is LinkingStage.VISIBLE:
            view = LinkingView(f"linking {next(self._numbers)}", stage)
        words = WORDS if stage is LinkingStage.WORDS else view.words
        digits = DIGITS if words else ()
        view = replace(
            view,
            stage=stage,
            name=name or view.name,
            words=words,
            digits=digits,
            problem=phrase(problem),
        )
        if stage is LinkingStage.DONE:
            view = replace(view, terminal=f"{next(self._numbers):064x}")
            added = TerminalView(view.terminal, False, TerminalState.LIVE, view.name, self._me.terminal)
            self.other_terminals = (*self.other_terminals, added)
        self.linking = view
        self.emit(LinkingChanged(view))
        return view

    def move_pairing(
        self, pairing: str, stage: PairingStage, *, words: tuple[str, ...] = (), problem: str = ""
    ) -> PairingView:
        """A pairing comes to another stage; at DONE there is a new contact."""
        view = self._pairings[pairing]
        words = words or view.words
        digits = DIGITS if words else ()
        view = replace(view, stage=stage, problem=phrase(problem), words=words, digits=digits)
        if stage is PairingStage.DONE:
            peer = view.peer or self.inviter
            for stranger in [one for one in self._nearby.values() if one.name == peer]:
                del self._nearby[stranger.instance]
                self.emit(NearbyChanged(tuple(self._nearby.values())))
            contact = self.add_contact(peer, present=True, verified=bool(view.words))
            view = replace(view, peer=peer, contact=contact.person)
        self._pairings[pairing] = view
        self.emit(PairingChanged(view))
        if stage is PairingStage.DONE:
            if pairing in self._invitation_of:
                self.emit(InvitationUsed(self._invitation_of[pairing], view.contact))
            self._show(False)
        if stage in (PairingStage.DONE, PairingStage.FAILED):
            del self._pairings[pairing]
        return view

    def change_identity(self, person: str, cause: str, *, holds: bool = False) -> None:
        """A contact's person log changes, in a way after which this person has to look (`holds`) or not."""
        self.emit(IdentityChanged(person, self._contacts[person].label, phrase(cause)))
        view = self._contacts[person]
        self._set_contact(replace(view, held=True, verified=False) if holds else view)

    def keep_seed(self) -> None:
        """The recovery words were not written down yet."""
        self._me = replace(self._me, keeps_seed=True)

    def become_archive(self) -> None:
        """The profile turns out to be an archive, made of a backup."""
        self._me = replace(self._me, archived=datetime(2026, 12, 1, tzinfo=UTC), visible=False)
        self._contacts = {
            person: replace(view, past=True, verified=False, present=False, unread=0)
            for person, view in self._contacts.items()
        }
        for view in self._contacts.values():
            self.emit(ContactChanged(view))

    def change_own_log(self, kind: str) -> None:
        """A contact returns a change of this person's log."""
        operation = identity(f"operation {next(self._numbers)}")
        self.emit(OwnLogChanged(kind, operation, phrase("The name that your contacts see was changed")))

    def notice(self, text: str) -> None:
        self.emit(Notice(phrase(text)))

    def move_history(self, source: str, held: int, total: int, *, moves: bool = True) -> None:
        """History comes from another device of this person, and is so far."""
        self.emit(HistoryMoving(source, held, total, moves=moves))

    def erase(self, done: float) -> None:
        """The cleaning takes long, and is so far."""
        self.emit(Cleaning(done))

    def tidy(self) -> None:
        if self.uncleaned:
            self.uncleaned = False
            self.emit(Cleaned())

    def called(self, method: str) -> list[tuple[object, ...]]:
        return [call.arguments for call in self.calls if call.method == method]

    def _show(self, visible: bool) -> None:
        if self._me.visible != visible:
            self._me = replace(self._me, visible=visible)
            self.emit(VisibilityChanged(visible))

    def _enter(self, method: str, *arguments: object) -> None:
        self.calls.append(Call(method, arguments))
        if self.closed:
            if not self.locked:
                raise EngineEnded(phrase("The engine has stopped."))
            raise NotPermitted(phrase("Parlour is locked: unlock it with the passphrase."))
        if method in self.failures:
            raise self.failures.pop(method)

    def _end(self, reason: str, *, locked: bool = True) -> None:
        self.closed, self.locked = True, locked
        self.emit(Closed(phrase(reason), locked))

    def _contact(self, person: str) -> ContactView:
        if person not in self._contacts:
            raise UsageError(phrase("There is no such contact."))
        return self._contacts[person]

    def _partner(self, person: str) -> ContactView:
        """A contact, or the notes of this person."""
        return notes_view(self._me) if person == self._me.person else self._contact(person)

    def _conversation(self, person: str) -> Conversation:
        if person == self._me.person:
            return self._conversations.setdefault(person, Conversation())
        return self._conversations[self._contact(person).person]

    def _set_contact(self, view: ContactView) -> None:
        self._contacts[view.person] = view
        self.emit(ContactChanged(view))

    def _label_again(self, but: str = "") -> None:
        """Each contact gets its label; a name of two keeps its digits. Announces all `but` one."""
        self._called = {one: held for one, held in self._called.items() if held & self._contacts.keys()}
        for person, view in self._contacts.items():
            self._called.setdefault(look(view.name), set()).add(person)
        for person, view in self._contacts.items():
            digits = telling(self._called[look(view.name)])
            named = label(view.name, person, digits, self._me.name)
            self._contacts[person] = replace(view, label=named, called=view.called or view.name)
            if named != view.label and person != but:
                self.emit(ContactChanged(self._contacts[person]))

    def _namesakes(self, name: str) -> dict[str, Any]:
        """Whom a stranger's name could be taken for, as fields of its view."""
        alike = [view.label for view in self._contacts.values() if looks_same(name, view.name)]
        return {"known": tuple(sorted(alike)), "mine": looks_same(name, self._me.name)}

    def _count_unread(self, person: str) -> None:
        if person == self._me.person:
            return
        self._set_contact(replace(self._contacts[person], unread=len(self._conversations[person].unread)))

    def _entry(
        self, contact: ContactView, text: str, *, own: bool, time: datetime | None, reply: str = ""
    ) -> EntryView:
        self._now += timedelta(minutes=1)
        author = self._me.name if own else contact.label
        state = EntryState.QUEUED if own else EntryState.RECEIVED
        state = EntryState.KEPT if contact.notes else state
        number = next(self._numbers)
        entry = identity(f"entry {number}")
        self._arrived[entry] = (number, self._now)
        at = time or self._now
        view = EntryView(entry, contact.person, author, own, at, EntryKind.TEXT, text, state, reply)
        view = replace(view, noted=contact.notes)
        return replace(view, expires=at + timedelta(seconds=contact.timer)) if contact.timer else view

    def _named(self, typed: str, *, own: bool = True) -> set[str]:
        """Who a name of a search means. Raises UsageError."""
        names = {view.person: view.label for view in self._contacts.values()}
        names |= {OWN_PERSON: "me"} if own else {}
        if typed.casefold() == NOTES_NAME:
            return {self._me.person}
        found = {person for person, name in names.items() if name.casefold().startswith(typed.casefold())}
        if not found:
            raise UsageError(phrase("No contact is named {name}.", name=typed))
        return found

    def _find(self, query: Query, persons: Iterable[str], limit: int) -> tuple[EntryView, ...]:
        """The last to arrive, by the order of their conversations' ranks, as the engine has them."""
        for name in query.authors:
            self._named(name)
        for name in query.conversations:
            self._named(name, own=False)
        ranked = [pair for person in persons for pair in self._conversations[person].ranked()]
        found = [pair for pair in ranked if matches(query, pair[1], self._named)]
        newest = sorted(found, key=lambda pair: self._arrived[pair[1].id])[max(0, len(found) - limit) :]
        return tuple(entry for _, entry in sorted(newest, key=lambda pair: (pair[0], pair[1].id)))

    def _details(self, entry: EntryView) -> DetailsView:
        stored = entry.time if entry.own else self._arrived[entry.id][1]
        theirs = (entry.contact, identity(f"terminal of {entry.contact}"))
        ours = (self._me.person, self._me.terminal)
        conversation = self._conversations[entry.contact]
        read = entry.id not in conversation.unread | conversation.never_read
        confirmed = _RECEIPTS.index(entry.state) + 1 if entry.state in _RECEIPTS else 0
        kinds = _RECEIPTS[: confirmed if entry.own else 1 + read]
        author, reader = (ours, theirs) if entry.own else (theirs, ours)
        receipts = tuple(ReceiptView(*reader, kind, stored) for kind in kinds)
        size = _HEADER_BYTES + len(entry.text.encode())
        conflicts = conversation.rivals.get(entry.id, ())
        known = entry.id, *author, entry.time, stored, size, receipts
        marks = entry.quarantined, entry.id in conversation.uncovered, entry.claimed
        if entry.claimed:
            known = entry.id, *(ours if entry.claimed == "device" else theirs), entry.time, stored, size, ()
        return DetailsView(*known, conflicts, *marks, tuple(conversation.versions.get(entry.id, ())))

    def _deliver(self, person: str) -> None:
        conversation = self._conversations[person]
        for entry in [*conversation.entries, *conversation.changes.values()]:
            if entry.own and entry.state is EntryState.QUEUED:
                self.set_state(person, entry.id, EntryState.SENT)
                self.set_state(person, entry.id, EntryState.DELIVERED)

    def _begin(self, peer: str, *, incoming: bool) -> PairingView:
        view = PairingView(f"pairing-{next(self._numbers)}", PairingStage.CONNECTING, peer, incoming)
        view = replace(view, **self._namesakes(peer))
        self._pairings[view.id] = view
        self.emit(PairingChanged(view))
        return view

    def _begin_words(self, peer: str) -> PairingView:
        view = self._begin(peer, incoming=False)
        if self.prompt:
            self.move_pairing(view.id, PairingStage.WORDS, words=WORDS)
        return view
