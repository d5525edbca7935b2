"""A name that was that of two people means neither of them again, however the contacts change."""

from __future__ import annotations

import pytest

from chat.storage import contacts, names
from chat.storage.contacts import PAIRED, PENDING, ContactRow
from chat.storage.database import Database
from tests.support.storage.samples import blob

ONE, TWO, THREE = (bytes.fromhex(start).ljust(32, b"\0") for start in ("aaaa11", "bbbb22", "aaaa33"))


def add(db: Database, person: bytes, name: str = "Ben", state: str = PAIRED) -> None:
    row = ContactRow(person, name, "", state, verified=False, blocked=False, held=False, since=1)
    with db.transaction():
        contacts.add(db, row)


def change(db: Database, what: object, *values: object) -> None:
    assert callable(what)
    with db.transaction():
        what(db, *values)


def kept(db: Database) -> int:
    return int(db.value("SELECT count(*) FROM settings WHERE name LIKE 'called/%'"))


def test_of_one_name_both_keep_their_digits_when_one_is_removed_or_renamed(database: Database) -> None:
    add(database, ONE)
    assert contacts.digits(database)[ONE] == 0
    add(database, TWO, "ben")
    assert contacts.digits(database) == {ONE: 4, TWO: 4}
    change(database, contacts.set_petname, ONE, "Benjamin")
    assert contacts.digits(database) == {ONE: 0, TWO: 4}
    change(database, contacts.set_petname, ONE, "")
    change(database, contacts.remove, TWO)
    change(database, contacts.set_name, ONE, "Ben")
    assert contacts.digits(database) == {ONE: 4}
    add(database, TWO, "Carl")
    assert contacts.digits(database) == {ONE: 4, TWO: 0}


def test_a_contact_who_takes_a_name_that_another_one_had_gets_digits(database: Database) -> None:
    add(database, ONE)
    add(database, TWO, "Carl")
    change(database, contacts.set_name, ONE, "Benny")
    change(database, contacts.set_name, TWO, "Ben")
    assert contacts.digits(database) == {ONE: 0, TWO: 4}
    change(database, contacts.set_name, ONE, "Ben")
    assert contacts.digits(database) == {ONE: 4, TWO: 4}


def test_digits_that_were_enough_once_never_mean_somebody_else(database: Database) -> None:
    add(database, ONE)
    add(database, TWO)
    add(database, THREE)
    assert contacts.digits(database) == {ONE: 8, TWO: 8, THREE: 8}
    change(database, contacts.remove, ONE)
    assert contacts.digits(database) == {TWO: 8, THREE: 8}


def test_this_person_gives_a_name_to_one_contact_and_it_means_that_one_alone(database: Database) -> None:
    add(database, ONE)
    add(database, TWO)
    change(database, contacts.give_name, TWO, "Ben")
    assert contacts.digits(database) == {ONE: 4, TWO: 4}, "another one still has it"
    change(database, contacts.set_petname, ONE, "Old Ben")
    change(database, contacts.give_name, TWO, "Ben")
    assert contacts.digits(database) == {ONE: 0, TWO: 0}
    change(database, contacts.set_petname, ONE, "")
    assert contacts.digits(database) == {ONE: 4, TWO: 4}


def test_nothing_stays_of_the_names_of_a_contact_that_is_removed(database: Database) -> None:
    add(database, ONE)
    add(database, TWO)
    for person in (ONE, TWO):
        change(database, contacts.remove, person)
    assert kept(database) == 0
    add(database, TWO)
    assert contacts.digits(database) == {TWO: 0}


def test_a_pairing_that_is_not_finished_gives_nobody_digits(database: Database) -> None:
    add(database, ONE)
    add(database, TWO, state=PENDING)
    assert contacts.digits(database) == {ONE: 0}
    change(database, contacts.set_state, TWO, PAIRED)
    assert contacts.digits(database) == {ONE: 4, TWO: 4}


@pytest.mark.parametrize("value", ["", "x", "-1", "999999", "٤"])
def test_a_stored_number_that_nobody_can_read_is_none(database: Database, value: str) -> None:
    add(database, ONE)
    with database.transaction():
        database.run("UPDATE settings SET value = ? WHERE name LIKE 'called/%'", value)
    assert contacts.digits(database) == {ONE: 0}
    add(database, TWO)
    assert contacts.digits(database) == {ONE: 4, TWO: 4}


def test_a_backup_brings_back_digits_and_takes_none_away(database: Database) -> None:
    add(database, ONE)
    add(database, TWO)
    rows = database.rows("SELECT name, value FROM settings WHERE name LIKE 'called/%'")
    change(database, contacts.remove, TWO)
    change(database, contacts.remove, ONE)
    add(database, ONE)
    with database.transaction():
        for name, value in rows:
            assert names.take_over(database, name, value)
            assert names.take_over(database, name, "0")
    assert contacts.digits(database) == {ONE: 4}
    assert not names.take_over(database, "typing", "on")


def test_a_name_of_many_marks_is_short_enough_for_a_backup(database: Database) -> None:
    add(database, ONE, "B" + "\u0301" * 63)
    add(database, blob("long"), "\ufdfa" * 64)
    assert all(len(name) <= 128 for (name,) in database.rows("SELECT name FROM settings"))
