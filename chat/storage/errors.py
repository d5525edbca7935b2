"""Failures of storage, each with a text that says what to do. Texts name files, but no content or keys."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from chat.errors import NOTHING_SAID, Phrase, phrase
from chat.interface import (
    BadData,
    CannotCreate,
    KeyringFailure,
    NotPermitted,
    OutcomeUnknown,
    ParlourError,
)


class StorageMisuse(RuntimeError):
    """Our own code used storage wrongly, for example with a write outside a transaction."""


# --- Opening a profile ---


class WrongPassphrase(NotPermitted):
    """The header is intact, but this passphrase does not open it."""

    def __init__(self) -> None:
        super().__init__(phrase("Wrong passphrase: try again. No one can open this profile without it."))


class ProfileProblem(BadData):
    """A file of a profile is missing or damaged. `what` is a sentence about it. Nothing was changed."""

    what: ClassVar[Phrase] = NOTHING_SAID

    def __init__(self, path: Path) -> None:
        super().__init__(phrase("{path}: {problem}", path=str(path), problem=self.what))


class ProfileMissing(BadData):
    """There is no profile to open."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            phrase("{folder}: there is no profile here. Create one with 'parlour init'.", folder=str(folder))
        )


class HeaderMissing(ProfileProblem):
    """The header of a database, which contains its key, is missing."""

    what = phrase("missing, and without it the history next to it cannot be opened. Put it back from a copy.")


class HeaderDamaged(ProfileProblem):
    """The header was changed, or a field is out of bounds."""

    what = phrase("damaged. Nothing was changed. Restore it from a copy of the profile.")


class DatabaseMissing(ProfileProblem):
    """The database of a header is missing."""

    what = phrase("missing. Parlour created no new one. Restore it from a copy of the profile.")


class DatabaseEmpty(ProfileProblem):
    """The database file is empty, or has no tables of a profile."""

    what = phrase("empty. Parlour created no new one. Restore it from a copy of the profile.")


class DatabaseDamaged(ProfileProblem):
    """A page was changed."""

    what = phrase(
        "damaged. Nothing was changed. Run 'parlour doctor', and restore it from a copy of the profile."
    )


class PageStale(DatabaseDamaged):
    """Tables contradict each other, as after an older page was put back."""


class IdentityLost(ProfileProblem):
    """The page with this terminal's own keys is damaged, without which nothing else is of use."""

    what = phrase(
        "damaged where your own keys are, so it cannot be repaired. Nothing was changed. Restore it from a "
        "copy of the profile. Without one, create a new profile and pair again."
    )


class DatabaseForeign(ProfileProblem):
    """No page authenticates with the key of this header."""

    what = phrase("damaged, or of another profile than the header next to it. Put both back from one copy.")


class LogForeign(ProfileProblem):
    """The write-ahead log belongs to another database."""

    what = phrase("not of the database next to it. Move it elsewhere and open the profile again.")


class NotEncrypted(ProfileProblem):
    """The database is unencrypted, or would be."""

    what = phrase(
        "not encrypted, so Parlour does not use it. Restore the encrypted file from a copy of the profile."
    )


class ProfileTooNew(ProfileProblem):
    """A later version of Parlour wrote this."""

    what = phrase("written by a newer version of Parlour. Update Parlour on this device.")


# --- Creating a profile ---


class ProfileExists(CannotCreate):
    """The folder contains a profile already, complete or not."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            phrase(
                "{folder}: there is already a profile. Open it, or choose another folder.", folder=str(folder)
            )
        )


class ProfileInUse(CannotCreate):
    """Another engine holds the lock."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            phrase(
                "{folder}: another Parlour has this profile open. Use that one, or close it first.",
                folder=str(folder),
            )
        )


