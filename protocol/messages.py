"""Structs of every message on a link (SPEC §5.2), of handshake payloads (§6.3) and of entries (§11.1).

Types bound every length, so a decoder refuses a message before building it. Tags are never reused.
"""

from __future__ import annotations

from typing import Annotated, Final, get_args

from msgspec import Meta

from protocol import limits
from protocol.codec import Beginning, Codec, Wire
from protocol.errors import Malformed

B8 = Annotated[bytes, Meta(min_length=8, max_length=8)]
B16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
B32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
B48 = Annotated[bytes, Meta(min_length=48, max_length=48)]
B64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
KemKey = Annotated[bytes, Meta(min_length=1184, max_length=1184)]
KemCiphertext = Annotated[bytes, Meta(min_length=1088, max_length=1088)]
U8 = Annotated[int, Meta(ge=0, le=0xFF)]
U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
U32 = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
U53 = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS_MAX)]
TerminalName = Annotated[str, Meta(min_length=1, max_length=limits.TERMINAL_NAME_CHARACTERS_MAX)]
SignedOperation = Annotated[bytes, Meta(max_length=limits.RECOVER_BYTES_MAX)]
Operations = Annotated[list[SignedOperation], Meta(min_length=1, max_length=limits.LOG_OPERATIONS_MAX)]
Ids = Annotated[list[B32], Meta(max_length=limits.PARENTS_MAX)]
Optional32 = Annotated[bytes, Meta(max_length=32)]  # 0 or 32 bytes; readers check that
FeatureNumbers = Annotated[list[U16], Meta(max_length=limits.FEATURES_MAX)]  # ascending; readers check that


class Unprinted(Wire, frozen=True):
    """A struct with secrets or texts of a person; repr prints only its type."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<redacted>)"


# Payloads inside the handshake (SPEC §6.3), padded like envelopes.


class ShareNames(Wire, frozen=True):
    """Names of the contact-secret shares that the initiator holds, in no order that means anything."""

    own: Annotated[list[B16], Meta(min_length=1, max_length=limits.SHARES_NAMED_MAX)]
    theirs: Annotated[list[B16], Meta(min_length=1, max_length=limits.SHARES_NAMED_MAX)]


class ContactHello(Unprinted, frozen=True):
    """IKpsk2 message 1: the initiator's person, share names, KEM key and link share."""

    person: B32
    names: ShareNames
    kem_key: KemKey
    share: B32


class ContactReply(Unprinted, frozen=True):
    """IKpsk2 message 2: KEM ciphertext, link share and the responder's first ratchet key."""

    kem_ciphertext: KemCiphertext
    share: B32
    ratchet_key: B32


class PairingReply(Unprinted, frozen=True):
    """XX and XXpsk0 message 2: KEM key, link share and the responder's first ratchet key."""

    kem_key: KemKey
    share: B32
    ratchet_key: B32


class PairingFinish(Unprinted, frozen=True):
    """XX and XXpsk0 message 3: KEM ciphertext and the initiator's link share."""

    kem_ciphertext: KemCiphertext
    share: B32


# Messages of a session (SPEC §5.2). 1 to 15: the link itself.


class Confirm(Wire, frozen=True, tag=1):
    """The initiator's first message: the session (16 bytes or empty) that it replaces, and its features."""

    replaces: Annotated[bytes, Meta(max_length=16)]
    features: FeatureNumbers


class Ping(Wire, frozen=True, tag=2):
    """Keepalive; answered by a Pong of the same number."""

    number: U32


class Pong(Wire, frozen=True, tag=3):
    """Answer to a Ping."""

    number: U32


class Close(Wire, frozen=True, tag=4):
    """The last message of a link, which distinguishes an end from a lost connection. Reasons: SPEC §6.7."""

    reason: U8


class Features(Wire, frozen=True, tag=5):
    """The features of the responder, as its first message. A responder without features does not send it."""

    features: Annotated[list[U16], Meta(min_length=1, max_length=limits.FEATURES_MAX)]


# 16 to 31: pairing, and linking an own terminal.


class Commit(Wire, frozen=True, tag=16):
    """The initiator's commitment to its nonce, and its displayed name."""

    commitment: B32
    name: Name


class Reveal(Wire, frozen=True, tag=17):
    """The responder's nonce, and its displayed name."""

    nonce: B32
    name: Name


class Open(Wire, frozen=True, tag=18):
    """The initiator's nonce, which must match its commitment."""

    nonce: B32


