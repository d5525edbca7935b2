"""Makes the vectors of the profile header: wrapping, unwrapping, damage and wrong passphrases.

The cost is the least that is allowed, so that all of them run at once. A changed header gets its checksum
corrected, unless the test is about the checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from protocol.codec import encode
from protocol.profile_header import (
    CHEAPEST,
    HEADER_BYTES_MAX,
    MAGIC,
    Header,
    checked,
    parse,
)
from protocol.vectors.frame import SUCCESS, Json, write_bytes
from protocol.vectors.profile import ACTIONS, AREA
from tests.vectors.files import Group, Script, Seed, build_file

NOTES: Final = {
    "Wrapped": ("BASIC", "A database key under a passphrase, both ways."),
    "SamePassphrase": ("EDGE_CASE", "The same letters in another Unicode form."),
    "TooLong": ("RESOURCES", "More bytes than a header may have."),
    "NoHeader": ("MALFORMED", "Not the one encoding of a header within its bounds."),
    "Damaged": ("AUTHENTICITY", "The checksum does not fit, or it is another file."),
    "Newer": ("EDGE_CASE", "A later version, also where its shape is not known here."),
    "DoesNotOpen": ("AUTHENTICITY", "A wrong passphrase, or what was sealed under another cost or salt."),
}
PASSPHRASE: Final = "Zo\u00eb und caf\u00e9"
DECOMPOSED: Final = "Zoe\u0308 und cafe\u0301"
PORT: Final = 4_747


def _given(seed: Seed, port: int) -> Json:
    salt, key = seed.bytes(f"salt/{port}")[:16], seed.bytes("database key")
    cost = {"operations": CHEAPEST.operations, "memory_bytes": CHEAPEST.memory_bytes}
    return {"database_key": key.hex(), "salt": salt.hex(), "passphrase": PASSPHRASE, "port": port} | cost


def _wrapped(group: Group, seed: Seed) -> bytes:
    """The tests that succeed; the header that the others spoil."""
    header = ""
    for port in (0, PORT):
        script = Script(ACTIONS, None)
        header = script.take("wrap", **_given(seed, port))["header"]
        script.take("unwrap", header=header, passphrase=PASSPHRASE)
        group.add(f"a key, and port {port}", ["Wrapped"], SUCCESS, script.steps)
    script = Script(ACTIONS, None)
    script.take("unwrap", header=header, passphrase=DECOMPOSED)
    group.add("letters and accents apart", ["SamePassphrase"], SUCCESS, script.steps)
    moved = parse(bytes.fromhex(header)).with_port(65_535).to_bytes().hex()
    script = Script(ACTIONS, None)
    script.take("unwrap", header=moved, passphrase=PASSPHRASE)
    group.add("another port with its checksum", ["Wrapped"], SUCCESS, script.steps)
    return bytes.fromhex(header)


Refused = tuple[str, str, str, Any]
"""Comment, flag, rule, the header's bytes."""


def _refused(data: bytes) -> Iterator[Refused]:
    whole = parse(data)

    def changed(**fields: Any) -> bytes:
        return checked(msgspec.structs.replace(whole, **fields)).to_bytes()

    too_long = [{"hex": "00", "times": HEADER_BYTES_MAX + 1}]
    yield "1,025 bytes", "TooLong", "V-PH-01", too_long
    yield from _no_headers(data, changed)
    yield from _damaged(data, whole, changed)
    for comment, newer in (
        ("version 2 of the same shape", changed(version=2)),
        ("version 3 of another shape", encode([MAGIC, 3, "another shape"])),
        ("magic and version alone", encode([MAGIC, 2])),
    ):
        yield comment, "Newer", "V-PH-04", newer
    sealed = bytes([whole.wrapped[0] ^ 1]) + whole.wrapped[1:]
    for comment, other in (
        ("another count of passes", changed(operations=2)),
        ("another salt", changed(salt=bytes(16))),
        ("one bit of the sealed key", changed(wrapped=sealed)),
    ):
        yield comment, "DoesNotOpen", "V-PH-05", other


def _no_headers(data: bytes, changed: Callable[..., bytes]) -> Iterator[Refused]:
    costs: dict[str, Json] = {
        "no pass": {"operations": 0},
        "11 passes": {"operations": 11},
        "one byte less than 8 MiB": {"memory_bytes": 8 * 2**20 - 1},
        "one byte more than 1 GiB": {"memory_bytes": 2**30 + 1},
        "a salt of 15 bytes": {"salt": bytes(15)},
        "port 65,536": {"port": 65_536},
    }
    yield "nothing", "NoHeader", "V-PH-02", b""
    yield "without its last byte", "NoHeader", "V-PH-02", data[:-1]
    yield "with a byte after it", "NoHeader", "V-PH-02", data + b"\x00"
    for comment, fields in costs.items():
        yield comment, "NoHeader", "V-PH-02", changed(**fields)
    shortest = encode(CHEAPEST.operations)
    place = data.index(shortest + encode(CHEAPEST.memory_bytes))
    longer = data[:place] + b"\xcc" + shortest + data[place + 1 :]
    yield "passes as uint 8", "NoHeader", "V-PH-02", longer


def _damaged(data: bytes, whole: Header, changed: Callable[..., bytes]) -> Iterator[Refused]:
    yield "another magic", "Damaged", "V-PH-03", changed(magic="parlour-profilE")
    yield "one bit of the checksum", "Damaged", "V-PH-03", data[:-1] + bytes([data[-1] ^ 1])
    moved = msgspec.structs.replace(whole, port=whole.port ^ 1).to_bytes()
    yield "another port and the old checksum", "Damaged", "V-PH-03", moved


_CLASSES: Final = {"V-PH-01": "limit", "V-PH-05": "authentication"}


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    group = Group("21", {})
    data = _wrapped(group, seed)
    for comment, flag, rule, header in _refused(data):
        written = write_bytes(header) if isinstance(header, bytes) else header
        step = {"do": "unwrap", "header": written, "passphrase": PASSPHRASE}
        group.add(comment, [flag], _CLASSES.get(rule, "malformed"), [step], rule=rule)
    step = {"do": "unwrap", "header": data.hex(), "passphrase": PASSPHRASE + "."}
    group.add("another passphrase", ["DoesNotOpen"], "authentication", [step], rule="V-PH-05")
    return build_file(seed, NOTES, [group, _versions(data)])


def _versions(data: bytes) -> Group:
    """Which rule speaks of a header of another version."""
    whole, group = parse(data), Group("21", {})

    def changed(**fields: Any) -> bytes:
        return checked(msgspec.structs.replace(whole, **fields)).to_bytes()

    second = msgspec.structs.replace(whole, version=2).to_bytes()
    for comment, flag, rule, header in (
        ("version 0 of the same shape", "Newer", "V-PH-04", changed(version=0)),
        ("version 2 of the same shape with another checksum", "Damaged", "V-PH-03", second),
        ("version 2, and what no version 1 can read", "Newer", "V-PH-04", encode([MAGIC, 2]) + b"\xc1"),
        ("version 0 of another shape", "NoHeader", "V-PH-02", encode([MAGIC, 0, "another shape"])),
        ("version 1 of another shape", "NoHeader", "V-PH-02", encode([MAGIC, 1, "another shape"])),
        ("version 2 under another magic", "NoHeader", "V-PH-02", encode(["parlour-profilE", 2])),
    ):
        step = {"do": "unwrap", "header": header.hex(), "passphrase": PASSPHRASE}
        group.add(comment, [flag], "malformed", [step], rule=rule)
    return group
