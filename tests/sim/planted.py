"""One bug for each law, to be planted in a process of the simulation before its first run.

Each is a mistake that a change could make. tests/sim/test_planted.py shows that every one is found.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from chat.interface import EntryAdded, EntryChanged, EntryState, Event
from chat.network.links import Links, LinkSet, LiveLink, Peer
from chat.service import notes, own_log, person_logs, signing, state, sync, views
from chat.service.comparison import Comparison
from chat.service.contacts import People
from chat.service.events import EventBus
from chat.service.forwarding import Forwarding
from chat.service.keyring import ContactKeys, Keyring, contact_keys
from chat.service.messages import Messages
from chat.service.notes import Written
from chat.service.own_log import OwnLog
from chat.service.sync import Inbound, Outbound
from chat.service.verification import Verification
from chat.storage import contacts, entries, expiry, quarantine
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from chat.storage.entries import EntryRow, Position
from chat.storage.keys import OwnRow
from protocol import entries_and_receipts, limits
from protocol.entries_and_receipts import READ, Author, ParsedEntry, receipt_for
from protocol.errors import Untrusted
from protocol.hotpath import FastSending
from protocol.identity.log import Remove, Renew, parse_operation
from protocol.identity.reduction import NO_PINS, PersonState, Pins, Reduction, Standing, reduce
from protocol.messages import PassedReceipt, Receipt
from tests.support.engines.planted import receipt_before_commit


def nothing_resent() -> None:
    """A link sends what is written while it lasts, and nothing that an earlier one lost."""

    async def nothing(self: Outbound, author: bytes) -> AsyncIterator[list[bytes]]:
        for ids in list[list[bytes]]():
            yield ids

    async def no_answer(self: Comparison, *arguments: object) -> None:
        return

    Outbound._unacknowledged = nothing  # type: ignore[method-assign]
    Comparison.answer = no_answer  # type: ignore[assignment,method-assign]


def shown_twice() -> None:
    """An entry that comes a second time is announced a second time."""
    store, known = Inbound._store_entries, dict[tuple[bytes, bytes], Event]()

    async def again(
        self: Inbound,
        link: LiveLink,
        person: bytes,
        parsed: Sequence[ParsedEntry],
        former: Collection[bytes],
    ) -> None:
        own = self._keyring.own.person
        for entry in parsed:
            if (event := known.get((own, entry.id))) is not None:
                self._bus.publish(event)
        await store(self, link, person, parsed, former)
        for entry in parsed:
            known[own, entry.id] = EntryAdded(self._views.added(person, entry))

    Inbound._store_entries = again  # type: ignore[method-assign]


def order_by_arrival() -> None:
    """A page has its entries as they came."""
    page = entries.page

    def arrived(
        db: Database, conversation: bytes, limit: int, before: Position | None = None
    ) -> list[EntryRow]:
        return sorted(page(db, conversation, limit, before), key=lambda row: row.number)

    entries.page = arrived


def delivered_without_receipt() -> None:
    """What a link has carried counts as delivered."""
    publish = EventBus.publish

    def early(self: EventBus, event: Event) -> None:
        if isinstance(event, EntryChanged) and event.state is EntryState.SENT:
            event = EntryChanged(event.contact, event.id, EntryState.DELIVERED)
        publish(self, event)

    EventBus.publish = early  # type: ignore[method-assign]


def read_without_shown() -> None:
    """The receipt for what was stored says that it was read."""

    def read(kind: int, ids: Iterable[bytes]) -> Receipt:
        return receipt_for(READ, ids)

    sync.receipt_for = read  # type: ignore[attr-defined]


def deleted_comes_back() -> None:
    """Only the content of a deleted entry goes, so that the contact can bring it again."""
    destroy = entries.destroy

    def forgetful(db: Database, entry: bytes, how: int = 1) -> bool:
        gone = destroy(db, entry, how)
        db.run("UPDATE entries SET destroyed = 0 WHERE id = ?", entry)
        return gone

    entries.destroy = forgetful


def deleted_on_all_here_alone() -> None:
    """What is deleted on all own terminals is deleted on this one, and the notes do not say so."""

    def erase(self: Messages, database: Database, person: bytes, entry: bytes) -> Written:
        entries.destroy(database, entry, entries.ON_ALL)
        return self._notes.write(database)

    Messages._erase = erase  # type: ignore[method-assign]


def marked_here_alone() -> None:
    """What is pinned or muted is stored, and the notes do not say so."""

    def share(self: People, database: Database, person: bytes, store: Any, *_said: object) -> Written:
        store(database)
        return self._notes.write(database)

    People._share = share  # type: ignore[assignment,method-assign]


def expired_stays() -> None:
    """An entry that ended is marked as that, and its content stays."""

    def marked(db: Database, numbers: Iterable[int], how: int) -> None:
        for number in numbers:
            db.run("UPDATE entries SET destroyed = ? WHERE number = ?", how, number)
            db.run("DELETE FROM expiring WHERE entry = ?", number)

    expiry.destroy_all = marked  # type: ignore[attr-defined]


def nonce_reused() -> None:
    """Every seventh envelope takes the key of the one before."""
    seal, sealed = FastSending.seal, [0]

    def repeated(self: FastSending, content: bytes | memoryview, flag: bytes = b"") -> bytes:
        view: Any = self._view
        chain, number = bytes(view[:32]), self.n
        envelope = seal(self, content, flag)
        sealed[0] += 1
        if sealed[0] % 7 == 0:
            view[:32], self.n = chain, number
        return envelope

    FastSending.seal = repeated  # type: ignore[method-assign]


def verified_in_memory_only() -> None:
    """A comparison is shown and not stored."""

    async def forgotten(self: Verification, person: bytes, number: str) -> None:
        self._show(replace(self._book.rows[person], verified=True))

    Verification.verify = forgotten  # type: ignore[method-assign]


def removed_keeps_links() -> None:
    """A link with a terminal that was removed goes on."""

    def nothing(self: Links, parts: Callable[[LiveLink], bool] = bool) -> None:
        return

    Links.close_unwanted = nothing  # type: ignore[method-assign]


def removal_forgotten() -> None:
    """What a start reads of the own log leaves removals out."""

    def without(operations: Iterable[bytes], pins: Pins = NO_PINS) -> PersonState:
        kept = [one for one in operations if not isinstance(parse_operation(one).operation, Remove)]
        return reduce(kept, pins)

    state.reduce = without  # type: ignore[attr-defined]


def removal_obeyed_late() -> None:
    """A removal in the own log is stored, and obeyed after a while."""
    follow = OwnLog._follow

    def late(self: OwnLog, log: PersonState, pins: Pins, own: OwnRow | None = None) -> None:
        before = self._keyring.own_log

        def obeyed() -> None:
            if self._keyring.own_log is before:
                follow(self, log, pins, own)

        if own is None and len(log.removed) > len(before.removed):
            asyncio.get_running_loop().call_later(120.0, obeyed)
        else:
            follow(self, log, pins, own)

    OwnLog._follow = late  # type: ignore[method-assign]


def addition_not_followed() -> None:
    """A contact's terminal that was added counts after the next start."""
    keys_of = contact_keys

    def without(database: Database, row: ContactRow) -> ContactKeys:
        found = keys_of(database, row)
        first = dict([*found.state.live.items()][:1])
        return replace(found, state=replace(found.state, live=first))

    person_logs.contact_keys = without  # type: ignore[attr-defined]


