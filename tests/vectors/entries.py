"""Makes the vectors of entries: what is written, what form and trust refuse, the order of entries (SPEC §11).

Ids of persons and terminals are bytes of the seed, since an entry needs no log. A refused entry is right
but for its one fault, self tag and content included. Changed fields of a header, with a true self tag, make
what no honest terminal would write; the order covers such entries too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from protocol import labels
from protocol.bots import bot_body
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_STATE,
    KIND_TEXT,
    KIND_TIMER,
    EntryPlace,
    ParsedEntry,
    Signed,
    conversation_of_two,
    cut_body,
    delete_body,
    edit_body,
    parse_entry,
    self_tag,
    sign_entry,
    take_entry,
    text_body,
    timer_body,
    write_entry,
)
from protocol.limits import (
    BODY_BYTES_MAX,
    BOT_COMMAND_CHARACTERS_MAX,
    BOT_COMMANDS_MAX,
    BOT_DESCRIPTION_CHARACTERS_MAX,
    CUTS_MAX,
    DELETED_IDS_MAX,
    HEADER_BYTES_MAX,
    SEQUENCE_FOLLOWED_MAX,
    TEXT_CHARACTERS_MAX,
    TIMER_SECONDS_MAX,
    UNREAD_SECONDS_MAX,
)
from protocol.messages import (
    MESSAGE,
    BotBody,
    BotCommand,
    ContactValue,
    CutBody,
    CutHead,
    DeleteBody,
    EditBody,
    Entry,
    EntryHeader,
    PairingValue,
    PetnameValue,
    SharedComparison,
    SharedRelay,
    SharedRoot,
    SharedSetting,
    SharedShare,
    StandingValue,
    StateBody,
    StateWrite,
    SwitchValue,
    TextBody,
    TimerBody,
)
from protocol.notes import Register, deletion, notes_of, state_body, write
from protocol.primitives import b2b, ed25519_from_seed
from protocol.relay.rendezvous import RelayAddress
from protocol.vectors.entries import ACTIONS, AREA
from protocol.vectors.frame import SUCCESS, Json, write_bytes
from tests.vectors.files import Group, Seed, build_file, one_step

TIME = 1_795_000_000_000
"""Unix time in milliseconds."""


class Talk:
    """Two persons, `own` who reads and `their`, with a terminal each, and what was said."""

    def __init__(self, seed: Seed, label: str) -> None:
        self.seed, self.label = seed, label
        self.own, self.their = seed.bytes(f"{label} own"), seed.bytes(f"{label} their")
        self.conversation = conversation_of_two(self.own, self.their)
        self.entries: dict[str, ParsedEntry] = {}

    def terminal(self, whose: str) -> bytes:
        """The id of a terminal, 32 bytes."""
        return self.seed.bytes(f"{self.label} {whose} terminal")

    def self_key(self, whose: str) -> bytes:
        """The self key of a person, 32 bytes."""
        return self.seed.bytes(f"{self.label} {whose.removesuffix(' second')} self key")

    def place(self, whose: str, after: str = "", parents: Sequence[str] = (), **changed: Any) -> EntryPlace:
        """Where an author's next entry stands: `after` its previous one, `parents` other tips, by name."""
        previous = self.entries[after] if after else None
        values = {
            "conversation": self.conversation,
            "author": self.terminal(whose),
            "incarnation": self.seed.bytes(f"{self.label} {whose} incarnation")[:8],
            "previous": previous and (previous.header.sequence, previous.id),
            "parents": [self.entries[name].id for name in parents],
            "membership": [self.seed.bytes(f"{self.label} {whose} head")],
        }
        return EntryPlace(**(values | changed))

    def write(
        self,
        name: str,
        whose: str,
        after: str = "",
        parents: Sequence[str] = (),
        *,
        ms: int = 0,
        timer: int = 0,
        **changed: Any,
    ) -> ParsedEntry:
        """`whose` terminal writes `name` as its text, `ms` after TIME."""
        place = self.place(whose, after, parents, **changed)
        return self._keep(name, whose, place, ms, KIND_TEXT, text_body(name), timer)

    def time(
        self, name: str, whose: str, after: str, seconds: int, parents: Sequence[str] = (), *, ms: int = 0
    ) -> ParsedEntry:
        """`whose` terminal sets the timer of the conversation, `ms` after TIME."""
        place = self.place(whose, after, parents)
        return self._keep(name, whose, place, ms, KIND_TIMER, timer_body(seconds))

    def declare(
        self, name: str, whose: str, after: str, *commands: str, bot: bool = True, ms: int = 0
    ) -> None:
        """`whose` person declares whether it is a bot, with these commands, `ms` after TIME."""
        body = BotBody(bot, [BotCommand(one, f"does {one}, 小雨") for one in commands])
        self._keep(name, whose, self.place(whose, after), ms, KIND_BOT, bot_body(body))

    def cut(self, name: str, whose: str, after: str, removed: str, *ends: str) -> ParsedEntry:
        """`whose` terminal cuts the entries of `removed` behind those with the names `ends`."""
        headers = [(self.entries[end].header, self.entries[end].id) for end in ends]
        heads = [CutHead(header.incarnation, header.sequence, entry) for header, entry in headers]
        body = cut_body(self.terminal(removed), heads)
        return self._keep(name, whose, self.place(whose, after), 0, KIND_CUT, body)

    def delete(self, name: str, whose: str, after: str, *names: str) -> ParsedEntry:
        """`whose` terminal deletes entries for everyone."""
        body = delete_body(self.entries[one].id for one in names)
        return self._keep(name, whose, self.place(whose, after), 0, KIND_DELETE, body)

    def edit(self, name: str, whose: str, after: str, original: str, ms: int = 0) -> ParsedEntry:
        """`whose` terminal lets an entry say `name`."""
        body = edit_body(self.entries[original].id, name)
        return self._keep(name, whose, self.place(whose, after), ms, KIND_EDIT, body)

    def _keep(
        self, name: str, whose: str, place: EntryPlace, ms: int, kind: int, body: bytes, timer: int = 0
    ) -> ParsedEntry:
        salt, key = self.salt(name), self.self_key(whose)
        entry = write_entry(place, TIME + ms, kind, body, key, lambda size: salt[:size], timer)
        self.entries[name] = entry
        return entry

    @property
    def lost_key(self) -> bytes:
        """A self key that not each terminal of this person has."""
        return self.seed.bytes(f"{self.label} lost self key")

    def lost(self, name: str, whose: str, after: str, **changed: Any) -> ParsedEntry:
        """`write` under the lost self key."""
        self.write(name, whose, after, **changed)
        header = replace(self.entries[name].header, self_tag=b"")
        header = replace(header, self_tag=self_tag(header, self.lost_key))
        entry = self.entries[name]
        self.entries[name] = parse_entry(Entry(encode(header), entry.salt, entry.body))
        return self.entries[name]

    def salt(self, name: str) -> bytes:
        """The salt of an entry, 16 bytes."""
        return self.seed.bytes(f"{self.label} salt {name}")[:16]

    def changed(self, name: str, whose: str = "their", **fields: Any) -> EntryHeader:
        """The header of an entry with other fields, and a true self tag unless that is among them."""
        header = replace(self.entries[name].header, **fields)
        if "self_tag" not in fields:
            header = replace(header, self_tag=self_tag(header, self.self_key(whose)))
        return header

    def altered(self, name: str, whose: str = "their", **fields: Any) -> bytes:
        """The message of an entry whose header has other fields."""
        entry = self.entries[name]
        return encode(Entry(encode(self.changed(name, whose, **fields)), entry.salt, entry.body))

    def bears(self, name: str, new: str, **fields: Any) -> None:
        """Keep, under a new name, an entry whose header has other fields."""
        entry = self.entries[name]
        header = encode(self.changed(name, **fields))
        self.entries[new] = parse_entry(Entry(header, entry.salt, entry.body))

    def message(self, name: str) -> bytes:
        """The encoded message of an entry."""
        return encode(self.entries[name].message())

    def named(self) -> Json:
        """All entries as they stand in a file: encoded messages in hex by their names."""
        return {name: self.message(name).hex() for name in self.entries}


NOTES: Final = {
    "Last": ("EDGE_CASE", "Which entry the next one of an author names as previous."),
    "Written": ("BASIC", "An entry from its parts: body, content, self tag, header, id."),
    "Read": ("BASIC", "An entry of the right form."),
    "Deleted": ("EDGE_CASE", "Salt and body are gone; header, id and place stay."),
    "BadHeader": ("MALFORMED", "A header that no correct author makes."),
    "BadBody": ("MALFORMED", "Salt and body of another form."),
    "OtherContent": ("AUTHENTICITY", "Salt and body are not those of the header."),
    "LaterKind": ("VERSION", "A kind that this version does not know, with an opaque body."),
    "Accepted": ("BASIC", "An entry that counts."),
    "NotTheirs": ("AUTHENTICITY", "An entry of somebody who may not say it here."),
    "Invented": ("AUTHENTICITY", "An entry in this person's name that this person never wrote."),
    "Quarantine": ("AUTHENTICITY", "Which entries of a removed terminal count."),
    "Cut": ("AUTHENTICITY", "Up to where the entries of a removed terminal count."),
    "Claimed": ("AUTHENTICITY", "An entry of this person's terminal that nothing shows to be its own."),
    "Signed": ("AUTHENTICITY", "What the signature of an entry shows among own terminals."),
    "Forged": ("AUTHENTICITY", "A signature of an entry that is not the one it must be."),
    "Claims": ("AUTHENTICITY", "Which entries nothing shows to be this person's, and those named."),
    "Uncovered": ("AUTHENTICITY", "Which entries the contact has not stood for."),
    "Amend": ("BASIC", "What deletes and edits make of entries."),
    "Order": ("BASIC", "Order and tips of what is held."),
    "Notes": ("BASIC", "What the terminals of one person share."),
    "Lines": ("BASIC", "What a person sees of what it wrote to itself."),
    "BadNote": ("MALFORMED", "An entry that has no place in the notes."),
    "BadState": ("MALFORMED", "Writes of registers that no correct author makes."),
    "BadTimer": ("MALFORMED", "A timer or an end that no correct author writes."),
    "Bot": ("BASIC", "What a person declares of itself as a bot."),
    "BadBot": ("MALFORMED", "A declaration of a bot that no correct author writes."),
    "Timer": ("BASIC", "The timer of a conversation."),
    "End": ("BASIC", "When an entry with a timer ends."),
}
Wrong = tuple[str, str, str, str, Any]
"""Rule, class, comment, flag, the message as it stands in the file."""


