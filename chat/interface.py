"""The interface between an engine and its clients: views, errors, events and calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from chat.errors import ARCHIVED as ARCHIVED
from chat.errors import CUT as CUT
from chat.errors import AnswerLost as AnswerLost
from chat.errors import BadData as BadData
from chat.errors import CannotCreate as CannotCreate
from chat.errors import EngineEnded as EngineEnded
from chat.errors import KeyringFailure as KeyringFailure
from chat.errors import NotPermitted as NotPermitted
from chat.errors import NotTypedBack as NotTypedBack
from chat.errors import OnlyAsOriginal as OnlyAsOriginal
from chat.errors import OutcomeUnknown as OutcomeUnknown
from chat.errors import ParlourError as ParlourError
from chat.errors import Phrase as Phrase
from chat.errors import Unconfined as Unconfined
from chat.errors import Unconfirmed as Unconfirmed
from chat.errors import Unreachable as Unreachable
from chat.errors import UsageError as UsageError
from chat.errors import WordsReplaced as WordsReplaced
from chat.errors import phrase as phrase
from chat.guarding import Guard as Guard
from chat.looks import UNSEEN as UNSEEN
from chat.looks import label_parts as label_parts
from chat.looks import looks_same as looks_same
from chat.notifying import AGAIN as AGAIN
from chat.notifying import BURST as BURST
from chat.notifying import CONFIG as CONFIG
from chat.notifying import Bursts as Bursts
from chat.notifying import Level as Level
from chat.notifying import Notified as Notified
from chat.notifying import Osc as Osc
from chat.notifying import Outside as Outside
from chat.notifying import Turn as Turn
from chat.notifying import Words as Words
from chat.notifying import closing as closing
from chat.notifying import mentions as mentions
from chat.notifying import notified as notified
from chat.notifying import osc_of as osc_of
from chat.notifying import passed_on as passed_on
from chat.notifying import program_in as program_in
from chat.notifying import sequence as sequence
from chat.notifying import way_outside as way_outside
from chat.outgoing import Given as Given
from chat.outgoing import LeftOut as LeftOut
from chat.outgoing import Outgoing as Outgoing
from chat.outgoing import hidden_names as hidden_names
from chat.outgoing import is_text as is_text
from chat.outgoing import outgoing as outgoing
from chat.recording import VOICE_MAX as VOICE_MAX
from chat.recording import Recording as Recording
from chat.recording import Voice as Voice
from chat.recording import length_text as length_text
from chat.recording import send_voice as send_voice
from chat.searching import Query as Query
from chat.searching import Term as Term
from chat.searching import fold as fold
from chat.searching import hits as hits
from chat.searching import parse_query as parse_query
from chat.searching import pattern as pattern
from chat.views import GONE as GONE
from chat.views import NOTES_NAME as NOTES_NAME
from chat.views import SAYS_SOMETHING as SAYS_SOMETHING
from chat.views import TIMER_UNITS as TIMER_UNITS
from chat.views import AddedView as AddedView
from chat.views import AlertKind as AlertKind
from chat.views import AlertView as AlertView
from chat.views import ArrivalsView as ArrivalsView
from chat.views import ArrivalView as ArrivalView
from chat.views import AwaitedView as AwaitedView
from chat.views import BackupView as BackupView
from chat.views import BotCommand as BotCommand
from chat.views import BotView as BotView
from chat.views import ClientRights as ClientRights
from chat.views import ClientView as ClientView
from chat.views import ContactView as ContactView
from chat.views import ConversationRoot as ConversationRoot
from chat.views import DeletedBy as DeletedBy
from chat.views import DeletionScope as DeletionScope
from chat.views import DetailsView as DetailsView
from chat.views import DiagnosisView as DiagnosisView
from chat.views import EntryKind as EntryKind
from chat.views import EntryState as EntryState
from chat.views import EntryView as EntryView
from chat.views import FileCheckView as FileCheckView
from chat.views import FileState as FileState
from chat.views import FilesView as FilesView
from chat.views import FileView as FileView
from chat.views import HistoryRoot as HistoryRoot
from chat.views import IdentityChangeView as IdentityChangeView
from chat.views import InvitationView as InvitationView
from chat.views import LinkingStage as LinkingStage
from chat.views import LinkingView as LinkingView
from chat.views import NearbyView as NearbyView
from chat.views import OwnChange as OwnChange
from chat.views import PairingStage as PairingStage
from chat.views import PairingView as PairingView
from chat.views import PictureView as PictureView
from chat.views import QuestionView as QuestionView
from chat.views import ReceiptView as ReceiptView
from chat.views import RecoveryView as RecoveryView
from chat.views import Redacted as Redacted
from chat.views import Redacting as Redacting
from chat.views import RelayStanding as RelayStanding
from chat.views import RelayView as RelayView
from chat.views import RemovalView as RemovalView
from chat.views import RestoreView as RestoreView
from chat.views import RetentionView as RetentionView
from chat.views import SalvageView as SalvageView
from chat.views import SelfView as SelfView
from chat.views import SettingsView as SettingsView
from chat.views import TerminalState as TerminalState
from chat.views import TerminalView as TerminalView
from chat.views import TokenView as TokenView
from chat.views import UnlockCost as UnlockCost
from chat.views import VerificationView as VerificationView
from chat.views import VersionView as VersionView
from chat.views import first_device as first_device
from chat.views import means_notes as means_notes
from chat.views import next_first as next_first
from chat.views import notes_view as notes_view
from chat.views import parse_timer as parse_timer
from chat.views import size_text as size_text
from chat.views import timer_text as timer_text


class Ready(Struct, frozen=True):
    """The engine listens on `addresses`, each HOST:PORT."""

    addresses: tuple[str, ...]


class EntryAdded(Struct, frozen=True):
    """An entry was committed here: one's own or a contact's. Each entry is announced once."""

    entry: EntryView


class EntryFilled(Struct, frozen=True):
    """The content of an entry that was `missing` came. `entry` is the whole entry, in the same place."""

    entry: EntryView


class EntriesConflict(Struct, frozen=True):
    """Entries of a terminal claim one place in its chain: it was copied, or a terminal of its person lies.

    All of them stay. `ids` are those that are held, the newest to arrive first.
    """

    contact: str
    terminal: str
    ids: tuple[str, ...]


class EntriesMarked(Struct, frozen=True):
    """Other entries than before are `quarantined` or `claimed`: read again what is shown."""

    contact: str


class EntriesMoved(Struct, frozen=True):
    """Entries that name one that came late may stand elsewhere than before: read again what is shown."""

    contact: str


class EntriesKept(Struct, frozen=True):
    """This terminal keeps other entries of a conversation than before: read again what is shown."""

    contact: str


class EntryReturned(Struct, frozen=True):
    """The content of an entry that this terminal had let go of is here again. It is no news."""

    entry: EntryView


class EntriesTimed(Struct, frozen=True):
    """Entries of a conversation were read, and end sooner than before: read again what is shown."""

    contact: str


class EntryChanged(Struct, frozen=True):
    """The state of one's own entry changed."""

    contact: str
    id: str
    state: EntryState


