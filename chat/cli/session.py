"""One run of a command: its options, its profile, and the messenger of that profile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Final, cast

import click

from chat.cli import output
from chat.cli.output import STOPPED, Stopped, in_background, log_to_stderr
from chat.cli.terminal import STDIN, Lines, read_passphrase
from chat.interface import (
    ARCHIVED,
    PATIENCE,
    Closed,
    Door,
    DoorState,
    EngineEnded,
    Event,
    KeyringFailure,
    Messenger,
    NotPermitted,
    Ready,
    Turn,
    Unreachable,
    UsageError,
)

OTHERS_WITHIN: Final = 2.0
"""Seconds in which another command opens the profile whose engine has ended, before a person is asked."""

LOOK_EVERY: Final = 0.1
WAITS: Final = "Another Parlour has this profile open: waiting for it."
KEYRING_SLOW: Final = 2.0
KEYRING_ASKED: Final = "Waiting for the system's keyring, which may ask you to unlock it."
"""What is said after so many seconds."""

NOBODY_TO_ASK: Final = (
    "The engine has stopped. To continue, this command needs the passphrase: give --passphrase-file FILE."
)

OpenDoor = Callable[[Path, int | None], Door]
Show = Callable[["Call", Door, str], int | None]
"""Opens the terminal interface on a door; the text is the passphrase of a demo, or nothing."""


@dataclass
class Call:
    """What the line says for all commands, and how to come to a profile."""

    open_door: OpenDoor
    show: Show
    lines: Lines = field(default_factory=Lines)
    profile: Path | None = None
    json: bool = False
    passphrase_file: str | None = None
    port: int | None = None
    verbose: bool = False
    linear: bool = False
    open_turn: Callable[[Path], Turn] | None = None

    @property
    def turn(self) -> Turn | None:
        """Whose turn it is to notify of the profile."""
        return self.open_turn(self.folder) if self.open_turn is not None else None

    @property
    def folder(self) -> Path:
        """The profile: --profile, else PARLOUR_PROFILE, else the platform's data folder."""
        named = self.profile or os.environ.get("PARLOUR_PROFILE")
        return Path(named).expanduser().absolute() if named else self.standard

    @property
    def standard(self) -> Path:
        """The platform's data folder, where a profile is unless another one is named."""
        import platformdirs

        return platformdirs.user_data_path("parlour", appauthor=False)

    def door(self) -> Door:
        return self.open_door(self.folder, self.port)

    def result(self, fields: Mapping[str, object], text: str) -> None:
        output.result(fields, text, as_json=self.json)

    def nothing(self, text: str) -> None:
        """Say to a person that there is nothing to list; a program sees no line."""
        if not self.json:
            output.note(text)


Body = Callable[..., int | None]
AsyncBody = Callable[..., Coroutine[Any, Any, int | None]]


def coroutine(body: AsyncBody) -> Body:
    """The body of a command as click calls it. It gets the `Call`, and the options by name.

    The body of a group runs only without a subcommand. SIGTERM and SIGHUP end a body as cleanly as Ctrl-C:
    it may have to take secrets off the screen.
    """

    @wraps(body)
    def run(call: Call, **options: Any) -> int | None:
        if click.get_current_context().invoked_subcommand is not None:
            return None
        if call.verbose:
            log_to_stderr()

        async def supervised() -> int | None:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            loop.set_exception_handler(lambda _, lost: in_background(lost.get("exception"), call.verbose))
            if task is not None:
                heed("SIGTERM", "SIGHUP", leave=task.cancel)
            return await body(call, **options)

        try:
            return asyncio.run(supervised())
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise Stopped(STOPPED) from None

    return click.pass_obj(run)


