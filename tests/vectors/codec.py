"""Makes the vectors of the codec: every struct, values at the edges of encodings and bounds, what is refused.

Field values come from the seed; a long field is one byte repeated, so that the file stays short. Each
refused encoding has one fault, and is put together by hand, since an encoder cannot make it. Operations of
person logs, invitations and headers have their own areas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from protocol import limits
from protocol import messages as m
from protocol.codec import Wire, encode
from protocol.vectors.codec import ACTIONS, AREA, write_value
from protocol.vectors.frame import SUCCESS, Json, expect_equal, write_bytes
from tests.vectors.files import Group, Seed, build_file, one_step

Named = tuple[str, str, Wire]
"""Comment, the type's name in the file, value."""


class Drawn:
    """Bytes for fields, from the seed."""

    def __init__(self, seed: Seed) -> None:
        self._seed = seed

    def __call__(self, label: str, size: int = 32) -> bytes:
        """`size` bytes for a label; those of more than 32 bytes are one byte repeated."""
        drawn = self._seed.bytes(label)
        return drawn[:size] if size <= len(drawn) else drawn[:1] * size


def struct_values(seed: Seed) -> tuple[Iterator[Named], Iterator[Named]]:
    """One value of each struct, and the values at edges."""
    drawn = Drawn(seed)
    return _whole(drawn), _edges(drawn)


def _whole(drawn: Drawn) -> Iterator[Named]:
    for message in (*_link_and_pairing(drawn), *_of_contacts(drawn)):
        yield f"a {type(message).__name__}", "message", message
    for payload in _payloads(drawn):
        yield f"a {type(payload).__name__}", type(payload).__name__, payload
    yield "an EntryHeader", "EntryHeader", entry_header(drawn)
    yield "a TextBody", "TextBody", m.TextBody("Grüße, 小雨 ☂", drawn("reply"))
    ends = [m.CutHead(drawn("incarnation")[:8], number, drawn(f"end {number}")) for number in (7, 2**53 - 1)]
    yield "a CutBody", "CutBody", m.CutBody(drawn("removed"), ends)
    yield "a DeleteBody", "DeleteBody", m.DeleteBody(sorted(drawn(f"deleted {number}") for number in (1, 2)))
    yield "an EditBody", "EditBody", m.EditBody(drawn("edited"), "Grüße, 小雨 ☂")
    yield "a TimerBody", "TimerBody", m.TimerBody(3_600)
    yield "a BotBody", "BotBody", m.BotBody(True, [m.BotCommand("echo", "says the same, 小雨 ☂")])
    writes = [m.StateWrite(number, drawn("register"), drawn("value")) for number in (3, 200)]
    yield "a StateBody", "StateBody", m.StateBody(writes)


def _link_and_pairing(drawn: Drawn) -> Iterator[m.Message]:
    yield m.Confirm(drawn("session", 16), [1, 258])
    yield m.Ping(1)
    yield m.Pong(1)
    yield m.Close(0)
    yield m.Features([1, 258])
    yield m.Commit(drawn("commitment"), "Anna")
    yield m.Reveal(drawn("nonce"), "小雨")
    yield m.Open(drawn("nonce"))
    yield m.Record(
        [drawn("operation 0", 200), drawn("operation 1", 100)],
        drawn("terminal"),
        drawn("drawing"),
        drawn("share"),
        drawn("proof"),
        drawn("signature", 64),
    )
    yield m.Accept(drawn("tag"))


def _of_contacts(drawn: Drawn) -> Iterator[m.Message]:
    conversation, id_ = drawn("conversation"), drawn("entry")
    yield m.LogHeads(drawn("person"), [drawn("head")])
    yield m.LogOperations([drawn("operation 0", 200)])
    yield m.Reachable(4747)
    yield m.Digests([m.Digest(conversation, drawn("hash"), drawn("marks"), 9_000, 1, True)])
    yield m.PassedReceipt(conversation, drawn("terminal"), 2, [id_])
    yield m.RenewedShare(drawn("pairing"), drawn("operation"), drawn("share"))
    header, salt, body = drawn("header", 200), drawn("salt", 16), drawn("body", 40)
    yield m.SignedEntry(header, salt, body, drawn("terminal"), drawn("signature", 64))
    yield m.HeadsHash(conversation, drawn("hash"))
    yield m.Heads(conversation, b"", [m.Head(drawn("terminal"), 7, id_)], more=False)
    yield m.Entry(drawn("header", 200), drawn("salt", 16), drawn("body", 40))
    yield m.Receipt(1, [id_])
    yield m.Typing(conversation, True)
    yield m.AskPieces(id_, [m.PieceRange(0, 256), m.PieceRange(300, 1)])
    yield m.Piece(id_, 1, [drawn("hash"), drawn("other hash")], drawn("data", 40))
    yield m.PiecesEnd(id_)
    yield m.StopPieces(id_)
    yield m.WholeFile(id_)


