"""Makes the vectors of backups: sealed files, whole and damaged; records in and out of order; root hashes.

The cost of Argon2id is the least that is allowed, so that all of them run at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from protocol.backup import records as r
from protocol.backup import sealed
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_STATE,
    KIND_TEXT,
    EntryPlace,
    ParsedEntry,
    conversation_of,
    conversation_of_two,
    parse_entry,
    text_body,
    write_entry,
)
from protocol.identity.author import NewPerson, create_person
from protocol.identity.drawing import renew_operation
from protocol.identity.log import load, parse_operation, sign_operation
from protocol.identity.reduction import Reduction
from protocol.limits import BACKUP_CHUNK_BYTES, BACKUP_IDS_MAX, BACKUP_RECEIPTS_MAX, BACKUP_RECORD_MAX
from protocol.messages import ENTRY_HEADER, Entry, SharedDrawn
from protocol.notes import Register, notes_of, state_body, write
from protocol.profile_header import CHEAPEST
from protocol.relay.rendezvous import key_text
from protocol.vectors.backup import ACTIONS, AREA
from protocol.vectors.frame import SUCCESS, Json, write_bytes
from tests.vectors.files import Group, Script, Seed, build_file, one_step
from tests.vectors.linking import wrong_drawn

NOTES: Final = {
    "Sealed": ("BASIC", "A content and its file, both ways."),
    "SamePassphrase": ("EDGE_CASE", "The same letters in another Unicode form."),
    "NoHeader": ("MALFORMED", "Not the one encoding of a header within its bounds."),
    "Newer": ("EDGE_CASE", "A later version, also where its shape is not known here."),
    "Commitment": ("AUTHENTICITY", "A wrong passphrase, or a header that its MAC does not fit."),
    "Chunks": ("AUTHENTICITY", "Chunks that were cut, swapped, repeated or taken from another file."),
    "Records": ("BASIC", "The records of a backup, whole and in pieces of other sizes."),
    "Order": ("MALFORMED", "Records out of their place."),
    "Fields": ("MALFORMED", "Fields that the codec accepts and this section does not."),
    "Drawn": ("AUTHENTICITY", "Drawn secrets that do not go with the person's log."),
    "Ending": ("MALFORMED", "Records or padding that do not end with the file."),
    "Size": ("RESOURCES", "A record that claims more bytes than one may have."),
    "Root": ("BASIC", "The root hash of a conversation, and of all."),
    "WrongRoot": ("AUTHENTICITY", "A root hash or a count that is not that of the entries."),
}
PASSPHRASE: Final = "Zo\u00eb und caf\u00e9"
DECOMPOSED: Final = "Zoe\u0308 und cafe\u0301"
TIME: Final = 1_767_225_600_000
_COST: Final = {"operations": CHEAPEST.operations, "memory_bytes": CHEAPEST.memory_bytes}
_END: Final = 1 << 30


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    return build_file(seed, NOTES, [*_files(seed), _records(seed), _roots(seed)])


# --- The sealed file ---


def _files(seed: Seed) -> Iterator[Group]:
    short = Group("21.1", {})
    data = b""
    for size in (0, 1, 200):
        content = write_bytes(seed.bytes("content")[:1] * size)
        script = Script(ACTIONS, Json())
        salt = seed.bytes(f"salt/{size}")[:16].hex()
        file = script.take("seal", passphrase=PASSPHRASE, salt=salt, content=content, **_COST)["file"]
        script.take("open", file=file, passphrase=PASSPHRASE)
        short.add(f"a content of {size} bytes", ["Sealed"], SUCCESS, script.steps)
        data = bytes.fromhex(file)
    steps = one_step(ACTIONS, Json(), "open", file=data.hex(), passphrase=DECOMPOSED)
    short.add("letters and accents apart", ["SamePassphrase"], SUCCESS, steps)
    for comment, flag, rule, error, file in _refused(data):
        step = {"do": "open", "file": file.hex(), "passphrase": PASSPHRASE}
        short.add(comment, [flag], error, [step], rule=rule)
    step = {"do": "open", "file": data.hex(), "passphrase": PASSPHRASE + "."}
    short.add("another passphrase", ["Commitment"], "authentication", [step], rule="V-BK-03")
    yield short
    yield _chunks(seed)


def _refused(data: bytes) -> Iterator[tuple[str, str, str, str, bytes]]:
    head, rest = data[: sealed.HEADER_SIZE], data[sealed.HEADER_SIZE :]
    whole = sealed.parse(head)

    def changed(**fields: Any) -> bytes:
        return encode(replace(whole, **fields)) + rest

    yield "nothing", "NoHeader", "V-BK-01", "malformed", b""
    yield "a header without its last byte", "NoHeader", "V-BK-01", "malformed", head[:-1]
    yield "another magic", "NoHeader", "V-BK-01", "malformed", changed(magic="parlour-backuP")
    yield "no pass", "NoHeader", "V-BK-01", "malformed", changed(operations=0)
    yield "11 passes", "NoHeader", "V-BK-01", "malformed", changed(operations=11)
    yield "less than 8 MiB", "NoHeader", "V-BK-01", "malformed", changed(memory_bytes=8 * 2**20 - 1)
    yield "more than 1 GiB", "NoHeader", "V-BK-01", "malformed", changed(memory_bytes=2**30 + 1)
    yield "version 0", "Newer", "V-BK-02", "malformed", changed(version=0)
    yield "version 2 of the same shape", "Newer", "V-BK-02", "malformed", changed(version=2)
    yield "version 3 of another shape", "Newer", "V-BK-02", "malformed", encode([sealed.MAGIC, 3, "x"])
    yield "another count of passes", "Commitment", "V-BK-03", "authentication", changed(operations=2)
    yield "another salt", "Commitment", "V-BK-03", "authentication", changed(salt=bytes(16))
    flipped = bytes([whole.mac[0] ^ 1]) + whole.mac[1:]
    yield "one bit of the MAC", "Commitment", "V-BK-03", "authentication", changed(mac=flipped)
    yield "a header alone", "Chunks", "V-BK-04", "malformed", head
    yield "a chunk of 15 bytes", "Chunks", "V-BK-04", "malformed", head + rest[:15]
    spoilt = rest[:-1] + bytes([rest[-1] ^ 1])
    yield "one bit of a chunk", "Chunks", "V-BK-05", "authentication", head + spoilt
    yield "a byte after the last chunk", "Chunks", "V-BK-05", "authentication", data + b"\x00"
    yield "without its last byte", "Chunks", "V-BK-05", "authentication", data[:-1]


def _chunks(seed: Seed) -> Group:
    """A file of three chunks, and what can be done to them."""
    salt, other = seed.bytes("salt/chunks")[:16], seed.bytes("salt/other")[:16]
    content = write_bytes(b"a" * BACKUP_CHUNK_BYTES + b"b" * BACKUP_CHUNK_BYTES + b"the end")
    given = {"passphrase": PASSPHRASE, "content": content} | _COST
    file = ACTIONS["seal"](Json(), given | {"salt": salt.hex()})["file"]
    foreign = bytes.fromhex(ACTIONS["seal"](Json(), given | {"salt": other.hex()})["file"])
    inputs = {"file": file + foreign[: sealed.HEADER_SIZE + sealed.SEALED_CHUNK_SIZE].hex()}
    group, size = Group("21.1", inputs), len(file) // 2
    head, first, second = (sealed.HEADER_SIZE + place * sealed.SEALED_CHUNK_SIZE for place in range(3))
    whole = [[0, size]]
    script = Script(ACTIONS, inputs)
    script.take("open", slices=whole, passphrase=PASSPHRASE)
    group.add("three chunks", ["Sealed"], SUCCESS, script.steps)
    for comment, slices in (
        ("without the last chunk", [[0, second]]),
        ("without the last two chunks", [[0, first]]),
        ("without the first chunk", [[0, head], [first, size]]),
        ("the first two chunks swapped", [[0, head], [first, second], [head, first], [second, size]]),
        ("the first chunk twice", [[0, first], [head, size]]),
        ("the last chunk before the second", [[0, first], [second, size], [first, second]]),
        ("the first chunk of another file", [[0, head], [size + sealed.HEADER_SIZE, _END], [first, size]]),
        ("the header of another file", [[size, size + sealed.HEADER_SIZE], [head, size]]),
        ("a last chunk cut to nothing", [[0, second], [second, second + 16]]),
    ):
        step = {"do": "open", "slices": slices, "passphrase": PASSPHRASE}
        short = comment == "a last chunk cut to nothing"
        rule, error = ("V-BK-04", "malformed") if short else ("V-BK-05", "authentication")
        group.add(comment, ["Chunks"], error, [step], rule=rule)
    return group


# --- Records ---


def person(seed: Seed, name: str) -> NewPerson:
    return create_person(name, seed.random(name))


def entry_of(seed: Seed, author: NewPerson, other: NewPerson, text: str, time: int = TIME) -> ParsedEntry:
    """A first entry of a person's terminal in the conversation with another one."""
    place = EntryPlace(
        conversation=conversation_of_two(author.person, other.person),
        author=author.terminal,
        incarnation=seed.bytes(f"incarnation/{text}")[:8],
        previous=None,
        parents=[],
        membership=[parse_operation(author.operations[1]).id],
    )
    draw = seed.random(f"salt/{text}")
    return write_entry(place, time, 1, text_body(text), author.self_key, draw)