class Record(Unprinted, frozen=True, tag=19):
    """The sender's person log, terminal and contact-secret share, with the terminal's proof and signature.

    `drawn` is the operation (id) of the log whose secret gives the share.
    """

    operations: Operations
    terminal: B32
    drawn: B32
    share: B32
    proof: B32
    signature: B64


class Accept(Wire, frozen=True, tag=20):
    """Tag over both records. A side that has sent and received one has the contact."""

    tag: B32


class NewTerminal(Wire, frozen=True, tag=21):
    """The public keys of a terminal that is to be added, and its name, with its proof and signature."""

    signing: B32
    static: B32
    name: TerminalName
    proof: B32
    signature: B64


class SharedShare(Unprinted, frozen=True):
    """A share of a contact, and the operation (id) of the contact's log whose secret gives it."""

    operation: B32
    share: B32


class SharedRoot(Unprinted, frozen=True):
    """A pairing root, and the contact's shares that are held under it, the one of its Record first.

    `first` is the operation (id) of the own log of which the share in the own Record was. `retired`: all of
    the contact's terminals know a better one of its shares than its first.
    """

    root: B32
    first: B32
    retired: bool
    theirs: Annotated[list[SharedShare], Meta(min_length=1, max_length=limits.SHARES_HELD_MAX)]


class SharedComparison(Wire, frozen=True):
    """What was compared with a contact, and when (Unix time in milliseconds)."""

    by_words: bool
    time: U53
    newest: B32
    terminals: Annotated[list[B32], Meta(max_length=limits.LINKED_IDS_MAX)]


class SharedVoucher(Wire, frozen=True):
    """A terminal of the person that has paired with a contact, and whether it compared."""

    terminal: B32
    compared: bool


class SharedPlace(Wire, frozen=True):
    """An address at which a terminal of a contact was reached."""

    terminal: B32
    host: Annotated[str, Meta(min_length=1, max_length=limits.LINKED_HOST_MAX)]
    port: Annotated[int, Meta(ge=1, le=0xFFFF)]


LinkedIds = Annotated[list[B32], Meta(max_length=limits.LINKED_IDS_MAX)]


class SharedPairing(Unprinted, frozen=True, tag=22):
    """What the terminals of a person share about one contact; its log comes before it.

    `seen` and `confirmed` are the pins of that log, `proven` the static keys that the contact has proven.
    `timer`: seconds, 0 for none. `pairings`: the newest comes first. `vouchers`: ascending by terminal.
    """

    person: B32
    seen: LinkedIds
    confirmed: LinkedIds
    petname: Annotated[str, Meta(max_length=limits.NAME_CHARACTERS_MAX)]
    verified: bool
    blocked: bool
    held: bool
    since: U53
    timer: Annotated[int, Meta(ge=0, le=limits.TIMER_SECONDS_MAX)]
    pinned: bool
    muted: bool
    comparison: Annotated[list[SharedComparison], Meta(max_length=1)]
    vouchers: Annotated[list[SharedVoucher], Meta(max_length=limits.VOUCHERS_MAX)]
    pairings: Annotated[list[SharedRoot], Meta(max_length=limits.LINKED_PAIRINGS_MAX)]
    proven: LinkedIds
    places: Annotated[list[SharedPlace], Meta(max_length=limits.LINKED_PLACES_MAX)]


class SharedDrawn(Unprinted, frozen=True):
    """The secret that an operation (id) of the person log draws (SPEC §7.6)."""

    operation: B32
    secret: B32


class SharedSetting(Unprinted, frozen=True):
    """What the person chose on all terminals, by name."""

    name: Annotated[str, Meta(min_length=1, max_length=limits.LINKED_SETTING_NAME_MAX)]
    value: Annotated[str, Meta(max_length=limits.LINKED_SETTING_VALUE_MAX)]


class SharedRelay(Wire, frozen=True):
    """A relay that the person named. `invited`: it came with an invitation. `since`: milliseconds."""

    address: Annotated[str, Meta(min_length=1, max_length=limits.RELAY_ADDRESS_MAX)]
    invited: bool
    since: U53


class LinkState(Unprinted, frozen=True, tag=23):
    """What the terminals of a person share about the person; its log comes before it.

    `terminal` adds. `seen` and `confirmed` are the pins of the log, Adds included. `drawn`, ascending: the
    secrets that operations of the log draw. `contacts`: so many SharedPairing follow.
    """

    person: B32
    terminal: B32
    seen: LinkedIds
    confirmed: LinkedIds
    drawn: Annotated[list[SharedDrawn], Meta(min_length=1, max_length=limits.SHARED_DRAWN_MAX)]
    settings: Annotated[list[SharedSetting], Meta(max_length=limits.LINKED_SETTINGS_MAX)]
    relays: Annotated[list[SharedRelay], Meta(max_length=limits.LINKED_RELAYS_MAX)]
    contacts: Annotated[int, Meta(ge=0, le=limits.LINKED_CONTACTS_MAX)]