def _payloads(drawn: Drawn) -> Iterator[Wire]:
    key, ciphertext = drawn("kem key", 1_184), drawn("kem ciphertext", 1_088)
    names = m.ShareNames([drawn(f"name {number}", 16) for number in (2, 1)], [drawn("name 3", 16)])
    yield m.ContactHello(drawn("person"), names, key, drawn("share"))
    yield m.ContactReply(ciphertext, drawn("share"), drawn("ratchet"))
    yield m.PairingReply(key, drawn("share"), drawn("ratchet"))
    yield m.PairingFinish(ciphertext, drawn("share"))


def entry_header(drawn: Drawn) -> m.EntryHeader:
    """A header with every field filled."""
    return m.EntryHeader(
        drawn("conversation"),
        drawn("author"),
        drawn("incarnation", 8),
        2,
        drawn("previous"),
        sorted((drawn("parent 0"), drawn("parent 1"))),
        [drawn("head")],
        1_767_225_600_000,
        1,
        3_600,
        1_769_648_400_000,
        drawn("content"),
        drawn("self tag"),
    )


def _edges(drawn: Drawn) -> Iterator[Named]:
    for number in (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1):
        yield f"the number {number}", "message", m.Ping(number)
    for sequence in (2**32, 2**53 - 1):
        head = m.Head(drawn("terminal"), sequence, drawn("entry"))
        yield f"the number {sequence}", "message", m.Heads(drawn("conversation"), b"", [head], more=False)
    for size in (0, 255, 256, 65_535, 65_536, limits.BODY_BYTES_MAX):
        yield f"{size} bytes", "message", m.Entry(b"", b"", drawn("body")[:1] * size)
    for count in (15, 16):
        ids = sorted(drawn(f"entry {number}") for number in range(count))
        yield f"an array of {count}", "message", m.Receipt(2, ids)
    for size in (31, 32, limits.NAME_CHARACTERS_MAX):
        yield f"a text of {size} bytes", "message", _named(drawn, "n" * size)
    yield "64 code points of 4 bytes each", "message", _named(drawn, "\N{GRINNING FACE}" * 64)
    yield "16,384 code points", "TextBody", m.TextBody("a" * limits.TEXT_CHARACTERS_MAX, b"")
    yield "a cut without heads", "CutBody", m.CutBody(drawn("removed"), [])
    ends = [m.CutHead(bytes(8), number, bytes(32)) for number in range(limits.CUT_HEADS_MAX)]
    yield "a cut with sixteen heads", "CutBody", m.CutBody(drawn("removed"), ends)
    named = [number.to_bytes(32, "big") for number in range(limits.DELETED_IDS_MAX)]
    yield "a delete of 64 entries", "DeleteBody", m.DeleteBody(named)
    yield "an edit of 16,384 code points", "EditBody", m.EditBody(bytes(32), "a" * limits.TEXT_CHARACTERS_MAX)
    yield "no bot", "BotBody", m.BotBody(False, [])
    offered = [m.BotCommand(f"{'c' * 30}{n:02}", "☂" * 100) for n in range(limits.BOT_COMMANDS_MAX)]
    yield "a bot with 32 commands of full lengths", "BotBody", m.BotBody(True, offered)
    yield "empty lists", "message", m.Heads(drawn("conversation"), b"", [], more=False)
    yield "false", "message", m.Typing(drawn("conversation"), False)


def _named(drawn: Drawn, name: str) -> m.Reveal:
    return m.Reveal(drawn("nonce"), name)


