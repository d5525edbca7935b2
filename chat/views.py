"""The frozen values that clients receive. `chat.interface` offers them too."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from msgspec import Struct

from chat.errors import NOTHING_SAID, Phrase, UsageError, phrase

T = TypeVar("T")

Redacted = Annotated[T, "redacted"]
"""The type of a field that no repr shows. It holds in subclasses of Redacting alone."""


class Redacting(Struct, frozen=True):
    """A struct with such fields. The protocol has its own for the engine; the door stands alone."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        hidden = {
            name
            for each in type(self).__mro__
            for name, kind in vars(each).get("__annotations__", {}).items()
            if kind.startswith("Redacted[")
        }
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in hidden]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"


class UnlockCost(StrEnum):
    """The cost of Argon2id for each try of a passphrase, by libsodium's names; KEPT: as it was before."""

    KEPT = "kept"
    MODERATE = "moderate"
    SENSITIVE = "sensitive"


class EntryState(StrEnum):
    """What is known of an entry; each value is said only when it is true.

    WITHDRAWN: it is deleted, or has ended, before any terminal of the contact acknowledged it. This terminal
    sends its content no more. Another one that has not heard of it may: it is DELIVERED then.
    Entries of the notes are KEPT (on this terminal), or DELIVERED: another live terminal of this person has
    them, too.
    """

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    RECEIVED = "received"
    WITHDRAWN = "withdrawn"
    KEPT = "kept"


class EntryKind(StrEnum):
    """What an entry is shown as. Only TEXT and FILE are ever unread; only TEXT has a text and a reply.

    FILE names a file. DELETED: its content was deleted. EXPIRED: its timer ended. MISSING: its content has
    not come, and may still come. ELSEWHERE: this terminal does not keep it. CUT: a terminal of the author's
    person was removed. TIMER: it sets the timer of later messages. BOT: the author declares whether it is a
    bot. UNKNOWN: a newer Parlour wrote it. EDIT and DELETE change other entries: no history has them, and
    they can be asked for by their ids.
    """

    TEXT = "text"
    FILE = "file"
    DELETED = "deleted"
    EXPIRED = "expired"
    MISSING = "missing"
    ELSEWHERE = "elsewhere"
    CUT = "cut"
    TIMER = "timer"
    BOT = "bot"
    UNKNOWN = "unknown"
    EDIT = "edit"
    DELETE = "delete"


GONE: Final = frozenset((EntryKind.DELETED, EntryKind.EXPIRED))
"""Kinds of entries whose content is gone for good."""

SAYS_SOMETHING: Final = frozenset((EntryKind.TEXT, EntryKind.FILE))
"""Kinds of entries that somebody wrote to be read."""


class DeletedBy(StrEnum):
    """Who deleted an entry. AUTHOR: for everyone. MINE: this person on all terminals. HERE: on this one."""

    NOBODY = ""
    AUTHOR = "author"
    MINE = "mine"
    HERE = "here"


class DeletionScope(StrEnum):
    """Where an entry is to be deleted: on this terminal, on all of this person, or on those of both."""

    HERE = "here"
    MINE = "mine"
    EVERYONE = "everyone"


class PairingStage(StrEnum):
    """Where a pairing stands. WORDS and JOINER wait for this person's answer."""

    CONNECTING = "connecting"
    WORDS = "words"
    JOINER = "joiner"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class SelfView(Struct, frozen=True):
    """This person and this terminal. Ids are 64 hex digits; `addresses` are HOST:PORT.

    `keeps_seed`: the recovery words were not written down yet, so that a thief of the profile has them.
    `notes_pinned`: the notes are listed before conversations that are not pinned.
    `without_words`: this is not the first terminal of its person, and no recovery words are known to be
    written down: nothing here ends what a thief of the first one does.
    `archived`: this profile is an archive, of a backup that was written then; None: it is none.
    """

    person: str
    terminal: str
    name: str
    port: int
    addresses: tuple[str, ...]
    visible: bool
    keeps_seed: bool = False
    notes_pinned: bool = False
    without_words: bool = False
    archived: datetime | None = None


class BotCommand(Struct, frozen=True):
    """A command that a bot offers: `/name` is sent to it as a text.

    `name`: 1 to 32 of a-z, 0-9, _ and -, a letter first. `description`: one line of at most 100 characters,
    without control characters and marks of direction, and without a space at either end; peer text.
    """

    name: str
    description: str


