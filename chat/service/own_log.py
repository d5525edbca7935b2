"""What this terminal signs in its own person's log, and what contacts bring back of it (SPEC §7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Sequence, Set
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from chat.errors import phrase
from chat.interface import NO_NAME, Notice, NotPermitted, UsageError
from chat.service import views
from chat.service.drawing import Pairs, draw, is_drawn, opened, renew_upon
from chat.service.events import EventBus, InvitationsChanged, OwnLogChanged, OwnLogGrew, SecretsRenewed
from chat.service.keyring import Keyring
from chat.storage import contacts, keys, persons
from chat.storage.database import Database, Store
from chat.storage.keys import OwnRow, Renewing
from chat.tasks import Runtime
from protocol.errors import LimitExceeded
from protocol.identity.author import (
    create_terminal,
    recover_operation,
    recovery_key,
    remove_operation,
    rename_operation,
    sign_recovery,
)
from protocol.identity.exchange import (
    Extension,
    before_recovery,
    changes,
    default_keep,
    extend,
    in_messages,
    missing,
)
from protocol.identity.log import (
    Add,
    Recover,
    Remove,
    Rename,
    TerminalKeys,
    load,
    parse_operation,
    sign_add,
    sign_operation,
)
from protocol.identity.names import is_name
from protocol.identity.reduction import PersonState, Pins, Reduction, Standing, reduce
from protocol.identity.safety import open_questions
from protocol.limits import RECOVER_REMOVED_MAX
from protocol.messages import LogOperations, SharedDrawn

NOT_LIVE = phrase(
    "This device was removed from your identity: it can sign nothing. Use another device of yours. If you"
    " have none, recover with 'parlour recovery use'."
)
LOG_FULL = phrase("Your identity has reached its limit of changes: the name cannot be changed any more.")
OWN_LOG_FULL = phrase(
    "A contact holds more changes of your identity than there is room for. Was this device copied?"
)
OTHER_WORDS = phrase("These are not the recovery words of this identity.")
CHANGED = phrase("Your identity changed meanwhile. No device was added: start again on both devices.")
SENIOR = phrase(
    "This device is newer than the one to remove. Remove it with an older device, or recover with 'parlour "
    "recovery use'."
)
ONLY_DEVICE = phrase(
    "This is your only device: only your recovery words would bring your identity back. Add another one"
    " first."
)
LOG_FULL_FOR_DEVICES = phrase(
    "Your identity has reached its limit of changes: recover with 'parlour recovery use'."
)
NO_DEVICE = phrase("No such device: 'parlour terminal list' shows them.")
DAY: Final = 86_400_000
"""Milliseconds after which another terminal draws than the most senior, and one draws again (SPEC §7.6)."""

TOO_MANY_DEVICES = phrase("One recovery removes at most 8 devices.")


class OwnLog:
    """This person's own log: what this terminal signs, and what contacts bring back of it."""

    def __init__(self, runtime: Runtime, store: Store, bus: EventBus, keyring: Keyring) -> None:
        self._worker, self._random = runtime.worker, runtime.random
        self._store, self._bus, self._keyring = store, bus, keyring
        self._turn = asyncio.Lock()  # what is signed builds on all that came before
        self._drawn_for: PersonState | None = None  # the own log for which stale shares are drawn again
        self._clock = runtime.clock
        self._renewing: Renewing | None = None  # as stored, None until it was read

    async def renew(self) -> None:
        """Draw what removals by other terminals have made stale, if it is this one's turn.

        Raises a storage failure.
        """
        async with self._turn:
            if await self._is_due():
                upon, pins = await self._log()
                renew, drawn = await self._worker.run(renew_upon, upon, pins, self._keyring.own, self._random)
                renewing = Renewing(self._clock.wall(), None)
                with suppress(LimitExceeded):  # a thief fills the log: a removal has room, and renews
                    await self._add([renew], drawn=(drawn,), renewing=renewing)
                self._renewing = renewing
        log = self._keyring.own_log
        if log is not self._drawn_for:
            async with self._turn:
                log = self._keyring.own_log
                # What is stored and not known here would not be drawn again, nor used.
                renewed = await self._store.write_once(is_drawn, draw, self._random, removes=False)
            self._take(renewed)
            self._drawn_for = log

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

    def contacts_changed(self) -> None:
        """A pairing may have come of a terminal that did not know of a removal: its share is stale."""
        self._drawn_for = None

    def _take(self, renewed: Pairs | None) -> None:
        if renewed is not None:
            self._keyring.take_renewed(renewed)
            self._bus.signal(SecretsRenewed(drawn=True))

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
        confirmed: Iterable[bytes] = (),
        own: OwnRow | None = None,
        *,
        drawn: Iterable[SharedDrawn] = (),
        renewing: Renewing | None = None,
        removes: bool = False,
    ) -> Extension:
        """Store what is new in the own log. `confirmed`: recoveries that this person made, `own`: this
        terminal with the keys that one of them brings. `drawn`: what Renews among them draw, and `renewing`
        goes with one without a removal. `removes`: shares that the removed know are drawn again."""
        person = self._keyring.own.person
        held, pins = await self._store.read(persons.log_of, person)
        pins = Pins(pins.seen, pins.confirmed.union(confirmed))
        found = await self._worker.run(extend, held, operations, pins=pins)
        fresh = await self._worker.run(opened, [*held, *found.new], pins, own or self._keyring.own, found.new)
        new = {parse_operation(one).id for one in found.new}
        secrets = {one.operation: one for one in (*fresh, *drawn) if one.operation in new}

        def store(database: Database) -> tuple[Pins, Pairs | None]:
            if own is not None:
                contacts.carry_over(database, self._keyring.own.terminal, own.terminal)
                keys.replace_terminal(database, own.terminal, own.signing_seed, own.static_secret)
            persons.store(database, person, found)
            persons.pin(database, person, confirmed, confirmed=True)
            keys.add_drawn(database, secrets.values())
            if renewing is not None:
                keys.set_renewing(database, renewing)
            renewed = draw(database, self._random, removes=True) if removes else None
            return persons.pins_of(database, person), renewed

        def is_stored(database: Database, _: tuple[Pins, Pairs | None]) -> bool:
            return set(persons.operations_of(database, person)).issuperset(found.new)

        if found.new:
            # What is stored and not known here would get a rival, as if this terminal had been copied.
            stored, renewed = await self._store.write_once(is_stored, store)
            self._keyring.hold(secrets.values())
            self._follow(found.state, stored, own)
            self._take(renewed)
        return found

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

    async def remove(self, terminal: bytes) -> None:
        """Sign the removal of a terminal of this person. Raises UsageError, NotPermitted."""
        async with self._turn:
            state, own = self._keyring.own_log, self._keyring.own
            if own.terminal not in state.live:
                raise NotPermitted(NOT_LIVE)
            target = state.live.get(terminal)
            if target is None:
                raise UsageError(NO_DEVICE)
            if target.id != own.terminal and target.rank < state.live[own.terminal].rank:
                raise NotPermitted(SENIOR)
            if target.id == own.terminal and len(state.live) == 1:
                raise NotPermitted(ONLY_DEVICE)
            held, pins = await self._log()
            operation = await self._worker.run(
                _removal, held, pins, own.terminal, terminal, self._keyring.own_confirmed
            )
            signed = sign_operation(operation, own.signing_seed)
            named = await self._worker.run(named_again, [*held, signed], pins, own, state.name)
            made, drawn = [signed, *named], list[SharedDrawn]()
            if terminal != own.terminal:  # else it would know what it draws
                renew, one = await self._worker.run(renew_upon, [*held, *made], pins, own, self._random)
                made.append(renew)
                drawn.append(one)
            try:
                await self._add(made, drawn=drawn, removes=True)
            except LimitExceeded:
                raise NotPermitted(LOG_FULL_FOR_DEVICES) from None

    async def recover(self, seed: bytes, removed: Sequence[bytes]) -> None:
        """Sign the next recovery, which removes these terminals. Raises UsageError.

        Where this terminal is not live, is among those removed, or has keys that were copied, the recovery
        brings new keys for it: what was removed never comes back, and a copied key is somebody else's, too.
        `secure_deletion.clean_file` must follow.
        """
        async with self._turn:
            state, own = self._keyring.own_log, self._keyring.own
            if not {own.terminal, *state.live}.issuperset(removed):
                raise UsageError(NO_DEVICE)
            asked = open_questions(state, self._keyring.own_confirmed)
            held, pins = await self._log()
            copied = [own.terminal] if own.terminal in {*state.copied, *removed} else []
            if not copied and await self._worker.run(_made_by_a_copy, held, asked, own.terminal):
                copied = [own.terminal]
            base = await self.before(seed, [*removed, *copied])
            before = base.state()
            new = None if own.terminal in before.live and not copied else create_terminal(self._random)
            gone = {one for one in removed if one in before and one != own.terminal}
            if new is not None and own.terminal not in before.removed and own.terminal in before:
                gone.add(own.terminal)
            if len(gone) > RECOVER_REMOVED_MAX:
                raise UsageError(TOO_MANY_DEVICES)
            # Else an id would decide between it and a thief's one that its person took for the own before.
            await self._store.write(persons.take_back, state.person, before.newest)
            confirmed = self._keyring.own_confirmed
            kept = {one: default_keep(base, one, own.terminal, confirmed) for one in gone}
            keyed = None
            if new is None:
                signed = sign_recovery(recover_operation(base, seed, seed, kept), seed)
            else:
                made = recover_operation(base, seed, seed, kept, TerminalKeys(new.signing, new.static))
                signed = sign_recovery(made, seed, new.signing_seed)
                keyed = replace(
                    own, terminal=new.id, signing_seed=new.signing_seed, static_secret=new.static_secret
                )
            held, pins = await self._log()
            recovery = parse_operation(signed).id
            confirming = Pins(pins.seen, pins.confirmed | {recovery})
            named = await self._worker.run(named_again, [*held, signed], pins, keyed or own, state.name)
            upon = [*held, signed, *named]
            renew, drawn = await self._worker.run(renew_upon, upon, confirming, keyed or own, self._random)
            await self._add([signed, *named, renew], [recovery], keyed, drawn=(drawn,), removes=True)

    async def _log(self) -> tuple[list[bytes], Pins]:
        return await self._store.read(persons.log_of, self._keyring.own.person)

    async def before(self, seed: bytes, removed: Sequence[bytes] = ()) -> Reduction:
        """The log that the next recovery with this seed, which removes these terminals, follows.

        Raises UsageError for another seed.
        """
        found = await self._worker.run(before_others, *await self._log(), seed, removed)
        if found is None:
            raise UsageError(OTHER_WORDS)
        return found