class EntryDeleted(Struct, frozen=True):
    """The content of an entry was deleted on this terminal; its place is kept.

    `deleted_by` as in EntryView; a deletion of a wider scope may follow. `expired`: it had a timer, and
    ended.
    """

    contact: str
    id: str
    deleted_by: DeletedBy = DeletedBy.HERE
    expired: bool = False


class EntryEdited(Struct, frozen=True):
    """The author edited an entry, or an edit does not count any more. `entry` is the entry as it is now."""

    entry: EntryView


class FileProgress(Struct, frozen=True):
    """How the file of an entry stands now. At most four a second per file, but for changes of its state."""

    contact: str
    id: str
    file: FileView


class FileSealing(Struct, frozen=True):
    """A file that `send_file` is about to send is being sealed: `done` of `size` bytes are.

    `size` is 0 where a program gives the content. At most four a second per file; the entry comes after the
    last. `send_id`: that of the call.
    """

    contact: str
    send_id: str
    done: int
    size: int


class FileSupplied(Struct, frozen=True):
    """A terminal of the contact, or another one of this person, takes a file from this one.

    `sent`: bytes on the link that it has now. At most four a second per file and link. `done`: it says that
    it holds all of the file.
    """

    contact: str
    id: str
    sent: int
    size: int
    done: bool = False


class HistoryCleared(Struct, frozen=True):
    """So many of the `total` steps of clearing a conversation are `done`; with the last one it is clear.

    Then read again what is shown: the content of its entries is gone, their places are kept.
    """

    contact: str
    done: int
    total: int


class Cleaning(Struct, frozen=True):
    """What was deleted here is being erased from the file. `done`: the part that is, from 0 to 1.

    Only where it takes longer than a moment.
    """

    done: float


class Cleaned(Struct, frozen=True):
    """Nothing of what was deleted here is in any page of the database or frame of its log any more."""


class ContactChanged(Struct, frozen=True):
    """A contact is new, or anything that its view says has changed."""

    contact: ContactView


class ContactRemoved(Struct, frozen=True):
    """A contact was removed here."""

    person: str
    name: str


class IdentityChanged(Struct, frozen=True):
    """A contact's person log or what is known of its keys changed; `cause` says how in words."""

    person: str
    name: str
    cause: Phrase


class QuestionsChanged(Struct, frozen=True):
    """The operations in this person's own log of which this person has to say whether they were theirs."""

    questions: tuple[QuestionView, ...]


class OwnLogChanged(Struct, frozen=True):
    """This person's own log changed, and this terminal did not do it. `operation` is the signed cause's id.

    `kind` is the kind of the change: added, removed, renamed, recovered, copied, contested or voided.
    """

    kind: str
    operation: str
    cause: Phrase


class NearbyChanged(Struct, frozen=True):
    """Who is visible nearby now."""

    nearby: tuple[NearbyView, ...]


class PairingChanged(Struct, frozen=True):
    """A pairing moved to another stage."""

    pairing: PairingView


class LinkingChanged(Struct, frozen=True):
    """The linking of a new device of this person moved to another stage."""

    linking: LinkingView


class InvitationUsed(Redacting, frozen=True):
    """An invitation was used up; `contact` is the person who joined."""

    text: Redacted[str]
    contact: str


class VisibilityChanged(Struct, frozen=True):
    """This terminal began or stopped to be visible to strangers nearby."""

    visible: bool


class NotesPinned(Struct, frozen=True):
    """This person's notes were pinned (`on`) or are not pinned any more, by any of its terminals."""

    on: bool


class RelayChanged(Struct, frozen=True):
    """A relay was named, or it stands otherwise than before."""

    relay: RelayView