ID: Final = "c420" + "11" * 32
"""32 bytes, encoded."""

CONTACT_HELLO_HEAD: Final = "94" + ID
NAME: Final = "c410" + "22" * 16

HEADS_BEGIN: Final = "9531" + ID + "c400"
HEAD: Final = "93" + ID + "01" + ID


@dataclass(frozen=True)
class Wrong:
    """What it is, the flag of its kind, the type that is decoded, the bytes as in the file, the rule."""

    comment: str
    flag: str
    kind: str
    data: Any
    rule: str
    expect: str = "malformed"


def wrong_encodings() -> Iterator[Wrong]:
    """All of them, in the order of the rules."""
    for kind, size in _LIMITS:
        data = [{"hex": "00", "times": size + 1}]
        yield Wrong(f"{size + 1} bytes", "TooLong", kind, data, "V-CD-01", "limit")
    for rows, flag, rule in (
        (_SHAPES, "Shape", "V-CD-02"),
        (_BOUNDS, "Bounds", "V-CD-03"),
        (tuple(_handed_over(1)), "Bounds", "V-CD-03"),
        (_LONGER, "NotShortest", "V-CD-04"),
    ):
        for comment, kind, data in rows:
            yield Wrong(comment, flag, kind, data, rule)


def full_of_zeros() -> Iterator[Wrong]:
    """As many bytes as the type may have: looked at, and found to be no value."""
    for kind, size in _LIMITS:
        data = [{"hex": "00", "times": size}]
        yield Wrong(f"{size} bytes", "Shape", kind, data, "V-CD-02")


_LIMITS: Final = (
    ("message", limits.MESSAGE_BYTES_MAX),
    ("ContactHello", limits.HANDSHAKE_PAYLOAD_MAX),
    ("EntryHeader", limits.HEADER_BYTES_MAX),
    ("TextBody", limits.BODY_BYTES_MAX),
    ("CutBody", limits.BODY_BYTES_MAX),
    ("DeleteBody", limits.BODY_BYTES_MAX),
    ("EditBody", limits.BODY_BYTES_MAX),
    ("BotBody", limits.BODY_BYTES_MAX),
)

Row = tuple[str, str, Any]

_SHAPES: Final[tuple[Row, ...]] = (
    ("nothing", "message", ""),
    ("an empty array", "message", "90"),
    ("a number that no message has", "message", "9205c400"),
    ("a field too few", "message", "9102"),
    ("a field too many", "message", "93020101"),
    ("bytes left over", "message", "92020100"),
    ("cut within a field", "message", "9203cd01"),
    ("cut within a byte string", "message", "9212c420" + "11" * 31),
    ("no array", "message", "02"),
    ("a map", "message", "820002010a"),
    ("nil for a number", "message", "9202c0"),
    ("a float for a number", "message", "9202cb3ff0000000000000"),
    ("a negative number", "message", "9202ff"),
    ("an extension", "message", "9202d40101"),
    ("a string for a number", "message", "9202a131"),
    ("a number for bytes", "message", "921201"),
    ("a string for bytes", "message", "9212d920" + "61" * 32),
    ("bytes for a string", "message", "9310" + ID + "c401" + "61"),
    ("a string that is not UTF-8", "message", "9310" + ID + "a2c328"),
    ("a surrogate in a string", "message", "9310" + ID + "a3eda080"),
    ("a number for a bool", "message", "9334" + ID + "01"),
    ("bytes for an array", "message", "9320" + ID + "c400"),
    ("a number that is true", "message", "9202c3"),
    ("the message's number as a string", "message", "92a13201"),
    ("a number before a struct that has none", "TextBody", "9301a161c400"),
    ("an array within which a struct has a field too few", "message", "9531" + ID + "c4009192" + ID + "01"),
    ("arrays within arrays", "message", [{"hex": "91", "times": 5_000}]),
)

