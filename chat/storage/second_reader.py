"""Reads a database by a library that did not write it: SQLite3 Multiple Ciphers, an optional extra.

It has a SQLite and a cipher of its own, so a fault of one library is not hidden by the same fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from chat.errors import Phrase, phrase
from chat.storage.database import Database
from chat.storage.errors import StorageGivenUp

NOT_INSTALLED: Final = phrase("not looked at by a second library: the extra 'reader' is not installed")
COUNTED: Final = ("entries", "bodies", "contacts", "conversations", "edges", "settings")
"""Tables whose rows both libraries count."""

_STEPS_BETWEEN: Final = 1000


class NoSecondReader(Exception):
    """The library is not installed."""


class Seen(Struct, frozen=True):
    """What the library saw: its name, what is wrong, and the rows by table of COUNTED.

    `rows` is empty where a page cannot be read.
    """

    library: str
    wrong: tuple[str, ...]
    rows: Mapping[str, int]


def look(path: Path, key: bytes, wanted: Callable[[], bool], *, log: bool = False) -> Seen:
    """Read every table and index of a database under a raw key of 32 bytes, and write nothing.

    Nobody else may write meanwhile. Without `log` no file is made and no lock is taken, and what is in the
    log is not seen. With it, an index of the log is made next to it: for a copy.
    Raises NoSecondReader, and StorageGivenUp as soon as `wanted` says so.
    """
    try:
        import apsw
    except ImportError:
        raise NoSecondReader from None
    if not hasattr(apsw, "mc_version"):  # the library of the same name that has no ciphers
        raise NoSecondReader
    uri = f"{path.absolute().as_uri()}?{'mode=ro' if log else 'immutable=1'}"
    try:
        return _read(apsw, uri, key, wanted)
    except apsw.InterruptError:
        failure = ""
    except apsw.Error as error:
        # SECURITY: the library's own traceback holds the statements, and so the key: only its kind is said.
        failure = type(error).__name__
    if not failure:
        raise StorageGivenUp
    return Seen(str(apsw.mc_version), (f"it cannot read the database ({failure})",), {})


def _read(apsw: Any, uri: str, key: bytes, wanted: Callable[[], bool]) -> Seen:
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.execute("PRAGMA cipher = sqlcipher")
        connection.execute("PRAGMA legacy = 4")
        # SECURITY: kept in no cache of statements.
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"", can_cache=False)
        connection.set_progress_handler(wanted, _STEPS_BETWEEN)
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
        rows = {table: int(connection.execute(f"SELECT count(*) FROM {table}").get) for table in COUNTED}
        return Seen(str(apsw.mc_version), tuple(line for line in found if line != "ok"), rows)
    finally:
        connection.close()


def counted(db: Database) -> Mapping[str, int]:
    """The rows by table of COUNTED, as this library counts them."""
    return {table: int(db.value(f"SELECT count(*) FROM {table}")) for table in COUNTED}


def differences(seen: Seen, own: Mapping[str, int]) -> tuple[str, ...]:
    """What is wrong in the eyes of the second library, and where it counts other rows, in a line each."""
    if seen.wrong:
        return seen.wrong
    other = (table for table in own if seen.rows.get(table) != own[table])
    return tuple(f"it counts {seen.rows.get(table)} rows of {table}, and not {own[table]}" for table in other)


def compare(db: Database, wanted: Callable[[], bool]) -> tuple[bool, Phrase]:
    """Let the second library look at an open database, and compare. Takes as long as reading all of it.

    Returns whether nothing is wrong, and what was found in one line. Raises StorageGivenUp as soon as
    `wanted` says so, and as `Database.shown_to`.
    """
    try:
        seen = db.shown_to(partial(look, wanted=wanted))
    except NoSecondReader:
        return True, NOT_INSTALLED
    found = differences(seen, counted(db))
    if found:
        return False, phrase("{library}: {problem}", library=seen.library, problem=found[0])
    return True, phrase(
        "{library} counts the same {rows} rows, and finds all tables and indexes whole",
        library=seen.library,
        rows=sum(seen.rows.values()),
    )
