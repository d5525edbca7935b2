"""Entries: header, id, body, self tag, whose entries count, and receipts for them (SPEC §11.1 to §11.5).

Rules: an id covers the received header, the header covers salt and body, so deletion leaves the chain whole;
form is checked before trust and trust before anything is stored; time is only a claim of the author's.
A receipt counts for a live terminal and for nobody else; other ids than those of own entries are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import ID_SIZE, check_ascending, check_empty_or_id, encode, low_high
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed, Unexpected, Untrusted
from protocol.identity.reduction import PersonState, Terminal
from protocol.limits import BODY_BYTES_MAX, PARENTS_MAX, SALT_BYTES, TEXT_CHARACTERS_MAX
from protocol.messages import ENTRY_HEADER, TEXT_BODY, Entry, EntryHeader, Head, TextBody
from protocol.primitives import Random

KIND_TEXT: Final = 1
_TAG_SIZE: Final = 32


@lru_cache(maxsize=1_024)
def conversation_of_two(a: bytes, b: bytes) -> bytes:
    """The id, 32 bytes, of the conversation of two persons, in either order. LocalMisuse for one twice."""
    return primitives.b2b(b"".join(low_high(a, b)), personal=labels.CONVERSATION)


def check_conversation(named: bytes, own_person: bytes, contact: bytes) -> bytes:
    """The conversation of the two persons of a link. Untrusted if another one is named."""
    conversation = conversation_of_two(own_person, contact)
    if named != conversation:
        raise Untrusted("a conversation of others")
    return conversation


def heads_hash(conversation: bytes, heads: Sequence[Head]) -> bytes:
    """Hash, 32 bytes, of all heads held of a conversation, in any order (SPEC §11.4)."""
    ordered = sorted(heads, key=lambda head: (head.author, head.sequence, head.id))
    return primitives.b2b(conversation + encode(ordered), personal=labels.HEADS)


def rank(time: int, ancestors: Iterable[int]) -> int:
    """Place of an entry in its conversation: its time (milliseconds), but after all its ancestors' ranks.

    Entries are shown by (rank, id), which is the same order on every terminal (SPEC §11.3).
    """
    return max((time, *(ancestor + 1 for ancestor in ancestors)))


# --- Bodies ---


def text_body(text: str, reply: bytes = b"") -> bytes:
    """The body of a text entry; `reply` is the id of the entry it answers, or empty. LocalMisuse if none."""
    if not 0 < len(text) <= TEXT_CHARACTERS_MAX or len(reply) not in (0, ID_SIZE):
        raise LocalMisuse("not the text of an entry")
    return encode(TextBody(text, reply))


def read_text(body: bytes) -> TextBody:
    """What a text entry says: peer text. Errors: Malformed, LimitExceeded."""
    decoded = TEXT_BODY.decode(body)
    check_empty_or_id(decoded.reply)
    return decoded


# --- Writing ---


@dataclass(frozen=True, slots=True)
class Place:
    """Where an author's next entry stands.

    `incarnation` 8 bytes; `previous` (sequence, id) of the author's last entry held, None for the first;
    `parents` the other tips held of the conversation; `membership` the heads of the author's person log.
    """

    conversation: bytes
    author: bytes
    incarnation: bytes
    previous: tuple[int, bytes] | None
    parents: Sequence[bytes]
    membership: Sequence[bytes]


class ParsedEntry(Struct, frozen=True):
    """An entry whose form is right, decoded once.

    `header_bytes` are as received, and `id` is their hash. `said` is the body; salt and body are empty, and
    `said` None, where they were deleted.
    """

    id: bytes
    header_bytes: bytes
    header: EntryHeader
    salt: bytes
    body: bytes
    said: TextBody | None

    @property
    def deleted(self) -> bool:
        """Whether salt and body have been destroyed."""
        return not self.salt

    def message(self) -> Entry:
        """The message that carries it."""
        return Entry(self.header_bytes, self.salt, self.body)

    def __repr__(self) -> str:
        return f"ParsedEntry({self.id.hex()}, <redacted>)"


def write_entry(
    place: Place, time_ms: int, kind: int, body: bytes, self_key: bytes, random: Random
) -> ParsedEntry:
    """A new entry. `self_key` is the secret of the author's person (32 bytes), `time_ms` its Unix time.

    Of more than 16 other tips the 16 lowest ids are named; the rest stay tips for the next entry.
    """
    sequence, previous = place.previous or (0, b"")
    salt = random(SALT_BYTES)
    untagged = EntryHeader(
        conversation=place.conversation,
        author=place.author,
        incarnation=place.incarnation,
        sequence=sequence + 1,
        previous=previous,
        parents=sorted(set(place.parents) - {previous})[:PARENTS_MAX],
        membership=sorted(set(place.membership)),
        time=time_ms,
        kind=kind,
        content=_content(salt, body),
        self_tag=b"",
    )
    header = encode(replace(untagged, self_tag=self_tag(untagged, self_key)))
    return parse_entry(Entry(header, salt, body))


def self_tag(header: EntryHeader, self_key: bytes) -> bytes:
    """The tag, 32 bytes, by which a person's terminals know the person's own entries (SPEC §11.1)."""
    return primitives.b2b(encode(replace(header, self_tag=b"")), personal=labels.SELF_TAG, key=self_key)


def _content(salt: bytes, body: bytes) -> bytes:
    return primitives.b2b(salt + body, personal=labels.CONTENT)


# --- Reading: form ---


def parse_entry(message: Entry) -> ParsedEntry:
    """An entry with every check that needs nothing else; whether it counts is accept_entry's question.

    Errors: LimitExceeded, Malformed, Unexpected (a kind of a later version), AuthenticationFailed (salt and
    body are not those of the header).
    """
    header = ENTRY_HEADER.decode(message.header)
    _check_form(header)
    said = _content_of(header, message.salt, message.body) if message.salt or message.body else None
    identity = primitives.b2b(message.header, personal=labels.ENTRY)
    return ParsedEntry(identity, message.header, header, message.salt, message.body, said)


def _check_form(header: EntryHeader) -> None:
    if len(header.previous) not in (0, ID_SIZE) or len(header.self_tag) not in (0, ID_SIZE):
        raise Malformed("previous or self tag of a wrong size")
    if header.sequence == 0 or (header.sequence == 1) != (not header.previous):
        raise Malformed("sequence and previous do not fit")
    check_ascending(header.parents)
    check_ascending(header.membership)
    if not header.membership or header.previous in header.parents:
        raise Malformed("no membership, or previous among the parents")
    if header.kind != KIND_TEXT:
        raise Unexpected(f"an entry of kind {header.kind}")


def _content_of(header: EntryHeader, salt: bytes, body: bytes) -> TextBody:
    if len(salt) != SALT_BYTES or len(body) > BODY_BYTES_MAX:
        raise Malformed("salt or body of a wrong size")
    if not primitives.equal(_content(salt, body), header.content):
        raise AuthenticationFailed("salt and body are not those of the header")
    return read_text(body)


# --- Reading: trust ---


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides whether an entry of the conversation with `contact` counts.

    `carrier` is the person whose terminal the link authenticated. Terminal ids: all of one's own person, and
    those of the contact that are live now. `welcome`: the carrier is a contact still, and not blocked.
    """

    own_person: bytes
    own_terminals: Collection[bytes]
    contact: bytes
    contact_terminals: Collection[bytes]
    carrier: bytes
    self_key: bytes = field(repr=False)
    welcome: bool


