"""Entries and receipts: making, parsing, accepting; the state of an entry (SPEC §11.1 to §11.5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from msgspec import DecodeError, Struct, msgpack
from msgspec.structs import replace

from protocol import labels, primitives
from protocol.attachments import read_file
from protocol.bots import read_bot
from protocol.codec import ID_SIZE, check_ascending, check_empty_or_id, encode, low_high
from protocol.errors import (
    AuthenticationFailed,
    LocalMisuse,
    Malformed,
    ProtocolError,
    Unexpected,
    Untrusted,
)
from protocol.identity.reduction import PersonState, Terminal
from protocol.limits import (
    BODY_BYTES_MAX,
    CUT_HEADS_MAX,
    DELETED_IDS_MAX,
    PARENTS_MAX,
    SALT_BYTES,
    TEXT_CHARACTERS_MAX,
    TIMER_SECONDS_MAX,
    UNREAD_SECONDS_MAX,
)
from protocol.messages import (
    CUT_BODY,
    DELETE_BODY,
    EDIT_BODY,
    ENTRY_HEADER,
    TEXT_BODY,
    TIMER_BODY,
    BotBody,
    CutBody,
    CutHead,
    DeleteBody,
    EditBody,
    Entry,
    EntryHeader,
    FileBody,
    Head,
    Receipt,
    SignedEntry,
    StateBody,
    TextBody,
    TimerBody,
)
from protocol.notes import notes_of, read_state
from protocol.primitives import Random
from protocol.redacting import Redacted, Redacting

KIND_TEXT: Final = 1
KIND_CUT: Final = 2
KIND_DELETE: Final = 3
KIND_EDIT: Final = 4
KIND_TIMER: Final = 5
KIND_STATE: Final = 6
KIND_BOT: Final = 7
KIND_FILE: Final = 64
_TAG_SIZE: Final = 32


@lru_cache(maxsize=1_024)
def conversation_of_two(a: bytes, b: bytes) -> bytes:
    """The conversation id, 32 bytes, of two persons in either order. LocalMisuse if they are equal."""
    return primitives.b2b(b"".join(low_high(a, b)), personal=labels.CONVERSATION)


def conversation_of(own: bytes, person: bytes) -> bytes:
    """The conversation id, 32 bytes, with a contact; the person's own notes where both are one person."""
    return notes_of(own) if own == person else conversation_of_two(own, person)


def check_conversation(named: bytes, own_person: bytes, contact: bytes) -> bytes:
    """The conversation id of two persons. Untrusted unless it is the one that the peer named."""
    conversation = conversation_of_two(own_person, contact)
    if named != conversation:
        raise Untrusted("a conversation of others")
    return conversation


def heads_hash(conversation: bytes, heads: Sequence[Head]) -> bytes:
    """Hash, 32 bytes, of all heads held of a conversation, in any order (SPEC §11.4)."""
    ordered = sorted(heads, key=lambda head: (head.author, head.sequence, head.id))
    return primitives.b2b(conversation + encode(ordered), personal=labels.HEADS)


def rank(time: int, ancestors: Iterable[int]) -> int:
    """The rank of an entry: its time in milliseconds, but greater than the ranks of its ancestors.

    Entries are displayed by (rank, id), which is the same order on every terminal (SPEC §11.3).
    """
    return max((time, *(ancestor + 1 for ancestor in ancestors)))


# --- Bodies ---


def text_body(text: str, reply: bytes = b"") -> bytes:
    """The body of a text entry; `reply` is the id of the quoted entry, or empty. LocalMisuse if invalid."""
    if not 0 < len(text) <= TEXT_CHARACTERS_MAX or len(reply) not in (0, ID_SIZE):
        raise LocalMisuse("not the text of an entry")
    return encode(TextBody(text, reply))


def read_text(body: bytes) -> TextBody:
    """Parse the body of a text entry, which is text of a peer. Errors: Malformed, LimitExceeded."""
    decoded = TEXT_BODY.decode(body)
    check_empty_or_id(decoded.reply)
    return decoded


def cut_body(terminal: bytes, heads: Sequence[CutHead]) -> bytes:
    """The body of a cut of a removed terminal. LocalMisuse for more heads than CUT_HEADS_MAX."""
    if len(heads) > CUT_HEADS_MAX:
        raise LocalMisuse("not the heads of a cut")
    return encode(CutBody(terminal, sorted(heads, key=_place_of_head)))


