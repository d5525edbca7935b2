"""One run of a command: the profile it works on, and the messenger it works with.

Rules: an engine that runs on the profile is used through its socket, else one runs in this process as
long as the command, and without the network where the command only reads; whatever was opened is closed,
however the command ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat.cli import output
from chat.cli.failures import DONE, STOPPED, Stopped, log_to_stderr, loop_handler
from chat.cli.passphrase import read_passphrase
from chat.cli.terminal import Lines
from chat.interface import CannotCreate, Closed, Door, DoorState, Event, Messenger, Unreachable, UsageError

OpenDoor = Callable[[Path, int | None], Door]
Show = Callable[["Call", Door, str], int]
"""Opens the terminal interface on a door; the text is the passphrase of a demo, or nothing."""


@dataclass
class Call:
    """What the line says for all commands, and how to come to a profile."""

    open_door: OpenDoor
    lines: Lines = field(default_factory=Lines)
    profile: Path | None = None
    json: bool = False
    passphrase_file: str | None = None
    port: int | None = None
    verbose: bool = False
    linear: bool = False
    show: Show = field(init=False)

    @property
    def folder(self) -> Path:
        """The profile: --profile, else PARLOUR_PROFILE, else the platform's data folder."""
        named = self.profile or os.environ.get("PARLOUR_PROFILE")
        if named:
            return Path(named).expanduser().absolute()
        import platformdirs

        return platformdirs.user_data_path("parlour", appauthor=False)

    def door(self) -> Door:
        return self.open_door(self.folder, self.port)

    def result(self, fields: Mapping[str, object], text: str) -> None:
        """One result line."""
        output.result(fields, text, as_json=self.json)

    def run(self, use: Callable[[Messenger], Awaitable[int]], *, offline: bool = False) -> int:
        """Run a command on the profile's messenger; returns its exit status.

        `offline`: it reads only, so that an engine in this process does without the network.
        """

        async def work() -> int:
            async with messenger(self, offline=offline) as opened:
                return await use(opened)

        return self.run_alone(work)

    def run_alone(self, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """Run a command that opens what it needs by itself."""
        if self.verbose:
            log_to_stderr()
        try:
            return asyncio.run(_supervised(work(), self.verbose))
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise Stopped(STOPPED) from None


async def _supervised(work: Coroutine[Any, Any, int], verbose: bool) -> int:
    """Nothing that fails beside the command writes by itself; SIGTERM ends it as cleanly as Ctrl-C."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(loop_handler(verbose=verbose))
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError):  # Windows has no such signals in its event loop
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


async def until_stopped(work: Coroutine[Any, Any, None]) -> int:
    """Do the work until it ends, or until SIGINT or SIGTERM: the proper end of a command that serves."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends this command as it ends any other
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return DONE


async def existing(call: Call) -> tuple[Door, DoorState]:
    """The door of a profile that is there, and its state. Raises UsageError, BadData."""
    door = call.door()
    state = await door.state()
    if state is DoorState.NEW:
        raise UsageError(f"There is no profile at {call.folder}: make one with 'parlour init --name NAME'.")
    return door, state


@asynccontextmanager
async def messenger(
    call: Call, secret: str | None = None, *, offline: bool = False
) -> AsyncIterator[Messenger]:
    """The messenger of the call's profile. Raises UsageError (no profile), NotPermitted, BadData.

    The passphrase is asked for where it is needed and not given.
    """
    opened = await _open(call, secret, offline)
    try:
        yield opened
    finally:
        await opened.close()


async def _open(call: Call, secret: str | None, offline: bool) -> Messenger:
    door, state = await existing(call)
    if state is DoorState.RUNNING:
        with suppress(Unreachable):  # it ended a moment ago
            return await _attach(call, door)
    if secret is None:
        secret = read_passphrase(call.passphrase_file, call.lines)
    try:
        return await door.unlock(secret, offline)
    except CannotCreate:
        if await door.state() is not DoorState.RUNNING:
            raise
        return await _attach(call, door)  # another command was faster


async def _attach(call: Call, door: Door) -> Messenger:
    running = await door.attach()
    if call.port is not None and (await running.me()).port != call.port:
        output.note(f"An engine runs on this profile already: --port {call.port} counts when it starts anew.")
    return running


class Feed:
    """Everything that happens from now on, as a queue on which one can wait beside other things."""

    def __init__(self, source: Messenger) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._pump = asyncio.create_task(self._fill(source.events()))

    async def next(self) -> Event:
        """The next event. After `Closed` nothing follows. May be cancelled: no event is lost."""
        return await self._queue.get()

    async def stop(self) -> None:
        self._pump.cancel()
        await asyncio.wait({self._pump})

    async def _fill(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            self._queue.put_nowait(event)
            if isinstance(event, Closed):
                return


@asynccontextmanager
async def feed(source: Messenger) -> AsyncIterator[Feed]:
    """A feed that ends with the block."""
    opened = Feed(source)
    try:
        yield opened
    finally:
        await opened.stop()