class RelayRemoved(Struct, frozen=True):
    """A relay is named no more; `address` is its whole address."""

    address: str


class BackupProgress(Struct, frozen=True):
    """A backup is being written: `done` of about `total` entries are in the file, or checked in it."""

    done: int
    total: int
    checking: bool


class HistoryMoving(Struct, frozen=True):
    """Entries come from another terminal of this person: `held` of about `total` are here.

    At most one a second. `source`: the name of that terminal, or how its id begins. The last one has `moves`
    False. Then `held` is `total` once all have come; else the link ended, and the rest comes with the next.
    """

    source: str
    held: int
    total: int
    moves: bool


class Notice(Struct, frozen=True):
    """Something that the person should know, in one line (the port was taken, the disk is full)."""

    text: Phrase


class AlertsChanged(Struct, frozen=True):
    """What happened to the files of this profile and this person has not dismissed."""

    alerts: tuple[AlertView, ...]


class ClientChanged(Struct, frozen=True):
    """Another program follows by the name of this client from now on, or the client was forgotten."""

    client: str


class Closed(Struct, frozen=True):
    """The engine has locked or stopped; nothing follows. `reason` is one line.

    `locked`: the profile was locked on purpose. Otherwise its engine ended, and a client may open another.
    """

    reason: Phrase
    locked: bool = False


EntryEvent = (EntryAdded | EntryFilled | EntriesConflict | EntriesMarked | EntriesTimed | EntryChanged) | (
    (EntryDeleted | EntryEdited | EntriesKept | EntriesMoved | EntryReturned | HistoryCleared)
    | (Cleaning | Cleaned | FileProgress | FileSealing | FileSupplied)
)
ContactEvent = ContactChanged | ContactRemoved | IdentityChanged | OwnLogChanged | QuestionsChanged
PairingEvent = NearbyChanged | PairingChanged | LinkingChanged | InvitationUsed | VisibilityChanged
ProfileEvent = (Ready | RelayChanged | RelayRemoved | NotesPinned | BackupProgress | HistoryMoving) | (
    Notice | AlertsChanged | ClientChanged | Closed
)
Event = EntryEvent | ContactEvent | PairingEvent | ProfileEvent


FEED_PART_MAX: Final = 1 << 18
"""Bytes of one part of a feed."""

WITHOUT_ASKING: Final = "files.without-asking"
"""The preference with the MiB up to which files are taken without asking, else DEFAULT_MIB.

With `.` and a person id after its name it is that of one contact.
"""

DEFAULT_MIB: Final = 25

KEEP_MOST: Final = "files.keep-most"
"""The preference with the MiB of this disk above which each file is asked for, else KEEP_MOST_MIB."""

KEEP_MOST_MIB: Final = 10_240

FILES_RELAYED: Final = "files.relayed"
"""The preference with the MiB up to which files go through a relay, else RELAYED_MIB.

As in WITHOUT_ASKING, `.` and a person id after the name make it that of one contact.
"""

RELAYED_MIB: Final = 10

FILES_LIMIT: Final = "files.limit"
"""The preference with the KiB of files that this terminal sends a second; 0 for as many as go."""

PICTURES_UNCONFINED: Final = "files.pictures-unconfined"
"""The preference that is `on` where pictures are decoded though the system cannot confine that."""

PICTURES_SHOWN: Final = "pictures"
"""With `.` and a person id after it, the preference that is `on` where pictures are shown as they come."""

WORDS_READ: Final = "words"
"""The preference with the language of pairing words that this person reads; empty for English."""

FILES: Final = "files."
"""Begins the names of these preferences, which hold for this terminal alone: disks and networks differ."""


