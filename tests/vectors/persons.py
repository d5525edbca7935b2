"""Makes the vectors of person logs: one operation, what a log comes to, what is exchanged (SPEC §7).

Each wrong operation is truly signed, unless the signature is its fault, so that only the one rule refuses it.
A group is one history, whose operations its inputs name; each test reads a part of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from protocol.codec import encode
from protocol.identity.author import recover_operation, recovery_words, rename_operation, sign_recovery
from protocol.identity.log import Add, Genesis, Recover, Removal, Remove, Rename, parse_operation
from protocol.identity.safety import word_list
from protocol.limits import (
    LOG_HELD_MAX,
    LOG_KEPT_MAX,
    LOG_OPERATIONS_MAX,
    LOG_RECOVERIES_MAX,
    OPERATION_BYTES_MAX,
    PARENTS_MAX,
)
from protocol.messages import LogHeads
from protocol.primitives import ed25519_from_seed
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.persons import ACTIONS, AREA
from tests.vectors.files import Group, Script, Seed, build_file, one_step
from tests.vectors.persons_log import History, Person, Terminal, signatures_of, signed_bytes, with_signatures
from tests.vectors.persons_meaning import MEANINGS
from tests.vectors.persons_wrong import invalid_group, unknown_author_group

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
    return [_keys_and_ids(seed), _signed(person), _refused(person), _later_ones(person)]


def _keys_and_ids(seed: Seed) -> Group:
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
    group, signed = Group("7.2", {}), _largest(person)
    ids = _ids(person, 24)
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


def _largest(person: Person) -> bytes:
    """A signed Recover of as many bytes as there may be."""
    ids, key = _ids(person, 24), ed25519_from_seed(person.key(1))
    sequence = 0x10000
    for parents, gone in itertools.product(range(16, 0, -1), range(8, -1, -1)):
        for named in range(gone + 1):
            removed = [Removal(one, ids[0] if n < named else b"") for n, one in enumerate(ids[:gone])]
            upon = ids[8 : 8 + parents]
            recover = Recover(person.id, person.id, sequence, upon, key, removed, b"", b"")
            signed = signed_bytes(encode(recover), person.key(0), person.key(1))
            if len(signed) == OPERATION_BYTES_MAX:
                return signed
    raise AssertionError("no Recover of this size")


# --- Signed and read ---


def _later(person: Person) -> dict[str, tuple[Add | Remove | Rename | Recover, tuple[bytes, ...]]]:
    """An operation of each kind upon the founding ones, and its signers' seeds."""
    second, first = person.terminal("second"), person.first
    upon = [person.id_of("rename")]
    common = person.id, first.id, 2, upon
    other, keys = ed25519_from_seed(person.key(1)), (person.key(0), person.key(1))
    new = second.signing, second.static
    gone = [Removal(first.id, upon[0])]
    return {
        "an Add": (Add(*common, *new, "laptop"), (first.seed, second.seed)),
        "a Remove that cuts nothing": (Remove(*common, first.id, upon[0]), (first.seed,)),
        "a Remove with an empty last": (Remove(*common, second.id, b""), (first.seed,)),
        "a Rename": (Rename(*common, "Ada 小雨"), (first.seed,)),
        "a Recover alone": (Recover(person.id, person.id, 1, upon, other, [], b"", b""), keys),
        "a Recover with all its parts": (
            Recover(person.id, person.id, 1, upon, other, gone, *new),
            (*keys, second.seed),
        ),
    }


def _signed(person: Person) -> Group:
    group = Group("7.2", {})
    genesis = parse_operation(person.log["genesis"]).operation
    founding: dict[str, Any] = {"a Genesis": (genesis, (person.first.seed, person.key(0)))}
    for comment, (operation, seeds) in (founding | _later(person)).items():
        script = Script(ACTIONS, group.inputs)
        given = {"operation": encode(operation).hex(), "signing_seeds": [each.hex() for each in seeds]}
        signed = script.take("sign", **given)["signed"]
        script.take("parse", signed=signed)
        group.add(comment, ["Operation"], SUCCESS, script.steps)
    return group


# --- Of later versions ---


