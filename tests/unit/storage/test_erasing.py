"""What the notes delete: the database agrees with the protocol in any order, for good and piece by piece."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.storage import contacts, entries, erasing, persons, quarantine, sharing
from chat.storage.amending import Follower
from chat.storage.database import Database
from protocol.amendments import deleted_on_all
from protocol.entries_and_receipts import KIND_CUT, KIND_EDIT, KIND_TEXT, ParsedEntry, cut_body
from protocol.messages import CutHead
from protocol.notes import deletion
from tests.support.lab.inspection import residues
from tests.support.storage.samples import (
    KEY,
    ME,
    TALK,
    THEIR_TERMINAL,
    blob,
    new_database,
    remove_conversation,
)
from tests.unit.storage.test_amending import OTHER, delete, edit, said, write
from tests.unit.storage.test_sharing import DEVICES, Device

THEM = THEIR_TERMINAL.terminal
LATER_KIND = 9


def begin(database: Database) -> None:
    with database.transaction():
        sharing.ensure(database, ME.person)
        persons.replace_terminals(database, THEIR_TERMINAL.person, [THEIR_TERMINAL, OTHER])


def take(database: Database, *came: ParsedEntry, former: Sequence[bytes] = ()) -> list[sharing.Followed]:
    """Insert entries of one or both conversations, and follow all that is due; what each piece did."""
    with database.transaction():
        for talk in {entry.header.conversation for entry in came}:
            some = [entry for entry in came if entry.header.conversation == talk]
            entries.insert_all(database, some, ME.terminal, ours=DEVICES, former=former)
    return settle(database)


def settle(database: Database) -> list[sharing.Followed]:
    done = list[sharing.Followed]()
    while sharing.is_due(database) or entries.is_unsettled(database):
        with database.transaction():
            done.append(sharing.follow(database))
        with database.transaction():
            Follower(database).piece()
    return done


def laptop() -> Device:
    return Device(DEVICES[1], random.Random(1))


def destroyed(database: Database, *of: ParsedEntry) -> list[int | None]:
    return [database.value("SELECT destroyed FROM entries WHERE id = ?", entry.id) for entry in of]


def bodies(database: Database, of: Iterable[ParsedEntry]) -> set[bytes]:
    sql = "SELECT EXISTS (SELECT 1 FROM entries AS e JOIN bodies AS b ON b.entry = e.number WHERE e.id = ?)"
    return {entry.id for entry in of if database.value(sql, entry.id)}


def conversation() -> dict[str, ParsedEntry]:
    theirs, mine = said(THEM, "what they said"), said(ME.terminal, "what I said")
    heads = [CutHead(b"incarnat", 1, blob("a head"))]
    return {
        "theirs": theirs,
        "their edit": edit(THEM, theirs, "what they say"),
        "mine": mine,
        "my edit": edit(ME.terminal, mine, "what I say"),
        "an edit of mine by them": edit(THEM, mine, "what I never said"),
        "kept": said(OTHER.terminal, "what stays"),
        "later": write(THEM, LATER_KIND, b"later", 7),
        "a cut": write(THEM, KIND_CUT, cut_body(OTHER.terminal, heads), 8),
        "a delete": delete(THEM, theirs),
    }


@pytest.mark.parametrize("seed", range(24))
def test_every_order_of_arrival_deletes_what_the_protocol_says(tmp_path: Path, seed: int) -> None:
    draw, talk, device = random.Random(seed), conversation(), laptop()
    if draw.random() < 0.5:
        del talk["a delete"]  # which would delete some of it, too
    named = draw.sample(list(talk.values()), draw.randrange(1, 5))
    states = [device.write(deletion(one.id)) for one in named]
    database = new_database(tmp_path)
    begin(database)
    left = [*talk.values(), *states]
    draw.shuffle(left)
    while left:
        some, left = left[: (size := draw.randrange(1, 4))], left[size:]
        # Bodies come after their headers, or with them, and again.
        take(database, *[replace(one, salt=b"", body=b"") if _is_alone(one, draw) else one for one in some])
        take(database, *some)
    held = {entry.id: entry for entry in talk.values()}
    gone = deleted_on_all(held, {one.id for one in named})
    for entry in talk.values():
        assert (entry.id in bodies(database, [entry])) is False or entry.id not in gone
        if entry.id in {one.id for one in named} & gone:
            assert destroyed(database, entry) == [entries.ON_ALL]
    if "a delete" not in talk:
        assert bodies(database, talk.values()) >= {one.id for one in talk.values() if _stays(one)} - gone
    database.close()


def _is_alone(entry: ParsedEntry, draw: random.Random) -> bool:
    return entry.header.conversation == TALK and entry.header.kind == KIND_TEXT and draw.random() < 0.5


def _stays(entry: ParsedEntry) -> bool:
    """An edit that has no effect may be destroyed."""
    return entry.header.kind != KIND_EDIT


def test_a_deletion_before_its_entry_is_final_and_binds_every_later_body(database: Database) -> None:
    begin(database)
    entry, device = said(THEM, "never shown"), laptop()
    take(database, device.write(deletion(entry.id)))
    take(database, replace(entry, salt=b"", body=b"", said=None), said(THEM, "another one"))
    assert destroyed(database, entry) == [entries.ON_ALL]
    assert take(database, entry) == []
    assert bodies(database, [entry]) == set()
    assert residues(database.path, KEY.reveal(), b"never shown") == []


def test_a_burst_of_entries_has_the_deleted_one_among_them(database: Database) -> None:
    begin(database)
    gone, kept = said(THEM, "gone"), [said(THEM, f"kept {number}", number) for number in range(3)]
    take(database, laptop().write(deletion(gone.id)))
    take(database, kept[0], gone, *kept[1:])
    assert destroyed(database, gone, *kept) == [entries.ON_ALL, 0, 0, 0]
    assert bodies(database, [gone, *kept]) == {one.id for one in kept}


def test_an_edit_that_waits_goes_when_what_it_names_is_deleted_before_it_comes(database: Database) -> None:
    begin(database)
    original = said(THEM, "the original")
    waiting = edit(THEM, original, "words that wait")
    take(database, waiting)
    assert bodies(database, [waiting]) == {waiting.id}
    take(database, laptop().write(deletion(original.id)))
    assert bodies(database, [waiting]) == set()


def test_a_deletion_counts_no_more_and_what_it_deleted_stays_so(database: Database) -> None:
    """Its device was removed: what it deleted is gone, and what it deletes from then on is not."""
    begin(database)
    held, coming, other = said(THEM, "held"), said(THEM, "coming"), said(THEM, "other")
    device = laptop()
    before = device.write(deletion(held.id), deletion(coming.id))
    take(database, held, before)
    stolen = device.write(deletion(other.id))
    with database.transaction():
        of = database.rows("SELECT conversation, author FROM entries WHERE id = ?", before.id)[0]
        columns = "conversation, author, cut, decides, settled, over"
        rule = database.insert(f"INSERT INTO rules ({columns}) VALUES (?, ?, 0, 1, NULL, 0)", *of)
        database.run(
            "INSERT INTO quarantine (entry, rule) SELECT number, ? FROM entries WHERE id = ?", rule, before.id
        )
    take(database, stolen, other, former=[device.terminal])
    take(database, coming)
    assert destroyed(database, held, coming, other) == [entries.ON_ALL, entries.ON_ALL, 0]
    assert bodies(database, [held, coming, other]) == {other.id}
    with database.transaction():
        database.run("DELETE FROM quarantine")
    take(database)
    assert destroyed(database, other) == [entries.ON_ALL], "it counts again"
    assert not quarantine.is_apart(database, 1)


def test_what_stays_in_force_and_the_notes_themselves_are_not_deleted(database: Database) -> None:
    begin(database)
    cut = conversation()["a cut"]
    device = laptop()
    state = device.write(deletion(blob("an entry")))
    take(database, device.write(deletion(state.id), deletion(cut.id)), state)
    take(database, cut)
    assert destroyed(database, cut, state) == [0, 0]
    assert bodies(database, [cut, state]) == {cut.id, state.id}


def test_it_stays_deleted_when_the_contact_is_removed_and_paired_again(database: Database) -> None:
    begin(database)
    entry = said(THEM, "of before")
    take(database, entry, laptop().write(deletion(entry.id)))
    with database.transaction():
        remove_conversation(database, contacts.conversation_number(database, TALK))
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEIR_TERMINAL.person)
    take(database, entry)
    assert destroyed(database, entry) == [entries.ON_ALL]


def test_the_wider_scope_is_shown_whatever_came_first(database: Database) -> None:
    begin(database)
    here, ended, by_author = said(THEM, "here"), said(THEM, "ended"), said(THEM, "theirs")
    device = laptop()
    take(database, here, ended, by_author, delete(THEM, by_author))
    with database.transaction():
        entries.destroy(database, here.id)
        entries.destroy(database, ended.id, 3)
    named = sorted(one.id for one in (here, ended, by_author))
    took = take(database, device.write(*map(deletion, named)))
    assert set(took[0].deleted) == {here.id, ended.id}
    assert took[0].gone == ()
    assert destroyed(database, here, ended, by_author) == [entries.ON_ALL] * 3
    row = entries.get(database, by_author.id)
    assert row is not None
    assert row.amended is not None


def test_many_deletions_are_followed_in_pieces_and_once(database: Database) -> None:
    begin(database)
    talk = [said(THEM, f"text {number}", number) for number in range(3 * erasing.PIECE)]
    take(database, *talk)
    device = laptop()
    ids = sorted(entry.id for entry in talk)
    states = [device.write(*map(deletion, ids[at : at + 64])) for at in range(0, len(ids), 64)]
    pieces = take(database, *states)
    assert [len(piece.gone) for piece in pieces if piece.gone] == [erasing.PIECE] * 3
    assert all(piece.more for piece in pieces if piece.gone)
    # Another order of the notes makes none of it due again.
    with database.transaction():
        database.run("UPDATE entries SET rank = rank + 1 WHERE kind = 6")
    assert not sharing.is_due(database)


def test_what_is_deleted_here_waits_behind_no_other_deletions(database: Database) -> None:
    begin(database)
    talk = [said(THEM, f"text {number}", number) for number in range(erasing.PIECE + 2)]
    take(database, *talk)
    last = max(talk, key=lambda entry: entry.id)
    with database.transaction():
        phone = laptop()
        notes = [phone.write(deletion(entry.id)) for entry in talk]
        entries.insert_all(database, notes, ME.terminal, ours=DEVICES)
        followed = sharing.follow(database, [last.id])
    assert destroyed(database, last) == [entries.ON_ALL]
    assert followed.deleted[0] == last.id
    assert len(followed.deleted) == erasing.PIECE
    assert followed.more
    pieces = settle(database)
    assert [entry for piece in pieces for entry in piece.gone].count(last.id) == 0
    assert destroyed(database, *talk) == [entries.ON_ALL] * len(talk)