# --- Written ---


def _written(seed: Seed) -> Group:
    group, talk = Group("11.1", {}), Talk(seed, "written")
    persons = {"own_person": talk.own.hex(), "their_person": talk.their.hex()}
    turned = {"own_person": talk.their.hex(), "their_person": talk.own.hex()}
    for comment, given in (("the conversation of two", persons), ("the same from the other end", turned)):
        group.add(comment, ["Written"], SUCCESS, one_step(ACTIONS, {}, "conversation", **given))
    tips = [seed.bytes(f"tip {n}").hex() for n in range(20)]
    previous = {"sequence": 7, "id": seed.bytes("previous").hex()}
    base = {
        "conversation": talk.conversation.hex(),
        "author": talk.terminal("own").hex(),
        "incarnation": seed.bytes("incarnation")[:8].hex(),
        "membership": [seed.bytes("head").hex()],
        "self_key": talk.self_key("own").hex(),
        "salt": talk.salt("written").hex(),
        "previous": None, "tips": [], "time": TIME, "text": "Hello", "reply": "", "timer": 0,
    }  # fmt: skip
    for comment, changes in (
        ("a first entry", {}),
        ("an answer to another's entry", {"tips": tips[:1], "reply": tips[0], "text": "小雨 🎈"}),
        ("a later entry, its previous one a tip as well",
         {"previous": previous, "tips": [*tips[:2], previous["id"]]}),
        ("of twenty tips, the last one first, sixteen are named", {"previous": previous, "tips": tips}),
        ("two heads, given in no order", {"membership": [seed.bytes(f"head {n}").hex() for n in range(3)]}),
        ("a timer of an hour", {"timer": 3_600}),
        ("the longest timer", {"timer": TIMER_SECONDS_MAX}),
        ("the greatest sequence and time",
         {"previous": {"sequence": 2**53 - 2, "id": previous["id"]}, "time": 2**48 - 1}),
    ):  # fmt: skip
        group.add(comment, ["Written"], SUCCESS, one_step(ACTIONS, {}, "write", **(base | changes)))
    return group


# --- Form ---


def _talk(seed: Seed) -> Talk:
    talk = Talk(seed, "form")
    talk.write("first", "their")
    talk.write("own", "own", parents=["first"])
    talk.write("second", "their", "first", ["own"])
    return talk


def _read(seed: Seed) -> Group:
    group, talk = Group("11.2", {}), _talk(seed)
    longest = text_body("é" * TEXT_CHARACTERS_MAX)
    cases = {
        "a first entry": write_bytes(talk.message("first")),
        "a later entry": write_bytes(talk.message("second")),
        "the longest text": write_bytes(_with_body(talk, longest)),
        "a reply": write_bytes(_with_body(talk, text_body("Yes", talk.entries["first"].id))),
    }
    for comment, message in cases.items():
        group.add(comment, ["Read"], SUCCESS, one_step(ACTIONS, {}, "parse", message=message))
    for comment, message in _later_kinds(talk).items():
        group.add(comment, ["LaterKind"], SUCCESS, one_step(ACTIONS, {}, "parse", message=message))
    talk.cut("cut", "their", "second", "own", "own")
    steps = one_step(ACTIONS, {}, "parse", message=talk.message("cut").hex())
    group.add("a cut", ["Read"], SUCCESS, steps)
    talk.write("timed", "their", "second", timer=30)
    talk.time("timer", "their", "second", 3_600)
    talk.time("off", "their", "second", 0)
    talk.declare("bot", "their", "second", "echo", "time-of-day", "x_2")
    talk.declare("no bot", "their", "second", bot=False)
    read, latest = TIME + 30_000, TIME + 30_000 + UNREAD_SECONDS_MAX * 1_000
    for comment, message in {
        "an entry with a timer": talk.message("timed").hex(),
        "an entry that sets the timer": talk.message("timer").hex(),
        "an entry that ends the timer": talk.message("off").hex(),
        "an entry that declares a bot": talk.message("bot").hex(),
        "an entry that declares no bot": talk.message("no bot").hex(),
        "the earliest end": _alone(talk, timer=30, until=read),
        "the latest end": _alone(talk, timer=30, until=latest),
        "a later kind with a timer": _alone(talk, timer=30, until=latest, kind=200),
    }.items():
        group.add(comment, ["Read"], SUCCESS, one_step(ACTIONS, {}, "parse", message=message))
    for comment, writes in _states(talk).items():
        message = write_bytes(_with_body(talk, state_body(writes), kind=KIND_STATE))
        group.add(comment, ["Notes"], SUCCESS, one_step(ACTIONS, {}, "parse", message=message))
    talk.delete("delete", "their", "second", "first", "second")
    talk.edit("edit", "their", "delete", "first")
    for name in ("delete", "edit"):
        steps = one_step(ACTIONS, {}, "parse", message=talk.message(name).hex())
        group.add(f"an entry of kind {talk.entries[name].header.kind}", ["Read"], SUCCESS, steps)
    second = talk.entries["second"]
    gone = encode(Entry(second.header_bytes, b"", b""))
    steps = one_step(ACTIONS, {}, "parse", message=gone.hex())
    group.add("a later entry without salt and body has the same id", ["Deleted"], SUCCESS, steps)
    return group


def _with_body(talk: Talk, body: bytes, salt: bytes | None = None, kind: int = KIND_TEXT) -> bytes:
    """The first entry's message with another body, which its content fits."""
    salt = talk.salt("first") if salt is None else salt
    content = b2b(salt + body, personal=labels.CONTENT)
    header = encode(talk.changed("first", content=content, kind=kind))
    return encode(Entry(header, salt, body))


def _later_kinds(talk: Talk) -> Json:
    """Bodies that no text has."""
    bodies = {
        "the body of a text": talk.entries["first"].body,
        "an empty body": b"",
        "a body that is no encoding": b"\xc1\xff",
        "the largest body": bytes(BODY_BYTES_MAX),
    }
    found = {
        f"kind {kind} with {name}": write_bytes(_with_body(talk, body, kind=kind))
        for kind, (name, body) in zip((0, 31, 32, 255), bodies.items(), strict=True)
    }
    alone = encode(talk.changed("first", kind=200))
    return found | {"kind 200, a header alone": encode(Entry(alone, b"", b"")).hex()}


def _refused_forms(seed: Seed) -> Group:
    group, talk = Group("11.2", {}), _talk(seed)
    for cases in (_encodings, _fields, _bodies, _later_bodies):
        for rule, expect, comment, flag, message in cases(talk):
            group.add(comment, [flag], expect, [{"do": "parse", "message": message}], rule=rule)
    step = {"do": "header", "header": write_bytes(bytes(HEADER_BYTES_MAX + 1))}
    group.add("a header of 2,049 bytes, alone", ["BadHeader"], "limit", [step], rule="V-CD-01")
    return group


def _encodings(talk: Talk) -> Iterator[Wrong]:
    first = talk.entries["first"]
    header, rule = first.header_bytes, ("V-ET-01", "malformed")

    def carried(header: bytes) -> Any:
        return write_bytes(encode(Entry(header, first.salt, first.body)))

    # A fixarray of 13; conversation, author and incarnation take 34, 34 and 10 bytes.
    sequence = 1 + 34 + 34 + 10
    longer = header[:sequence] + b"\xcc" + header[sequence:]
    for comment, wrong in {
        "an empty header": b"",
        "a byte after the header": header + b"\x00",
        "the header without its last field": b"\x9c" + header[1:-34],
        "a sequence in a longer encoding": longer,
        "an incarnation of 7 bytes": encode(talk.changed("first", incarnation=bytes(7))),
        "a conversation of 31 bytes": encode(talk.changed("first", conversation=bytes(31))),
        "a previous of 33 bytes": encode(talk.changed("second", previous=bytes(33))),
        "a sequence of 2^53": encode(talk.changed("second", sequence=2**53)),
        "a time of 2^48": encode(talk.changed("first", time=2**48)),
        "a kind of 256": encode(talk.changed("first", kind=256)),
        "a timer of a year and a second": encode(talk.changed("first", timer=TIMER_SECONDS_MAX + 1)),
        "an end of 2^53": encode(talk.changed("first", timer=1, until=2**53)),
        "17 parents": encode(talk.changed("first", parents=[bytes([n]) * 32 for n in range(17)])),
        "17 heads": encode(talk.changed("first", membership=[bytes([n]) * 32 for n in range(17)])),
    }.items():
        yield *rule, comment, "BadHeader", carried(wrong)
    message = ("V-CD-03", "malformed")
    yield (
        *message,
        "a message with a header of 2,049 bytes",
        "BadHeader",
        carried(bytes(HEADER_BYTES_MAX + 1)),
    )


def _fields(talk: Talk) -> Iterator[Wrong]:
    first, own = talk.entries["first"].id, talk.entries["own"].id
    low, high = sorted((first, own))
    flag, malformed = "BadHeader", "malformed"

    def later(**fields: Any) -> str:
        return talk.altered("second", **fields).hex()

    for size in (1, 31):
        yield "V-ET-02", malformed, f"a previous of {size} bytes", flag, later(previous=bytes(size))
        yield "V-ET-02", malformed, f"a self tag of {size} bytes", flag, later(self_tag=bytes(size))
    zero = talk.altered("first", sequence=0).hex()
    yield "V-ET-03", malformed, "sequence 0", flag, zero
    yield "V-ET-03", malformed, "sequence 0 with a previous", flag, later(sequence=0)
    yield "V-ET-03", malformed, "sequence 1 with a previous", flag, later(sequence=1)
    yield "V-ET-03", malformed, "sequence 2 without a previous", flag, later(previous=b"")
    other = bytes(32)
    yield "V-ET-04", malformed, "parents descending", flag, later(parents=[own, other])
    yield "V-ET-04", malformed, "a parent twice", flag, later(parents=[own, own])
    yield "V-ET-04", malformed, "heads descending", flag, later(membership=[high, low])
    yield "V-ET-04", malformed, "a head twice", flag, later(membership=[low, low])
    yield "V-ET-05", malformed, "no heads", flag, later(membership=[])
    yield "V-ET-05", malformed, "the previous among the parents", flag, later(parents=[low, high])


