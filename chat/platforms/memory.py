"""Gives back memory that only the start of a program needed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_DONT_NEED: Final = 4  # madvise(2)
_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]\d* +/")
_OTHER: Final = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")


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