def _later_bytes(anna: Person, number: int, rest: bytes = b"", fields: int = 0, **changes: Any) -> bytes:
    """A signed operation of a later version: what all have, and `rest` in so many further fields."""
    place = {
        "person": anna.id,
        "author": anna.first.id,
        "sequence": 2,
        "parents": [anna.id_of("rename")],
    }
    known = encode([number, *(place | changes).values()])
    head = bytes([0x95 + fields]) if fields <= 10 else b"\xdc" + (5 + fields).to_bytes(2, "big")
    return signed_bytes(head + known[1:] + rest, anna.first.seed)


def _filling(person: Person) -> bytes:
    """Opaque bytes with which an operation of a later version has as many bytes as there may be."""
    return bytes(600 + OPERATION_BYTES_MAX - len(_later_bytes(person, 200, bytes(600), 1)))


def _later_ones(person: Person) -> Group:
    """Operations of later versions, read and refused."""
    group = Group("7.2", {})
    rest = _filling(person)
    for comment, signed in {
        "number 5 with the fields of a Rename": _later_bytes(person, 5, encode("Anna"), 1),
        "number 65,535 without further fields": _later_bytes(person, 65_535),
        "11 further fields, opaque": _later_bytes(person, 200, b"\xc1\xc0\x80\xff", 11),
        "further fields that are not there": _later_bytes(person, 127, b"", 3),
        "1,024 bytes in all": _later_bytes(person, 200, rest, 1),
        "16 parents": _later_bytes(person, 200, parents=_ids(person, 16)),
    }.items():
        steps = one_step(ACTIONS, group.inputs, "parse", signed=signed.hex())
        group.add(comment, ["LaterOperation"], SUCCESS, steps)
    for rule, comment, signed in _wrong_later_ones(person):
        expect = "limit" if rule == "V-OG-01" else "malformed"
        step = {"do": "parse", "signed": signed.hex()}
        group.add(comment, ["LaterOperation"], expect, [step], rule=rule)
    return group


def _wrong_later_ones(person: Person) -> Iterator[Wrong]:
    seed, low_high = person.first.seed, _ids(person, 2)
    right = msgspec.msgpack.decode(_later_bytes(person, 200))[0]
    for comment, encoded in {
        "four elements": b"\x94" + right[1:-36],
        "an array that says four elements": b"\x94" + right[1:],
        "the array in a longer encoding": b"\xdc\x00\x05" + right[1:],
        "the number in a longer encoding": right[:1] + b"\xcd\x00\xc8" + right[3:],
        "a sequence in a longer encoding": right[:71] + b"\xcc" + right[71:],
        "a negative sequence": right[:71] + b"\xff" + right[72:],
        "the list of parents in a longer encoding": right[:72] + b"\xdc\x00\x01" + right[73:],
        "less a byte of the last parent": right[:-1],
        "no bytes": b"",
        "the head alone": right[:1],
    }.items():
        yield "V-OG-02", f"number 200: {comment}", signed_bytes(encoded, seed)
    for comment, signed in {
        "number 65,536": _later_bytes(person, 65_536),
        "a person of 31 bytes": _later_bytes(person, 200, person=bytes(31)),
        "an author of 33 bytes": _later_bytes(person, 200, author=bytes(33)),
        "an author that is a text": _later_bytes(person, 200, author="a" * 32),
        "a sequence of 2^32": _later_bytes(person, 200, sequence=2**32),
        "17 parents": _later_bytes(person, 200, parents=_ids(person, 17)),
        "a parent of 31 bytes": _later_bytes(person, 200, parents=[bytes(31)]),
    }.items():
        yield "V-OG-02", f"of a later version: {comment}", signed
    yield "V-OG-03", "of a later version: no parents", _later_bytes(person, 200, parents=[])
    yield "V-OG-03", "of a later version: sequence 0", _later_bytes(person, 200, sequence=0)
    yield (
        "V-OG-04",
        "of a later version: parents descending",
        _later_bytes(person, 200, parents=low_high[::-1]),
    )
    yield (
        "V-OG-04",
        "of a later version: a parent twice",
        _later_bytes(person, 200, parents=[low_high[0]] * 2),
    )
    yield (
        "V-OG-01",
        "of a later version: 1,025 bytes",
        _later_bytes(person, 200, _filling(person) + b"\x00", 1),
    )


