"""Safety numbers, what has changed since a comparison, and changes of the own log (SPEC §7.7)."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from msgspec.structs import replace

from chat.errors import phrase
from chat.interface import (
    BadData,
    IdentityChangeView,
    OwnChange,
    QuestionsChanged,
    QuestionView,
    Unconfirmed,
    UsageError,
    VerificationView,
)
from chat.service.events import ContactReleased, ContactsChanged, EventBus
from chat.service.keyring import ContactKeys, Keyring, contact_keys
from chat.service.notes import Notes, Written
from chat.service.state import ContactBook
from chat.service.views import Views, change_text, utc
from chat.storage import contacts, persons, sharing
from chat.storage.contacts import ComparisonRow, ContactRow
from chat.storage.database import Database, Store
from chat.tasks import Runtime
from protocol.identity.reduction import Cause, CauseKind, PersonState
from protocol.identity.safety import NUMBER_DIGITS, branches, open_questions, safety_number

DIFFERENT: Final = phrase(
    "This is not the safety number that this device has now. Check the digits, and let both devices connect."
    " If it still differs, somebody may be intercepting your messages."
)
NO_QUESTION: Final = phrase(
    "Parlour does not ask about this change of your identity: see 'parlour verify --own'."
)


class Verification:
    """The use cases that say whether a person's keys are genuine: those of contacts, and the own ones.

    `confirm` stores that this person made an operation (id) of the own log.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        confirm: Callable[[bytes], Awaitable[None]],
        notes: Notes,
    ) -> None:
        self._notes = notes
        self._runtime, self._store, self._bus = runtime, store, bus
        self._keyring, self._book, self._views, self._confirm = keyring, book, views, confirm
        self._asked = self.questions()

    # Contacts.

    async def view(self, person: bytes) -> VerificationView:
        """The numbers of now, and what was compared. Raises Unconfirmed."""
        self.check_own()
        row = await self._store.read(_comparison, person)
        found = await self._branches(person)
        self.check_own()  # the own log may have changed meanwhile
        own = self._keyring.own_log
        return VerificationView(
            numbers=tuple(safety_number(own, state) for state in found),
            compared=None if row is None else utc(row.time),
            by_words=row is not None and row.by_words,
            changes=() if row is None else changes_since(row, self._keyring.log(person)),
        )

    def check_own(self) -> None:
        """Raises Unconfirmed where this terminal must not show a safety number now."""
        problem = self._keyring.own_problem()
        if problem is not None:
            raise Unconfirmed(problem)

    async def _branches(self, person: bytes) -> tuple[PersonState, ...]:
        keys = self._keyring.contacts[person]
        if not keys.state.contested:
            return (keys.state,)
        return await self._runtime.worker.run(branches, keys.operations, keys.pins)

    async def verify(self, person: bytes, number: str) -> None:
        """The contact's terminal shows this number, too. Raises BadData, Unconfirmed, UsageError.

        It is compared with the numbers of now, for the log may have changed since one was shown.
        """
        self.check_own()
        digits = digits_of(number)
        found = await self._branches(person)
        self.check_own()
        own = self._keyring.own_log
        same = next((state for state in found if digits_of(safety_number(own, state)) == digits), None)
        if same is None:
            raise BadData(DIFFERENT)
        row = compared(same, by_words=False, time=self._runtime.clock.wall())

        def store(database: Database) -> tuple[ContactRow, ContactKeys, Written] | None:
            contact = contacts.get(database, person)
            if contact is None:
                return None
            persons.pin(database, person, same.path, confirmed=True)
            state = persons.pinned(database, person)
            if (state.newest, set(state.live)) != (same.newest, set(same.live)):
                raise BadData(DIFFERENT)  # it changed just now; nothing of this is stored
            contacts.set_verified(database, person, True)
            contacts.set_held(database, person, state.contested)
            contacts.add_comparison(database, row)
            contacts.vouch_here(database, person, self._keyring.own.terminal, compared=True)
            written, contact = self._standing(database, person), contacts.get(database, person) or contact
            return contact, contact_keys(database, contact), written

        stored = await self._store.write(store)
        if stored is None or person not in self._keyring.contacts:
            return
        contact, keys, written = stored
        self._keyring.contacts[person] = keys
        self._show(contact)
        self._bus.signal(ContactsChanged())  # before anything is released: the links of a losing recovery end
        if not keys.state.contested:
            self._bus.signal(ContactReleased(person))
        await self._notes.done(written)

    async def unverify(self, person: bytes) -> None:
        stored = list[ContactRow]()

        def store(database: Database) -> Written:
            contacts.set_verified(database, person, False)
            contacts.uncompare(database, person, self._keyring.own.terminal)
            row = contacts.get(database, person)
            stored[:] = [row] if row is not None else []
            return self._standing(database, person)

        written = await self._notes.store(store)
        for row in stored:
            self._show(row)
        await self._notes.done(written)

    def _standing(self, database: Database, person: bytes) -> Written:
        """Tell other terminals what is known of a contact's identity, unless it was removed meanwhile."""
        row = contacts.get(database, person)
        return self._notes.write(database, *([[sharing.standing(database, row)]] if row is not None else []))

    def _show(self, row: ContactRow) -> None:
        before = self._book.rows.get(row.person)
        if before is not None:  # it may have been removed meanwhile
            # Preferences of the contact may be newer in memory than what was read.
            self._book.rows[row.person] = replace(
                before,
                verified=row.verified,
                held=row.held,
                vouched=row.vouched,
                compared=row.compared,
            )
            self._views.publish_contact(row.person)

    # The own log.

    def questions(self) -> tuple[QuestionView, ...]:
        """The changes of the own log that nobody has confirmed, in the order of their ids."""
        log = self._keyring.own_log
        asked = open_questions(log, self._keyring.own_confirmed)
        causes = {cause.operation: cause for cause in reversed(log.causes) if cause.kind in _OWN_CHANGES}
        # The state shows a bounded number of recoveries that contest each other, and each one is asked about.
        return tuple(_question(causes.get(one, Cause(CauseKind.CONTESTED, one, b"", b""))) for one in asked)

    async def confirm_own(self, operation: str) -> None:
        """This person made this operation (64 hex digits). Raises UsageError where it is no open question."""
        asked = open_questions(self._keyring.own_log, self._keyring.own_confirmed)
        if operation not in [one.hex() for one in asked]:
            raise UsageError(NO_QUESTION)
        await self._confirm(bytes.fromhex(operation))

    def own_log_changed(self) -> None:
        """Ask about what is new in the own log, and no longer about what was confirmed."""
        asked = self.questions()
        if asked != self._asked:
            self._asked = asked
            self._bus.publish(QuestionsChanged(asked))