def _later_bodies(talk: Talk) -> Iterator[Wrong]:
    """What no kind allows."""
    body = talk.entries["first"].body
    short = _with_body(talk, body, bytes(15), kind=200).hex()
    yield "V-ET-07", "malformed", "kind 200 with a salt of 15 bytes", "LaterKind", short
    other = talk.altered("first", kind=200, content=bytes(32)).hex()
    yield "V-ET-08", "authentication", "kind 200 with another body", "LaterKind", other
    twice = talk.altered("first", kind=200, membership=[bytes(32)] * 2).hex()
    yield "V-ET-04", "malformed", "kind 200 with a head twice", "LaterKind", twice


def _bodies(talk: Talk) -> Iterator[Wrong]:
    first = talk.entries["first"]
    header, salt, body = first.header_bytes, first.salt, first.body
    for comment, entry in {
        "a salt of 15 bytes": _with_body(talk, body, salt[:-1]),
        "a body without a salt": _with_body(talk, body, b""),
        "a salt of 1 byte without a body": _with_body(talk, b"", b"\x00"),
    }.items():
        yield "V-ET-07", "malformed", comment, "BadBody", entry.hex()
    for comment, parts in {
        "one bit of the salt": (bytes([salt[0] ^ 1]) + salt[1:], body),
        "one bit of the body": (salt, body[:2] + bytes([body[2] ^ 1]) + body[3:]),
        "the body of another entry": (salt, talk.entries["own"].body),
        "a salt alone": (salt, b""),
    }.items():
        yield "V-ET-08", "authentication", comment, "OtherContent", encode(Entry(header, *parts)).hex()
    wrong = {
        "an empty body": b"",
        "a byte after the body": body + b"\x00",
        "a text alone": encode(["Hello"]),
        "three fields": encode(["Hello", b"", 0]),
        "bytes in place of the text": encode([b"Hello", b""]),
        "a text that is not UTF-8": b"\x92\xa2\xff\xff\xc4\x00",
        "an empty text": encode(TextBody("", b"")),
        "a text of 16,385 characters": encode(TextBody("a" * (TEXT_CHARACTERS_MAX + 1), b"")),
        "a text in a longer encoding": b"\x92\xd9\x05Hello\xc4\x00",
        "a reply of 1 byte": encode(TextBody("Hello", bytes(1))),
        "a reply of 31 bytes": encode(TextBody("Hello", bytes(31))),
    }
    for comment, other in wrong.items():
        yield "V-ET-09", "malformed", comment, "BadBody", write_bytes(_with_body(talk, other))
    yield from _cuts(talk)
    yield from _timers(talk)
    yield from _bots(talk)
    yield from _wrong_states(talk)
    large = write_bytes(encode(Entry(header, salt, bytes(BODY_BYTES_MAX + 1))))
    yield "V-CD-03", "malformed", "a body of 131,073 bytes", "BadBody", large
    yield (
        "V-CD-03",
        "malformed",
        "a salt of 17 bytes",
        "BadBody",
        encode(Entry(header, bytes(17), body)).hex(),
    )


def _cuts(talk: Talk) -> Iterator[Wrong]:
    removed, incarnation = talk.terminal("own"), bytes(8)
    low, high = (CutHead(incarnation, 7, bytes([number]) * 32) for number in (1, 2))
    later = CutHead(incarnation, 8, bytes(32))
    text = _as_cut(talk, text_body("Hello"))
    yield "V-ET-09", "malformed", "a text in a cut", "BadBody", text.hex()
    for comment, heads in {
        "heads of one sequence with ids that descend": [high, low],
        "sequences that descend": [later, low],
        "a head twice": [low, low],
    }.items():
        body = encode(CutBody(removed, heads))
        yield "V-ET-09", "malformed", comment, "BadBody", _as_cut(talk, body).hex()
    cut = encode(CutBody(removed, [low]))
    yield "V-ET-09", "malformed", "a cut in a text", "BadBody", _with_body(talk, cut).hex()
    yield from _amending(talk)


def _amending(talk: Talk) -> Iterator[Wrong]:
    low, high = bytes([1]) * 32, bytes([2]) * 32
    text, edit = text_body("Hello"), encode(EditBody(low, "Hello"))
    for comment, kind, body in (
        ("a delete without ids", KIND_DELETE, encode(DeleteBody([]))),
        ("a delete whose ids descend", KIND_DELETE, encode(DeleteBody([high, low]))),
        ("a delete that names an id twice", KIND_DELETE, encode(DeleteBody([low, low]))),
        ("a delete of 65 entries", KIND_DELETE,
         encode(DeleteBody([number.to_bytes(32, "big") for number in range(DELETED_IDS_MAX + 1)]))),
        ("a text in a delete", KIND_DELETE, text),
        ("an edit in a delete", KIND_DELETE, edit),
        ("an empty body of a delete", KIND_DELETE, b""),
        ("an edit without text", KIND_EDIT, encode(EditBody(low, ""))),
        ("an edit of 16,385 characters", KIND_EDIT, encode(EditBody(low, "a" * (TEXT_CHARACTERS_MAX + 1)))),
        ("an edit of an id of 31 bytes", KIND_EDIT, encode(EditBody(low[:31], "Hello"))),
        ("an edit of nothing", KIND_EDIT, encode(EditBody(b"", "Hello"))),
        ("a text in an edit", KIND_EDIT, text),
        ("a delete in an edit", KIND_EDIT, delete_body([low])),
        ("a byte after an edit", KIND_EDIT, edit + b"\x00"),
        ("an edit in a text", KIND_TEXT, edit),
    ):  # fmt: skip
        yield "V-ET-09", "malformed", comment, "BadBody", write_bytes(_with_body(talk, body, kind=kind))


def _share(number: int) -> SharedShare:
    return SharedShare(bytes([number]) * 32, bytes([number + 1]) * 32)


def _pairing_value(talk: Talk, **changed: Any) -> PairingValue:
    root = SharedRoot(bytes([5]) * 32, bytes([6]) * 32, True, [_share(7)])
    return replace(PairingValue(talk.their, root, [bytes([1]) * 32, bytes([2]) * 32]), **changed)


def _many(count: int) -> list[bytes]:
    return [number.to_bytes(32, "big") for number in range(count)]


def _states(talk: Talk) -> dict[str, list[StateWrite]]:
    """What a correct author writes, and what a later version may."""
    person, compared = talk.their, SharedComparison(True, TIME, talk.their, [bytes([1]) * 32])
    root = _pairing_value(talk)
    relay = SharedRelay(str(RelayAddress("192.168.1.20", 4746, bytes([9]) * 32)), True, TIME)
    return {
        "a state of a new contact": [
            write(Register.CONTACT, person, ContactValue(person, TIME)),
            write(Register.PETNAME, person, PetnameValue("")),
            write(Register.BLOCKED, person, SwitchValue(False)),
            write(Register.STANDING, person, StandingValue(True, False, person, [bytes(32)], [compared])),
            write(Register.PINNED, person, SwitchValue(False)),
            write(Register.MUTED, person, SwitchValue(False)),
        ],
        "a state that pins the conversation with a contact": [
            write(Register.PINNED, person, SwitchValue(True))
        ],
        "a state that mutes the conversation with a contact": [
            write(Register.MUTED, person, SwitchValue(True))
        ],
        "a state that pins notes": [
            write(Register.SETTING, b"notes_pinned", SharedSetting("notes_pinned", "on"))
        ],
        "a state of a removed contact and its pairings": [
            write(Register.CONTACT, person),
            write(Register.RETIRED, root.pairing.root),
        ],
        "a state of a pairing": [write(Register.PAIRING, root.pairing.root, root)],
        "a pairing with shares in another order than their operations": [
            write(
                Register.PAIRING,
                root.pairing.root,
                replace(root, pairing=replace(root.pairing, theirs=[_share(7), _share(9), _share(8)])),
            )
        ],
        "a pairing that supersedes 64 others": [
            write(Register.PAIRING, root.pairing.root, replace(root, supersedes=_many(64)))
        ],
        "a state of a setting and a relay": [
            write(Register.SETTING, b"typing", SharedSetting("typing", "off")),
            write(Register.RELAY, relay.address.encode(), relay),
        ],
        "a state of a relay that was removed": [write(Register.RELAY, relay.address.encode())],
        "a state with a register of a later version": [
            write(Register.PETNAME, person, PetnameValue("Cleo")),
            StateWrite(200, bytes(32), b"\xc1"),
        ],
        "a state of 64 deletions": [deletion(one) for one in _many(64)],
        "64 writes": [StateWrite(200, number.to_bytes(32, "big"), b"") for number in range(64)],
    }


