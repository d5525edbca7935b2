"""Counts copies of a secret in the memory of another process (Linux, /proc).

Rules: a freed buffer counts, as it would in a core dump; a needle must be random, 16 bytes or more, and
must not stand in the searched program's own arguments, environment or source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

_STEP = 1 << 22


def copies(pid: int, needle: bytes) -> int:
    """How often `needle` stands in readable memory of the process.

    Raises OSError when the process is gone or does not let itself be read, ValueError for a short needle.
    """
    if len(needle) < 16:
        raise ValueError("a needle under 16 bytes may stand anywhere by chance")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        return sum(_in_region(memory, start, end, needle) for start, end in _regions(pid))


def which_are_held(pid: int, needles: Iterable[bytes]) -> set[bytes]:
    """Those of many needles, each random and of 16 to 64 bytes, that stand in memory the process can write.

    Raises OSError as `copies` does. Each region is read once, so that it costs no more than the search.
    """
    wanted, held = set(needles), set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _regions(pid, "rw"):
            content = b"".join(_read(memory, start, end))
            held |= {needle for needle in wanted if needle in content}
    return held


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


def _in_region(memory: BinaryIO, start: int, end: int, needle: bytes) -> int:
    """Read in steps that overlap by less than a needle, so that none is missed and none counted twice."""
    found, overlap, before = 0, len(needle) - 1, b""
    for block in _read(memory, start, end):
        found += (before + block).count(needle)
        before = (before + block)[-overlap:]
    return found
