"""Where a program touches its profile's files, and strace's command that kills it or fails the call there.

The tracer is not the parent: process id and exit status are the program's. A call that kills or fails was not
made.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KILLED: Final = -signal.SIGKILL
"""Exit status of a process that kill -9 has ended."""

_TRACER: Final = ("strace", "-D", "-f", "-qq", "-y")
SYNCS: Final = ("fsync", "fdatasync")
WRITES: Final = ("pwrite64", "write", "ftruncate")
RENAMES: Final = ("rename", "renameat2")
NAMES: Final = (*RENAMES, "unlink")
RUNS: Final = "execve"
# A thread, a call, and the file that it gets as a descriptor or by name.
_CALL: Final = re.compile(
    r'^(\d+) +(\w+)\((?:AT_FDCWD(?:<[^>]*>)?, )?(?:(\d+)<([^>]*)>|"([^"]*)")', re.MULTILINE
)
ANY: Final = "*"
FOLDER: Final = "."
ABOVE: Final = ".."
_NEXT_TO: Final = f"{ABOVE}/"


@dataclass(frozen=True)
class Fault:
    """What happens at a point: at each sync, and at sampled other calls. A lasting one goes on from there.

    `alone`: calls that it fails on one file only, where it lasts. Others share them, as the output does.
    """

    name: str
    injected: str
    syncs: bool
    sampled: tuple[str, ...]
    lasting: bool = False
    alone: tuple[str, ...] = ()


FAULTS: Final = {
    fault.name: fault
    for fault in (
        Fault("kill", "signal=KILL", True, (*WRITES, *NAMES)),
        Fault("EIO", "error=EIO", True, (*WRITES, *NAMES)),
        Fault("ENOSPC", "error=ENOSPC", True, ("pwrite64", "write", *RENAMES)),
        Fault("full", "error=ENOSPC", False, ("pwrite64",), lasting=True, alone=("write",)),
    )
}


@dataclass(frozen=True, order=True)
class Point:
    """The `number`-th call of this name on this file, as one thread counts.

    A file next to the profile's folder has `../` before its name.
    """

    call: str
    file: str
    number: int

    def __str__(self) -> str:
        return f"{self.call}:{self.file}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> Point:
        call, file, number = text.split(":")
        return cls(call, file, int(number))


@dataclass(frozen=True)
class Call:
    """A call as the trace has it. `file` is empty for what is neither in the profile nor next to it."""

    thread: str
    name: str
    descriptor: str
    file: str


def traced(log: Path) -> tuple[str, ...]:
    """The command before a program's own that logs how it touches files, and what it says."""
    # The filter in the kernel makes it quicker, and injects nothing where a path is named.
    return (
        *_TRACER,
        "--seccomp-bpf",
        "-o",
        str(log),
        "-e",
        f"trace={','.join((RUNS, *SYNCS, *WRITES, *NAMES))}",
    )


def struck(fault: Fault, point: Point, profile: Path, log: Path) -> tuple[str, ...]:
    """The command before a program's own by which a fault strikes it at a point."""
    when = f"inject={point.call}:{fault.injected}:when={point.number}{'+' if fault.lasting else ''}"
    paths = () if point.file == ANY else ("-P", str(_path(profile, point.file)))
    return (*_TRACER, "-o", str(log), *paths, "-e", f"trace={point.call}", "-e", when)


def has_struck(log: Path) -> bool:
    """Whether a call failed as it was to. A kill shows in the exit status."""
    return "(INJECTED)" in log.read_text(errors="replace")


def calls(log: Path, profile: Path) -> list[Call]:
    """What the traced program did, in order.

    What another program does that it runs is left out, as `ldconfig` for the name of a library: its lines go
    to its caller, and say nothing to a person.
    """
    found = _CALL.findall(log.read_text(errors="replace"))
    ran = [thread for thread, name, *_ in found if name == RUNS]
    others = {*ran} - {*ran[:1]}
    return [
        Call(thread, name, descriptor, _file(profile, opened or named))
        for thread, name, descriptor, opened, named in found
        if name != RUNS and thread not in others
    ]


def points(made: Sequence[Call]) -> dict[str, list[Point]]:
    """The points of each call. Threads count for themselves, so the n-th of one hides the n-th of another."""
    counts: Counter[tuple[str, str, str]] = Counter(
        (call.name, call.file, call.thread) for call in made if call.file
    )
    most: dict[tuple[str, str], int] = defaultdict(int)
    for (name, file, _), count in counts.items():
        most[name, file] = max(most[name, file], count)
    found: dict[str, list[Point]] = defaultdict(list)
    for (name, file), count in sorted(most.items()):
        found[name] += [Point(name, file, number) for number in range(1, count + 1)]
    return found


def chosen(fault: Fault, made: Sequence[Call], number: int, seed: str) -> list[Point]:
    """Every sync where the fault wants it, and `number` of the other calls: of each kind in turn."""
    found = points(made)
    every = [point for name in SYNCS for point in found[name]] if fault.syncs else []
    if fault.lasting:
        counts = Counter(call.thread for call in made if call.file and call.name in fault.sampled)
        most = max(counts.values(), default=0)
        kinds = [[Point(name, ANY, moment) for moment in range(1, most + 1)] for name in fault.sampled]
        kinds += _by_file(found, fault.alone)
    else:
        kinds = _by_file(found, fault.sampled)
    return every + _drawn(kinds, number, random.Random(f"{seed} {fault.name}"))


def _by_file(found: dict[str, list[Point]], names: Sequence[str]) -> list[list[Point]]:
    kinds: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for name in names:
        for point in found[name]:
            kinds[name, point.file].append(point)
    return list(kinds.values())


def _drawn(kinds: list[list[Point]], number: int, draws: random.Random) -> list[Point]:
    left = [draws.sample(kind, len(kind)) for kind in draws.sample(kinds, len(kinds))]
    drawn: list[Point] = []
    while any(left) and len(drawn) < number:
        drawn += [kind.pop() for kind in left if kind]
    return drawn[:number]


def unsettled(made: Sequence[Call]) -> Iterator[str]:
    """Where a power cut could undo what was said or done: a kill cannot show this.

    Data is synced before its file is renamed and before a line is said. A rename is synced next.
    """
    dirty: set[str] = set()
    renamed: Call | None = None
    for call in made:
        said = call.descriptor == "1" and not call.file
        if said and dirty:
            yield f"a line is said before {', '.join(sorted(dirty))} is synced"
        if renamed is not None and (said or (call.file and call.thread == renamed.thread)):
            if call.name not in SYNCS or call.file != _folder(renamed.file):
                then = f"{call.name} of {call.file or 'a line'}"
                yield f"the rename of {renamed.file} is not synced before the {then}"
            renamed = None
        if call.name in SYNCS or call.name == "unlink":
            dirty.discard(call.file)
        elif call.file and call.name in WRITES:
            dirty.add(call.file)
        elif call.name in RENAMES and call.file:
            if call.file in dirty:
                yield f"{call.file} is renamed before it is synced"
            renamed = call


def _path(profile: Path, file: str) -> Path:
    return {FOLDER: profile, ABOVE: profile.parent}.get(file, Path(os.path.normpath(profile / file)))


def _file(profile: Path, path: str) -> str:
    if path == str(profile):
        return FOLDER
    if path == str(profile.parent):
        return ABOVE
    found = Path(path.removesuffix(" (deleted)"))
    if found.parent == profile:
        return found.name
    return f"{_NEXT_TO}{found.name}" if found.parent == profile.parent else ""


def _folder(file: str) -> str:
    return ABOVE if file.startswith(_NEXT_TO) else FOLDER
