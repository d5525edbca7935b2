"""What a profile folder holds, as far as it can be seen without the passphrase.

Rules: nothing is written and no lock is taken; this is all that the first screen waits for, so that neither
the database nor its library is loaded for it.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from chat.interface import BadData
from chat.storage import header, pages
from chat.storage.errors import HeaderDamaged, HeaderMissing, ProfileTooNew
from chat.storage.header import Header
from chat.storage.system import system_failures
from protocol.errors import ProtocolError

HEADER: Final = "header"
DATABASE: Final = "history.db"
SOCKET: Final = "engine.sock"
# A profile in the making. Without their last step they hold nothing that anybody ever had.
NEW_HEADER: Final = "unfinished.header"
NEW_DATABASE: Final = "unfinished.db"


class ProfileState(StrEnum):
    """What a folder holds: no profile yet, or one that a passphrase opens."""

    NEW = "new"
    LOCKED = "locked"


def state(folder: Path) -> ProfileState:
    """What is there; writes nothing and takes no lock.

    Raises HeaderMissing, HeaderDamaged, DatabaseMissing, DatabaseEmpty, NotEncrypted, ProfileTooNew.
    """
    with system_failures():
        place = header_place(folder)
        if place is None:
            return ProfileState.NEW
        read_header(place)
        pages.check_present(folder / DATABASE)
        return ProfileState.LOCKED


def port(folder: Path) -> int:
    """The port in the header, 0 where there is none to read. Takes no lock."""
    place = header_place(folder)
    try:
        return read_header(place).port if place is not None else 0
    except BadData:
        return 0


def header_place(folder: Path) -> Path | None:
    """Where the header is: under its name, under the one before the last step of creation, or nowhere."""
    if (folder / HEADER).exists():
        return folder / HEADER
    if not (folder / DATABASE).exists():
        return None
    if (folder / NEW_HEADER).exists():
        return folder / NEW_HEADER
    raise HeaderMissing(folder / HEADER)


def read_header(path: Path) -> Header:
    """A header from its file. Raises HeaderDamaged, ProfileTooNew, OSError."""
    with path.open("rb") as file:
        data = file.read(header.HEADER_BYTES_MAX + 1)
    try:
        return header.parse(data)
    except header.NewerHeader:
        raise ProfileTooNew(path) from None
    except ProtocolError:
        raise HeaderDamaged(path) from None