def _wrong_states(talk: Talk) -> Iterator[Wrong]:
    person, other, root = talk.their, talk.own, _pairing_value(talk)
    at, relay = root.pairing.root, "parlour-relay:nowhere"
    petname = write(Register.PETNAME, person, PetnameValue("Cleo"))
    blocked = write(Register.BLOCKED, person, SwitchValue(True))
    muted = write(Register.MUTED, person, SwitchValue(True))
    two, shares = [bytes([1]) * 32, bytes([2]) * 32], [_share(9), _share(9)]
    compared = SharedComparison(True, TIME, person, two[::-1])
    for comment, writes in {
        "a state without writes": [],
        "65 writes": [StateWrite(200, number.to_bytes(32, "big"), b"") for number in range(65)],
        "registers that descend": [blocked, petname],
        "one register twice": [petname, petname],
        "a petname without a value": [write(Register.PETNAME, person)],
        "a petname in the register of a block": [replace(petname, register=int(Register.BLOCKED))],
        "a pin without a value": [write(Register.PINNED, person)],
        "a mute without a value": [write(Register.MUTED, person)],
        "a petname in the register of a pin": [replace(petname, register=int(Register.PINNED))],
        "a petname in the register of a mute": [replace(petname, register=int(Register.MUTED))],
        "a pin that is neither on nor off": [StateWrite(Register.PINNED, muted.of, b"\x91\x01")],
        "a byte after a mute": [replace(muted, value=muted.value + b"\x00")],
        "a mute and a deletion": [deletion(at), muted],
        "a petname that is none": [write(Register.PETNAME, person, PetnameValue(" Cleo"))],
        "a byte after a value": [replace(petname, value=petname.value + b"\x00")],
        "a contact about another one": [write(Register.CONTACT, other, ContactValue(person, TIME))],
        "a pairing about another root": [write(Register.PAIRING, person, root)],
        "a setting about another name": [write(Register.SETTING, b"x", SharedSetting("typing", "off"))],
        "a relay about another address": [write(Register.RELAY, b"x", SharedRelay(relay, True, TIME))],
        "a relay that is none": [write(Register.RELAY, relay.encode(), SharedRelay(relay, True, TIME))],
        "a pairing without a value": [write(Register.PAIRING, at)],
        "a pairing with a petname": [petname, write(Register.PAIRING, at, root)],
        "a pairing that supersedes 65 others": [
            write(Register.PAIRING, at, replace(root, supersedes=_many(65)))
        ],
        "superseded pairings that descend": [
            write(Register.PAIRING, at, replace(root, supersedes=two[::-1]))
        ],
        "one share twice": [
            write(Register.PAIRING, at, replace(root, pairing=replace(root.pairing, theirs=shares)))
        ],
        "a deletion with a value": [replace(deletion(at), value=b"\xc3")],
        "a deletion with a petname": [petname, deletion(at)],
        "a deletion with a register of a later version": [deletion(at), StateWrite(200, at, b"")],
        "deletions that descend": [deletion(one) for one in two[::-1]],
        "a deletion twice": [deletion(at), deletion(at)],
        "a retired pairing with a value": [replace(write(Register.RETIRED, at), value=b"\xc3")],
        "recoveries that descend": [
            write(Register.STANDING, person, StandingValue(True, False, person, two[::-1], []))
        ],
        "compared terminals that descend": [
            write(Register.STANDING, person, StandingValue(True, False, person, [], [compared]))
        ],
        "a pin and a mute of two contacts": [write(Register.PINNED, other, SwitchValue(True)), muted],
        "a petname and a mute of two contacts": [write(Register.PETNAME, other, PetnameValue("Cleo")), muted],
        "two contacts": sorted([petname, write(Register.BLOCKED, other, SwitchValue(True))],
                               key=lambda one: one.register),
    }.items():  # fmt: skip
        message = write_bytes(_with_body(talk, encode(StateBody(writes)), kind=KIND_STATE))
        yield "V-ET-09", "malformed", comment, "BadState", message
    for comment, body in {
        "a text in a state": text_body("Hello"),
        "an empty body of a state": b"",
        "a register of 256": b"\x91\x91\x93\xcd\x01\x00\xc4\x20" + bytes(32) + b"\xc4\x00",
    }.items():
        yield "V-ET-09", "malformed", comment, "BadState", _with_body(talk, body, kind=KIND_STATE).hex()


def _timers(talk: Talk) -> Iterator[Wrong]:
    for comment, body in {
        "a text in an entry that sets the timer": text_body("Hello"),
        "a timer of the conversation of a year and a second": encode(TimerBody(TIMER_SECONDS_MAX + 1)),
        "an empty body in an entry that sets the timer": b"",
    }.items():
        yield "V-ET-09", "malformed", comment, "BadTimer", _with_body(talk, body, kind=KIND_TIMER).hex()
    flag, malformed, read = "BadTimer", "malformed", TIME + 60_000
    latest, timed = read + UNREAD_SECONDS_MAX * 1_000, {"timer": 60, "until": read}
    for rule, comment, fields in (
        ("V-EX-01", "an end without a timer", {"until": read}),
        ("V-EX-01", "a timer without an end", {"timer": 60}),
        ("V-EX-02", "an end before the time and the timer", {"timer": 60, "until": read - 1}),
        ("V-EX-02", "an end that is a millisecond too late", {"timer": 60, "until": latest + 1}),
        ("V-EX-03", "an entry that sets the timer and has one", {**timed, "kind": KIND_TIMER}),
        ("V-EX-03", "a cut with a timer", {**timed, "kind": KIND_CUT}),
        ("V-EX-03", "a delete with a timer", {**timed, "kind": KIND_DELETE}),
        ("V-EX-03", "an edit with a timer", {**timed, "kind": KIND_EDIT}),
        ("V-EX-03", "a state with a timer", {**timed, "kind": KIND_STATE}),
    ):
        yield rule, malformed, comment, flag, _alone(talk, **fields)


def _bots(talk: Talk) -> Iterator[Wrong]:
    def offers(*commands: tuple[str, str], bot: bool = True) -> bytes:
        return encode(BotBody(bot, [BotCommand(*one) for one in commands]))

    fine = "says the same"
    for comment, body in {
        "a text in an entry that declares a bot": text_body("Hello"),
        "an empty body in an entry that declares a bot": b"",
        "commands of a person that is no bot": offers(("echo", fine), bot=False),
        "33 commands": offers(*((f"c{n:02}", fine) for n in range(BOT_COMMANDS_MAX + 1))),
        "commands that are not ascending": offers(("time", fine), ("echo", fine)),
        "one command twice": offers(("echo", fine), ("echo", "does something else")),
        "a command without a name": offers(("", fine)),
        "a command of 33 characters": offers(("c" * (BOT_COMMAND_CHARACTERS_MAX + 1), fine)),
        "a command with a slash": offers(("/echo", fine)),
        "a command in capitals": offers(("Echo", fine)),
        "a command that begins with a digit": offers(("2echo", fine)),
        "a command with a space": offers(("echo this", fine)),
        "a command with a line break": offers(("echo\n", fine)),
        "a command in letters that look like others": offers(("e\u0441ho", fine)),
        "a command with a character that is not drawn": offers(("echo\u200b", fine)),
        "a command without a description": offers(("echo", "")),
        "a description of 101 characters": offers(("echo", "d" * (BOT_DESCRIPTION_CHARACTERS_MAX + 1))),
        "a description of two lines": offers(("echo", "says\nthe same")),
        "a description that turns its direction": offers(("echo", "says \u202ethe same")),
        "a description with a control character": offers(("echo", "says \x1b[31mthe same")),
        "a description that begins with a space": offers(("echo", f" {fine}")),
        "a description of a space": offers(("echo", " ")),
    }.items():
        yield "V-ET-09", "malformed", comment, "BadBot", _with_body(talk, body, kind=KIND_BOT).hex()
    timed = {"timer": 60, "until": TIME + 60_000, "kind": KIND_BOT}
    yield "V-EX-03", "malformed", "a declaration with a timer", "BadTimer", _alone(talk, **timed)


def _alone(talk: Talk, **fields: Any) -> str:
    """The message of the first entry's header with other fields, without its body."""
    return encode(Entry(encode(talk.changed("first", **fields)), b"", b"")).hex()


def _as_cut(talk: Talk, body: bytes) -> bytes:
    """The first entry's message as a cut with a body, which its content fits."""
    return _with_body(talk, body, kind=KIND_CUT)


# --- Trust ---


def _knows(talk: Talk) -> Json:
    return {
        "own_person": talk.own.hex(),
        "own_terminals": [talk.terminal("own").hex()],
        "contact": talk.their.hex(),
        "contact_terminals": [talk.terminal("their").hex()],
        "own_former": [],
        "contact_former": [],
        "carrier": talk.their.hex(),
        "carrier_is": "contact",
        "self_keys": [talk.self_key("own").hex()],
        "signing": {talk.terminal("own").hex(): ed25519_from_seed(_seed(talk)).hex()},
    }


def _seed(talk: Talk, whose: str = "own") -> bytes:
    """The Ed25519 seed of a terminal."""
    return talk.seed.bytes(f"{whose} signing")


def _signed(
    talk: Talk, message: bytes, by: str = "own", *, flip: int = 0, of: str = "", signer: bytes = b""
) -> str:
    """The message with the signature of a terminal of this person, of which `flip` changes one bit, or with
    that `of` another message, or in the name of another `signer`."""
    parsed, terminal, seed = parse_entry(_entry_of(message)), talk.terminal(by), _seed(talk, by)
    signed = take_entry(parsed.id, terminal, seed)
    if terminal == parsed.header.author:
        signed = sign_entry(parsed, seed).signed or signed
    if of:
        signed = parse_entry(_entry_of(bytes.fromhex(of))).signed or signed
    made = bytes([signed.signature[0] ^ flip]) + signed.signature[1:]
    return encode(replace(parsed, signed=Signed(signer or terminal, made)).passed()).hex()


def _entry_of(message: bytes) -> Entry:
    read = MESSAGE.decode(message)
    assert isinstance(read, Entry), "the message of an entry"
    return read


def _signatures(seed: Seed) -> Group:
    """Which signatures show that this person wrote an entry, and what they are made of."""
    talk = _talk(seed)
    own, taker = talk.terminal("own"), talk.terminal("taker")
    keys = {one: ed25519_from_seed(_seed(talk, one)).hex() for one in ("own", "taker")}
    passed = {
        "carrier": talk.own.hex(),
        "own_terminals": [own.hex(), taker.hex()],
        "signing": {own.hex(): keys["own"], taker.hex(): keys["taker"]},
    }
    gone = passed | {"own_terminals": [taker.hex()], "own_former": [own.hex()]}
    group = Group("11.2", {"knows": _knows(talk)})
    bare = talk.message("own")
    for comment, signer in (("the author signs", "own"), ("another terminal takes it", "taker")):
        given: Json = {"message": bare.hex(), "signer": talk.terminal(signer).hex()}
        steps = one_step(ACTIONS, {}, "sign", seed=_seed(talk, signer).hex(), **given)
        group.add(comment, ["Signed"], SUCCESS, steps)
    note, notes = bytes.fromhex(_note(talk)), passed | {"contact": talk.own.hex(), "contact_terminals": []}
    former_notes = notes | {"own_terminals": [taker.hex()], "own_former": [own.hex()]}
    other_tag = talk.altered("own", self_tag=bytes(32))
    removed_taker = {"own_terminals": [], "own_former": [own.hex(), taker.hex()]}
    nobody = {"signing": {taker.hex(): keys["taker"]}}
    for comment, message, knows in (
        ("signed by its author, a live terminal", _signed(talk, bare), passed),
        ("signed by its author, under no self key that is held", _signed(talk, other_tag), passed),
        ("signed by its author, which is live no more", _signed(talk, bare), gone),
        ("taken, its author being live no more", _signed(talk, bare, "taker"), gone),
        ("taken, its author being live", _signed(talk, bare, "taker"), passed),
        ("taken by a terminal that is live no more", _signed(talk, bare, "taker"), passed | removed_taker),
        ("signed by a terminal that the log does not have", _signed(talk, bare), passed | nobody),
        ("without a signature, under the newest self key", bare.hex(), passed),
        ("notes, signed by their author", _signed(talk, note), notes),
        ("notes under no self key that is held", _signed(talk, note), notes | {"self_keys": []}),
        ("notes of a terminal that is live no more", _signed(talk, note), former_notes),
        ("notes without a signature", note.hex(), notes),
        ("notes that another terminal took", _signed(talk, note, "taker"), former_notes),
    ):
        steps = one_step(ACTIONS, group.inputs, "accept", message=message, knows=knows)
        group.add(comment, ["Signed"], SUCCESS, steps)
    theirs = _signed(talk, talk.message("first"), "taker")
    for comment, message, known in (
        ("one bit of the signature", _signed(talk, bare, flip=1), passed),
        ("the signature of another entry", _signed(talk, bare, of=_signed(talk, other_tag)), passed),
        ("a taking in the place of the author's", _signed(talk, bare, "taker", signer=own), gone),
        ("a signature of the author as a taking", _signed(talk, bare, signer=taker), gone),
        ("notes in another terminal's name", _signed(talk, note, "taker", signer=own), notes),
        ("an entry of the contact, signed by a terminal of this person", theirs, passed),
    ):
        step = {"do": "accept", "message": message, "knows": known}
        group.add(comment, ["Forged"], "authentication", [step], rule="V-ET-14")
    step = {"do": "accept", "message": _signed(talk, bare), "knows": {}}
    group.add("a signature from the contact", ["Forged"], "unexpected", [step], rule="V-MS-05")
    return group


