"""Persons, contacts, pairings, invitations, settings, addresses: what is written comes back, once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from chat.storage import contacts, entries, keys, persons, receipts, removal, settings
from chat.storage.contacts import PAIRED, PENDING, ComparisonRow, ContactRow, ConversationRow
from chat.storage.database import Database
from chat.storage.errors import StorageMisuse
from chat.storage.keys import InvitationRow, PairingRow, ShareRow
from chat.storage.persons import KEPT, AddressRow, TerminalRow
from chat.storage.settings import Settings
from protocol.identity.drawing import self_key
from protocol.messages import SharedDrawn
from tests.support.storage import samples as tables
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, THEM, Author, blob, store

CONTACT = ContactRow(THEM, "Ada", "", PAIRED, verified=False, blocked=False, held=False, since=1_000)
INVITATION = InvitationRow(blob("secret", 16), blob("one-time key"), 5_000, "PARLOUR:TEXT")


def test_this_person_is_written_once(database: Database) -> None:
    assert keys.read_own(database) == ME
    with pytest.raises(StorageMisuse), database.transaction():
        keys.create_own(database, replace(ME, person=blob("somebody else")))
    assert keys.read_own(database) == ME


def test_what_operations_draw_is_stored_once_each(database: Database) -> None:
    one, rival = (SharedDrawn(blob("a Renew"), blob(name)) for name in ("drawn", "drawn by a rival"))
    with database.transaction():
        keys.add_drawn(database, [one])
        keys.add_drawn(database, [rival])
    assert set(keys.read_own(database).drawn) == {*ME.drawn, one}
    assert set(keys.self_keys(database)) == {self_key(one.secret), ME.first_self_key}


def test_operations_are_kept_once_in_order_of_arrival(database: Database) -> None:
    with database.transaction():
        assert persons.add_operation(database, THEM, blob("b"), b"genesis")
        assert persons.add_operation(database, THEM, blob("a"), b"rename")
        assert not persons.add_operation(database, THEM, blob("b"), b"genesis")
        persons.add_operation(database, ME.person, blob("c"), b"own")
    assert persons.operations_of(database, THEM) == [b"genesis", b"rename"]
    assert persons.operations_of(database, ME.person) == [b"own"]


def test_a_terminal_that_the_log_no_longer_names_is_kept_and_not_live(database: Database) -> None:
    second = TerminalRow(THEM, blob("second"), blob("x2"), True, 1)
    with database.transaction():
        persons.replace_terminals(database, THEM, [second])
    assert tables.terminals_of(database, THEM) == [
        second,
        replace(THEIR_TERMINAL, live=False, seniority=None),
    ]


def test_one_key_in_two_logs_is_a_terminal_of_both_persons(database: Database) -> None:
    """Each log says of its own whether the terminal is live, and one contact's end leaves the other's."""
    other = replace(CONTACT, person=blob("another person"))
    copied = replace(THEIR_TERMINAL, person=other.person, live=False, seniority=1)
    place = AddressRow(THEIR_TERMINAL.terminal, "192.168.1.9", 4747, 1)
    with database.transaction():
        contacts.add(database, other)
        persons.replace_terminals(database, other.person, [copied])
        persons.add_address(database, place)
    assert tables.terminals_of(database, THEM) == [THEIR_TERMINAL]
    assert tables.terminals_of(database, other.person) == [copied]
    assert persons.former_terminals(database, other.person) == [copied.terminal]
    assert persons.former_terminals(database, THEM) == []
    with database.transaction():
        contacts.remove(database, other.person)
    assert tables.terminals_of(database, other.person) == []
    assert tables.terminals_of(database, THEM) == [THEIR_TERMINAL]
    assert persons.addresses_of(database, THEIR_TERMINAL.terminal) == [place]


def test_an_author_that_no_log_names_is_nobodys_terminal(database: Database) -> None:
    store(database, Author(blob("a stranger")).write("hello"))
    number = persons.terminal_number(database, blob("a stranger"))
    assert database.rows("SELECT person FROM person_terminals WHERE terminal = ?", number) == []


def test_contacts_change_one_thing_at_a_time(database: Database) -> None:
    with database.transaction():
        contacts.add(database, replace(CONTACT, state=PENDING))
    assert contacts.all(database) == []
    assert contacts.pending(database) == [replace(CONTACT, state=PENDING)]
    with database.transaction():
        contacts.set_state(database, THEM, PAIRED)
        contacts.set_name(database, THEM, "Ada L.")
        contacts.set_petname(database, THEM, "Countess")
        contacts.set_verified(database, THEM, True)
        contacts.set_blocked(database, THEM, True)
        contacts.set_held(database, THEM, True)
        contacts.set_pinned(database, THEM, True)
        contacts.set_muted(database, THEM, True)
    row = ContactRow(THEM, "Ada L.", "Countess", PAIRED, True, True, True, 1_000, pinned=True, muted=True)
    assert contacts.all(database) == [row]
    assert row.shown == "Countess"
    assert CONTACT.shown == "Ada"
    with database.transaction():
        contacts.set_verified(database, THEM, False)
        contacts.set_muted(database, THEM, False)
    assert contacts.get(database, THEM) == replace(row, verified=False, muted=False)


def test_the_row_of_a_contact_never_changes() -> None:
    """The service replaces it whole, so that a client sees one state of it."""
    row = ContactRow(THEM, "Ben", "", PAIRED, verified=False, blocked=False, held=True, since=1)
    with pytest.raises(AttributeError):
        row.held = False  # type: ignore[misc]
    assert row.held


def test_pairings_that_never_ended_are_dropped(database: Database) -> None:
    late, early = blob("late"), blob("early")
    with database.transaction():
        contacts.add(database, CONTACT)
        contacts.add(database, replace(CONTACT, person=early, state=PENDING, since=10))
        contacts.add(database, replace(CONTACT, person=late, state=PENDING, since=20))
        assert contacts.drop_pending(database, lambda since: since < 20) == [early]
    assert [row.person for row in contacts.pending(database)] == [late]
    assert contacts.all(database) == [CONTACT]


def pairing(root: str, *theirs: str, contact: bytes = THEM) -> PairingRow:
    """A pairing, and the contact's shares that are held in it, by the operations that they are of."""
    shares = tuple(ShareRow(blob(one), blob(f"share of {one}")) for one in theirs or ("first",))
    return PairingRow(contact, blob(root), ME.person, shares)


