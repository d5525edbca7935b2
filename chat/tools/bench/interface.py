"""The interface with a million messages in the open conversation: start, keys, memory and idle load.

A key counts until the frame that shows its effect has been read.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from chat.tools.bench.flows import PASSPHRASE, Person, Round, figures, leave, own_network, start
from chat.tools.bench.long_history import NUMBERED, create
from chat.tools.bench.measure import Aim, Figure, FlowSample, NotTaken, Unit
from chat.tools.bench.terminals import Frame, Program, Terminals

ENTRIES: Final = 1_000_000
RUNS: Final = 3
REPEAT: Final = 1 / 30  # seconds between two keys: what a held key repeats at
STARTS: Final = 5
TYPED: Final = "this is how long a line takes to write"
CURSOR_KEYS: Final = 200
PAGES: Final = 300
IDLE: Final = 30.0

START: Final = Aim(
    "interface.start",
    0.35,
    f"from the start of the process to the field for the passphrase; a run is the median of {STARTS}",
    rate="starts/s",
)
TYPING: Final = Aim(
    "interface.typing",
    0.016,
    "from a letter or Backspace in the text field to the whole frame that shows it; a run is the 95th "
    "percentile of all keys, 30 a second",
    rate="keys/s",
    size=ENTRIES,
)
CURSOR: Final = Aim(
    "interface.cursor",
    0.016,
    "from Up in the history, over the edge of the view and of the pages read, to the whole frame with the "
    f"cursor on the entry before; a run is the 95th percentile of {CURSOR_KEYS} keys, 30 a second",
    rate="keys/s",
    size=ENTRIES,
)
PAGE_UP: Final = Aim(
    "interface.pageup",
    0.030,
    "from Page Up to the whole frame with older entries; a run is the 95th percentile of "
    f"{PAGES} keys, 30 a second, with the pages read from the database on the way",
    rate="pages/s",
    size=ENTRIES,
)
MEMORY: Final = Aim(
    "interface.memory",
    150.0,
    "resident memory (VmRSS) of the one process, engine included, after these keys",
    unit=Unit.MIB,
)
REST: Final = Aim(
    "interface.idle",
    0.01,
    f"processor time of the process, all threads, over {IDLE:.0f} s with the conversation open and nobody "
    "there",
    unit=Unit.CORE,
    size=ENTRIES,
)
AIMS: Final = (START, TYPING, CURSOR, PAGE_UP, MEMORY, REST)

Pressed = tuple[float, Frame]  # when a key was pressed, and the frame that shows what it did
Say = Callable[[str], None]

# Blanks may precede a text of uncertain width, which is drawn over them.
_IN_SIGHT: Final = re.compile("[▎█] +" + NUMBERED.format(number=r"(\d+)"))
_UNDER_CURSOR: Final = "█ +" + NUMBERED
_UP, _PAGE_UP, _TO_HISTORY, _TO_NEWEST, _BACKSPACE = "\x1b[A", "\x1b[5~", "\x1b[1;5A", "\x1b[1;3F", "\x7f"


def measure(say: Say, runs: int = RUNS, entries: int = ENTRIES) -> Iterator[Figure]:
    """All figures, `runs` times each: one Figure per aim. Raises Unseen."""
    return figures(AIMS, lambda: _rounds(say, runs, entries))


def _rounds(say: Say, runs: int, entries: int) -> Iterator[Round]:
    def tell(done: int) -> None:
        if done * 10 % entries == 0:
            say(f"{done:,} of {entries:,} entries are stored.")

    with tempfile.TemporaryDirectory(prefix="parlour-bench-") as made, own_network() as enter:
        with Terminals() as terminals:
            Program(["true"], terminals).kill()  # a machine without terminals shows it before the long wait
        folder = Path(made)
        create(folder / "Ada", PASSPHRASE, entries, tell)
        for number in range(runs):
            say(f"Run {number + 1} of {runs}.")
            with Terminals() as terminals:
                yield _round(Person("Ada", folder, terminals, enter), entries)


def _round(ada: Person, entries: int) -> Round:
    started = median(start(ada).amount for _ in range(STARTS))
    screen = ada.unlock()
    screen.wait_for(NUMBERED.format(number=entries))
    screen.rest()
    taken = {
        START: FlowSample(started),
        TYPING: _percentile(typing(screen)),
        CURSOR: _percentile(cursor(screen, entries)),
        PAGE_UP: _percentile(page_up(screen, entries)),
        MEMORY: memory(screen),
        REST: rest(screen),
    }
    leave(screen)
    return taken


def typing(screen: Program) -> Iterator[Pressed]:
    for _ in range(2):
        for length in range(1, len(TYPED) + 1):
            yield _key(screen, TYPED[length - 1], partial(_shows, TYPED[:length]))
        for length in range(len(TYPED) - 1, 0, -1):
            yield _key(screen, _BACKSPACE, partial(_shows, f"{TYPED[:length]} "))
        yield _key(screen, _BACKSPACE, partial(_shows, "Write to"))


def _shows(wanted: str, text: str) -> bool:
    return wanted in text


def cursor(screen: Program, entries: int) -> Iterator[Pressed]:
    _key(screen, _TO_HISTORY, _points_at(entries))
    for number in range(entries - 1, entries - 1 - CURSOR_KEYS, -1):
        yield _key(screen, _UP, _points_at(number))


def _points_at(number: int) -> Callable[[str], bool]:
    found = re.compile(_UNDER_CURSOR.format(number=number))
    return lambda text: found.search(text) is not None


def page_up(screen: Program, entries: int) -> Iterator[Pressed]:
    """Pages back from the end. About every third screen comes from the database."""
    oldest = entries + 1
    for _ in range(PAGES):
        pressed, frame = _key(screen, _PAGE_UP, partial(_goes_on, oldest))
        oldest = _oldest(frame.text, oldest)
        yield pressed, frame


def _goes_on(before: int, text: str) -> bool:
    return _oldest(text, before) < before


def _oldest(text: str, before: int) -> int:
    return min((int(number) for number in _IN_SIGHT.findall(text)), default=before)


def _key(screen: Program, keys: str, holds: Callable[[str], bool]) -> Pressed:
    """Press a key, wait until it is painted, and for the rest of one key repetition."""
    pressed, frame = screen.paint(keys, holds)
    screen.read_until(pressed + REPEAT)
    return pressed, frame


def _percentile(painted: Iterable[Pressed]) -> FlowSample:
    """The 95th percentile to the whole frame, with the median, and both to the first byte."""
    keys = list(painted)
    whole = sorted(frame.ended - pressed for pressed, frame in keys)
    first = sorted(frame.began - pressed for pressed, frame in keys)
    middle, most = len(keys) // 2, len(keys) * 95 // 100
    said = Unit.SECONDS.said
    aside = f"median {said(whole[middle])}, to the first byte {said(first[middle])} and {said(first[most])}"
    return FlowSample(whole[most], aside=f"of the last run: {aside}, slowest {said(whole[-1])}")


def memory(screen: Program) -> FlowSample:
    status = Path(f"/proc/{screen.id}/status").read_text()
    resident = re.search(r"VmRSS:\s*(\d+) kB", status)
    if resident is None:
        raise NotTaken("the system does not say how much memory a process holds")
    return FlowSample(int(resident[1]) / 1024)


def rest(screen: Program) -> FlowSample:
    """The processor time while nothing happens and the text field waits."""
    screen.press(_TO_NEWEST)
    screen.press("\x1b")
    screen.rest()
    before, begun = _processor_time(screen.id), time.perf_counter()
    screen.read_until(begun + IDLE)
    return FlowSample((_processor_time(screen.id) - before) / (time.perf_counter() - begun))


def _processor_time(process: int) -> float:
    """Seconds in user and kernel mode, of all threads (proc(5), fields 14 and 15 of stat)."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
