"""The linear mode as a program of its own, on the fake: what the tests run with a terminal or a pipe.

Usage: python -m tests.support.tui.linear.program [EVERY [ACTS]|again]: the seconds between two looks at the
keys, or after a lock the program starts again. Ben writes at SIGUSR1. Others do what the lines of the FIFO
ACTS say. Ends with status 3 where Textual was loaded, and with 4 where the messenger was not closed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from msgspec.structs import replace

from tests.support.tui.linear.played import OPTIONS, Others, locked_door
from tui.linear import run
from tui.linear.input import LineInput
from tui.linear.output import Output
from tui.linear.program import Program


def main() -> None:
    """Talk until it is left."""
    door = locked_door()
    assert door.messenger is not None
    door.messenger.keep_seed()
    others = Others(door.messenger)
    signal.signal(signal.SIGUSR1, lambda *_: others.act("Ben writes from Ben"))
    if "again" in sys.argv:
        status = run(door, replace(OPTIONS, starts_again=True))
    elif len(sys.argv) > 1:
        output = Output()
        program = Program(door, OPTIONS, LineInput(0, output), output, float(sys.argv[1]))
        status = asyncio.run(_with_acts(program, others, *sys.argv[2:]))
    else:
        status = run(door, OPTIONS)
    if "textual" in sys.modules:
        status = 3
    elif door.messenger.calls and not door.messenger.called("close"):
        status = 4
    sys.exit(status)


async def _with_acts(program: Program, others: Others, *fifo: str) -> int:
    """The program's status; meanwhile each line of the FIFO is an act."""
    for path in fifo:
        descriptor, held = os.open(path, os.O_RDWR | os.O_NONBLOCK), bytearray()

        def take(descriptor: int = descriptor, held: bytearray = held) -> None:
            held += os.read(descriptor, 65_536)
            *lines, held[:] = held.split(b"\n")
            for line in lines:
                others.act(line.decode())

        asyncio.get_running_loop().add_reader(descriptor, take)
    return await program.run()


if __name__ == "__main__":
    main()
