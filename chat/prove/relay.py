"""The relay of a proof: one of its own as people run it, or one that runs already.

Rules: its address is all that is known of it, as it is to a terminal; a relay that runs already tells it in
its own memory, which also shows that this memory can be searched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chat.prove.findings import CannotShow
from chat.prove.memory import contents
from chat.prove.process import addresses_in, listening_ports
from chat.prove.programs import Program, python
from protocol.errors import ProtocolError
from protocol.relay_address import RelayAddress, parse_relay

OWN: Final = ("chat.cli", "relay", "--examinable", "--listen", "127.0.0.1:0", "--json")
ENDS_WITH_US: Final = '"$@" & echo "{\\"pid\\": $!}"; cat >/dev/null; kill $!; wait $!'
"""Run a command that does not read its input, and end it when the input ends, however the proof ended."""
REFUSED: Final = (
    "the system does not let the memory of process {pid} be read: it has to be a relay of this user that was"
    " started with --examinable, or this command run as root{scope}"
)
SCOPE: Final = Path("/proc/sys/kernel/yama/ptrace_scope")
GONE: Final = "there is no process {pid}, or the system does not tell of others' (Linux with /proc is needed)"


@dataclass(frozen=True, slots=True)
class Examined:
    """A relay that can be looked into: its process, and where it is reached."""

    pid: int
    address: RelayAddress
    own: bool


@asynccontextmanager
async def own_relay(module: Sequence[str] = OWN) -> AsyncIterator[Examined]:
    """A relay for a block. Raises CannotShow."""
    program = await Program.start(["sh", "-c", ENDS_WITH_US, "sh", *python(*module)])
    try:
        pid: int = (await program.expect(lambda said: "pid" in said, "the relay"))["pid"]
        told = await program.expect(lambda said: "relay" in said, "the relay")
        await asyncio.to_thread(_all_of, pid)
        yield Examined(pid, parse_relay(told["relay"]), True)
    finally:
        await program.stop()


@asynccontextmanager
async def running_relay(pid: int) -> AsyncIterator[Examined]:
    """The relay that runs as a process. Raises CannotShow."""
    found = await asyncio.to_thread(_all_of, pid)
    ports = await asyncio.to_thread(listening_ports, pid)
    own = [address for address in found if address.port in ports]
    if not own:
        raise CannotShow(f"process {pid} is no relay: it does not listen where its memory says that one is")
    yield Examined(pid, own[0], False)


def _scope() -> str:
    """What the kernel says of looking into processes, where it says anything."""
    try:
        return f" (kernel.yama.ptrace_scope is {SCOPE.read_text().strip()})"
    except OSError:
        return ""


def _all_of(pid: int) -> list[RelayAddress]:
    """The addresses in its memory. Raises CannotShow where it cannot be read."""
    found: dict[RelayAddress, None] = {}
    try:
        for content in contents(pid):
            for text in addresses_in(content):
                try:
                    found[parse_relay(text)] = None
                except ProtocolError:
                    continue  # two texts that stand beside each other
    except PermissionError:
        raise CannotShow(REFUSED.format(pid=pid, scope=_scope())) from None
    except OSError:
        raise CannotShow(GONE.format(pid=pid)) from None
    return list(found)