def test_pairings_never_change_and_the_newest_comes_first(database: Database) -> None:
    rows = [pairing("root 1"), replace(pairing("root 2"), first=blob("a Renew"), retired=True)]
    with database.transaction():
        for row in (*rows, rows[0], replace(rows[0], first=blob("another"), retired=True)):
            keys.add_pairing(database, row)
    assert keys.pairings_of(database, THEM) == (rows[1], rows[0])
    assert keys.roots_of(database, THEM) == [rows[1].root, rows[0].root]
    assert keys.pairings_of(database, blob("another contact")) == ()


def test_of_the_shares_of_an_operation_the_first_is_kept_and_a_second_is_not_taken(
    database: Database,
) -> None:
    """Nobody can check a share: a thief's that comes later takes the place of none."""
    row, renewed = pairing("root"), ShareRow(blob("a Renew"), blob("renewed"))
    with database.transaction():
        keys.add_pairing(database, row)
        assert keys.add_share(database, THEM, row.root, renewed)
        for share in (renewed, *row.theirs):
            assert not keys.add_share(database, THEM, row.root, replace(share, share=blob("a thief's")))
    assert keys.pairings_of(database, THEM) == (replace(row, theirs=(*row.theirs, renewed)),)


def test_the_first_share_comes_first_is_never_forgotten_and_is_retired(database: Database) -> None:
    row, more = pairing("root"), [ShareRow(blob(name), blob(f"share of {name}")) for name in "abc"]
    other = pairing("another root", "first", "a")
    with database.transaction():
        for one in (other, row):
            keys.add_pairing(database, one)
        for share in more:
            keys.add_share(database, THEM, row.root, share)
    by_operation = tuple(sorted(more, key=lambda share: share.operation))
    assert keys.pairings_of(database, THEM) == (replace(row, theirs=(*row.theirs, *by_operation)), other)
    with database.transaction():
        keys.forget_shares(database, THEM, row.root, [more[0].operation, more[1].operation])
    assert keys.pairings_of(database, THEM)[0] == replace(row, theirs=(*row.theirs, more[2]))
    with database.transaction():
        keys.forget_shares(database, THEM, row.root, [more[2].operation, row.theirs[0].operation])
    assert keys.pairings_of(database, THEM) == (replace(row, retired=True), other)


def test_of_each_terminal_the_share_of_its_last_link_is_known(database: Database) -> None:
    with database.transaction():
        keys.add_pairing(database, pairing("root"))
        for static, operation in (("desk", "first"), ("laptop", "first"), ("desk", "a Renew")):
            keys.opened_under(database, THEM, blob("root"), blob(static), blob(operation))
        keys.opened_under(database, THEM, blob("another root"), blob("desk"), blob("first"))
    last = {blob("desk"): blob("a Renew"), blob("laptop"): blob("first")}
    assert keys.last_opened(database, THEM, blob("root")) == last


def test_an_invitation_burns_once_for_one_key(database: Database) -> None:
    with database.transaction():
        keys.add_invitation(database, INVITATION)
        assert keys.burn_invitation(database, INVITATION.secret, blob("joiner"))
        assert keys.burn_invitation(database, INVITATION.secret, blob("joiner"))
        assert not keys.burn_invitation(database, INVITATION.secret, blob("another"))
        assert not keys.burn_invitation(database, blob("unknown", 16), blob("joiner"))
    assert keys.invitations(database) == [replace(INVITATION, burned_by=blob("joiner"))]
    with database.transaction():
        assert keys.drop_expired_invitations(database, 4_999) == 0
        assert keys.drop_expired_invitations(database, 5_000) == 1
        assert keys.invitations(database) == []
        keys.remove_invitation(database, INVITATION.secret)


