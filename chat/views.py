"""The frozen values that clients receive. `chat.interface` offers them too."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chat.errors import NOTHING_SAID, Phrase


class EntryState(StrEnum):
    """What is known of an entry; each value is said only when it is true."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    RECEIVED = "received"


class PairingStage(StrEnum):
    """Where a pairing stands. WORDS and JOINER wait for this person's answer."""

    CONNECTING = "connecting"
    WORDS = "words"
    JOINER = "joiner"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SelfView:
    """This person and this terminal. Ids are 64 hex digits; `addresses` are HOST:PORT.

    `keeps_seed`: the recovery words were not written down yet, so that a thief of the profile has them.
    """

    person: str
    terminal: str
    name: str
    port: int
    addresses: tuple[str, ...]
    visible: bool
    keeps_seed: bool = False


@dataclass(frozen=True, slots=True)
class ContactView:
    """A contact. `person` (64 hex digits) identifies it; `label` is unique among the contacts.

    `label` is the name, with a suffix `~xxxx` where two contacts share one name. `held`: entries wait until
    this person has confirmed a changed identity. `relayed`: the link with it goes through a relay.
    `same_key`: the contacts who have proven to hold the static key of one of its terminals, too; somebody
    stole or copied it.
    `name` is what this person calls the contact, peer text otherwise: show it only through a filter.
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
    relayed: bool = False
    same_key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IdentityChangeView:
    """A change of a contact's devices or recovery, by a signed operation. Ids have 64 hex digits.

    `terminal` is the device concerned (empty: none), `author` the one that signed (empty: the recovery key).
    """

    cause: Phrase
    operation: str
    terminal: str
    author: str


@dataclass(frozen=True, slots=True)
class VerificationView:
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


@dataclass(frozen=True, slots=True)
class QuestionView:
    """An operation in this person's own log that this terminal did not make: was that you?

    Ids have 64 hex digits. `terminal` is the device that it brought in (empty: none), `author` the one that
    signed (empty: the recovery key).
    """

    operation: str
    change: OwnChange
    terminal: str
    author: str


@dataclass(frozen=True, slots=True)
class NearbyView:
    """A stranger who is visible now. `instance` names the announcement, `name` is peer text."""

    instance: str
    name: str


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry as shown. `contact` is the conversation's contact (person id), `time` is UTC.

    `author` is a name for display (peer text), `own` tells whose it is. `reply` is the id of the entry that
    it answers, or empty; a peer may name one that is not held. Views come in the order of the
    conversation, which is not the order of `time`. `kind` is `text`, `deleted` (here), `missing` (its content
    has not come, and may still come), `cut` (a terminal of the author's person was removed) or `unknown` (a
    newer Parlour wrote it). Only `text` is ever unread, and only it has a `text` and a `reply`.
    `conflicting`: another entry has its place in its author's chain, which no honest terminal writes.
    `quarantined`: its terminal was removed, and nothing shows that it is from before.
    """

    id: str
    contact: str
    author: str
    own: bool
    time: datetime
    kind: str
    text: str = field(repr=False)
    state: EntryState
    reply: str = ""
    conflicting: bool = False
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """What a terminal says of an entry: DELIVERED (stored there) or READ; `time` is when it came."""

    person: str
    terminal: str
    kind: EntryState
    time: datetime


@dataclass(frozen=True, slots=True)
class DetailsView:
    """Of one entry: the author's person and terminal, the author's time, and when it was stored here.

    `stored` is None where that was not recorded. `bytes`: of header, salt and body, as a link carries them.
    `conflicts`: ids of the other entries that have its place in the author's chain. `uncovered`: it came
    from a terminal of this person, and no head that the contact has named leads to it.
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


@dataclass(frozen=True, slots=True)
class PairingView:
    """One pairing under way. `words` are the five words to compare, once they are known.

    `peer` is the name the other side claims (peer text). `contact` is set when DONE, `problem` when FAILED;
    it is empty where both began at once and the other pairing goes on. `incoming`: the other side began.
    `invitation`: the text of this person's invitation that the other side used.
    """

    id: str
    stage: PairingStage
    peer: str
    incoming: bool
    words: tuple[str, ...] = ()
    contact: str = ""
    problem: Phrase = NOTHING_SAID
    invitation: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class InvitationView:
    """A one-time invitation: `text` is what the other person types, pastes or scans."""

    text: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class SettingsView:
    """What this person chose to tell contacts."""

    read_receipts: bool
    typing: bool


@dataclass(frozen=True, slots=True)
class DiagnosisView:
    """One line of `doctor`: `good` or not, what was found, and the fix where it is not."""

    check: Phrase
    good: bool
    found: Phrase
    fix: Phrase = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class RecoveryView:
    """The words of the recovery seed. `asked`: the places, from 0, of those to type back."""

    words: tuple[str, ...] = field(repr=False)
    asked: tuple[int, ...]


class TerminalState(StrEnum):
    """FROZEN: its key was copied, so that contacts shut it out. REMOVED: for good."""

    LIVE = "live"
    FROZEN = "frozen"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class TerminalView:
    """A terminal in this person's own log. `this`: the one that shows it."""

    terminal: str
    this: bool
    state: TerminalState


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


@dataclass(frozen=True, slots=True)
class RelayView:
    """A relay that this person named. `address` is the whole `parlour-relay:HOST:PORT#KEY` and identifies it.

    `host` is an IP address without brackets, or a name. `invited`: it came with an invitation that was used.
    """

    address: str
    host: str
    port: int
    standing: RelayStanding
    invited: bool = False
