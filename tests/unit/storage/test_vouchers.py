"""Who vouches for a contact, and what of it counts (SPEC §7.7)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.storage import contacts, keys, persons, sharing
from chat.storage.contacts import PAIRED, ContactRow, VoucherRow
from chat.storage.database import Database
from chat.storage.persons import TerminalRow
from protocol.entries_and_receipts import ParsedEntry
from protocol.identity.author import NewPerson, create_person
from protocol.messages import ContactValue, StandingValue
from protocol.notes import Register, write
from tests.support.storage.samples import ME, blob, new_database, seeded
from tests.unit.storage.test_sharing import DEVICES, Device, take

DESK, PHONE, LAPTOP = DEVICES
BEN: NewPerson = create_person("Ben", seeded("ben"))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = new_database(tmp_path)
    with made.transaction():
        sharing.ensure(made, ME.person)
        for number, operation in enumerate(BEN.operations):
            persons.add_operation(made, BEN.person, blob(f"operation {number}"), operation)
        contacts.add(made, ContactRow(BEN.person, "Ben", "", PAIRED, True, False, False, 1))
    live(made, *DEVICES)
    yield made
    made.close()


def live(database: Database, *terminals: bytes) -> None:
    """The own log leaves these terminals live, of those that it ever had."""
    rows = [
        TerminalRow(ME.person, one, blob(one.hex()), one in terminals, at) for at, one in enumerate(DEVICES)
    ]
    with database.transaction():
        persons.replace_terminals(database, ME.person, rows)


def vouch(database: Database, terminal: bytes, source: bytes = b"", *, compared: bool = False) -> None:
    with database.transaction():
        contacts.vouch(database, VoucherRow(BEN.person, terminal, source or terminal, compared))


def standing(database: Database) -> tuple[bool, bool]:
    """Whether the contact is shown as verified, and whether nothing is sent to it."""
    row = contacts.get(database, BEN.person)
    assert row is not None
    return row.is_verified, row.waits


def test_a_removal_takes_out_of_force_what_it_takes_and_gives_it_back_when_it_falls(
    database: Database,
) -> None:
    vouch(database, PHONE, compared=True)
    assert standing(database) == (True, False)
    live(database, DESK, LAPTOP)
    assert standing(database) == (False, True)
    live(database, DESK, PHONE, LAPTOP)  # a recovery that lost had removed it
    assert standing(database) == (True, False)


def test_one_live_device_that_vouches_is_enough_and_verifies_only_if_it_compared(database: Database) -> None:
    vouch(database, PHONE, compared=True)
    vouch(database, LAPTOP)
    live(database, DESK, LAPTOP)
    assert standing(database) == (False, False)
    vouch(database, LAPTOP, compared=True)
    assert standing(database) == (True, False)
    vouch(database, LAPTOP)  # a further pairing takes no comparison away
    assert standing(database) == (True, False)


def test_what_a_linking_device_said_of_others_counts_while_it_is_live(database: Database) -> None:
    vouch(database, LAPTOP, PHONE, compared=True)
    assert standing(database) == (True, False)
    live(database, DESK, LAPTOP)
    assert standing(database) == (False, True)


def test_what_a_removed_device_said_of_others_is_handed_on_as_its_own_word(database: Database) -> None:
    vouch(database, DESK, PHONE, compared=True)
    assert contacts.vouchers(database, BEN.person) == [(DESK, True)]
    live(database, DESK, LAPTOP)
    assert contacts.vouchers(database, BEN.person) == [(PHONE, True)]
    vouch(database, DESK)
    assert contacts.vouchers(database, BEN.person) == [(DESK, False), (PHONE, True)]


def test_who_was_removed_itself_holds_nobody_back(database: Database) -> None:
    vouch(database, DESK, compared=True)
    live(database, PHONE)
    assert standing(database) == (True, False)


def test_new_keys_take_over_what_was_done_here_and_nothing_that_came(database: Database) -> None:
    vouch(database, DESK, compared=True)
    vouch(database, DESK, PHONE, compared=True)
    with database.transaction():
        contacts.carry_over(database, DESK, LAPTOP)
        keys.replace_terminal(database, LAPTOP, blob("seed"), blob("secret"))
    live(database, LAPTOP)
    assert standing(database) == (True, False)
    rows = database.rows("SELECT terminal, source FROM vouchers ORDER BY terminal")
    assert sorted(rows) == sorted([(LAPTOP, LAPTOP), (DESK, PHONE)])


@pytest.mark.parametrize("gone", [(PHONE,), (PHONE, LAPTOP), (DESK, PHONE), (LAPTOP,), ()])
@pytest.mark.parametrize(
    "vouchers",
    [
        [(PHONE, PHONE, True)],
        [(PHONE, PHONE, True), (LAPTOP, LAPTOP, False)],
        [(PHONE, PHONE, True), (LAPTOP, LAPTOP, True)],
        [(PHONE, PHONE, True), (LAPTOP, PHONE, True), (PHONE, LAPTOP, False)],
        [(DESK, DESK, False), (PHONE, PHONE, True)],
        [],
    ],
)
def test_what_a_removal_takes_is_foreseen(
    database: Database, vouchers: list[tuple[bytes, bytes, bool]], gone: tuple[bytes, ...]
) -> None:
    for terminal, source, compared in vouchers:
        vouch(database, terminal, source, compared=compared)
    left = [one for one in DEVICES if one not in gone]
    held, unverified = contacts.losing(database, left, DESK)
    before, _ = standing(database)
    if DESK in gone:  # by the recovery words, so that this device has other keys
        with database.transaction():
            contacts.carry_over(database, DESK, blob("new keys"))
            keys.replace_terminal(database, blob("new keys"), blob("seed"), blob("secret"))
            rows = [
                TerminalRow(ME.person, one, blob(one.hex()), one in (*left, blob("new keys")), at)
                for at, one in enumerate((*DEVICES, blob("new keys")))
            ]
            persons.replace_terminals(database, ME.person, rows)
    else:
        live(database, *left)
    verified, waits = standing(database)
    assert held == [BEN.person] * waits
    assert unverified == [BEN.person] * (before and not verified and not waits)


def note(device: Device, *, verified: bool, newest: bytes = BEN.person) -> list[ParsedEntry]:
    return [
        device.write(write(Register.CONTACT, BEN.person, ContactValue(BEN.person, 1))),
        device.write(write(Register.STANDING, BEN.person, StandingValue(verified, False, newest, [], []))),
    ]


def told(database: Database) -> dict[bytes, bool]:
    return dict(contacts.vouchers(database, BEN.person))


def test_authors_of_notes_vouch_and_a_copy_of_this_device_does_not(database: Database) -> None:
    draw = random.Random(1)
    phone, copy = Device(PHONE, draw), Device(DESK, draw)
    take(database, *note(phone, verified=True))
    assert told(database) == {PHONE: True}
    take(database, *note(copy, verified=True))
    assert told(database) == {PHONE: True}


def test_a_comparison_counts_until_verified_is_taken_away_and_for_the_newest_recovery_alone(
    database: Database,
) -> None:
    draw = random.Random(1)
    phone, laptop = Device(PHONE, draw), Device(LAPTOP, draw)
    first = note(phone, verified=True)
    laptop.hears(phone)
    taken = note(laptop, verified=False)
    laptop_again = laptop.write(
        write(Register.STANDING, BEN.person, StandingValue(True, False, blob("a recovery"), [], []))
    )
    take(database, *first, *taken, laptop_again)
    assert told(database) == {PHONE: False, LAPTOP: False}


def test_a_removal_of_the_contact_ends_what_was_written_before_it(database: Database) -> None:
    draw = random.Random(1)
    phone, laptop = Device(PHONE, draw), Device(LAPTOP, draw)
    first = note(phone, verified=True)
    laptop.hears(phone)
    removed = laptop.write(write(Register.CONTACT, BEN.person))
    take(database, *first, removed, *note(laptop, verified=False))
    assert told(database) == {LAPTOP: False}