def accept_entry(entry: ParsedEntry, facts: Facts) -> None:
    """Return if the entry counts (SPEC §11.2), else raise and store nothing of it.

    Errors: Untrusted (another conversation, an author who is neither, a carrier who may not), Malformed (no
    tag), AuthenticationFailed (a self tag that is not one's own: an entry somebody else made up).
    """
    header = entry.header
    if not facts.welcome:
        raise Untrusted("carried by somebody who is no contact any more, or blocked")
    check_conversation(header.conversation, facts.own_person, facts.contact)
    if facts.carrier not in (facts.own_person, facts.contact):
        raise Untrusted("carried by somebody who has no part in the conversation")
    if len(header.self_tag) != _TAG_SIZE:
        raise Malformed("an entry between two without a self tag")
    if header.author in facts.own_terminals:
        if not primitives.equal(self_tag(header, facts.self_key), header.self_tag):
            raise AuthenticationFailed("not an entry of this person's own")
    elif header.author not in facts.contact_terminals:
        raise Untrusted("the author is no live terminal of either")


# --- Receipts ---


STORED: Final = 1
READ: Final = 2


class Said(StrEnum):
    """The state of an own entry."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"


def receipting_terminal(contact: PersonState, static: bytes) -> Terminal:
    """The terminal whose link, authenticated by this static key (32 bytes), carried a receipt.

    Untrusted unless it is live in its person's log.
    """
    for terminal in contact.live.values():
        if terminal.static == static:
            return terminal
    raise Untrusted("a receipt of a terminal that is not live")


def receipted(ids: Iterable[bytes], own: Collection[bytes]) -> list[bytes]:
    """The ids that count, each once: `own` are this person's own entries in the conversation."""
    return [entry for entry in dict.fromkeys(ids) if entry in own]


def said_of(kinds: Collection[int], carried: bool) -> Said:
    """What may be said of an own entry. `kinds` are those of the contact's receipts for it; `carried`:
    whether a link that is open has carried it.
    """
    if READ in kinds:
        return Said.READ
    if STORED in kinds:
        return Said.DELIVERED
    return Said.SENT if carried else Said.QUEUED