def read_cut(body: bytes) -> CutBody:
    """Parse the body of a cut. Errors: Malformed, LimitExceeded."""
    decoded = CUT_BODY.decode(body)
    if any(_place_of_head(one) >= _place_of_head(other) for one, other in pairwise(decoded.heads)):
        raise Malformed("heads of a cut are not ascending")
    return decoded


def timer_body(seconds: int) -> bytes:
    """The body of an entry that sets the timer of a conversation, 0 to none. LocalMisuse above a year."""
    if not 0 <= seconds <= TIMER_SECONDS_MAX:
        raise LocalMisuse("not the seconds of a timer")
    return encode(TimerBody(seconds))


def read_timer(body: bytes) -> TimerBody:
    """Parse the body of an entry that sets the timer. Errors: Malformed, LimitExceeded."""
    return TIMER_BODY.decode(body)


def delete_body(ids: Iterable[bytes]) -> bytes:
    """The body of a delete of 1 to DELETED_IDS_MAX entries, in any order. LocalMisuse for another number."""
    named = sorted(set(ids))
    if not 0 < len(named) <= DELETED_IDS_MAX:
        raise LocalMisuse("not the ids of a delete")
    return encode(DeleteBody(named))


def read_delete(body: bytes) -> DeleteBody:
    """Parse the body of a delete. Errors: Malformed, LimitExceeded."""
    decoded = DELETE_BODY.decode(body)
    check_ascending(decoded.ids)
    return decoded


def edit_body(entry: bytes, text: str) -> bytes:
    """The body of an edit of an entry (id of 32 bytes). LocalMisuse if the text is not that of an entry."""
    if not 0 < len(text) <= TEXT_CHARACTERS_MAX or len(entry) != ID_SIZE:
        raise LocalMisuse("not the text of an edit")
    return encode(EditBody(entry, text))


def read_edit(body: bytes) -> EditBody:
    """Parse the body of an edit, which is text of a peer. Errors: Malformed, LimitExceeded."""
    return EDIT_BODY.decode(body)


_READERS: Final[Mapping[int, tuple[str, Callable[[bytes], Any]]]] = {
    KIND_TEXT: ("said", read_text),
    KIND_CUT: ("cut", read_cut),
    KIND_DELETE: ("amends", read_delete),
    KIND_EDIT: ("amends", read_edit),
    KIND_TIMER: ("timing", read_timer),
    KIND_STATE: ("state", read_state),
    KIND_BOT: ("bot", read_bot),
    KIND_FILE: ("file", read_file),
}
"""By kind, the field of ParsedEntry and what reads its body."""

KINDS: Final = frozenset(_READERS)
"""Every kind of entry that this version knows."""

LASTING: Final = frozenset({KIND_CUT, KIND_DELETE, KIND_TIMER, KIND_STATE, KIND_BOT})
"""Kinds that are not cleared: what they say holds beyond them."""

READABLE: Final = frozenset({KIND_TEXT, KIND_FILE})
"""Kinds that a person reads: unread until then, found by a search, named by receipts of reading."""

WITHOUT_TIMER: Final = LASTING | {KIND_EDIT}
"""Kinds that have no timer. An edit ends with the entry that it names."""


def _place_of_head(head: CutHead) -> tuple[int, bytes]:
    return head.sequence, head.id


# --- Writing ---


class EntryPlace(Struct, frozen=True):
    """Place of an author's next entry.

    `incarnation` has 8 bytes. `previous` is (sequence, id) of the author's last held entry, if any. `parents`
    are the other tips of the conversation, `membership` the heads of the author's person log.
    """

    conversation: bytes
    author: bytes
    incarnation: bytes
    previous: tuple[int, bytes] | None
    parents: Sequence[bytes]
    membership: Sequence[bytes]


class Signed(Struct, frozen=True):
    """A signature, 64 bytes, of an own entry: by its author, or by the terminal (id) that took it."""

    terminal: bytes
    signature: bytes