class Messenger(Protocol):
    """A running engine, here or behind the profile's socket. Contacts are named by person id.

    The only exception that a call raises is ParlourError. Events arrive in the order in which they happened.
    `chat.ipc` derives the calls of the socket from these type hints.
    """

    async def me(self) -> SelfView:
        """This person and terminal."""

    async def contacts(self) -> tuple[ContactView, ...]:
        """All contacts, by name."""

    async def nearby(self) -> tuple[NearbyView, ...]:
        """Strangers who are visible now."""

    async def set_visible(self, on: bool) -> None:
        """Be visible to strangers nearby for two minutes, or stop. Raises Unconfirmed."""

    async def pair_nearby(self, instance: str) -> PairingView:
        """Begin pairing with a nearby stranger by comparing words. Raises Unreachable, Unconfirmed."""

    async def pair_address(self, host: str, port: int) -> PairingView:
        """Begin pairing by address. Raises Unreachable, UsageError (not local), Unconfirmed."""

    async def invite(self) -> InvitationView:
        """Make a one-time invitation and accept its user as a pairing of stage JOINER. Raises Unconfirmed."""

    async def join(self, text: str) -> PairingView:
        """Begin pairing by an invitation. Raises BadData (damaged, expired), Unreachable, Unconfirmed."""

    async def answer_pairing(self, pairing: str, accept: bool) -> None:
        """Answer a pairing that waits for this person: the words are the same, or the joiner is right.

        Raises Unconfirmed, and the pairing waits on.
        """

    async def terminals(self) -> tuple[TerminalView, ...]:
        """The terminals in this person's own log, the most senior first."""

    async def add_terminal(self) -> LinkingView:
        """For two minutes a new device of this person may be linked; it finds this one by the person's name.

        Raises Unconfirmed.
        """

    async def stop_adding(self) -> None:
        """End that, and a linking under way, unless the new device is added already."""

    async def answer_linking(self, linking: str, accept: bool) -> None:
        """The words are the same on both devices, or not.

        Raises UsageError where no answer is due, Unconfirmed.
        """

    async def remove_terminal(self, terminal: str, stolen: bool = True) -> None:
        """Remove a device of this person for good, by its id: this one, or one that is junior to it.

        What it wrote counts as far as it is held here now, if it was `stolen`. Else what a contact, or
        another own device, holds of it counts, too, until this one compares with it next.

        Raises UsageError (no such device), NotPermitted (a senior one; this one, where nobody hears of it).
        """

    async def foresee_removal(self, terminal: str) -> RemovalView:
        """What `remove_terminal` would do now. Raises as it does."""

    async def rename_self(self, name: str) -> None:
        """Sign another name of this person, which contacts see.

        Raises UsageError, NotPermitted (this terminal is not live).
        """

    async def handed_out(self) -> bool:
        """Wait until a contact or an own device was sent what this one signed, or 10 seconds. Whether it was.

        True at once where there is none. The others get it when they are online at the same time.
        """

    async def recovery_words(self) -> RecoveryView:
        """The words of the recovery seed. Raises NotPermitted once the seed was erased."""

    async def confirm_recovery(self, answers: tuple[str, ...]) -> None:
        """Erase the recovery seed from the profile: these are the words that were asked for.

        Raises NotTypedBack (after which `recovery_words` asks for others), NotPermitted (it was erased).
        """

    async def check_recovery(self, typed: tuple[str, ...], not_mine: bool = False) -> None:
        """Raises UsageError where these are not the recovery words of this person, WordsReplaced (once were).

        `not_mine`: as in `recover`.
        """

    async def foresee_recovery(
        self, typed: tuple[str, ...], removed: tuple[str, ...], not_mine: bool = False
    ) -> RemovalView:
        """What `recover` would do now. Raises as it does, but for the answers."""

    async def begin_recovery(self) -> RecoveryView:
        """Words of a new recovery seed, which a recovery puts into the place of the present one.

        They are the same until they are used, or the engine ends: nothing of them is stored before.
        """

    async def recover(
        self,
        typed: tuple[str, ...],
        removed: tuple[str, ...],
        answers: tuple[str, ...],
        same_words: bool = False,
        not_mine: bool = False,
        stolen: bool = True,
    ) -> None:
        """Sign a recovery with the seed of these words, and remove terminals by id. The seed is not kept.

        The words of `begin_recovery` open this person's identity from then on, and those typed open nothing;
        `answers` are those that were asked for. `same_words`: the words stay, as nobody else knows them.
        `not_mine`: a recovery that replaced these words was somebody else's, and confirmed by mistake.
        `stolen`: as in `remove_terminal`. Where this terminal was removed or copied, it has new keys and
        another id afterwards.

        Raises UsageError (the words, a terminal), WordsReplaced, NotTypedBack (the answers; `begin_recovery`
        asks for others then). Nothing is signed then.
        """

    async def rename(self, contact: str, name: str) -> None:
        """Call a contact by another name, here only."""

    async def block(self, contact: str, on: bool) -> None:
        """Block or unblock: a blocked contact gets no answer and nothing of it is shown."""

    async def pin(self, contact: str, on: bool) -> None:
        """List a conversation before others, or no more, on all terminals of this person; or the notes."""

    async def mute(self, contact: str, on: bool) -> None:
        """Mute or unmute a contact on all terminals of this person: its messages make no sound.

        There is no end: the clocks of terminals would not agree on it. Raises UsageError for the notes.
        """

    async def remove(self, contact: str) -> None:
        """Forget a contact, its keys and the history with it at once, and erase them from the file.

        That goes in pieces, which `Cleaning` tells, and goes on after a crash. It ends as `clean`.
        """

    async def verification(self, contact: str) -> VerificationView:
        """What to compare with a contact, and what was compared. Raises Unconfirmed."""

    async def verify(self, contact: str, number: str) -> None:
        """The contact sees this safety number, too. It ends `held`, and settles contradicting recoveries.

        `number` has 60 digits; other characters in it do not count. Raises BadData where it is none of the
        numbers of now, and changes nothing then; Unconfirmed.
        """

    async def unverify(self, contact: str) -> None:
        """Take *verified* from a contact. What was compared is kept, and `held` stays."""

    async def questions(self) -> tuple[QuestionView, ...]:
        """The operations in this person's own log that this terminal did not make, and nobody confirmed.

        While there is one, this terminal shows no safety number and does not pair.
        """

    async def confirm_own(self, operation: str) -> None:
        """This person made this operation of the own log. Raises UsageError where it is no open question."""

    async def alerts(self) -> tuple[AlertView, ...]:
        """What happened to the files of this profile and this person has not dismissed, the oldest first."""

    async def check_files(self, after: int = 0) -> FileCheckView:
        """Check a part of the database, and all its pages in the last step. What is damaged is mended.

        Raises BadData (it cannot be mended).
        """

    async def dismiss_alerts(self) -> None:
        """This person has seen all alerts."""

    async def send(
        self, contact: str, text: str, reply: str = "", send_id: str = "", client: str = ""
    ) -> EntryView:
        """Commit a text entry, which may answer a held one (`reply`); it goes when the contact is there.

        `send_id` makes a repeat harmless: a client draws it per text, and the same one for the same contact
        returns the entry that is stored. The engine keeps the newest 4,096 per `client`, the program of this
        name (`follow`), whose ids are apart from those of others.

        Raises UsageError (empty, too long, an entry to answer that is not of this conversation, a `send_id`
        of another text or of more than 64 ASCII characters), NotPermitted (this terminal was removed),
        OutcomeUnknown: it may be stored.
        """

    async def send_file(
        self,
        contact: str,
        path: str,
        named: str = "",
        send_id: str = "",
        original: bool = False,
        voice: int = 0,
        client: str = "",
    ) -> EntryView:
        """Seal the file at `path`, and commit and send an entry that names it; others take it when they can.

        `named`: another name for it, after those of the folders that it is in and with / between them: a
        folder is sent as its files. `send_id` and `client` as in `send`. The metadata of a PNG, JPEG, GIF or
        WebP picture (place, time, camera, comments, thumbnails) is left out unless `original` is set; a HEIC,
        a TIFF or the raw file of a camera goes as the original alone. `voice`: the length of a voice message
        in seconds, at most an hour; 0 for any other file.

        Until the entry is there `FileSealing` says how far it is, and `cancel_file` ends it. Raises
        UsageError, OnlyAsOriginal (its metadata cannot be removed), NotPermitted, and where the file cannot
        be read, the disk has no room for its pieces, or it was cancelled ParlourError.
        """

    async def cancel_file(self, contact: str, send_id: str, client: str = "") -> None:
        """Let a `send_file` of this client with this id end without an entry; nothing that it sealed is left.

        Raises UsageError where none is sealing, as when the entry is there already, which can be deleted.
        """

    async def open_feed(self) -> str:
        """The name of a new feed, which `send_file` takes in place of a path: its content comes by `feed`.

        Two may be open at once. Raises UsageError.
        """

    async def feed(self, name: str, part: bytes, end: bool = False) -> None:
        """Give the next part of a feed, at most FEED_PART_MAX bytes; waits until there is room for it.

        Nothing is stored in plain. A feed ends with `end`. One of which nothing is heard for a minute, not
        even an empty part, breaks, and then nothing is sent. Raises UsageError (no such feed, it broke).
        """

    async def take_file(self, contact: str, id: str) -> EntryView:
        """Take a file, or go on with it; one that is withheld others can have again.

        Raises UsageError (no such file), ParlourError (no room).
        """

    async def pause_file(self, contact: str, id: str) -> EntryView:
        """Take no more of a file for now: what came of it stays. Raises UsageError.

        One that is whole is withheld: this terminal gives no more of it to others until `take_file`.
        """

    async def let_go_of_file(self, contact: str, id: str) -> EntryView:
        """Delete the pieces of a file on this terminal, and on no other. Its message and its key stay.

        `take_file` takes it again, from those who have it. Raises UsageError.
        """

    async def files(self) -> tuple[FilesView, ...]:
        """What each conversation with files has here, the one with the most bytes first."""

    async def limit_files(self, rate: int) -> None:
        """Send at most so many bytes of files a second until this engine ends; 0 for as the person chose."""

    async def save_file(self, contact: str, id: str, folder: str, unasked: bool = False) -> str:
        """Write a file that is whole into a folder, under its name or the next free one; returns the path.

        A file of a folder that was sent goes into that folder, which is made where it is missing. Only this
        user may read it. `unasked`: no person asked for it, so that no more is written than may be taken
        without asking; what fails since the disk does `arrivals` has again. Raises UsageError (no file, not
        whole, no such folder, too much `unasked`), CannotCreate, and ParlourError where the disk lacks room.
        """

    async def show_picture(self, contact: str, id: str, width: int, height: int) -> PictureView:
        """Decode a picture that is whole, in a confined process, into so many pixels (a side up to 400).

        Nothing plain reaches the disk. Raises UsageError (no file, not whole, no PNG, JPEG, GIF or WebP),
        Unconfined where this system cannot confine it and PICTURES_UNCONFINED does not allow that, and
        ParlourError (damaged, too large, or Pillow is not installed).
        """

    async def history(
        self, contact: str, limit: int = 100, before: str | None = None, after: str | None = None
    ) -> tuple[EntryView, ...]:
        """The newest `limit` entries, or the last before `before`, or the first after `after`; oldest first.

        Raises UsageError where both are given, or an entry that is not of this conversation.
        """

    async def latest(self) -> tuple[EntryView, ...]:
        """The last entry of each conversation that has one, that which came here last first.

        So a list of conversations is read by one call, whose cost grows with the number of contacts alone.
        """

    async def entry(self, contact: str, id: str) -> EntryView | None:
        """An entry of the conversation, also an edit or a delete; None where it is not held."""

    async def first_unread(self, contact: str) -> str | None:
        """The id of the first entry, in order, that this person has not read."""

    async def entry_at(self, contact: str, time: datetime) -> str | None:
        """The id of the first entry, in order, whose time is not before this one; None if all are before."""

    async def details(self, contact: str, id: str) -> DetailsView:
        """Who wrote an entry where, and which terminals have it. Raises UsageError where it is not held."""

    async def search(
        self, words: str, contact: str | None = None, limit: int = 100, typing: bool = False
    ) -> tuple[EntryView, ...]:
        """Entries that fit what was typed: of those, the last `limit` to arrive, oldest first.

        A text is found by its words, a file by those of its name and of the folders that it is in.
        `words` and `typing` as in `parse_query`, in this machine's time zone; of nothing nothing is found.
        Raises UsageError: a date that is none, a name that no contact or several have.
        """

    async def mark_read(self, contact: str, entries: tuple[str, ...]) -> None:
        """This person has read these entries and no others. Ids that are not held are passed over."""

    async def mark_all_read(self, contact: str) -> None:
        """This person is done with all that the contact wrote so far, shown or not."""

    async def delete(self, contact: str, id: str, scope: DeletionScope = DeletionScope.HERE) -> EntryView:
        """Delete an entry's content within a scope; returns it as it is shown now, in its place.

        Its edits go with it. Words that are left in the file go when there is time, which `Cleaned` tells. An
        own entry that still waits goes without its content. The other terminals of this person follow when
        they hear of it, and the contact learns nothing of that. For everyone, an entry (`change` of the
        result) asks the contact's terminals to do the same. It has a state as others have.

        Raises UsageError: it is not held, another person wrote it (EVERYONE), or it holds for others (both
        wider scopes). NotPermitted: this terminal was removed (both wider scopes).
        """

    async def edit(self, contact: str, id: str, text: str, send_id: str = "", client: str = "") -> EntryView:
        """Let one's own text entry say something else; returns it as it is shown now, in its place.

        The edit is an entry of its own (`change` of the result), which goes when the contact is there.
        `send_id` and `client` as in `send`. A client with a token that only sends edits what it sent itself
        with a `send_id`. Raises UsageError as `send`, and where the entry is no own text or deleted, and
        NotPermitted as `send`, and where such a client did not send it.
        """

    async def set_timer(self, contact: str, seconds: int) -> EntryView | None:
        """From now on new messages, of both, end so many seconds after they are read; 0: they do not.

        It is an entry of kind `timer`, None where this timer is set already. Raises UsageError (above a year,
        a blocked contact), or as `send`.
        """

    async def declare_bot(self, commands: tuple[BotCommand, ...], contact: str | None = None) -> None:
        """Let a contact know that a program writes in this person's name, and which commands it understands.

        Of no contact: all contacts, and those to come. What was declared before is replaced, and nothing is
        sent to whom this was declared already. It is an entry of kind `bot` with each. Raises UsageError (the
        commands, as `BotCommand` has them; a name twice; more than 32; a blocked contact), NotPermitted (this
        terminal was removed).
        """

    async def withdraw_bot(self, contact: str | None = None) -> None:
        """Let a contact, or all, know that this person is no bot any more. Raises as `declare_bot`."""

    async def declared_bot(self, contact: str | None = None) -> BotView:
        """What this person declares to a contact; of no contact: to all, and those to come."""

    async def clear(self, contact: str) -> None:
        """Delete the content of all entries of a conversation here, for oneself alone; returns at the end.

        It goes in pieces, which `HistoryCleared` tells, and goes on after a crash. Contact and timer stay.
        """

    async def take_earlier(self, contact: str) -> int:
        """Take as one's own what a contact has of this person from before its last removal or recovery.

        These are the entries that are `claimed` as `earlier`. From then on they are own ones on all terminals
        of this person. What another live terminal wrote is taken there alone. Returns how many were taken.
        Raises NotPermitted (this terminal was removed).
        """

    async def takeable(self, contact: str) -> int:
        """How many entries `take_earlier` would take now; 0 on a terminal that was removed."""

    async def clean(self) -> None:
        """Wait until nothing that was deleted is in the file any more; begins at once.

        Half a minute a million entries. Raises ParlourError where the disk does not let it: it stays due.
        """

    async def typing(self, contact: str, on: bool) -> None:
        """Tell the contact that this person is typing, if the setting allows."""

    async def settings(self) -> SettingsView:
        """The settings in force."""

    async def change_settings(self, settings: SettingsView) -> None:
        """Replace the settings."""

    async def preferences(self) -> Mapping[str, str]:
        """What the interface keeps here, by name; the engine gives it no meaning."""

    async def set_preference(self, name: str, value: str) -> None:
        """Keep a value, or delete it (empty). One named `….PERSON` goes with that contact.

        Raises UsageError: a name that is not [a-z0-9._-]{1,96}, a value above 65,536 characters.
        """

    async def relays(self) -> tuple[RelayView, ...]:
        """The relays that this person named, in the order in which they came."""

    async def add_relay(self, address: str) -> RelayView:
        """Name a relay by its whole address; one of the same host and port under another key goes.

        From then on contacts are met there. One that is named already is returned as it is. Raises BadData,
        which says what part of the address is wrong, UsageError (as many are named as may be).
        """

    async def remove_relay(self, address: str) -> None:
        """Use a relay no more. Raises UsageError where none of this address is named."""

    async def change_passphrase(
        self, old: str, new: str, cost: UnlockCost = UnlockCost.KEPT, new_key: bool = False
    ) -> None:
        """Replace the passphrase, and the cost of trying one. `new` may be equal to `old`.

        SENSITIVE takes 1 GiB of memory at each unlocking. An older copy of the profile's header still opens
        with `old`; `new_key` seals the database under another key, which no such copy opens, and takes as
        long as copying it. Raises NotPermitted when `old` is wrong.

        Any other ParlourError says which passphrase is in force.
        """

    async def back_up(self, path: str, passphrase: str, recovery: bool = False) -> BackupView:
        """Write an encrypted backup to a new file, and read it again; `BackupProgress` says how far it is.

        It has its name only when all of it was read again. `path` is absolute. `recovery`: with the recovery
        seed, if it is here. Raises UsageError, CannotCreate (there is such a file, or the disk fails),
        NotPermitted (a recovery seed that was erased).
        """

    async def export(self, path: str, form: str, contact: str | None = None) -> BackupView:
        """Write a readable file, not encrypted, of one conversation or of all; as `back_up` otherwise.

        `form` is `jsonl`, `markdown` or `html`.
        """

    async def history_root(self) -> HistoryRoot:
        """Counts and root hashes of what is held here (SPEC §21.1). Takes seconds at a million entries."""

    async def retention(self) -> RetentionView:
        """What this terminal keeps."""

    async def keep(self, days: int) -> RetentionView:
        """Keep texts and files of so many days here, all with 0.

        Older ones leave this terminal, and no other, once the keeper has said that it holds them. What is
        unread, and what no terminal of the contact has, stays. The keeper keeps all. What is kept again comes
        back from whom has it.

        Raises UsageError (days below 0 or above 36,500).
        """

    async def choose_keeper(self, terminal: str) -> RetentionView:
        """Let this terminal of the person hold all, for all its terminals; none with an empty id.

        What they let go of, because another keeper held it, comes back to them.

        Raises UsageError (no live terminal of this person has this id).
        """

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        """What `parlour doctor` says, seen from this engine. Takes up to five seconds."""

    async def clients(self) -> tuple[ClientView, ...]:
        """The programs that follow conversations by name."""

    async def follow(self, client: str) -> ClientView:
        """The client of this name; one that is new gets what comes from now on.

        Raises UsageError: a name that is not [a-z0-9._-]{1,64}, or 64 clients are there.
        """

    async def permit(self, client: str, rights: ClientRights, conversation: str = "") -> TokenView:
        """Make a client that has to present a token, and may then do what its rights say.

        `conversation`: its contact (person id), or this person for the notes; empty for all. Raises
        UsageError as `follow`, and where there is a client of this name or no such contact.
        """

    async def client_of(self, token: str) -> ClientView:
        """The client that presents this token. Raises NotPermitted (there is none, or it was revoked)."""

    async def take_turn(self, client: str) -> str:
        """From now on this caller follows by this client's name: `arrivals` and `acknowledge` refuse others.

        The result names the turn. Raises UsageError (no such client).
        """

    async def arrivals(self, client: str, after: int, limit: int = 100, turn: str = "") -> ArrivalsView:
        """What came here or changed after a position, in this order: at most `limit` entries as they are now.

        It has an entry once, where that last changed. Edits and deletes have no place of their own. It is
        empty while the alert of an older copy is not dismissed: the newer one acted on it already. Raises
        UsageError: no such client, a position that was acknowledged or not given yet. NotPermitted: another
        program took the `turn`. Without one, this looks only.
        """

    async def acknowledge(self, client: str, position: int, turn: str = "") -> None:
        """The client has acted on everything up to this position, and gets nothing of it again.

        A lower one than before changes nothing. Raises as `arrivals`.
        """

    async def forget_client(self, client: str) -> None:
        """Forget a client with its place, and refuse its token from now on. Raises UsageError (no such)."""

    def events(self) -> AsyncIterator[Event]:
        """Everything that happens from now on; ends after `Closed`."""

    async def lock(self) -> None:
        """Drop the key and stop; every client sees `Closed`."""

    async def close(self) -> None:
        """End this use of the engine; the engine itself stops if it runs in this process."""