# --- Refused ---


def _refused(person: Person) -> Group:
    group = Group("7.2", {})
    wrong = (_sizes, _encodings, _places, _names, _wrong_recoveries, _keys, _doubles)
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
    assert isinstance(operation, Genesis)
    seeds = person.first.seed, person.key(0)
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
    yield rule, "four signatures", with_signatures(signed, *[signature] * 4)
    yield rule, "a signature of 63 bytes", with_signatures(signed, signature[:-1])
    yield rule, "the signed operation's array in a longer encoding", b"\xdc\x00\x02" + signed[1:]
    seed = person.first.seed
    yield rule, "a byte after the operation", signed_bytes(operation + b"\x00", seed)
    yield rule, "an operation without its last field", signed_bytes(b"\x95" + operation[1:-5], seed)
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

    yield rule, "a recovery with an empty `previous`", _recover(person, previous=b"")


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


def _wrong_recoveries(person: Person) -> Iterator[Wrong]:
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


NOTES: Final = {
    "Operation": ("BASIC", "One operation: its bytes, its id, its signatures."),
    "LaterOperation": ("VERSION", "An operation of a later version: kept, passed on, without effect."),
    "BadOperation": ("MALFORMED", "An operation that no log may hold, though it is truly signed."),
    "Reduction": ("BASIC", "What a log comes to, in every order of arrival."),
    "Seniority": ("AUTHENTICITY", "Only a senior terminal removes a junior one."),
    "Cut": ("AUTHENTICITY", "What a removed terminal signed after its last operation does not count."),
    "Recovery": ("AUTHENTICITY", "The recovery key stands above all terminals."),
    "Fork": ("AUTHENTICITY", "One key has two users."),
    "Rival": ("AUTHENTICITY", "Several recoveries follow one: a seed has two users."),
    "Standing": ("AUTHENTICITY", "No operation undoes a removal."),
    "BadLog": ("AUTHENTICITY", "An operation that is not valid upon its ancestors."),
    "Exchange": ("BASIC", "What of a log is taken, left out and passed on."),
    "TooMuch": ("LIMIT", "More than a log may hold."),
    "Third": ("CONFIDENTIALITY", "The log of a person who is not on the link."),
}


# --- What is taken and passed on ---


def _exchange(seed: Seed) -> Group:
    anna = Person(seed, "exchange", "Anna")
    history, second = History(anna), anna.terminal("second")
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.rename("renames", second, "Anne", base)
    anna.remove("remove", anna.first, second, b"", upon=base)
    whole, removed = list(anna.log), [*base, "remove"]
    history.takes("a whole log from a stranger", [], base)
    history.takes("in any order", [], base[::-1])
    history.takes("what is held already adds nothing", base, base)
    history.takes("only what is new, in causal order", base[:1], base[1:])
    history.takes("what a removal has cut is left out", removed, ["renames"])
    history.takes("a removal that cuts what is held, which goes", [*base, "renames"], ["remove"])
    anna.rename("renames beside", second, "Anja", base)
    history.takes("the other branch of a fork is kept as evidence", [*base, "renames"], ["renames beside"])
    missing = ("V-LG-09", "malformed")
    history.turns_away(missing, "a parent is missing", "BadLog", ["renames"], held=base[:2])
    history.turns_away(missing, "of two new ones the first is missing", "BadLog", ["remove"], held=base[:2])
    for comment, heads in {
        "all is lacking": [],
        "nothing is lacking": anna.state().heads,
        "what stands after a head": [anna.id_of("rename")],
        "a head that is not known covers nothing": [bytes(32)],
        "a known and an unknown head": sorted([bytes(32), anna.id_of("add second")]),
    }.items():
        history.computes(
            comment, "Exchange", "missing", operations=whole, heads=[each.hex() for each in heads]
        )
    return history.done()