class ParsedEntry(Struct, frozen=True):
    """A well-formed entry. `header_bytes` are as received, and `id` is their hash.

    `said`, `cut`, `amends`, `timing`, `state`, `bot` or `file` is the parsed body; all are None for an
    unknown kind, and for a header that came alone, which has neither salt nor body. `signed` goes with
    it among own terminals.
    """

    id: bytes
    header_bytes: bytes
    header: EntryHeader
    salt: bytes
    body: bytes
    said: TextBody | None = None
    cut: CutBody | None = None
    amends: DeleteBody | EditBody | None = None
    timing: TimerBody | None = None
    state: StateBody | None = None
    bot: BotBody | None = None
    file: FileBody | None = None
    signed: Signed | None = None

    @property
    def has_body(self) -> bool:
        return bool(self.salt)

    def message(self) -> Entry:
        """What a contact gets: nothing in it proves to anybody else who wrote it."""
        return Entry(self.header_bytes, self.salt, self.body)

    def passed(self) -> Entry:
        """What own terminals get."""
        return entry_message(self.header_bytes, self.salt, self.body, self.signed)

    def __repr__(self) -> str:
        return f"ParsedEntry({self.id.hex()}, <redacted>)"


def write_entry(
    place: EntryPlace,
    time_ms: int,
    kind: int,
    body: bytes,
    self_key: bytes,
    random: Random,
    timer: int = 0,
) -> ParsedEntry:
    """A new entry at a Unix time in milliseconds. `self_key` is the self-tag key of the author's person.

    It names at most 16 of `place.parents`, the first of them. The rest remain tips. `timer`: seconds
    from its reading to its end, 0 for none, which cuts and entries that set a timer need.
    """
    sequence, previous = place.previous or (0, b"")
    salt = random(SALT_BYTES)
    untagged = EntryHeader(
        conversation=place.conversation,
        author=place.author,
        incarnation=place.incarnation,
        sequence=sequence + 1,
        previous=previous,
        parents=sorted([tip for tip in place.parents if tip != previous][:PARENTS_MAX]),
        membership=sorted(set(place.membership)),
        time=time_ms,
        kind=kind,
        timer=timer,
        until=time_ms + (timer + UNREAD_SECONDS_MAX) * 1_000 if timer else 0,
        content=_content(salt, body),
        self_tag=b"",
    )
    header = encode(replace(untagged, self_tag=self_tag(untagged, self_key)))
    return parse_entry(Entry(header, salt, body))


def self_tag(header: EntryHeader, self_key: bytes) -> bytes:
    """The tag, 32 bytes, by which a person's terminals recognize the person's own entries (SPEC §11.1)."""
    return primitives.b2b(encode(replace(header, self_tag=b"")), personal=labels.SELF_TAG, key=self_key)


def sign_entry(entry: ParsedEntry, seed: bytes) -> ParsedEntry:
    """The entry with the signature of its author, whose Ed25519 seed (32 bytes) this is."""
    signature = primitives.ed25519_sign(seed, labels.SIGN_ENTRY + entry.id)
    return replace(entry, signed=Signed(entry.header.author, signature))


def take_entry(entry: bytes, terminal: bytes, seed: bytes) -> Signed:
    """The signature by which a terminal (id, Ed25519 seed) takes an entry, by id, as its person's own."""
    return Signed(terminal, primitives.ed25519_sign(seed, labels.SIGN_TAKEN + entry))


def check_signature(entry: bytes, author: bytes, signed: Signed, key: bytes) -> None:
    """AuthenticationFailed unless the terminal with this Ed25519 key (32 bytes) signed the entry (id)."""
    label = labels.SIGN_ENTRY if signed.terminal == author else labels.SIGN_TAKEN
    primitives.ed25519_verify(key, label + entry, signed.signature)


def entry_message(header: bytes, salt: bytes, body: bytes, signed: Signed | None) -> Entry:
    """The message that passes an entry to an own terminal."""
    if signed is None:
        return Entry(header, salt, body)
    return SignedEntry(header, salt, body, signed.terminal, signed.signature)


def _content(salt: bytes, body: bytes) -> bytes:
    return primitives.b2b(salt + body, personal=labels.CONTENT)


# --- Reading: form ---


class _Placed(Struct, frozen=True, array_like=True):
    """The first element of a header."""

    conversation: bytes


_placed: Final = msgpack.Decoder(_Placed)


class ParsedMessage(Entry, frozen=True):
    """An entry that `parse_ahead` has parsed."""

    parsed: ParsedEntry


