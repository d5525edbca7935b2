"""What a new device of this person gets, and the profile that it makes of that (SPEC §7.8.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from chat.storage import contacts, keys, persons, settings, sharing
from chat.storage.contacts import PAIRED, ComparisonRow, ContactRow, VoucherRow
from chat.storage.database import Database, Store
from chat.storage.keys import OwnRow, PairingRow
from chat.storage.persons import AddressRow
from chat.storage.settings import RelayRow
from protocol import limits
from protocol.identity.exchange import extend
from protocol.identity.log import parse_operation
from protocol.identity.reduction import Pins, reduce
from protocol.messages import (
    LinkState,
    SharedComparison,
    SharedPairing,
    SharedPlace,
    SharedRelay,
    SharedSetting,
    SharedVoucher,
)
from protocol.pairing.handover import Handover, SharedContact, pins_of
from protocol.pairing.linking import ProfileDue

_IDS: Final = limits.LINKED_IDS_MAX


def known_keys(db: Database, person: bytes) -> frozenset[bytes]:
    """The public keys that a person's log has introduced, which no new terminal may have."""
    return frozenset(
        key for signed in persons.operations_of(db, person) for key in parse_operation(signed).keys
    )


def new_terminal(signed: bytes) -> bytes:
    """The id of the terminal that a signed Add brings in."""
    keys_of = parse_operation(signed).introduces
    assert keys_of is not None, "an Add introduces a terminal"
    return keys_of.id


# --- Gathering ---


async def gather(store: Store, own: OwnRow, timers: Mapping[bytes, int]) -> Handover:
    """All that is shared, read contact by contact, so that other work does not wait long."""
    found = list[SharedContact]()
    rows = (await store.read(contacts.all))[: limits.LINKED_CONTACTS_MAX]
    for row in rows:
        one = await store.read(_contact, row.person, timers.get(row.person, 0))
        if one is not None:
            found.append(one)
    operations, state = await store.read(_own, own, len(found))
    return Handover(operations, state, tuple(found))


def _own(db: Database, own: OwnRow, count: int) -> tuple[tuple[bytes, ...], LinkState]:
    pins = persons.pins_of(db, own.person)
    operations = persons.operations_of(db, own.person)
    state = LinkState(
        own.person,
        own.terminal,
        sorted(pins.seen)[:_IDS],
        sorted(pins.confirmed)[:_IDS],
        keys.shared_drawn(own, reduce(operations, pins)),
        [SharedSetting(*row) for row in settings.shared(db)],
        [SharedRelay(row.address, row.invited, row.since) for row in settings.all_relays(db)][
            : limits.LINKED_RELAYS_MAX
        ],
        count,
    )
    return tuple(operations), state


def _contact(db: Database, person: bytes, timer: int) -> SharedContact | None:
    """None if the contact was removed meanwhile."""
    row = contacts.get(db, person)
    if row is None:
        return None
    pins, compared = persons.pins_of(db, person), contacts.comparison(db, person)
    proven = sorted(static for holder, static in persons.proven_keys(db) if holder == person)
    comparison = (
        []
        if compared is None
        else [
            SharedComparison(
                compared.by_words, compared.time, compared.newest, sorted(compared.terminals)[:_IDS]
            )
        ]
    )
    shared = SharedPairing(
        person,
        sorted(pins.seen)[:_IDS],
        sorted(pins.confirmed)[:_IDS],
        row.petname,
        row.verified,
        row.blocked,
        row.held,
        row.since,
        timer,
        row.pinned,
        row.muted,
        comparison,
        [SharedVoucher(*one) for one in sorted(contacts.vouchers(db, person)[: limits.VOUCHERS_MAX])],
        [sharing.shared_pairing(one) for one in _named(keys.pairings_of(db, person))],
        proven[:_IDS],
        _places(db, person),
    )
    return SharedContact(tuple(persons.operations_of(db, person)), shared)


def _named(rows: Sequence[PairingRow]) -> Sequence[PairingRow]:
    """The pairings that message 1 of a link can name, newest first: the two newest and the two oldest."""
    if len(rows) <= limits.LINKED_PAIRINGS_MAX:
        return rows
    half = limits.LINKED_PAIRINGS_MAX // 2
    return (*rows[:half], *rows[-half:])


def _places(db: Database, person: bytes) -> list[SharedPlace]:
    found = [
        SharedPlace(one.terminal, one.host, one.port)
        for terminal in persons.terminals_of(db, person)
        for one in persons.addresses_of(db, terminal)
        # A scope names an interface of this machine.
        if len(one.host) <= limits.LINKED_HOST_MAX and "%" not in one.host
    ]
    return found[: limits.LINKED_PLACES_MAX]


# --- The profile of the new device ---


def fill(db: Database, due: ProfileDue) -> None:
    """Write the profile of a new device, in one transaction. Raises ProtocolError for a log that is none."""
    given, new = due.handover, due.keys
    state = given.state
    row = OwnRow(state.person, new.id, new.signing_seed, new.static_secret, tuple(state.drawn), None)
    keys.create_own(db, row)
    _log(db, state.person, given.operations, pins_of(state))
    for contact in given.contacts:
        _add_contact(db, contact, state.terminal)
    for setting in state.settings:
        settings.take_over(db, setting.name, setting.value)
    for relay in state.relays:
        settings.add_relay(db, RelayRow(relay.address, relay.invited, relay.since))
    added = parse_operation(due.signed).id
    pins = pins_of(state)
    found = extend(given.operations, [due.signed], Pins(pins.seen, pins.confirmed | {added}))
    persons.store(db, state.person, found)
    persons.pin(db, state.person, [added], confirmed=True)


def _log(db: Database, person: bytes, operations: Sequence[bytes], pins: Pins) -> str:
    """Store a log and its pins. Returns the name of the person."""
    for operation in operations:
        persons.add_operation(db, person, parse_operation(operation).id, operation)
    persons.pin(db, person, pins.seen, confirmed=False)
    persons.pin(db, person, pins.confirmed, confirmed=True)
    return persons.pinned(db, person).name


def _add_contact(db: Database, given: SharedContact, source: bytes) -> None:
    shared = given.shared
    name = _log(db, shared.person, given.operations, pins_of(shared))
    said = shared.verified, shared.blocked, shared.held, shared.since, shared.pinned, shared.muted
    contacts.add(db, ContactRow(shared.person, name, shared.petname, PAIRED, *said))
    for one in shared.comparison:
        row = ComparisonRow(shared.person, one.by_words, one.time, one.newest, tuple(one.terminals))
        contacts.add_comparison(db, row)
    for voucher in shared.vouchers:
        contacts.vouch(db, VoucherRow(shared.person, voucher.terminal, source, voucher.compared))
    for pairing in reversed(shared.pairings):
        keys.add_pairing(db, sharing.held_pairing(shared.person, pairing))
    for static in shared.proven:
        persons.add_proven_key(db, shared.person, static)
    for place in shared.places:
        persons.add_address(db, AddressRow(place.terminal, place.host, place.port, 0))
    settings.hand_timer(db, shared.person, shared.timer)
