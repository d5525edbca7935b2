"""A `Messenger` and a `Door` in memory, for the tests of the interfaces and the command line."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from chat.errors import NOTHING_SAID, Phrase, phrase
from chat.interface import (
    NO_NAME,
    NO_TERMINAL_NAME,
    PATIENCE,
    AlertView,
    BackupProgress,
    BackupView,
    BadData,
    BotCommand,
    BotView,
    CannotCreate,
    ClientRights,
    Closed,
    ContactChanged,
    ContactRemoved,
    ContactView,
    ConversationRoot,
    DeletedBy,
    DeletionScope,
    DetailsView,
    DiagnosisView,
    Door,
    DoorState,
    EntriesTimed,
    EntryAdded,
    EntryDeleted,
    EntryEdited,
    EntryKind,
    EntryState,
    EntryView,
    Event,
    FileCheckView,
    HistoryCleared,
    HistoryRoot,
    InvitationView,
    Kept,
    LinkingStage,
    LinkingView,
    Messenger,
    NearbyView,
    NotPermitted,
    NotTypedBack,
    PairingStage,
    PairingView,
    ParlourError,
    QuestionView,
    RecoveryView,
    RelayRemoved,
    RelayView,
    RemovalView,
    RestoreView,
    RetentionView,
    SalvageView,
    SelfView,
    SettingsView,
    TerminalState,
    TerminalView,
    UnlockCost,
    Unreachable,
    UsageError,
    VerificationView,
    VersionView,
    WordsReplaced,
    WriteDown,
    parse_query,
)
from chat.service.alerts import alert_line
from chat.service.settings import problem
from chat.service.signing import REPLACED
from chat.service.verification import DIFFERENT, NO_QUESTION, digits_of
from protocol.errors import ProtocolError
from protocol.identity.author import recovery_words
from protocol.identity.names import is_name, is_terminal_name
from protocol.relay.rendezvous import parse_relay
from tests.support.fakes.files import Files
from tests.support.fakes.others import DIGITS, INVITATION, WORDS, Call, Subscription, recorded

TEXT_LIMIT = 16_384
TIMER_LONGEST = 31_536_000
OTHER_WORDS = phrase("These are not the recovery words of this identity.")
RECOVERY_ASKED = (2, 7, 20, 33)
NEW_WORDS = recovery_words(bytes(range(32, 64)))
RELAYS_MOST = 8
PREFERENCE = re.compile(r"[a-z0-9._-]{1,96}")
PREFERENCE_LIMIT = 65_536
_LOCAL = ("10.", "127.", "192.168.", "169.254.", "::1", "fe80:")

__all__ = ["INVITATION", "TEXT_LIMIT", "WORDS", "WRONG", "Call", "FakeDoor", "FakeMessenger"]

NO_DEVICE = phrase(
    "No device of yours was found. Run 'parlour terminal add' on it, in the same network, or give its"
    " address."
)
WRONG = phrase("Wrong passphrase: try again. No one can open this profile without it.")


def _check_typed(words: tuple[str, ...], answers: tuple[str, ...]) -> None:
    """Raises NotTypedBack where these are not the words asked for."""
    for place, word in zip(RECOVERY_ASKED, answers, strict=False):
        if word != words[place]:
            raise NotTypedBack(phrase("Word {number} is another one.", number=place + 1))
    if len(answers) != len(RECOVERY_ASKED):
        raise NotTypedBack(phrase("Type the words that are asked for."))


@recorded
class FakeMessenger(Files):
    """A running engine whose network is the test."""

    async def me(self) -> SelfView:
        return self._me

    async def contacts(self) -> tuple[ContactView, ...]:
        return tuple(sorted(self._contacts.values(), key=lambda view: (view.name.casefold(), view.person)))

    async def nearby(self) -> tuple[NearbyView, ...]:
        return tuple(self._nearby.values())

    async def set_visible(self, on: bool) -> None:
        self._show(on)

    async def pair_nearby(self, instance: str) -> PairingView:
        if instance not in self._nearby:
            raise Unreachable(phrase("Nobody answers there any more: ask them to be visible again."))
        return self._begin_words(self._nearby[instance].name)

    async def pair_address(self, host: str, port: int) -> PairingView:
        if not host.startswith(_LOCAL):
            raise UsageError(
                phrase("Parlour connects only to addresses of the local network: check the address.")
            )
        return self._begin_words(host)

    async def invite(self) -> InvitationView:
        text = f"{self.invitation_head}{next(self._numbers)}{self.invitation_tail}"
        self.invited = text
        return InvitationView(text, self._now + timedelta(minutes=10))

    async def join(self, text: str) -> PairingView:
        if not text.startswith(INVITATION):
            raise BadData(phrase("Invitation incomplete: copy all of it, beginning with PARLOUR:."))
        view = self._begin("", incoming=False)
        if self.prompt:
            self.move_pairing(view.id, PairingStage.WAITING)
            self.move_pairing(view.id, PairingStage.DONE)
        return view

    async def answer_pairing(self, pairing: str, accept: bool) -> None:
        if pairing not in self._pairings:
            raise UsageError(phrase("This pairing is over: begin again."))
        if not accept:
            problem = "You refused, and nothing was kept. Begin again if that was a mistake."
            self.move_pairing(pairing, PairingStage.FAILED, problem=problem)
            return
        self.move_pairing(pairing, PairingStage.WAITING)
        if self.prompt:
            self.move_pairing(pairing, PairingStage.DONE)

    async def terminals(self) -> tuple[TerminalView, ...]:
        return self._terminals()

    def _terminals(self) -> tuple[TerminalView, ...]:
        this = TerminalView(self._me.terminal, True, TerminalState.LIVE, self.device_name)
        return (*self.senior_terminals, this, *self.other_terminals)

    async def add_terminal(self) -> LinkingView:
        return self.move_linking(LinkingStage.VISIBLE)

    async def stop_adding(self) -> None:
        if not self._linking_over:
            self.move_linking(
                LinkingStage.FAILED, problem="Adding a device was stopped. No device was added."
            )

    async def answer_linking(self, linking: str, accept: bool) -> None:
        if linking != self.linking.id or self.linking.stage is not LinkingStage.WORDS:
            raise UsageError(phrase("The words no longer wait for an answer."))
        if not accept:
            self.move_linking(LinkingStage.FAILED, problem="You said that the words differ.")
            return
        self.move_linking(LinkingStage.WAITING)
        if self.prompt:
            self.move_linking(LinkingStage.DONE)

    async def remove_terminal(self, terminal: str, stolen: bool = True) -> None:
        self._live(terminal)
        self.other_terminals = tuple(
            replace(view, state=TerminalState.REMOVED, left=False) if view.terminal == terminal else view
            for view in self.other_terminals
        )

    def _live(self, terminal: str) -> None:
        if not [view for view in self._terminals() if view.terminal == terminal and view.removable]:
            raise UsageError(phrase("No such device: 'parlour terminal list' shows them."))

    async def foresee_removal(self, terminal: str) -> RemovalView:
        self._live(terminal)
        return RemovalView(self.added, self._me.name if self.added else "", *self.paired_by_others)

    async def foresee_recovery(
        self, typed: tuple[str, ...], removed: tuple[str, ...], not_mine: bool = False
    ) -> RemovalView:
        self._check_words(typed, not_mine=not_mine)
        return RemovalView(self.added, self._me.name if self.added else "", *self.paired_by_others)

    async def rename_self(self, name: str) -> None:
        if not is_name(name):
            raise UsageError(NO_NAME)
        self._me = replace(self._me, name=name)

    async def handed_out(self) -> bool:
        return True

    async def recovery_words(self) -> RecoveryView:
        if not self._me.keeps_seed:
            raise NotPermitted(phrase("The recovery words were erased."))
        return RecoveryView(recovery_words(bytes(range(32))), RECOVERY_ASKED)

    async def confirm_recovery(self, answers: tuple[str, ...]) -> None:
        _check_typed(recovery_words(bytes(range(32))), answers)
        self._me = replace(self._me, keeps_seed=False)

    async def check_recovery(self, typed: tuple[str, ...], not_mine: bool = False) -> None:
        self._check_words(typed, not_mine=not_mine)

    def _check_words(self, typed: tuple[str, ...], *, not_mine: bool) -> None:
        if tuple(map(str.lower, typed)) != recovery_words(bytes(range(32))):
            raise UsageError(OTHER_WORDS)
        if self.words_replaced and not not_mine:
            raise WordsReplaced(REPLACED)

    async def begin_recovery(self) -> RecoveryView:
        return RecoveryView(NEW_WORDS, RECOVERY_ASKED)

    async def recover(
        self,
        typed: tuple[str, ...],
        removed: tuple[str, ...],
        answers: tuple[str, ...],
        same_words: bool = False,
        not_mine: bool = False,
        stolen: bool = True,
    ) -> None:
        self._check_words(typed, not_mine=not_mine)
        if not same_words:
            _check_typed(NEW_WORDS, answers)
            self.words_replaced = True
            self._me = replace(self._me, keeps_seed=False)

    async def rename(self, contact: str, name: str) -> None:
        if not is_name(name):
            raise UsageError(NO_NAME)
        self._contacts[contact] = replace(self._contact(contact), name=name)
        self._label_again(contact)
        self.emit(ContactChanged(self._contacts[contact]))

    async def block(self, contact: str, on: bool) -> None:
        self._set_contact(replace(self._contact(contact), blocked=on, present=False, typing=False))

    async def pin(self, contact: str, on: bool) -> None:
        if not self._partner(contact).notes:
            self._set_contact(replace(self._contact(contact), pinned=on))
        else:
            self.pin_notes(on=on)

    async def mute(self, contact: str, on: bool) -> None:
        self._set_contact(replace(self._contact(contact), muted=on))

    async def remove(self, contact: str) -> None:
        view = self._contact(contact)
        del self._contacts[contact], self._conversations[contact]
        for name in [name for name in self._preferences if name.endswith(f".{contact}")]:
            del self._preferences[name]
        self._label_again()
        self.emit(ContactRemoved(contact, view.name))

    async def verification(self, contact: str) -> VerificationView:
        return self.compared_with(contact)

    async def verify(self, contact: str, number: str) -> None:
        digits_of(number)
        if number not in self.compared_with(contact).numbers:
            raise BadData(DIFFERENT)
        self.verifications[contact] = VerificationView((number,), self._now, False, ())
        self._set_contact(replace(self._contact(contact), verified=True, held=False))

    async def unverify(self, contact: str) -> None:
        self._set_contact(replace(self._contact(contact), verified=False))

    async def questions(self) -> tuple[QuestionView, ...]:
        return self._questions

    async def confirm_own(self, operation: str) -> None:
        if operation not in [one.operation for one in self._questions]:
            raise UsageError(NO_QUESTION)
        self.ask(*(one for one in self._questions if one.operation != operation))

    async def alerts(self) -> tuple[AlertView, ...]:
        return self._alerts

    async def check_files(self, after: int = 0) -> FileCheckView:
        self._enter("check_files", after)
        if after < 2:
            return FileCheckView(50 * after, after + 1)
        found = phrase("{pages} pages are intact", pages=30)
        sound = DiagnosisView(phrase("profile files"), True, found)
        again = DiagnosisView(phrase("second library"), True, phrase("it reads the same"))
        return FileCheckView(100, None, (*map(alert_line, self._alerts), sound, again))

    async def dismiss_alerts(self) -> None:
        if self._alerts:
            self.alarm()

    async def send(
        self, contact: str, text: str, reply: str = "", send_id: str = "", client: str = ""
    ) -> EntryView:
        view, conversation = self._partner(contact), self._conversation(contact)
        if send_id and (contact, send_id, client) in self._sent_with:
            return self._sent_with[contact, send_id, client]
        if not text.strip():
            raise UsageError(phrase("The text is empty."))
        if len(text) > TEXT_LIMIT:
            told = "The text is too long: {number} characters, at most {most}."
            raise UsageError(phrase(told, number=len(text), most=TEXT_LIMIT))
        if reply:
            conversation.index(reply)
        entry = self._entry(view, text, own=True, time=None, reply=reply)
        self._sent_with[contact, send_id, client] = entry
        conversation.entries.append(entry)
        self.emit(EntryAdded(entry))
        if view.present and self.prompt:
            self._deliver(contact)
        return entry

    async def history(
        self, contact: str, limit: int = 100, before: str | None = None, after: str | None = None
    ) -> tuple[EntryView, ...]:
        conversation = self._conversation(contact)
        if before is not None and after is not None:
            raise UsageError(phrase("Ask for the messages before a message or after it, not both."))
        if after is not None:
            start = conversation.index(after) + 1
            return tuple(conversation.entries[start : start + limit])
        end = len(conversation.entries) if before is None else conversation.index(before)
        return tuple(conversation.entries[max(0, end - limit) : end])

    async def latest(self) -> tuple[EntryView, ...]:
        last = [talk.entries[-1] for talk in self._conversations.values() if talk.entries]
        return tuple(sorted(last, key=lambda entry: (entry.time, entry.id), reverse=True))

    async def entry(self, contact: str, id: str) -> EntryView | None:
        conversation = self._conversation(contact)
        held = (*conversation.entries, *conversation.changes.values())
        return next((entry for entry in held if entry.id == id), None)

    async def first_unread(self, contact: str) -> str | None:
        conversation = self._conversation(contact)
        return next((entry.id for entry in conversation.entries if entry.id in conversation.unread), None)

    async def entry_at(self, contact: str, time: datetime) -> str | None:
        if time.tzinfo is None:
            raise UsageError(phrase("This time has no time zone."))
        held = self._conversation(contact).entries
        return next((entry.id for entry in held if entry.time >= time), None)

    async def details(self, contact: str, id: str) -> DetailsView:
        conversation = self._conversation(contact)
        return self._details(conversation.entries[conversation.index(id)])

    async def search(
        self, words: str, contact: str | None = None, limit: int = 100, typing: bool = False
    ) -> tuple[EntryView, ...]:
        persons = self._conversations if contact is None else [self._partner(contact).person]
        self._conversation(self._me.person)
        return self._find(parse_query(words, typing=typing), persons, limit)

    async def mark_read(self, contact: str, entries: tuple[str, ...]) -> None:
        conversation = self._conversation(contact)
        if not all(re.fullmatch("[0-9a-f]{64}", entry) for entry in entries):
            raise UsageError(phrase("No such message on this device."))
        if read := conversation.unread.intersection(entries):
            conversation.unread.difference_update(entries)
            self._count_unread(contact)
            if any(entry.id in read and entry.expires for entry in conversation.entries):
                self.emit(EntriesTimed(contact))

    async def mark_all_read(self, contact: str) -> None:
        if self._conversation(contact).unread:
            self.read(contact)

    async def delete(self, contact: str, id: str, scope: DeletionScope = DeletionScope.HERE) -> EntryView:
        conversation = self._conversation(contact)
        at = conversation.index(id)
        held = conversation.entries[at]
        if held.noted and scope is DeletionScope.EVERYONE:
            scope = DeletionScope.MINE
        everyone = scope is DeletionScope.EVERYONE
        if everyone and not held.own:
            raise UsageError(
                phrase("Somebody else wrote this message: you can delete it on your own devices only.")
            )
        if scope is not DeletionScope.HERE and held.kind in ("cut", "timer"):
            raise UsageError(
                phrase("This entry holds for other messages: you can delete it on this device only.")
            )
        by = DeletedBy.AUTHOR if everyone else DeletedBy(scope.value)
        if held.kind == "deleted" and scope not in held.scopes:
            return held
        change = self._change(contact, EntryKind.DELETE) if everyone else ""
        state = EntryState.WITHDRAWN if held.state is EntryState.QUEUED else held.state
        gone = replace(
            held, kind=EntryKind.DELETED, text="", reply="", edited=False, deleted_by=by, change=change
        )
        gone = replace(gone, state=state)
        conversation.entries[at] = gone
        conversation.versions.pop(id, None)
        self.emit(EntryDeleted(contact, id, by))
        if id in conversation.unread:
            conversation.unread.remove(id)
            conversation.never_read.add(id)
            self._count_unread(contact)
        self.uncleaned = True
        if self.prompt:
            self.tidy()
        return conversation.entries[at]

    async def set_timer(self, contact: str, seconds: int) -> EntryView | None:
        view = self._contact(contact)
        if not 0 <= seconds <= TIMER_LONGEST:
            raise UsageError(phrase("The longest timer is a year."))
        if view.timer == seconds:
            return None
        return self.time(contact, seconds, own=True)

    async def declare_bot(self, commands: tuple[BotCommand, ...], contact: str | None = None) -> None:
        if len({one.name for one in commands}) < len(commands):
            raise UsageError(phrase("These are not the commands of a bot."))
        if contact is None:
            self._bot = BotView(True, tuple(sorted(commands, key=lambda one: one.name)))
        for person in list(self._contacts) if contact is None else [contact]:
            self._declare(person, tuple(sorted(commands, key=lambda one: one.name)))

    async def withdraw_bot(self, contact: str | None = None) -> None:
        if contact is None:
            self._bot = BotView(False)
        for person in list(self._contacts) if contact is None else [contact]:
            self._declare(person, None)

    async def declared_bot(self, contact: str | None = None) -> BotView:
        if contact is None:
            return self._bot
        self._contact(contact)
        commands = self._declared.get(contact)
        return BotView(commands is not None, commands or ())

    def _declare(self, person: str, commands: tuple[BotCommand, ...] | None) -> None:
        if self._contact(person).blocked or self._declared.get(person) == commands:
            return
        self._declared[person] = commands
        self.declare(person, commands, own=True)

    async def take_earlier(self, contact: str) -> int:
        conversation, taken = self._conversation(contact), 0
        for at, one in enumerate(conversation.entries):
            if one.claimed == "earlier":
                conversation.entries[at] = replace(one, claimed="", own=True, author=self._me.name)
                taken += 1
        return taken

    async def takeable(self, contact: str) -> int:
        return sum(one.claimed == "earlier" for one in self._conversation(contact).entries)

    async def clear(self, contact: str) -> None:
        conversation = self._conversation(contact)
        for entry in [
            one for one in conversation.entries if one.kind not in ("cut", "timer", "bot", "deleted")
        ]:
            at = conversation.index(entry.id)
            conversation.entries[at] = replace(entry, kind=EntryKind.DELETED, text="", reply="", expires=None)
            conversation.never_read.update(conversation.unread & {entry.id})
        conversation.unread.clear()
        if conversation.entries:
            self._count_unread(contact)
            self.emit(HistoryCleared(contact, len(conversation.entries), len(conversation.entries)))

    async def edit(self, contact: str, id: str, text: str, send_id: str = "", client: str = "") -> EntryView:
        conversation = self._conversation(contact)
        at = conversation.index(id)
        held = conversation.entries[at]
        if not text.strip():
            raise UsageError(phrase("There is nothing to send: write some text."))
        if not held.own or held.kind != "text":
            raise UsageError(phrase("Only your own messages whose text is on this device can be edited."))
        program = self.programs.get(client)
        sent = [entry.id for (_, _, by), entry in self._sent_with.items() if by == client]
        if program is not None and program.rights is ClientRights.SEND and id not in sent:
            raise NotPermitted(phrase("This program only edits what it has sent itself."))
        first = VersionView(id, held.time, held.text)
        change = self._change(contact, EntryKind.EDIT)
        versions = conversation.versions.setdefault(id, [first])
        versions.append(VersionView(change, conversation.changes[change].time, text))
        conversation.entries[at] = replace(held, text=text, edited=True, change=change)
        self.emit(EntryEdited(conversation.entries[at]))
        return conversation.entries[at]

    def _change(self, contact: str, kind: EntryKind) -> str:
        """An edit or a delete, which no history has; it is delivered at once to a contact who is there."""
        view = self._partner(contact)
        entry = replace(self._entry(view, "", own=True, time=None), kind=kind)
        self._conversation(contact).changes[entry.id] = entry
        if view.present and self.prompt:
            self._deliver(contact)
        return entry.id

    async def clean(self) -> None:
        self.tidy()

    async def typing(self, contact: str, on: bool) -> None:
        self._partner(contact)

    async def settings(self) -> SettingsView:
        return self._settings

    async def change_settings(self, settings: SettingsView) -> None:
        self._settings = settings

    async def preferences(self) -> Mapping[str, str]:
        return dict(self._preferences)

    async def set_preference(self, name: str, value: str) -> None:
        if not PREFERENCE.fullmatch(name):
            raise UsageError(phrase("This is no name of a preference."))
        if len(value) > PREFERENCE_LIMIT:
            raise UsageError(phrase("The value of this preference is too long."))
        self._preferences.pop(name, None)
        if value:
            self._preferences[name] = value

    async def relays(self) -> tuple[RelayView, ...]:
        return tuple(self._relays.values())

    async def add_relay(self, address: str) -> RelayView:
        compact = "".join(address.split())
        try:
            relay = parse_relay(compact)
        except ProtocolError:
            raise BadData(problem(compact)) from None
        if compact in self._relays:
            return self._relays[compact]
        same = [one for one in self._relays.values() if (one.host, one.port) == (relay.host, relay.port)]
        if len(self._relays) - len(same) >= RELAYS_MOST:
            raise UsageError(phrase("{number} relays are named already: remove one.", number=RELAYS_MOST))
        for one in same:
            self._drop(one.address)
        return self.name_relay(compact)

    async def remove_relay(self, address: str) -> None:
        if address not in self._relays:
            raise UsageError(phrase("No relay of this address is named here."))
        self._drop(address)

    def _drop(self, address: str) -> None:
        del self._relays[address]
        self.emit(RelayRemoved(address))

    async def change_passphrase(
        self, old: str, new: str, cost: UnlockCost = UnlockCost.KEPT, new_key: bool = False
    ) -> None:
        if old != self.passphrase:
            raise NotPermitted(WRONG)
        self.passphrase = new

    async def back_up(self, path: str, passphrase: str, recovery: bool = False) -> BackupView:
        if not path.startswith("/"):
            raise UsageError(phrase("Give an absolute path."))
        if path in self.backups:
            raise CannotCreate(phrase("There is such a file."))
        self.backups.append(path)
        self.emit(BackupProgress(1, 1, checking=False))
        return BackupView(path, 1, 1, "00" * 32, recovery)

    async def export(self, path: str, form: str, contact: str | None = None) -> BackupView:
        if form not in ("jsonl", "markdown", "html"):
            raise UsageError(phrase("No such format."))
        return await self.back_up(path=path, passphrase="", recovery=False)

    async def history_root(self) -> HistoryRoot:
        talked = self._conversations.items()
        held = [(one, len(talk.entries)) for one, talk in talked if talk.entries or one != self._me.person]
        talks = tuple(ConversationRoot(person, entries, f"{entries:064x}") for person, entries in held)
        return HistoryRoot(talks, sum(one.entries for one in talks), "ab" * 32)

    async def retention(self) -> RetentionView:
        return self._retention

    async def keep(self, days: int) -> RetentionView:
        if not 0 <= days <= 36_500:
            raise UsageError(phrase("Nothing is kept for so long."))
        return self.keep_days(days, self._retention.keeper)

    async def choose_keeper(self, terminal: str) -> RetentionView:
        if terminal and terminal not in {one.terminal for one in self._terminals() if one.is_live}:
            raise UsageError(phrase("There is no such device."))
        return self.keep_days(self._retention.days, terminal)

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        return self.diagnosis

    def events(self) -> AsyncIterator[Event]:
        subscription = Subscription()
        self._subscriptions.append(subscription)
        if self.closed:
            subscription.put(Closed(phrase("Parlour was locked."), self.locked))
        return subscription

    async def lock(self) -> None:
        self._end("Parlour was locked.")

    async def close(self) -> None:
        self.calls.append(Call("close", ()))
        if not self.closed:
            self._end("Parlour was closed.", locked=False)


def _look_for(path: str) -> None:
    if not Path(path).exists():
        raise UsageError(phrase("{path} cannot be read.", path=path))


class FakeDoor:
    """The way to a `FakeMessenger`: the profile is new, locked or running, as the test says."""

    def __init__(
        self,
        messenger: FakeMessenger | None = None,
        *,
        state: DoorState = DoorState.LOCKED,
        passphrase: str = "correct horse",
    ) -> None:
        self.messenger = messenger
        if messenger is not None:
            messenger.passphrase = passphrase
        self.calls: list[Call] = []
        self.failures: dict[str, ParlourError] = {}
        self.held = False
        self.in_keyring = Kept.NO
        self.lacks_words = False
        self.written_down = False
        self.archived: tuple[str, ...] = ()
        self._state = state
        self._damaged = False

    async def state(self) -> DoorState:
        self._enter("state")
        return self._look()

    async def is_held(self) -> bool:
        return self.held or self._look() is DoorState.RUNNING

    async def create(self, name: str, passphrase: str) -> FakeMessenger:
        self._enter("create", name, passphrase)
        if self._look() is not DoorState.NEW:
            raise CannotCreate(phrase("There is a profile already: unlock it, or name another folder."))
        if not name.strip() or not passphrase:
            raise UsageError(phrase("A name and a passphrase are needed."))
        self.messenger = self.messenger or FakeMessenger(name, visible=True)
        self.messenger.passphrase, self._state = passphrase, DoorState.RUNNING
        return self.messenger

    async def link(
        self,
        name: str,
        passphrase: str,
        answer: Callable[[LinkingView], Awaitable[bool]],
        address: tuple[str, int] | None = None,
        keep: int = 0,
    ) -> FakeMessenger:
        self._enter("link", name, passphrase, *([address] if address else []))
        if self._look() is not DoorState.NEW:
            raise CannotCreate(phrase("There is a profile already: unlock it, or name another folder."))
        if not is_terminal_name(name):
            raise UsageError(NO_TERMINAL_NAME)
        if not passphrase:
            raise UsageError(phrase("The passphrase is empty: choose several words."))
        if self.messenger is not None and not self.messenger.device_nearby and address is None:
            raise Unreachable(NO_DEVICE)
        if not await answer(LinkingView("", LinkingStage.WORDS, "Ann", WORDS, digits=DIGITS)):
            raise NotPermitted(phrase("You said that the words differ. Nothing was stored."))
        self.messenger = self.messenger or FakeMessenger("Ann")
        self.messenger.passphrase, self._state = passphrase, DoorState.RUNNING
        if keep:
            self.messenger.keep_days(keep, "")
        return self.messenger

    async def unlock(
        self,
        passphrase: str,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> FakeMessenger:
        self._enter("unlock", passphrase, *(["offline"] if offline else []))
        match self._look():
            case DoorState.NEW:
                raise BadData(phrase("There is no profile here."))
            case DoorState.RUNNING:
                return self._open(DoorState.RUNNING)
        if self.messenger is not None and passphrase != self.messenger.passphrase:
            raise NotPermitted(WRONG)
        if self.in_keyring is Kept.PAUSED:
            self.in_keyring = Kept.YES
        return self._open(DoorState.LOCKED if offline else DoorState.RUNNING)

    async def kept(self) -> Kept:
        self._look()
        return self.in_keyring

    async def unlock_kept(
        self,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> FakeMessenger | None:
        self._enter("unlock_kept", *(["offline"] if offline else []))
        if self._look() is DoorState.NEW or self.in_keyring is not Kept.YES:
            return None
        return self._open(DoorState.LOCKED if offline else DoorState.RUNNING)

    async def is_passphrase(self, text: str) -> bool:
        self._enter("is_passphrase", text)
        return self.messenger is not None and text == self.messenger.passphrase

    async def keep(self, passphrase: str) -> str:
        self._enter("keep", passphrase)
        if self.messenger is None:
            raise BadData(phrase("There is no profile here."))
        if passphrase != self.messenger.passphrase:
            raise NotPermitted(WRONG)
        self.in_keyring = Kept.YES
        return "Fake Keyring"

    async def forget(self) -> None:
        self._enter("forget")
        self.in_keyring = Kept.NO

    async def pause_kept(self) -> None:
        self._enter("pause_kept")
        self.in_keyring = Kept.NO if self.in_keyring is Kept.NO else Kept.PAUSED

    async def restore(
        self,
        path: str,
        passphrase: str,
        own: str,
        words: tuple[str, ...] = (),
        remove_old: bool = False,
        progress: Callable[[int, int], None] | None = None,
        write_down: WriteDown | None = None,
    ) -> RestoreView:
        self._enter("restore", path, words, remove_old)
        _look_for(path)
        backup = BackupView(path, 0, 0, "00" * 32, recovery=not words)
        view = RestoreView("aa" * 32, "Ada", "bb" * 32, True, remove_old, 0, "00" * 32, backup)
        if self.lacks_words and not words:
            self.archived = ("/profile/archives/2026-12-01-00000000",)
            return replace(view, new=False, removed=False, archive=self.archived[0])
        problem: Phrase | None = NOTHING_SAID
        while write_down is not None and problem is not None:
            answers = await write_down(RecoveryView(NEW_WORDS, RECOVERY_ASKED), problem)
            try:
                _check_typed(NEW_WORDS, answers)
                self.written_down, problem = True, None
            except NotTypedBack as refused:
                problem = refused.phrase
        return view

    async def salvage(self, path: str, passphrase: str, own: str, recovery: bool = False) -> SalvageView:
        self._enter("salvage", path, recovery)
        if self.messenger is None:
            raise BadData(phrase("There is no profile here."))
        return SalvageView(BackupView(path, 1, 1, "00" * 32, recovery=recovery), 0, 1, 0, 0)

    async def verify(self, path: str, passphrase: str) -> BackupView:
        self._enter("verify", path)
        _look_for(path)
        root = "" if path.endswith(".md") else "00" * 32
        return BackupView(path, 0, 0, root, recovery=False, checksum="" if passphrase else "cd" * 32)

    async def archives(self) -> tuple[str, ...]:
        self._enter("archives")
        return self.archived

    async def wipe(self) -> None:
        self._enter("wipe")
        damaged, self._damaged = self._damaged, False
        match self._look():
            case DoorState.NEW:
                raise BadData(phrase("There is no profile here."))
            case DoorState.LOCKED if not self.held:
                self.messenger, self._state, self.in_keyring = None, DoorState.NEW, Kept.NO
            case _:
                self._damaged = damaged
                raise CannotCreate(phrase("Another Parlour has this profile open."))

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        self._enter("diagnose")
        return self.messenger.diagnosis if self.messenger is not None else ()

    async def attach(self) -> FakeMessenger:
        self._enter("attach")
        if self._damaged or self._look() is not DoorState.RUNNING:
            raise Unreachable(phrase("No engine has this profile open."))
        return self._open(DoorState.RUNNING)

    def damage(self) -> None:
        self._damaged = True

    def _look(self) -> DoorState:
        """What is there: an engine that was locked or closed has left its profile locked."""
        if self._damaged:
            raise BadData(phrase("The profile is damaged: restore it from a backup."))
        if self._state is DoorState.RUNNING and self.messenger is not None and self.messenger.closed:
            self._state = DoorState.LOCKED
            if self.in_keyring is Kept.YES and self.messenger.locked:
                self.in_keyring = Kept.PAUSED
        return self._state

    def _open(self, state: DoorState) -> FakeMessenger:
        if self.messenger is None:
            raise BadData(phrase("The profile is damaged: restore it from a backup."))
        self.messenger.closed, self._state = False, state
        return self.messenger

    def _enter(self, method: str, *arguments: object) -> None:
        self.calls.append(Call(method, arguments))
        if method in self.failures:
            raise self.failures.pop(method)


# mypy checks both fakes against the interface here.
_MESSENGER: type[Messenger] = FakeMessenger
_DOOR: type[Door] = FakeDoor