def conversation_in(message: Entry) -> bytes:
    """The conversation of an entry (32 bytes) that `parse_entry` has yet to check, b"" if that rejects it."""
    if isinstance(message, ParsedMessage):
        return message.parsed.header.conversation
    try:
        return _placed.decode(message.header).conversation
    except DecodeError:
        return b""


def parse_ahead(message: Entry) -> Entry:
    """A message whose `parse_entry` costs nothing later; it raises there what is wrong with this one."""
    try:
        return ParsedMessage(message.header, message.salt, message.body, parse_entry(message))
    except ProtocolError:
        return message


def parse_entry(message: Entry) -> ParsedEntry:
    """Parse an entry and make every check that needs no context; `accept_entry` makes the others.

    The body of an unknown kind stays opaque. Errors: LimitExceeded, Malformed, AuthenticationFailed (another
    salt or body).
    """
    if isinstance(message, ParsedMessage):
        return message.parsed
    header = ENTRY_HEADER.decode(message.header)
    if len(header.previous) not in (0, ID_SIZE) or len(header.self_tag) not in (0, ID_SIZE):
        raise Malformed("previous or self tag of a wrong size")
    if header.sequence == 0 or (header.sequence == 1) != (not header.previous):
        raise Malformed("sequence and previous do not fit")
    check_ascending(header.parents)
    check_ascending(header.membership)
    if not header.membership or header.previous in header.parents:
        raise Malformed("no membership, or previous among the parents")
    timer, until = header.timer, header.until
    if (timer == 0) != (until == 0):
        raise Malformed("a timer without an absolute end, or the reverse")
    if timer and not 0 <= until - header.time - timer * 1_000 <= UNREAD_SECONDS_MAX * 1_000:
        raise Malformed("an absolute end before the time and the timer, or too long after them")
    if timer and header.kind in WITHOUT_TIMER:
        raise Malformed("a timer of an entry that has none")
    salt, body, read = message.salt, message.body, dict[str, Any]()
    if salt or body:
        if len(salt) != SALT_BYTES or len(body) > BODY_BYTES_MAX:
            raise Malformed("salt or body of a wrong size")
        if not primitives.equal(_content(salt, body), header.content):
            raise AuthenticationFailed("salt and body are not those of the header")
        if reader := _READERS.get(header.kind):
            read[reader[0]] = reader[1](body)
    if isinstance(message, SignedEntry):
        read["signed"] = Signed(message.signer, message.signature)
    identity = primitives.b2b(message.header, personal=labels.ENTRY)
    return ParsedEntry(identity, message.header, header, salt, body, **read)


# --- Reading: trust ---


class Facts(Redacting, frozen=True):
    """Context in which `accept_entry` decides about an entry of the conversation with `contact`.

    `carrier` is the person whose terminal the link authenticated. `own_terminals` are all terminal ids of
    this person, `contact_terminals` those of the contact that are live now. `own_former` and `contact_former`
    are those that are live no more. `self_keys`: the newest of this person, none
    where that is not held. `signing`: the Ed25519 keys of its
    terminals, by id, former ones included. `welcome` is whether the carrier is still a contact and not
    blocked. Where `contact` is this person too, the conversation is the person's notes.
    """

    own_person: bytes
    own_terminals: Collection[bytes]
    contact: bytes
    contact_terminals: Collection[bytes]
    carrier: bytes
    self_keys: Redacted[Sequence[bytes]]
    welcome: bool
    own_former: Collection[bytes] = ()
    contact_former: Collection[bytes] = ()
    signing: Mapping[bytes, bytes] = {}


class Author(StrEnum):
    """What the logs of the two persons of a conversation say of an entry's author (SPEC §11.2).

    CLAIMED: they say that it is a terminal of this person, and nothing shows that this one wrote it.
    """

    LIVE = "live"
    FORMER = "former"
    UNKNOWN = "unknown"
    CLAIMED = "claimed"


def is_own(header: EntryHeader, self_keys: Iterable[bytes]) -> bool:
    """Whether the person with these self keys wrote an entry. Two logs may have the same author."""
    return any(primitives.equal(self_tag(header, key), header.self_tag) for key in self_keys)


