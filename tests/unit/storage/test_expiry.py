"""Ends of entries, timers of conversations, and the clock of the profile, as they are stored (SPEC §11.9)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from msgspec.structs import replace

from chat.ports import Clock
from chat.service.expiry import AgeClock
from chat.storage import checks, contacts, entries, expiry, ordering, persons, receipts
from chat.storage.database import Database
from chat.storage.expiry import EXPIRED, Moment
from protocol.codec import encode
from protocol.entries_and_receipts import KIND_TIMER, ParsedEntry
from protocol.limits import UNREAD_SECONDS_MAX
from protocol.messages import TimerBody
from tests.support.storage.samples import (
    ME,
    TALK,
    THEIR_TERMINAL,
    THEM,
    blob,
    find,
    remove_conversation,
    sample,
)

HOUR = 3_600
NOW = Moment(1_000_000, 50_000, "first", 7)
LATER = 10 * HOUR * 1_000


def setting(seconds: int, sequence: int, time: int, previous: bytes = b"") -> ParsedEntry:
    """An own entry that sets the timer."""
    body = encode(TimerBody(seconds)).decode("latin-1")
    entry = sample(body, sequence=sequence, time=time, previous=previous, kind=KIND_TIMER)
    return replace(entry, timing=TimerBody(seconds))


def insert(database: Database, new: Sequence[ParsedEntry], moment: Moment | None = NOW) -> None:
    with database.transaction():
        entries.insert_all(database, new, ME.terminal, moment=moment)


def ends(database: Database) -> list[tuple[int, int, int]]:
    return [(due, last, waits) for due, last, waits in database.rows("SELECT due, last, waits FROM expiring")]


@pytest.mark.parametrize("singly", [False, True])
def test_ends_are_kept_by_the_age_however_entries_come(database: Database, singly: bool) -> None:
    mine = sample("mine", timer=HOUR, time=NOW.wall - 60_000)
    theirs = sample("theirs", author=THEIR_TERMINAL.terminal, timer=HOUR, time=NOW.wall + LATER)
    plain = sample("plain", sequence=2, previous=mine.id, time=NOW.wall)
    apart = sample("not plain", sequence=9, previous=bytes(32), time=NOW.wall)
    insert(database, [mine, theirs, plain, *([apart] if singly else [])])
    unread = NOW.age + (HOUR + UNREAD_SECONDS_MAX) * 1_000
    assert sorted(ends(database)) == [
        (NOW.age + HOUR * 1_000 - 60_000, unread - 60_000, 0),
        (unread, unread, 0),  # a clock that is ahead delays nothing
    ]
    assert expiry.read_clock(database) == NOW


def test_reading_counts_once_and_only_what_has_a_timer(database: Database) -> None:
    timed = sample("timed", author=THEIR_TERMINAL.terminal, timer=HOUR, time=NOW.wall)
    insert(database, [timed, sample("plain", time=NOW.wall)])
    with database.transaction():
        assert expiry.count_from_now(database, [timed.id], NOW)
        assert expiry.next_end(database) == NOW.age + HOUR * 1_000
        later = Moment(NOW.wall, NOW.age + 5, NOW.boot, NOW.since)
        expiry.count_from_now(database, [timed.id], later)
    assert expiry.next_end(database) == NOW.age + HOUR * 1_000


def test_the_end_takes_body_words_and_count_and_leaves_the_header(database: Database) -> None:
    timed = sample("zyxhippopotamus", author=THEIR_TERMINAL.terminal, timer=HOUR, time=NOW.wall)
    insert(database, [timed, sample("plain", time=NOW.wall)])
    end = Moment(NOW.wall, NOW.age + (HOUR + UNREAD_SECONDS_MAX) * 1_000, NOW.boot, NOW.since)
    with database.transaction():
        assert expiry.expire(database, Moment(0, end.age - 1, "", 0), 10) == ([], False)
        gone, more = expiry.expire(database, end, 10)
    assert ([one.entry for one in gone], more) == ([timed.id], False)
    row = entries.get(database, timed.id)
    assert row is not None
    assert (row.destroyed, row.salt, row.body, row.header) == (EXPIRED, b"", b"", timed.header_bytes)
    assert find(database, "zyxhippopotamus") == []
    assert receipts.unread(database, TALK) == 0
    assert ends(database) == []
    assert checks.piece(database, 0) is not None, "it is not taken for a page of another time"
    insert(database, [timed])
    for table in ("bodies", "unread", "expiring"):
        assert database.value(f"SELECT count(*) FROM {table} WHERE entry = ?", row.number) == 0
    assert find(database, "zyxhippopotamus") == []


def test_a_missing_body_ends_too_and_is_not_taken_after_its_end(database: Database) -> None:
    timed = sample("late", author=THEIR_TERMINAL.terminal, timer=HOUR, time=NOW.wall)
    insert(database, [replace(timed, salt=b"", body=b"", said=None)])
    (due, _last, _waits) = ends(database)[0]
    insert(database, [timed], Moment(NOW.wall, due, NOW.boot, NOW.since))
    row = entries.get(database, timed.id)
    assert row is not None
    assert row.body == b""
    insert(database, [timed], Moment(NOW.wall, due - 1, NOW.boot, NOW.since))
    assert [found.id for found in find(database, "late")] == [timed.id]


def test_the_last_timer_in_the_order_counts_unless_it_is_uncovered(database: Database) -> None:
    hour = setting(HOUR, 1, 1_000)
    minute = setting(60, 2, 500, hour.id)  # behind, and it stands after what it names
    insert(database, [minute], None)
    assert expiry.timer_of(database, TALK) == 60
    insert(database, [hour], None)
    with database.transaction():
        while ordering.settle_next(database, 0) is not None:
            pass
    assert expiry.timer_of(database, TALK) == 60
    assert list(expiry.timers(database).values()) == [60]
    with database.transaction():
        number = database.value("SELECT number FROM entries WHERE id = ?", minute.id)
        database.run("INSERT INTO uncovered (entry) VALUES (?)", number)
    assert expiry.timer_of(database, TALK) == HOUR
    with database.transaction():
        remove_conversation(database, contacts.conversation_number(database, TALK))
    assert expiry.timers(database) == {}


class Set(Clock):
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time, self.start, self.since = 1_000_000, "first", 5_000

    def monotonic(self) -> float:
        return self.since / 1_000

    def wall(self) -> int:
        return self.time

    def boot(self) -> tuple[str, int]:
        return self.start, self.since

    def run(self, milliseconds: int, *, wall: int | None = None) -> None:
        self.since += milliseconds
        self.time += milliseconds if wall is None else wall


def test_the_age_follows_the_faster_clock_and_never_goes_back() -> None:
    clock = Set()
    ages = AgeClock(clock, None)
    assert ages.now().age == 0
    clock.run(100)
    assert ages.now().age == 100
    clock.run(50, wall=-86_400_000)
    assert ages.now().age == 150
    clock.run(50)
    assert ages.now().age == 200
    clock.run(50, wall=3_600_000)
    assert ages.now().age == 3_600_200
    clock.run(50, wall=-3_600_000)  # what a jump forward took is not given back, and nothing waits for it
    assert ages.now().age == 3_600_250
    for _ in range(1_000):
        clock.run(7, wall=7 + (_ % 2) * 2 - 1)  # two clocks that are read a moment apart do not add up
    assert ages.now().age == 3_600_250 + 7_000


@pytest.mark.parametrize(
    ("start", "ran", "wall", "passed"),
    [
        ("first", 500, 500, 500),
        ("first", 500, -86_400_000, 500),
        ("second", -4_000, 500, 500),
        ("second", -4_000, -86_400_000, 0),
        ("first", 500, 3_600_000, 3_600_000),
    ],
)
def test_between_two_engines_the_clocks_count_that_are_known(
    start: str, ran: int, wall: int, passed: int
) -> None:
    clock = Set()
    ages = AgeClock(clock, None)
    clock.run(100)
    saved = ages.now()
    clock.run(ran, wall=wall)
    clock.start = start
    assert AgeClock(clock, saved).now().age == saved.age + passed


def test_a_piece_passes_over_nothing_that_waits_for_the_contact(database: Database) -> None:
    """This person may have very many that wait, and each piece would take as long as all of them."""
    with database.transaction():
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    written = list[ParsedEntry]()
    for number in range(1, 601):
        previous = written[-1].id if written else b""
        written.append(sample("mine", sequence=number, previous=previous, time=NOW.wall, timer=HOUR))
    insert(database, written)
    after = Moment(NOW.wall, NOW.age + LATER, NOW.boot, NOW.since)
    more = True
    while more:
        with database.transaction():
            ended, more = expiry.expire(database, after, 100)
        assert ended == []
    assert database.value("SELECT count(*) FROM expiring WHERE waits") == 600
    taken = count()
    with database.transaction():
        database._connection.set_progress_handler(lambda: next(taken) < 0, 100)
        assert expiry.expire(database, after, 100) == ([], False)
        database._connection.set_progress_handler(None, 0)
        assert next(taken) < 10
        receipts.add(database, blob("another own terminal"), receipts.STORED, [written[3].id], 1)
        receipts.add(database, THEIR_TERMINAL.terminal, receipts.STORED, [one.id for one in written[5:8]], 1)
        first, more = expiry.expire(database, after, 3)
        assert more
        rest, _ = expiry.expire(database, after, 3)
    assert {one.entry for one in (*first, *rest)} == {one.id for one in written[5:8]}
    assert database.value("SELECT count(*) FROM expiring WHERE waits = 1") == 597
    assert expiry.is_awaited(database)