def _trust(seed: Seed) -> Group:
    talk = _talk(seed)
    group = Group("11.2", {"knows": _knows(talk)})
    first, own = talk.message("first").hex(), talk.message("own").hex()
    third = seed.bytes("a third person")
    for comment, message, knows in (
        ("the contact's own entry", first, {}),
        ("this person's own entry comes back", own, {}),
        ("a header alone", encode(Entry(talk.entries["first"].header_bytes, b"", b"")).hex(), {}),
        ("a time long past", talk.altered("first", time=0).hex(), {}),
        ("parents that nobody holds", talk.altered("first", parents=[bytes(32)]).hex(), {}),
        ("another terminal of this person carries it", first, {"carrier": talk.own.hex()}),
        ("the contact's terminal was removed", first, _former(talk, "contact", "their")),
        ("this person's terminal was removed", own, _former(talk, "own", "own")),
        ("the contact's terminal is in no log", first, {"contact_terminals": []}),
        ("this person's terminal is in no log", own, {"own_terminals": []}),
        ("this person's own entry under the newest self key", own, _renewed(talk)),
        ("an author who is nobody's terminal", talk.altered("first", author=third).hex(), {}),
        ("a person in place of the terminal", talk.altered("first", author=talk.their).hex(), {}),
    ):
        given: Json = {"message": message} | ({"knows": knows} if knows else {})
        steps = one_step(ACTIONS, group.inputs, "accept", **given)
        group.add(comment, ["Accepted"], SUCCESS, steps)
    for comment, message, knows in _invented(talk):
        steps = one_step(ACTIONS, group.inputs, "accept", message=message, knows=knows)
        group.add(comment, ["Claimed"], SUCCESS, steps)
    for comment, message, knows in _notes_accepted(talk):
        steps = one_step(ACTIONS, group.inputs, "accept", message=message, knows=knows)
        group.add(comment, ["Notes"], SUCCESS, steps)
    for rule, expect, comment, flag, step in _distrusted(talk, third):
        group.add(comment, [flag], expect, [{"do": "accept"} | step], rule=rule)
    return group


def _own_notes(talk: Talk) -> Json:
    """What a terminal knows when another one of its person passes entries of the notes."""
    return {"contact": talk.own.hex(), "contact_terminals": [], "carrier": talk.own.hex()}


def _note(talk: Talk, whose: str = "own", **fields: Any) -> str:
    """The message of an entry of the notes of this person."""
    return talk.altered("own", whose, **({"conversation": notes_of(talk.own)} | fields)).hex()


def _notes_accepted(talk: Talk) -> Iterator[tuple[str, str, Json]]:
    knows = _own_notes(talk)
    state = talk.changed("own", "own", conversation=notes_of(talk.own), kind=KIND_STATE)
    declared = talk.changed("own", "own", conversation=notes_of(talk.own), kind=KIND_BOT)
    for comment, header in (
        ("a declaration in the notes, a header alone", declared),
        ("a state, a header alone", state),
    ):
        yield comment, _signed(talk, encode(Entry(encode(header), b"", b""))), knows
    unknown = _note(talk, author=bytes(32))
    yield "notes of an author who is nobody's terminal", unknown, knows
    theirs = _note(talk, "their", author=talk.terminal("their"))
    yield "notes of a contact's terminal", theirs, knows


def _refused_notes(talk: Talk, third: bytes) -> Iterator[Wrong]:
    knows, flag = _own_notes(talk), "NotTheirs"
    for comment, known in (
        ("notes of this person that the contact carries", {}),
        ("notes of this person as a conversation of two", {"carrier": talk.own.hex()}),
    ):
        yield "V-ET-11", "untrusted", comment, flag, {"message": _note(talk), "knows": known}
    theirs = _note(talk, "their", conversation=notes_of(talk.their), author=talk.terminal("their"))
    yield "V-ET-11", "untrusted", "notes of the contact", flag, {"message": theirs}
    first = talk.message("first").hex()
    yield "V-ET-11", "untrusted", "a talk of two as notes", flag, {"message": first, "knows": knows}
    carried = {"message": _note(talk), "knows": knows | {"carrier": third.hex()}}
    yield "V-ET-12", "untrusted", "a third person carries notes", flag, carried
    for carrier, whose in (("the contact", "their"), ("this person", "own")):
        state = encode(talk.changed("first" if whose == "their" else "own", whose, kind=KIND_STATE))
        step = {"message": encode(Entry(state, b"", b"")).hex()}
        by = {"knows": {"carrier": talk.own.hex()}} if whose == "own" else {}
        yield "V-ET-15", "malformed", f"a state of {carrier} in a talk of two", "BadState", step | by
    lasts = talk.entries["own"].header.time + (60 + UNREAD_SECONDS_MAX) * 1_000
    for comment, fields in (
        ("an entry of the notes that sets a timer", {"kind": KIND_TIMER}),
        ("an entry of the notes with a timer", {"timer": 60, "until": lasts}),
    ):
        header = talk.changed("own", "own", conversation=notes_of(talk.own), **fields)
        message = encode(Entry(encode(header), b"", b"")).hex()
        yield "V-ET-16", "malformed", comment, "BadNote", {"message": message, "knows": knows}


def _renewed(talk: Talk, *, newer: bool = False) -> Json:
    """A person whose newest self key is the one of its entries, or a `newer` one."""
    return {"self_keys": [talk.seed.bytes("newer self key").hex() if newer else talk.self_key("own").hex()]}


def _former(talk: Talk, person: str, whose: str) -> Json:
    """A person whose terminal is live no more."""
    return {f"{person}_terminals": [], f"{person}_former": [talk.terminal(whose).hex()]}


def _distrusted(talk: Talk, third: bytes) -> Iterator[Wrong]:
    first, flag, untrusted = talk.message("first").hex(), "NotTheirs", "untrusted"
    for what in ("removed", "blocked"):
        knows = {"knows": {"carrier_is": what}}
        yield "V-ET-10", untrusted, f"the carrier is {what}", flag, {"message": first} | knows
    for comment, persons in {
        "the contact's conversation with a third": (talk.their, third),
        "this person's conversation with a third": (talk.own, third),
    }.items():
        message = talk.altered("first", conversation=conversation_of_two(*persons)).hex()
        yield "V-ET-11", untrusted, comment, flag, {"message": message}
    carried = {"message": first, "knows": {"carrier": third.hex()}}
    yield "V-ET-12", untrusted, "a third person carries it", flag, carried
    untagged = {"message": talk.altered("first", self_tag=b"").hex()}
    yield "V-ET-13", "malformed", "no self tag", "Invented", untagged
    yield from _forged_notes(talk)
    yield from _refused_notes(talk, third)


def _invented(talk: Talk) -> Iterator[tuple[str, str, Json]]:
    """What says to be of this person's terminal, and no self key shows it."""
    author, own = talk.terminal("own"), talk.entries["own"].header
    theirs = talk.altered("first", "their", author=author)
    for comment, message in {
        "this person's terminal, the contact's self key": theirs,
        "a self tag of another entry": talk.altered("first", author=author, self_tag=own.self_tag),
        "one bit of the self tag": talk.altered(
            "own", self_tag=bytes([own.self_tag[0] ^ 1]) + own.self_tag[1:]
        ),
        "an own entry with another time": talk.altered("own", time=own.time + 1, self_tag=own.self_tag),
    }.items():
        yield comment, message.hex(), {}
    yield "an invented header alone", _header_alone(talk, author), {}
    carried = {"carrier": talk.own.hex()}
    yield "another terminal of this person carries what has another self tag", theirs.hex(), carried
    newer = _renewed(talk, newer=True)
    yield "an earlier self key than the newest", talk.message("own").hex(), newer
    yield "the newest self key is not held", talk.message("own").hex(), {"self_keys": []}
    yield "a removed terminal of this person, another self key", theirs.hex(), _former(talk, "own", "own")
    both = {"contact_terminals": [talk.terminal("own").hex()]}
    yield "a terminal that both logs have, another self key", theirs.hex(), both


def _header_alone(talk: Talk, author: bytes) -> str:
    """The header alone of an entry in the name of another author."""
    return encode(Entry(encode(talk.changed("first", "their", author=author)), b"", b"")).hex()


def _forged_notes(talk: Talk) -> Iterator[Wrong]:
    knows, flag = _own_notes(talk), "Invented"
    untagged = {"message": _note(talk, self_tag=b""), "knows": knows}
    yield "V-ET-13", "malformed", "notes without a self tag", flag, untagged


# --- Order ---