def removal_ends_all_links() -> None:
    """Who has removed a terminal is linked with no more."""
    may_link = Keyring.may_link

    def wary(self: Keyring, peer: Peer) -> bool:
        contact = self.contacts.get(peer.person)
        return may_link(self, peer) and (contact is None or not contact.state.removed)

    Keyring.may_link = wary  # type: ignore[method-assign]


def read_here_alone() -> None:
    """Own terminals do not tell each other what was read."""

    async def nothing(self: Forwarding, link: LiveLink, messages: Sequence[PassedReceipt]) -> None:
        return

    Forwarding.take_passed = nothing  # type: ignore[method-assign]


def spare_links_kept() -> None:
    """No link ends for another one."""

    def none(self: LinkSet, link: LiveLink) -> list[LiveLink]:
        return []

    LinkSet.answered = none  # type: ignore[method-assign]


def thief_keeps_what_it_added() -> None:
    """A removal keeps all that the removed device signed before it."""

    def last_known(
        reduction: Reduction, removed: bytes, signer: bytes, confirmed: Collection[bytes]
    ) -> tuple[bytes, ...]:
        graph = reduction.graph
        own = graph.by_author.get(removed, 0) & reduction.counting
        return graph.ids(graph.tips(own))[: limits.KEEP_MAX]

    signing.default_keep = last_known  # type: ignore[attr-defined]