class BotView(Struct, frozen=True):
    """What this person declares: whether a program writes in its name, and its commands, by name."""

    bot: bool
    commands: tuple[BotCommand, ...] = ()


class ContactView(Struct, frozen=True):
    """A contact. `person` (64 hex digits) identifies it; `label` is unique among the contacts.

    `label` is what clients call it: the name, with a suffix `~xxxx` where the name could be taken for that
    of somebody else (chat.looks). `called` is what the contact calls itself. `held`: entries wait until
    this person has compared, since the identity changed, or since only removed devices of this person have
    paired with it (`unvouched`). `relayed`: the link with it goes through a relay.
    `same_key`: the contacts who have proven to hold the static key of one of its terminals, too; somebody
    stole or copied it.
    `timer`: new messages of the conversation end so many seconds after they are read; 0: they do not.
    `name` is what this person calls the contact, peer text otherwise: show it only through a filter.
    `seen`: when a link with it last lived, None where none did since this terminal keeps that.
    `bot`: it declares to be a program, and `commands` are those that it understands.
    `notes`: it is this person's conversation with itself (`notes_view`), which `contacts` does not return.
    `pinned`: it is listed before others. `muted`: what comes in it makes no sound and is in no total.
    `past`: it is of an archive, so it says who somebody was: nobody is reached, and nothing is verified.
    """

    person: str
    name: str
    label: str
    verified: bool
    present: bool
    blocked: bool
    typing: bool
    unread: int
    held: bool = False
    unvouched: bool = False
    relayed: bool = False
    timer: int = 0
    same_key: tuple[str, ...] = ()
    notes: bool = False
    pinned: bool = False
    muted: bool = False
    bot: bool = False
    commands: tuple[BotCommand, ...] = ()
    past: bool = False
    called: str = ""
    seen: datetime | None = None


NOTES_NAME: Final = "notes"
"""Names this person's notes wherever a name is typed, whatever a contact is called."""


def notes_view(me: SelfView) -> ContactView:
    """The conversation of this person with itself, as clients show it among those with contacts."""
    name = NOTES_NAME.capitalize()
    absent: dict[str, Any] = {"verified": False, "present": False, "blocked": False, "typing": False}
    return ContactView(me.person, name, name, unread=0, notes=True, pinned=me.notes_pinned, **absent)


def means_notes(typed: str) -> bool:
    """Whether a typed name is that of the notes, in any case and in other forms of its letters."""
    plain = unicodedata.normalize("NFKC", typed).casefold()
    return "".join(one for one in plain if unicodedata.category(one)[0] != "C").strip() == NOTES_NAME


class IdentityChangeView(Struct, frozen=True):
    """A change of a contact's devices or recovery, by a signed operation. Ids have 64 hex digits.

    `terminal` is the device concerned (empty: none), `author` the one that signed (empty: the recovery key).
    """

    cause: Phrase
    operation: str
    terminal: str
    author: str


class VerificationView(Struct, frozen=True):
    """What to compare with a contact, and what was compared.

    `numbers` are safety numbers of twelve groups of five digits. There are several where recoveries
    contradict each other: the contact sees one of them. `compared` is the time of the last comparison, None
    if it is not known, `by_words` whether pairing words were compared and not the number, and `changes` what
    came since.
    """

    numbers: tuple[str, ...]
    compared: datetime | None
    by_words: bool
    changes: tuple[IdentityChangeView, ...]


class OwnChange(StrEnum):
    """What an operation in this person's own log did."""

    ADDED = "added"
    RECOVERED = "recovered"


class QuestionView(Struct, frozen=True):
    """An operation in this person's own log that this terminal did not make: was that you?

    Ids have 64 hex digits. `terminal` is the device that it brought in (empty: none), `author` the one that
    signed (empty: the recovery key).
    """

    operation: str
    change: OwnChange
    terminal: str
    author: str


class NearbyView(Struct, frozen=True):
    """A stranger who is visible now. `instance` names the announcement, `name` is peer text.

    `known`: the labels of the contacts whose names look the same. `mine`: this person's own does.
    """

    instance: str
    name: str
    known: tuple[str, ...] = ()
    mine: bool = False