class LockUnsupported(CannotCreate):
    """The file system has no locks, so that two engines could open one profile."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            phrase(
                "{folder}: this file system does not support file locks (flock), without which two programs "
                "could open one profile at once. Move the profile to a local disk.",
                folder=str(folder),
            )
        )


class ProfileUnwritable(CannotCreate):
    """The folder cannot be made or written."""

    def __init__(self, folder: Path, reason: Phrase) -> None:
        super().__init__(
            phrase(
                "{folder}: {reason}. Choose a folder that you may write to.",
                folder=str(folder),
                reason=reason,
            )
        )


# --- While it is open ---


class StorageFailure(ParlourError):
    """A read or write failed. Nothing of it was stored, except with StorageUnsettled and StorageUnsure."""

    what: ClassVar[Phrase] = NOTHING_SAID

    def __init__(self) -> None:
        super().__init__(self.what)


class StorageFull(StorageFailure):
    """The disk is full. The transaction was rolled back."""

    what = phrase("The disk is full: nothing was stored. Free some space and try again.")


class StorageBroken(StorageFailure):
    """The system failed to read or write. The transaction was rolled back."""

    what = phrase("The disk cannot be read or written: nothing was stored. Check the disk and try again.")


class StorageUnsure(StorageFailure, OutcomeUnknown):
    """The disk reported an error of a commit, whose frames may be in the log: a restart may bring it back."""

    what = phrase(
        "The disk reported an error while this was being stored, so it may have been stored. Check the disk, "
        "then look whether it was."
    )


class SendUnsure(StorageUnsure):
    """The same for a text that was sent with an id."""

    what = phrase(
        "The disk reported an error, so this message may have been stored. Check the disk and send it again: "
        "it is not sent twice."
    )


class StorageUnsettled(StorageFailure):
    """The change is in force, but the disk reported an error: a power cut may undo it."""

    what = phrase(
        "The disk reported an error after this was stored: a power failure may undo it. Check the disk and "
        "try again."
    )


class PassphraseUnsettled(StorageUnsettled):
    """The new passphrase is in force. After a power cut it may be either."""

    what = phrase(
        "The passphrase was changed, but the disk reported an error: after a power failure the old one may "
        "apply again. Keep both, check the disk, then change the passphrase again."
    )


class PortUnsettled(StorageUnsettled):
    """The new port is in force; after a power cut the old one may be."""

    what = phrase(
        "The listening port was stored, but the disk reported an error: a power failure may undo it. Nothing"
        " else was done: check the disk and try again."
    )


class ProfileUnsettled(StorageUnsettled):
    """The profile is complete. After a power cut it may be gone."""

    what = phrase(
        "The profile was created, but the disk reported an error: after a power failure it may be gone. "
        "Check the disk, then open the profile with its passphrase."
    )


class StorageReadOnly(StorageFailure):
    """The file or the file system is read-only."""

    what = phrase("The profile cannot be written: nothing was stored. Check its permissions and the disk.")


class StorageBusy(StorageFailure):
    """Another program holds the database."""

    what = phrase("Another program uses the database of this profile: close it and try again.")


class StorageGivenUp(StorageFailure):
    """Maintenance was interrupted by other work. It has no effect."""

    what = phrase("The database was busy; retrying.")


class StorageGone(StorageFailure):
    """The database was moved, replaced or removed while open, so writes would be lost."""

    what = phrase("The database was moved or removed while it was open: put it back and start Parlour again.")


class TooLittleMemory(StorageFailure):
    """The machine lacks the memory that Argon2id needs."""

    what = phrase("There is not enough memory to open the profile: close other programs and try again.")


# --- The system's keyring ---


class KeyringProblem(KeyringFailure):
    """A failure of the keyring that is always the same sentence."""

    what: ClassVar[Phrase] = NOTHING_SAID

    def __init__(self) -> None:
        super().__init__(self.what)


class KeyringMissing(KeyringProblem):
    """The library is not installed."""

    what = phrase(
        "Parlour was installed without support for the system's keyring: install parlour[keyring], or type "
        "the passphrase."
    )


class KeyringAbsent(KeyringProblem):
    """The library finds nothing to keep a passphrase in, as on a machine without a desktop."""

    what = phrase("This system has no keyring that Parlour can use here: type the passphrase.")


class KeyringRefused(KeyringProblem):
    """The keyring is locked, refuses or fails. Its own text may contain anything, so that it is not shown."""

    what = phrase("The system's keyring is locked or refuses: unlock it, or type the passphrase.")


class KeyringSilent(KeyringProblem):
    """The keyring did not answer in time. What it was asked may still happen."""

    what = phrase("The system's keyring does not answer: does it wait for you? Else type the passphrase.")


class KeyringUnsure(KeyringProblem):
    """The keyring did not answer when the passphrase was to be saved."""

    what = phrase(
        "The system's keyring did not answer, so it may have the passphrase or not. Run 'parlour keyring "
        "--save' again, or 'parlour keyring --remove'."
    )


class KeyringEmpty(KeyringProblem):
    """The profile names an entry, and the keyring has none."""

    what = phrase(
        "The system's keyring has no passphrase of this profile: type it. 'parlour keyring --save' saves it "
        "there again."
    )


class KeyringOutdated(KeyringProblem):
    """The entry has another passphrase than the profile."""

    what = phrase(
        "The passphrase in the system's keyring does not open this profile: type the right one. 'parlour "
        "keyring --save' replaces it there."
    )


class KeyringNotUpdated(KeyringProblem):
    """The new passphrase is in force. The old one was removed from the keyring."""

    what = phrase(
        "The passphrase was changed, but the system's keyring did not take the new one: Parlour asks for it "
        "from now on. 'parlour keyring --save' saves it there."
    )


class KeyringNotUpdatedOrEmptied(KeyringFailure):
    """The new passphrase is in force, and one of the profile may be left in the keyring."""

    def __init__(self, entry: str) -> None:
        super().__init__(
            phrase(
                "The passphrase was changed, but the system's keyring did not take the new one, and may have "
                "one of them: remove the entry '{entry}' of 'parlour' there. Parlour asks for the passphrase "
                "from now on.",
                entry=entry,
            )
        )


class KeyringLeft(KeyringFailure):
    """The profile no longer uses its entry, which could not be removed."""

    def __init__(self, entry: str) -> None:
        super().__init__(
            phrase(
                "Parlour no longer uses the system's keyring for this profile, but the passphrase may still "
                "be there: remove the entry '{entry}' of 'parlour' with the keyring's own program.",
                entry=entry,
            )
        )