_OWN_CHANGES: Final = {
    CauseKind.ADDED: OwnChange.ADDED,
    CauseKind.RECOVERED: OwnChange.RECOVERED,
    CauseKind.CONTESTED: OwnChange.RECOVERED,
}


def _question(cause: Cause) -> QuestionView:
    change = _OWN_CHANGES[cause.kind]
    return QuestionView(cause.operation.hex(), change, cause.terminal.hex(), cause.author.hex())


def digits_of(number: str) -> str:
    """The digits of a safety number as somebody typed it. Raises UsageError for another count of them.

    Input methods write digits in other widths and scripts: they count as 0 to 9.
    """
    digits = "".join(str(unicodedata.decimal(one)) for one in number if one.isdecimal())
    if len(digits) != NUMBER_DIGITS:
        counts = {"all": NUMBER_DIGITS, "number": len(digits)}
        raise UsageError(phrase("A safety number has {all} digits; {number} were typed.", **counts))
    return digits


def _comparison(database: Database, person: bytes) -> ComparisonRow | None:
    """The last comparison, None where only a terminal that was removed made it."""
    row = contacts.get(database, person)
    if row is not None and row.verified and not row.compared:
        return None
    return contacts.comparison(database, person)


def compared(state: PersonState, *, by_words: bool, time: int) -> ComparisonRow:
    """What a comparison at `time` (milliseconds) confirmed of a contact."""
    return ComparisonRow(state.person, by_words, time, state.newest, tuple(state.live))


def changes_since(row: ComparisonRow, now: PersonState) -> tuple[IdentityChangeView, ...]:
    """What has changed of a contact since it was compared, each with its signed cause: recoveries, added
    terminals, and those that are gone."""
    return tuple(
        IdentityChangeView(
            change_text(cause, now), cause.operation.hex(), cause.terminal.hex(), cause.author.hex()
        )
        for cause in _causes_since(row, now)
    )


def _causes_since(row: ComparisonRow, now: PersonState) -> Iterator[Cause]:
    known = now.path.index(row.newest) + 1 if row.newest in now.path else 0
    recoveries = set(now.path[known:])
    new = now.live.keys() - set(row.terminals)
    for cause in now.causes:
        recovered = cause.kind is CauseKind.RECOVERED and cause.operation in recoveries
        if recovered or (cause.kind is CauseKind.ADDED and cause.terminal in new):
            yield cause
    for terminal in row.terminals:
        if terminal not in now.live:
            removed = (one for one in now.causes if one.kind is CauseKind.REMOVED)
            causes = (one for one in removed if one.terminal == terminal)
            yield next(causes, Cause(CauseKind.VOIDED, b"", terminal, b""))