def stored(entry: ParsedEntry, *, held: bool = True, **fields: Any) -> r.BackupEntry:
    salt, body = (entry.salt, entry.body) if held else (b"", b"")
    plain = r.BackupEntry(entry.header_bytes, salt, body, 0, False, False, [], [], [])
    return replace(plain, **fields)


@cache
def example(seed_phrase: str) -> tuple[r.Record, ...]:
    """The records of a backup with two contacts and three entries."""
    seed = Seed(seed_phrase, AREA)
    own, *others = (person(seed, name) for name in ("Own", "One", "Two"))
    others.sort(key=lambda other: conversation_of_two(own.person, other.person))
    entries = [
        entry_of(seed, own, others[0], "hello"),
        entry_of(seed, others[0], own, "good morning", TIME + 1),
        entry_of(seed, own, others[1], "gone", TIME + 2),
    ]
    receipt = r.BackupReceipt(others[0].terminal, 1, TIME + 5)
    relay, renew, secret = seed.bytes("relay")[:31] + bytes(1), *_renewed(seed, own)
    drawn = [SharedDrawn(own.person, own.drawn), SharedDrawn(parse_operation(renew).id, secret)]
    drawn.sort(key=lambda one: one.operation)
    made: list[r.Record] = [
        r.BackupStart(own.person, own.terminal, TIME, seed.bytes("recovery"), drawn),
        r.BackupLog(own.person, [*own.operations, renew]),
        *(r.BackupLog(one.person, list(one.operations)) for one in others),
        r.BackupPin(own.person, seed.bytes("pin"), True),
    ]
    comparison = r.BackupComparison(True, TIME, others[0].person, [others[0].terminal])
    vouchers = [r.BackupVoucher(own.terminal, True)]
    made += [
        r.BackupContact(
            others[0].person, "One", "", True, False, False, TIME, True, False, [comparison], vouchers
        ),
        r.BackupContact(others[1].person, "Two", "Second", False, True, True, TIME, False, True, [], []),
        r.BackupProof(others[0].person, seed.bytes("static")),
        r.BackupSetting("typing", "off"),
        r.BackupRelay(f"parlour-relay:relay.example:4748#{key_text(relay)}", False, TIME),
        r.BackupDeletions(1, sorted([seed.bytes("deleted 1"), seed.bytes("deleted 2")])),
        r.BackupDeletions(4, [seed.bytes("deleted on all")]),
        *_talk(own.person, others[0].person, [stored(entries[0], receipts=[receipt]), stored(entries[1])]),
        *_talk(own.person, others[1].person, [stored(entries[2], held=False, deleted=1)]),
    ]
    return (*made, _ended(made))