def fallen_secrets_used() -> None:
    """What a removed device drew is as good as what others drew."""
    standing = Reduction._standing

    def lenient(self: Reduction, index: int, live: set[bytes]) -> Standing:
        return max(Standing.COUNTS, standing(self, index, live))

    Reduction._standing = lenient  # type: ignore[method-assign]


def late_words_count() -> None:
    """No rule leaves out what a removed device wrote."""

    def nothing(db: Database, rule: Any, number: int) -> bool:
        return False

    quarantine._leave_out = nothing


def accomplice_trusted() -> None:
    """A contact stays one in full, by any device that paired it."""
    counting = contacts._COUNTING
    select = contacts._SELECT_CONTACTS.replace(counting, "1")
    contacts._SELECT_CONTACTS = select  # type: ignore[misc]


def cut_by_anybody() -> None:
    """A cut by any device counts, and of any device."""
    follow = quarantine._follow

    def in_force(db: Database, conversation: int, author: int) -> list[int]:
        named = (
            "SELECT k.entry FROM cuts AS k WHERE k.conversation = ?"
            " AND k.terminal = (SELECT terminal FROM terminals WHERE number = ?)"
        )
        return [entry for (entry,) in db.rows(named, conversation, author)]

    def following(db: Database, conversation: int, author: int, *, is_live: bool | None = None) -> list[Any]:
        cut = bool(in_force(db, conversation, author))
        return follow(db, conversation, author, is_live=False if cut else is_live)

    quarantine._in_force, quarantine._follow = in_force, following


def copy_shut_out() -> None:
    """A device that may have been copied is linked with no more."""
    may_link = Keyring.may_link

    def wary(self: Keyring, peer: Peer) -> bool:
        own = peer.person == self.own.person
        contact = self.contacts.get(peer.person)
        log = self.own_log if own else contact.state if contact is not None else None
        copied = log is not None and any(
            log.live[one].static == peer.static for one in log.copied.keys() & log.live
        )
        return may_link(self, peer) and not copied

    Keyring.may_link = wary  # type: ignore[method-assign]


def unsealed_ends_links() -> None:
    """A Renew that hands this device nothing counts as a violation of the protocol."""
    opened = own_log.opened  # type: ignore[attr-defined]

    def strict(operations: Iterable[bytes], pins: Pins, own: OwnRow, new: Sequence[bytes]) -> Any:
        found = opened(operations, pins, own, new)
        signed = [one for one in map(parse_operation, new) if isinstance(one.operation, Renew)]
        if len(found) < sum(one.author != own.terminal for one in signed):
            raise Untrusted("a Renew without a secret for this device")
        return found

    own_log.opened = strict  # type: ignore[attr-defined]


def any_self_tag() -> None:
    """What is said to be by an own device is taken as that."""

    def own(*_: object) -> bool:
        return True

    entries_and_receipts.is_own = views.is_own = own  # type: ignore[attr-defined,assignment]