def heed(*names: str, leave: Callable[[], object]) -> None:
    """Call `leave` in the event loop for these signals, but for one that this program was told to ignore."""
    for name in names:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(NotImplementedError):  # nor signals in its event loop: Ctrl-C ends each command
                asyncio.get_running_loop().add_signal_handler(number, leave)


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it ends, or until a signal: the proper end of a command that serves."""
    task = asyncio.ensure_future(work)
    heed("SIGINT", "SIGTERM", "SIGHUP", leave=task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def existing(call: Call) -> tuple[Door, DoorState]:
    """The door of a profile that is there, and its state. Raises UsageError, BadData."""
    door = call.door()
    state = await door.state()
    if state is DoorState.NEW:
        raise UsageError(f"There is no profile at {call.folder}: create one with 'parlour init --name NAME'.")
    return door, state


@asynccontextmanager
async def messenger(
    call: Call, secret: str | None = None, *, offline: bool = False, patience: float = PATIENCE
) -> AsyncIterator[Messenger]:
    """The messenger of the profile: its running engine, or one in this process for the time of the block.

    `offline`: an engine in this process does without the network. `patience`: as for `Door.unlock`.
    Raises UsageError (no profile), NotPermitted, BadData.
    """
    session = Session(call, secret, offline=offline, patience=patience)
    try:
        yield await session.open()
    finally:
        await session.close()


class Session:
    """Opens the messenger, and the next one when its engine ends, until the profile is locked.

    The next engine belongs to another command or to this one. It gets every call that the ended one did not
    begin. A stream of events continues there with `Ready`; the client asks for what happened in between.
    """

    def __init__(self, call: Call, secret: str | None, *, offline: bool, patience: float) -> None:
        self._call = call
        self._secret = secret
        self._offline = offline
        self._patience = patience
        self._turn = asyncio.Lock()
        self._current: Messenger | None = None

    async def open(self) -> Messenger:
        if self._call.passphrase_file == STDIN and self._secret is None:
            # A running engine needs no passphrase, but what `send NAME -` sends begins after that line.
            self._secret = read_passphrase(STDIN, self._call.lines)
        self._current = await self._come(*await existing(self._call))
        with suppress(EngineEnded):  # the next call finds that out, too
            if not self._offline and (await self._current.me()).archived is not None:
                await self.close()
                raise NotPermitted(ARCHIVED)
            for alert in await self._current.alerts():
                read = "" if alert.lasts else " Run 'parlour doctor --seen' when you have read this."
                output.note(f"{alert.text}{read}")
        return cast(Messenger, _Following(self))

    async def close(self) -> None:
        if self._current is not None:
            await self._current.close()

    @property
    def current(self) -> Messenger:
        assert self._current is not None, "the session is open"
        return self._current

    async def after(self, ended: Messenger) -> Messenger:
        """The messenger to ask after this one ended. Raises as `messenger`."""
        async with self._turn:
            if self._current is ended:
                await ended.close()
                self._current = await self._come(*await self._next(), again=True)
            return self.current

    async def _next(self) -> tuple[Door, DoorState]:
        """The door after an engine ended. Others get time to open it before a person is asked."""
        door, state = await existing(self._call)
        if self._secret is None and self._call.passphrase_file is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(OTHERS_WITHIN):
                    while state is not DoorState.RUNNING:
                        await asyncio.sleep(LOOK_EVERY)
                        state = await door.state()
        return door, state

    async def _come(self, door: Door, state: DoorState, *, again: bool = False) -> Messenger:
        """Use the engine that runs, or open one: what is first possible."""
        if state is DoorState.RUNNING:
            with suppress(Unreachable):  # it ended a moment ago
                return await self._agreeing(await door.attach())
        secret = self._secret
        if secret is None:
            if self._call.passphrase_file is None and (kept := await self._open_kept(door)) is not None:
                return await self._agreeing(kept)
            try:
                secret = read_passphrase(self._call.passphrase_file, self._call.lines)
            except NotPermitted as refused:
                raise NotPermitted(NOBODY_TO_ASK) if again else refused from None
            if self._call.passphrase_file is None:  # else it is read again where a file contains it
                self._secret = secret
        opened = await door.unlock(
            secret, self._offline, patience=self._patience, waits=lambda: output.note(WAITS)
        )
        return await self._agreeing(opened)

    async def _open_kept(self, door: Door) -> Messenger | None:
        """Open it with the passphrase in the system's keyring, if that is to be used and does."""
        slow = asyncio.get_running_loop().call_later(KEYRING_SLOW, output.note, KEYRING_ASKED)
        try:
            return await door.unlock_kept(
                self._offline, patience=self._patience, waits=lambda: output.note(WAITS)
            )
        except KeyringFailure as problem:
            output.note(str(problem))
            return None
        finally:
            slow.cancel()

    async def _agreeing(self, opened: Messenger) -> Messenger:
        """Say where an engine that runs listens on another port than the one that was named."""
        port = self._call.port
        if port is None:
            return opened
        with suppress(EngineEnded):  # the next call finds that out too
            if (await opened.me()).port not in (0, port):
                output.note(
                    f"An engine already runs with this profile: --port {port} applies at its next start."
                )
        return opened