def _renewed(seed: Seed, own: NewPerson) -> tuple[bytes, bytes]:
    """A Renew of a person, signed, and the secret that it draws."""
    random = seed.random("renew")
    secret, reduction = random(32), Reduction(load(own.operations))
    renew = renew_operation(reduction, own.terminal, own.self_key, secret, random)
    return sign_operation(renew, own.signing_seed), secret


def _talk(own: bytes, other: bytes, entries: Sequence[r.BackupEntry]) -> Iterator[r.Record]:
    yield r.BackupConversation(other)
    root = RootHash(conversation_of(own, other))
    for entry in entries:
        parsed = parse_entry(Entry(entry.header, entry.salt, entry.body))
        root.add(parsed.id, parsed.header.content if entry.salt else NOT_HELD)
        yield entry
    yield r.BackupRoot(root.count, root.root)


def _ended(made: Sequence[r.Record]) -> r.BackupEnd:
    start = made[0]
    assert isinstance(start, r.BackupStart)
    found, contact = list[tuple[bytes, bytes]](), b""
    for record in made:
        if isinstance(record, r.BackupConversation):
            contact = record.contact
        elif isinstance(record, r.BackupRoot):
            found.append((conversation_of(start.person, contact), record.root))
    entries = sum(isinstance(record, r.BackupEntry) for record in made)
    return r.BackupEnd(entries, history_root(found))