NO_NAME: Final = phrase(
    "A name has 1 to 64 characters, none of them a control character, and no space at its ends."
)
NO_TERMINAL_NAME: Final = phrase(
    "A device's name has 1 to 32 characters, none of them a control character, and no space at its ends."
)
PASSPHRASES_DIFFER: Final = phrase("The two passphrases differ.")
SHORT_PASSPHRASE: Final = phrase(
    "This passphrase is short and easy to guess. Press Enter to use it anyway, or type another one."
)


KEPT_DAYS_MAX: Final = 36_500
"""Days for which a terminal can be told to keep texts, if not all."""

RECOVERY_WORDS: Final = 34
"""Words of a recovery seed (SPEC §7.1)."""


def is_short(passphrase: str) -> bool:
    """Whether a passphrase can be guessed. It counts characters, because no dictionary is at hand."""
    return len(passphrase) < 8 or len(set(passphrase)) < 5


def passphrase_problem(passphrase: str, again: str, *, confirmed: bool = False) -> Phrase | None:
    """Why a new passphrase, typed twice, is not accepted. `confirmed`: the person wants it although short."""
    if passphrase != again:
        return PASSPHRASES_DIFFER
    return SHORT_PASSPHRASE if is_short(passphrase) and not confirmed else None


class DoorState(StrEnum):
    """NEW: no profile yet; LOCKED: a passphrase is needed; RUNNING: an engine has the profile open."""

    NEW = "new"
    LOCKED = "locked"
    RUNNING = "running"