class _Following:
    """The `Messenger` of a session: passes each call by its name to the current messenger."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if name.startswith("_"):
            raise AttributeError(name)

        async def ask(*arguments: Any, **named: Any) -> Any:
            while True:
                current = self._session.current
                try:
                    return await getattr(current, name)(*arguments, **named)
                except EngineEnded:
                    await self._session.after(current)

        return ask

    def events(self) -> AsyncIterator[Event]:
        current = self._session.current
        return self._follow(current, current.events())

    async def _follow(self, current: Messenger, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        while True:
            async for event in events:
                if isinstance(event, Closed) and not event.locked:
                    break
                yield event
            else:
                return
            current = await self._session.after(current)
            events = current.events()
            yield Ready((await self.me()).addresses)


class Feed:
    """The events of a messenger in a queue, so that waiting for the next one can be cancelled.

    `only`: the types of the events that are waited for, as `Closed` always is; None for all.
    """

    def __init__(self, source: Messenger, only: tuple[type[Event], ...] | None = None) -> None:
        self._only = None if only is None else (*only, Closed)
        self._queue: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self._pump = asyncio.create_task(self._fill(source.events()))

    async def next(self) -> Event:
        """The next event; nothing follows `Closed`. Raises what the opening of the next engine raised."""
        event = await self._queue.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def aclose(self) -> None:
        self._pump.cancel()
        await asyncio.wait({self._pump})

    async def _fill(self, events: AsyncIterator[Event]) -> None:
        try:
            async for event in events:
                if self._only is not None and not isinstance(event, self._only):
                    continue
                self._queue.put_nowait(event)
                if isinstance(event, Closed):
                    return
        except Exception as failure:  # noqa: BLE001 - `next` raises it; without it `next` would never return
            self._queue.put_nowait(failure)


class UnicodeText(click.ParamType[str]):
    """Text that can be stored and sent."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail("is not UTF-8 text: set the terminal to UTF-8.", param, ctx)
        return str(value)


TEXT = UnicodeText()


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    call = ctx.find_object(Call)
    if call is not None and value not in (None, False):
        setattr(call, str(param.name), value)


def _options(*, hidden: bool) -> list[click.Parameter]:
    def option(*names: str, **settings: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, hidden=hidden, **settings)

    folder = click.Path(path_type=Path, file_okay=False)
    return [
        option(
            "--profile",
            type=folder,
            help="Folder of the profile (default: PARLOUR_PROFILE, else the standard folder).",
        ),
        option("--json", is_flag=True, help="Print JSON lines with stable fields."),
        option(
            "--passphrase-file",
            metavar="FILE",
            help="Read the passphrase from the first line of FILE; - is standard input.",
        ),
        option("--port", type=click.IntRange(1, 65535), help="Listen on this port, now and later."),
        option("--verbose", is_flag=True, help="Log to standard error, without message texts."),
    ]


class _NamesItsHelp(click.Command):
    """A command whose name is in each error of its own line, also where click does not tell it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class Command(_NamesItsHelp):
    """A command that takes the options for all commands anywhere on the line; the last one counts."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_options(hidden=True)]


class Group(_NamesItsHelp, click.Group):
    """A group of commands that takes these options too. Only the help of the program shows them."""

    command_class = Command
    shown = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_options(hidden=not self.shown)]


def command(name: str) -> Callable[[Body], Command]:
    """A command of the program. Its body returns the exit status, None for success."""
    return click.command(name, cls=Command)


def group(name: str) -> Callable[[Body], Group]:
    """A command that lists by itself and has commands of its own."""
    return click.group(name, cls=Group, invoke_without_command=True)