def _order(seed: Seed) -> Group:
    talk, elsewhere = Talk(seed, "order"), conversation_of_two(seed.bytes("x"), seed.bytes("y"))
    talk.write("a", "their")
    talk.write("b", "own", parents=["a"], ms=-60_000)
    talk.write("c", "their", "a", ["b"], ms=-120_000)
    talk.write("d", "own", "b", ["c"], ms=500)
    talk.write("early", "own", ms=-1)
    talk.write("beside", "their", ms=0)
    talk.write("late", "own", parents=["early"], ms=86_400_000)
    talk.write("after late", "their", "beside", ["late"], ms=1)
    talk.write("elsewhere", "their", ms=99_000_000, conversation=elsewhere)
    talk.bears("early", "names elsewhere", parents=[talk.entries["elsewhere"].id])
    talk.write("fork", "their", "a", ms=10)
    talk.write("a restored", "their", ms=20, incarnation=seed.bytes("restored")[:8])
    group = Group("11.3", {"entries": talk.named()})
    given = {"conversation": talk.conversation.hex()}
    four = ["a", "b", "c", "d"]
    for comment, names in (
        ("nothing", []),
        ("clocks that run behind: an answer stands after what it answers", four),
        ("the same in another order of arrival", four[::-1]),
        ("an ancestor is not held yet", ["a", "c", "d"]),
        ("an ancestor is not held, and nothing is between", ["a", "d"]),
        ("equal times stand by id", ["a", "beside"]),
        ("a late one that raises what answers it", ["early", "beside", "late", "after late"]),
        ("an entry of another conversation changes nothing", ["a", "elsewhere", "names elsewhere"]),
        ("two branches of one author", [*four, "fork"]),
        ("entries that claim one place, twice", [*four, "fork", "beside"]),
        ("one place in two incarnations is none", ["a", "a restored"]),
    ):
        steps = one_step(ACTIONS, group.inputs, "order", entries=names, **given)
        group.add(comment, ["Order"], SUCCESS, steps)
    return group


def _registers(seed: Seed) -> Group:
    """Two terminals of one person, of which each has written without the other."""
    talk = Talk(seed, "notes")
    talk.conversation = notes_of(talk.own)
    desk, laptop, person = "own", "own second", talk.their

    def name(said: str, whose: str, after: str, parents: Sequence[str] = (), ms: int = 0) -> None:
        body = state_body([write(Register.PETNAME, person, PetnameValue(said))])
        talk._keep(said, whose, talk.place(whose, after, parents), ms, KIND_STATE, body)

    name("a", desk, "")
    name("b", desk, "a", ms=1)
    name("c", laptop, "", ["a"], ms=-86_400_000)
    name("d", laptop, "c", ms=-86_400_000)
    name("e", laptop, "d", ["b"], ms=-86_400_000)
    gone = state_body([write(Register.CONTACT, person), write(Register.RETIRED, bytes([5]) * 32)])
    talk._keep("gone", desk, talk.place(desk, "b"), 2, KIND_STATE, gone)
    talk.write("a year ahead", desk, "b", ms=366 * 86_400_000)
    name("f", desk, "a year ahead", ms=4)
    low, high = bytes([1]) * 32, bytes([2]) * 32
    talk._keep("a deletion", desk, talk.place(desk, "b"), 5, KIND_STATE, state_body([deletion(low)]))
    both = state_body([deletion(low), deletion(high)])
    talk._keep("two deletions", laptop, talk.place(laptop, "c"), 6, KIND_STATE, both)
    for said, whose, after, on in (
        ("pinned", desk, "b", True),
        ("pinned no more", laptop, "c", False),
        ("pinned again", laptop, "pinned no more", True),
    ):
        body = state_body(
            [write(each, person, SwitchValue(on)) for each in (Register.PINNED, Register.MUTED)]
        )
        talk._keep(
            said, whose, talk.place(whose, after), -86_400_000 if whose == laptop else 7, KIND_STATE, body
        )
    group = Group("11.10", {"entries": talk.named()})
    conversation = talk.conversation.hex()
    for comment, names, apart in (
        ("nothing", [], []),
        ("one write", ["a"], []),
        ("a later write", ["b", "a"], []),
        ("two that do not know each other: the id decides", ["a", "b", "c"], []),
        ("the longer way decides, and no clock", ["a", "b", "c", "d"], []),
        ("one that knows both", ["a", "b", "c", "d", "e"], []),
        ("an entry before them is not held", ["b", "d"], []),
        ("another register changes nothing", ["a", "b", "gone"], []),
        ("a clock that is a year ahead decides nothing", ["a", "b", "a year ahead", "f", "c", "d", "e"], []),
        ("one that does not count", ["a", "b", "c", "d", "e"], ["e", "d"]),
        ("none that counts", ["a"], ["a"]),
        ("deletions of two terminals", ["a", "b", "c", "a deletion", "two deletions"], []),
        ("one of two that delete does not count", ["a deletion", "two deletions"], ["two deletions"]),
        ("no deletion that counts", ["a deletion"], ["a deletion"]),
        ("pins and mutes that do not know each other", ["a", "b", "c", "pinned", "pinned no more"], []),
        ("the last of several pins", ["a", "b", "c", "pinned", "pinned no more", "pinned again"], []),
        ("a pin of a terminal that does not count", ["a", "b", "pinned"], ["pinned"]),
    ):
        steps = one_step(
            ACTIONS, group.inputs, "registers", conversation=conversation, entries=names, apart=apart
        )
        group.add(comment, ["Notes"], SUCCESS, steps)
    steps = one_step(ACTIONS, group.inputs, "notes", person=talk.own.hex(), what=talk.their.hex())
    group.add("the notes of a person, and what a register is about", ["Notes"], SUCCESS, steps)
    return group


def _lines(seed: Seed) -> Group:
    """Texts of two terminals of one person to itself, between what these say to each other."""
    talk = Talk(seed, "texts to oneself")
    talk.conversation = notes_of(talk.own)
    desk, laptop, entries = "own", "own second", talk.entries

    def state(name: str, whose: str, after: str, parents: Sequence[str] = ()) -> None:
        body = state_body([write(Register.PETNAME, talk.their, PetnameValue(name))])
        talk._keep(name, whose, talk.place(whose, after, parents), 0, KIND_STATE, body)

    state("a state", desk, "")
    talk.write("first", desk, "a state", ms=5)
    talk.write("second", desk, "first", ms=4)
    talk.write("early", laptop, "", ["first"], ms=-86_400_000)
    talk.write("later", laptop, "early", ms=-86_400_000)
    talk.write("last", laptop, "later", ["second"], ms=-86_400_000)
    state("a state between", laptop, "last")
    cut = cut_body(bytes([9]) * 32, [CutHead(bytes(8), 1, bytes([9]) * 32)])
    talk._keep("a cut", desk, talk.place(desk, "second"), 6, KIND_CUT, cut)

    def edit(name: str, whose: str, after: str, ms: int, parents: Sequence[str] = ()) -> None:
        place = talk.place(whose, after, parents)
        talk._keep(name, whose, place, ms, KIND_EDIT, edit_body(entries["first"].id, name))

    edit("edited on the desk", desk, "second", 366 * 86_400_000)
    edit("edited on the laptop", laptop, "last", -86_400_000)
    gone = delete_body([entries["second"].id])
    talk._keep("a delete", laptop, talk.place(laptop, "last"), 0, KIND_DELETE, gone)
    group = Group("11.10", {"entries": talk.named()})
    conversation = talk.conversation.hex()
    texts = ["first", "second", "early", "later", "last"]
    first, later = (entries[name].id.hex() for name in ("first", "later"))
    edits = ["edited on the desk", "edited on the laptop"]
    for comment, names, apart, on_all in (
        ("nothing", [], [], []),
        ("states and cuts alone", ["a state", "a state between", "a cut"], [], []),
        ("texts of two terminals: no clock decides", texts, [], []),
        ("with what terminals say to each other", [*texts, "a state", "a state between", "a cut"], [], []),
        ("an edit", [*texts, edits[0]], [], []),
        ("the edit on the longer way, and not that of the clock ahead", [*texts, *edits], [], []),
        ("an edit that does not count", [*texts, *edits], [edits[1]], []),
        ("a delete", [*texts, "a delete"], [], []),
        ("deleted on all terminals, with its edits", [*texts, *edits], [], [first]),
        (
            "a state that is named to be deleted",
            [*texts, "a state"],
            [],
            [entries["a state"].id.hex(), later],
        ),
        ("an edit without what it names", ["second", edits[0]], [], []),
    ):
        given = {"conversation": conversation, "entries": names, "apart": apart, "on_all": on_all}
        group.add(comment, ["Lines"], SUCCESS, one_step(ACTIONS, group.inputs, "lines", **given))
    return group


def _quarantine(seed: Seed) -> Group:
    """A terminal's chain of four, a fork of it, and an entry of another author that names one as a parent."""
    talk = Talk(seed, "quarantine")
    talk.write("a", "their")
    talk.write("b", "their", "a", ms=1)
    talk.write("c", "their", "b", ms=2)
    talk.write("d", "their", "c", ms=3)
    talk.write("fork", "their", "b", ms=4, incarnation=seed.bytes("copied")[:8])
    talk.write("vouches", "own", parents=["d"], ms=5)
    group = Group("11.2", {"entries": talk.named()})
    author = talk.terminal("their").hex()
    for comment, names, before in (
        ("nothing was held before", ["a", "b"], []),
        ("all were held before", ["a", "b"], ["a", "b"]),
        ("what came before counts, what follows does not", ["a", "b", "c", "d"], ["b"]),
        ("an entry behind a gap", ["a", "c", "d"], ["c"]),
        ("a fork that begins before the removal", ["a", "b", "c", "fork"], ["c"]),
        ("a parent leads to nothing", ["a", "d", "vouches"], ["vouches"]),
    ):
        given = {"entries": names, "before": before, "author": author, "live": [], "ranked": [author]}
        steps = one_step(ACTIONS, group.inputs, "quarantine", **given)
        group.add(comment, ["Quarantine"], SUCCESS, steps)
    return group


