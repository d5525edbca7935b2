"""A file for the person, written under another name until it is whole and durable."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

from chat.errors import phrase
from chat.interface import CannotCreate
from chat.platforms import files
from chat.platforms.files import open_private
from chat.storage import errors, folder

_UNFINISHED: Final = ".parlour-part"
"""No other program ends a name so: what has it was left by an export that was killed, and is removed."""


def finished_name(name: str) -> str:
    """A name that no unfinished file has: else another file of this person would be taken for one."""
    return f"{name}_" if name.casefold().endswith(_UNFINISHED) else name


def is_unfinished(path: Path) -> bool:
    """Whether a path is that of a file which has no name yet."""
    return path.name.endswith(_UNFINISHED)


class FileExists(CannotCreate):
    """There is a file of this name."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            phrase("{path} exists already: choose another name (on the command line: --to).", path=str(path))
        )


class NoFolder(CannotCreate):
    """There is no folder to write the file in."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            phrase(
                "There is no folder {path}: choose another name (on the command line: --to).", path=str(path)
            )
        )


class FolderUnwritable(CannotCreate):
    """A file cannot be written there: nothing is said of the profile, which may be on another disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            phrase(
                "Nothing can be written in {path}: choose another place (on the command line: --to).",
                path=str(path),
            )
        )


class NewFile:
    """One file, of mode 0600. Nothing has its name before `finish`; `abandon` removes what there is.

    Raises FileExists, StorageFailure, each method too; the constructor NoFolder, FolderUnwritable.
    """

    def __init__(self, path: Path) -> None:
        check_free(path)
        self.path, self.unfinished = path, path.with_name(path.name + _UNFINISHED)
        with folder.system_failures():
            if not path.parent.is_dir():
                raise NoFolder(path.parent)
        try:
            with folder.system_failures():
                self.unfinished.unlink(missing_ok=True)  # a program that was killed left it
                opened = open_private(self.unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                self._file = os.fdopen(opened, "wb")
        except (errors.StorageReadOnly, errors.StorageBroken):  # a folder of the system, or too long a path
            raise FolderUnwritable(path.parent) from None

    def free(self) -> int:
        """Bytes that its disk has left."""
        with folder.system_failures():
            return files.free_bytes(self._file.fileno(), self.path.parent)

    def write(self, data: bytes) -> None:
        with folder.system_failures():
            self._file.write(data)

    def end(self) -> None:
        """Make what was written durable."""
        with folder.system_failures():
            self._file.flush()
            os.fsync(self._file.fileno())

    def finish(self, others: Iterable[str] = ()) -> None:
        """Give the file its name, durably; one of `others` where a program took that meanwhile."""
        with folder.system_failures():
            # Another program may have begun the same file, and removed this one.
            if not os.path.samestat(self.unfinished.stat(), os.fstat(self._file.fileno())):
                raise errors.StorageGone
            self._file.close()
            for path in chain((self.path,), map(self.path.with_name, others)):
                with suppress(FileExistsError):
                    folder.move_new(self.unfinished, path)
                    self.path = path
                    return
        raise FileExists(self.path)

    def abandon(self) -> None:
        """Remove the unfinished file, if there is one."""
        with folder.system_failures():
            # On a full disk the rest of the buffer fails again. The file is closed all the same.
            with suppress(OSError):
                self._file.close()
            self.unfinished.unlink(missing_ok=True)


def check_free(path: Path) -> None:
    """Raises FileExists where there is a file, or a link to one."""
    if os.path.lexists(path):
        raise FileExists(path)