def unsigned_is_own() -> None:
    """What comes on a link of own devices is taken as own without a signature of its author."""

    def shown(*_: object) -> bool:
        return True

    entries_and_receipts._is_signed = shown  # type: ignore[assignment]


def signed_by_anybody() -> None:
    """A signature by any own device says that another one wrote an entry."""

    def nothing(*_: object) -> None:
        return

    entries_and_receipts.check_signature = nothing  # type: ignore[assignment]


def taken_of_the_live() -> None:
    """A device takes as own what it says that another one wrote which is live."""
    is_signed = entries_and_receipts._is_signed

    def lenient(entry: ParsedEntry, facts: entries_and_receipts.Facts) -> bool:
        return is_signed(entry, facts) or entry.signed is not None

    entries_and_receipts._is_signed = lenient


def unsigned_notes() -> None:
    """A note needs no signature of its author."""
    accept = notes.accept_entry  # type: ignore[attr-defined]

    def accepts(entry: ParsedEntry, facts: entries_and_receipts.Facts) -> Author:
        known = accept(entry, facts)
        return Author.LIVE if known is Author.CLAIMED else known

    notes.accept_entry = accepts  # type: ignore[attr-defined]


def replaced_keys_count() -> None:
    """A tag under any self key that was ever drawn shows that this person wrote what a contact passes."""
    order = Keyring._order_drawn

    def all_of_them(self: Keyring) -> None:
        order(self)
        self.newest_keys = self.self_keys  # type: ignore[assignment]

    Keyring._order_drawn = all_of_them  # type: ignore[method-assign]


def stale_key_counts() -> None:
    """A tag counts under the best key that is held, though somebody who was removed may know it."""

    def best(self: PersonState) -> bytes:
        return next(iter(self.drawn), b"")

    PersonState.fresh = property(best)  # type: ignore[assignment,method-assign]


def leaked_words_stay() -> None:
    """A recovery names the key of the words that it uses, and not that of the new ones."""
    recover = signing.recover_operation  # type: ignore[attr-defined]

    def same(reduction: Reduction, present: bytes, following: bytes, *more: Any) -> Any:
        return recover(reduction, present, present, *more)

    signing.recover_operation = same  # type: ignore[attr-defined,assignment]


PLANTED: Final[dict[str, Callable[[], None]]] = {
    "receipt before commit": receipt_before_commit,
    "nothing resent": nothing_resent,
    "shown twice": shown_twice,
    "order by arrival": order_by_arrival,
    "delivered without receipt": delivered_without_receipt,
    "read without shown": read_without_shown,
    "deleted comes back": deleted_comes_back,
    "deleted on all here alone": deleted_on_all_here_alone,
    "marked here alone": marked_here_alone,
    "expired stays": expired_stays,
    "nonce reused": nonce_reused,
    "verified in memory only": verified_in_memory_only,
    "removed keeps links": removed_keeps_links,
    "removal forgotten": removal_forgotten,
    "removal obeyed late": removal_obeyed_late,
    "addition not followed": addition_not_followed,
    "removal ends all links": removal_ends_all_links,
    "read here alone": read_here_alone,
    "spare links kept": spare_links_kept,
    "thief keeps what it added": thief_keeps_what_it_added,
    "fallen secrets used": fallen_secrets_used,
    "late words count": late_words_count,
    "accomplice trusted": accomplice_trusted,
    "cut by anybody": cut_by_anybody,
    "copy shut out": copy_shut_out,
    "unsealed ends links": unsealed_ends_links,
    "any self tag": any_self_tag,
    "leaked words stay": leaked_words_stay,
    "stale key counts": stale_key_counts,
    "unsigned is own": unsigned_is_own,
    "signed by anybody": signed_by_anybody,
    "taken of the live": taken_of_the_live,
    "unsigned notes": unsigned_notes,
    "replaced keys count": replaced_keys_count,
}