def content_of(records: Sequence[r.Record]) -> bytes:
    """The content of a file with these records, padded."""
    data = b"".join(map(r.write_record, records))
    return data + bytes(r.padding(len(data)))


def _records(seed: Seed) -> Group:
    group, good = Group("21.1", {}), list(example(seed.phrase))
    content = write_bytes(content_of(good))
    for pieces in (BACKUP_CHUNK_BYTES, 7):
        steps = one_step(ACTIONS, Json(), "read", content=content, pieces=pieces)
        group.add(f"all records, in pieces of {pieces}", ["Records"], SUCCESS, steps)
    bare = [good[0], good[1]]
    assert isinstance(good[0], r.BackupStart)
    bare[0] = replace(good[0], recovery=b"")
    steps = one_step(ACTIONS, Json(), "read", content=write_bytes(content_of([*bare, _ended(bare)])))
    group.add("a person without contacts", ["Records"], SUCCESS, steps)
    genesis = [replace(good[0], drawn=[one for one in good[0].drawn if one.operation == good[0].person])]
    steps = one_step(ACTIONS, Json(), "read", content=write_bytes(content_of([*genesis, *good[1:]])))
    group.add("the secret of the genesis alone", ["Records"], SUCCESS, steps)
    own = person(seed, "Own")
    noted = content_of(_with_talk(good, own.person, _notes(seed, own)))
    steps = one_step(ACTIONS, Json(), "read", content=write_bytes(noted))
    group.add("the person's notes, in which states are without body", ["Records"], SUCCESS, steps)
    for comment, records in _largest(seed, good):
        steps = one_step(ACTIONS, Json(), "read", content=write_bytes(content_of(records)))
        group.add(comment, ["Records"], SUCCESS, steps)
    for comment, flag, rule, error, data in (
        *_too_many(seed, good),
        *_wrong_order(good),
        *_wrong_fields(good),
        *_wrong_secrets(good),
        *_wrong_notes(seed, good),
        *_wrong_end(good),
    ):
        step = {"do": "read", "content": write_bytes(data)}
        group.add(comment, [flag], error, [step], rule=rule)
    return group


def _notes(seed: Seed, own: NewPerson) -> list[r.BackupEntry]:
    """A text of the person to itself, after a state that is held without what it says."""
    state = _note_of(seed, own, KIND_STATE, _STATE)
    text = _note_of(seed, own, KIND_TEXT, text_body("milk"), state)
    return [stored(state, held=False), stored(text)]


_STATE: Final = state_body([write(Register.RETIRED, bytes(32))])


def _note_of(
    seed: Seed,
    own: NewPerson,
    kind: int,
    body: bytes,
    after: ParsedEntry | None = None,
    conversation: bytes = b"",
) -> ParsedEntry:
    place = EntryPlace(
        conversation=conversation or notes_of(own.person),
        author=own.terminal,
        incarnation=seed.bytes("incarnation/notes")[:8],
        previous=None if after is None else (after.header.sequence, after.id),
        parents=[],
        membership=[parse_operation(own.operations[1]).id],
    )
    return write_entry(place, TIME, kind, body, own.self_key, seed.random(f"salt/note {kind}"))


