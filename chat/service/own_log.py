"""What this terminal signs in its own person's log, and what contacts bring back of it (SPEC §7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from chat.errors import phrase
from chat.interface import NO_NAME, Notice, NotPermitted, UsageError
from chat.service import views
from chat.service.drawing import opened, renew_upon
from chat.service.events import EventBus, InvitationsChanged, OwnLogChanged, OwnLogGrew
from chat.service.keyring import Keyring
from chat.service.signing import (
    NOT_LIVE,
    Foreseen,
    Held,
    Words,
    before_others,
    confirming,
    foresee,
    plan_recovery,
    plan_removal,
)
from chat.storage import contacts, keys, persons, quarantine, sharing
from chat.storage.database import Database, Store
from chat.storage.keys import OwnRow, Renewing
from chat.tasks import Runtime
from protocol.entries_and_receipts import conversation_of_two
from protocol.errors import LimitExceeded
from protocol.identity.author import NewTerminal, create_terminal, rename_operation
from protocol.identity.exchange import Extension, changes, extend, in_messages, left_behind, missing
from protocol.identity.log import Add, parse_operation, sign_add, sign_operation
from protocol.identity.names import is_name
from protocol.identity.reduction import CauseKind, PersonState, Pins, Standing
from protocol.messages import LogOperations, SharedDrawn
from protocol.primitives import Random

LOG_FULL = phrase("Your identity has reached its limit of changes: the name cannot be changed any more.")
OWN_LOG_FULL = phrase(
    "A contact holds more changes of your identity than there is room for. Was this device copied?"
)
CHANGED = phrase("Your identity changed meanwhile. No device was added: start again on both devices.")
LOG_FULL_FOR_DEVICES = phrase(
    "Your identity has reached its limit of changes: recover with 'parlour recovery use'."
)
DAY: Final = 86_400_000
"""Milliseconds after which another terminal draws than the most senior, and one draws again (SPEC §7.6)."""


class OwnLog:
    """This person's own log: what this terminal signs, and what contacts bring back of it."""

    def __init__(self, runtime: Runtime, store: Store, bus: EventBus, keyring: Keyring) -> None:
        self._worker, self._random, self._clock = runtime.worker, runtime.random, runtime.clock
        self._store, self._bus, self._keyring = store, bus, keyring
        self._turn = asyncio.Lock()  # what is signed builds on all that came before
        self._renewing: Renewing | None = None  # as stored, None until it was read

    async def renew(self) -> None:
        """Sign a Renew if the log has no fresh secret and it is this terminal's turn (SPEC §7.6).

        Raises a storage failure.
        """
        async with self._turn:
            if await self._is_due():
                held = await self._held()
                upon = held.operations, held.pins, self._keyring.own, self._random
                renew, drawn = await self._worker.run(renew_upon, *upon)
                renewing = Renewing(self._clock.wall(), None)
                with suppress(LimitExceeded):  # a thief fills the log: a removal has room, and renews
                    await self._add([renew], drawn=(drawn,), renewing=renewing)
                self._renewing = renewing

    async def _is_due(self) -> bool:
        """Whether the log has no fresh secret, and this terminal is to draw one (SPEC §7.6).

        The most senior one does so at once and others after a day. Nobody does more often than once per day:
        a thief's Adds at the same time would fill the log with what follows.
        """
        state, own, now = self._keyring.own_log, self._keyring.own, self._clock.wall()
        if self._renewing is None:
            self._renewing = await self._store.read(keys.renewing)
        before = self._renewing
        is_fresh = Standing.FRESH in state.drawn.values()
        if is_fresh or before.stale is None or before.stale > now:
            stale = None if is_fresh else now
            if stale != before.stale:
                await self._store.write(keys.set_renewing, replace(before, stale=stale))
                self._renewing = replace(before, stale=stale)
        # Whom a recovery that is not confirmed brought in would get the secret with words alone.
        confirmed = self._keyring.own_confirmed.issuperset(state.path)
        if is_fresh or own.terminal not in state.live or not confirmed:
            return False
        waited = now - (self._renewing.stale or now)
        first = own.terminal == next(iter(state.live))
        return (first or waited >= DAY) and not 0 <= now - before.renewed < DAY

    async def missing(self, held: Sequence[bytes]) -> list[LogOperations]:
        """The operations of this person's log that a holder of these heads lacks."""
        if sorted(held) == sorted(self._keyring.own_log.heads):
            return []
        operations, pins = await self._store.read(persons.log_of, self._keyring.own.person)
        return in_messages(await self._worker.run(missing, operations, held, pins))

    async def received(self, operations: Sequence[bytes]) -> bool:
        """Store operations of this log that a contact returned; whether they had room.

        Raises ProtocolError.
        """
        async with self._turn:
            whole = await self._extend(operations)
        if not whole:
            self._bus.publish(Notice(OWN_LOG_FULL))
        return whole

    async def _extend(self, operations: Sequence[bytes]) -> bool:
        before = self._keyring.own_log
        try:
            found = await self._add(operations)
        except LimitExceeded:
            return False
        if found.new:
            for cause in changes(before, found.state):
                self._bus.signal(OwnLogChanged(cause))
                self._bus.publish(views.own_change(cause, found.state))
        return found.whole

    async def _add(
        self,
        operations: Sequence[bytes],
        confirmed: Sequence[bytes] = (),
        own: OwnRow | None = None,
        *,
        drawn: Iterable[SharedDrawn] = (),
        renewing: Renewing | None = None,
        erases_seed: bool = False,
        stolen: bool | None = None,
    ) -> Extension:
        """Store what is new in the own log. `confirmed`: ids of what this person made, `own`: this terminal
        with the keys that a recovery brings. `drawn`: what Renews among them draw, and `renewing` goes with
        one without a removal. `erases_seed`: a recovery has replaced the words. `stolen`: whether those were
        that this person removes here."""
        person = self._keyring.own.person
        held, pins = await self._store.read(persons.log_of, person)
        pins = confirming([*held, *operations], pins, confirmed)
        found = await self._worker.run(extend, held, operations, pins=pins)
        fresh = await self._worker.run(opened, [*held, *found.new], pins, own or self._keyring.own, found.new)
        new = {parse_operation(one).id for one in found.new}
        secrets = {one.operation: one for one in (*fresh, *drawn) if one.operation in new}

        gone, signs = self._to_cut(found.state, operations, stolen, own)

        def store(database: Database) -> Pins:
            if gone:
                for row in contacts.all(database):
                    talk = conversation_of_two(person, row.person)
                    contacts.ensure_conversation(database, talk, contacts.TWO, row.person)
                quarantine.plan(database, gone, stolen=bool(stolen), handed_over=not signs)
            if own is not None:
                contacts.carry_over(database, self._keyring.own.terminal, own.terminal)
                keys.replace_terminal(database, own.terminal, own.signing_seed, own.static_secret)
            persons.store(database, person, found, self._clock.wall())
            if own is not None or found.state.live.keys() != self._keyring.own_log.live.keys():
                sharing.renew(database)
            persons.pin(database, person, confirmed, confirmed=True)
            keys.add_drawn(database, secrets.values())
            keys.claims_due(database)
            if renewing is not None:
                keys.set_renewing(database, renewing)
            if erases_seed:
                keys.erase_recovery_seed(database)
            return persons.pins_of(database, person)

        def is_stored(database: Database, _: Pins) -> bool:
            return set(persons.operations_of(database, person)).issuperset(found.new)

        if found.new:
            # What is stored and not known here would get a rival, as if this terminal had been copied.
            stored = await self._store.write_once(is_stored, store)
            self._keyring.hold(secrets.values())
            self._follow(found.state, stored, own)
            if erases_seed:
                self._keyring.forget_seed()
        return found

    def _to_cut(
        self, after: PersonState, operations: Sequence[bytes], stolen: bool | None, own: OwnRow | None
    ) -> tuple[list[bytes], bool]:
        """The terminals that are live no more `after`, and of which this one writes cuts; whether it removed
        them. Of one that removed itself the most senior terminal that is left does (SPEC §11.2)."""
        before, this = self._keyring.own_log, own or self._keyring.own
        gone = [one for one in before.live if one not in after.live]
        if this.terminal not in after.live:
            return [], False
        if stolen is not None:
            named = {one.terminal for each in operations for one in parse_operation(each).removals}
            left = left_behind(before, self._keyring.own.terminal, self._keyring.own_confirmed)
            return [*gone, *sorted(named & left)], True
        removals = [one for one in after.causes if one.kind is CauseKind.REMOVED]
        left = {one.terminal for one in removals if one.terminal == one.author}
        takes_over = this.terminal == next(iter(after.live)) and not left.isdisjoint(gone)
        return (gone if takes_over else []), False

    def _follow(self, log: PersonState, pins: Pins, own: OwnRow | None = None) -> None:
        # In one step: what was made here must not be asked about in between.
        if own is not None:
            self._keyring.take_keys(own)
        self._keyring.follow_own_log(log, pins.confirmed)
        self._bus.signal(OwnLogGrew())
        if own is not None:
            self._bus.signal(InvitationsChanged())

    @property
    def is_removed(self) -> bool:
        """Whether this terminal is one of this person no more."""
        return self._keyring.is_removed

    async def confirm(self, operation: bytes) -> None:
        """Store that this person made this operation (id) of the own log."""
        person = self._keyring.own.person

        def store(database: Database) -> tuple[PersonState, Pins]:
            persons.pin(database, person, [operation], confirmed=True)
            return persons.pinned(database, person), persons.pins_of(database, person)

        async with self._turn:  # what is being added was reduced with the pins of before
            self._follow(*await self._store.write(store))

    async def rename(self, name: str) -> None:
        """Sign another name of this person. Raises UsageError, NotPermitted."""
        if not is_name(name):
            raise UsageError(NO_NAME)
        own = self._keyring.own
        async with self._turn:
            state = self._keyring.own_log
            if own.terminal not in state.live:
                raise NotPermitted(NOT_LIVE)
            try:
                await self._add(
                    [sign_operation(rename_operation(state, own.terminal, name), own.signing_seed)]
                )
            except LimitExceeded:
                raise NotPermitted(LOG_FULL) from None

    async def add(self, operation: Add, consent: bytes) -> bytes:
        """Sign and store an Add, to which `consent` is the new terminal's signature (64 bytes); returns it.

        Raises NotPermitted (this terminal is not live, it signed something else meanwhile, or the log is
        full).
        """
        async with self._turn:
            state, own = self._keyring.own_log, self._keyring.own
            if own.terminal not in state.live:
                raise NotPermitted(NOT_LIVE)
            if operation.author != own.terminal or operation.parents != list(state.heads):
                raise NotPermitted(CHANGED)
            signed = sign_add(operation, own.signing_seed, consent)
            try:
                await self._add([signed], [parse_operation(signed).id])
            except LimitExceeded:
                raise NotPermitted(LOG_FULL_FOR_DEVICES) from None
            return signed

    async def remove(self, terminal: bytes, *, stolen: bool) -> None:
        """Sign the removal of a terminal of this person. Raises UsageError, NotPermitted."""
        async with self._turn:
            planned = await self._held(), self._keyring.own, terminal, self._random
            signed = await self._worker.run(plan_removal, *planned)
            try:
                await self._add(signed.operations, drawn=signed.drawn, stolen=stolen)
            except LimitExceeded:
                raise NotPermitted(LOG_FULL_FOR_DEVICES) from None

    async def recover(self, words: Words, removed: Sequence[bytes], *, stolen: bool) -> None:
        """Sign the next recovery, which removes these terminals. Raises UsageError.

        Until it is stored the words before stay in force; with it a seed that is kept here goes, if the next
        key is of another one. `secure_deletion.clean_file` must follow.
        """
        async with self._turn:
            signed = await self._worker.run(plan_recovery, *await self._to_recover(words, removed))
            confirmed = [parse_operation(signed.operations[0]).id]
            await self._add(
                signed.operations,
                confirmed,
                signed.keyed,
                drawn=signed.drawn,
                erases_seed=words.seed != words.following,
                stolen=stolen,
            )

    async def foresee_removal(self, terminal: bytes) -> Foreseen:
        """What removing a terminal would do now. Raises as `remove`."""
        held, own = await self._held(), self._keyring.own
        signed = await self._worker.run(plan_removal, held, own, terminal, self._random)
        return await self._worker.run(foresee, held, signed, [terminal], own)

    async def foresee_recovery(self, words: Words, removed: Sequence[bytes]) -> Foreseen:
        """What a recovery would do now. Raises as `recover`."""
        planned = await self._to_recover(words, removed)
        signed = await self._worker.run(plan_recovery, *planned)
        return await self._worker.run(foresee, planned[0], signed, removed, planned[1])

    async def check(self, words: Words) -> None:
        """Raises UsageError where a recovery by these words would not be one of this person."""
        await self._worker.run(before_others, await self._held(), words)

    async def _to_recover(
        self, words: Words, removed: Sequence[bytes]
    ) -> tuple[Held, OwnRow, Words, Sequence[bytes], NewTerminal, Random]:
        new = create_terminal(self._random)
        return await self._held(), self._keyring.own, words, removed, new, self._random

    async def _held(self) -> Held:
        return Held(*await self._store.read(persons.log_of, self._keyring.own.person))
