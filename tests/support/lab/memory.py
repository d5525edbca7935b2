"""Looks for secrets in the memory of another process, with the search of `parlour prove`; counts copies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from chat.tools.prove.search import NEEDLE_MIN, _read, _regions, search_memory


def which_are_held(pid: int, needles: Iterable[bytes]) -> set[bytes]:
    """Those of many needles, each random and of 16 bytes or more, that stand in memory the process can write.

    Raises OSError as `copies` does.
    """
    return set(search_memory(pid, needles).held)


def copies(pid: int, needle: bytes) -> int:
    """How often `needle` stands in readable memory of the process.

    Raises OSError when the process is gone or does not let itself be read, ValueError for a short needle.
    """
    if len(needle) < NEEDLE_MIN:
        raise ValueError("a needle under 16 bytes may be anywhere by chance")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        return sum(_in_region(memory, start, end, needle) for start, end in _regions(pid))


def _in_region(memory: BinaryIO, start: int, end: int, needle: bytes) -> int:
    """Read in steps that overlap by less than a needle, so that none is missed and none counted twice."""
    found, overlap, before = 0, len(needle) - 1, b""
    for block in _read(memory, start, end):
        found += (before + block).count(needle)
        before = (before + block)[-overlap:]
    return found
