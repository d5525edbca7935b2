"""Restores a backup into a profile folder, a new one or that of the same person (SPEC §21.1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chat.errors import phrase
from chat.interface import ParlourError, RestoreView, SalvageView
from chat.service import restore, salvage
from chat.service.restore import Progress, Verified
from chat.storage import profile
from chat.storage.database import Database
from chat.storage.errors import ProfileUnsettled, StorageFailure, StorageFull
from chat.storage.profile import Vault
from protocol.primitives import Random
from protocol.profile_header import Cost

FULL = phrase(
    "The disk is full. Part of the backup may be in the profile already. Free some space and restore it"
    " again: what is missing is added."
)
BROKEN = phrase(
    "The disk cannot be read or written. Part of the backup may be in the profile already. Check the disk and"
    " restore it again: what is missing is added."
)


class PartRestored(ParlourError):
    """The disk failed after a part of a backup may have been added, which stays. A repeat adds the rest."""

    def __init__(self, cause: StorageFailure) -> None:
        # Their own texts say that nothing was stored.
        super().__init__(FULL if isinstance(cause, StorageFull) else BROKEN)


def silent(done: int, whole: int) -> None:
    """Says nothing of the progress."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to restore: a file and its passphrase, typed recovery words, whether its terminal is removed."""

    path: Path
    passphrase: str = field(repr=False)
    words: tuple[str, ...] = field(repr=False, default=())
    remove_old: bool = False


def restore_new(
    folder: Path, passphrase: str, asked: Asked, random: Random, cost: Cost, progress: Progress = silent
) -> RestoreView:
    """Make a profile of a backup; a crash at any moment leaves none or a complete one.

    Raises as `profile.create`, `restore.verify` and `restore.plan_new`.
    """
    verified = restore.verify(asked.path, asked.passphrase, progress)
    new = restore.plan_new(verified, asked.words, remove_old=asked.remove_old, random=random)

    def fill(database: Database) -> None:
        restore.fill_new(database, verified, new, progress)

    with profile.create(folder, passphrase, fill, random=random, cost=cost) as vault:
        try:
            return _report(vault, verified, new=True)
        except StorageFailure:  # the profile is there
            raise ProfileUnsettled from None


def restore_into(
    folder: Path, passphrase: str, asked: Asked, random: Random, cost: Cost, progress: Progress = silent
) -> RestoreView:
    """Add to the profile of the same person what it lacks; a repeat goes on with what is missing.

    `random` and `cost` are not needed. Raises PartRestored, and as `profile.unlock`, `restore.verify`,
    `restore.check_same`.
    """
    verified = restore.verify(asked.path, asked.passphrase, progress)
    with profile.unlock(folder, passphrase) as vault, _opened(vault) as database:
        own = restore.check_same(database, verified)
        try:
            restore.merge(database, verified, own, progress)
            return restore.report(database, verified, new=False)
        except StorageFailure as failure:
            raise PartRestored(failure) from None


def salvage_from(folder: Path, passphrase: str, asked: Asked, time: int, random: Random) -> SalvageView:
    """Write a backup of what can be read of a damaged profile, at a time in milliseconds.

    Raises as `profile.unlock` and `salvage.salvage`.
    """
    with profile.unlock(folder, passphrase) as vault:
        database = vault.damaged_database()
        try:
            return salvage.salvage(database, asked.path, asked.passphrase, time, vault.cost, random)
        finally:
            database.abandon()


def _report(vault: Vault, verified: Verified, *, new: bool) -> RestoreView:
    with _opened(vault) as database:
        return restore.report(database, verified, new=new)


@contextmanager
def _opened(vault: Vault) -> Iterator[Database]:
    database = vault.database()
    try:
        yield database
    finally:
        database.close()