def _last(seed: Seed) -> Group:
    """The entry that an author's next one names as previous."""
    talk, most = Talk(seed, "last"), SEQUENCE_FOLLOWED_MAX
    talk.write("one", "own")
    talk.write("two", "own", "one")
    talk.write("theirs", "their", parents=["two"])
    talk.write("two copied", "own", "one", ms=5, incarnation=seed.bytes("copied")[:8])
    talk.write("elsewhere", "own", "two", conversation=seed.bytes("another conversation"))
    for name, sequence in (("below", most - 1), ("at", most), ("the last", 2**53 - 1)):
        talk.write(name, "own", previous=(sequence - 1, talk.entries["two"].id), ms=sequence % 97)
    group = Group("11.1", {"entries": talk.named()})
    for comment, names in (
        ("the author has written nothing", ["theirs"]),
        ("two of a chain, in another order", ["two", "theirs", "one"]),
        ("a chain with a gap", ["two"]),
        ("two of one sequence: the higher id", ["one", "two", "two copied"]),
        ("an entry of another conversation", ["one", "elsewhere"]),
        ("the highest sequence that is followed", ["one", "two", "below"]),
        ("the first sequence that is not followed", ["one", "two", "at"]),
        ("sequence 2^53-1 is not followed", ["one", "two", "at", "the last"]),
        ("nothing but what is not followed", ["the last"]),
    ):
        given = {"conversation": talk.conversation.hex(), "author": talk.terminal("own").hex()}
        steps = one_step(ACTIONS, group.inputs, "previous", entries=names, **given)
        group.add(f"what comes next names: {comment}", ["Last"], SUCCESS, steps)
    return group


def _cut(seed: Seed) -> Group:
    """Cuts of the terminal "removed" by others of its person, and by one of the other person."""
    talk = Talk(seed, "cut")
    for name, after in (("a", ""), ("b", "a"), ("c", "b"), ("d", "c")):
        talk.write(name, "removed", after)
    talk.write("fork", "removed", "b", incarnation=seed.bytes("copied")[:8])
    talk.entries["climbs"] = _climbing(talk)
    for whose in ("senior", "second", "junior", "other"):
        talk.write(f"{whose} first", whose)
        talk.cut(f"{whose} cuts at b", whose, f"{whose} first", "removed", "b")
        talk.cut(f"{whose} cuts at c", whose, f"{whose} cuts at b", "removed", "c")
    talk.cut("second cuts at c alone", "second", "", "removed", "c")
    talk.cut("senior cuts both", "senior", "", "removed", "d", "fork")
    talk.cut("senior cuts another's end", "senior", "", "removed", "other first")
    talk.cut("senior cuts at what climbs", "senior", "", "removed", "climbs")
    talk.cut("senior cuts the junior", "senior", "", "junior", "b")
    talk.cut("senior keeps nothing", "senior", "", "removed")
    talk.cut("second keeps nothing", "second", "", "removed")
    many = [f"senior {number}" for number in range(CUTS_MAX + 1)]
    for number, whose in enumerate(many):
        end = "d" if number < CUTS_MAX - 1 else "c" if number < CUTS_MAX else "a"
        talk.cut(f"{whose} cuts", whose, "", "removed", end)
    group = Group("11.2", {"entries": talk.named()})
    four = ["a", "b", "c", "d"]
    both, only = ["senior", "removed", "second", "junior"], ["removed", "second", "junior"]
    one, author = ["senior"], talk.terminal("removed").hex()
    for comment, names, before, live, ranked in (
        ("later entries do not count", [*four, "senior cuts at b"], four, one, both),
        ("what comes late counts up to it", [*four, "senior cuts at c"], [], one, both),
        ("a gap before the head of a cut", ["a", "c", "d", "senior cuts at c"], ["a"], one, both),
        ("the head of a cut is not held", ["a", "c", "d", "senior cuts at b"], four, one, both),
        ("two heads", [*four, "fork", "senior cuts both"], [], one, both),
        ("no head", [*four, "senior keeps nothing"], four, one, both),
        ("no head in one of two cuts", [*four, "senior cuts at b", "second keeps nothing"], four,
         ["senior", "second"], ["senior", "second", "removed"]),
        ("a head of another author", [*four, "other first", "senior cuts another's end"], four, one, both),
        ("no chain climbs", ["a", "b", "climbs", "senior cuts at what climbs"], ["a"], one, both),
        ("the first of two by one author", [*four, "senior cuts at c", "senior cuts at b"], four, one, both),
        ("a junior", [*four, "junior cuts at b"], ["c"], ["senior", "junior"], both),
        ("a junior where no senior is live", [*four, "junior cuts at b"], four, ["junior"], only),
        ("two juniors: each has to keep it",
         [*four, "junior cuts at b", "second cuts at c alone"], four, ["second", "junior"], only),
        ("a removed one", [*four, "senior cuts at b"], ["c"], ["junior"], both),
        ("one of another person", [*four, "other cuts at b"], ["c"], one, both),
        ("one that never was a terminal", [*four, "second cuts at b"], ["c"], one, [*one, "removed"]),
        ("a terminal whose adding no longer counts", [*four, "junior cuts at b"], four, ["senior", "junior"],
         ["senior", "junior"]),
        ("more than sixteen: those of the most senior count",
         [*four, *(f"{whose} cuts" for whose in many)], [], many, [*many, "removed"]),
        ("a cut of another terminal", [*four, "senior cuts the junior"], ["c"], one, both),
    ):  # fmt: skip
        terminals = {
            "author": author,
            "live": [talk.terminal(whose).hex() for whose in live],
            "ranked": [talk.terminal(whose).hex() for whose in ranked],
        }
        given = {"entries": names, "before": before} | terminals
        steps = one_step(ACTIONS, group.inputs, "quarantine", **given)
        group.add(comment, ["Cut"], SUCCESS, steps)
    return group


def _amend(seed: Seed) -> Group:
    """Texts of two persons, what deletes and edits them, and what has no effect."""
    talk = Talk(seed, "amend")
    for name, whose, after in (("a", "their", ""), ("b", "their", "a"), ("mine", "own", "")):
        talk.write(name, whose, after)
    talk.edit("a again", "their", "b", "a", ms=2)
    talk.edit("a at last", "their", "a again", "a", ms=3)
    talk.edit("a of another terminal", "their second", "", "a", ms=3_000)
    talk.edit("an edit of an edit", "their", "b", "a again", ms=4)
    talk.edit("an edit of mine", "their", "b", "mine")
    talk.edit("mine of another terminal", "own second", "", "mine")
    talk.delete("delete a", "their", "b", "a")
    talk.delete("delete all", "their", "b", "a", "b", "mine")
    talk.delete("delete an edit", "their", "b", "a at last")
    talk.delete("delete the delete", "their", "delete a", "delete a", "delete all")
    talk.delete("delete mine", "own", "mine", "mine", "a")
    talk.delete("second deletes a", "their second", "", "a")
    talk.edit("an edit of a delete", "their", "b", "delete a")
    talk.cut("cut", "their", "b", "removed", "b")
    talk.delete("delete the cut", "their", "cut", "cut")
    talk.bears("a", "later kind", kind=9, sequence=7, previous=talk.entries["b"].id)
    talk.delete("delete the later kind", "their", "b", "later kind")
    inputs: Json = {
        "own_terminals": [talk.terminal(whose).hex() for whose in ("own", "own second")],
        "self_key": talk.self_key("own").hex(),
    }
    group = Group("11.2", inputs | {"entries": talk.named()})
    texts, a_edits = ["a", "b", "mine"], ["a again", "a at last"]
    for comment, names, apart, destroyed in (
        ("the last edit in order is shown", ["a", "a at last", "a again"], [], []),
        ("an edit by another terminal of the person", [*texts, *a_edits, "a of another terminal"], [], []),
        ("an edit waits for its original", a_edits, [], []),
        ("an edit of an edit", ["a", "a again", "an edit of an edit"], [], []),
        ("an edit of another person's entry", ["mine", "an edit of mine"], [], []),
        ("an edit by this person's other terminal", ["mine", "mine of another terminal"], [], []),
        ("an edit of a delete", ["a", "delete a", "an edit of a delete"], [], []),
        ("an edit of a later kind", ["a", "later kind"], [], []),
        ("a delete covers an entry with its edits", ["a", *a_edits, "delete a"], [], []),
        ("a delete before what it names", ["delete a"], [], []),
        ("a delete covers edits of what is not held", [*a_edits, "delete a"], [], []),
        ("a delete names entries of both persons", [*texts, "delete all"], [], []),
        ("a delete of an edit", ["a", *a_edits, "delete an edit"], [], []),
        ("a delete of deletes", ["a", "delete a", "delete all", "delete the delete"], [], []),
        ("a delete by this person", [*texts, "delete mine"], [], []),
        ("a delete of a cut", ["cut", "delete the cut"], [], []),
        (
            "a delete that does not count, of what another terminal edited",
            [*texts, *a_edits, "a of another terminal", "delete a"],
            ["delete a"],
            [],
        ),
        (
            "a delete that does not count, of another terminal's",
            [*texts, *a_edits, "second deletes a"],
            ["second deletes a"],
            [],
        ),
        ("a delete that does not count, of what is not held", [*a_edits, "delete a"], ["delete a"], []),
        ("a delete of a later kind", ["later kind", "delete the later kind"], [], []),
        (
            "a delete that does not count, of its author's own entry",
            ["a", *a_edits, "delete a"],
            ["delete a"],
            [],
        ),
        ("an edit that does not count", ["a", *a_edits], ["a at last"], []),
        ("a delete covers an edit that does not count", ["a", *a_edits, "delete a"], ["a at last"], []),
        ("an entry that was deleted on this terminal", ["a", *a_edits], [], ["a"]),
    ):
        given = {"entries": names, "apart": apart, "destroyed": destroyed, "on_all": []}
        group.add(comment, ["Amend"], SUCCESS, one_step(ACTIONS, group.inputs, "amend", **given))
    for comment, names, on_all in (
        ("deleted on all own terminals: an entry of the contact", texts, ["b"]),
        ("deleted on all own terminals: an own entry", texts, ["mine"]),
        ("deleted on all own terminals: with its edits", ["a", *a_edits, "b"], ["a"]),
        ("deleted on all own terminals: edits of what is not held", a_edits, ["a"]),
        ("deleted on all own terminals: with edits of another person", ["mine", "an edit of mine"], ["mine"]),
        ("deleted on all own terminals: an edit alone", ["a", *a_edits], ["a at last"]),
        ("deleted on all own terminals: a later kind", ["a", "later kind"], ["later kind"]),
        ("what stays in force is not deleted", ["cut", "delete a", "a"], ["cut", "delete a"]),
        ("deleted on all own terminals and by its author", ["a", *a_edits, "delete a"], ["a"]),
    ):
        ids = sorted(talk.entries[name].id.hex() for name in on_all)
        given = {"entries": names, "apart": [], "destroyed": [], "on_all": ids}
        group.add(comment, ["Amend", "Notes"], SUCCESS, one_step(ACTIONS, group.inputs, "amend", **given))
    return group


