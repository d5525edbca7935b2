"""Folders of this person, for the files of a folder that was sent: real ones alone, never through a link."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

from chat.errors import phrase
from chat.interface import CannotCreate
from chat.platforms.files import is_own
from chat.storage.errors import StorageBroken, StorageReadOnly
from chat.storage.folder import system_failures
from chat.storage.new_file import FolderUnwritable

NAMES_TRIED: Final = 1_000


class NotAFolder(CannotCreate):
    """Files, links or folders of another user have all names of a folder that is to be written in."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            phrase("{path} is in the way: it is no folder of yours. Choose another one.", path=str(path))
        )


def make_below(folder: Path, names: Sequence[str]) -> Path:
    """The folder with these safe names below `folder`; what is missing is made, with mode 0700.

    Where something else has a name, the folder gets a number: else one contact, with a file of that name,
    would decide that no folder of another one is saved.

    Raises NotAFolder, FolderUnwritable, StorageFailure.
    """
    place = folder
    for name in names:
        numbered = (f"{name} ({number})" for number in range(2, NAMES_TRIED))
        found = next(
            (one for one in map(place.joinpath, chain([name], numbered)) if _made(one, folder)), None
        )
        if found is None:
            raise NotAFolder(place / name)
        place = found
    return place


def _made(place: Path, folder: Path) -> bool:
    """Whether there is now a real folder of this user. Raises FolderUnwritable (`folder`), StorageFailure."""
    try:
        with system_failures():
            with suppress(FileExistsError):
                place.mkdir(mode=0o700)
            found = place.lstat()
    except (StorageReadOnly, StorageBroken):  # a folder of the system, or too long a path
        raise FolderUnwritable(folder) from None
    return stat.S_ISDIR(found.st_mode) and is_own(found)
