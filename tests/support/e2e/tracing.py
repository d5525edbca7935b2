"""Programs that die by kill -9 in a chosen system call (strace's fault injection).

The tracer is not the parent: process id and exit status are the program's. A killed call was not made.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

KILLED: Final = -signal.SIGKILL
"""Exit status of a process that kill -9 has ended."""

_TRACER: Final = ("strace", "-D", "-f", "-qq")
_CALL: Final = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)

Step = tuple[str, int]
"""A system call's name, and its number among a thread's calls of that name."""


def traced(log: Path) -> tuple[str, ...]:
    """The command before a program's own that logs how it writes to the disk."""
    return (*_TRACER, "-o", str(log), "-e", "trace=pwrite64,fsync")


def dying(step: Step) -> tuple[str, ...]:
    """The command before a program's own that kills it at a step of one of its threads."""
    call, number = step
    kill = f"inject={call}:signal=KILL:when={number}"
    return (*_TRACER, "-o", "/dev/null", "-e", f"trace={call}", "-e", kill)


def failing(call: str, moments: str, error: str = "EIO") -> tuple[str, ...]:
    """The command before a program's own that fails a thread's N-th call (`N`), or all from it on (`N+`)."""
    inject = f"inject={call}:error={error}:when={moments}"
    return (*_TRACER, "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)


def steps(log: Path) -> list[Step]:
    """Where it matters whether a program dies: at each fsync, and at the first write after one.

    At the fsync a transaction is written but nobody knows of it; at the write all that followed from it
    has been said.
    """
    calls = [match.groups() for match in _CALL.finditer(log.read_text())]
    ((database, _),) = Counter(thread for thread, _ in calls).most_common(1)  # it writes most
    found: list[Step] = []
    count: Counter[str] = Counter()
    before = ""
    for call in (call for thread, call in calls if thread == database):
        count[call] += 1
        if "fsync" in (before, call):
            found.append((call, count[call]))
        before = call
    return found


Scene = Callable[[str, tuple[str, ...]], bool]
"""Plays under a tracer's command, in a folder of a name, and returns whether the program was killed."""


def at_every_step(play: Scene, log: Path) -> int:
    """Play once unharmed, then once for each step at which the program dies; how often it was killed."""
    assert not play("no kill", traced(log))

    def dies(step: Step) -> bool:
        name = f"{step[0]} {step[1]}"
        try:
            return play(name, dying(step))
        except Exception as error:
            error.add_note(f"the kill: {name}")
            raise

    with ThreadPoolExecutor(2) as pool:  # mostly they wait
        return sum(pool.map(dies, steps(log)))
