"""The composition root: from a profile folder to its engine, new or running.

Heavy imports wait until a profile is opened, so that the first screen appears at once.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chat.config import Config
from chat.errors import phrase
from chat.interface import (
    KEPT_DAYS_MAX,
    NO_NAME,
    NO_TERMINAL_NAME,
    PATIENCE,
    BackupView,
    BadData,
    CannotCreate,
    DiagnosisView,
    DoorState,
    Kept,
    LinkingView,
    Messenger,
    Phrase,
    RecoveryView,
    RestoreView,
    SalvageView,
    Turn,
    Unreachable,
    UsageError,
    WriteDown,
)
from chat.platforms.descriptors import may_open_descriptors
from chat.platforms.memory import CodePages
from chat.storage import folder as stored_folder
from chat.storage.system_keyring import SystemKeyring

if TYPE_CHECKING:
    from chat.engine import Engine
    from chat.ports import Ports
    from chat.storage.database import Database
    from chat.storage.profile import Vault
    from protocol.identity.author import NewPerson
    from protocol.profile_header import Cost

SETTLED_WITHIN: Final = 3.0
"""Seconds in which an opening engine offers its socket, or a closing one releases its profile."""

WAITS_AFTER: Final = 3.0
"""Seconds after which `unlock` reports that it waits for another process."""

THERE_IS_ONE: Final = phrase("There is a profile here already: choose another folder with --profile.")

RUNS: Final = phrase("Another Parlour has this profile open: lock it with 'parlour lock', then try again.")

PAUSE_MIN: Final = 0.01
PAUSE_MAX: Final = 0.2
"""Seconds between checks of a profile that another process has open."""


class ProfileDoor:
    """interface.Door of one profile folder."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        cost: Cost | None = None,
        outside: Callable[[], Path] | None = None,
    ) -> None:
        self._folder = folder
        self._outside_folder = outside
        self._config = config
        self._cost = cost
        self._keyring = SystemKeyring(folder)

    async def state(self) -> DoorState:
        found = await asyncio.to_thread(stored_folder.state, self._folder)
        if found is stored_folder.ProfileState.NEW:
            return DoorState.NEW
        pauses = _Pauses(SETTLED_WITHIN)
        while not await self._is_running():
            if pauses.over or not stored_folder.is_held(self._folder):
                return DoorState.LOCKED
            await pauses.next()
        return DoorState.RUNNING

    async def is_held(self) -> bool:
        return await asyncio.to_thread(stored_folder.is_held, self._folder)

    async def _is_running(self) -> bool:
        if not (self._folder / stored_folder.SOCKET).exists():
            return False
        try:
            other = await self.attach()
        except Unreachable:
            return False
        await other.close()
        return True

    async def create(self, name: str, passphrase: str) -> Messenger:
        from chat.storage import profile
        from chat.storage.errors import ProfileUnsettled, StorageFailure
        from protocol import profile_header
        from protocol.identity.author import create_person
        from protocol.identity.names import is_name

        if not is_name(name):
            raise UsageError(NO_NAME)
        person = create_person(name, os.urandom)
        cost = self._cost or profile_header.MODERATE
        make = partial(profile.create, self._folder, passphrase, filler(person), random=os.urandom, cost=cost)
        made = await _while_loading(make)
        try:
            return await self._open(made)
        except StorageFailure:  # it would say of the port that nothing was stored, and the profile is
            raise ProfileUnsettled from None

    async def link(
        self,
        name: str,
        passphrase: str,
        answer: Callable[[LinkingView], Awaitable[bool]],
        address: tuple[str, int] | None = None,
        keep: int = 0,
    ) -> Messenger:
        from chat.service.joining import Joining, make_profile
        from chat.service.retention import NO_SUCH_TIME
        from chat.storage.errors import ProfileUnsettled, StorageFailure
        from protocol import profile_header
        from protocol.identity.names import is_terminal_name

        if not is_terminal_name(name):
            raise UsageError(NO_TERMINAL_NAME)
        if not 0 <= keep <= KEPT_DAYS_MAX:
            raise UsageError(NO_SUCH_TIME)
        stored_folder.require_passphrase(passphrase)
        if await self.state() is not DoorState.NEW:
            raise CannotCreate(THERE_IS_ONE)
        joining = Joining(_ports(), self._config, name, answer)
        cost = self._cost or profile_header.MODERATE
        made = await make_profile(joining, address, self._folder, passphrase, cost, keep)
        try:
            return await self._open(made)
        except StorageFailure:  # as in `create`
            raise ProfileUnsettled from None

    async def unlock(
        self,
        passphrase: str,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> Messenger:
        return await self._unlock(passphrase, offline, patience, waits, typed=True)

    async def _unlock(
        self,
        passphrase: str,
        offline: bool,
        patience: float,
        waits: Callable[[], None] | None,
        *,
        typed: bool,
    ) -> Messenger:
        from chat.storage import profile
        from chat.storage.errors import ProfileInUse

        pauses = _Pauses(patience)
        while True:
            with suppress(Unreachable):
                return await self.attach()
            try:
                # The lock is taken before Argon2id's memory, so only one of many processes uses it at a time.
                opened = await _while_loading(
                    partial(profile.unlock, self._folder, passphrase, reading=offline)
                )
            except ProfileInUse:
                if pauses.over:
                    raise
            else:
                if typed:
                    opened.keyring.resume()
                return await (self._read(opened) if offline else self._open(opened))
            if waits is not None and pauses.since >= WAITS_AFTER:
                waits()
                waits = None
            await pauses.next()

    async def kept(self) -> Kept:
        return await asyncio.to_thread(self._keyring.kept)

    async def unlock_kept(
        self,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> Messenger | None:
        if await self.kept() is not Kept.YES:
            return None
        from chat.storage.errors import KeyringOutdated, WrongPassphrase

        found = await self._keyring.passphrase()
        try:
            return await self._unlock(found.reveal(), offline, patience, waits, typed=False)
        except WrongPassphrase:
            raise KeyringOutdated from None

    async def is_passphrase(self, text: str) -> bool:
        from chat.storage.errors import WrongPassphrase

        try:
            await asyncio.to_thread(stored_folder.check_passphrase, self._folder, text)
        except (WrongPassphrase, UsageError):  # the second is for what no passphrase can be
            return False
        return True

    async def keep(self, passphrase: str) -> str:
        await asyncio.to_thread(stored_folder.check_passphrase, self._folder, passphrase)
        return await self._keyring.save(passphrase)

    async def forget(self) -> None:
        await self._keyring.remove()

    async def pause_kept(self) -> None:
        await asyncio.to_thread(self._keyring.pause)

    async def restore(
        self,
        path: str,
        passphrase: str,
        own: str,
        words: tuple[str, ...] = (),
        remove_old: bool = False,
        progress: Callable[[int, int], None] | None = None,
        write_down: WriteDown | None = None,
    ) -> RestoreView:
        from chat.service import restoring
        from protocol import profile_header

        state = await self.state()
        if state is DoorState.RUNNING:
            raise CannotCreate(RUNS)
        work = restoring.restore_new if state is DoorState.NEW else restoring.restore_into
        cost, shown = self._cost or profile_header.MODERATE, progress or restoring.silent
        with _Shown(write_down) as asking:
            asked = restoring.Asked(Path(path), passphrase, words, remove_old, write_down=asking)
            return await asyncio.to_thread(work, self._folder, own, asked, os.urandom, cost, shown)

    async def salvage(self, path: str, passphrase: str, own: str, recovery: bool = False) -> SalvageView:
        from chat.ports import SystemClock
        from chat.service import restoring

        asked = restoring.Asked(Path(path), passphrase, recovery=recovery)
        return await asyncio.to_thread(
            restoring.salvage_from, self._folder, own, asked, SystemClock().wall(), os.urandom
        )

    async def verify(self, path: str, passphrase: str) -> BackupView:
        from chat.service import readable, restore

        if await asyncio.to_thread(readable.is_readable, Path(path)):
            return await asyncio.to_thread(readable.check, Path(path))
        return (await asyncio.to_thread(restore.verify, Path(path), passphrase)).view

    async def archives(self) -> tuple[str, ...]:
        return tuple(map(str, await asyncio.to_thread(stored_folder.archives, self._folder)))

    async def wipe(self) -> None:
        from chat.storage import profile

        kept = await self.kept()
        await asyncio.to_thread(profile.wipe, self._folder, self._outside())
        if kept is not Kept.NO:
            try:
                await self._keyring.remove()
            finally:
                with suppress(OSError):  # something else is in it
                    await asyncio.to_thread(self._folder.rmdir)

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        from chat.tools.doctor import diagnose
        from chat.tools.doctor.gather import Context

        found = await asyncio.to_thread(_profile_line, self._folder)
        port = await asyncio.to_thread(stored_folder.port, self._folder)
        lines = await diagnose(Context(port=port, listening=False, profile=self._folder))
        return (*lines, *found)

    async def attach(self) -> Messenger:
        from chat.ipc.client import RemoteMessenger

        return await RemoteMessenger.open(self._folder / stored_folder.SOCKET)

    def _outside(self) -> Path | None:
        return self._outside_folder() if self._outside_folder is not None else None

    async def _open(self, opened: Vault) -> Messenger:
        """Start an engine on an open vault, reachable for other commands through its socket."""
        from chat.ipc.server import ControlServer

        engine = await self._load(opened)
        offered = _offered(engine)
        try:
            if not engine.is_archive:
                await engine.start()
            await engine.serve(ControlServer(offered, self._folder / stored_folder.SOCKET))
        except BaseException:
            await engine.close()
            raise
        return offered

    async def _read(self, opened: Vault) -> Messenger:
        return _offered(await self._load(opened))

    async def _load(self, opened: Vault) -> Engine:
        """An engine that is not started: it does not listen, announce or dial."""
        from chat.engine import open_engine

        executor = ThreadPoolExecutor(1, "database")
        try:
            return await open_engine(opened, _ports(), self._config, executor, self._outside())
        except BaseException:
            opened.close()
            raise


def _offered(engine: Engine) -> Messenger:
    """What clients get of an engine."""
    from chat.archive import Archive

    return Archive.of(engine) if engine.is_archive else engine


def _ports() -> Ports:
    """What a real engine takes from outside."""
    from chat.network.mdns import ZeroconfDiscovery
    from chat.network.transport import TcpTransport
    from chat.ports import Ports, SystemClock

    return Ports(SystemClock(), os.urandom, TcpTransport(), ZeroconfDiscovery(), CodePages().look)


class _Shown:
    """Lets a thread show new words on this loop, and wait for what was typed until this context ends."""

    def __init__(self, show: WriteDown | None) -> None:
        self._show, self._loop = show, asyncio.get_running_loop()
        self._ended = False
        self._waiting: list[Future[tuple[str, ...]]] = []

    def __enter__(self) -> Callable[[RecoveryView, Phrase], tuple[str, ...]] | None:
        return self._ask if self._show is not None else None

    def _ask(self, view: RecoveryView, problem: Phrase) -> tuple[str, ...]:
        assert self._show is not None
        asked = asyncio.run_coroutine_threadsafe(self._asked(view, problem), self._loop)
        self._waiting.append(asked)
        return asked.result()

    async def _asked(self, view: RecoveryView, problem: Phrase) -> tuple[str, ...]:
        if self._ended or self._show is None:
            raise asyncio.CancelledError
        return await self._show(view, problem)

    def __exit__(self, *_: object) -> None:
        self._ended = True
        for one in self._waiting:
            one.cancel()


class _Pauses:
    """Growing pauses of uneven length, so that many processes do not check at the same time."""

    def __init__(self, patience: float) -> None:
        self._began = asyncio.get_running_loop().time()
        self._patience = patience
        self._pause = PAUSE_MIN

    @property
    def since(self) -> float:
        """Seconds since the first check."""
        return asyncio.get_running_loop().time() - self._began

    @property
    def over(self) -> bool:
        return self.since >= self._patience

    async def next(self) -> None:
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(2 * self._pause, PAUSE_MAX)


async def _while_loading(work: Callable[[], Vault]) -> Vault:
    """Do the work, mostly Argon2id, in a thread, and import the engine meanwhile in another."""
    names = ("chat.ipc.server", "chat.engine", "chat.network.mdns", "chat.network.transport")
    loading = asyncio.create_task(asyncio.to_thread(lambda: [import_module(name) for name in names]))
    try:
        return await asyncio.to_thread(work)
    finally:
        await loading


def marks_folder() -> Path:
    """The folder of the marks outside of profiles on this platform, which no copy of a profile includes."""
    import platformdirs

    return platformdirs.user_state_path("parlour-marks", appauthor=False)


def turn(profile: Path) -> Turn:
    """Whose turn it is to notify of a profile."""
    from chat.platforms.turns import FileTurn

    return FileTurn(profile / stored_folder.NOTIFIES)


def door(
    folder: Path, *, port: int | None = None, cost: Cost | None = None, hidden: bool = False
) -> ProfileDoor:
    """The door of a profile folder. `port`: chosen by the user. `cost`: of Argon2id, for tests.

    `hidden`: from now on no other program of this user reads the memory of this process.
    """
    stored_folder.make_private()
    may_open_descriptors()  # links of contacts and their files need more than the 256 of macOS
    if hidden:
        stored_folder.hide_memory()
    config = Config() if port is None else replace(Config(), port=port, keep_port=True)
    return ProfileDoor(folder, config, cost, marks_folder)


def _profile_line(folder: Path) -> tuple[DiagnosisView, ...]:
    """Damage of a profile's header or database that shows without the passphrase."""
    try:
        stored_folder.state(folder)
    except BadData as damage:
        return (DiagnosisView(phrase("profile"), False, phrase("it cannot be opened"), damage.phrase),)
    return ()


def filler(person: NewPerson) -> Callable[[Database], None]:
    """Returns what writes a new person's rows into a new database."""
    from chat.storage import keys, persons
    from chat.storage.keys import OwnRow
    from protocol.identity.log import parse_operation
    from protocol.messages import SharedDrawn

    def fill(database: Database) -> None:
        row = OwnRow(
            person=person.person,
            terminal=person.terminal,
            signing_seed=person.signing_seed,
            static_secret=person.static_secret,
            drawn=(SharedDrawn(person.person, person.drawn),),
            recovery_seed=person.recovery_seed,
        )
        keys.create_own(database, row)
        for operation in person.operations:
            persons.add_operation(database, person.person, parse_operation(operation).id, operation)

    return fill
