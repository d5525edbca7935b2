"""Restores a backup into a profile folder, a new one or that of the same person (SPEC §21.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import field

from chat.errors import NOTHING_SAID, phrase
from chat.interface import (
    CannotCreate,
    NotTypedBack,
    ParlourError,
    Phrase,
    RecoveryView,
    RestoreView,
    SalvageView,
)
from chat.ports import Clock, SystemClock
from chat.service import restore, salvage
from chat.service.expiry import AgeClock
from chat.service.recovery import NewWords
from chat.service.restore import Progress, Verified
from chat.service.signing import Words
from chat.storage import expiry, profile
from chat.storage import folder as stored_folder
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged, ProfileUnsettled, StorageFailure, StorageFull
from chat.storage.expiry import Moment
from chat.storage.profile import Vault
from protocol.primitives import Random
from protocol.profile_header import Cost
from protocol.redacting import Redacted, Redacting

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


class ArchiveExists(CannotCreate):
    """There is an archive of the same history already."""

    def __init__(self, place: Path) -> None:
        super().__init__(
            phrase("This backup is in an archive already: open it with --profile {path}.", path=str(place))
        )


def silent(done: int, whole: int) -> None:
    """Says nothing of the progress."""


class Asked(Redacting, frozen=True):
    """What to restore: a file and its passphrase, typed recovery words, whether its terminal is removed.

    `write_down` shows the words of a new recovery seed, and why the last answers were wrong, and returns
    those that were asked for; None: the words stay. Or what to save: `recovery` says whether with the
    recovery seed.
    """

    path: Path
    passphrase: Redacted[str]
    words: Redacted[tuple[str, ...]] = ()
    remove_old: bool = False
    recovery: bool = False
    write_down: Callable[[RecoveryView, Phrase], tuple[str, ...]] | None = None
    clock: Clock = field(default_factory=SystemClock)


def restore_new(
    folder: Path, passphrase: str, asked: Asked, random: Random, cost: Cost, progress: Progress = silent
) -> RestoreView:
    """Make a profile of a backup, or an archive where no recovery words are there or typed.

    A crash at any moment leaves none or a complete one. Until then the recovery words before are in force.
    Raises as `archive`, `profile.create`, `restore.verify`, `restore.seed_for` and `asked.write_down`.
    """
    verified = restore.verify(asked.path, asked.passphrase, progress)
    if not (verified.start.recovery or asked.words or asked.remove_old):
        return archive(folder, passphrase, verified, asked, random, cost, progress)
    seed = restore.seed_for(verified, asked.words)
    words = Words(seed, _following(seed, asked, random))
    new = restore.plan_new(verified, words, remove_old=asked.remove_old, random=random)

    def fill(database: Database) -> None:
        restore.fill_new(database, verified, new, _moment(database, asked), progress)

    with profile.create(folder, passphrase, fill, random=random, cost=cost) as vault:
        try:
            with _opened(vault, asked) as database:
                return restore.report(database, verified, new=True)
        except StorageFailure:  # the profile is there
            raise ProfileUnsettled from None


def _following(seed: bytes, asked: Asked, random: Random) -> bytes:
    """The seed that the next recovery needs: a new one, once its words were typed back."""
    if asked.write_down is None:
        return seed
    new, problem = NewWords(random), NOTHING_SAID
    while True:
        answers = asked.write_down(new.view(), problem)
        try:
            return new.typed_back(answers)
        except NotTypedBack as refused:
            problem = refused.phrase


def restore_into(
    folder: Path, passphrase: str, asked: Asked, random: Random, cost: Cost, progress: Progress = silent
) -> RestoreView:
    """Add to the profile of the same person what it lacks; a repeat goes on with what is missing.

    What can be read of a damaged profile is saved first, as when it is opened to be used. A backup of another
    person becomes an archive of the profile, whose database stays as it is.

    Raises PartRestored, and as `archive`, `profile.unlock`, `restore.verify`, `restore.same_person`.
    """
    verified = restore.verify(asked.path, asked.passphrase, progress)
    with profile.unlock(folder, passphrase) as vault, _opened(vault, asked) as database:
        try:
            merged = _merged(database, verified, asked, progress)
        except DatabaseDamaged as damage:
            vault.mend(database, damage, asked.clock.wall())
            merged = _merged(database, verified, asked, progress)
    return merged or archive(folder, passphrase, verified, asked, random, cost, progress)


def archive(
    folder: Path,
    passphrase: str,
    verified: Verified,
    asked: Asked,
    random: Random,
    cost: Cost,
    progress: Progress,
) -> RestoreView:
    """Make an archive of a backup in the folder of a profile: a profile that can only be read.

    It has a key and a passphrase of its own, so that nothing of the profile depends on it. Raises
    ArchiveExists, and as `profile.create`.
    """
    place = stored_folder.archive_place(
        folder, verified.start.time, verified.start.person.hex(), verified.view.root
    )
    if stored_folder.state(place) is not stored_folder.ProfileState.NEW:
        raise ArchiveExists(place)

    def fill(database: Database) -> None:
        restore.fill_archive(database, verified, _moment(database, asked), progress)

    with profile.create(place, passphrase, fill, random=random, cost=cost) as vault:
        try:
            with _opened(vault, asked) as database:
                return restore.report(database, verified, new=False, archive=str(place))
        except StorageFailure:  # it is there
            raise ProfileUnsettled from None


def _merged(database: Database, verified: Verified, asked: Asked, progress: Progress) -> RestoreView | None:
    """What the profile has now; None, with nothing changed, where it is that of another person."""
    own = restore.same_person(database, verified)
    if own is None:
        return None
    try:
        restore.merge(database, verified, own, _moment(database, asked), progress)
        return restore.report(database, verified, new=False)
    except StorageFailure as failure:
        raise PartRestored(failure) from None


def salvage_from(folder: Path, passphrase: str, asked: Asked, time: int, random: Random) -> SalvageView:
    """Write a backup of what can be read of a damaged profile, at a time in milliseconds.

    Raises as `profile.unlock` and `salvage.salvage`.
    """
    # A failing disk is often mounted read-only, by the system or by its owner.
    with profile.unlock(folder, passphrase, reading=True) as vault:
        database = vault.damaged_database()
        try:
            to = asked.path, asked.passphrase
            return salvage.salvage(database, *to, time, vault.cost, random, recovery=asked.recovery)
        finally:
            database.abandon()


def _moment(database: Database, asked: Asked) -> Moment:
    return AgeClock(asked.clock, expiry.read_clock(database)).now()


@contextmanager
def _opened(vault: Vault, asked: Asked) -> Iterator[Database]:
    database = vault.database(asked.clock.wall())
    try:
        yield database
    finally:
        database.close()
