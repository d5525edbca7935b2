"""Vectors of one operation of a person log: signed and read, and whatever V-OG refuses (SPEC §7.1, §7.2).

Rules: each wrong operation is truly signed, so that nothing but the one rule refuses it; no log is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from protocol.codec import encode
from protocol.person_log import Add, Genesis, Recover, Removal, Remove, Rename, parse_operation
from protocol.primitives import ed25519_from_seed
from protocol.vectors.frame import SUCCESS
from protocol.vectors.persons import ACTIONS
from tests.vectors.files import Group, Script, Seed, one_step
from tests.vectors.persons_made import Person, Terminal, signatures_of, signed_bytes, with_signatures

Wrong = tuple[str, str, bytes]
"""The rule, the comment, the signed operation."""

_P: Final = 2**255 - 19
_BAD_SIGNING: Final = {
    "the neutral point": (1).to_bytes(32, "little"),
    "a point of order 4": bytes(32),
    "a point of order 2": (_P - 1).to_bytes(32, "little"),
    # The base point plus a point of order 8.
    "a point of mixed order": bytes.fromhex(
        "f85ad4d1cb5e1f6a8c5ca7259994deb08c1dcac1f1aef8dd900a829209733bc2"
    ),
    "no point of the curve": (2).to_bytes(32, "little"),
    "the neutral point in a second encoding": (_P + 1).to_bytes(32, "little"),
}
_BAD_STATIC: Final = {
    "that is 0": bytes(32),
    "that is 1": (1).to_bytes(32, "little"),
    "of order 8": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    "that is 2^255-19": _P.to_bytes(32, "little"),
    "with bit 255 set": (2**255 + 9).to_bytes(32, "little"),
}
_BAD_NAMES: Final = {
    "a space before it": " Anna",
    "a space after it": "Anna ",
    "a line break in it": "An\nna",
    "a C1 control in it": "An\x85na",
    "an Arabic letter mark": "An\u061cna",
    "a left-to-right mark": "An\u200ena",
    "a line separator": "An\u2028na",
    "an override of direction": "An\u202ena",
    "an isolate": "An\u2066na",
    "a space alone": " ",
}


def single_groups(seed: Seed) -> list[Group]:
    """Keys and ids, each operation signed and read, each refused."""
    person = Person(seed, "single", "Anna")
    return [_terminals(seed), _signed(person), _refused(person)]


def _terminals(seed: Seed) -> Group:
    group = Group("7.1", {})
    for name in ("first", "second"):
        terminal = Terminal.of(seed, name)
        given = {"signing_seed": terminal.seed.hex(), "static_secret": terminal.secret.hex()}
        steps = one_step(ACTIONS, group.inputs, "terminal", **given)
        group.add(f"the {name} terminal's keys and id", ["Operation"], SUCCESS, steps)
    return group


def edge_group(seed: Seed) -> Group:
    """The largest signed operation, and what is just beyond a bound."""
    person = Person(seed, "edges", "Anna")
    group, ids = Group("7.2", {}), _ids(person, 24)
    removed = [Removal(ids[0], ids[1]), *(Removal(each, b"") for each in ids[2:9])]
    upon, key = ids[8:24], ed25519_from_seed(seed.bytes("edges recovery"))
    recover = Recover(person.id, 0x1000, upon, key, removed, b"", b"")
    signed = signed_bytes(encode(recover), person.recovery)
    steps = one_step(ACTIONS, group.inputs, "parse", signed=signed.hex())
    group.add(f"a signed operation of {len(signed):,} bytes", ["Operation"], SUCCESS, steps)
    longer = signed + b"\x00"
    step = {"do": "parse", "signed": longer.hex()}
    group.add(f"{len(longer):,} bytes", ["BadOperation"], "limit", [step], rule="V-OG-01")
    for comment, wrong in {
        "both keys of a recovery of 33 bytes": _recover(person, signing=bytes(33), static=bytes(33)),
        "a last of 33 bytes in a recovery": _recover(person, removed=[Removal(ids[0], bytes(33))]),
        "a sequence of 2^32": _rename(person, sequence=2**32),
    }.items():
        step = {"do": "parse", "signed": wrong.hex()}
        group.add(comment, ["BadOperation"], "malformed", [step], rule="V-OG-02")
    return group


# --- Signed and read ---


def _later(person: Person) -> dict[str, tuple[Add | Remove | Rename | Recover, tuple[bytes, ...]]]:
    """An operation of each kind upon the founding ones, and its signers' seeds."""
    second, first = person.terminal("second"), person.first
    upon = [person.id_of("rename")]
    common = person.id, first.id, 2, upon
    other = ed25519_from_seed(person.seed.bytes("next recovery"))
    new = second.signing, second.static
    gone = [Removal(first.id, upon[0])]
    return {
        "an Add": (Add(*common, *new), (first.seed, second.seed)),
        "a Remove that cuts nothing": (Remove(*common, first.id, upon[0]), (first.seed,)),
        "a Remove with an empty last": (Remove(*common, second.id, b""), (first.seed,)),
        "a Rename": (Rename(*common, "Ada 小雨"), (first.seed,)),
        "a Recover alone": (Recover(person.id, 1, upon, other, [], b"", b""), (person.recovery,)),
        "a Recover with all its parts": (
            Recover(person.id, 1, upon, other, gone, *new),
            (person.recovery, second.seed),
        ),
    }


