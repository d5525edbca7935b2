"""The records in a backup, and the rules of their order (SPEC §21.1).

No session, no secret of a terminal and no contact secret has a place in them.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from protocol import limits
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.codec import Codec, check_ascending, check_empty_or_id, encode
from protocol.entries_and_receipts import KIND_STATE, ParsedEntry, Signed, conversation_of, parse_entry
from protocol.errors import AuthenticationFailed, LimitExceeded, LocalMisuse, Malformed
from protocol.identity.drawing import check_drawn
from protocol.identity.log import parse_operation
from protocol.identity.names import check_name
from protocol.link.framing import padme
from protocol.messages import B32, B64, U8, U53, Entry, Operations, Optional32, SharedDrawn, Unprinted
from protocol.relay.rendezvous import parse_relay

U48 = Annotated[int, Meta(ge=0, le=2**48 - 1)]
ManyIds = Annotated[list[B32], Meta(min_length=1, max_length=limits.BACKUP_IDS_MAX)]
UpToManyIds = Annotated[list[B32], Meta(max_length=limits.BACKUP_IDS_MAX)]

LENGTH_SIZE: Final = 4


class BackupStart(Unprinted, frozen=True, tag=1):
    """Who this is: person, writing terminal, time in milliseconds.

    `recovery` is the recovery seed, or empty. `drawn`, ascending: the secrets that operations of its log
    draw.
    """

    person: B32
    terminal: B32
    time: U48
    recovery: Optional32
    drawn: Annotated[list[SharedDrawn], Meta(min_length=1, max_length=limits.SHARED_DRAWN_MAX)]


class BackupLog(Unprinted, frozen=True, tag=2):
    """Signed operations of one person's log, in the order in which they arrived."""

    person: B32
    operations: Operations


class BackupPin(Unprinted, frozen=True, tag=3):
    """A recovery of a person that was seen first, or confirmed."""

    person: B32
    recovery: B32
    confirmed: bool


class BackupComparison(Unprinted, frozen=True):
    """What was compared with a contact, and when (milliseconds)."""

    by_words: bool
    time: U48
    newest: B32
    terminals: UpToManyIds


class BackupVoucher(Unprinted, frozen=True):
    """A terminal of the person that has paired with a contact, and whether it compared."""

    terminal: B32
    compared: bool


class BackupContact(Unprinted, frozen=True, tag=4):
    """A contact. `petname` is the person's name for it, or empty; `comparison` has one or none.

    `vouchers` are ascending by terminal.
    """

    person: B32
    name: Annotated[str, Meta(max_length=limits.NAME_CHARACTERS_MAX)]
    petname: Annotated[str, Meta(max_length=limits.NAME_CHARACTERS_MAX)]
    verified: bool
    blocked: bool
    held: bool
    since: U48
    pinned: bool
    muted: bool
    comparison: Annotated[list[BackupComparison], Meta(max_length=1)]
    vouchers: Annotated[list[BackupVoucher], Meta(max_length=limits.VOUCHERS_MAX)]


class BackupProof(Unprinted, frozen=True, tag=5):
    """A static key that a contact has proven to hold."""

    person: B32
    static: B32


