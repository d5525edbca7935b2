"""The profile folder: a header that holds the wrapped key, the database, a lock and the engine's socket.

Rules: nothing that is found is overwritten, and nothing begins afresh where something is missing; a new
profile is built under other names and appears by its last step, the header's; a key lives only in a Vault.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from chat.errors import phrase
from chat.storage import folder as stored_folder
from chat.storage.database import Database
from chat.storage.errors import (
    PassphraseUnsettled,
    PortUnsettled,
    ProfileExists,
    ProfileMissing,
    ProfileUnsettled,
    ProfileUnwritable,
    StorageMisuse,
    StorageReadOnly,
    StorageUnsettled,
)
from chat.storage.folder import (
    DATABASE,
    HEADER,
    NEW_DATABASE,
    NEW_HEADER,
    SOCKET,
    ProfileLock,
    ProfileState,
    from_system,
    port,
    read_header,
    state,
    system_failures,
)
from chat.storage.migrations import Fill, create_history, open_history
from protocol.primitives import Random
from protocol.profile_header import CHEAPEST, MODERATE, Cost, DatabaseKey, Header

__all__ = [
    "CHEAPEST",
    "DATABASE",
    "HEADER",
    "MODERATE",
    "SOCKET",
    "Cost",
    "ProfileState",
    "Vault",
    "create",
    "port",
    "state",
    "unlock",
]


def create(folder: Path, passphrase: str, fill: Fill, *, random: Random, cost: Cost = MODERATE) -> Vault:
    """Make a profile in `folder`, whose database `fill` gives its first rows.

    A crash at any moment leaves no profile or a whole one. Takes Argon2id's time. Raises UsageError (no
    passphrase), ProfileExists, ProfileInUse, ProfileUnwritable, ProfileUnsettled (the profile is whole), any
    other StorageFailure (there is none), and what `state` does.
    """
    key = DatabaseKey.generate(random)
    wrapped = stored_folder.wrap(key, passphrase, cost, 0, random)
    lock = _lock_new(folder)
    try:
        with system_failures():
            _build(folder, wrapped, key, fill)
    except StorageUnsettled:
        lock.release()
        raise ProfileUnsettled from None
    except BaseException:
        lock.release()
        raise
    return Vault(folder, wrapped, key, lock)


def unlock(folder: Path, passphrase: str) -> Vault:
    """Open the profile in `folder` and lock others out of it. Takes Argon2id's time.

    Raises WrongPassphrase, ProfileInUse, ProfileMissing, TooLittleMemory, and what `state` does.
    """
    if state(folder) is ProfileState.NEW:
        raise ProfileMissing(folder)
    with system_failures():
        lock = ProfileLock(folder)
        try:
            stored_folder.close_to_others(folder)
            _finish_creation(folder)
            found = read_header(folder / HEADER)
            return Vault(folder, found, stored_folder.unwrap(found, passphrase), lock)
        except stored_folder.NotDurable:
            lock.release()
            raise ProfileUnsettled from None
        except BaseException:
            lock.release()
            raise


class Vault:
    """An unlocked profile: it keeps the key and the lock until `close`."""

    def __init__(self, folder: Path, found: Header, key: DatabaseKey, lock: ProfileLock) -> None:
        self.folder = folder
        self._header = found
        self._key: DatabaseKey | None = key
        self._lock = lock

    @property
    def port(self) -> int:
        """The listening port chosen for this profile, 0 before the first."""
        return self._header.port

    def set_port(self, port: int) -> None:
        """Keep another listening port. Raises PortUnsettled (it is in force), any other StorageFailure."""
        try:
            self._replace(self._header.with_port(port))
        except StorageUnsettled:
            raise PortUnsettled from None

    def database(self) -> Database:
        """Open the database; the caller closes it before this vault. Raises as `opening.open_history`."""
        return open_history(self.folder / DATABASE, self._open_key())

    def change_passphrase(self, old: str, new: str, *, random: Random, cost: Cost | None = None) -> None:
        """Wrap the key in a new header; `cost` None keeps the cost in force. The database is not touched.

        Raises PassphraseUnsettled (the new passphrase is in force), WrongPassphrase, UsageError (no new
        passphrase), any other StorageFailure; after those the old one is in force.
        """
        key = stored_folder.unwrap(self._header, old)
        if key != self._open_key():
            raise StorageMisuse("the header holds another key than this vault")
        try:
            self._replace(stored_folder.wrap(key, new, cost or self._header.cost, self.port, random))
        except StorageUnsettled:
            raise PassphraseUnsettled from None

    def close(self) -> None:
        """Forget the key and let another engine in; a second call does nothing."""
        self._key = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Vault({self.folder}, {'locked' if self._key is None else 'unlocked'})"

    def _open_key(self) -> DatabaseKey:
        if self._key is None:
            raise StorageMisuse("this vault is locked")
        return self._key

    def _replace(self, changed: Header) -> None:
        try:
            with system_failures():
                stored_folder.replace_private(self.folder / HEADER, changed.to_bytes())
        except StorageUnsettled:
            # With the old header here, the next change of the port would bring the old passphrase back.
            self._header = changed
            raise
        self._header = changed


def _build(folder: Path, wrapped: Header, key: DatabaseKey, fill: Fill) -> None:
    """The steps of a creation, each durable before the next."""
    if state(folder) is not ProfileState.NEW:
        raise ProfileExists(folder)
    _clear_unfinished(folder)
    try:
        create_history(folder / NEW_DATABASE, key, fill)
        stored_folder.write_private(folder / NEW_HEADER, wrapped.to_bytes())
        stored_folder.sync_folder(folder)
    except BaseException:
        _clear_unfinished(folder)
        raise
    stored_folder.move(folder / NEW_DATABASE, folder / DATABASE)
    try:
        _finish_creation(folder)
    except OSError as error:  # the profile stands already: `unlock` gives the header its name
        raise stored_folder.NotDurable(error.errno, error.strerror) from error


def _finish_creation(folder: Path) -> None:
    """The last step, which may follow a crash: with both parts complete, the header gets its name."""
    if not (folder / HEADER).exists():
        stored_folder.move(folder / NEW_HEADER, folder / HEADER)


def _clear_unfinished(folder: Path) -> None:
    """Remove what a creation left that did not come to its end: no header was ever given for it."""
    for name in (NEW_HEADER, NEW_DATABASE, f"{NEW_DATABASE}-wal", f"{NEW_DATABASE}-journal"):
        (folder / name).unlink(missing_ok=True)


def _lock_new(folder: Path) -> ProfileLock:
    try:
        stored_folder.make_private_folder(folder)
        return ProfileLock(folder)
    except OSError as error:
        failure = from_system(error)
        if isinstance(failure, StorageReadOnly) or isinstance(error, (FileExistsError, NotADirectoryError)):
            raise ProfileUnwritable(folder, phrase("cannot be made or written")) from None
        raise failure from None