def _signed(person: Person) -> Group:
    group = Group("7.2", {})
    genesis = parse_operation(person.log["genesis"]).operation
    founding = {"a Genesis": (genesis, (person.first.seed, person.recovery))}
    for comment, (operation, seeds) in (founding | _later(person)).items():
        script = Script(ACTIONS, group.inputs)
        given = {"operation": encode(operation).hex(), "signing_seeds": [each.hex() for each in seeds]}
        signed = script.take("sign", **given)["signed"]
        script.take("parse", signed=signed)
        group.add(comment, ["Operation"], SUCCESS, script.steps)
    return group


# --- Refused ---


def _refused(person: Person) -> Group:
    group = Group("7.2", {})
    wrong = (_sizes, _encodings, _places, _names, _recoveries, _keys, _doubles)
    for rule, comment, signed in (case for cases in wrong for case in cases(person)):
        expect = "limit" if rule == "V-OG-01" else "malformed"
        group.add(comment, ["BadOperation"], expect, [{"do": "parse", "signed": signed.hex()}], rule=rule)
    return group


def _rename(person: Person, **changes: Any) -> bytes:
    operation = _later(person)["a Rename"][0]
    return signed_bytes(encode(replace(operation, **changes)), person.first.seed)


def _remove(person: Person, **changes: Any) -> bytes:
    operation = _later(person)["a Remove that cuts nothing"][0]
    return signed_bytes(encode(replace(operation, **changes)), person.first.seed)


def _recover(person: Person, **changes: Any) -> bytes:
    operation, seeds = _later(person)["a Recover with all its parts"]
    return signed_bytes(encode(replace(operation, **changes)), *seeds)


def _genesis(person: Person, **changes: Any) -> bytes:
    operation = parse_operation(person.log["genesis"]).operation
    seeds = person.first.seed, person.recovery
    return signed_bytes(encode(replace(operation, **changes)), *seeds, genesis=True)


def _ids(person: Person, count: int) -> list[bytes]:
    return sorted(person.seed.bytes(f"id {n}") for n in range(count))


def _sizes(person: Person) -> Iterator[Wrong]:
    removed = [Removal(terminal, terminal) for terminal in _ids(person, 8)]
    signed = _recover(person, parents=_ids(person, 6), removed=removed)
    yield "V-OG-01", f"a signed operation of {len(signed)} bytes", signed