_BOUNDS: Final[tuple[Row, ...]] = (
    ("31 bytes for 32", "message", "9212c41f" + "11" * 31),
    ("33 bytes for 32", "message", "9212c421" + "11" * 33),
    ("17 bytes for 0 to 16", "message", "9301c411" + "11" * 17 + "90"),
    ("u32 of 2^32", "message", "9202cf0000000100000000"),
    ("u8 of 256", "message", "9204cd0100"),
    ("u53 of 2^53", "message", "9531" + ID + "c4009193" + ID + "cf0020000000000000" + ID + "c2"),
    ("u64 of 2^64-1", "message", "9202cfffffffffffffffff"),
    ("port 0", "message", "922200"),
    ("port 65,536", "message", "9222ce00010000"),
    ("a receipt of kind 0", "message", "93330091" + ID),
    ("a receipt of kind 3", "message", "93330391" + ID),
    ("a receipt of nothing", "message", "93330190"),
    ("a receipt of 1,025 entries", "message", ["933301dc0401", {"hex": ID, "times": 1_025}]),
    ("257 heads", "message", [HEADS_BEGIN + "dc0101", {"hex": HEAD, "times": 257}, "c2"]),
    ("17 heads of a log", "message", ["9320" + ID + "dc0011", {"hex": ID, "times": 17}]),
    ("no operation", "message", "922190"),
    ("257 operations", "message", ["9221dc0101", {"hex": "c40100", "times": 257}]),
    ("an operation of 8,193 bytes", "message", ["922191c52001", {"hex": "11", "times": 8_193}]),
    ("an Add of 1,025 bytes", "message", ["9218c50401", {"hex": "11", "times": 1_025}]),
    ("a name of nothing", "message", "9311" + ID + "a0"),
    ("a name of 65 code points", "message", "9311" + ID + "d941" + "6e" * 65),
    ("an entry header of 2,049 bytes", "message", ["9432c50801", {"hex": "11", "times": 2_049}, "c400c400"]),
    (
        "an entry body of 131,073 bytes",
        "message",
        ["9432c400c400c600020001", {"hex": "11", "times": 131_073}],
    ),
    ("a text of nothing", "TextBody", "92a0c400"),
    (
        "a cut with seventeen heads",
        "CutBody",
        f"92c420{'07' * 32}dc0011" + "".join(f"93c408{'01' * 8}01c420{n:064x}" for n in range(17)),
    ),
    ("a delete without ids", "DeleteBody", "9190"),
    ("a delete of 65 entries", "DeleteBody", "91dc0041" + "".join(f"c420{n:064x}" for n in range(65))),
    ("an id of 31 bytes", "DeleteBody", f"9191c41f{'07' * 31}"),
    ("an edit of nothing", "EditBody", f"92c420{'07' * 32}a0"),
    ("an edit of no entry", "EditBody", "92c400a141"),
    ("a text of 16,385 code points", "TextBody", ["92da4001", {"hex": "61", "times": 16_385}, "c400"]),
    ("no name of a share", "ContactHello", [CONTACT_HELLO_HEAD + "929091" + NAME + "c504a0",
                                             {"hex": "11", "times": 1_184}, ID]),
    ("5 names of shares", "ContactHello", [CONTACT_HELLO_HEAD + "9295" + NAME * 5 + "91" + NAME + "c504a0",
                                            {"hex": "11", "times": 1_184}, ID]),
    ("a name of a share of 15 bytes", "ContactHello", [CONTACT_HELLO_HEAD + "9291c40f" + "22" * 15 + "91"
                                                       + NAME + "c504a0", {"hex": "11", "times": 1_184}, ID]),
    ("a KEM key of 1,183 bytes", "PairingReply", ["93c5049f", {"hex": "11", "times": 1_183}, ID + ID]),
    ("a KEM ciphertext of 1,089 bytes", "PairingFinish", ["92c50441", {"hex": "11", "times": 1_089}, ID]),
)  # fmt: skip

_LONGER: Final[tuple[Row, ...]] = (
    ("1 as uint 8", "message", "9202cc01"),
    ("1 as uint 16", "message", "9202cd0001"),
    ("1 as uint 32", "message", "9202ce00000001"),
    ("1 as uint 64", "message", "9202cf0000000000000001"),
    ("1 as int 8", "message", "9202d001"),
    ("255 as uint 16", "message", "9202cd00ff"),
    ("65,535 as uint 32", "message", "9202ce0000ffff"),
    ("the message's number as uint 8", "message", "92cc0201"),
    ("32 bytes as bin 16", "message", "9212c50020" + "11" * 32),
    ("32 bytes as bin 32", "message", "9212c600000020" + "11" * 32),
    ("a short string as str 8", "message", "9310" + ID + "d90161"),
    ("a short string as str 16", "message", "9310" + ID + "da000161"),
    ("a short array as array 16", "message", "dc00020201"),
    ("a short array as array 32", "message", "dd000000020201"),
    ("a short array within as array 16", "message", "9320" + ID + "dc0000"),
)

