"""Wheels of what is installed here, for a bundle that runs on machines of the same kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile

import chat
from chat.tools.bundle.make import add

_OWN: Final = ("chat", "protocol", "seeds", "tui")
_LEFT_OUT: Final = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")
"""What an installer wrote about this installation."""


_QUICK: Final = 1
"""The level of compression: somebody waits for the bundle, which is sent once."""


class NotInstalled(Exception):
    """Parlour runs here without being installed, so nobody knows which files belong to it."""


def wheels() -> dict[str, bytes]:
    """Parlour and what it needs, as wheels by file name. Raises NotInstalled, OSError."""
    found: dict[str, Distribution] = {}
    waiting = ["parlour"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            if name == "parlour":
                raise NotInstalled from None
            continue  # needed elsewhere only, as its marker says
        waiting += _needed(found[name])
    return dict(_packed(one) for one in found.values())


def _needed(one: Distribution) -> Iterator[str]:
    for requirement in one.requires or ():
        if "extra ==" not in requirement:
            yield re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _packed(one: Distribution) -> tuple[str, bytes]:
    tags = re.findall(r"^Tag: (\S+)$", one.read_text("WHEEL") or "Tag: py3-none-any", re.MULTILINE)
    first, *others = tags
    platforms = ".".join([first.rpartition("-")[2], *(tag.rpartition("-")[2] for tag in others)])
    name = f"{one.name.replace('-', '_')}-{one.version}-{first.rpartition('-')[0]}-{platforms}.whl"
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for member, path in sorted(_files(one)):
            add(archive, member, path.read_bytes(), ZIP_DEFLATED, _QUICK)
    return name, content.getvalue()


def _files(one: Distribution) -> Iterator[tuple[str, Path]]:
    for file in one.files or ():
        if _belongs(file):
            yield file.as_posix(), Path(str(one.locate_file(file)))
    if one.name != "parlour" or any(file.parts[0] == "chat" for file in one.files or ()):
        return
    root = Path(chat.__file__).parents[1]  # the program runs from its sources, which no list names
    for path in (path for package in _OWN for path in (root / package).rglob("*")):
        member = PurePosixPath(path.relative_to(root).as_posix())
        if path.is_file() and _belongs(member) and member.parts[:2] != ("protocol", "model"):
            yield member.as_posix(), path


def _belongs(file: PurePosixPath) -> bool:
    return not (
        ".." in file.parts
        or "__pycache__" in file.parts
        or file.suffix in (".pyc", ".pth")
        or (file.parts[0].endswith(".dist-info") and file.name in _LEFT_OUT)
    )