class BackupSetting(Unprinted, frozen=True, tag=6):
    """A setting or a preference of the interface, by name."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    value: Annotated[str, Meta(max_length=65_536)]


class BackupRelay(Unprinted, frozen=True, tag=7):
    """A relay that the person named. `invited`: it came with an invitation."""

    address: Annotated[str, Meta(min_length=1, max_length=limits.RELAY_ADDRESS_MAX)]
    invited: bool
    since: U48


class BackupDeletions(Unprinted, frozen=True, tag=8):
    """Ids, ascending, of entries that were deleted and are not held any more. `how`: as in BackupEntry."""

    how: Annotated[int, Meta(ge=1, le=255)]
    ids: ManyIds


class BackupConversation(Unprinted, frozen=True, tag=9):
    """The conversation with a contact, or of the person with itself: its notes. Its entries follow, then a
    BackupRoot."""

    contact: B32


class BackupReceipt(Unprinted, frozen=True):
    """A receipt of a terminal for its entry. `kind` is 1 stored, 2 read, 3 read and not sent."""

    terminal: B32
    kind: Annotated[int, Meta(ge=1, le=3)]
    time: U48


class BackupSignature(Unprinted, frozen=True):
    """The signature of a terminal of the person, of an own entry."""

    terminal: B32
    signature: B64


class BackupEntry(Unprinted, frozen=True, tag=10):
    """An entry. `deleted` is 0, or how it was deleted; `cut` is what a deleted cut said.

    `cut`: the removed terminal, then the ids of its heads; else empty. `signed` has one signature or none.
    """

    header: Annotated[bytes, Meta(max_length=limits.HEADER_BYTES_MAX)]
    salt: Annotated[bytes, Meta(max_length=limits.SALT_BYTES)]
    body: Annotated[bytes, Meta(max_length=limits.BODY_BYTES_MAX)]
    deleted: U8
    quarantined: bool
    uncovered: bool
    cut: Annotated[list[B32], Meta(max_length=1 + limits.CUT_HEADS_MAX)]
    receipts: Annotated[list[BackupReceipt], Meta(max_length=limits.BACKUP_RECEIPTS_MAX)]
    signed: Annotated[list[BackupSignature], Meta(max_length=1)]


class BackupRoot(Unprinted, frozen=True, tag=11):
    """The end of a conversation: how many entries it had, and its root hash."""

    count: U53
    root: B32


class BackupEnd(Unprinted, frozen=True, tag=12):
    """The end of the records: how many entries there were, and the root hash of all conversations."""

    entries: U53
    root: B32


Record = (
    BackupStart
    | BackupLog
    | BackupPin
    | BackupContact
    | BackupProof
    | BackupSetting
    | BackupRelay
    | BackupDeletions
    | BackupConversation
    | BackupEntry
    | BackupRoot
    | BackupEnd
)
_CODEC: Codec[Record] = Codec(Record, limits.BACKUP_RECORD_MAX)


def write_record(record: Record) -> bytes:
    """The bytes of a record, after their length in 4 bytes. LocalMisuse for more than BACKUP_RECORD_MAX."""
    data = encode(record)
    if len(data) > limits.BACKUP_RECORD_MAX:
        raise LocalMisuse("a record over its limit")
    return len(data).to_bytes(LENGTH_SIZE) + data


def padding(size: int) -> int:
    """How many zero bytes follow `size` bytes of records, so that the size of a file tells little."""
    return padme(size) - size


class _Ids:
    """The ids of a conversation, 32 bytes for each: a set of a million would take three times that."""

    def __init__(self) -> None:
        self._by_first = [bytearray() for _ in range(256)]

    def add(self, entry: bytes) -> None:
        self._by_first[entry[0]] += entry

    def any_twice(self) -> bool:
        return any(len({*parts}) < len(parts) for parts in map(_parted, self._by_first))


def _parted(joined: bytearray) -> list[bytes]:
    return [bytes(joined[at : at + 32]) for at in range(0, len(joined), 32)]


class RecordReader:
    """Reads the records of a file whose chunks have opened, and checks their order, roots and end.

    At most BACKUP_RECORD_MAX bytes of an unfinished record and one chunk are kept, whatever the size of the
    file, and the ids of one conversation. `start` is the first record, `roots` the conversations that ended,
    by id.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._size = self._zeros = self._entries = 0
        self._last: type[Record] | None = None
        self._own: bytes = b""
        self._contacts: set[bytes] = set()
        self._persons: set[bytes] = set()
        self._log_of_own = list[bytes]()
        self._contact: bytes = b""
        self._hash: RootHash | None = None
        self._ids = _Ids()
        self.start: BackupStart | None = None
        self.end: BackupEnd | None = None
        self.roots: dict[bytes, tuple[int, bytes]] = {}

    @property
    def contact(self) -> bytes:
        """The contact (person id) of the conversation whose entries are read; the person for its notes."""
        return self._contact

    def feed(self, chunk: bytes) -> list[tuple[Record, ParsedEntry | None]]:
        """The records that end in this chunk; with each BackupEntry its entry.

        Errors: LimitExceeded (V-BK-06), Malformed (V-BK-07 to V-BK-10, and the rules of operations and
        entries), AuthenticationFailed (V-BK-11, V-ET-08).
        """
        if self._is_over():
            self._pad(chunk)
            return []
        self._pending += chunk
        found = list[tuple[Record, ParsedEntry | None]]()
        at = 0
        while not self._is_over() and len(self._pending) - at >= LENGTH_SIZE:
            length = int.from_bytes(self._pending[at : at + LENGTH_SIZE])
            if length > limits.BACKUP_RECORD_MAX:
                raise LimitExceeded("a record over its limit")
            stop = at + LENGTH_SIZE + length
            if len(self._pending) < stop:
                break
            record = _CODEC.decode(bytes(self._pending[at + LENGTH_SIZE : stop]))
            found.append((record, self._take(record)))
            self._size, at = self._size + stop - at, stop
        rest = bytes(self._pending[at:])
        if self._is_over():
            self._pending.clear()
            self._pad(rest)
        else:
            del self._pending[:at]
        return found

    def finish(self) -> None:
        """The last chunk was read. Malformed unless the records and their padding ended with it (V-BK-10)."""
        if self.end is None or self._zeros != padding(self._size):
            raise Malformed("the records do not end with the file")

    def _is_over(self) -> bool:
        return self.end is not None

    def _pad(self, zeros: bytes) -> None:
        self._zeros += len(zeros)
        if zeros.count(0) != len(zeros) or self._zeros > padding(self._size):
            raise Malformed("something follows the records")

    def _take(self, record: Record) -> ParsedEntry | None:
        kind: type[Record] = type(record)
        if kind not in (_AFTER[self._last] if self._last is not None else (BackupStart,)):
            raise Malformed("a record out of its place")
        self._last = kind
        match record:
            case BackupStart():
                self._begin(record)
            case BackupLog() | BackupPin():
                self._log(record)
            case BackupContact():
                self._add_contact(record)
            case BackupProof():
                self._check_contact(record.person)
            case BackupRelay():
                parse_relay(record.address)
            case BackupDeletions():
                check_ascending(record.ids)
            case BackupConversation():
                self._converse(record)
            case BackupEntry():
                return self._entry(record)
            case BackupRoot():
                self._root(record)
            case BackupEnd():
                self._finish(record)
        return None

    def _begin(self, start: BackupStart) -> None:
        check_empty_or_id(start.recovery)
        self.start, self._own = start, start.person

    def _log(self, record: BackupLog | BackupPin) -> None:
        if isinstance(record, BackupLog):
            if any(parse_operation(one).person != record.person for one in record.operations):
                raise Malformed("an operation of another log")
            if record.person == self._own:
                self._log_of_own.extend(record.operations)
            self._persons.add(record.person)
        elif record.person not in self._persons:
            raise Malformed("a pin without its log")

    def _add_contact(self, contact: BackupContact) -> None:
        if contact.person in self._contacts or contact.person == self._own:
            raise Malformed("a contact twice, or this person")
        if contact.person not in self._persons:
            raise Malformed("a contact without its log")
        for name in filter(None, (contact.name, contact.petname)):
            check_name(name)
        for one in contact.comparison:
            check_ascending(one.terminals)
        check_ascending([one.terminal for one in contact.vouchers])
        self._contacts.add(contact.person)

    def _check_contact(self, person: bytes) -> None:
        if person not in self._contacts:
            raise Malformed("somebody who is no contact")

    def _converse(self, record: BackupConversation) -> None:
        if record.contact != self._own:
            self._check_contact(record.contact)
        conversation = conversation_of(self._own, record.contact)
        if self.roots and next(reversed(self.roots)) >= conversation:
            raise Malformed("conversations are not ascending")
        self._contact, self._hash, self._ids = record.contact, RootHash(conversation), _Ids()

    def _entry(self, record: BackupEntry) -> ParsedEntry:
        assert self._hash is not None, "a conversation comes before its entries"
        entry = parse_entry(Entry(record.header, record.salt, record.body))
        if entry.header.conversation != conversation_of(self._own, self._contact):
            raise Malformed("an entry of another conversation")
        if entry.header.kind == KIND_STATE and (entry.has_body or self._contact != self._own):
            raise Malformed("what a state says, or a state that is not in the notes")
        if (record.deleted and entry.has_body) or (record.cut and not record.deleted):
            raise Malformed("a body that was deleted, or the heads of a cut that was not")
        if entry.has_body and entry.header.timer:
            raise Malformed("a body that ends, which a file would keep")
        check_ascending([one.terminal + bytes([one.kind]) for one in record.receipts])
        self._hash.add(entry.id, entry.header.content if entry.has_body else NOT_HELD)
        self._ids.add(entry.id)
        for one in record.signed:
            return replace(entry, signed=Signed(one.terminal, one.signature))
        return entry

    def _root(self, record: BackupRoot) -> None:
        assert self._hash is not None, "a conversation comes before its root"
        if (record.count, record.root) != (self._hash.count, self._hash.root):
            raise AuthenticationFailed("another root hash")
        # Nobody could have this root, since a terminal holds an entry once.
        if self._ids.any_twice():
            raise Malformed("an entry twice")
        self.roots[conversation_of(self._own, self._contact)] = record.count, record.root
        self._entries += record.count

    def _finish(self, end: BackupEnd) -> None:
        root = history_root((conversation, root) for conversation, (_, root) in self.roots.items())
        if self._own not in self._persons:
            raise Malformed("the person's own log is missing")
        assert self.start is not None, "a start comes before an end"
        check_drawn(self._log_of_own, self._own, self.start.drawn)
        if end.entries != self._entries or end.root != root:
            raise AuthenticationFailed("another root hash")
        self.end = end


_PREFACE: Final[tuple[type[Record], ...]] = (
    BackupStart,
    BackupLog,
    BackupPin,
    BackupContact,
    BackupProof,
    BackupSetting,
    BackupRelay,
    BackupDeletions,
)
_NEXT: Final[tuple[type[Record], ...]] = (BackupConversation, BackupEnd)
_AFTER: Final[dict[type[Record], tuple[type[Record], ...]]] = {
    BackupStart: (BackupLog,),
    **{kind: (*_PREFACE[place:], *_NEXT) for place, kind in enumerate(_PREFACE) if place},
    BackupConversation: (BackupEntry, BackupRoot),
    BackupEntry: (BackupEntry, BackupRoot),
    BackupRoot: _NEXT,
    BackupEnd: (),
}
"""What may follow a record."""
