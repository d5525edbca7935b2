"""Counts copies of a secret in the memory of another process (Linux, /proc).

Rules: a freed buffer counts, as it would in a core dump; a needle must be random, 16 bytes or more, and
must not stand in the searched program's own arguments, environment or source.
"""

from __future__ import annotations

from collections.abc import Iterator
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


def _regions(pid: int) -> Iterator[tuple[int, int]]:
    """(start, end) of every readable mapping; the kernel's own pages cannot be read this way."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, mode = line.split()[:2]
        if mode.startswith("r") and "[vvar" not in line and "[vsyscall" not in line:
            start, end = span.split("-")
            yield int(start, 16), int(end, 16)


def _in_region(memory: BinaryIO, start: int, end: int, needle: bytes) -> int:
    """Read in steps that overlap by less than a needle, so that none is missed and none counted twice."""
    found, overlap, before = 0, len(needle) - 1, b""
    while start < end:
        try:
            memory.seek(start)
            block = memory.read(min(_STEP, end - start))
        except OSError:
            return found  # unmapped since the list was read, or a device's memory
        if not block:
            return found
        found += (before + block).count(needle)
        before, start = (before + block)[-overlap:], start + len(block)
    return found