def _with_talk(good: Sequence[r.Record], other: bytes, entries: Sequence[r.BackupEntry]) -> list[r.Record]:
    """All records, with another conversation in its place."""
    start = good[0]
    assert isinstance(start, r.BackupStart)
    begin, talks = _places(good, r.BackupConversation), list[tuple[bytes, list[r.Record]]]()
    for at, stop in zip(begin, [*begin[1:], len(good) - 1], strict=True):
        first = good[at]
        assert isinstance(first, r.BackupConversation)
        talks.append((conversation_of(start.person, first.contact), list(good[at:stop])))
    talks.append((conversation_of(start.person, other), list(_talk(start.person, other, entries))))
    made = [*good[: begin[0]], *(one for _, some in sorted(talks, key=lambda each: each[0]) for one in some)]
    return [*made, _ended(made)]


def _wrong_notes(seed: Seed, good: Sequence[r.Record]) -> Iterator[_Wrong]:
    own, fields = person(seed, "Own"), ("Fields", "V-BK-09", "malformed")
    state = _note_of(seed, own, KIND_STATE, _STATE)
    yield "what a state says", *fields, content_of(_with_talk(good, own.person, [stored(state)]))
    text, foreign = _notes(seed, own)[1], _all(good, r.BackupEntry)[0]
    yield "an entry of two in the notes", *fields, content_of(_with_talk(good, own.person, [text, foreign]))
    contact = _all(good, r.BackupConversation)[0].contact
    alone = _note_of(seed, own, KIND_STATE, _STATE, conversation=conversation_of(own.person, contact))
    place = _places(good, r.BackupEntry)[0]
    made = [*good[:place], stored(alone, held=False), *good[place + 1 :]]
    yield "a state in a conversation of two", *fields, content_of(made)
    twice = _with_talk(_with_talk(good, own.person, [text]), own.person, [text])
    yield "the notes twice", "Order", "V-BK-08", "malformed", content_of(twice)


def _ids(seed: Seed, count: int) -> list[bytes]:
    return sorted(seed.bytes(f"many/{number}") for number in range(count))


def _bare(good: Sequence[r.Record], *others: r.Record) -> list[r.Record]:
    """A person without conversations, and other records."""
    made = [good[0], good[1], *others]
    return [*made, _ended(made)]


def _received(seed: Seed, good: Sequence[r.Record], count: int) -> list[r.Record]:
    """All records, and in the first entry so many receipts."""
    place, made = _places(good, r.BackupEntry)[0], list(good)
    receipts = [r.BackupReceipt(terminal, 1, TIME) for terminal in _ids(seed, count)]
    made[place] = replace(good[place], receipts=receipts)
    return made


def _largest(seed: Seed, good: Sequence[r.Record]) -> Iterator[tuple[str, list[r.Record]]]:
    yield "as many ids as may be", _bare(good, r.BackupDeletions(1, _ids(seed, BACKUP_IDS_MAX)))
    yield "as many receipts as may be", _received(seed, good, BACKUP_RECEIPTS_MAX)


def _too_many(seed: Seed, good: Sequence[r.Record]) -> Iterator[_Wrong]:
    ids = r.BackupDeletions(1, _ids(seed, BACKUP_IDS_MAX + 1))
    refused = "Size", "V-BK-07", "malformed"
    yield "one id too many", *refused, content_of(_bare(good, ids))
    for how in (0, 256):
        wrong = r.BackupDeletions(how, ids.ids[:1])
        yield f"deletions of kind {how}", *refused, content_of(_bare(good, wrong))
    yield "one receipt too many", *refused, content_of(_received(seed, good, BACKUP_RECEIPTS_MAX + 1))
    zeros = BACKUP_RECORD_MAX.to_bytes(4) + bytes(BACKUP_RECORD_MAX)
    yield "as many bytes as a record may have, and no record", *refused, zeros


_Wrong = tuple[str, str, str, str, bytes]


def _places(good: Sequence[r.Record], kind: type) -> list[int]:
    return [place for place, record in enumerate(good) if isinstance(record, kind)]


T = TypeVar("T")


def _all(good: Sequence[r.Record], kind: type[T]) -> list[T]:
    return [record for record in good if isinstance(record, kind)]


def _without(good: Sequence[r.Record], *places: int) -> list[r.Record]:
    return [record for place, record in enumerate(good) if place not in places]


