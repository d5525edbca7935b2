"""What a person sends: one file, or a folder as the list of its files, each by itself (SPEC §12.1)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from chat.errors import Phrase, UsageError, phrase

FILES_MAX: Final = 1_000
"""Files of one folder that are sent. This person fills it; each is a message in the conversation."""

FOLDERS_MAX: Final = 10_000
"""Folders below one that is sent, with or without files in them. This person fills it."""

DEPTH_MAX: Final = 16
"""Folders above a file, the one that is sent among them (SPEC §12.1)."""

IS_LINK: Final = phrase("a symbolic link")
IS_SPECIAL: Final = phrase("a device, a pipe or a socket")
IS_DEEP: Final = phrase("below more than 16 folders")
IS_SHUT: Final = phrase("a folder that cannot be read")
IS_NO_TEXT: Final = phrase("a name that is no text")


class Given(Struct, frozen=True):
    """A file to send, by its whole path; `named` as `Messenger.send_file` takes it; `size` in bytes."""

    path: str
    named: str
    size: int


class LeftOut(Struct, frozen=True):
    """What is in a folder and is not sent."""

    path: str
    why: Phrase


class Outgoing(Struct, frozen=True):
    """The files that are sent where one path is named."""

    files: tuple[Given, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)


def outgoing(path: Path) -> Outgoing:
    """A file, or all regular files below a folder, hidden ones too. Blocks. Raises UsageError.

    A link that is named is followed; one below a folder is not.
    """
    path = path.expanduser().absolute()
    try:
        found = path.stat()
    except (OSError, ValueError):
        raise UsageError(phrase("{path} is not there: check its name.", path=str(path))) from None
    if stat.S_ISREG(found.st_mode):
        return Outgoing((Given(str(path), path.name, found.st_size),))
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(
            phrase("{path} is a device, a pipe or a socket: name a file or a folder.", path=str(path))
        )
    return _folder(path)


def _folder(path: Path) -> Outgoing:
    top = Path(os.path.normpath(path)).name or "folder"
    files, left_out, folders = list[Given](), list[LeftOut](), 0
    waiting: list[tuple[Path, tuple[str, ...]]] = [(path, (top,))]
    while waiting:
        folder, names = waiting.pop()
        folders += 1
        below = list[tuple[Path, tuple[str, ...]]]()
        for one in _entries(folder, left_out):
            if not is_text(one.name):
                left_out.append(LeftOut(one.path.encode(errors="replace").decode(), IS_NO_TEXT))
            elif one.is_symlink():
                left_out.append(LeftOut(one.path, IS_LINK))
            elif one.is_dir(follow_symlinks=False):
                below.append((Path(one.path), (*names, one.name)))
            elif not one.is_file(follow_symlinks=False):
                left_out.append(LeftOut(one.path, IS_SPECIAL))
            elif len(names) > DEPTH_MAX:
                left_out.append(LeftOut(one.path, IS_DEEP))
            else:
                with suppress(FileNotFoundError):  # gone meanwhile
                    size = one.stat(follow_symlinks=False).st_size
                    files.append(Given(one.path, "/".join((*names, one.name)), size))
        waiting += reversed(below)
        if len(files) > FILES_MAX or folders + len(waiting) > FOLDERS_MAX:
            raise UsageError(
                phrase(
                    "{path} has more than {number} files: send its folders one by one, or pack it first.",
                    path=str(path),
                    number=FILES_MAX,
                )
            )
    if not files:
        raise UsageError(phrase("{path} has no file that can be sent.", path=str(path)))
    return Outgoing(tuple(files), tuple(left_out))


def hidden_names(named: Iterable[str]) -> list[str]:
    """The hidden files and folders below those that a person chose, each once: of `named` of each file."""
    found = dict[str, None]()
    for name in named:
        parts = name.split("/")
        at = next((at for at, part in enumerate(parts) if at and part.startswith(".")), 0)
        if at:
            found["/".join(parts[: at + 1])] = None
    return [*found]


def is_text(name: str) -> bool:
    """Whether a name is text: one of other bytes comes as half characters, which no message can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _entries(folder: Path, left_out: list[LeftOut]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from sorted(found, key=lambda one: one.name)
    except OSError:
        left_out.append(LeftOut(str(folder), IS_SHUT))