def before_others(
    operations: Sequence[bytes], pins: Pins, seed: bytes, removed: Iterable[bytes]
) -> Reduction | None:
    """The log that the next recovery with this seed, which removes these terminals, names heads of.

    None for another person's seed.

    A thief of the seed can name a next recovery key of its own. The owner's recovery then is its rival.
    """
    key = recovery_key(seed)
    while (state := reduce(operations, pins)).recovery != key:
        if not state.path:
            return None
        graph = load(operations)
        place = [logged.id for logged in graph.order].index(state.path[-1])
        without = enumerate(graph.order)
        operations = [one.signed for at, one in without if at != place and not graph.past[at] >> place & 1]
    return before_recovery(operations, pins, removed)


def _removal(
    operations: Sequence[bytes], pins: Pins, signer: bytes, removed: bytes, confirmed: Set[bytes]
) -> Remove:
    reduction = Reduction(load(operations), pins)
    keep = default_keep(reduction, removed, signer, confirmed)
    return remove_operation(reduction, signer, removed, keep)


def _made_by_a_copy(operations: Iterable[bytes], asked: Container[bytes], terminal: bytes) -> bool:
    """Whether one of those asked about, which the terminal did not make, shows that others have its keys.

    An Add does that it signed, and a Recover that brings no terminal: only a live one makes that.
    """
    for logged in map(parse_operation, operations):
        if logged.id in asked:
            match logged.operation:
                case Add(author=author) if author == terminal:
                    return True
                case Recover(signing=b""):
                    return True
    return False


def named_again(operations: Sequence[bytes], pins: Pins, own: OwnRow, name: str) -> list[bytes]:
    """The name, signed again by this terminal, if the last of these operations took it away.

    It is a recovery or a removal that this terminal has just made. `name`: the one before; empty where none
    counted, since a thief had removed all who gave one: then the last that the log has.
    """
    confirmed = pins.confirmed | {parse_operation(operations[-1]).id}
    graph = load(operations)
    state = Reduction(graph, Pins(pins.seen, confirmed)).state()
    renames = (one.operation for one in reversed(graph.order))
    name = name or next((one.name for one in renames if isinstance(one, Rename)), "")
    if name in ("", state.name) or own.terminal not in state.live:
        return []
    return [sign_operation(rename_operation(state, own.terminal, name), own.signing_seed)]
