"""Searches the memory of another process (Linux, /proc).

Rules: a freed buffer counts, as it would in a core dump; a needle must be random, 16 bytes or more, and
must not stand in the searched program's own arguments, environment or source.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

_STEP: Final = 1 << 22
_NEEDLE_MIN: Final = 16
_WORD: Final = 8
_FEW: Final = 16
"""Needles that are looked for one by one."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What one search read, in bytes, and which of the needles it found."""

    size: int
    held: frozenset[bytes]


def search(pid: int, needles: Iterable[bytes]) -> Searched:
    """Which needles, each random and of 16 bytes or more, stand in memory that the process can write.

    Raises OSError when the process is gone or does not let itself be read, ValueError for a short needle.
    """
    wanted = set(needles)
    for needle in wanted:
        _check(needle)
    held, read, words = set[bytes](), 0, _words(wanted)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _regions(pid, "rw"):
            content = b"".join(_read(memory, start, end))
            held |= {needle for needle in _likely(content, words, wanted) if needle in content}
            read += len(content)
    return Searched(read, frozenset(held))


def _words(needles: Iterable[bytes]) -> dict[int, set[bytes]]:
    """Which needles have a word of 8 bytes within their first 15, in this machine's order of bytes."""
    found: dict[int, set[bytes]] = {}
    for needle in needles:
        for at in range(_WORD):
            word = int.from_bytes(needle[at : at + _WORD], sys.byteorder)
            found.setdefault(word, set()).add(needle)
    return found


def _likely(content: bytes, words: dict[int, set[bytes]], wanted: set[bytes]) -> set[bytes]:
    """Those of the needles that may stand there: of many, those of which an aligned word does.

    Wherever a needle stands, one of the words of its first 15 bytes is aligned: so the memory is gone through
    once, however many needles there are.
    """
    if len(wanted) <= _FEW:
        return wanted
    aligned = set(memoryview(content)[: len(content) // _WORD * _WORD].cast("Q"))
    return set().union(*(words[word] for word in aligned & words.keys()))


def contents(pid: int) -> Iterator[bytes]:
    """Each region that the process can write, whole. Raises OSError."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _regions(pid, "rw"):
            yield b"".join(_read(memory, start, end))


def _check(needle: bytes) -> None:
    if len(needle) < _NEEDLE_MIN:
        raise ValueError("a needle under 16 bytes may stand anywhere by chance")


def _read(memory: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Its content, in steps; it may have been unmapped since the list was read, or be a device's memory."""
    while start < end:
        try:
            memory.seek(start)
            block = memory.read(min(_STEP, end - start))
        except OSError:
            return
        if not block:
            return
        yield block
        start += len(block)


def _regions(pid: int, access: str = "r") -> Iterator[tuple[int, int]]:
    """(start, end) of every mapping with at least this access; the kernel's own pages cannot be read so."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, mode = line.split()[:2]
        if mode.startswith(access) and "[vvar" not in line and "[vsyscall" not in line:
            start, end = span.split("-")
            yield int(start, 16), int(end, 16)