_DRAWN_OF_ZEROS: Final = m.SharedDrawn(bytes(32), bytes(32))
_STATE: Final = m.LinkState(bytes(32), bytes(32), [], [], [_DRAWN_OF_ZEROS], [], [], 0)
_SHARE: Final = m.SharedShare(bytes(32), bytes(32))
_PAIRING: Final = m.SharedPairing(
    bytes(32),
    [],
    [],
    "",
    True,
    False,
    False,
    0,
    0,
    False,
    False,
    [],
    [],
    [m.SharedRoot(bytes(32), bytes(32), False, [_SHARE])],
    [],
    [],
)


def _handed_over(more: int) -> Iterator[Row]:
    """What a linking hands over, with so many more of each part than its field allows."""
    setting = m.SharedSetting("n", "v")
    lists: tuple[tuple[str, m.LinkState | m.SharedPairing, str, Wire | bytes, int], ...] = (
        ("pins", _STATE, "seen", bytes(32), limits.LINKED_IDS_MAX),
        ("drawn secrets", _STATE, "drawn", _DRAWN_OF_ZEROS, limits.SHARED_DRAWN_MAX),
        ("settings", _STATE, "settings", setting, limits.LINKED_SETTINGS_MAX),
        ("relays", _STATE, "relays", m.SharedRelay("r", False, 0), limits.LINKED_RELAYS_MAX),
        ("vouchers", _PAIRING, "vouchers", m.SharedVoucher(bytes(32), False), limits.VOUCHERS_MAX),
        ("pairings", _PAIRING, "pairings", _PAIRING.pairings[0], limits.LINKED_PAIRINGS_MAX),
        ("places", _PAIRING, "places", m.SharedPlace(bytes(32), "h", 1), limits.LINKED_PLACES_MAX),
    )
    for what, message, field, item, most in lists:
        whole = encode(replace(message, **{field: [item] * (most + more)})).hex()
        head, tail = whole.split(encode(item).hex() * (most + more))
        part = {"hex": encode(item).hex(), "times": most + more}
        yield f"{most + more} {what} for a new terminal", "message", [head, part, tail]
    terminal = m.NewTerminal(
        bytes(32), bytes(32), "n" * (limits.TERMINAL_NAME_CHARACTERS_MAX + more), bytes(32), bytes(64)
    )
    yield f"a device's name of {len(terminal.name)} characters", "message", encode(terminal).hex()
    name, value = limits.LINKED_SETTING_NAME_MAX + more, limits.LINKED_SETTING_VALUE_MAX + more
    host, contacts = limits.LINKED_HOST_MAX + more, limits.LINKED_CONTACTS_MAX + more
    for comment, shared in {
        f"a setting's name of {name} characters": replace(
            _STATE, settings=[replace(setting, name="n" * name)]
        ),
        f"a setting's value of {value} characters": replace(
            _STATE, settings=[replace(setting, value="v" * value)]
        ),
        f"{contacts} contacts for a new terminal": replace(_STATE, contacts=contacts),
        f"a host of {host} characters": replace(_PAIRING, places=[m.SharedPlace(bytes(32), "h" * host, 1)]),
    }.items():
        yield comment, "message", encode(shared).hex()
    shares = [_SHARE] * (limits.SHARES_HELD_MAX + more)
    root = replace(_PAIRING.pairings[0], theirs=shares)
    whole = encode(replace(_PAIRING, pairings=[root])).hex()
    yield f"{len(shares)} shares of a contact for a new terminal", "message", whole


