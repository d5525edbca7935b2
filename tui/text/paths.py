"""Paths that a person types, pastes or drops into the terminal."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

PASTED_MAX: Final = 32_768
"""Characters of a paste that is looked at. Longer ones are text."""

PATHS_MAX: Final = 256
"""Paths in one paste. More of them are text."""

_BEGINS: Final = re.compile(r"""\s*['"]?(?:/|~/|file:/|\\\\|[A-Za-z]:[\\/])""")
_LOCAL: Final = ("", "localhost")


def pasted_paths(text: str, exists: Callable[[str], bool] = os.path.lexists) -> tuple[str, ...]:
    """The paths of which a text consists, each of which is there; none where it is any other text.

    Terminals differ in what they make of files that are dropped: kitty, foot, VTE and Konsole quote them as
    for a shell, iTerm and Terminal.app put backslashes, Windows Terminal double quotation marks, Alacritty
    nothing at all; several are on one line or on several, and file managers copy them as URIs.
    """
    if len(text) > PASTED_MAX or not _BEGINS.match(text):
        return ()
    for found in _readings(text):
        if 0 < len(found) <= PATHS_MAX and all(map(_is_whole, found)) and all(map(exists, found)):
            return tuple(dict.fromkeys(found))
    return ()


def typed_paths(text: str, exists: Callable[[str], bool] = os.path.lexists) -> tuple[str, ...]:
    """The paths that a person typed after a command: one as it stands, or several as for a shell."""
    for found in _readings(text.strip()):
        named = [str(Path(one).expanduser().absolute()) for one in found]
        if named and all(map(exists, named)):
            return tuple(dict.fromkeys(named))
    words = _words(text, "'\"", "\\") or [text.strip()]
    return tuple(str(Path(one).expanduser().absolute()) for one in words if one)


def _readings(text: str) -> Iterator[list[str]]:
    """What a text may say, the plainest reading first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    yield [line if (uri := _of_uri(line)) is None else uri for line in lines]
    for quotes, escape in (("'\"", "\\"), ("'\"", "")):  # of a shell; of Windows
        words = [_words(line, quotes, escape) for line in lines]
        if None not in words:
            found = [word for line in words for word in line or ()]
            yield [word if (uri := _of_uri(word)) is None else uri for word in found]


def _is_whole(path: str) -> bool:
    """From the root of a disk, and no more than a root."""
    named = Path(path)
    return named.is_absolute() and named.parent != named


def _of_uri(word: str) -> str | None:
    """The path of a URI; None where it is none of a file of this machine."""
    if not word.startswith("file:"):
        return None
    try:
        parts = urlsplit(word)
        path = unquote(parts.path, errors="strict")
    except ValueError:
        return None
    if parts.netloc.lower() not in _LOCAL or parts.query or parts.fragment or "\0" in path:
        return None
    return path[1:] if os.name == "nt" and path[2:3] == ":" else path


def _words(line: str, quotes: str, escape: str) -> list[str] | None:
    """The words of a line; None where a quotation mark is not closed. No shell reads it, and none expands."""
    words, word, inside, quote, at = list[str](), "", False, "", 0
    while at < len(line):
        one = line[at]
        at += 1
        if quote:
            if one == quote:
                quote = ""
            elif one == escape and quote == '"' and line[at : at + 1] in ('"', "\\", "$", "`"):
                word, at = word + line[at], at + 1
            else:
                word += one
        elif one in quotes:
            quote, inside = one, True
        elif one == escape and at < len(line):
            word, inside, at = word + line[at], True, at + 1
        elif one.isspace():
            words, word, inside = ([*words, word] if inside else words), "", False
        else:
            word, inside = word + one, True
    if quote:
        return None
    return [*words, word] if inside else words


class Listed(Struct, frozen=True):
    """An entry of a folder: whether it is a folder or a link to one, and the bytes of a regular file.

    `size`: None for all else, and for entries after the first `Completion.MEASURED_MAX`.
    """

    name: str
    folder: bool
    size: int | None = None


class Completion:
    """What may follow what was typed of a path: the entries of its folder that begin so.

    `cut`: there are more than `LISTED_MAX` entries, and only some were looked at.
    """

    LISTED_MAX: Final = 5_000
    """Entries of one folder that are looked at. This person fills it."""

    MEASURED_MAX: Final = 200
    """Entries whose size is looked up: as many as are shown."""

    def __init__(self, typed: str) -> None:
        """Reads the folder, and blocks. What cannot be read is empty, and `problem` says why."""
        self.typed = typed
        self.shown_folder = folder_of(typed)
        self.folder = whole_folder(self.shown_folder)
        self.cut, self.problem = False, ""
        begin, found = typed.rpartition("/")[2], list[os.DirEntry[str]]()
        try:
            with os.scandir(self.folder) as listed:
                for number, one in enumerate(listed):
                    if number >= self.LISTED_MAX:
                        self.cut = True
                        break
                    if _begins(one.name, begin):
                        found.append(one)
        except OSError as failure:
            self.problem = failure.strerror or "?"
        except ValueError:
            self.problem = "?"
        folders = {one.name for one in found if _is_folder(one)}
        found.sort(key=lambda one: (one.name not in folders, one.name.casefold(), one.name))
        self.entries: Sequence[Listed] = [
            Listed(one.name, one.name in folders, _size(one) if at < self.MEASURED_MAX else None)
            for at, one in enumerate(found)
        ]

    def common(self) -> str:
        """What was typed, as far as all entries agree on what follows."""
        names = [one.name for one in self.entries]
        begin = os.path.commonprefix(names) if names else ""  # noqa: RUF071 - of the letters of one name
        one = "/" if len(names) == 1 and self.entries[0].folder else ""
        return f"{self.shown_folder}{begin}{one}"


def folder_of(typed: str) -> str:
    """What was typed of the folder. After one that is there it may begin again at the root, or at home."""
    typed = typed[max(0, typed.rfind("//") + 1, typed.rfind("/~") + 1) :]
    before, slash, _begin = typed.rpartition("/")
    return before + slash


def whole_folder(shown: str) -> Path:
    """The whole path of a folder as it was typed. The home of nobody is a name like any other."""
    with suppress(RuntimeError):
        return Path(shown or ".").expanduser().absolute()
    return Path(shown).absolute()


def _begins(name: str, begin: str) -> bool:
    """Hidden names only after a dot; the case of letters does not count."""
    if name.startswith(".") and not begin.startswith("."):
        return False
    return name.casefold().startswith(begin.casefold())


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _size(entry: os.DirEntry[str]) -> int | None:
    """The size of a regular file, or of that to which a link leads; None for all else."""
    try:
        found = entry.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