def _wrong_order(good: Sequence[r.Record]) -> Iterator[_Wrong]:
    def wrong(comment: str, made: Sequence[r.Record]) -> _Wrong:
        return comment, "Order", "V-BK-08", "malformed", content_of(made)

    logs, contacts = _places(good, r.BackupLog), _places(good, r.BackupContact)
    talks, roots = _places(good, r.BackupConversation), _places(good, r.BackupRoot)
    yield wrong("without the start", good[1:])
    yield wrong("two starts", [good[0], *good])
    yield wrong("without any log", _without(good, *logs))
    yield wrong("without the person's own log", _without(good, logs[0], _places(good, r.BackupPin)[0]))
    yield wrong("a contact without its log", _without(good, logs[1]))
    yield wrong("a pin without its log", _pinned(good))
    yield wrong("a contact twice", [*good[: contacts[1]], good[contacts[0]], *good[contacts[1] :]])
    yield wrong("a conversation without its contact", _without(good, contacts[1]))
    yield wrong(
        "a setting before a contact", [*good[: contacts[0]], r.BackupSetting("a", "b"), *good[contacts[0] :]]
    )
    yield wrong("a conversation in a conversation", _without(good, roots[0]))
    yield wrong("entries without their conversation", _without(good, talks[0]))
    swapped = [*good[: talks[0]], *good[talks[1] : -1], *good[talks[0] : talks[1]], good[-1]]
    yield wrong("conversations in another order", swapped)
    yield wrong("an entry twice", _twice(good))


def _twice(good: Sequence[r.Record]) -> list[r.Record]:
    """The first entry is repeated, with the count and the roots of that."""
    start, talk = good[0], _places(good, r.BackupConversation)[0]
    assert isinstance(start, r.BackupStart)
    end = _places(good, r.BackupRoot)[0]
    entries, conversation = [good[talk + 1], *good[talk + 1 : end]], _all(good, r.BackupConversation)[0]
    root = RootHash(conversation_of_two(start.person, conversation.contact))
    for entry in entries:
        assert isinstance(entry, r.BackupEntry)
        parsed = parse_entry(Entry(entry.header, entry.salt, entry.body))
        root.add(parsed.id, parsed.header.content)
    made = [*good[: talk + 1], *entries, r.BackupRoot(root.count, root.root), *good[end + 1 : -1]]
    return [*made, _ended(made)]


def _pinned(good: Sequence[r.Record]) -> list[r.Record]:
    place = _places(good, r.BackupPin)[0]
    return [*good[:place], r.BackupPin(bytes(32), bytes(32), False), *good[place + 1 :]]


def _wrong_fields(good: Sequence[r.Record]) -> Iterator[_Wrong]:
    def wrong(comment: str, kind: type, **fields: Any) -> _Wrong:
        place = _places(good, kind)[0]
        made = [*good[:place], replace(good[place], **fields), *good[place + 1 :]]
        return comment, "Fields", "V-BK-09", "malformed", content_of(made)

    log, deletions = _all(good, r.BackupLog)[1], _all(good, r.BackupDeletions)[0]
    first, _, third = _all(good, r.BackupEntry)
    yield wrong("a recovery seed of 31 bytes", r.BackupStart, recovery=bytes(31))
    yield wrong("an operation of another log", r.BackupLog, operations=log.operations)
    yield wrong("ids that are not ascending", r.BackupDeletions, ids=deletions.ids[::-1])
    yield wrong("an entry of another conversation", r.BackupEntry, header=third.header, salt=b"", body=b"")
    yield wrong("a deleted entry with its body", r.BackupEntry, deleted=1)
    yield wrong("what a cut said that is not deleted", r.BackupEntry, cut=[bytes(32)])
    yield wrong("a receipt twice", r.BackupEntry, receipts=first.receipts * 2)
    yield wrong("a name that turns text", r.BackupContact, name="One\u202e")
    two = [r.BackupVoucher(bytes([byte]) * 32, False) for byte in (2, 1)]
    yield wrong("terminals that vouch and are not ascending", r.BackupContact, vouchers=two)
    yield wrong("a petname of two lines", r.BackupContact, petname="One\nTwo")
    yield wrong("a relay without its key", r.BackupRelay, address="parlour-relay:relay.example:4748#")
    header = ENTRY_HEADER.decode(first.header)
    ends = replace(header, timer=60, until=header.time + 60_000)
    yield wrong("a body that ends", r.BackupEntry, header=encode(ends))
    spoilt = r.write_record(good[1])[:-1] + b"\x00"
    data = r.write_record(good[0]) + len(spoilt[4:]).to_bytes(4) + spoilt[4:]
    longer = r.write_record(good[0]) + (len(spoilt) - 3).to_bytes(4) + r.write_record(good[1])[4:] + b"\x00"
    unknown = encode([99])
    yield "a byte after a record", "Fields", "V-BK-07", "malformed", longer
    yield (
        "a record of an unknown number",
        "Fields",
        "V-BK-07",
        "malformed",
        len(unknown).to_bytes(4) + unknown,
    )
    yield (
        "a record of more bytes than one may have",
        "Size",
        "V-BK-06",
        "limit",
        data[:0] + (BACKUP_RECORD_MAX + 1).to_bytes(4),
    )


