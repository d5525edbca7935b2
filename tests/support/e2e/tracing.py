"""Programs whose chosen system calls fail (strace's fault injection).

The tracer is not the parent: process id and exit status are the program's.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final

_TRACER: Final = ("strace", "-D", "-f", "-qq")
_CALL: Final = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)

Step = tuple[str, int]
"""A system call's name, and its number among a thread's calls of that name."""


def traced(log: Path) -> tuple[str, ...]:
    """The command before a program's own that logs how it writes to the disk."""
    return (*_TRACER, "-o", str(log), "-e", "trace=pwrite64,fsync")


def failing(call: str, moments: str, error: str = "EIO") -> tuple[str, ...]:
    """The command before a program's own that fails a thread's N-th call (`N`), or all from it on (`N+`)."""
    inject = f"inject={call}:error={error}:when={moments}"
    return (*_TRACER, "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)


def steps(log: Path) -> list[Step]:
    """Where it matters whether a call fails: each fsync, and the first write after one.

    At the fsync a transaction is written but nobody knows of it. At the write all that followed from it
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
