"""Folders of this person, for the files of a folder that was sent: real ones alone, never through a link."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chat.errors import phrase
from chat.interface import CannotCreate
from chat.platforms.files import is_own
from chat.storage.errors import StorageBroken, StorageReadOnly
from chat.storage.folder import system_failures
from chat.storage.new_file import FolderUnwritable


class NotAFolder(CannotCreate):
    """A file, a link or the folder of another user has the name of a folder that is to be written in."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            phrase("{path} is in the way: it is no folder of yours. Choose another one.", path=str(path))
        )


def make_below(folder: Path, names: Sequence[str]) -> Path:
    """The folder with these safe names below `folder`; what is missing is made, with mode 0700.

    Raises NotAFolder (also for a link, wherever it leads), FolderUnwritable, StorageFailure.
    """
    place = folder
    for name in names:
        place /= name
        try:
            with system_failures():
                with suppress(FileExistsError):
                    place.mkdir(mode=0o700)
                found = place.lstat()
        except (StorageReadOnly, StorageBroken):  # a folder of the system, or too long a path
            raise FolderUnwritable(folder) from None
        if not stat.S_ISDIR(found.st_mode) or not is_own(found):
            raise NotAFolder(place)
    return place