class EntryView(Redacting, frozen=True):
    """One entry as shown. `contact` is the conversation's contact (person id), `time` is UTC.

    `author` is the label of a contact (peer text) or this person's name, `own` tells whose it is. `reply` is
    the id of the entry that it answers, or empty; a peer may name one that is not held. Views come in the
    order of the conversation, which is not the order of `time`. `kept_on` names a terminal of this person
    that keeps what is ELSEWHERE, and is empty if none is known. `seconds`: after a TIMER later messages end
    so long after they are read, 0: they do not. A BOT declares whether it is a `bot`, with these `commands`.
    `edited`: the text is that of the author's last edit. `change` is the id of the edit or delete that is
    shown, or empty. `conflicting`: another entry has its place in its author's chain, which no honest
    terminal writes. `quarantined`: its terminal was removed, and nothing shows that it is from before.
    `expires`: when it ends, as far as it is known; None for an entry without a timer. `noted`: it is of the
    notes, whose `contact` is this person. `claimed`: nothing shows that this person wrote it, but
    a `contact` or another `device` of this person says so: it is not `own`, and `author` names who says so.
    `earlier`: it is from `before` the last removal or recovery, as far as that is known, and `take_earlier`
    makes it an own one. Else empty.
    """

    id: str
    contact: str
    author: str
    own: bool
    time: datetime
    kind: EntryKind
    text: Redacted[str]
    state: EntryState
    reply: str = ""
    conflicting: bool = False
    quarantined: bool = False
    expires: datetime | None = None
    seconds: int = 0
    edited: bool = False
    deleted_by: DeletedBy = DeletedBy.NOBODY
    change: str = ""
    kept_on: str = ""
    noted: bool = False
    claimed: str = ""
    before: datetime | None = None
    file: FileView | None = None
    bot: bool = False
    commands: tuple[BotCommand, ...] = ()

    @property
    def scopes(self) -> tuple[DeletionScope, ...]:
        """Where this person can delete it, or delete it further, the narrowest scope first.

        What a cut, a timer or a bot says holds for others: it is deleted here alone.
        """
        if self.kind in (EntryKind.CUT, EntryKind.TIMER, EntryKind.BOT):
            return (DeletionScope.HERE,)
        if self.kind is EntryKind.EXPIRED or self.deleted_by is DeletedBy.AUTHOR:
            return ()
        for_all = self.own and not self.noted
        wider = (DeletionScope.MINE, DeletionScope.EVERYONE) if for_all else (DeletionScope.MINE,)
        begin = (DeletedBy.NOBODY, DeletedBy.HERE, DeletedBy.MINE).index(self.deleted_by)
        return (DeletionScope.HERE, *wider)[begin:]


class ClientRights(StrEnum):
    """What a client may do that presents a token. ALL: read and write, of conversations and nothing else."""

    ALL = "all"
    READ = "read"
    SEND = "send"


class ClientView(Struct, frozen=True):
    """A program that follows conversations by name (docs/api.md).

    `acknowledged` is the position up to which it has acted on what came, `last` the newest one. `token`: it
    has to present one, and may do what its `rights` say. `contact` (person id) is its only conversation,
    empty for all. `since`: when it was made, UTC.
    """

    name: str
    acknowledged: int
    last: int
    since: datetime
    token: bool = False
    rights: ClientRights = ClientRights.ALL
    contact: str = ""


class TokenView(Redacting, frozen=True):
    """A client that was made with a `token`, which is not stored and cannot be read again."""

    client: ClientView
    token: Redacted[str]


class ArrivalView(Struct, frozen=True):
    """An entry as it is now, at the `position` at which it came here or last changed.

    `came`: the position at which its content came, lower than `position` once it was edited or deleted, 0
    where that was before there was a client.
    """

    position: int
    came: int
    entry: EntryView


class ArrivalsView(Struct, frozen=True):
    """The next arrivals, and the position up to which these are all that a client may see."""

    arrivals: tuple[ArrivalView, ...]
    position: int


class FileState(StrEnum):
    """Where the content of a file stands on this terminal. ASKS: this person has to say whether to take it.

    TAKING: it is taken as soon as a terminal that has it is there. DIRECT: that is reached by a relay alone,
    through which this person lets no file of that size go. WITHHELD: all of it is here, and this terminal
    gives it to no other one for now. LET_GO: its pieces were deleted here, alone.
    """

    ASKS = "asks"
    TAKING = "taking"
    DIRECT = "direct"
    PAUSED = "paused"
    WHOLE = "whole"
    WITHHELD = "withheld"
    LET_GO = "let go"


