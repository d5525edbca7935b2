"""Searches files for a text in every form in which it might be stored without being sealed.

Rules: all files below a folder, whatever they are called; one that cannot be read is told, never passed over.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SQLITE: Final = b"SQLite format 3\x00"
"""How a database begins that is not encrypted."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a search read, and where it found something: `file: which text, in which form`."""

    files: int
    bytes: int
    found: tuple[str, ...]


def forms(text: str) -> Mapping[str, bytes]:
    """A text as it might stand somewhere in clear, by the name of the form."""
    plain = text.encode()
    return {
        "UTF-8": plain,
        "UTF-16, little endian": text.encode("utf-16-le"),
        "UTF-16, big endian": text.encode("utf-16-be"),
        "hexadecimal": plain.hex().encode(),
        "hexadecimal capitals": plain.hex().upper().encode(),
        "base32": base64.b32encode(plain)[: len(plain) * 8 // 5],
        **{f"base64, {shift} further": _base64(plain, shift) for shift in range(3)},
    }


def _base64(plain: bytes, shift: int) -> bytes:
    """What is the same of its base64 whatever stands around it, where it begins at this place of a group."""
    whole = base64.b64encode(bytes(shift) + plain)
    return whole[4 if shift else 0 : (len(plain) + shift) // 3 * 4]


def found_in(data: bytes, texts: Mapping[str, str]) -> Iterator[str]:
    """`which text, in which form` of everything that stands in the data; texts by what they are called."""
    for name, text in texts.items():
        for form, needle in forms(text).items():
            if needle in data:
                yield f"{name}, as {form}"


def look(folder: Path, texts: Mapping[str, str]) -> Looked:
    """Search every file below a folder for texts, and for a database that is not encrypted."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    size, found = 0, list[str]()
    for path in files:
        place = path.relative_to(folder).as_posix()
        try:
            data = path.read_bytes()
        except OSError as error:
            found.append(f"{place} cannot be read ({error.strerror})")
            continue
        size += len(data)
        found += [f"{place}: {what}" for what in found_in(data, texts)]
        if SQLITE in data:
            found.append(f"{place}: a database that is not encrypted")
    return Looked(len(files), size, tuple(found))