def test_settings_begin_on_and_are_kept(database: Database) -> None:
    assert settings.load(database) == Settings(read_receipts=True, typing=True)
    with database.transaction():
        database.run("INSERT INTO settings VALUES ('of a later version', 'x')")
        settings.save(database, Settings(read_receipts=False, typing=True))
    assert settings.load(database) == Settings(read_receipts=False, typing=True)
    assert database.value("SELECT value FROM settings WHERE name = 'of a later version'") == "x"


def test_few_addresses_a_terminal_are_kept_the_latest_first(database: Database) -> None:
    rows = [
        AddressRow(THEIR_TERMINAL.terminal, f"10.0.0.{number}", 4747, number) for number in range(KEPT + 4)
    ]
    with database.transaction():
        for row in rows:
            persons.add_address(database, row)
        persons.add_address(database, replace(rows[5], last_success=99))
    kept = persons.addresses_of(database, THEIR_TERMINAL.terminal)
    assert kept[:2] == [replace(rows[5], last_success=99), rows[-1]]
    assert len(kept) == KEPT
    with database.transaction():
        persons.forget_addresses(database, THEIR_TERMINAL.terminal, rows[5].host, 4747)
    assert persons.addresses_of(database, THEIR_TERMINAL.terminal)[0] == rows[-1]


def test_a_conversation_is_made_once(database: Database) -> None:
    with database.transaction():
        number = contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
    row = ConversationRow(number, TALK, contacts.TWO, THEM)
    assert contacts.conversation(database, TALK) == contacts.conversation_with(database, THEM) == row
    assert contacts.conversations(database) == [row]
    assert contacts.conversation(database, blob("nowhere")) is None


def test_removing_a_contact_takes_all_of_it_and_nothing_else(database: Database) -> None:
    other = replace(CONTACT, person=blob("other"), name="Bo")
    kept = blob("a conversation that stays")
    with database.transaction():
        for row in (CONTACT, other):
            contacts.add(database, row)
            persons.add_operation(database, row.person, row.person, b"log of " + row.person)
            pin = row.person, blob("recovery"), 1
            database.run("INSERT INTO pins (person, recovery, confirmed) VALUES (?, ?, ?)", *pin)
            persons.add_proven_key(database, row.person, blob("static"))
            compared = ComparisonRow(row.person, True, 5, blob("recovery"), ())
            contacts.add_comparison(database, compared)
            keys.add_pairing(database, pairing("root", contact=row.person))
            keys.opened_under(database, row.person, blob("root"), blob("static"), blob("first"))
        persons.add_address(database, AddressRow(THEIR_TERMINAL.terminal, "10.0.0.1", 4747, 1))
        contacts.ensure_conversation(database, kept, contacts.TWO, other.person)
    gone = Author(THEIR_TERMINAL.terminal).write("gone")
    store(database, gone, Author(conversation=kept).write("stays"))
    with database.transaction():
        receipts.add(database, THEIR_TERMINAL.terminal, receipts.STORED, [gone.id], 5)
        database.run("INSERT INTO uncovered (entry) SELECT number FROM entries WHERE id = ?", gone.id)
        contacts.remove(database, THEM)
        while removal.is_due(database):
            removal.next_piece(database)
    assert keys.read_own(database) == ME
    assert database.value("SELECT count(*) FROM receipts") == 0
    assert contacts.all(database) == [other]
    assert persons.operations_of(database, THEM) == []
    assert tables.pins(database) == [(other.person, blob("recovery"), True)]
    assert keys.pairings_of(database, THEM) == ()
    assert keys.last_opened(database, THEM, blob("root")) == {}
    assert tables.terminals_of(database, THEM) == []
    assert persons.addresses_of(database, THEIR_TERMINAL.terminal) == []
    assert contacts.conversation_with(database, THEM) is None
    assert entries.page(database, TALK, 9) == []
    assert len(entries.page(database, kept, 9)) == len(keys.pairings_of(database, other.person)) == 1
    names = [name for (name,) in database.rows("SELECT name FROM pragma_table_list WHERE schema = 'main'")]
    everything = "".join(str(database.rows(f"SELECT * FROM {name}")) for name in names)
    assert repr(THEM) not in everything
    assert repr(THEIR_TERMINAL.terminal) not in everything
    assert database.integrity() == ()


def test_who_was_written_to_last_comes_first_whatever_times_say(database: Database) -> None:
    first, second = blob("first person"), blob("second person")
    for person in (first, second):
        with database.transaction():
            contacts.ensure_conversation(database, person, contacts.TWO, person)
    assert contacts.spoken_to(database, ME.terminal) == []
    late, early = Author(conversation=first, time=9_000), Author(conversation=second, time=1_000)
    store(database, late.write("one"), late.write("two"), early.write("three"))
    theirs = Author(terminal=THEIR_TERMINAL.terminal, time=99_000)
    store(database, theirs.write("not ours"))
    assert contacts.spoken_to(database, ME.terminal) == [second, first]
    store(database, late.write("four"))
    assert contacts.spoken_to(database, ME.terminal) == [first, second]