def accept_entry(entry: ParsedEntry, facts: Facts) -> Author:
    """What its author is; of an UNKNOWN one the entry is not to be stored, since a log may lack its adding.

    A CLAIMED one may be an invention in this person's name: it counts nowhere, and the notes have none.

    Raises where the entry is not accepted; nothing of it may then be stored.

    Errors: Untrusted (another conversation, a carrier without the right), Malformed (no self tag, a state in
    a conversation of two, or a timer in the notes), AuthenticationFailed (a signature that is not one of this
    person's terminals), Unexpected (a signature from a contact).
    """
    header, signed = entry.header, entry.signed
    if not facts.welcome:
        raise Untrusted("carried by somebody who is no contact any more, or blocked")
    if header.conversation != conversation_of(facts.own_person, facts.contact):
        raise Untrusted("a conversation of others")
    if facts.carrier not in (facts.own_person, facts.contact):
        raise Untrusted("carried by somebody who has no part in the conversation")
    passed = facts.carrier == facts.own_person
    if signed is not None and not passed:
        raise Unexpected("a signature that only own terminals pass")
    if len(header.self_tag) != _TAG_SIZE:
        raise Malformed("an entry between two without a self tag")
    alone = facts.contact == facts.own_person
    if header.kind == KIND_STATE and not alone:
        raise Malformed("a state that is not for this person's own terminals")
    if alone and (header.kind == KIND_TIMER or header.timer):
        raise Malformed("a timer in the notes, of which nothing ends")
    if header.author in facts.own_terminals or header.author in facts.own_former:
        if signed is not None and signed.terminal not in facts.signing:
            return Author.UNKNOWN
        if not (_is_signed(entry, facts) if passed else is_own(header, facts.self_keys)):
            return Author.CLAIMED
    elif header.author not in facts.contact_terminals and header.author not in facts.contact_former:
        return Author.UNKNOWN
    elif signed is not None:
        raise AuthenticationFailed("a signature on an entry of the contact")
    is_live = header.author in facts.own_terminals or header.author in facts.contact_terminals
    return Author.LIVE if is_live else Author.FORMER


def _is_signed(entry: ParsedEntry, facts: Facts) -> bool:
    """Whether a signature shows that this person wrote an entry. A live terminal takes those of others that
    are live no more, but none of the notes.

    AuthenticationFailed for a signature that is wrong.
    """
    signed, author = entry.signed, entry.header.author
    if signed is None:
        return False
    check_signature(entry.id, author, signed, facts.signing[signed.terminal])
    if signed.terminal == author:
        return True
    is_taken = signed.terminal in facts.own_terminals and author not in facts.own_terminals
    return is_taken and facts.contact != facts.own_person


# --- Receipts ---

STORED: Final = 1
READ: Final = 2


def receipt_for(kind: int, ids: Iterable[bytes]) -> Receipt:
    """A receipt of STORED or READ for 1 to 1,024 entries, in any order."""
    return Receipt(kind, sorted(set(ids)))


def accept_receipt(receipt: Receipt, contact: PersonState, static: bytes) -> Terminal:
    """The live terminal with this static key (32 bytes), which authenticated the link (SPEC §5.18).

    Errors: Malformed (ids that are not strictly ascending), Untrusted (no such terminal).
    """
    check_ascending(receipt.ids)
    for terminal in contact.live.values():
        if terminal.static == static:
            return terminal
    raise Untrusted("a receipt of a terminal that is not live")


class DeliveryState(StrEnum):
    """Displayed state of an own entry."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    WITHDRAWN = "withdrawn"
    KEPT = "kept"


def note_state(author: bytes, stored: Collection[bytes], others: Collection[bytes]) -> DeliveryState:
    """State of an entry of the notes: KEPT here, or DELIVERED where another live terminal has it, too.

    `author` is the terminal that wrote it, `stored` are those that acknowledged it, `others` the live ones of
    the person but this one (ids of 32 bytes).
    """
    elsewhere = author in others or not set(stored).isdisjoint(others)
    return DeliveryState.DELIVERED if elsewhere else DeliveryState.KEPT


def delivery_state(kinds: Collection[int], carried: bool, *, destroyed: bool = False) -> DeliveryState:
    """State of an own entry, from the kinds of the contact's receipts, whether an open link sent it, and
    whether its body is `destroyed` here."""
    if READ in kinds:
        return DeliveryState.READ
    if STORED in kinds:
        return DeliveryState.DELIVERED
    if carried:
        return DeliveryState.SENT
    return DeliveryState.WITHDRAWN if destroyed else DeliveryState.QUEUED