def _named(seed: Seed) -> Group:
    """LogHeads about this person and about the contact, and what goes back."""
    anna, bob = Person(seed, "named anna", "Anna"), Person(seed, "named bob", "Bob")
    for person in (anna, bob):
        person.rename("renames", person.first, "Other", ["genesis", "rename"])
    own, contact = list(anna.log), [f"Bob's {name}" for name in bob.log]
    anna.log |= dict(zip(contact, bob.log.values(), strict=True))
    history = History(anna, "5.12")
    both = {"own": own, "contact": contact}

    def heads(person: bytes, *ids: bytes) -> str:
        return encode(LogHeads(person, sorted(ids))).hex()

    for comment, message in {
        "the contact lacks an operation of this person": heads(anna.id, anna.id_of("rename")),
        "the contact lacks nothing of this person": heads(anna.id, anna.id_of("renames")),
        "the contact lacks an operation of its own": heads(bob.id, bob.id_of("rename")),
        "the contact lacks its whole log": heads(bob.id),
        "the contact has more of its own than is held": heads(bob.id, bob.id_of("renames"), bytes(32)),
    }.items():
        history.computes(comment, "Exchange", "receive_log_heads", message=message, **both)
    third = {"do": "receive_log_heads", "message": heads(bytes(32)), **both}
    history.group.add("the log of a third person", ["Third"], "untrusted", [third], rule="V-LH-01")
    return history.done()


def _foreign(seed: Seed) -> Group:
    """Keys of another person, who may be the receiver, in the log of a contact."""
    anna, bob = Person(seed, "foreign anna", "Anna"), Person(seed, "foreign bob", "Bob")
    theirs = bob.terminal("second")
    bob.add("add second", bob.first, theirs)
    anna.add("adds Bob's terminal", anna.first, theirs)
    mixed = Terminal(anna.terminal("second").seed, bob.first.secret)
    anna.add("adds Bob's static key", anna.first, mixed, ["genesis", "rename"])
    base = ["genesis", "rename"]
    recover = recover_operation(anna.state(base), anna.recovery, [])
    recover = replace(recover, recovery=ed25519_from_seed(bob.key(0)))
    anna.write("recovers to Bob's recovery key", recover, anna.key(0), bob.key(0))
    history = History(anna)
    for name in ("adds Bob's terminal", "adds Bob's static key", "recovers to Bob's recovery key"):
        history.takes(f"{name}, also where Bob receives it", base, [name])
    return history.done()


def _bounds(seed: Seed) -> Group:
    """As many operations as may be, and one more."""
    anna = Person(seed, "bounds", "Anna")
    second, new = anna.terminal("second"), anna.terminal("new")
    anna.add("add", anna.first, second)
    base = list(anna.log)
    chain = _chain(anna, "chain", second, LOG_OPERATIONS_MAX + 1, base)
    for n in range(PARENTS_MAX + 1):
        operation = Rename(anna.id, second.id, 1, [anna.id_of("add")], f"head {n}")
        anna.write(f"head {n}", operation, second.seed)
    heads = [name for name in anna.log if name.startswith("head")]
    state = anna.state(base)
    anna.write("rename by first", rename_operation(state, anna.first.id, "Anne"), anna.first.seed)
    # The genesis is not counted: the first terminal has two operations in the base.
    own = _chain(anna, "own", anna.first, LOG_OPERATIONS_MAX - 1, base)
    anna.remove("remove", anna.first, second, b"", upon=base)
    full = [*base, *own[:-1]]
    anna.recover("recover", [(anna.first, anna.id_of(own[-2]))], new, full)
    anna.rename("new renames", new, "Änne", [*full, "recover"])
    limit, history = ("V-LG-10", "limit"), History(anna)
    junior = [*base, *chain[:-1]]
    history.takes("256 by a junior, and one more by the senior", junior, ["rename by first"])
    history.turns_away(limit, "257 by a junior", "TooMuch", chain[-1:], held=junior)
    history.takes("the senior removes a junior with 256", junior, ["remove"])
    history.turns_away(limit, "257 by the senior", "TooMuch", own[-1:], held=full)
    history.takes("256 by the senior, and its recovery", full, ["recover"])
    history.takes("the recovery without what it knows held", base, [*own[:-1], "recover"])
    history.takes("what the recovery knows is not counted", [*full, "recover"], ["new renames"])
    history.takes("17 heads, of which 16 are named", base, heads)
    _gone(anna, history, base, chain[:-1])
    recoveries = _recovery_chain(anna, base)
    history.takes("64 recoveries", base, recoveries[:-1])
    history.turns_away(limit, "65 recoveries", "TooMuch", recoveries[-1:], held=[*base, *recoveries[:-1]])
    for n in range(LOG_HELD_MAX + 1):
        anna.log[f"bytes {n}"] = n.to_bytes(2)
    names = [f"bytes {n}" for n in range(LOG_HELD_MAX + 1)]
    step = {"do": "reduce", "operations": names}
    comment = f"{LOG_HELD_MAX + 1:,} different ones, before any is decoded"
    history.group.add(comment, ["TooMuch"], "limit", [step], rule="V-LG-01")
    return history.done()