class Addition(Wire, frozen=True, tag=24):
    """The encoded Add, which both are to sign."""

    operation: Annotated[bytes, Meta(max_length=limits.OPERATION_BYTES_MAX)]


class Consent(Wire, frozen=True, tag=25):
    """The signature of the new terminal on the Add."""

    signature: B64


# 32 to 47: person logs and shares.


class LogHeads(Wire, frozen=True, tag=32):
    """Heads of the log of one of the two persons as the sender holds it; answered if it lacks operations."""

    person: B32
    heads: Ids


class LogOperations(Wire, frozen=True, tag=33):
    """Operations that the receiver lacks of the log of one of the two persons, in causal order."""

    operations: Operations


class Reachable(Wire, frozen=True, tag=34):
    """The port on which the sender listens, at the address from which this link comes."""

    port: Annotated[int, Meta(ge=1, le=0xFFFF)]


class Digest(Wire, frozen=True):
    """Hashes of the heads that are held of a conversation, and of its newest marks; how much of it is held.

    `entries`: how many. `gaps`: how many of them lack the one before. `answered`: all that Heads of the other
    side asked for has gone out before.
    """

    conversation: B32
    heads: B32
    marks: B32
    entries: U53
    gaps: U53
    answered: bool


class Digests(Wire, frozen=True, tag=35):
    """Digests of some conversations, ascending; what differs is answered (SPEC §7.8.3)."""

    digests: Annotated[list[Digest], Meta(min_length=1, max_length=limits.DIGESTS_MAX)]


class PassedReceipt(Wire, frozen=True, tag=36):
    """A terminal stored these entries (kind 1), or its person read them (2), or did and tells nobody (3).

    Kind 4: the sender, a terminal of this person, does not hold their bodies (SPEC §7.8.4).
    """

    conversation: B32
    terminal: B32
    kind: Annotated[int, Meta(ge=1, le=4)]
    ids: Annotated[list[B32], Meta(min_length=1, max_length=limits.RECEIPT_IDS_MAX)]


class RenewedShare(Unprinted, frozen=True, tag=38):
    """The sender's share, from the secret of an operation (id), in a pairing; `pairing` names its root."""

    pairing: B32
    operation: B32
    share: B32


# 48 to 79: conversations.


class Head(Wire, frozen=True):
    """The newest entry held of one author's chain in a conversation."""

    author: B32
    sequence: U53
    id: B32


class HeadsHash(Wire, frozen=True, tag=48):
    """Hash of the named heads of a conversation; if both sides have one, nothing follows (SPEC §11.4)."""

    conversation: B32
    hash: B32


class Heads(Wire, frozen=True, tag=49):
    """A page of the named heads of a conversation, sorted: all of the authors that come after `after`.

    If `more` follow, the authors up to that of the last head are on this page. The sender lacks what these
    authors' heads do not cover.
    """

    conversation: B32
    after: Optional32
    heads: Annotated[list[Head], Meta(max_length=limits.HEADS_MAX)]
    more: bool


class Entry(Unprinted, frozen=True, tag=50):
    """One entry: header as stored, salt and body. Both are empty if the sender does not hold them."""

    header: Annotated[bytes, Meta(max_length=limits.HEADER_BYTES_MAX)]
    salt: Annotated[bytes, Meta(max_length=16)]
    body: Annotated[bytes, Meta(max_length=limits.BODY_BYTES_MAX)]


class SignedEntry(Entry, frozen=True, tag=39):
    """An entry of this person among its own terminals, with the signature of `signer`: its author, or the
    terminal that took it for its person's own."""

    signer: B32
    signature: B64


class Receipt(Wire, frozen=True, tag=51):
    """The sender's terminal has stored (kind 1), or its person has read (kind 2), these entries."""

    kind: Annotated[int, Meta(ge=1, le=2)]
    ids: Annotated[list[B32], Meta(min_length=1, max_length=limits.RECEIPT_IDS_MAX)]


class Typing(Wire, frozen=True, tag=52):
    """The person began or stopped typing; never stored."""

    conversation: B32
    on: bool


# 96 to 111: attachments.


class PieceRange(Wire, frozen=True):
    """So many pieces of a file from the piece `first` on, which is numbered from 0."""

    first: U32
    count: Annotated[int, Meta(ge=1, le=limits.ASK_PIECES_MAX)]