class Kept(StrEnum):
    """Whether the system's keyring opens the profile. PAUSED: since a lock, until the passphrase is typed."""

    NO = "no"
    YES = "yes"
    PAUSED = "paused"


PATIENCE: Final = 120.0
"""Seconds for which `Door.unlock` waits while another process has the profile open and offers no engine."""


WriteDown = Callable[[RecoveryView, Phrase], Awaitable[tuple[str, ...]]]
"""Shows new recovery words, and why the last answers were wrong, and returns those that are asked for.

What it raises ends what was to be done, of which nothing is done yet.
"""


class Door(Protocol):
    """The way from a profile folder to a `Messenger`. Never starts afresh over anything found."""

    async def state(self) -> DoorState:
        """Which state the profile is in, after a few seconds for an engine that is opening or closing.

        Raises BadData when there is a profile but its header or database is missing or damaged.
        """

    async def is_held(self) -> bool:
        """Whether a process has the profile open, even one that offers no engine."""

    async def create(self, name: str, passphrase: str) -> Messenger:
        """Make a person and this terminal, and open them. Raises CannotCreate, UsageError."""

    async def link(
        self,
        name: str,
        passphrase: str,
        answer: Callable[[LinkingView], Awaitable[bool]],
        address: tuple[str, int] | None = None,
        keep: int = 0,
    ) -> Messenger:
        """Make this terminal one of a person who has another, and open it.

        `name` tells the person's devices apart, `passphrase` is set here. The other device is looked for
        nearby, or dialled at `address`. `answer` says whether its person sees the same words there; it is
        cancelled where the linking fails meanwhile. `keep`: as `Messenger.keep`, from the first text on.

        Raises UsageError (a name, a time, an address that is not local), Unreachable (nobody adds a device,
        or the connection ended), NotPermitted (somebody said no), CannotCreate.
        """

    async def unlock(
        self,
        passphrase: str,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> Messenger:
        """Open it, `offline` only to read, or use the engine that has it open.

        While another process opens, closes or reads it, this waits up to `patience` seconds, and calls
        `waits` once if that takes long. Raises NotPermitted, BadData, CannotCreate (in vain).
        """

    async def kept(self) -> Kept:
        """Whether the system's keyring opens the profile. Does not ask the keyring."""

    async def unlock_kept(
        self,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> Messenger | None:
        """Open it with the passphrase that the system's keyring has, or None where it is not to be used.

        The keyring may ask its person first, for at most half a minute. Raises KeyringFailure: the passphrase
        is to be typed. Raises as `unlock` too.
        """

    async def is_passphrase(self, text: str) -> bool:
        """Whether a text is the passphrase. Takes the time of an unlock, also while an engine runs.

        Raises BadData, CannotCreate (the header cannot be read, or memory is short).
        """

    async def keep(self, passphrase: str) -> str:
        """Save a passphrase that opens the profile in the system's keyring, whose name is returned.

        Raises NotPermitted (it does not open the profile), KeyringFailure, BadData, CannotCreate.
        """

    async def forget(self) -> None:
        """Remove the passphrase from the keyring. Raises KeyringFailure: it may be left, and is not used."""

    async def pause_kept(self) -> None:
        """Use the keyring only after the passphrase was typed once, as after a lock. Raises ParlourError."""

    async def restore(
        self,
        path: str,
        passphrase: str,
        own: str,
        words: tuple[str, ...] = (),
        remove_old: bool = False,
        progress: Callable[[int, int], None] | None = None,
        write_down: WriteDown | None = None,
    ) -> RestoreView:
        """Restore a backup. All of it is verified before anything is changed.

        `passphrase` opens the file, `own` the profile; it is set where there is none. A new profile is a new
        terminal, which the recovery seed of the file, or of the `words`, brings in. `remove_old`: it removes
        the terminal that wrote the file. `write_down`: shows words of a new seed, which replace those before;
        without it these stay. A profile of the same person gets what it lacks. Where there is no
        seed, and where the profile is of another person, the file becomes an archive in the folder of the
        profile, under the passphrase `own`: its messenger reads, and refuses everything else. `progress` is
        called, in another thread, with the bytes that were read and all bytes to read.

        Raises BadData (the file), UsageError (the words, or an archive is to be changed), NotPermitted (a
        passphrase), CannotCreate (a process has the profile open, or the disk fails).
        """

    async def salvage(self, path: str, passphrase: str, own: str, recovery: bool = False) -> SalvageView:
        """Write a backup of what can be read of a damaged profile, whose history stays as it is.

        `recovery`: with the recovery seed, if it is here. Raises as `unlock` and `Messenger.back_up`, BadData
        where nothing can be read.
        """

    async def verify(self, path: str, passphrase: str) -> BackupView:
        """Read a whole backup and check all of it, or a readable export, without a passphrase.

        Needs no profile. Raises as `restore`.
        """

    async def archives(self) -> tuple[str, ...]:
        """The folders of this profile's archives, the oldest backup first: each is a profile to be read."""

    async def wipe(self) -> None:
        """Destroy the profile and what is left of one, without its passphrase: the wrapped key first.

        Its archives go with it.

        Raises BadData (there is none), CannotCreate (a process has it open, or files are left),
        KeyringFailure (it is destroyed, and its passphrase may be left in the system's keyring).
        """

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        """What `parlour doctor` says without opening the profile. Takes up to five seconds."""

    async def attach(self) -> Messenger:
        """Use the engine that is running on this profile, through its socket. Raises Unreachable."""
