"""What both interfaces say about backups, lost devices and the end of a profile."""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from typing import Final

from chat.interface import BackupView, RestoreView, SelfView
from tui.text.safe import safe_line
from tui.text.translation import N_, _, _n

NOT_ENCRYPTED: Final = N_("This file is not encrypted: anybody who has it can read it.")
WITH_WORDS: Final = N_(
    "Who has this file and its passphrase can remove your devices and take over your identity."
)
WORDS_NOWHERE: Final = N_(
    "Careful: your recovery words are neither in this backup nor written down. Without them it can only be"
    " read on a new device, as an archive, and you begin there as a new person."
)
WORDS_ON_PAPER: Final = N_(
    "To go on as yourself on a new device you need the recovery words that you wrote down, too. Without them"
    " the backup can only be read there, as an archive."
)
RESTORES: Final = N_(
    "With your recovery words this becomes a device of yours. Without them the backup becomes an archive,"
    " which can only be read."
)
RESTORES_INTO: Final = N_(
    "This profile gets what it lacks. The backup of another identity becomes an archive, which can only be"
    " read."
)
ARCHIVE_MADE: Final = N_(
    "The backup is an archive now, which can only be read. Open it with: parlour --profile {path}"
)
DESTROYS: Final = N_(
    "This destroys the profile on this device: your keys and every message in it. Nobody can undo it."
)
LOST: Final = (
    N_("I lost my only device. What now?"),
    N_(
        "With a backup and your recovery words you go on as the same person: restore it here, remove the old"
        " device, and pair again with each contact."
    ),
    N_(
        "With a backup and no words you get an archive: you can read, search and export what you had, and"
        " begin as a new person."
    ),
    N_(
        "Without a backup you begin as a new person. Recovery words alone bring nothing back. Your contacts"
        " have what you wrote to each other. Tell them that the device is lost."
    ),
    N_("A contact has a new phone: why are there two of them?"),
    N_(
        "The contact began as a new person there, and somebody else could say so, too. Ask the contact by"
        " voice, compare the words with the new one, and remove the old one."
    ),
)
"""Questions end with a question mark; the answers follow."""


def archive_line(time: datetime, zone: tzinfo | None) -> str:
    """What an archive is, of a backup that was written at a time."""
    said = _("Archive of the backup of {day}: it can be read, searched and exported, and nothing else.")
    return said.format(day=f"{time.astimezone(zone):%Y-%m-%d}")


_ENDINGS: Final = {"markdown": "md"}


def backup_name(form: str, day: date) -> str:
    """The name that a file gets unless another one is typed."""
    return f"parlour-{day:%Y-%m-%d}.{_ENDINGS.get(form, form)}"


def lacks_words(me: SelfView) -> str:
    """What a backup without recovery words says; nothing where it is of an archive."""
    if me.archived is not None:
        return ""
    return _(WORDS_NOWHERE) if me.keeps_seed else _(WORDS_ON_PAPER)


def destroy_word() -> str:
    """What is typed to destroy a profile: a word that no habit types."""
    return _("destroy")


def percent(done: int, whole: int) -> str:
    return f"{min(100, 100 * done // max(whole, 1))} %"


def quarter(done: int, whole: int) -> int:
    return min(4, 4 * done // max(whole, 1))


def restored_text(view: RestoreView) -> str:
    """What was restored, in one safe line."""
    if view.archive:
        return _(ARCHIVE_MADE).format(path=safe_line(view.archive))
    if view.new:
        return _("Restored as a new device of {name}. Open it, and pair again with each contact.").format(
            name=safe_line(view.name)
        )
    said = _("What was missing was added. This profile has {messages} now.")
    return said.format(messages=_messages(view.entries))


def _messages(number: int) -> str:
    return _n("{number} message", "{number} messages", number).format(number=number)


def written_text(view: BackupView) -> str:
    """What was written and read again, in one safe line."""
    said = _("{path} was written and checked: {messages}. Root hash {root}.")
    return said.format(path=safe_line(view.path), messages=_messages(view.entries), root=view.root[:16] + "…")