class AskPieces(Wire, frozen=True, tag=96):
    """Asks for pieces of the file of an entry; ranges are ascending and do not overlap."""

    entry: B32
    ranges: Annotated[list[PieceRange], Meta(min_length=1, max_length=limits.ASK_RANGES_MAX)]


class Piece(Unprinted, frozen=True, tag=97):
    """One sealed piece of the file of an entry, and the hashes that prove it, from its neighbour upwards."""

    entry: B32
    number: U32
    path: Annotated[list[B32], Meta(max_length=limits.PIECE_PATH_MAX)]
    data: Annotated[bytes, Meta(max_length=limits.PIECE_BYTES + 32)]


class PiecesEnd(Wire, frozen=True, tag=98):
    """The oldest AskPieces of this entry without an answer is done: no other piece of it comes."""

    entry: B32


class StopPieces(Wire, frozen=True, tag=99):
    """What was asked of the file of an entry is not wanted any more."""

    entry: B32


class WholeFile(Wire, frozen=True, tag=100):
    """The sender has taken the whole file of an entry, and holds it now."""

    entry: B32


Message = (
    (Confirm | Ping | Pong | Close | Features)
    | (Commit | Reveal | Open | Record | Accept)
    | (NewTerminal | SharedPairing | LinkState | Addition | Consent)
    | (LogHeads | LogOperations | Reachable | Digests | PassedReceipt | RenewedShare)
    | SignedEntry
    | (HeadsHash | Heads | Entry | Receipt | Typing)
    | (AskPieces | Piece | PiecesEnd | StopPieces | WholeFile)
)

MESSAGE: Codec[Message] = Codec(Message, limits.MESSAGE_BYTES_MAX)

_KNOWN: Final = frozenset(kind.__struct_config__.tag for kind in get_args(Message))


def unknown_number(encoded: bytes) -> int | None:
    """The number, 1 to 65,535, of a message that a later version defines; None for other bytes (SPEC §5.2).

    What follows the number is not looked at.
    """
    beginning = Beginning(encoded)
    try:
        number = beginning.integer() if beginning.array() else 0
    except Malformed:
        return None
    return number if 0 < number <= limits.NUMBER_MAX and number not in _KNOWN else None


# Entries (SPEC §11.1).


class EntryHeader(Wire, frozen=True):
    """The part of an entry that is never deleted. Its hash is the id of the entry.

    `timer`: seconds from the first reading to its end, 0 for none. `until`: the end at the latest, in Unix
    milliseconds; 0 without a timer (SPEC §11.9).
    """

    conversation: B32
    author: B32
    incarnation: B8
    sequence: U53
    previous: Optional32
    parents: Ids
    membership: Ids
    time: Annotated[int, Meta(ge=0, le=2**48 - 1)]
    kind: U8
    timer: Annotated[int, Meta(ge=0, le=limits.TIMER_SECONDS_MAX)]
    until: U53
    content: B32
    self_tag: Optional32


ENTRY_HEADER: Codec[EntryHeader] = Codec(EntryHeader, limits.HEADER_BYTES_MAX)


class TextBody(Unprinted, frozen=True):
    """Body of kind 1. `reply` is the id of the quoted entry, or empty."""

    text: Annotated[str, Meta(min_length=1, max_length=limits.TEXT_CHARACTERS_MAX)]
    reply: Optional32


TEXT_BODY: Codec[TextBody] = Codec(TextBody, limits.BODY_BYTES_MAX)


class CutHead(Wire, frozen=True):
    """An end of a removed terminal's chain. Its `id` alone decides which entry is meant."""

    incarnation: B8
    sequence: U53
    id: B32


class CutBody(Wire, frozen=True):
    """Body of kind 2: the entries of `terminal` that count are those in the chains of `heads`, or none."""

    terminal: B32
    heads: Annotated[list[CutHead], Meta(max_length=limits.CUT_HEADS_MAX)]


CUT_BODY: Codec[CutBody] = Codec(CutBody, limits.BODY_BYTES_MAX)


class DeleteBody(Wire, frozen=True):
    """Body of kind 3: entries of the author's person that are to be deleted everywhere, by id, ascending."""

    ids: Annotated[list[B32], Meta(min_length=1, max_length=limits.DELETED_IDS_MAX)]


DELETE_BODY: Codec[DeleteBody] = Codec(DeleteBody, limits.BODY_BYTES_MAX)


