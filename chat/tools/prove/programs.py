"""The programs of a proof: two people's engines and a relay, each a process that ends with its input."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct

import chat
from chat.assemble import filler
from chat.interface import EntryView, Event, Messenger, PairingChanged, PairingStage
from chat.ipc.client import RemoteMessenger
from chat.storage import folder, profile
from chat.tools.prove.findings import CannotShow
from chat.tools.prove.search import addresses_in, contents, listening_ports
from chat.tools.prove.tracing import tracer
from chat.tools.prove.wire import Wire
from protocol import profile_header
from protocol.errors import ProtocolError
from protocol.identity.author import create_person
from protocol.relay.rendezvous import RelayAddress, parse_relay

PATIENCE: Final = 30.0  # seconds for a program to say what it should, however slow the machine
LEAVE_WITHIN: Final = 5.0

_PLACES: Final = (
    *("HOME", "TMPDIR", "TEMP", "TMP"),
    *(f"XDG_{kind}" for kind in ("DATA_HOME", "CONFIG_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR")),
)
"""Where programs put what they keep."""

Said = dict[str, Any]


class Program:
    def __init__(self, process: Process) -> None:
        self._process = process
        self.said: list[Said] = []
        self._news = asyncio.Condition()
        self._over = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Sequence[str], home: Path | None = None) -> Program:
        """Start a program, in a home folder of its own if one is given. Raises CannotShow."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=environment(home),
                cwd=home,
                start_new_session=True,
            )
        except OSError as error:
            raise CannotShow(f"{command[0]} cannot be started ({error.strerror})") from None
        return cls(process)

    async def expect(self, wanted: Callable[[Said], bool], what: str) -> Said:
        """The first matching line, now or later. Raises CannotShow."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: self._over or any(map(wanted, self.said)))
        except TimeoutError:
            raise CannotShow(f"{what} did not come within {PATIENCE:.0f} seconds") from None
        for line in self.said:
            if wanted(line):
                return line
        raise CannotShow(f"{what} did not come: the program ended")

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self) -> None:
        """End its input, and kill it if it does not end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), LEAVE_WITHIN)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._news:
                with suppress(ValueError):
                    self.said.append(json.loads(line))
                self._news.notify_all()
        async with self._news:
            self._over = True
            self._news.notify_all()


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(home: Path | None) -> Mapping[str, str]:
    """This installation first, no .pyc files, and perhaps a home folder."""
    root = str(Path(chat.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    own = dict.fromkeys(_PLACES, str(home)) if home is not None else {}
    return {**os.environ, **own, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


TERMINAL: Final = "chat.tools.prove.tracing"
E = TypeVar("E")


class Terminal:
    """A person's terminal. `key`: of its database, 32 bytes, which the proof looks into it with.

    `home`: where the program keeps what is not in its profile. `calls`: strace's record of what it reaches.
    `ids`: of person and terminal.
    """

    def __init__(self, name: str, folder: Path, wire: Wire, traced: bool, module: str) -> None:
        self.name, self.folder = name, folder
        self.passphrase = secrets.token_urlsafe(16)
        self.home = folder.with_suffix(".home")
        self.calls = folder.with_suffix(".calls")
        self.pid = 0
        self.key = b""
        self.ids: tuple[bytes, ...] = ()
        self.contact = ""
        self.messenger: Messenger
        self._program: Program | None = None
        self._next: Program | None = None
        self._port = 0
        self._wire, self._module = wire, module
        self._before = tracer(self.calls) if traced else []
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()  # None: it has stopped
        self._listening: asyncio.Task[None] | None = None

    @property
    def database(self) -> Path:
        return self.folder / folder.DATABASE

    async def start(self) -> None:
        """Create the profile and run the engine. Raises CannotShow, a StorageFailure."""
        self.home.mkdir()
        fill, draw = filler(create_person(self.name, os.urandom)), os.urandom
        cheap = profile_header.CHEAPEST
        made = await asyncio.to_thread(
            profile.create, self.folder, self.passphrase, fill, random=draw, cost=cheap
        )
        made.close()
        self._port = await self._wire.front(self.name)
        await self.load(self._before)
        await self.run()
        own = await self.messenger.me()
        self.ids = bytes.fromhex(own.person), bytes.fromhex(own.terminal)
        header = folder.read_header(self.folder / folder.HEADER)
        self.key = (await asyncio.to_thread(folder.unwrap, header, self.passphrase)).reveal()

    async def load(self, before: Sequence[str] = ()) -> None:
        """Start the program that `run` uses next: it waits for the passphrase. Raises CannotShow."""
        line = [*before, *python(self._module, str(self.folder), str(self._port))]
        self._next = await Program.start(line, self.home)

    async def run(self) -> None:
        """Run the engine in the loaded program; none may run. Raises CannotShow."""
        assert self._next is not None, "it is loaded"
        self._program, self._next = self._next, None
        program = self._program
        program.write(self.passphrase)
        told = await program.expect(lambda said: "listening" in said, f"{self.name}'s device")
        self._wire.lead(self.name, told["listening"])
        ready = await program.expect(lambda said: "ready" in said, f"{self.name}'s device")
        self.pid = ready["ready"]
        self.messenger = await RemoteMessenger.open(self.folder / folder.SOCKET)
        self._events = asyncio.Queue()
        self._listening = asyncio.create_task(self._listen())

    async def kill(self) -> None:
        """End it by kill -9; what is loaded stays."""
        if self._program is not None:
            self._program.kill()
        await self._end()

    async def stop(self) -> None:
        """End it, and what is loaded. A second call does nothing."""
        await self._end()
        if self._next is not None:
            await self._next.stop()

    async def _end(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            await self.messenger.close()
            listening.cancel()
            await asyncio.wait({listening})
        if self._program is not None:
            await self._program.stop()

    def look_around(self) -> None:
        """Tell the engine that the network has changed, so that it retries at once."""
        if self._program is not None:
            self._program.write("changed")

    @property
    def said(self) -> Sequence[Said]:
        return self._program.said if self._program is not None else ()

    async def expect(self, found: Callable[[Event], E | None], what: str) -> E:
        """What `found` makes of the first event that it takes, from `mark` on. Raises CannotShow."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (event := await self._events.get()) is not None:
                    if (result := found(event)) is not None:
                        return result
        except TimeoutError:
            raise CannotShow(f"{what} within {PATIENCE:.0f} seconds") from None
        self._events.put_nowait(None)
        raise CannotShow(f"{self.name}'s device has stopped")

    def mark(self) -> None:
        while not self._events.empty():
            if self._events.get_nowait() is None:
                return self._events.put_nowait(None)
        return None

    async def _listen(self) -> None:
        try:
            async for event in self.messenger.events():
                self._events.put_nowait(event)
        finally:
            self._events.put_nowait(None)

    async def history(self) -> tuple[EntryView, ...]:
        return await self.messenger.history(self.contact, 100_000)


async def within(wanted: Awaitable[E], what: str) -> E:
    """Wait for `wanted`. Raises CannotShow after PATIENCE."""
    try:
        return await asyncio.wait_for(wanted, PATIENCE)
    except TimeoutError:
        raise CannotShow(f"{what}, in {PATIENCE:.0f} seconds") from None


def staged(stage: PairingStage) -> Callable[[Event], str | None]:
    """Finds a pairing at a stage: its id, or with DONE the contact's person."""

    def found(event: Event) -> str | None:
        if not isinstance(event, PairingChanged) or event.pairing.stage is not stage:
            return None
        return event.pairing.contact if stage is PairingStage.DONE else event.pairing.id

    return found


async def pair(inviter: Terminal, joiner: Terminal) -> None:
    """One invites, the other joins, the inviter confirms."""
    invitation = await inviter.messenger.invite()
    await joiner.messenger.join(invitation.text)
    asked = await inviter.expect(staged(PairingStage.JOINER), "nobody joined")
    await inviter.messenger.answer_pairing(asked, True)
    for each in (inviter, joiner):
        each.contact = await each.expect(staged(PairingStage.DONE), "no pairing came to its end")


OWN: Final = ("chat.cli", "relay", "--examinable", "--listen", "127.0.0.1:0", "--json")
ENDS_WITH_US: Final = '"$@" & echo "{\\"pid\\": $!}"; cat >/dev/null; kill $!; wait $!'
"""Run a command that does not read its input, and end it when the input ends, however the proof ended."""
REFUSED: Final = (
    "the system does not let the memory of process {pid} be read: it has to be a relay of this user that was"
    " started with --examinable, or this command run as root{scope}"
)
SCOPE: Final = Path("/proc/sys/kernel/yama/ptrace_scope")
GONE: Final = "there is no process {pid}, or the system does not tell of others' (Linux with /proc is needed)"


class Examined(Struct, frozen=True):
    """A relay that can be examined: its process and its address."""

    pid: int
    address: RelayAddress


@asynccontextmanager
async def own_relay(module: Sequence[str] = OWN) -> AsyncIterator[Examined]:
    """A relay for the block. Raises CannotShow."""
    program = await Program.start(["sh", "-c", ENDS_WITH_US, "sh", *python(*module)])
    try:
        pid: int = (await program.expect(lambda said: "pid" in said, "the relay"))["pid"]
        told = await program.expect(lambda said: "relay" in said, "the relay")
        await asyncio.to_thread(_all_of, pid)
        yield Examined(pid, parse_relay(told["relay"]))
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
    yield Examined(pid, own[0])


def _all_of(pid: int) -> list[RelayAddress]:
    """The addresses in its memory. Raises CannotShow if it cannot be read."""
    found: dict[RelayAddress, None] = {}
    try:
        for content in contents(pid):
            for text in addresses_in(content):
                try:
                    found[parse_relay(text)] = None
                except ProtocolError:
                    continue  # two texts that lie next to each other
    except PermissionError:
        scope = ""
        with suppress(OSError):
            scope = f" (kernel.yama.ptrace_scope is {SCOPE.read_text().strip()})"
        raise CannotShow(REFUSED.format(pid=pid, scope=scope)) from None
    except OSError:
        raise CannotShow(GONE.format(pid=pid)) from None
    return list(found)