class FileView(Redacting, frozen=True):
    """A file that an entry names. `name` is safe to show and to save; the peer chose it and `media`.

    `size`, and `held` of it here, in bytes; `rate` in bytes a second, 0 where it is not known. `kept_on`: the
    terminal or contact that last said it holds all of it, empty where none is known. `folder`: the safe names
    of the folders that it is in, with / between them; empty for a file of its own. `seconds`: the length of a
    voice message, which its author says and nothing proves, at most an hour; 0 for any other file.
    """

    name: Redacted[str]
    media: str
    size: int
    state: FileState
    held: int = 0
    rate: int = 0
    kept_on: Redacted[str] = ""
    folder: Redacted[str] = ""
    seconds: int = 0

    @property
    def path(self) -> str:
        """The name after those of its folders."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


class FilesView(Struct, frozen=True):
    """The files of a conversation: how many messages name one, bytes of them here, and bytes that are not."""

    contact: str
    number: int
    held: int
    lacking: int


class PictureView(Redacting, frozen=True):
    """A picture in few pixels: from the top left on, three bytes for each, red, green and blue."""

    width: int
    height: int
    pixels: Redacted[bytes]


class VersionView(Redacting, frozen=True):
    """What an entry said from `time` (UTC) on. `id` is that of the edit, or of the entry itself."""

    id: str
    time: datetime
    text: Redacted[str]


class ReceiptView(Struct, frozen=True):
    """What a terminal says of an entry: DELIVERED (stored there) or READ; `time` is when it came.

    `device` is what its person called it when it was added (peer text), empty where it has no name.
    """

    person: str
    terminal: str
    kind: EntryState
    time: datetime
    device: str = ""


class AwaitedView(Struct, frozen=True):
    """A terminal of the contact that has not acknowledged an own entry. `device`: as in ReceiptView."""

    person: str
    terminal: str
    device: str = ""


class DetailsView(Struct, frozen=True):
    """Of one entry: the author's person and terminal, the author's time, and when it was stored here.

    Of one that is `claimed`, `person` is who says so.

    `stored` is None where that was not recorded. `bytes`: of header, salt and body, as a link carries them.
    `conflicts`: ids of the other entries that have its place in the author's chain. `uncovered`: it came
    from a terminal of this person, and no head that the contact has named leads to it. `versions`: of an
    edited one, what it said first and after each edit. `claimed`: as in EntryView. `awaited`: the live
    terminals of the contact of which no receipt for an own entry has come; whether they have it is not known.
    """

    id: str
    person: str
    terminal: str
    time: datetime
    stored: datetime | None
    bytes: int
    receipts: tuple[ReceiptView, ...]
    conflicts: tuple[str, ...] = ()
    quarantined: bool = False
    uncovered: bool = False
    claimed: str = ""
    versions: tuple[VersionView, ...] = ()
    awaited: tuple[AwaitedView, ...] = ()


class PairingView(Redacting, frozen=True):
    """One pairing under way. `words` are the five words to compare, once they are known.

    They are of the list that both persons read. `digits` say the same in digits, three per word.
    `peer` is the name the other side claims (peer text), `known` and `mine` as in NearbyView. `contact`
    is set when DONE, `problem` when FAILED; it is empty where both began at once and the other pairing goes
    on. `incoming`: the other side began.
    `invitation`: the text of this person's invitation that the other side used.
    """

    id: str
    stage: PairingStage
    peer: str
    incoming: bool
    words: tuple[str, ...] = ()
    contact: str = ""
    problem: Phrase = NOTHING_SAID
    invitation: Redacted[str] = ""
    digits: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    mine: bool = False


class LinkingStage(StrEnum):
    """Where the linking of a device stands. WORDS waits for this person's answer.

    VISIBLE: the other device may begin. WAITING: for the other side.
    """

    VISIBLE = "visible"
    WORDS = "words"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class LinkingView(Struct, frozen=True):
    """The linking of a new device of this person, seen from either side.

    `name` is what the other side calls itself (peer text): the new device, or on that one the person. `words`
    are the five words to compare, once they are known, and `digits` say the same, three per word. `terminal`
    is the new device's id when DONE, `problem` is set when FAILED.
    """

    id: str
    stage: LinkingStage
    name: str = ""
    words: tuple[str, ...] = ()
    terminal: str = ""
    problem: Phrase = NOTHING_SAID
    digits: tuple[str, ...] = ()


class InvitationView(Redacting, frozen=True):
    """A one-time invitation: `text` is what the other person types, pastes or scans."""

    text: Redacted[str]
    expires: datetime


class SettingsView(Struct, frozen=True):
    """What this person chose to tell contacts."""

    read_receipts: bool
    typing: bool


class RetentionView(Struct, frozen=True):
    """What this terminal is to keep: texts of so many `days`, all with 0. `elsewhere`: how many it let go of.

    `keeper`: the id of the terminal that holds all, empty where this person chose none. Then nothing goes.
    """

    days: int
    keeper: str = ""
    elsewhere: int = 0


class BackupView(Struct, frozen=True):
    """A backup or readable file that was written and read again, or read.

    `root` is the root hash of all conversations in hex, empty for Markdown that was read: nothing there shows
    it. `recovery`: it has the recovery seed. `checksum`: the SHA-256 of all lines of a readable file but the
    last one, in hex; empty for a backup.
    """

    path: str
    entries: int
    conversations: int
    root: str
    recovery: bool
    checksum: str = ""


class ConversationRoot(Struct, frozen=True):
    """What a terminal holds of the conversation with a contact: messages, and their root hash in hex.

    `elsewhere`: how many texts among them it let go of. They count as held: another terminal keeps them.
    """

    contact: str
    entries: int
    root: str
    elsewhere: int = 0


class HistoryRoot(Struct, frozen=True):
    """What a terminal holds of all conversations. Two terminals with one root hash hold the same."""

    conversations: tuple[ConversationRoot, ...]
    entries: int
    root: str
    elsewhere: int = 0


class SalvageView(Struct, frozen=True):
    """A backup of a damaged profile, and what is missing in it: entries, texts, contacts, receipts."""

    backup: BackupView
    entries: int
    bodies: int
    contacts: int
    receipts: int


class RestoreView(Struct, frozen=True):
    """What was restored from a backup, and what the profile has now.

    `terminal` is the id of this terminal, `new` whether it was made, `removed` whether the terminal that
    wrote the backup is live no more. `root` and `entries` are those of the profile, `backup` of the file.
    `archive`: the folder of the archive that was made instead, since recovery words are missing; else empty.
    """

    person: str
    name: str
    terminal: str
    new: bool
    removed: bool
    entries: int
    root: str
    backup: BackupView
    archive: str = ""


class DiagnosisView(Struct, frozen=True):
    """One line of `doctor`: `good` or not, what was found, and the fix where it is not."""

    check: Phrase
    good: bool
    found: Phrase
    fix: Phrase = NOTHING_SAID


class FileCheckView(Struct, frozen=True):
    """A step of a check of the profile's database.

    `percent` of the entries are checked. `after` is for the next step, None once every page was checked: then
    `lines` say what was found.
    """

    percent: int
    after: int | None
    lines: tuple[DiagnosisView, ...] = ()


class RecoveryView(Redacting, frozen=True):
    """The words of the recovery seed. `asked`: the places, from 0, of those to type back."""

    words: Redacted[tuple[str, ...]]
    asked: tuple[int, ...]


class AlertKind(StrEnum):
    """What happened to this profile.

    REMOVED: this terminal was removed from its person. The others are about the files. OLD_COPY: they were
    put back from an older copy. TWO_COPIES: another copy of them is in use, too, so this terminal runs twice.
    OTHER_TWICE: another terminal of this person runs twice.
    DAMAGED: a part could not be read. MENDED: a part was older than the rest. SETTINGS: these are lost.
    SET_ASIDE: values that this version cannot read are not used. WORDS: this person has neither its first
    terminal here nor recovery words (`SelfView.without_words`).
    """

    OLD_COPY = "old_copy"
    TWO_COPIES = "two_copies"
    OTHER_TWICE = "other_twice"
    DAMAGED = "damaged"
    MENDED = "mended"
    SETTINGS = "settings"
    SET_ASIDE = "set_aside"
    REMOVED = "removed"
    WORDS = "words"


class AlertView(Struct, frozen=True):
    """Something that happened to this profile, found at `since`: what is true and what follows."""

    kind: AlertKind
    since: datetime
    text: Phrase

    @property
    def lasts(self) -> bool:
        """Whether it stays when this person has seen it, as long as it is true."""
        return self.kind is AlertKind.REMOVED


class TerminalState(StrEnum):
    """COPIED: in use, and it signed what it did not know of. REMOVED: for good."""

    LIVE = "live"
    COPIED = "copied"
    REMOVED = "removed"


class TerminalView(Struct, frozen=True):
    """A terminal in this person's own log. `this`: the one that shows it.

    `name` is the one that it was added with; the first terminal and one that a recovery brought have none.
    `added_by` is the id of the terminal that added it, empty for those two. `removed_by` is the id of the one
    that removed it, empty if the recovery key did, or nobody. `present`: this one has a link with it.
    `seen`: when a link with it last lived, None where none did since this one keeps that. `left`: it was
    removed, and added devices that are in use, which this person did not confirm here. Another removal of it
    takes these away.
    """

    terminal: str
    this: bool
    state: TerminalState
    name: str = ""
    added_by: str = ""
    removed_by: str = ""
    present: bool = False
    seen: datetime | None = None
    left: bool = False

    @property
    def is_live(self) -> bool:
        """Whether it was not removed."""
        return self.state is not TerminalState.REMOVED

    @property
    def removable(self) -> bool:
        """Whether a removal of it changes anything."""
        return self.is_live or self.left


class AddedView(Struct, frozen=True):
    """A device in use that was added by one to be removed, directly or through others.

    `terminal`, `name` and `added_by` as in TerminalView. `since`: when this device learned of it, None where
    that is not known. `confirmed`: this person added it on this device, or said here that it was them.
    `stays`: it is kept. Else it falls with the removal, and can be linked again. So can one that a recovery
    brought in which does not count any more.
    """

    terminal: str
    name: str
    added_by: str
    since: datetime | None
    confirmed: bool
    stays: bool


class RemovalView(Struct, frozen=True):
    """What a removal or a recovery would do to others than those that it removes.

    `name`: this person's, where it is signed again because it falls; else empty. `held`: the contacts (person
    ids) that only what is removed has paired, so that nothing is sent to them until this person has compared.
    `unverified`: those that only it has compared with, which are paired still.
    """

    added: tuple[AddedView, ...]
    name: str = ""
    held: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


def first_device(devices: Iterable[TerminalView]) -> TerminalView | None:
    """The one that no other one can remove. `devices`: as `terminals` returns them, the most senior first."""
    return next((one for one in devices if one.is_live), None)


def next_first(devices: Iterable[TerminalView], removed: str) -> TerminalView | None:
    """The device that becomes first with the removal of one, by its id; None where the first one stays."""
    live = [one for one in devices if one.is_live]
    return live[1] if len(live) > 1 and live[0].terminal == removed else None


class RelayStanding(StrEnum):
    """What is known of a relay that this person named. Only WAITING means that contacts can be met there.

    UNKNOWN: nothing has been tried. NO_RELAY: something else answers there. OTHER_DATE: its clock and
    this machine's are more than a day apart. REFUSED: it is one, and too busy.
    """

    UNKNOWN = "unknown"
    CONNECTING = "connecting"
    WAITING = "waiting"
    UNREACHABLE = "unreachable"
    OTHER_KEY = "other_key"
    OTHER_VERSION = "other_version"
    NO_RELAY = "no_relay"
    OTHER_DATE = "other_date"
    REFUSED = "refused"


class RelayView(Struct, frozen=True):
    """A relay that this person named. `address` is the whole `parlour-relay:HOST:PORT#KEY` and identifies it.

    `host` is an IP address without brackets, or a name. `invited`: it came with an invitation that was used.
    """

    address: str
    host: str
    port: int
    standing: RelayStanding
    invited: bool = False


# --- Timers ---

TIMER_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
TIMER_OFF: Final = "off"
_TIMER: Final = re.compile(r"(\d{1,8}) *([smhdw])", re.ASCII)
_NO_TIMER: Final = phrase("Type off, or a time such as 30s, 5m, 1h, 1d or 1w.")


def parse_timer(typed: str) -> int:
    """The seconds of what somebody types for a timer, 0 for none. Raises UsageError."""
    plain = typed.strip().lower()
    found = _TIMER.fullmatch(plain)
    if plain == TIMER_OFF:
        return 0
    if found is None or not int(found[1]):
        raise UsageError(_NO_TIMER)
    return int(found[1]) * TIMER_UNITS[found[2]]


def timer_text(seconds: int) -> str:
    """A timer as one types it, in the largest unit that fits exactly."""
    unit = next(name for name, size in TIMER_UNITS.items() if seconds % size == 0)
    return f"{seconds // TIMER_UNITS[unit]}{unit}" if seconds else TIMER_OFF


def size_text(size: int) -> str:
    """A number of bytes as it is shown: 900 B, 1.5 KiB, 12 MiB."""
    if size < 1_024:
        return f"{size} B"
    value, unit = float(size), "B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):  # noqa: B007 - the last one is used
        value /= 1_024
        if value < 1_023.5:
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