class EditBody(Unprinted, frozen=True):
    """Body of kind 4: `text` takes the place of what `entry`, of the author's person, said."""

    entry: B32
    text: Annotated[str, Meta(min_length=1, max_length=limits.TEXT_CHARACTERS_MAX)]


EDIT_BODY: Codec[EditBody] = Codec(EditBody, limits.BODY_BYTES_MAX)


class TimerBody(Wire, frozen=True):
    """Body of kind 5: later entries of the conversation end so many seconds after their reading; 0: never."""

    seconds: Annotated[int, Meta(ge=0, le=limits.TIMER_SECONDS_MAX)]


TIMER_BODY: Codec[TimerBody] = Codec(TimerBody, limits.BODY_BYTES_MAX)


class BotCommand(Unprinted, frozen=True):
    """A command that a bot offers. `name` is typed after a slash, `description` is a line of text."""

    name: Annotated[str, Meta(min_length=1, max_length=limits.BOT_COMMAND_CHARACTERS_MAX)]
    description: Annotated[str, Meta(min_length=1, max_length=limits.BOT_DESCRIPTION_CHARACTERS_MAX)]


class BotBody(Unprinted, frozen=True):
    """Body of kind 7: whether the author's person is a bot, and its commands, ascending by name."""

    bot: bool
    commands: Annotated[list[BotCommand], Meta(max_length=limits.BOT_COMMANDS_MAX)]


BOT_BODY: Codec[BotBody] = Codec(BotBody, limits.BODY_BYTES_MAX)


FileName = Annotated[str, Meta(min_length=1, max_length=limits.FILE_NAME_BYTES_MAX)]


class FileBody(Unprinted, frozen=True):
    """Body of kind 64: a file, sealed in pieces under `key` with the AEAD of this number (SPEC §12.1).

    `media` is its media type, or empty. `size`: bytes. `root` is the hash of the tree over its sealed pieces.
    `folder` has the names of the folders that it is in, from the one that was sent downwards. `seconds`: the
    length of a voice message as its author says it; 0 for any other file.
    """

    name: FileName
    media: Annotated[str, Meta(max_length=limits.MEDIA_TYPE_MAX)]
    size: Annotated[int, Meta(ge=0, le=limits.FILE_BYTES_MAX)]
    aead: Annotated[int, Meta(ge=1, le=2)]
    key: B32
    root: B32
    folder: Annotated[list[FileName], Meta(max_length=limits.FILE_FOLDERS_MAX)]
    seconds: Annotated[int, Meta(ge=0, le=limits.VOICE_SECONDS_MAX)]


FILE_BODY: Codec[FileBody] = Codec(FileBody, limits.BODY_BYTES_MAX)


class StateWrite(Unprinted, frozen=True):
    """What the person chose for one register. `of` says what it is about; an empty value takes it away."""

    register: U8
    of: B32
    value: Annotated[bytes, Meta(max_length=limits.STATE_VALUE_MAX)]


class StateBody(Unprinted, frozen=True):
    """Body of kind 6: writes of registers, ascending by register, then by what they are about."""

    writes: Annotated[list[StateWrite], Meta(min_length=1, max_length=limits.STATE_WRITES_MAX)]


STATE_BODY: Codec[StateBody] = Codec(StateBody, limits.BODY_BYTES_MAX)


class ContactValue(Wire, frozen=True):
    """Value of register 1: the person is a contact `since` this Unix time in milliseconds."""

    person: B32
    since: U53


class PetnameValue(Unprinted, frozen=True):
    """Value of register 2: the person's name for a contact, or empty."""

    name: Annotated[str, Meta(max_length=limits.NAME_CHARACTERS_MAX)]


class SwitchValue(Wire, frozen=True):
    """Value of registers 3, 10 and 11: whether a contact is blocked, pinned or muted."""

    on: bool


class StandingValue(Wire, frozen=True):
    """Value of register 4: whether a contact is verified, or held back, with its `newest` recovery then.

    `confirmed`: the recoveries of the contact that the person confirmed.
    """

    verified: bool
    held: bool
    newest: B32
    confirmed: LinkedIds
    comparison: Annotated[list[SharedComparison], Meta(max_length=1)]


class PairingValue(Unprinted, frozen=True):
    """Value of register 5: a pairing with a contact, and what tells apart those that it supersedes."""

    person: B32
    pairing: SharedRoot
    supersedes: Annotated[list[B32], Meta(max_length=limits.STATE_SUPERSEDED_MAX)]


RegisterValue = (ContactValue | PetnameValue | SwitchValue | StandingValue) | (
    PairingValue | SharedSetting | SharedRelay
)