def _encodings(person: Person) -> Iterator[Wrong]:
    rule, signed = "V-OG-02", person.log["rename"]
    operation, _ = msgspec.msgpack.decode(signed)
    signature = signatures_of(signed)[0]
    yield rule, "a byte after the signed operation", signed + b"\x00"
    yield rule, "the signed operation less a byte", signed[:-1]
    yield rule, "no signature", with_signatures(signed)
    yield rule, "three signatures", with_signatures(signed, *[signature] * 3)
    yield rule, "a signature of 63 bytes", with_signatures(signed, signature[:-1])
    yield rule, "the signed operation's array in a longer encoding", b"\xdc\x00\x02" + signed[1:]
    seed = person.first.seed
    yield rule, "a byte after the operation", signed_bytes(operation + b"\x00", seed)
    yield rule, "an operation without its last field", signed_bytes(b"\x95" + operation[1:-5], seed)
    yield rule, "an operation of number 5", signed_bytes(operation[:1] + b"\x05" + operation[2:], seed)
    sequence = 70
    longer = operation[:sequence] + b"\xcc" + operation[sequence:]
    yield rule, "a sequence in a longer encoding", signed_bytes(longer, seed)
    yield rule, "an author of 31 bytes", _rename(person, author=person.first.id[:-1])
    yield rule, "17 parents", _rename(person, parents=_ids(person, 17))
    yield (
        rule,
        "nine removed terminals",
        _recover(person, removed=[Removal(terminal, b"") for terminal in _ids(person, 9)]),
    )
    yield rule, "a name without characters", _rename(person, name="")
    yield rule, "a name of 65 characters", _rename(person, name="a" * 65)
    yield rule, "a name that is not UTF-8", signed_bytes(operation[:-4] + b"\xff\xff\xff\xff", seed)
    yield rule, "a last of 33 bytes", _remove(person, last=bytes(33))


def _places(person: Person) -> Iterator[Wrong]:
    low, high = _ids(person, 2)
    yield "V-OG-03", "no parents", _rename(person, parents=[])
    yield "V-OG-03", "a recovery without parents", _recover(person, parents=[])
    yield "V-OG-03", "sequence 0", _rename(person, sequence=0)
    yield "V-OG-03", "a recovery of sequence 0", _recover(person, sequence=0)
    yield "V-OG-04", "parents descending", _rename(person, parents=[high, low])
    yield "V-OG-04", "a parent twice", _rename(person, parents=[low, low])
    yield (
        "V-OG-04",
        "removed terminals descending",
        _recover(person, removed=[Removal(high, b""), Removal(low, b"")]),
    )
    yield (
        "V-OG-04",
        "a terminal removed twice",
        _recover(person, removed=[Removal(low, b""), Removal(low, high)]),
    )
    for size in (1, 31):
        yield "V-OG-05", f"a last of {size} bytes", _remove(person, last=bytes(size))
        yield (
            "V-OG-05",
            f"a last of {size} bytes in a recovery",
            _recover(person, removed=[Removal(low, bytes(size))]),
        )


def _names(person: Person) -> Iterator[Wrong]:
    for comment, name in _BAD_NAMES.items():
        yield "V-OG-06", f"a name with {comment}", _rename(person, name=name)


def _recoveries(person: Person) -> Iterator[Wrong]:
    yield "V-OG-07", "a signing key without a static key", _recover(person, static=b"")
    yield "V-OG-07", "a static key without a signing key", _recover(person, signing=b"")
    yield "V-OG-07", "a static key of 31 bytes", _recover(person, static=b"\x09" * 31)


def _keys(person: Person) -> Iterator[Wrong]:
    for comment, key in _BAD_SIGNING.items():
        yield "V-OG-08", f"as signing key {comment}", _genesis(person, signing=key)
    for comment, key in _BAD_STATIC.items():
        yield "V-OG-08", f"a static key {comment}", _genesis(person, static=key)
    good = person.terminal("second").signing
    yield (
        "V-OG-08",
        "as recovery key a point of order 2",
        _genesis(person, recovery=_BAD_SIGNING["a point of order 2"]),
    )
    yield (
        "V-OG-08",
        "as new recovery key the neutral point",
        _recover(person, recovery=_BAD_SIGNING["the neutral point"]),
    )
    yield (
        "V-OG-08",
        "both keys of a recovery of 31 bytes",
        _recover(person, signing=good[:-1], static=b"\x09" * 31),
    )


def _doubles(person: Person) -> Iterator[Wrong]:
    genesis = parse_operation(person.log["genesis"]).operation
    assert isinstance(genesis, Genesis)
    yield (
        "V-OG-09",
        "the recovery key signs for the first terminal",
        _genesis(person, signing=genesis.recovery),
    )
    # A signing key whose bytes are a canonical X25519 key as well.
    both = next(key for n in range(99) if (key := _public(person, n))[31] < 0x7F)
    yield "V-OG-09", "one key for both roles of a terminal", _genesis(person, signing=both, static=both)
    yield (
        "V-OG-09",
        "the new terminal signs by the new recovery key",
        _recover(person, recovery=person.terminal("second").signing),
    )


def _public(person: Person, n: int) -> bytes:
    return ed25519_from_seed(person.seed.bytes(f"both {n}"))
