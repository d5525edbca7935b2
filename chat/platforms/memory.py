"""Gives back memory that only the start of a program needed, or something that happens seldom."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_DONT_NEED: Final = 4  # madvise(2)
_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]\d* +/")
_OTHER: Final = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")


STARTED: Final = 10.0
"""Seconds after which an engine has started: its links are open, and what only a start needs is let go of."""

PAYS_FROM: Final = 4 * 2**20
"""Bytes of programs and libraries that came back since, from which on it is done again."""

AGAIN: Final = 60.0
"""Seconds until then at least: what is used all the time would be mapped again each time."""

QUIET: Final = 0.05
"""Share of a processor: a process that used more since the last look is busy, and somebody may wait."""


class CodePages:
    """Lets go of code once after the start of a process, and again when enough of it came back.

    `look` is to be called every few seconds by what wakes anyway.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
        held: Callable[[], int] | None = None,
        let_go: Callable[[], object] | None = None,
    ) -> None:
        """`used`: seconds of a processor that this process took; `held`: bytes of files in its memory."""
        self._now, self._used = now, used
        self._held, self._let_go = held or held_of_files, let_go or let_go_of_code
        self._looked, self._took = now(), used()
        self._due = self._looked + STARTED
        self._left = -PAYS_FROM

    def look(self) -> None:
        now, took = self._now(), self._used()
        quiet = took - self._took <= QUIET * (now - self._looked)
        self._looked, self._took = now, took
        if quiet and now >= self._due and self._held() - self._left >= PAYS_FROM:
            self._let_go()
            self._left, self._due = self._held(), now + AGAIN


def held_of_files() -> int:
    """Bytes of files that are mapped and in memory; 0 where the system does not say it (proc(5))."""
    if sys.platform != "linux":
        return 0
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def let_go_of_code() -> int:
    """Unmap the pages of programs and libraries; returns how many mappings. Elsewhere than on Linux none.

    A start reads most of each library once: 14 MiB that nothing needs after it. They stay in the system's
    cache for as long as nothing else needs the room, and a page that is used again is mapped again.
    """
    if sys.platform != "linux":
        return 0
    import ctypes

    advise = ctypes.CDLL(None).madvise
    done = 0
    with suppress(OSError), Path("/proc/self/smaps").open() as lines:  # a system may lack /proc
        for begin, end in unchanged(lines):
            done += advise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _DONT_NEED) == 0
    return done


def unchanged(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Begin and end of each read-only mapping of a file without a page that differs from the file.

    Of a page that differs, as those with addresses that the linker filled in, the content would be lost.
    `smaps`: the lines of /proc/PID/smaps (proc(5)).
    """
    place: tuple[int, int] | None = None
    for line in smaps:
        if found := _MAPPING.match(line):
            place = int(found[1], 16), int(found[2], 16)
        elif _OTHER.match(line):
            place = None
        elif place is not None and line.split() == ["Anonymous:", "0", "kB"]:
            yield place