def _wrong_secrets(good: Sequence[r.Record]) -> Iterator[_Wrong]:
    start, log = good[0], _all(good, r.BackupLog)[0]
    assert isinstance(start, r.BackupStart)
    for rule, error, comment, drawn in wrong_drawn(log.operations, start.drawn):
        yield comment, "Drawn", rule, error, content_of([replace(start, drawn=drawn), *good[1:]])


def _wrong_end(good: Sequence[r.Record]) -> Iterator[_Wrong]:
    whole = b"".join(map(r.write_record, good))
    padded = content_of(good)
    assert len(padded) > len(whole), "a content with padding"
    malformed = "Ending", "V-BK-10", "malformed"
    yield "nothing", *malformed, b""
    yield "without the end", *malformed, whole[: -len(r.write_record(good[-1]))]
    yield "without the padding", *malformed, whole
    yield "a byte too little", *malformed, padded[:-1]
    yield "a byte too much", *malformed, padded + b"\x00"
    yield "padding that is not zero", *malformed, padded[:-1] + b"\x01"
    yield "a second end", *malformed, whole + r.write_record(good[-1])
    wrong = "WrongRoot", "V-BK-11", "authentication"
    root, end = _all(good, r.BackupRoot)[0], _all(good, r.BackupEnd)[0]
    place = _places(good, r.BackupRoot)[0]
    for comment, changed in (
        ("another root", replace(root, root=bytes(32))),
        ("another count", replace(root, count=3)),
    ):
        yield comment, *wrong, content_of([*good[:place], changed, *good[place + 1 :]])
    yield "another root of all", *wrong, content_of([*good[:-1], replace(end, root=bytes(32))])
    yield "another count at the end", *wrong, content_of([*good[:-1], replace(end, entries=4)])
    entries = _places(good, r.BackupEntry)
    yield "an entry left out", *wrong, content_of(_without(good, entries[0]))
    swapped = [*good]
    swapped[entries[0]], swapped[entries[1]] = swapped[entries[1]], swapped[entries[0]]
    yield "two entries swapped", *wrong, content_of(swapped)


def _roots(seed: Seed) -> Group:
    group = Group("21.1", {})
    ids = [{"id": seed.bytes(f"id/{n}").hex(), "content": seed.bytes(f"content/{n}").hex()} for n in range(3)]
    conversation = seed.bytes("conversation").hex()
    missing = [ids[0], ids[1] | {"content": ""}, ids[2]]
    for comment, entries in (
        ("no entry", []),
        ("one entry", ids[:1]),
        ("three entries", ids),
        ("one without its body", missing),
    ):
        steps = one_step(ACTIONS, Json(), "root", conversation=conversation, entries=entries)
        group.add(comment, ["Root"], SUCCESS, steps)
    pairs = [
        {"conversation": seed.bytes(f"c/{n}").hex(), "root": seed.bytes(f"r/{n}").hex()} for n in range(3)
    ]
    empty = {"conversation": conversation, "root": RootHash(bytes.fromhex(conversation)).root.hex()}
    for comment, roots in (
        ("no conversation", []),
        ("three conversations, in any order", pairs),
        ("a conversation without an entry, which changes nothing", [*pairs, empty]),
    ):
        steps = one_step(ACTIONS, Json(), "history", roots=roots)
        group.add(comment, ["Root"], SUCCESS, steps)
    return group