def _gone(anna: Person, history: History, base: list[str], chain: list[str]) -> None:
    """Two terminals are removed that each leave as many operations as there may be."""
    third, fourth, second = (anna.terminal(label) for label in ("third", "fourth", "second"))
    anna.add("add third", anna.first, third, base)
    anna.add("add fourth", anna.first, fourth, [*base, "add third"])
    three = [*base, "add third", "add fourth"]
    other = _chain(anna, "third", third, LOG_OPERATIONS_MAX, three)
    one = [*three, *chain]
    anna.remove("remove second with 256", anna.first, second, anna.id_of(chain[-1]), upon=one)
    both = [*one, "remove second with 256", *other]
    anna.remove("remove third with 256", anna.first, third, anna.id_of(other[-1]), upon=both)
    anna.remove("second removes fourth", second, fourth, b"", upon=three)
    history.takes("512 by two that are removed", both[:-1], [other[-1], "remove third with 256"])
    held, late = [*both, "remove third with 256"], "second removes fourth"
    history.turns_away(("V-LG-10", "limit"), "513 by two that are removed", "TooMuch", [late], held=held)


def _room(seed: Seed) -> Group:
    """As much as is kept of a log with five recoveries, which have all before them in their past."""
    anna = Person(seed, "room", "Anna")
    senior, second, log = anna.first, anna.terminal("second"), ["genesis", "rename", "add"]
    anna.add("add", senior, second)
    for n in range(5):
        log += _chain(anna, f"{n}:", senior, LOG_OPERATIONS_MAX - 1, log)
        new = anna.terminal(f"senior {n}")
        anna.recover(f"recover {n}", [(senior, anna.id_of(log[-1]))], new, log)
        log, senior = [*log, f"recover {n}"], new
    log += _chain(anna, "own", senior, LOG_KEPT_MAX - 1 - len(log), log)
    junior = _chain(anna, "junior", second, LOG_OPERATIONS_MAX, log)
    anna.remove("remove", senior, second, anna.id_of(junior[-1]), [*log, *junior])
    anna.rename("more", senior, "Anne", log)
    anna.remove("remove after more", senior, second, anna.id_of(junior[-1]), [*log, *junior, "more"])
    whole = [*log, *junior, "remove"]
    anna.recover("recover", [(senior, anna.id_of("remove"))], anna.terminal("last"), whole)
    anna.recover("recover early", [(senior, anna.id_of(log[-1]))], anna.terminal("last"), log)
    limit, history = ("V-LG-10", "limit"), History(anna)
    history.takes("1,536 in all", log, junior[:1])
    history.turns_away(limit, "1,537 in all", "TooMuch", junior[1:2], held=[*log, *junior[:1]])
    history.takes("1,792 in all, with a removal and what it follows", log, [*junior, "remove"])
    comment = "1,793 in all, with a removal and what it follows"
    history.turns_away(limit, comment, "TooMuch", [*junior, "more", "remove after more"], held=log)
    history.takes("a removal is taken without what came with it", log, [*junior, "more", "remove"])
    full = [*junior, "more", "remove after more", "recover early"]
    history.takes("a recovery is taken without the removal that came with it", log, full)
    history.takes("1,793 in all, with a recovery", whole, ["recover"])
    return history.done()