def _climbing(talk: Talk) -> ParsedEntry:
    """An entry whose previous has no lower sequence."""
    entry = talk.entries["c"]
    fields = {"previous": talk.entries["b"].id, "sequence": 2}
    header = encode(talk.changed("c", "removed", **fields))
    return parse_entry(Entry(header, entry.salt, entry.body))


def _uncovered(seed: Seed) -> Group:
    """A terminal's chain of four, forks of it, and an entry of another author that names one as a parent."""
    talk = Talk(seed, "uncovered")
    talk.write("a", "their")
    talk.write("b", "their", "a", ms=1)
    talk.write("c", "their", "b", ms=2)
    talk.write("d", "their", "c", ms=3)
    talk.write("fork", "their", "b", ms=4, incarnation=seed.bytes("copied")[:8])
    talk.write("names", "own", parents=["d"], ms=5)
    talk.write("rival", "their", "b", ms=6)
    talk.write("other rival", "their", "b", ms=7)
    talk.write("after a", "their second", "a", ms=8)
    group = Group("11.2", {"entries": talk.named()})
    chain = ["a", "b", "c", "d"]
    for comment, names, passed_on, heads in (
        ("nothing was named", ["a", "b"], ["a", "b"], []),
        ("what the contact passed itself is covered", ["a", "b"], ["b"], []),
        ("a head covers itself and what is before it", chain, chain, ["b"]),
        ("a head that is not held covers nothing", ["a", "b"], ["a", "b"], ["d"]),
        ("a head behind a gap", ["a", "c", "d"], ["a", "c", "d"], ["d"]),
        ("an entry that is covered covers what is before it", chain, ["a", "b", "d"], []),
        ("of a fork the named branch", [*chain, "fork"], [*chain, "fork"], ["fork"]),
        ("a parent leads to nothing", [*chain, "names"], chain, ["names"]),
        ("an uncovered entry accuses nobody", [*chain, "rival"], ["rival"], []),
        ("nor does one that came before the genuine one", ["a", "b", "rival", "c"], ["a", "b", "rival"], []),
        ("nor do two of them", ["a", "b", "rival", "other rival"], ["rival", "other rival"], []),
        ("of three the two that are covered", [*chain, "rival", "other rival"], ["rival"], []),
        ("an entry that the contact names is evidence", [*chain, "rival"], ["rival"], ["rival"]),
        ("an entry of another author covers nothing that it names as previous", ["a", "after a"], ["a"], []),
    ):
        given = {"entries": names, "passed_on": passed_on, "heads": heads}
        group.add(comment, ["Uncovered"], SUCCESS, one_step(ACTIONS, group.inputs, "uncovered", **given))
    return group


def _claims(seed: Seed) -> Group:
    """A chain of this person's terminal under two self keys, forks of it, and a contact's entry."""
    talk = Talk(seed, "claims")
    talk.write("a", "own")
    talk.write("b", "own", "a", ms=1)
    talk.lost("c", "own", "b", ms=2)
    talk.lost("d", "own", "c", ms=3)
    talk.write("e", "own", "d", ms=4)
    talk.write("theirs", "their", parents=["d"], ms=5)
    for name in ("v", "w", "x", "y", "z"):
        talk.lost(name, "own", "a", ms=6, incarnation=seed.bytes(f"invented {name}")[:8])
    for name in ("1", "2", "3"):
        talk.write(name, "own", "a", ms=7, incarnation=seed.bytes(f"copied {name}")[:8])
    group = Group("11.2", {"entries": talk.named(), "own_terminals": [talk.terminal("own").hex()]})
    key, lost = talk.self_key("own").hex(), talk.lost_key.hex()
    author = [talk.terminal("own").hex()]
    for comment, names, keys, wanting in (
        ("all are under keys that are held", ["a", "b", "c", "d"], [key, lost], []),
        ("the last ones are not", ["a", "b", "c", "d"], [key], []),
        ("none is", ["a", "b"], [lost], []),
        ("an own entry shows what is before it", ["a", "b", "c", "d", "e"], [key], []),
        ("not across a gap", ["a", "c", "e"], [key], []),
        ("a contact's entry shows nothing", ["a", "c", "d", "theirs"], [key], []),
        ("claims leave places to heads", ["a", "b", "1", "2", "v", "w", "x"], [key], []),
        ("and have none where there are four", ["a", "b", "1", "2", "3", "v", "w"], [key], []),
        ("more claims than places", ["a", "v", "w", "x", "y", "z"], [key], []),
        ("of an author of whom something is wanted none is named", ["a", "b", "c"], [key], author),
    ):
        given = {"entries": names, "self_keys": keys, "wanting": wanting}
        group.add(comment, ["Claims"], SUCCESS, one_step(ACTIONS, group.inputs, "claims", **given))
    return group


def _timer(seed: Seed) -> Group:
    """Two authors who set the timer, one of them at the same time as the other."""
    talk = Talk(seed, "timer")
    talk.write("a", "their")
    talk.time("hour", "their", "a", 3_600, ms=10)
    talk.time("minute", "own", "", 60, ["hour"], ms=20)
    talk.time("off", "their", "hour", 0, ["minute"], ms=30)
    talk.time("at the same time", "their", "hour", 86_400, ms=25)
    talk.time("with a clock that is behind", "own", "minute", 300, ["off"], ms=-60_000)
    group = Group("11.9", {"entries": talk.named()})
    chain = ["a", "hour", "minute"]
    for comment, names, left_out in (
        ("nothing is held", [], []),
        ("nobody has set it", ["a"], []),
        ("it was set", ["a", "hour"], []),
        ("the last one counts, of either person", chain, []),
        ("it was switched off", [*chain, "off"], []),
        ("of two at the same time the later in the order", [*chain, "at the same time"], []),
        ("the order of arrival says nothing", ["at the same time", "minute", "hour", "a"], []),
        ("a clock that is behind", [*chain, "off", "with a clock that is behind"], []),
        ("one that does not count", [*chain, "at the same time"], ["at the same time"]),
        ("none that counts", ["a", "hour"], ["hour"]),
    ):
        given = {"conversation": talk.conversation.hex(), "entries": names, "left_out": left_out}
        group.add(comment, ["Timer"], SUCCESS, one_step(ACTIONS, group.inputs, "timer", **given))
    return group


def _bot(seed: Seed) -> Group:
    """Two persons who declare, one of them on two terminals, and what nobody may say of another one."""
    talk = Talk(seed, "bot")
    talk.write("a", "their")
    talk.declare("echo", "their", "a", "echo", ms=10)
    talk.declare("more", "their", "echo", "echo", "time", ms=20)
    talk.declare("off", "their", "more", bot=False, ms=30)
    talk.declare("of another terminal", "their second", "", "dice", ms=25)
    talk.declare("mine", "own", "", "poll", ms=40)
    talk.delete("a delete", "their", "more", "echo", "more")
    entry = talk.entries["more"]
    talk.entries["more without its body"] = parse_entry(Entry(entry.header_bytes, b"", b""))
    inputs: Json = {
        "own_terminals": [talk.terminal("own").hex()],
        "self_key": talk.self_key("own").hex(),
    }
    group = Group("11.11", inputs | {"entries": talk.named()})
    for comment, names, left_out in (
        ("nobody has declared anything", ["a"], []),
        ("a bot with a command", ["a", "echo"], []),
        ("the last one counts", ["a", "more", "echo"], []),
        ("no bot any more", ["a", "echo", "more", "off"], []),
        ("of another terminal of the person, by the order", ["a", "echo", "more", "of another terminal"], []),
        ("each person says it of itself", ["a", "echo", "mine"], []),
        ("one that does not count", ["a", "echo", "more"], ["more"]),
        ("none that counts", ["echo"], ["echo"]),
        ("a delete covers none", ["a", "echo", "more", "a delete"], []),
        ("the last one decides without its body, too", ["a", "echo", "more without its body"], []),
    ):
        given = {"conversation": talk.conversation.hex(), "entries": names, "left_out": left_out}
        group.add(comment, ["Bot"], SUCCESS, one_step(ACTIONS, group.inputs, "bot", **given))
    return group


def _ends(seed: Seed) -> Group:
    talk, latest = Talk(seed, "ends"), 60_000 + UNREAD_SECONDS_MAX * 1_000
    talk.write("minute", "their", timer=60)
    talk.write("year", "their", "minute", timer=TIMER_SECONDS_MAX)
    talk.write("ahead", "their", "minute", ms=86_400_000, timer=60)
    talk.bears("minute", "short", until=TIME + 60_000)
    talk.bears("ahead", "later kind", kind=200)
    talk.entries["header"] = parse_entry(Entry(talk.entries["later kind"].header_bytes, b"", b""))
    group = Group("11.9", {"entries": talk.named()})
    for comment, entry, stored, read, own in (
        ("of another person, unread", "minute", 5, None, False),
        ("of another person, read", "minute", 5, 1_000, False),
        ("read long after it came", "minute", 5, latest - 1, False),
        ("with an author who set a short end", "short", 5, 30_000, False),
        ("that comes after its end", "short", 70_000, None, False),
        ("an author whose clock is ahead does not delay the end", "ahead", 5, None, False),
        ("a year", "year", 5, 10, False),
        ("of this person", "minute", 0, None, True),
        ("of this person, and from another terminal", "minute", 40_000, None, True),
        ("of this person, and the clock was ahead", "ahead", 5, None, True),
        ("of another person, of an unknown kind", "later kind", 5, None, False),
        ("of another person, of an unknown kind, without its body", "header", 5, None, False),
    ):
        given = {"entry": entry, "stored": TIME + stored, "read": read and TIME + read, "own": own}
        group.add(comment, ["End"], SUCCESS, one_step(ACTIONS, group.inputs, "ends", **given))
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    makers = (
        _written,
        _read,
        _refused_forms,
        _trust,
        _signatures,
        _quarantine,
        _cut,
        _uncovered,
        _claims,
        _order,
        _registers,
        _lines,
        _last,
        _timer,
        _bot,
        _ends,
        _amend,
    )
    return build_file(seed, NOTES, [make(seed) for make in makers])