FULL: Final[tuple[Row, ...]] = (
    ("a receipt of 1,024 entries", "message", ["933301dc0400", {"hex": ID, "times": 1_024}]),
    (
        "256 heads",
        "message",
        [HEADS_BEGIN + "dc0100", {"hex": HEAD, "times": 256}, "c2"],
    ),
    ("16 heads of a log", "message", ["9320" + ID + "dc0010", {"hex": ID, "times": 16}]),
    ("256 operations", "message", ["9221dc0100", {"hex": "c40100", "times": 256}]),
    ("an operation of 8,192 bytes", "message", ["922191c52000", {"hex": "11", "times": 8_192}]),
    ("an Add of 1,024 bytes", "message", ["9218c50400", {"hex": "11", "times": 1_024}]),
    ("an entry header of 2,048 bytes", "message", ["9432c50800", {"hex": "11", "times": 2_048}, "c400c400"]),
    (
        "4 names of shares of each person",
        "ContactHello",
        [CONTACT_HELLO_HEAD + "92" + ("94" + NAME * 4) * 2 + "c504a0", {"hex": "11", "times": 1_184}, ID],
    ),
    *_handed_over(0),
)
"""Values with as much in them as their fields allow."""


def _entry_header(
    previous: str = "c400",
    parents: list[Any] | None = None,
    membership: list[Any] | None = None,
    time: str = "01",
    kind: str = "01",
    self_tag: str = "c400",
    sequence: str = "01",
    timer: str = "00",
    until: str = "00",
) -> list[Any]:
    """An entry header, as the parts of its encoding."""
    place = "9d" + ID + ID + "c408" + "22" * 8 + sequence + previous
    return [place, *(parents or ["90"]), *(membership or ["90"]), time + kind + timer + until + ID + self_tag]


_LIST_OF_17: Final = ["dc0011", {"hex": ID, "times": 17}]
_LIST_OF_16: Final = ["dc0010", {"hex": ID, "times": 16}]
_ID_OF_33: Final = "c421" + "11" * 33

FULL_HEADERS: Final[tuple[Row, ...]] = (
    ("no list with anything in it", "EntryHeader", _entry_header()),
    ("16 parents", "EntryHeader", _entry_header(parents=_LIST_OF_16)),
    ("16 heads of membership", "EntryHeader", _entry_header(membership=_LIST_OF_16)),
    ("time 2^48-1", "EntryHeader", _entry_header(time="cf0000ffffffffffff")),
    ("sequence 2^53-1", "EntryHeader", _entry_header(sequence="cf001fffffffffffff")),
    ("kind 255", "EntryHeader", _entry_header(kind="ccff")),
    ("a timer of a year", "EntryHeader", _entry_header(timer="ce01e13380", until="01")),
    ("until 2^53-1", "EntryHeader", _entry_header(timer="01", until="cf001fffffffffffff")),
    ("a timer of a year", "TimerBody", "91ce01e13380"),
    ("no timer", "TimerBody", "9100"),
    ("64 writes", "StateBody", ["91dc0040", {"hex": "9308" + ID + "c400", "times": 64}]),
    (
        "a value of 98,304 bytes",
        "StateBody",
        ["91919308" + ID + "c600018000", {"hex": "11", "times": 98_304}],
    ),
)
"""As FULL, of entry headers."""


def wrong_headers_and_forms() -> Iterator[Wrong]:
    """What is beyond the bounds of entry headers and text bodies, and more encodings that are longer."""
    for comment, kind, data in _HEADER_BOUNDS:
        yield Wrong(comment, "Bounds", kind, data, "V-CD-03")
    for comment, kind, data in _MORE_LONGER:
        yield Wrong(comment, "NotShortest", kind, data, "V-CD-04")


