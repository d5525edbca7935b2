"""What views say and queries mean: names that tell contacts apart, and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.interface import UsageError
from chat.looks import telling
from chat.service.history import EPOCH, unix
from chat.service.state import ContactBook
from chat.service.views import Views, utc
from chat.storage.contacts import PAIRED, ContactRow

OWN = b"\x0f" * 32


def contact(start: str, name: str, petname: str = "") -> ContactRow:
    """A contact whose id begins with these hex digits."""
    person = bytes.fromhex(start.ljust(64, "0"))
    return ContactRow(person, name, petname, PAIRED, verified=False, blocked=False, held=False, since=1)


def views(*rows: ContactRow) -> Views:
    keyring: Any = SimpleNamespace(
        own=SimpleNamespace(person=OWN, archived=False), own_log=SimpleNamespace(name="Ada")
    )
    shown = {row.person: row.shown for row in rows}
    holders = {person: [one.hex() for one in shown if shown[one] == shown[person]] for person in shown}
    digits = {person: telling(alike) for person, alike in holders.items()}
    book = ContactBook({row.person: row for row in rows}, {}, digits=digits)
    return Views(keyring, book, mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock())


BEN, BENNO, OTHER_BEN = contact("1234", "Ben"), contact("5678", "Benno"), contact("9abc", "Carl", "Ben")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Ben", [BEN, OTHER_BEN]),
        ("be", [BEN, BENNO, OTHER_BEN]),
        ("BENN", [BENNO]),
        (" Benno\u200b", [BENNO]),
        ("Ben~1234", [BEN]),
        ("Ben~9", [OTHER_BEN]),
        (BEN.person.hex(), [BEN]),
        ("5678", [BENNO]),
        ("Carl", []),
        ("Dora", []),
    ],
)
def test_a_typed_name_means_who_has_it_or_else_whose_name_begins_so(
    typed: str, meant: list[ContactRow]
) -> None:
    assert views(BEN, BENNO, OTHER_BEN).named(typed, own=False) == {row.person for row in meant}


def test_this_person_is_meant_only_where_it_may_be() -> None:
    me = contact("77", "me")
    assert views(me).named("Me", own=True) == {OWN}
    assert views(me).named("Me", own=False) == {me.person}
    assert views(me).named("ada", own=True) == {OWN}
    assert views(me).named("ada", own=False) == set()


def test_a_time_after_the_end_of_the_calendar_is_its_last_day() -> None:
    assert utc(1_500) == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    assert utc(2**48 - 1) == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "milliseconds"),
    [(-1_000, 0), (0, 0), (1, 1), (1_000, 1), (1_001, 2), (60_000_000, 60_000)],
)
def test_a_moment_is_its_first_millisecond_that_is_not_before_it(after: int, milliseconds: int) -> None:
    moment = EPOCH + timedelta(microseconds=after)
    assert unix(moment) == milliseconds
    with pytest.raises(UsageError):
        unix(moment.replace(tzinfo=None))
