"""Creates and unlocks profiles: a folder with the header, the database, a lock and the engine's socket.

Nothing found is overwritten, and nothing missing is recreated. A new profile is built under temporary names
and appears with its last step, the rename of the header.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Self

from chat.errors import phrase
from chat.storage import checks, errors, marks, rekeying, salvage, schema_pages
from chat.storage import folder as stored_folder
from chat.storage.damaged import DamagedDatabase
from chat.storage.database import Database
from chat.storage.folder import DATABASE, HEADER, NEW_DATABASE, NEW_HEADER, ProfileLock, system_failures
from chat.storage.marks import Outside
from chat.storage.migrations import Fill, create_history, open_history
from chat.storage.system_keyring import SystemKeyring
from protocol.primitives import Random
from protocol.profile_header import MODERATE, Cost, DatabaseKey, Header


def create(folder: Path, passphrase: str, fill: Fill, *, random: Random, cost: Cost = MODERATE) -> Vault:
    """Create a profile in `folder`. `fill` writes the first rows of the database.

    A crash at any moment leaves no profile or a complete one. Takes the time of Argon2id. Raises UsageError
    (no passphrase), ProfileExists, ProfileInUse, ProfileUnwritable, ProfileUnsettled (the profile is
    complete), any other StorageFailure (there is none), and as `folder.state`.
    """
    key = DatabaseKey.generate(random)
    wrapped = stored_folder.wrap(key, passphrase, cost, 0, random)
    try:
        stored_folder.make_private_folder(folder)
        lock = ProfileLock(folder)
    except OSError as error:
        failure = stored_folder.from_system(error)
        if isinstance(failure, errors.StorageReadOnly) or isinstance(
            error, (FileExistsError, NotADirectoryError)
        ):
            raise errors.ProfileUnwritable(folder, phrase("cannot be created or written")) from None
        raise failure from None
    try:
        with system_failures():
            _build(folder, wrapped, key, fill)
    except errors.StorageUnsettled:
        lock.release()
        raise errors.ProfileUnsettled from None
    except BaseException:
        lock.release()
        raise
    return Vault(folder, wrapped, key, lock)


def unlock(folder: Path, passphrase: str, *, reading: bool = False) -> Vault:
    """Unlock the profile in `folder` and hold its lock. Takes the time of Argon2id.

    `reading`: a folder that cannot be written opens too, to be read; without it StorageReadOnly is raised.

    Raises WrongPassphrase, ProfileInUse, ProfileMissing, TooLittleMemory, and as `folder.state`.
    """
    if stored_folder.state(folder) is stored_folder.ProfileState.NEW:
        raise errors.ProfileMissing(folder)
    with system_failures():
        lock = ProfileLock(folder, reading=reading)
        try:
            if not lock.read_only:
                stored_folder.close_to_others(folder)
                stored_folder.drop_unfinished(folder / HEADER)
            if not lock.read_only or (folder / stored_folder.REKEYED).exists():
                rekeying.finish(folder)
            _finish_creation(folder)
            if not lock.read_only:
                # SQLite may have failed to remove it when the new database was closed.
                (folder / f"{NEW_DATABASE}-wal").unlink(missing_ok=True)
            stored_folder.swap(folder)
            found = stored_folder.read_header(folder / HEADER)
            key = stored_folder.unwrap(found, passphrase)
            damaged = not lock.read_only and schema_pages.put_back(folder / DATABASE, key.reveal())
            return Vault(folder, found, key, lock, damaged=damaged)
        except stored_folder.NotDurable:
            lock.release()
            raise errors.ProfileUnsettled from None
        except BaseException:
            lock.release()
            raise


def wipe(folder: Path, outside: Path | None = None) -> None:
    """Destroy the profile in `folder`, also a damaged one or the rest of one, without its passphrase.

    Its archives go with it, and with each its mark in the folder `outside`.

    Raises ProfileMissing, ProfileInUse, any other StorageFailure (something is left: try again).
    """
    if not stored_folder.holds_any(folder):
        raise errors.ProfileMissing(folder)
    with system_failures():
        folders, locks = [folder, *stored_folder.archives(folder)], list[ProfileLock]()
        try:
            # All are taken first: what is in use keeps all of it.
            for one in folders:
                locks.append(ProfileLock(one))
            for one in folders:
                _wipe_one(one, outside)
        except BaseException:
            for lock in locks:
                lock.release()
            raise
        own, *of_archives = locks
        for lock in of_archives:
            lock.remove()
        if of_archives:
            with suppress(OSError):  # something else is in it
                (folder / stored_folder.ARCHIVES).rmdir()
        own.remove()


def _wipe_one(folder: Path, outside: Path | None) -> None:
    mark = marks.place(outside, folder / DATABASE) if outside is not None else None
    stored_folder.destroy(folder)
    if mark is not None:
        mark.unlink(missing_ok=True)


class Vault:
    """An unlocked profile. It holds the key and the lock until `close`."""

    def __init__(
        self, folder: Path, found: Header, key: DatabaseKey, lock: ProfileLock, *, damaged: bool = False
    ) -> None:
        """`damaged`: pages of the schema were put back, and all others are to be saved into a new file."""
        self.folder, self._damaged = folder, damaged
        self.keyring = SystemKeyring(folder)
        self._header = found
        self._key: DatabaseKey | None = key
        self._lock = lock

    @property
    def port(self) -> int:
        """The listening port of this profile, 0 before one is chosen."""
        return self._header.port

    @property
    def cost(self) -> Cost:
        """The cost of Argon2id for this profile."""
        return self._header.cost

    def set_port(self, port: int) -> None:
        """Store another port. Raises PortUnsettled (it is in force), any other StorageFailure."""
        try:
            self._replace(self._header.with_port(port))
        except errors.StorageUnsettled:
            raise errors.PortUnsettled from None

    @property
    def read_only(self) -> bool:
        """Whether the folder cannot be written."""
        return self._lock.read_only

    def outside(self, folder: Path) -> Outside | None:
        """The mark of this profile in a folder outside of it. To be asked for before `database`."""
        path = marks.place(folder, self.folder / DATABASE)
        return Outside(path, self._open_key().reveal()) if path is not None else None

    def database(self, now: int = 0) -> Database:
        """Open the database, to be closed before this vault. Raises as `migrations.open_history`.

        What can be read of a damaged one is saved first. `now`: milliseconds, of the alert.
        """
        path, key = self.folder / DATABASE, self._open_key()
        try:
            database = self._sound(open_history(path, key, read_only=self._lock.read_only))
            if not self._damaged:
                return database
            damage = errors.DatabaseDamaged(path)
        except errors.DatabaseDamaged as found:
            if self._lock.read_only:
                raise
            database, damage = Database(path, key.reveal()), found
        try:
            self.mend(database, damage, now)
        except BaseException:
            database.abandon()
            raise
        return database

    def _sound(self, database: Database) -> Database:
        """The database, where its tables end together. Raises PageStale."""
        if not self._lock.read_only:
            try:
                checks.ends(database)
                database.keep_schema()
            except BaseException:
                database.abandon()
                raise
        return database

    def mend(self, database: Database, damage: errors.DatabaseDamaged, now: int) -> None:
        """Save what can be read of a damaged database of this profile. Raises as `salvage.mend`."""
        if self._lock.read_only:
            raise damage
        kind = salvage.MENDED if isinstance(damage, errors.PageStale) else salvage.DAMAGED
        key = self._open_key()

        def put_back() -> None:
            with suppress(OSError):
                schema_pages.put_back(database.path, key.reveal())

        database.replaced(key.reveal(), put_back)
        salvage.mend(database, key, now, kind)
        database.keep_schema()
        self._damaged = False

    def damaged_database(self) -> DamagedDatabase:
        """Open the database as it is, to read what can be read of it; to be abandoned, not closed.

        Raises DatabaseDamaged where not even its first page can be read.
        """
        read_only = self._lock.read_only
        return DamagedDatabase(self.folder / DATABASE, self._open_key().reveal(), read_only=read_only)

    def change_passphrase(self, old: str, new: str, *, random: Random, cost: Cost | None = None) -> None:
        """Wrap the key in a new header. `cost` None keeps the current cost. The database does not change.

        Raises PassphraseUnsettled: the new passphrase is in force. Raises WrongPassphrase, UsageError (no new
        passphrase) or any other StorageFailure: the old one is in force.
        """
        key = self._checked(old)
        try:
            self._replace(stored_folder.wrap(key, new, cost or self._header.cost, self.port, random))
        except errors.StorageUnsettled:
            raise errors.PassphraseUnsettled from None

    def change_key(
        self, database: Database, old: str, new: str, *, random: Random, cost: Cost | None = None
    ) -> None:
        """Change the passphrase as `change_passphrase`, and seal this open database under another key.

        No older copy of the header opens it then. Takes as long as copying it. Raises StorageFull where the
        disk has no room for a second one, DatabaseDamaged, and as `change_passphrase`.
        """
        self._checked(old)
        key = DatabaseKey.generate(random)
        header = stored_folder.wrap(key, new, cost or self._header.cost, self.port, random)
        rekeying.prepare(database, key.reveal(), header.to_bytes(), random)
        unsettled = False
        try:
            with system_failures():
                rekeying.commit(self.folder)
        except errors.StorageUnsettled:
            unsettled = True
        self._header, self._key = header, key
        try:
            with system_failures():
                database.replaced(key.reveal(), lambda: rekeying.finish(self.folder))
        except errors.StorageFailure:
            raise errors.PassphraseUnsettled from None  # the next start goes on
        database.keep_schema()
        if unsettled:
            raise errors.PassphraseUnsettled

    def _checked(self, passphrase: str) -> DatabaseKey:
        """The key, where this passphrase opens it. Raises WrongPassphrase, UsageError."""
        key = stored_folder.unwrap(self._header, passphrase)
        if key != self._open_key():
            raise errors.StorageMisuse("the header has another key than this vault")
        return key

    def close(self) -> None:
        """Drop the key and release the lock. A second call does nothing."""
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
            raise errors.StorageMisuse("this vault is locked")
        return self._key

    def _replace(self, changed: Header) -> None:
        try:
            with system_failures():
                stored_folder.replace_private(self.folder / HEADER, changed.to_bytes())
        except errors.StorageUnsettled:
            # If the old header stayed here, the next change of the port would restore the old passphrase.
            self._header = changed
            raise
        self._header = changed


def _build(folder: Path, wrapped: Header, key: DatabaseKey, fill: Fill) -> None:
    """The steps of creating a profile, each durable before the next."""
    if stored_folder.state(folder) is not stored_folder.ProfileState.NEW:
        raise errors.ProfileExists(folder)
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
    except OSError as error:  # the profile is complete, and `unlock` renames the header
        raise stored_folder.NotDurable(error.errno, error.strerror) from error


def _finish_creation(folder: Path) -> None:
    """The last step, also after a crash: rename the header."""
    if not (folder / HEADER).exists():
        stored_folder.move(folder / NEW_HEADER, folder / HEADER)


def _clear_unfinished(folder: Path) -> None:
    """Remove the files of an unfinished creation, for which there was never a header."""
    for name in (NEW_HEADER, NEW_DATABASE, f"{NEW_DATABASE}-wal", f"{NEW_DATABASE}-journal"):
        (folder / name).unlink(missing_ok=True)