_HEADER_BOUNDS: Final[tuple[Row, ...]] = (
    ("17 parents", "EntryHeader", _entry_header(parents=_LIST_OF_17)),
    ("17 heads of membership", "EntryHeader", _entry_header(membership=_LIST_OF_17)),
    ("previous of 33 bytes", "EntryHeader", _entry_header(previous=_ID_OF_33)),
    ("a self tag of 33 bytes", "EntryHeader", _entry_header(self_tag=_ID_OF_33)),
    ("time 2^48", "EntryHeader", _entry_header(time="cf0001000000000000")),
    ("sequence 2^53", "EntryHeader", _entry_header(sequence="cf0020000000000000")),
    ("kind 256", "EntryHeader", _entry_header(kind="cd0100")),
    ("a timer of a year and a second", "EntryHeader", _entry_header(timer="ce01e13381", until="01")),
    ("until 2^53", "EntryHeader", _entry_header(timer="01", until="cf0020000000000000")),
    ("a timer of a year and a second", "TimerBody", "91ce01e13381"),
    ("33 commands", "BotBody", "92c3dc0021" + "92a161a141" * 33),
    ("a command without a name", "BotBody", "92c39192a0a141"),
    ("a command of 33 characters", "BotBody", "92c39192d921" + "61" * 33 + "a141"),
    ("a command without a description", "BotBody", "92c39192a161a0"),
    ("a description of 101 characters", "BotBody", "92c39192a161d965" + "41" * 101),
    ("no writes", "StateBody", "9190"),
    ("65 writes", "StateBody", ["91dc0041", {"hex": "9308" + ID + "c400", "times": 65}]),
    ("a register of 256", "StateBody", "919193cd0100" + ID + "c400"),
    ("what a register is about of 31 bytes", "StateBody", "91919308c41f" + "11" * 31 + "c400"),
    (
        "a value of 98,305 bytes",
        "StateBody",
        ["91919308" + ID + "c600018001", {"hex": "11", "times": 98_305}],
    ),
    ("a reply of 33 bytes", "TextBody", "92a161" + _ID_OF_33),
)

_MORE_LONGER: Final[tuple[Row, ...]] = (
    ("1 as int 16", "message", "9202d10001"),
    ("1 as int 32", "message", "9202d200000001"),
    ("1 as int 64", "message", "9202d30000000000000001"),
    ("128 as int 16", "message", "9202d10080"),
    ("a short string as str 32", "message", "9310" + ID + "db0000000161"),
    ("256 bytes as bin 32", "message", ["9432c600000100", {"hex": "11", "times": 256}, "c400c400"]),
)


NOTES: Final = {
    "Value": ("BASIC", "A value and its one encoding, both ways."),
    "Boundary": ("EDGE_CASE", "Lengths and numbers at the edge of an encoding or of the field's bounds."),
    "TooLong": ("RESOURCES", "More bytes than the type may have: refused before anything is decoded."),
    "Shape": ("MALFORMED", "Not one value of the expected shape."),
    "Bounds": ("MALFORMED", "A number, length or count outside of the field's bounds."),
    "NotShortest": ("MALLEABILITY", "A second encoding of a value that has a shorter one."),
}


def _add_values(group: Group, values: Iterator[tuple[str, str, Wire]], flag: str) -> None:
    for comment, kind, value in values:
        written = write_bytes(encode(value))
        steps = one_step(ACTIONS, None, "encode", type=kind, value=write_value(value))
        steps += one_step(ACTIONS, None, "decode", type=kind, bytes=written)
        expect_equal("encoding", steps[0]["gives"]["bytes"], written)
        group.add(f"{kind}: {comment}", [flag], SUCCESS, steps)


def _add_wrong(group: Group, wrong: Wrong) -> None:
    step = {"do": "decode", "type": wrong.kind, "bytes": wrong.data}
    group.add(f"{wrong.kind}: {wrong.comment}", [wrong.flag], wrong.expect, [step], rule=wrong.rule)


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    group = Group("3.3", {})
    values, edges = struct_values(seed)
    _add_values(group, values, "Value")
    _add_values(group, edges, "Boundary")
    for wrong in wrong_encodings():
        _add_wrong(group, wrong)
    groups = [group, _bounds(FULL, full_of_zeros()), _bounds(FULL_HEADERS, wrong_headers_and_forms())]
    return build_file(seed, NOTES, groups)


def _bounds(full: Iterable[Row], refused: Iterable[Wrong]) -> Group:
    """What has just as many bytes or items as it may have, not shown as a value; and what has more."""
    group = Group("3.3", {})
    for comment, kind, data in full:
        steps = one_step(ACTIONS, None, "accept", type=kind, bytes=data)
        group.add(f"{kind}: {comment}", ["Boundary"], SUCCESS, steps)
    for wrong in refused:
        _add_wrong(group, wrong)
    return group
