"""No stored value that cannot be read keeps a profile shut: it is set aside, and said once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from chat.interface import AlertKind
from chat.storage import folder, profile
from chat.storage.database import Database
from chat.storage.errors import IdentityLost
from tests.support.engines.engines import DEFAULTS, Person, in_virtual_time
from tests.support.fakes.network import Network
from tests.support.storage import released

NEWEST: Final = max(path.name for path in released.FOLDER.iterdir())
KEY: Final = bytes.fromhex((released.FOLDER / NEWEST / released.KEY).read_text())
BEN: Final = released.BEN.person.hex()

PERSON_ITSELF: Final = {"own.person", "operations.person", "operations.data"}
"""Columns whose every value is unreadable in a test, and without which nobody is there to open a profile."""

UNREADABLE: Final = {"TEXT": "?☃ of a later version", "INTEGER": 2**62}


def database(place: Path) -> Database:
    return Database(place / folder.DATABASE, KEY)


def columns() -> Iterator[str]:
    """Those with values: what is a number of a row, which the schema checks, is none."""
    with closing(Database(released.FOLDER / NEWEST / folder.DATABASE, KEY, read_only=True)) as kept:
        for (table,) in kept.rows("SELECT name FROM pragma_table_list WHERE strict = 1 ORDER BY name"):
            linked = {row[3] for row in kept.rows(f"PRAGMA foreign_key_list({table})")}
            for _, column, kind, _, _, place in kept.rows(f"PRAGMA table_info({table})"):
                if table != "migrations" and (kind != "INTEGER" or not (place or column in linked)):
                    yield f"{table}.{column}"


def spoil(place: Path, column: str, where: str = "1") -> None:
    table, name = column.split(".")
    with closing(database(place)) as opened:
        kinds = {row[1]: row[2] for row in opened.rows(f"PRAGMA table_info({table})")}
        size = opened.value(f"SELECT max(length({name})) FROM {table}")
        value: Any = UNREADABLE.get(kinds[name], b"\xff" * (size or 32))
        opened.rows("PRAGMA foreign_keys = OFF")
        with opened.transaction():
            opened.run(f"UPDATE OR IGNORE {table} SET {name} = ? WHERE {where}", value)


def copied(place: Path) -> Person:
    shutil.copytree(released.FOLDER / NEWEST, place)
    return Person("Ann", "10.0.0.1", place, Network(), DEFAULTS, 1)


async def opens(person: Person) -> list[AlertKind]:
    """Start, look at what a person looks at first, stop; returns the alerts."""
    await person._run(profile.unlock(person.folder, released.PASSPHRASE))
    for view in await person.engine.contacts():
        await person.engine.set_preference(f"draft.{view.person}", "words")
    await person.engine.me()
    found = [alert.kind for alert in await person.engine.alerts()]
    await person.stop()
    return found


@in_virtual_time
async def test_the_newest_kept_profile_opens_with_rows_of_every_kind(tmp_path: Path) -> None:
    person = copied(tmp_path / "profile")
    assert await opens(person) == [AlertKind.OLD_COPY]


@pytest.mark.parametrize("column", list(columns()))
@in_virtual_time
async def test_no_unreadable_column_keeps_a_profile_shut(tmp_path: Path, column: str) -> None:
    person = copied(tmp_path / "profile")
    spoil(person.folder, column)
    if column in PERSON_ITSELF:
        with pytest.raises(IdentityLost):
            await opens(person)
    else:
        await opens(person)


ONE: Final = {
    "an invitation": ("invitations.text", "1"),
    "a setting": ("settings.value", "name LIKE 'timer/%'"),
    "a register": ("registers.subject", "1"),
    "a declaration": ("bodies.body", "entry IN (SELECT number FROM entries WHERE kind = 7)"),
    "a contact": ("operations.data", f"person = x'{BEN}'"),
}


@pytest.mark.parametrize("which", ONE)
@in_virtual_time
async def test_what_is_set_aside_is_said_once(tmp_path: Path, which: str) -> None:
    person = copied(tmp_path / "profile")
    spoil(person.folder, *ONE[which])
    assert AlertKind.SET_ASIDE in await opens(person)
    await person._run(profile.unlock(person.folder, released.PASSPHRASE))
    (said,) = [alert.text for alert in await person.engine.alerts() if alert.kind is AlertKind.SET_ASIDE]
    assert ("pair with them again" in str(said)) == (which == "a contact")
    await person.engine.dismiss_alerts()
    await person.stop()
    assert await opens(person) == []
