"""Backup files on the disk: written under another name until they are durable and checked (SPEC §21.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from chat.errors import NOTHING_SAID, Phrase, phrase
from chat.interface import BadData, NotPermitted, UsageError
from chat.storage import errors, folder
from chat.storage.new_file import NewFile, check_free
from protocol.backup import records, sealed
from protocol.backup.records import Record, RecordReader
from protocol.entries_and_receipts import ParsedEntry
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError
from protocol.limits import BACKUP_CHUNK_BYTES
from protocol.primitives import Random
from protocol.profile_header import Cost


class BackupProblem(BadData):
    """A backup cannot be read. Nothing was changed."""

    what: Phrase = NOTHING_SAID

    def __init__(self, path: Path) -> None:
        super().__init__(phrase("{path}: {problem}", path=str(path), problem=self.what))


class NoBackup(BackupProblem):
    """Another kind of file."""

    what = phrase("not a backup of Parlour, or its beginning is damaged. Nothing was changed.")


class BackupTooNew(BackupProblem):
    """A later version of Parlour wrote this."""

    what = phrase("written by a newer version of Parlour. Update Parlour on this device.")


class BackupDamaged(BackupProblem):
    """It was changed, cut, or put together from parts."""

    what = phrase("damaged or cut short. Nothing was changed. Take another copy of it.")


class BackupChanged(BackupProblem):
    """It is not the file any more that was accepted."""

    what = phrase("changed while it was read. Run the import again with a copy that nothing changes.")


class WrongBackupPassphrase(NotPermitted):
    """The passphrase is not that of the file."""

    def __init__(self) -> None:
        super().__init__(
            phrase("This is not the passphrase of the backup, or the file was changed: try again.")
        )


class BackupWriter:
    """Writes one backup. Nothing has its name before `finish`; `abandon` removes what there is.

    The constructor takes the time of Argon2id. Raises FileExists, UsageError (no passphrase) and
    StorageFailure.
    """

    def __init__(self, path: Path, passphrase: str, cost: Cost, random: Random) -> None:
        folder.require_passphrase(passphrase)
        check_free(path)
        try:
            header, self._sealer = sealed.begin(passphrase, cost, random)
        except LocalMisuse:
            raise errors.TooLittleMemory from None
        self._file = NewFile(path)
        self._file.write(header)
        self._pending, self._size = bytearray(), 0

    def add(self, some: Iterable[Record]) -> None:
        """Write records in their order. Raises StorageFailure."""
        for record in some:
            data = records.write_record(record)
            self._size += len(data)
            self._pending += data
        self._seal_whole_chunks()

    def _seal_whole_chunks(self) -> None:
        at = 0
        # The last chunk is sealed as such, so that one whole chunk is kept until more comes.
        while len(self._pending) - at > BACKUP_CHUNK_BYTES:
            chunk = bytes(self._pending[at : at + BACKUP_CHUNK_BYTES])
            self._file.write(self._sealer.seal(chunk, last=False))
            at += BACKUP_CHUNK_BYTES
        del self._pending[:at]

    def end(self) -> Path:
        """Pad, seal the last chunk and make the file durable; returns where it is until `finish`."""
        left = records.padding(self._size)
        while left:
            piece = min(left, BACKUP_CHUNK_BYTES)
            self._pending += bytes(piece)
            left -= piece
            self._seal_whole_chunks()
        self._file.write(self._sealer.seal(bytes(self._pending), last=True))
        self._file.end()
        return self._file.unfinished

    def finish(self) -> None:
        """Give the file its name, durably. Raises FileExists, StorageFailure."""
        self._file.finish()

    def abandon(self) -> None:
        """Remove the unfinished file, if there is one."""
        self._file.abandon()


class BackupReader:
    """Reads one backup, as often as needed. The constructor takes the time of Argon2id.

    Raises UsageError (no file, no passphrase), NoBackup, BackupTooNew, WrongBackupPassphrase.
    """

    def __init__(self, path: Path, passphrase: str) -> None:
        folder.require_passphrase(passphrase)
        self.path = path
        try:
            with path.open("rb") as file:
                beginning = file.read(sealed.HEADER_SIZE)
            self.size = path.stat().st_size
        except OSError as error:
            raise _unreadable(path, error) from None
        try:
            self._key = sealed.unlock(sealed.parse(beginning), passphrase)
        except sealed.NewerBackup:
            raise BackupTooNew(path) from None
        except AuthenticationFailed:
            raise WrongBackupPassphrase from None
        except ProtocolError:
            raise NoBackup(path) from None
        except LocalMisuse:
            raise errors.TooLittleMemory from None

    def read(self, reader: RecordReader) -> Iterator[list[tuple[Record, ParsedEntry | None]]]:
        """The records, chunk by chunk. Only when this ends by itself the whole file is accepted.

        Raises BackupDamaged.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(sealed.HEADER_SIZE)
                opener, chunk = sealed.Opener(self._key), file.read(sealed.SEALED_CHUNK_SIZE)
                while not opener.ended:
                    following = file.read(sealed.SEALED_CHUNK_SIZE)
                    yield reader.feed(opener.open(chunk, last=not following))
                    chunk = following
                reader.finish()
        except ProtocolError:
            raise BackupDamaged(self.path) from None
        except OSError as error:
            raise _unreadable(self.path, error) from None


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        phrase("{path} cannot be read ({reason}).", path=str(path), reason=error.strerror or "an error")
    )
