"""The passphrase of a profile in the system's keyring, for those who chose that.

A marker in the profile names the entry. Without it nothing here imports the library or asks the system. The
marker is there before the entry and goes after it, so that no crash leaves an entry that nobody knows of.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from chat.interface import Kept, KeyringFailure
from chat.storage import errors
from chat.storage.folder import KEYRING, KEYRING_PAUSED, sync_folder, system_failures, write_private

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE: Final = "parlour"
WITHIN: Final = 30.0
"""Seconds for an answer: the keyring may ask its person first."""
_NAME_BYTES: Final = 16
_MARKERS: Final = KEYRING, KEYRING_PAUSED
T = TypeVar("T")


class Passphrase:
    """A passphrase from the keyring. Only `reveal` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Passphrase(<redacted>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Passphrase cannot be pickled")


class SystemKeyring:
    """The entry of the profile in `folder`. Calls of the keyring raise KeyringFailure.

    `within`: seconds for each answer.
    """

    def __init__(self, folder: Path, within: float = WITHIN) -> None:
        self._folder = folder
        self._within = within

    def kept(self) -> Kept:
        if (self._folder / KEYRING).exists():
            return Kept.YES
        return Kept.PAUSED if (self._folder / KEYRING_PAUSED).exists() else Kept.NO

    def pause(self) -> None:
        """Do not use the entry until the passphrase was typed once. Raises StorageFailure."""
        with system_failures(), suppress(FileNotFoundError):
            (self._folder / KEYRING).replace(self._folder / KEYRING_PAUSED)
            sync_folder(self._folder)

    def resume(self) -> None:
        """Use it again. Where the disk cannot be written, it stays paused."""
        paused = self._folder / KEYRING_PAUSED
        with suppress(OSError):
            if paused.exists():
                paused.replace(self._folder / KEYRING)

    async def passphrase(self) -> Passphrase:
        name = self._name()
        found = await self._ask(lambda store: store.get_password(SERVICE, name)) if name else None
        if not found:
            raise errors.KeyringEmpty
        return Passphrase(found)

    async def save(self, passphrase: str) -> str:
        """Keep a passphrase that opens the profile, and use it from now on; the name of the keyring.

        Raises StorageFailure too. After KeyringUnsure a new entry is paused.
        """
        name = self._name()
        new = name is None
        if name is None:
            self._forget()
            name = os.urandom(_NAME_BYTES).hex()
            with system_failures():
                write_private(self._folder / KEYRING_PAUSED, name.encode())
                sync_folder(self._folder)
        try:
            said = await self._ask(lambda store: _put(store, name, passphrase))
        except errors.KeyringSilent:
            raise errors.KeyringUnsure from None
        except KeyringFailure:
            if new:
                with suppress(KeyringFailure):
                    await self._ask(lambda store: _delete(store, name))
                self._forget()
            raise
        with system_failures():
            with suppress(FileNotFoundError):
                (self._folder / KEYRING_PAUSED).replace(self._folder / KEYRING)
            sync_folder(self._folder)
        return said

    async def update(self, passphrase: str) -> None:
        """Keep the new passphrase of the profile, if it kept the one before. Where that fails, keep none.

        Raises KeyringNotUpdated, KeyringNotUpdatedOrEmptied.
        """
        name = self._name()
        if name is None:
            return
        try:
            await self._ask(lambda store: _put(store, name, passphrase))
        except KeyringFailure as failure:
            left = isinstance(failure, errors.KeyringSilent)  # it may still take the new one
            if not left:
                try:
                    await self._ask(lambda store: _delete(store, name))
                except KeyringFailure:
                    left = True
            with suppress(errors.StorageFailure):  # a marker that stays leads to KeyringOutdated
                self._forget()
            raise (errors.KeyringNotUpdatedOrEmptied(name) if left else errors.KeyringNotUpdated()) from None

    async def remove(self) -> None:
        """Remove the entry, and use it no more. Raises KeyringLeft."""
        name = self._name()
        try:
            if name is not None:
                await self._ask(lambda store: _delete(store, name))
        except KeyringFailure:
            raise errors.KeyringLeft(name or "") from None
        finally:
            self._forget()

    def _name(self) -> str | None:
        """The name of the entry. None without a marker, or where one was damaged."""
        for marker in _MARKERS:
            with suppress(OSError, ValueError):
                with (self._folder / marker).open("rb") as file:
                    name = bytes.fromhex(file.read(4 * _NAME_BYTES).decode("ascii"))
                if len(name) == _NAME_BYTES:
                    return name.hex()
        return None

    def _forget(self) -> None:
        """Remove the markers. Raises StorageFailure."""
        with system_failures():
            for marker in _MARKERS:
                (self._folder / marker).unlink(missing_ok=True)

    async def _ask(self, work: Callable[[KeyringBackend], T]) -> T:
        """The answer of the keyring. Raises KeyringMissing, KeyringAbsent, KeyringRefused, KeyringSilent.

        A keyring may wait for its person for ever, and the end of the program waits for no such thread.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(give: Callable[[], None]) -> None:
            if not answer.done():
                give()

        def ask() -> None:
            try:
                give = partial(answer.set_result, work(_backend()))
            except Exception as failure:  # noqa: BLE001 - each system raises its own, with any text in it
                give = partial(answer.set_exception, _known(failure))
            with suppress(RuntimeError):  # the program ended meanwhile
                loop.call_soon_threadsafe(settle, give)

        threading.Thread(target=ask, name="keyring", daemon=True).start()
        try:
            async with asyncio.timeout(self._within):
                return await answer
        except TimeoutError:
            raise errors.KeyringSilent from None


def _backend() -> KeyringBackend:
    """The keyring of this system. Raises KeyringMissing, and what the library raises."""
    try:
        import keyring
    except ImportError:
        raise errors.KeyringMissing from None
    return keyring.get_keyring()


def _known(failure: Exception) -> KeyringFailure:
    if isinstance(failure, KeyringFailure):
        return failure
    from keyring.errors import NoKeyringError

    return errors.KeyringAbsent() if isinstance(failure, NoKeyringError) else errors.KeyringRefused()


def _put(store: KeyringBackend, name: str, passphrase: str) -> str:
    """Some backends keep nothing and say nothing, so it is read again."""
    store.set_password(SERVICE, name, passphrase)
    if store.get_password(SERVICE, name) != passphrase:
        raise errors.KeyringRefused
    return str(store.name)


def _delete(store: KeyringBackend, name: str) -> None:
    if store.get_password(SERVICE, name) is not None:
        store.delete_password(SERVICE, name)
    if store.get_password(SERVICE, name) is not None:
        raise errors.KeyringRefused
