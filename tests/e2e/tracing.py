"""Programs that die by kill -9 in a chosen system call (strace's fault injection).

Rules: the tracer is no parent of the program, so that its process id and exit status are its own; a program
killed on entering a call has not made it.
"""

from __future__ import annotations

import signal
from typing import Final

KILLED: Final = -signal.SIGKILL
"""Exit status of a process that kill -9 has ended."""


def dying(call: str, number: int) -> tuple[str, ...]:
    """The command before a program's own that kills it at a thread's `number`-th `call`."""
    inject = f"inject={call}:signal=KILL:when={number}"
    return ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
