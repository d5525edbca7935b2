"""The door of a demo, which creates it on first use, and the private folder that it lives in."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chat.errors import phrase
from chat.interface import (
    PATIENCE,
    BackupView,
    CannotCreate,
    DiagnosisView,
    DoorState,
    Kept,
    LinkingView,
    Messenger,
    RestoreView,
    SalvageView,
    WriteDown,
)
from chat.ports import Clock, Random, SystemClock
from chat.storage.errors import ProfileInUse
from chat.storage.folder import ProfileLock, make_private
from chat.tools.demo.engines import HERE

if TYPE_CHECKING:
    from chat.tools.demo.make import Demo

PASSPHRASE: Final = "demo"
HAS_A_PERSON: Final = phrase("The demo already has a profile: open it with the passphrase that is shown.")
RUNS: Final = phrase("The demo is already open.")


class DemoDoor:
    """interface.Door of one demo in a temporary folder. `language` is `zh` or English."""

    def __init__(
        self, folder: Path, language: str, *, clock: Clock | None = None, random: Random = os.urandom
    ) -> None:
        make_private()
        self._folder = folder
        self._language = language
        self._machine = clock or SystemClock()
        self._random = random
        self._attempts = 0
        self._demo: Demo | None = None

    async def state(self) -> DoorState:
        """RUNNING until the person locks it, even before it is made: no passphrase is needed."""
        locked = self._demo is not None and not self._demo.person.running
        return DoorState.LOCKED if locked else DoorState.RUNNING

    async def attach(self) -> Messenger:
        if self._demo is None:
            await asyncio.to_thread(import_module, "chat.tools.demo.make")
            from chat.tools.demo.make import make

            self._attempts += 1  # a failed attempt leaves its folder behind, so each has its own
            folder = self._folder / str(self._attempts)
            self._demo = await make(folder, PASSPHRASE, self._language, self._machine, self._random)
        return self._demo.person.engine

    async def unlock(
        self,
        passphrase: str,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> Messenger:
        if self._demo is None or self._demo.person.running:
            raise CannotCreate(RUNS)
        return await self._demo.unlock(passphrase)

    async def kept(self) -> Kept:
        return Kept.NO

    async def unlock_kept(
        self,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> Messenger | None:
        return None

    async def is_passphrase(self, text: str) -> bool:
        """Its screen shows it to everyone: it protects nothing."""
        return False

    async def keep(self, passphrase: str) -> str:
        raise CannotCreate(RUNS)

    async def forget(self) -> None:
        raise CannotCreate(RUNS)

    async def pause_kept(self) -> None:
        """Nothing is kept."""

    async def is_held(self) -> bool:
        return self._demo is not None and self._demo.person.running

    async def create(self, name: str, passphrase: str) -> Messenger:
        raise CannotCreate(HAS_A_PERSON)

    async def link(
        self,
        name: str,
        passphrase: str,
        answer: Callable[[LinkingView], Awaitable[bool]],
        address: tuple[str, int] | None = None,
        keep: int = 0,
    ) -> Messenger:
        raise CannotCreate(HAS_A_PERSON)

    async def archives(self) -> tuple[str, ...]:
        return ()

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
        raise CannotCreate(HAS_A_PERSON)

    async def salvage(self, path: str, passphrase: str, own: str, recovery: bool = False) -> SalvageView:
        raise CannotCreate(RUNS)

    async def verify(self, path: str, passphrase: str) -> BackupView:
        raise CannotCreate(HAS_A_PERSON)

    async def wipe(self) -> None:
        raise CannotCreate(RUNS)

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        return (HERE,)


PREFIX: Final = "parlour-demo-"
LEFT: Final = "An earlier demo left {folder}, which cannot be removed: remove it. All in it is encrypted."


@contextmanager
def throw_away(say: Callable[[str], None]) -> Iterator[Path]:
    """A folder of mode 0700 for the block. `say` hears of an older one that remains. Raises CannotCreate."""
    # The memory of this user first, which reaches no disk.
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    own = [Path(named)] if named and os.access(named, os.W_OK | os.X_OK) else []
    places = [*own, Path(tempfile.gettempdir())]
    for place in places:
        with suppress(OSError):
            for left in sorted(place.glob(f"{PREFIX}*")):
                _sweep(left, say)
    folder, lock = _make(places[0])
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)  # where a lock that is held cannot be removed


def _make(place: Path) -> tuple[Path, ProfileLock]:
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            return folder, ProfileLock(folder)
        except (FileNotFoundError, ProfileInUse):
            if not place.is_dir():
                raise _no_folder(place, phrase("it does not exist")) from None
            # another demo, which begins this moment, took it for one that was left behind
        except OSError as error:
            raise _no_folder(place, str(error.strerror)) from None


def _no_folder(place: Path, reason: str) -> CannotCreate:
    return CannotCreate(
        phrase(
            "The demo folder cannot be created in {place} ({reason}): set TMPDIR to another folder.",
            place=str(place),
            reason=reason,
        )
    )


def _sweep(folder: Path, say: Callable[[str], None]) -> None:
    """Remove a folder of this user that an earlier demo left, and no symbolic link."""
    try:
        own = not hasattr(os, "geteuid") or folder.lstat().st_uid == os.geteuid()
        if not own or folder.is_symlink() or not folder.is_dir():
            return
        lock = ProfileLock(folder)
    except (ProfileInUse, FileNotFoundError):
        return  # it runs, or has just ended
    except OSError:
        say(LEFT.format(folder=folder))
        return
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    if folder.exists():
        say(LEFT.format(folder=folder))
