"""What a pairing stores of a contact, and when it holds sending, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from msgspec.structs import replace

from chat.service import state
from chat.service.keyring import contact_keys
from chat.service.pairing.storage import _store_pending
from chat.storage import contacts, keys, persons
from chat.storage.aside import Aside
from chat.storage.contacts import PAIRED, PENDING, ContactRow
from chat.storage.database import Database
from chat.storage.keys import PairingRow, ShareRow
from protocol.identity.author import (
    NewPerson,
    add_operation,
    create_person,
    rename_operation,
)
from protocol.identity.exchange import extend
from protocol.identity.log import parse_operation, sign_operation
from protocol.identity.reduction import CauseKind, PersonState, reduce
from protocol.pairing.contact_secret import Share
from protocol.pairing.record import PendingContact
from tests.support.protocol.pairings import Terminal, recovery, removal
from tests.support.storage.samples import ME, blob, new_database, pins, seeded, terminals_of

BEN = create_person("Ben", seeded("ben"))
NEW = Terminal.named("new terminal")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = new_database(tmp_path)
    yield made
    made.close()


def recovered(person: NewPerson) -> tuple[bytes, ...]:
    """The person's log with a recovery that replaces its terminal."""
    kept = {person.terminal: [parse_operation(person.operations[1]).id]}
    return (*person.operations, recovery(person.operations, person.recovery_seed, kept, NEW))


def contact(operations: tuple[bytes, ...]) -> PendingContact:
    log, theirs = reduce(operations), Share(BEN.person, blob("theirs"))
    return PendingContact(log, operations, next(iter(log.live)), blob("root"), ME.person, theirs, log.path)


def stored(
    database: Database, pairing: PendingContact, verified: bool, before: PersonState | None, now: int
) -> tuple[ContactRow, set[CauseKind]]:
    with database.transaction():
        mine = persons.TerminalRow(ME.person, ME.terminal, blob("static"), True, 0)
        persons.replace_terminals(database, ME.person, [mine])
        row, held, causes = _store_pending(database, ME, pairing, verified, before, now, ())
    assert row == contacts.get(database, pairing.person)
    assert held == contact_keys(database, row)
    assert (pairing.person, pairing.static) in persons.proven_keys(database)
    return row, {cause.kind for cause in causes}


def complete(database: Database) -> None:
    """The contact is pending no more."""
    with database.transaction():
        contacts.set_state(database, BEN.person, PAIRED)


@pytest.mark.parametrize("verified", [True, False])
def test_a_new_contact_is_pending_and_verified_by_words_alone(database: Database, verified: bool) -> None:
    pairing = contact(BEN.operations)
    row, causes = stored(database, pairing, verified, None, 77)
    assert row == ContactRow(
        *(BEN.person, "Ben", "", PENDING, verified),
        blocked=False,
        held=False,
        since=77,
        compared=verified,
    )
    assert contacts.vouchers(database, BEN.person) == [(ME.terminal, verified)]
    assert causes == set()
    assert persons.operations_of(database, BEN.person) == list(BEN.operations)
    theirs = (ShareRow(BEN.person, pairing.theirs.share),)
    stored_now = (PairingRow(BEN.person, pairing.root, ME.person, theirs),)
    assert keys.pairings_of(database, BEN.person) == stored_now


@pytest.mark.parametrize("verified", [True, False])
def test_a_recovery_that_comes_with_a_pairing_holds_sending_unless_words_were_compared(
    database: Database, verified: bool
) -> None:
    stored(database, contact(BEN.operations), True, None, 77)
    complete(database)
    row, causes = stored(database, contact(recovered(BEN)), verified, reduce(BEN.operations), 99)
    assert CauseKind.RECOVERED in causes
    assert (row.verified, row.held, row.since) == (verified, not verified, 77)
    (recovery,) = contact(recovered(BEN)).state.path
    confirmed = {one: firm for person, one, firm in pins(database) if person == BEN.person}
    assert confirmed[recovery] is verified
    live = {one.terminal for one in terminals_of(database, BEN.person) if one.live}
    assert live == {NEW.id}


@pytest.mark.parametrize("before", [True, False])
def test_a_pairing_without_words_and_without_a_change_leaves_the_contact_as_it_was(
    database: Database, before: bool
) -> None:
    first, _ = stored(database, contact(BEN.operations), before, None, 77)
    again = replace(contact(BEN.operations), root=blob("another root"))
    pending, causes = stored(database, again, False, reduce(BEN.operations), 99)
    assert (pending, causes) == (replace(first, since=99), set()), "its day begins again"
    complete(database)
    again = replace(again, root=blob("a third root"))
    assert stored(database, again, False, reduce(BEN.operations), 111)[0] == replace(pending, state=PAIRED)


def renamed_by_a_second_terminal() -> tuple[bytes, ...]:
    """Ben's log with a terminal that has signed a name."""
    own = reduce(BEN.operations)
    add = add_operation(own, BEN.terminal, NEW.signing, NEW.static, "laptop")
    added = (*BEN.operations, sign_operation(add, BEN.signing_seed, NEW.seed))
    return (*added, sign_operation(rename_operation(reduce(added), NEW.id, "Mallory"), NEW.seed))


@pytest.mark.parametrize("verified", [True, False])
def test_what_a_record_drops_is_deleted(database: Database, verified: bool) -> None:
    """The Record removes a terminal, of which nothing counts any more."""
    renamed = renamed_by_a_second_terminal()
    stored(database, contact(renamed), True, None, 77)
    record = (*renamed[:-1], removal(renamed[:-1], BEN.terminal, BEN.signing_seed, NEW.id))
    again = replace(contact(record), root=blob("another root"))
    row, _ = stored(database, again, verified, reduce(renamed), 99)
    assert persons.operations_of(database, BEN.person) == list(record)
    assert row.name == "Ben"


def test_a_record_that_follows_what_was_dropped_while_it_was_checked_ends_no_later_link(
    database: Database,
) -> None:
    """Else what lacks an ancestor would be held for good, and every message of operations be malformed."""
    renamed = renamed_by_a_second_terminal()
    later = sign_operation(rename_operation(reduce(renamed), BEN.terminal, "Benny"), BEN.signing_seed)
    checked = replace(contact((*renamed, later)), operations=(later,))
    log = (*renamed[:-1], removal(renamed[:-1], BEN.terminal, BEN.signing_seed, NEW.id))
    stored(database, contact(log), True, None, 77)
    stored(database, checked, True, reduce(log), 99)
    assert persons.operations_of(database, BEN.person) == list(log)
    assert later in extend(log, (renamed[-1], later)).new  # it is named and comes again


def test_a_contact_without_unread_entries_has_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "reduce", lambda *_: mock.Mock(terminals=lambda: (), live={}))
    stored(database, contact(BEN.operations), True, None, 77)
    complete(database)
    with database.transaction():
        contacts.ensure_conversation(database, blob("with Ben"), contacts.TWO, BEN.person)
    profile = state.read_profile(database, Aside())
    assert profile.contacts.unread[BEN.person] == 0
    assert [row.name for row in profile.contacts.rows.values()] == ["Ben"]
    assert list(profile.keys) == [BEN.person]
