"""Failures of storage, each with one line that says what to do.

Rules: a cause that a person can tell apart has a class of its own; texts name files, never content or keys;
nothing that raises one of these has overwritten anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from chat.errors import NOTHING_SAID, Phrase, phrase
from chat.interface import BadData, CannotCreate, NotPermitted, ParlourError


class StorageMisuse(RuntimeError):
    """Our own code used storage wrongly: a write outside a transaction, a row that cannot be."""


# --- Opening a profile ---


class WrongPassphrase(NotPermitted):
    """The header is whole, and this passphrase does not open it."""

    def __init__(self) -> None:
        super().__init__(
            phrase("Wrong passphrase: try again. Without it this profile cannot be opened by anybody.")
        )


class ProfileProblem(BadData):
    """Something of a profile is missing or damaged; `what` is a sentence about the file at `path`."""

    what: ClassVar[Phrase] = NOTHING_SAID

    def __init__(self, path: Path) -> None:
        super().__init__(phrase("{path}: {problem}", path=str(path), problem=self.what))


class ProfileMissing(BadData):
    """There is no profile to open."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            phrase("{folder}: there is no profile here. Make one with 'parlour init'.", folder=str(folder))
        )


class HeaderMissing(ProfileProblem):
    """A database stands without the header that holds its key."""

    what = phrase("missing, and without it the history beside it cannot be opened. Put it back from a copy.")


class HeaderDamaged(ProfileProblem):
    """The header is not what it was when written, or asks for more than its bounds allow."""

    what = phrase("damaged. Nothing was changed; put it back from a copy of the profile.")


class DatabaseMissing(ProfileProblem):
    """A header stands without its database."""

    what = phrase("missing. Nothing new was begun in its place; put it back from a copy of the profile.")


class DatabaseEmpty(ProfileProblem):
    """The database file has no bytes, or none of a profile's tables."""

    what = phrase("empty. Nothing new was begun in its place; put it back from a copy of the profile.")


class DatabaseDamaged(ProfileProblem):
    """A page is not what was written there."""

    what = phrase(
        "damaged. Nothing was changed; see 'parlour doctor', and put it back from a copy of the profile."
    )


class DatabaseForeign(ProfileProblem):
    """No page authenticates under the key of this header."""

    what = phrase("damaged, or of another profile than the header beside it. Put both back from one copy.")


class LogForeign(ProfileProblem):
    """The database is whole; the write-ahead log beside it belongs to another one."""

    what = phrase("not of the database beside it. Move it elsewhere and open the profile again.")


class NotEncrypted(ProfileProblem):
    """The database is in clear, or would be."""

    what = phrase("not encrypted, so it is not used. Put back the encrypted one from a copy of the profile.")


class ProfileTooNew(ProfileProblem):
    """A later version of Parlour wrote this."""

    what = phrase("written by a newer Parlour. Update Parlour on this terminal.")


# --- Creating a profile ---


class ProfileExists(CannotCreate):
    """There is a profile in this folder already, whole or not."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            phrase(
                "{folder}: there is a profile already. Open it, or name another folder.", folder=str(folder)
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


class ProfileUnwritable(CannotCreate):
    """The folder cannot be made or written."""

    def __init__(self, folder: Path, reason: Phrase) -> None:
        super().__init__(
            phrase(
                "{folder}: {reason}. Name a folder that you may write in.", folder=str(folder), reason=reason
            )
        )


# --- While it is open ---


class StorageFailure(ParlourError):
    """A read or write failed now; what was committed before is safe.

    This was not stored, except where the class is StorageUnsettled.
    """

    what: ClassVar[Phrase] = NOTHING_SAID

    def __init__(self) -> None:
        super().__init__(self.what)


class StorageFull(StorageFailure):
    """No room on the disk; the transaction was rolled back."""

    what = phrase("The disk is full: nothing of this was stored. Make room and try again.")


class StorageBroken(StorageFailure):
    """The system failed to read or write; the transaction was rolled back."""

    what = phrase(
        "The disk cannot be read or written: nothing of this was stored. Check the disk and try again."
    )


class StorageUnsettled(StorageFailure):
    """The change is in force, but the disk reported an error: a power cut may undo it."""

    what = phrase(
        "The disk reported an error after this was stored: a power cut may undo it. Check the disk and try"
        " again."
    )


class PassphraseUnsettled(StorageUnsettled):
    """The new passphrase is in force; after a power cut either may be."""

    what = phrase(
        "The passphrase was changed, but the disk reported an error: after a power cut it may be the old one"
        " again. Keep both, check the disk, then change the passphrase again."
    )


class PortUnsettled(StorageUnsettled):
    """The new port is in force; after a power cut the old one may be."""

    what = phrase(
        "The listening port was stored, but the disk reported an error: a power cut may undo it. Nothing else"
        " was done: check the disk and try again."
    )


class ProfileUnsettled(StorageUnsettled):
    """The profile is whole; after a power cut it may not be there."""

    what = phrase(
        "The profile was made, but the disk reported an error: after a power cut it may be gone. Check the"
        " disk, then open the profile with its passphrase."
    )


class StorageReadOnly(StorageFailure):
    """The file or its file system does not let us write."""

    what = phrase(
        "The profile cannot be written: nothing of this was stored. Check its permissions and the disk."
    )


class StorageBusy(StorageFailure):
    """Another program holds the database."""

    what = phrase("Another program holds the database of this profile: close it and try again.")


class StorageGivenUp(StorageFailure):
    """Work that may wait was given up for work that may not; nothing of it holds."""

    what = phrase("Something else was wanted of the database first: this is tried again.")


class StorageGone(StorageFailure):
    """The database was moved, replaced or removed while it was open, so that nothing written would stay."""

    what = phrase("The database was moved or removed while it was open: put it back and start Parlour again.")


class TooLittleMemory(StorageFailure):
    """The machine has not the memory that opening the header takes."""

    what = phrase("Too little memory to open the profile: close other programs and try again.")