def _chain(anna: Person, label: str, by: Terminal, count: int, upon: list[str]) -> list[str]:
    """So many renames by one terminal, each upon the one before, the first upon the last of these."""
    names, parent = [f"{label} {n}" for n in range(count)], anna.id_of(upon[-1])
    first = anna.state(upon).sequences[by.id] + 1
    for n, name in enumerate(names):
        operation = Rename(anna.id, by.id, first + n, [parent], "A")
        parent = parse_operation(anna.write(name, operation, by.seed)).id
    return names


def _recovery_chain(anna: Person, base: list[str]) -> list[str]:
    names, previous, parent = [], anna.id, anna.id_of(base[-1])
    for n in range(LOG_RECOVERIES_MAX + 1):
        key = ed25519_from_seed(anna.key(n + 1))
        operation = Recover(anna.id, previous, n + 1, [parent], key, [], b"", b"")
        anna.log[f"recovery {n}"] = sign_recovery(operation, anna.recovery)
        names.append(f"recovery {n}")
        previous = parent = anna.id_of(names[-1])
    return names


def _recovery_keys(seed: Seed) -> Group:
    """The recovery keys of a person, from its seed, by number."""
    group = Group("7.1", {})
    for number in (0, 1, 2, 255, 2**32 - 1):
        given = {"seed": seed.bytes("recovery keys").hex(), "number": number}
        steps = one_step(ACTIONS, group.inputs, "recovery_key", **given)
        group.add(f"recovery key {number}", ["Operation"], SUCCESS, steps)
    return group


def _recovery_words(seed: Seed) -> Group:
    """The words of a recovery seed, and how they are read."""
    group, drawn = Group("7.1", {}), seed.bytes("recovery words")
    for comment, one in (("", drawn), (" of zero bytes", bytes(32)), (" of bytes 255", b"\xff" * 32)):
        steps = one_step(ACTIONS, group.inputs, "recovery_words", seed=one.hex())
        group.add(f"the words of a seed{comment}", ["Operation"], SUCCESS, steps)
    words = recovery_words(drawn)
    for comment, text in {
        "words with single spaces": " ".join(words),
        "words in rows": "\n".join(words),
        "words with tabs, spaces and line breaks around them": " \r\n" + "  \t".join(words) + "\n",
        "words in capitals": " ".join(words).upper(),
    }.items():
        steps = one_step(ACTIONS, group.inputs, "read_recovery_words", text=text)
        group.add(comment, ["Operation"], SUCCESS, steps)
    other = next(word for word in word_list() if word not in words)
    wrong = {
        "no words": ("V-RW-01", ()),
        "33 words": ("V-RW-01", words[:-1]),
        "35 words": ("V-RW-01", (*words, words[0])),
        "a word that is not in the list": ("V-RW-01", ("parlour", *words[1:])),
        "the beginning of a word": ("V-RW-01", (words[0][:-1], *words[1:])),
        "a word that is another one": ("V-RW-02", (other, *words[1:])),
        "two words in each other's place": ("V-RW-02", (words[1], words[0], *words[2:])),
        "another first word of the check": ("V-RW-02", (*words[:32], other, words[33])),
        "another second word of the check": ("V-RW-02", (*words[:33], other)),
    }
    for comment, (rule, read) in wrong.items():
        step = {"do": "read_recovery_words", "text": " ".join(read)}
        group.add(comment, ["BadOperation"], "malformed", [step], rule=rule)
    return group


def _not_too_many() -> Group:
    names = [f"bytes {n}" for n in range(LOG_HELD_MAX)]
    group = Group("7.2", {"operations": {name: n.to_bytes(2).hex() for n, name in enumerate(names)}})
    step = {"do": "reduce", "operations": names}
    comment = f"{LOG_HELD_MAX:,} different ones are not too many, but these are no operations"
    group.add(comment, ["BadOperation"], "malformed", [step], rule="V-OG-02")
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    makers = (
        *MEANINGS,
        _recovery_keys,
        _recovery_words,
        invalid_group,
        _exchange,
        _named,
        _foreign,
        _bounds,
        _room,
    )
    groups = [*single_groups(seed), *(make(seed) for make in makers)]
    last = [edge_group(seed), _not_too_many(), unknown_author_group(seed)]
    return build_file(seed, NOTES, [*groups, *last])
