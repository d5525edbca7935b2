"""Makes the vectors of discovery. Each refused announcement breaks one rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from protocol.discovery import TEXT_MAX, slot
from protocol.limits import SLOT_BYTES
from protocol.vectors.discovery import ACTIONS, AREA
from protocol.vectors.frame import SUCCESS, Json
from tests.vectors.files import Group, Seed, build_file, one_step

NOTES: Final = {
    "Slot": ("BASIC", "What a slot binds: key, day, static key, instance, port, addresses."),
    "Day": ("EDGE_CASE", "UTC days and their edges; yesterday's, today's and tomorrow's slot is known."),
    "Stranger": ("AUTHENTICITY", "An announcement that is nobody's here, or was changed on its way."),
    "Count": ("CONFIDENTIALITY", "The number of slots takes one of three values."),
    "Record": ("BASIC", "An announcement as it is read from its records."),
    "BadPlace": ("MALFORMED", "Instance name or port that nobody announces."),
    "BadText": ("MALFORMED", "A TXT record of another form."),
    "BadAddress": ("CONFIDENTIALITY", "Addresses that nobody local announces."),
}
_PIECE: Final = 248
_PLACE: Final[Json] = {"instance": "0123456789abcdef", "port": 4747, "addresses": ["192.168.1.20", "fe80::1"]}
_DAY: Final = 20_782


def _steps(do: str, **given: Any) -> list[Json]:
    return one_step(ACTIONS, {}, do, **given)


def _slot_group(seed: Seed) -> Group:
    group = Group("13", {})
    bound = {"discovery_key": seed.bytes("key").hex(), "day": _DAY, "static": seed.bytes("static").hex()}
    for comment, changes in (
        ("a slot", {}),
        ("another key", {"discovery_key": seed.bytes("other key").hex()}),
        ("the next day", {"day": _DAY + 1}),
        ("another static key", {"static": seed.bytes("other static").hex()}),
        ("another instance", {"instance": "fedcba9876543210"}),
        ("another port", {"port": 65_535}),
        ("addresses in another order, one twice: the first test's slot", _shuffled()),
        ("one address, IPv6, first day of all", {"addresses": ["fe80::1"], "day": 0}),
    ):
        group.add(comment, ["Slot"], SUCCESS, _steps("slot", **(bound | _PLACE | changes)))
    for comment, unix_ms in (
        ("the last millisecond of a day", (_DAY + 1) * 86_400_000 - 1),
        ("the first millisecond of a day", (_DAY + 1) * 86_400_000),
        ("the beginning", 0),
    ):
        group.add(comment, ["Day"], SUCCESS, _steps("day", unix_ms=unix_ms))
    return group


def _shuffled() -> Json:
    return {"addresses": ["fe80::1", "192.168.1.20", "fe80::1"]}


def _recognise_group(seed: Seed) -> Group:
    group = Group("13", {})
    static, key = seed.bytes("static"), seed.bytes("key")
    known = [
        {"static": seed.bytes(f"{name}static").hex(), "discovery_key": seed.bytes(f"{name}key").hex()}
        for name in ("other ", "")
    ]
    filling = [seed.bytes(f"filling {n}")[:SLOT_BYTES] for n in range(32)]
    filling[17] = slot(key, _DAY, static, _PLACE["instance"], _PLACE["port"], _PLACE["addresses"])
    base = _PLACE | {"slots": b"".join(filling).hex(), "known": known, "day": _DAY}
    for comment, flag, changes in (
        ("known by today's slot", "Day", {}),
        ("the viewer's clock is a day behind", "Day", {"day": _DAY - 1}),
        ("the viewer's clock is a day ahead", "Day", {"day": _DAY + 1}),
        ("two days behind", "Stranger", {"day": _DAY - 2}),
        ("two days ahead", "Stranger", {"day": _DAY + 2}),
        ("copied to another instance", "Stranger", {"instance": "fedcba9876543210"}),
        ("copied to another port", "Stranger", {"port": 4748}),
        ("copied to another address", "Stranger", {"addresses": ["192.168.1.21", "fe80::1"]}),
        ("nobody is known", "Stranger", {"known": []}),
        ("the key of another terminal", "Stranger", {"known": known[:1]}),
    ):
        group.add(comment, [flag], SUCCESS, _steps("recognise", **(base | changes)))
    return group


def _count_group(seed: Seed) -> Group:
    group = Group("13", {})
    bound = _PLACE | {"day": _DAY, "static": seed.bytes("static").hex()}
    for contacts in (0, 1, 32, 33, 64, 65, 128, 129):
        keys = [seed.bytes(f"contact {n}").hex() for n in range(contacts)]
        steps = _steps("announce", discovery_keys=keys, **bound)
        group.add(f"slots of {contacts} contacts", ["Count"], SUCCESS, steps)
    return group


def _strings(*each: bytes) -> bytes:
    return b"".join(bytes([len(string)]) + string for string in each)


def _pieces(slots: bytes) -> list[bytes]:
    return [b"s%d=" % n + slots[at : at + _PIECE] for n, at in enumerate(range(0, len(slots), _PIECE))]


def _slot_bytes(seed: Seed, count: int) -> bytes:
    return b"".join(seed.bytes(f"slot {n}")[:SLOT_BYTES] for n in range(count))


def _valid_records(seed: Seed) -> Group:
    group = Group("13", {})
    slots = {count: _slot_bytes(seed, count) for count in (32, 64, 128)}
    hidden = _strings(b"v=1", *_pieces(slots[32]))
    name = "Ada 小雨".encode()
    for comment, changes in (
        ("32 slots, not visible", {}),
        ("64 slots and a name", {"text": _strings(b"v=1", *_pieces(slots[64]), b"n=" + name)}),
        ("128 slots and a name before them", {"text": _strings(b"n=" + name, b"v=1", *_pieces(slots[128]))}),
        ("an empty name counts as absent", {"text": hidden + _strings(b"n=")}),
        ("keys that are not known", {"text": _strings(b"x=", b"V=2", b"z=a=b") + hidden}),
        ("a name of 64 characters", {"text": hidden + _strings(b"n=" + "é".encode() * 64)}),
        ("addresses in their canonical form, sorted", {"addresses": ["FE80::0:1", "::ffff:10.0.0.1"]}),
        (
            "addresses that are not local are left out",
            {"addresses": ["192.0.2.1", "10.0.0.1", "fec0::1"]},
        ),
        ("loopback beside others is left out", {"addresses": ["127.0.0.1", "::1", "172.16.0.1"]}),
        ("loopback alone", {"addresses": ["127.0.0.1"]}),
        ("the first and last local address of each range, in two", {"addresses": _edges()[:8]}),
        ("the rest of them", {"addresses": _edges()[8:]}),
        ("the longest instance name", {"instance": "z-9" * 21}),
    ):
        given = _PLACE | {"text": hidden.hex()} | _in_hex(changes)
        group.add(comment, ["Record"], SUCCESS, _steps("read", **given))
    for comment, count, shown in (
        ("written without a name", 32, ""),
        ("written with a name", 64, "Ada 小雨"),
        ("a name of 256 bytes is cut at a character", 128, "🎈" * 64),
    ):
        steps = _steps("write", slots=slots[count].hex(), name=shown)
        group.add(comment, ["Record"], SUCCESS, steps)
    return group


def _edges() -> list[str]:
    return [
        "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255",
        "169.254.0.0", "169.254.255.255", "100.64.0.0", "100.127.255.255", "fe80::", "febf:ffff::",
        "fc00::", "fdff:ffff::",
    ]  # fmt: skip


def _in_hex(changes: Json) -> Json:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in changes.items()}


def _bad_places() -> Iterable[tuple[str, str, Json]]:
    yield "V-DR-01", "an empty instance name", {"instance": ""}
    yield "V-DR-01", "an instance name of 64 characters", {"instance": "a" * 64}
    yield "V-DR-01", "an upper-case letter in the instance name", {"instance": "Abc"}
    yield "V-DR-01", "a dot in the instance name", {"instance": "a.b"}
    yield "V-DR-01", "a line break after the instance name", {"instance": "abc\n"}
    yield "V-DR-01", "a digit that is not ASCII", {"instance": "a٣"}
    yield "V-DR-02", "no port", {"port": None}
    yield "V-DR-02", "port 0", {"port": 0}


def _bad_texts(slots: bytes) -> Iterable[tuple[str, str, Json]]:
    one, pieces = _strings(b"v=1"), _strings(*_pieces(slots))
    whole = one + pieces
    yield "V-DR-03", "1,401 bytes", {"text": whole + _filling(TEXT_MAX + 1 - len(whole))}
    yield "V-DR-03", "an empty string", {"text": whole + b"\x00"}
    yield "V-DR-03", "a string that is cut", {"text": whole + b"\x05n=Ad"}
    yield "V-DR-03", "a string without =", {"text": whole + _strings(b"name")}
    yield "V-DR-03", "a key twice", {"text": whole + _strings(b"v=1")}
    yield "V-DR-03", "a key that is not known twice", {"text": whole + _strings(b"x=1", b"x=2")}
    yield "V-DR-04", "no v", {"text": pieces}
    yield "V-DR-04", "v is 2", {"text": _strings(b"v=2") + pieces}
    yield "V-DR-04", "v is empty", {"text": _strings(b"v=") + pieces}
    yield "V-DR-04", "an empty record", {"text": b""}


def _bad_slots_and_names(slots: bytes) -> Iterable[tuple[str, str, Json]]:
    one = _strings(b"v=1")
    for comment, joined in (
        ("no slots", b""),
        ("31 slots", slots[:248]),
        ("33 slots", slots + slots[:8]),
        ("32 slots less a byte", slots[:-1]),
        ("32 slots and a byte", slots + b"\x00"),
        ("96 slots", slots * 3),
    ):
        yield "V-DR-05", comment, {"text": one + _strings(*_pieces(joined))}
    first, second = _pieces(slots)
    yield "V-DR-05", "no s0", {"text": one + _strings(second)}
    yield "V-DR-05", "s2 in place of s1", {"text": one + _strings(first, b"s2=" + second[3:])}
    whole = one + _strings(first, second)
    yield "V-DR-06", "a name that is not UTF-8", {"text": whole + _strings(b"n=Ad\xff")}
    yield "V-DR-06", "a name that encodes a surrogate", {"text": whole + _strings(b"n=\xed\xa0\x80")}
    yield "V-DR-06", "a name of 65 characters", {"text": whole + _strings(b"n=" + b"a" * 65)}
    yield "V-DR-06", "a control character in the name", {"text": whole + _strings(b"n=Ad\x1b[2J")}
    yield "V-DR-06", "a C1 control in the name", {"text": whole + _strings("n=Ad\x85".encode())}


def _bad_addresses() -> Iterable[tuple[str, str, Json]]:
    yield "V-DR-07", "no address", {"addresses": []}
    yield "V-DR-07", "no address that is local", {"addresses": ["8.8.8.8", "2001:db8::1"]}
    yield (
        "V-DR-07",
        "just outside of the local ranges",
        {"addresses": ["172.32.0.0", "100.128.0.0", "fec0::"]},
    )
    yield "V-DR-07", "nine addresses", {"addresses": [f"10.0.0.{n}" for n in range(9)]}


def _refused_records(seed: Seed) -> Group:
    group, slots = Group("13", {}), _slot_bytes(seed, 32)
    text = _strings(b"v=1", *_pieces(slots)).hex()
    kinds = {
        "BadPlace": _bad_places(),
        "BadText": [*_bad_texts(slots), *_bad_slots_and_names(slots)],
        "BadAddress": _bad_addresses(),
    }
    for flag, cases in kinds.items():
        for rule, comment, changes in cases:
            step = {"do": "read"} | _PLACE | {"text": text} | _in_hex(changes)
            group.add(comment, [flag], "malformed", [step], rule=rule)
    return group


def _edges_group(seed: Seed) -> Group:
    """What stands just within a bound."""
    group, slots = Group("13", {}), _slot_bytes(seed, 32)
    whole = _strings(b"v=1", *_pieces(slots))
    filled = whole + _filling(TEXT_MAX - len(whole))
    for comment, changes in (
        ("1,400 bytes of text", {"text": filled}),
        ("a name of 253 bytes", {"text": whole + _strings(b"n=" + "🎈".encode() * 63 + b"a")}),
        ("port 65535", {"port": 65_535}),
        ("port 1", {"port": 1}),
    ):
        given = _PLACE | {"text": whole.hex()} | _in_hex(changes)
        group.add(comment, ["Record"], SUCCESS, _steps("read", **given))
    for comment, name in (
        ("a name of 253 bytes is written whole", "🎈" * 63 + "a"),
        ("a name of 254 bytes is cut at a character", "小小" + "🎈" * 62),
    ):
        steps = _steps("write", slots=slots.hex(), name=name)
        group.add(comment, ["Record"], SUCCESS, steps)
    return group


def _spelling_group(seed: Seed) -> Group:
    """Case and order of keys, and addresses that are none."""
    group = Group("13", {})
    slots = {count: _slot_bytes(seed, count) for count in (32, 128)}
    first, second = _pieces(slots[32])
    one = _strings(b"v=1")
    whole = one + _strings(first, second)
    for comment, changes in (
        ("the keys in another order", {"text": _strings(b"n=Ada", second, first, b"v=1")}),
        ("an upper-case N is a key that is not known", {"text": whole + _strings(b"N=Ada")}),
        ("v and V are two keys", {"text": _strings(b"V=2") + whole}),
        ("a piece after the first that is absent is not read", {"text": whole + _strings(b"s3=" + bytes(8))}),
        ("s5 is not read", {"text": one + _strings(*_pieces(slots[128]), b"s5=" + bytes(8))}),
        ("pieces of other sizes", {"text": one + _strings(first[:11], b"s1=" + first[11:] + second[3:])}),
        ("a text that is no address is left out", {"addresses": ["localhost", "", "10.0.0.1"]}),
        ("an address in another base is none", {"addresses": ["10.0.0.0x1", "010.0.0.1", "10.0.0.2"]}),
        ("one address in several spellings", {"addresses": ["fe80::1", "FE80::0:1", "fe80:0::1"]}),
    ):
        given = _PLACE | {"text": whole.hex()} | _in_hex(changes)
        group.add(comment, ["Record"], SUCCESS, _steps("read", **given))
    for rule, comment, changes in (
        ("V-DR-04", "an upper-case V alone", {"text": _strings(b"V=1", first, second)}),
        ("V-DR-05", "upper-case S0 and S1", {"text": one + _strings(b"S" + first[1:], b"S" + second[1:])}),
        ("V-DR-03", "s0 twice, with one value", {"text": whole + _strings(first)}),
        ("V-DR-07", "no text that is an address", {"addresses": ["localhost", "10.0.0", "1"]}),
    ):
        step = {"do": "read"} | _PLACE | {"text": whole.hex()} | _in_hex(changes)
        flag = "BadAddress" if rule == "V-DR-07" else "BadText"
        group.add(comment, [flag], "malformed", [step], rule=rule)
    return group


def _filling(size: int) -> bytes:
    """Strings of unknown keys, `size` bytes of them."""
    one = 204
    long = b"".join(_strings(b"x%d=" % n + bytes(200)) for n in range(size // one))
    return long + _strings(b"y=" + bytes(size % one - 3))


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    makers = (
        _slot_group,
        _recognise_group,
        _count_group,
        _valid_records,
        _refused_records,
        _edges_group,
        _spelling_group,
    )
    return build_file(seed, NOTES, [make(seed) for make in makers])
